/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Any bytes from an OVSDB server, in pieces of any size: neither the stream nor the meaning of what
 * is in it may crash, hang or leak, and what comes out is what the headers promise. The first byte
 * of the input is the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "manager/ovsdb_message.h"
#include "manager/ovsdb_table.h"

#define RELAYS 4 /* so that several ask for one */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void check_port(const struct ovsdb_port *port)
{
	must(text_is_clean(port->name) && text_is_clean(port->reason) && *port->name);
	if (port->state == OVSDB_PORT_REFUSED || port->state == OVSDB_PORT_DOUBLE)
		must(*port->reason);
	else
		must(port->id < RELAYS);
}

static void check_table(struct ovsdb_table *table)
{
	const char *held[RELAYS] = { "", "a", "b", "" };
	struct ovsdb_port *chosen[RELAYS];

	ovsdb_table_choose(table, held, chosen);
	must(table->n <= OVSDB_PORTS_MAX);
	for (size_t i = 0; i < table->n; i++)
		check_port(&table->ports[i]);
	for (unsigned int id = 0; id < RELAYS; id++)
		must(!chosen[id] || (chosen[id]->id == id && !*chosen[id]->reason));
}

static int on_message(json_object *root, void *userdata, struct err *err)
{
	struct ovsdb_message msg;
	int rc = ovsdb_message_parse(&msg, root, err);

	if (rc < 0)
		return rc;
	if (msg.kind == OVSDB_ECHO)
		json_object_put(ovsdb_reply_echo(&msg));
	if (msg.kind != OVSDB_INITIAL && msg.kind != OVSDB_UPDATE)
		return 0;
	must(json_object_is_type(msg.tables, json_type_object));
	ovsdb_table_update(userdata, msg.tables, msg.kind == OVSDB_INITIAL);
	check_table(userdata);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	log_set_level(LOG_EMERG);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ovsdb_table table;
	struct ovsdb_stream *stream = ovsdb_stream_new();
	const size_t piece = size ? data[0] + 1u : 1;
	struct err err = { 0 };
	int rc = 0;

	must(stream != NULL);
	memset(&table, 0, sizeof(table));
	table.max_relays = RELAYS;
	for (size_t at = 1; !rc && at < size; at += piece)
		rc = ovsdb_stream_feed(stream, (const char *)data + at,
				       size - at < piece ? size - at : piece, on_message, &table,
				       &err);
	must(rc == 0 || (rc < 0 && err.code == rc && *err.text));
	ovsdb_stream_free(stream);
	return 0;
}
