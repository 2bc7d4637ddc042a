/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Port control by OVSDB: the interfaces of Open vSwitch that have external_ids:virtio_forwarder=ID
 * are paired with relay ID. A server that is away changes nothing: it is looked for again, more and
 * more seldom, and what has changed meanwhile is made up for.
 */
#ifndef VIO4WD_MANAGER_OVSDB_H
#define VIO4WD_MANAGER_OVSDB_H

#include <stdbool.h>

#include <json-c/json.h>

#include "common/err.h"

struct manager;
struct ovsdb;
struct ovsdb_ports;

/* ovsdb.c: the connection. Whether there is a server is no error. */
int ovsdb_new(struct ovsdb **ovsdb, struct manager *m, struct err *err);
void ovsdb_free(struct ovsdb *ovsdb); /* NULL is nothing */
/* As port_control_changed(). */
void ovsdb_changed(struct ovsdb *ovsdb, bool devices);
/* "state", "reason" and "interfaces" (docs/protocol.md). */
void ovsdb_put_json(const struct ovsdb *ovsdb, json_object *json);

/* ovsdb_ports.c: what is asked for, and the pairings. NULL: out of memory. */
struct ovsdb_ports *ovsdb_ports_new(struct manager *m);
void ovsdb_ports_free(struct ovsdb_ports *ports);
/* As ovsdb_table_update(). */
bool ovsdb_ports_update(struct ovsdb_ports *ports, json_object *tables, bool initial);
void ovsdb_ports_changed(struct ovsdb_ports *ports, bool devices);
unsigned int ovsdb_ports_count(const struct ovsdb_ports *ports); /* that ask for a relay */
json_object *ovsdb_ports_json(const struct ovsdb_ports *ports);

#endif
