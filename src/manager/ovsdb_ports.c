/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the records ask for is compared with the pairings of OVSDB's own whenever one of the two may
 * have changed, and at most one operation for each relay id leads from one to the other. Pairings
 * of others are never touched.
 *
 * A VF that is taken may lose its interface. So a pairing remembers by which interface it was asked
 * for, and goes on when that no longer leads to a device.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/ovsdb.h"
#include "manager/ovsdb_table.h"
#include "manager/port_control.h"

struct ovsdb_ports {
	struct manager *m;
	struct ovsdb_table table;
	bool known; /* the table was told once */
	bool devices;
	bool busy[CONFIG_MAX_RELAYS];		      /* an operation is under way */
	struct ovsdb_port *chosen[CONFIG_MAX_RELAYS]; /* only within run() */
	sd_event_source *later;
};

static void __attribute__((format(printf, 3, 4)))
set_state(struct ovsdb_port *port, enum ovsdb_port_state state, const char *fmt, ...)
{
	char reason[sizeof(port->reason)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	port->told &= !strcmp(reason, port->reason);
	port->state = state;
	memcpy(port->reason, reason, sizeof(reason));
}

static bool is_ours(const struct pairing *p)
{
	return p->wish.has_device && p->wish.origin == PAIRING_ORIGIN_OVSDB;
}

static struct ovsdb_port *find_adding(struct ovsdb_ports *ports, unsigned int id)
{
	for (size_t i = 0; i < ports->table.n; i++) {
		struct ovsdb_port *port = &ports->table.ports[i];

		if (port->state == OVSDB_PORT_ADDING && port->id == id)
			return port;
	}
	return NULL;
}

static void done(struct pairing *p, const struct err *err, void *userdata)
{
	struct ovsdb_ports *ports = userdata;
	struct ovsdb_port *port = find_adding(ports, p->id);

	ports->busy[p->id] = false;
	if (port && err->code)
		set_state(port, OVSDB_PORT_FAILED, "%s", err->text);
	else if (port)
		set_state(port, OVSDB_PORT_PAIRED, "%s", "");
	else if (err->code && err->code != -ESHUTDOWN)
		log_error("OVSDB: relay %u: %s", p->id, err->text);
	ovsdb_ports_changed(ports, false);
}

static int submit(struct ovsdb_ports *ports, struct pairing *p, struct pairing_op *op,
		  struct err *err)
{
	int rc;

	op->conditional = true;
	op->deadline_us = manager_now_us(ports->m) + MANAGER_CONTROL_TIMEOUT_US;
	op->done = done;
	op->userdata = ports;
	ports->busy[p->id] = true; /* it may be done before this returns */
	rc = pairing_submit(p, op, err);
	if (rc < 0)
		ports->busy[p->id] = false;
	return rc;
}

static void take_away(struct ovsdb_ports *ports, struct pairing *p)
{
	/* Giving a VF back is the pairing's own to try until it is done. */
	struct pairing_op op = {
		.kind = OP_REMOVE, .check_name = true, .answer_early = true, .wish = p->wish
	};
	struct err err;

	log_info("OVSDB: interface %s no longer asks for relay %u", p->wish.port, p->id);
	if (submit(ports, p, &op, &err) < 0)
		log_error("OVSDB: relay %u: %s", p->id, err.text);
}

static int wish_of(const struct ovsdb_ports *ports, const struct ovsdb_port *port,
		   struct pairing_wish *wish, struct err *err)
{
	const struct manager *m = ports->m;
	struct port_device device;
	int rc = port_device_find(m->root, m->cfg, port->name, port->internal, &device, err);

	if (!rc)
		rc = port_control_wish(m, port->id, port->name, &device, wish, err);
	wish->origin = PAIRING_ORIGIN_OVSDB;
	return rc;
}

/* The interface of a pairing may have come to stand for another device. */
static bool leads_elsewhere(const struct ovsdb_ports *ports, const struct pairing *p,
			    const struct ovsdb_port *port)
{
	struct pairing_wish wish = { 0 };
	struct err err;

	return ports->devices && wish_of(ports, port, &wish, &err) == 0 &&
	       !device_is_same(ports->m, &wish.device, &p->wish.device);
}

static void add(struct ovsdb_ports *ports, struct pairing *p, struct ovsdb_port *port)
{
	struct pairing_op op = {
		.kind = OP_ADD, .accept_absent = true, .keep_failed = true, .make_socket = true
	};
	struct err err = { 0 };

	if (wish_of(ports, port, &op.wish, &err) < 0 || env_admit(p, &op, &err) < 0) {
		set_state(port, OVSDB_PORT_WAITING, "%s", err.text);
		return;
	}
	log_info("OVSDB: interface %s (%s) asks for relay %u", port->name, op.wish.name, p->id);
	set_state(port, OVSDB_PORT_ADDING, "%s", "");
	if (submit(ports, p, &op, &err) < 0)
		set_state(port, OVSDB_PORT_FAILED, "%s", err.text);
}

/* A pairing of ours; port: the interface that is to have its id, or NULL. */
static void settle_ours(struct ovsdb_ports *ports, struct pairing *p, struct ovsdb_port *port)
{
	const bool stays =
		port && !strcmp(port->name, p->wish.port) && !leads_elsewhere(ports, p, port);

	if (port)
		set_state(port, stays ? OVSDB_PORT_PAIRED : OVSDB_PORT_NEW, "%s", "");
	if (!stays)
		take_away(ports, p);
}

/* A pairing that is not ours, or none. */
static void settle_other(struct ovsdb_ports *ports, struct pairing *p, struct ovsdb_port *port)
{
	if (port->state == OVSDB_PORT_FAILED)
		return;
	if (port->state == OVSDB_PORT_PAIRED) {
		set_state(port, OVSDB_PORT_FAILED,
			  "it was taken away by other means than OVSDB; remove the external_id "
			  "and set it again to have it back");
	} else if (p->wish.has_device) {
		set_state(port, OVSDB_PORT_WAITING, "relay %u has %s already (%s)", p->id,
			  p->wish.name, pairing_origin_name(p->wish.origin));
	} else {
		add(ports, p, port);
	}
}

static void tell(struct ovsdb_ports *ports)
{
	for (size_t i = 0; i < ports->table.n; i++) {
		struct ovsdb_port *port = &ports->table.ports[i];

		if (port->reason[0] && !port->told)
			log_warning("OVSDB: interface %s: %s", port->name, port->reason);
		port->told = true;
	}
}

static void run(struct ovsdb_ports *ports)
{
	const char *held[CONFIG_MAX_RELAYS];
	struct manager *m = ports->m;

	for (unsigned int id = 0; id < m->max_relays; id++)
		held[id] = is_ours(&m->pairings[id]) ? m->pairings[id].wish.port : "";
	ovsdb_table_choose(&ports->table, held, ports->chosen);
	/* What goes to another id has to leave its own first. */
	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (!ports->busy[id] && is_ours(&m->pairings[id]))
			settle_ours(ports, &m->pairings[id], ports->chosen[id]);
	}
	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (!ports->busy[id] && ports->chosen[id] && !is_ours(&m->pairings[id]))
			settle_other(ports, &m->pairings[id], ports->chosen[id]);
	}
	ports->devices = false;
	tell(ports);
}

