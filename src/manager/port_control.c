/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/port_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "manager/command_file.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/ovsdb.h"

/* All NULL but m: ZeroMQ. */
struct port_control {
	struct manager *m;
	struct command_file *file;
	struct ovsdb *ovsdb;
};

/* Another way may have been in force when the state file was written. */
static void tell_left_over(const struct manager *m)
{
	for (unsigned int id = 0; id < m->max_relays; id++) {
		const struct pairing_wish *wish = &m->pairings[id].wish;

		if (wish->has_device && wish->origin == PAIRING_ORIGIN_OVSDB)
			log_warning("relay %u has %s by OVSDB, which is no longer asked: "
				    "'vio4wdctl remove %u' takes it away",
				    id, wish->name, id);
	}
}

int port_control_new(struct port_control **result, struct manager *m, struct err *err)
{
	struct port_control *control = calloc(1, sizeof(*control));
	int rc = 0;

	if (!control)
		return err_set(err, -ENOMEM, "start", "out of memory");
	control->m = m;
	if (m->cfg->zmq_port_control_ep)
		log_info("port control by ZeroMQ: %s", m->cfg->zmq_port_control_ep);
	else if (m->cfg->ipc_port_control)
		rc = command_file_new(&control->file, m, err);
	else
		rc = ovsdb_new(&control->ovsdb, m, err);
	if (rc < 0) {
		free(control);
		return rc;
	}
	if (control->file)
		log_info("port control by command file: %s", command_file_path(control->file));
	if (control->ovsdb)
		log_info("port control by OVSDB: %s", m->cfg->ovsdb_sock);
	else
		tell_left_over(m);
	*result = control;
	return 0;
}

void port_control_free(struct port_control *control)
{
	if (!control)
		return;
	command_file_free(control->file);
	ovsdb_free(control->ovsdb);
	free(control);
}

void port_control_changed(struct port_control *control, bool devices)
{
	if (control && control->ovsdb)
		ovsdb_changed(control->ovsdb, devices);
}

json_object *port_control_json(const struct port_control *control)
{
	json_object *json = json_object_new_object();

	if (control->ovsdb) {
		json_put_text(json, "way", "ovsdb");
		json_put_text(json, "endpoint", control->m->cfg->ovsdb_sock);
		ovsdb_put_json(control->ovsdb, json);
		return json;
	}
	json_put_text(json, "way", control->file ? "command_file" : "zmq");
	json_put_text(json, "endpoint",
		      control->file ? command_file_path(control->file)
				    : control->m->cfg->zmq_port_control_ep);
	json_put_text(json, "state", "open");
	json_put_text(json, "reason", NULL);
	json_object_object_add(json, "interfaces", json_object_new_array());
	return json;
}

int port_control_wish(const struct manager *m, unsigned int id, const char *name,
		      const struct port_device *device, struct pairing_wish *wish, struct err *err)
{
	const int rc = wishes_device(m, device->text, wish, err);

	if (rc)
		return rc;
	snprintf(wish->port, sizeof(wish->port), "%s", name);
	wish->backend = m->cfg->backend;
	return config_socket_path(m->cfg, id, wish->socket, err);
}
