/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The Interface records of OVSDB that ask for a relay: external_ids:virtio_forwarder=ID, or
 * virtio_relay as older releases of virtio-forwarder called it. What they mean, and who gets an id
 * that several ask for. Touches nothing but itself.
 */
#ifndef VIO4WD_MANAGER_OVSDB_TABLE_H
#define VIO4WD_MANAGER_OVSDB_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#include "manager/pairing.h"

#define OVSDB_PORTS_MAX 1024 /* records that ask for a relay; what is beyond them is refused */
#define OVSDB_UUID_LEN 36

enum ovsdb_port_state {
	OVSDB_PORT_NEW,	    /* to be paired */
	OVSDB_PORT_WAITING, /* cannot be paired now, for the reason */
	OVSDB_PORT_ADDING,  /* is being paired */
	OVSDB_PORT_PAIRED,
	OVSDB_PORT_FAILED,  /* could not be paired, for the reason; again when the record changes */
	OVSDB_PORT_REFUSED, /* the record itself is wrong, for the reason */
	OVSDB_PORT_DOUBLE,  /* another interface has its id */
};

struct ovsdb_port {
	char uuid[OVSDB_UUID_LEN + 1];
	char name[PAIRING_PORT_MAX]; /* of the interface; shortened and clean when refused */
	bool internal;		     /* type=internal: the switch itself makes the interface */
	unsigned int id;	     /* unless refused */
	enum ovsdb_port_state state;
	char reason[200];
	bool told; /* the reason was logged */
};

struct ovsdb_table {
	struct ovsdb_port ports[OVSDB_PORTS_MAX];
	size_t n;
	size_t n_left_out; /* records that found no room; they come with the next initial update */
	unsigned int max_relays;
};

/*
 * What a record asks for, from its columns (RFC 7047, 5.1). Returns false when it asks for nothing.
 * One that cannot be served is OVSDB_PORT_REFUSED with the reason.
 */
bool ovsdb_port_parse(struct ovsdb_port *port, json_object *row, unsigned int max_relays);

/*
 * Takes a <table-updates> object; what in it is not of its form is left out. initial: records that
 * it does not hold are gone. A record that asks for what it asked for before keeps its state.
 * Returns false when records were left out before and there is room now: then the initial update is
 * to be asked for again.
 */
bool ovsdb_table_update(struct ovsdb_table *table, json_object *tables, bool initial);

/*
 * Which record has each id: the one of that name in held (by id, "": nobody's), else the one that
 * is paired, else the first name in the alphabet. The others are told OVSDB_PORT_DOUBLE, and are
 * OVSDB_PORT_NEW when they get it. chosen has max_relays entries, NULL: nobody.
 */
void ovsdb_table_choose(struct ovsdb_table *table, const char *const *held,
			struct ovsdb_port **chosen);

const char *ovsdb_port_state_name(enum ovsdb_port_state state);

#endif
