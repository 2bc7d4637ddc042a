/* SPDX-License-Identifier: BSD-3-Clause */

/* What Interface records ask for, and which of several gets an id. */
#include <string.h>

#include <kselftest_harness.h>

#include "manager/ovsdb_table.h"

#define RELAYS 64

FIXTURE(table) {
	struct ovsdb_table t;
	const char *held[RELAYS];
	struct ovsdb_port *chosen[RELAYS];
};

FIXTURE_SETUP(table)
{
	self->t.max_relays = RELAYS;
	for (int i = 0; i < RELAYS; i++)
		self->held[i] = "";
}

FIXTURE_TEARDOWN(table)
{
}

/* <table-updates> whose rows are given; ' stands for ". */
static bool update(struct ovsdb_table *t, bool initial, const char *rows)
{
	char *text;
	json_object *tables;
	bool complete;

	if (asprintf(&text, "{'Interface': {%s}}", rows) < 0)
		abort();
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	tables = json_tokener_parse(text);
	if (!tables)
		abort();
	complete = ovsdb_table_update(t, tables, initial);
	json_object_put(tables);
	free(text);
	return complete;
}

#define ROW(uuid, name, id)                                                               \
	"'" uuid "': {'new': {'name': '" name "', 'type': '', 'external_ids': ['map', [[" \
	"'virtio_forwarder', '" id "']]]}}"
#define GONE(uuid) "'" uuid "': {'old': {}}"

static const struct ovsdb_port *port_of(const struct ovsdb_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (!strcmp(t->ports[i].name, name))
			return &t->ports[i];
	}
	return NULL;
}

TEST(records)
{
	static const struct {
		const char *row;
		bool asks;
		const char *name; /* NULL: refused */
		unsigned int id;
		const char *why;
	} rows[] = {
		{ "{'name': 'e', 'external_ids': ['map', []]}", false, NULL, 0, NULL },
		{ "{'name': 'e', 'external_ids': ['set', []]}", false, NULL, 0, NULL },
		{ "{'name': 'e'}", false, NULL, 0, NULL },
		{ "{}", false, NULL, 0, NULL },
		{ "{'name': 'e', 'external_ids': 5}", false, NULL, 0, NULL },
		{ "{'name': 'e', 'external_ids': ['map', 5]}", false, NULL, 0, NULL },
		{ "{'name': 'e', 'external_ids': ['map', [5, [], ['a'], [1, 2], null]]}", false,
		  NULL, 0, NULL },
		{ "{'name': 'e', 'external_ids': ['map', [['a', 'b'], ['virtio_forwarder', '0']]]}",
		  true, "e", 0, NULL },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_relay', '63']]]}", true, "e", 63,
		  NULL },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_relay', '1'], "
		  "['virtio_forwarder', '2']]]}",
		  true, "e", 2, NULL },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', '64']]]}", true,
		  NULL, 0, "'64': a relay id, 0 to 63" },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', '-1']]]}", true,
		  NULL, 0, "'-1'" },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', '']]]}", true, NULL,
		  0, "''" },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', '1 ']]]}", true,
		  NULL, 0, "'1 '" },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', '4294967297']]]}",
		  true, NULL, 0, "is '4294967297'" },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', 1]]]}", true, NULL,
		  0, "(no text)" },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', null]]]}", false,
		  NULL, 0, NULL },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', '1\\u00002']]]}",
		  true, NULL, 0, "(no text)" },
		{ "{'name': 'e', 'external_ids': ['map', [['virtio_forwarder', 'x\xff\\n']]]}",
		  true, NULL, 0, "is 'x?" },
		{ "{'external_ids': ['map', [['virtio_forwarder', '1']]]}", true, NULL, 0,
		  "has no name" },
		{ "{'name': '', 'external_ids': ['map', [['virtio_forwarder', '1']]]}", true, NULL,
		  0, "has no name" },
		{ "{'name': ['set', []], 'external_ids': ['map', [['virtio_forwarder', '1']]]}",
		  true, NULL, 0, "has no name" },
		{ "{'name': 'e\\u0000', 'external_ids': ['map', [['virtio_forwarder', '1']]]}",
		  true, NULL, 0, "has no name" },
		{ "{'name': 'e\xff', 'external_ids': ['map', [['virtio_forwarder', '1']]]}", true,
		  NULL, 0, "plain UTF-8" },
		{ "{'name': 'e\\u001b', 'external_ids': ['map', [['virtio_forwarder', '1']]]}",
		  true, NULL, 0, "plain UTF-8" },
		{ "{'name': '0123456789012345678901234567890123456789012345678901234567890123', "
		  "'external_ids': ['map', [['virtio_forwarder', '1']]]}",
		  true, NULL, 0, "64 bytes: allowed are 63" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		struct ovsdb_port port = { 0 };
		json_object *row;

		snprintf(text, sizeof(text), "%s", rows[i].row);
		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		row = json_tokener_parse(text);
		ASSERT_NE(NULL, row) TH_LOG("%s", text);
		EXPECT_EQ(rows[i].asks, ovsdb_port_parse(&port, row, RELAYS)) TH_LOG("%s", text);
		json_object_put(row);
		if (rows[i].name) {
			EXPECT_EQ(OVSDB_PORT_NEW, port.state) TH_LOG("%s: %s", text, port.reason);
			EXPECT_STREQ(rows[i].name, port.name);
			EXPECT_EQ(rows[i].id, port.id);
		} else if (rows[i].asks) {
			EXPECT_EQ(OVSDB_PORT_REFUSED, port.state) TH_LOG("%s", text);
			EXPECT_NE(NULL, strstr(port.reason, rows[i].why))
			TH_LOG("%s: %s", text, port.reason);
		}
	}
}

