/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/ovsdb_table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "manager/json_util.h"

static const char *const keys[] = { "virtio_forwarder", "virtio_relay" };

const char *ovsdb_port_state_name(enum ovsdb_port_state state)
{
	static const char *const names[] = {
		[OVSDB_PORT_NEW] = "new",	 [OVSDB_PORT_WAITING] = "waiting",
		[OVSDB_PORT_ADDING] = "adding",	 [OVSDB_PORT_PAIRED] = "paired",
		[OVSDB_PORT_FAILED] = "failed",	 [OVSDB_PORT_REFUSED] = "refused",
		[OVSDB_PORT_DOUBLE] = "refused",
	};

	return names[state];
}

static void __attribute__((format(printf, 2, 3)))
refuse(struct ovsdb_port *port, const char *fmt, ...)
{
	va_list args;

	if (port->state == OVSDB_PORT_REFUSED)
		return;
	port->state = OVSDB_PORT_REFUSED;
	va_start(args, fmt);
	vsnprintf(port->reason, sizeof(port->reason), fmt, args);
	va_end(args);
	text_clean(port->reason);
}

/* A text of JSON may hold NUL characters: then it is none of C. */
static const char *whole_text(json_object *value)
{
	const char *text;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	return strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

/* The value of a key in a column that is a map: ["map", [[key, value], ...]]. */
static json_object *map_get(json_object *column, const char *key)
{
	json_object *pairs, *pair;
	const char *text;

	if (!json_object_is_type(column, json_type_array) || json_object_array_length(column) != 2)
		return NULL;
	pairs = json_object_array_get_idx(column, 1);
	if (!json_object_is_type(pairs, json_type_array))
		return NULL;
	for (size_t i = 0; i < json_object_array_length(pairs); i++) {
		pair = json_object_array_get_idx(pairs, i);
		if (!json_object_is_type(pair, json_type_array) ||
		    json_object_array_length(pair) != 2)
			continue;
		text = whole_text(json_object_array_get_idx(pair, 0));
		if (text && !strcmp(text, key))
			return json_object_array_get_idx(pair, 1);
	}
	return NULL;
}

static void take_name(struct ovsdb_port *port, json_object *row)
{
	const char *name = whole_text(json_get_member(row, "name", json_type_string));

	snprintf(port->name, sizeof(port->name), "%s", name ? name : "?");
	text_clean(port->name);
	if (!name || !*name || !text_is_clean(name))
		refuse(port, "the interface has no name of plain UTF-8 text");
	else if (strlen(name) >= sizeof(port->name))
		refuse(port, "the interface's name has %zu bytes: allowed are %zu", strlen(name),
		       sizeof(port->name) - 1);
}

/* Decimal, as in external_ids:virtio_forwarder=3; nothing before or behind it. */
static void take_id(struct ovsdb_port *port, const char *key, json_object *value,
		    unsigned int max_relays)
{
	const char *text = whole_text(value);
	unsigned long id = 0;
	size_t n = 0;

	while (text && n < 9 && isdigit((unsigned char)text[n]))
		id = id * 10 + (unsigned long)(text[n++] - '0');
	if (!text || !n || text[n] || id >= max_relays)
		refuse(port, "external_ids:%s is '%.40s': a relay id, 0 to %u, is needed", key,
		       text ? text : "(no text)", max_relays - 1);
	else
		port->id = (unsigned int)id;
}

bool ovsdb_port_parse(struct ovsdb_port *port, json_object *row, unsigned int max_relays)
{
	json_object *column = json_get_member(row, "external_ids", json_type_array);
	const char *type;

	for (size_t i = 0; column && i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_object *value = map_get(column, keys[i]);

		if (!value)
			continue;
		*port = (struct ovsdb_port){ .state = OVSDB_PORT_NEW };
		take_name(port, row);
		take_id(port, keys[i], value, max_relays);
		type = whole_text(json_get_member(row, "type", json_type_string));
		port->internal = type && !strcmp(type, "internal");
		return true;
	}
	return false;
}

static struct ovsdb_port *find(struct ovsdb_table *table, const char *uuid)
{
	for (size_t i = 0; i < table->n; i++) {
		if (!strcmp(table->ports[i].uuid, uuid))
			return &table->ports[i];
	}
	return NULL;
}

static void drop(struct ovsdb_table *table, struct ovsdb_port *port)
{
	*port = table->ports[--table->n];
}

static bool asks_the_same(const struct ovsdb_port *a, const struct ovsdb_port *b)
{
	const bool refused = a->state == OVSDB_PORT_REFUSED;

	if (refused != (b->state == OVSDB_PORT_REFUSED) || strcmp(a->name, b->name) != 0)
		return false;
	return refused ? !strcmp(a->reason, b->reason)
		       : a->id == b->id && a->internal == b->internal;
}

static void put(struct ovsdb_table *table, const char *uuid, struct ovsdb_port *port)
{
	struct ovsdb_port *before = find(table, uuid);

	snprintf(port->uuid, sizeof(port->uuid), "%s", uuid);
	if (before) {
		if (!asks_the_same(before, port))
			*before = *port;
	} else if (table->n < OVSDB_PORTS_MAX) {
		table->ports[table->n++] = *port;
	} else if (!table->n_left_out++) {
		log_warning("OVSDB: more than %u interfaces ask for a relay: '%s' and what follows "
			    "are left out",
			    OVSDB_PORTS_MAX, port->name);
	}
}

/* A row update has "new" unless the record is gone. */
static void take_row(struct ovsdb_table *table, const char *uuid, json_object *update)
{
	json_object *row = json_get_member(update, "new", json_type_object);
	struct ovsdb_port port, *before;

	if (strlen(uuid) > OVSDB_UUID_LEN) {
		log_warning("OVSDB: a record whose UUID has more than %d bytes is left out",
			    OVSDB_UUID_LEN);
		return;
	}
	if (row && ovsdb_port_parse(&port, row, table->max_relays)) {
		put(table, uuid, &port);
		return;
	}
	before = find(table, uuid);
	if (before)
		drop(table, before);
}

bool ovsdb_table_update(struct ovsdb_table *table, json_object *tables, bool initial)
{
	json_object *rows = json_get_member(tables, "Interface", json_type_object);

	if (initial) {
		table->n_left_out = 0;
		for (size_t i = table->n; i-- > 0;) {
			if (!json_get_member(rows, table->ports[i].uuid, json_type_object))
				drop(table, &table->ports[i]);
		}
	}
	if (rows) {
		json_object_object_foreach(rows, uuid, update)
			take_row(table, uuid, update);
	}
	return !table->n_left_out || table->n == OVSDB_PORTS_MAX;
}

/* Should a have the id rather than b? */
static bool goes_before(const struct ovsdb_port *a, const struct ovsdb_port *b, const char *held)
{
	const bool a_held = !strcmp(a->name, held), b_held = !strcmp(b->name, held);

	if (a_held != b_held)
		return a_held;
	if ((a->state == OVSDB_PORT_PAIRED) != (b->state == OVSDB_PORT_PAIRED))
		return a->state == OVSDB_PORT_PAIRED;
	return strcmp(a->name, b->name) < 0;
}

static void mark_double(struct ovsdb_port *port, const struct ovsdb_port *winner)
{
	char reason[sizeof(port->reason)];

	snprintf(reason, sizeof(reason),
		 "interface %s has relay %u already; give this one an id of its own", winner->name,
		 port->id);
	if (port->state == OVSDB_PORT_DOUBLE && !strcmp(port->reason, reason))
		return;
	port->state = OVSDB_PORT_DOUBLE;
	memcpy(port->reason, reason, sizeof(reason));
	port->told = false;
}

void ovsdb_table_choose(struct ovsdb_table *table, const char *const *held,
			struct ovsdb_port **chosen)
{
	memset(chosen, 0, table->max_relays * sizeof(*chosen));
	for (size_t i = 0; i < table->n; i++) {
		struct ovsdb_port *port = &table->ports[i];

		if (port->state != OVSDB_PORT_REFUSED &&
		    (!chosen[port->id] || goes_before(port, chosen[port->id], held[port->id])))
			chosen[port->id] = port;
	}
	for (size_t i = 0; i < table->n; i++) {
		struct ovsdb_port *port = &table->ports[i];

		if (port->state == OVSDB_PORT_REFUSED)
			continue;
		if (chosen[port->id] != port) {
			mark_double(port, chosen[port->id]);
		} else if (port->state == OVSDB_PORT_DOUBLE) {
			port->state = OVSDB_PORT_NEW;
			port->reason[0] = '\0';
			port->told = false;
		}
	}
}
