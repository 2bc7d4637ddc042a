/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/ovsdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/ovsdb_conn.h"
#include "wire/unix_listen.h"

#define WAIT_MIN_US 250000ull
#define WAIT_MAX_US 8000000ull

enum ovsdb_state {
	OVSDB_AWAY,	 /* the next try is set */
	OVSDB_CONNECTED, /* asked for the records */
	OVSDB_WATCHING,	 /* has them, and is told of changes */
};

struct ovsdb {
	struct manager *m;
	char *path;
	enum ovsdb_state state;
	struct ovsdb_conn *conn;
	sd_event_source *timer;
	uint64_t wait_us;
	char reason[200]; /* why it is away; "": it was not tried yet, or is not */
	struct ovsdb_ports *ports;
};

static void set_timer(struct ovsdb *ovsdb, uint64_t wait_us)
{
	sd_event_source_set_time_relative(ovsdb->timer, wait_us);
	sd_event_source_set_enabled(ovsdb->timer, SD_EVENT_ONESHOT);
}

/* Between half of the wait and all of it, so that the hosts of a rack do not come at once. */
static void try_later(struct ovsdb *ovsdb, const char *why)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)manager_now_us(ovsdb->m);
	ovsdb->state = OVSDB_AWAY;
	if (!ovsdb->reason[0])
		log_warning("OVSDB: %s: %s; it is tried again, and pairings stay as they are",
			    ovsdb->path, why);
	snprintf(ovsdb->reason, sizeof(ovsdb->reason), "%.199s", why);
	set_timer(ovsdb, ovsdb->wait_us / 2 + random % (ovsdb->wait_us / 2));
	ovsdb->wait_us *= 2;
	if (ovsdb->wait_us > WAIT_MAX_US)
		ovsdb->wait_us = WAIT_MAX_US;
}

static void on_update(json_object *tables, bool initial, void *userdata)
{
	struct ovsdb *ovsdb = userdata;
	const bool complete = ovsdb_ports_update(ovsdb->ports, tables, initial);

	/* A server that connects and fails before this is not tried faster for it. */
	ovsdb->wait_us = WAIT_MIN_US;
	ovsdb->state = OVSDB_WATCHING;
	ovsdb->reason[0] = '\0';
	if (initial)
		log_notice("OVSDB: %s: connected; interfaces that ask for a relay: %u", ovsdb->path,
			   ovsdb_ports_count(ovsdb->ports));
	/* The initial update comes with a new connection only. */
	if (!complete)
		set_timer(ovsdb, 0);
}

static void on_closed(const struct err *err, void *userdata)
{
	struct ovsdb *ovsdb = userdata;

	ovsdb_conn_free(ovsdb->conn);
	ovsdb->conn = NULL;
	try_later(ovsdb, err->text);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	static const struct ovsdb_handlers handlers = { .update = on_update, .closed = on_closed };
	struct ovsdb *ovsdb = userdata;
	struct err err;
	int fd, rc;

	ovsdb_conn_free(ovsdb->conn);
	ovsdb->conn = NULL;
	fd = unix_connect(ovsdb->path, 0, &err);
	if (fd < 0) {
		try_later(ovsdb, err.text);
		return 0;
	}
	rc = ovsdb_conn_new(&ovsdb->conn, ovsdb->m->event, fd, OVSDB_PROBE_US, &handlers, ovsdb);
	if (rc < 0)
		try_later(ovsdb, strerror(-rc));
	else
		ovsdb->state = OVSDB_CONNECTED;
	return 0;
}

int ovsdb_new(struct ovsdb **result, struct manager *m, struct err *err)
{
	struct ovsdb *ovsdb = calloc(1, sizeof(*ovsdb));
	int rc = -ENOMEM;

	if (ovsdb) {
		ovsdb->m = m;
		ovsdb->wait_us = WAIT_MIN_US;
		ovsdb->path = strdup(m->cfg->ovsdb_sock);
		ovsdb->ports = ovsdb_ports_new(m);
	}
	if (ovsdb && ovsdb->path && ovsdb->ports)
		rc = sd_event_add_time_relative(m->event, &ovsdb->timer, CLOCK_MONOTONIC, 0, 1000,
						on_timer, ovsdb);
	if (rc < 0) {
		ovsdb_free(ovsdb);
		return err_set(err, rc, "start", "OVSDB: %s", strerror(-rc));
	}
	*result = ovsdb;
	return 0;
}

void ovsdb_free(struct ovsdb *ovsdb)
{
	if (!ovsdb)
		return;
	ovsdb_conn_free(ovsdb->conn);
	sd_event_source_disable_unref(ovsdb->timer);
	ovsdb_ports_free(ovsdb->ports);
	free(ovsdb->path);
	free(ovsdb);
}

void ovsdb_changed(struct ovsdb *ovsdb, bool devices)
{
	ovsdb_ports_changed(ovsdb->ports, devices);
}

void ovsdb_put_json(const struct ovsdb *ovsdb, json_object *json)
{
	static const char *const names[] = {
		[OVSDB_AWAY] = "disconnected",
		[OVSDB_CONNECTED] = "connecting",
		[OVSDB_WATCHING] = "connected",
	};

	json_put_text(json, "state", names[ovsdb->state]);
	json_put_text(json, "reason", ovsdb->reason[0] ? ovsdb->reason : NULL);
	json_object_object_add(json, "interfaces", ovsdb_ports_json(ovsdb->ports));
}