static int on_later(sd_event_source *source, void *userdata)
{
	struct ovsdb_ports *ports = userdata;

	if (ports->known && ports->m->phase != MANAGER_STOPPING)
		run(ports);
	return 0;
}

void ovsdb_ports_changed(struct ovsdb_ports *ports, bool devices)
{
	ports->devices |= devices;
	if (ports->m->phase != MANAGER_STOPPING)
		sd_event_source_set_enabled(ports->later, SD_EVENT_ONESHOT);
}

bool ovsdb_ports_update(struct ovsdb_ports *ports, json_object *tables, bool initial)
{
	const bool complete = ovsdb_table_update(&ports->table, tables, initial);

	ports->known |= initial;
	ovsdb_ports_changed(ports, initial);
	return complete;
}

unsigned int ovsdb_ports_count(const struct ovsdb_ports *ports)
{
	return (unsigned int)(ports->table.n + ports->table.n_left_out);
}

json_object *ovsdb_ports_json(const struct ovsdb_ports *ports)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < ports->table.n; i++) {
		const struct ovsdb_port *port = &ports->table.ports[i];
		json_object *json = json_object_new_object();

		json_put_text(json, "interface", port->name);
		if (port->state == OVSDB_PORT_REFUSED)
			json_put_shared(json, "id", NULL);
		else
			json_put_int(json, "id", port->id);
		json_put_text(json, "state", ovsdb_port_state_name(port->state));
		json_put_text(json, "reason", port->reason[0] ? port->reason : NULL);
		json_object_array_add(array, json);
	}
	return array;
}

struct ovsdb_ports *ovsdb_ports_new(struct manager *m)
{
	struct ovsdb_ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return NULL;
	ports->m = m;
	ports->table.max_relays = m->max_relays;
	if (sd_event_add_defer(m->event, &ports->later, on_later, ports) < 0) {
		free(ports);
		return NULL;
	}
	return ports;
}

void ovsdb_ports_free(struct ovsdb_ports *ports)
{
	if (!ports)
		return;
	sd_event_source_disable_unref(ports->later);
	free(ports);
}