TEST_F(table, follows_updates) {
	EXPECT_TRUE(update(&self->t, true, ROW("1", "a", "1") "," ROW("2", "b", "x")));
	EXPECT_EQ(2U, self->t.n);
	EXPECT_TRUE(update(&self->t, false, ROW("3", "c", "3") "," GONE("2") "," GONE("77")));
	EXPECT_EQ(2U, self->t.n);
	EXPECT_EQ(NULL, port_of(&self->t, "b"));
	/* No longer asks: as if it had gone. */
	EXPECT_TRUE(update(&self->t, false,
			   "'3': {'new': {'name': 'c', 'external_ids': ['map', []]}}"));
	EXPECT_EQ(1U, self->t.n);
	/* What is not of the form of an update, nor a UUID. */
	EXPECT_TRUE(update(&self->t, false,
			   "'1': 5, '4': {'new': []}, '5': null, "
			   "'0123456789012345678901234567890123456': {'new': {}}"));
	EXPECT_TRUE(update(&self->t, true, ROW("9", "z", "9")));
	EXPECT_EQ(1U, self->t.n);
	EXPECT_NE(NULL, port_of(&self->t, "z"));
}

TEST_F(table, keeps_the_state_of_what_did_not_change) {
	update(&self->t, true, ROW("1", "a", "1") "," ROW("2", "b", "0"));
	self->t.ports[0].state = OVSDB_PORT_PAIRED;
	self->t.ports[1].state = OVSDB_PORT_FAILED;
	update(&self->t, true, ROW("1", "a", "1") "," ROW("2", "b", "0"));
	EXPECT_EQ(OVSDB_PORT_PAIRED, self->t.ports[0].state);
	EXPECT_EQ(OVSDB_PORT_FAILED, self->t.ports[1].state);
	update(&self->t, false, ROW("1", "a", "2") "," ROW("2", "c", "0"));
	EXPECT_EQ(OVSDB_PORT_NEW, self->t.ports[0].state);
	EXPECT_EQ(OVSDB_PORT_NEW, self->t.ports[1].state);
	/* Refused, and good again. */
	update(&self->t, false, ROW("2", "c", "x"));
	EXPECT_EQ(OVSDB_PORT_REFUSED, self->t.ports[1].state);
	self->t.ports[1].told = true;
	update(&self->t, false, ROW("2", "c", "x"));
	EXPECT_TRUE(self->t.ports[1].told);
	update(&self->t, false, ROW("2", "c", "y"));
	EXPECT_FALSE(self->t.ports[1].told);
	update(&self->t, false, ROW("2", "c", "0"));
	EXPECT_EQ(OVSDB_PORT_NEW, self->t.ports[1].state);
}

TEST_F(table, one_id_for_several) {
	update(&self->t, true,
	       ROW("1", "b", "1") "," ROW("2", "a", "1") "," ROW("3", "c", "1") "," ROW("4", "x",
											"no"));
	ovsdb_table_choose(&self->t, self->held, self->chosen);
	ASSERT_NE(NULL, self->chosen[1]);
	EXPECT_STREQ("a", self->chosen[1]->name);
	EXPECT_EQ(OVSDB_PORT_NEW, self->chosen[1]->state);
	EXPECT_EQ(OVSDB_PORT_DOUBLE, port_of(&self->t, "b")->state);
	EXPECT_NE(NULL, strstr(port_of(&self->t, "c")->reason, "interface a has relay 1"));
	EXPECT_EQ(OVSDB_PORT_REFUSED, port_of(&self->t, "x")->state);
	for (int i = 0; i < RELAYS; i++)
		EXPECT_TRUE(i == 1 || !self->chosen[i]);

	/* Who has it, has it. */
	self->held[1] = "c";
	ovsdb_table_choose(&self->t, self->held, self->chosen);
	EXPECT_STREQ("c", self->chosen[1]->name);
	EXPECT_EQ(OVSDB_PORT_NEW, self->chosen[1]->state);
	self->chosen[1]->state = OVSDB_PORT_PAIRED;
	self->held[1] = "";
	ovsdb_table_choose(&self->t, self->held, self->chosen);
	EXPECT_STREQ("c", self->chosen[1]->name);

	update(&self->t, false, GONE("3"));
	ovsdb_table_choose(&self->t, self->held, self->chosen);
	EXPECT_STREQ("a", self->chosen[1]->name);
	EXPECT_EQ(OVSDB_PORT_NEW, self->chosen[1]->state);
	EXPECT_STREQ("", self->chosen[1]->reason);
}

static char *many(unsigned int first, unsigned int n)
{
	char *text = strdup(""), *more;

	for (unsigned int i = first; i < first + n; i++) {
		if (asprintf(&more,
			     "%s%s'%u': {'new': {'name': 'e%u', 'external_ids': ['map', "
			     "[['virtio_forwarder', '%u']]]}}",
			     text, *text ? "," : "", i, i, i % RELAYS) < 0)
			abort();
		free(text);
		text = more;
	}
	return text;
}

TEST_F(table, has_room_for_so_many) {
	char *rows = many(0, OVSDB_PORTS_MAX + 2);

	EXPECT_TRUE(update(&self->t, true, rows));
	EXPECT_EQ((size_t)OVSDB_PORTS_MAX, self->t.n);
	EXPECT_EQ(2U, self->t.n_left_out);
	/* One that is known changes in its place. */
	EXPECT_TRUE(update(&self->t, false, ROW("7", "new", "1")));
	EXPECT_NE(NULL, port_of(&self->t, "new"));
	/* Now there is room for one of those that were left out. */
	EXPECT_FALSE(update(&self->t, false, GONE("0")));
	EXPECT_FALSE(update(&self->t, false, GONE("1")));
	free(rows);
	rows = many(2, OVSDB_PORTS_MAX);
	EXPECT_TRUE(update(&self->t, true, rows));
	EXPECT_EQ((size_t)OVSDB_PORTS_MAX, self->t.n);
	EXPECT_EQ(0U, self->t.n_left_out);
	free(rows);
}

TEST_HARNESS_MAIN
