/* SPDX-License-Identifier: BSD-3-Clause */

/* The connection to OVSDB: its messages, in pieces of any size, and a server that goes silent. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include <kselftest_harness.h>

#include "manager/ovsdb_conn.h"
#include "manager/ovsdb_message.h"

#define LONG_US 60000000ull

FIXTURE(conn) {
	sd_event *event;
	struct ovsdb_conn *conn;
	int server;
	unsigned int initial, updates, closed;
	char text[256]; /* of the last update */
	struct err err;
};

static void on_update(json_object *tables, bool initial, void *userdata)
{
	FIXTURE_DATA(conn) *self = userdata;

	self->initial += initial;
	self->updates += !initial;
	snprintf(self->text, sizeof(self->text), "%s",
		 json_object_to_json_string_ext(tables, JSON_C_TO_STRING_PLAIN));
}

static void on_closed(const struct err *err, void *userdata)
{
	FIXTURE_DATA(conn) *self = userdata;

	self->closed++;
	self->err = *err;
	ovsdb_conn_free(self->conn);
	self->conn = NULL;
}

static int open_conn(FIXTURE_DATA(conn) * self, uint64_t probe_us)
{
	static const struct ovsdb_handlers handlers = { .update = on_update, .closed = on_closed };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		abort();
	self->server = sv[0];
	return ovsdb_conn_new(&self->conn, self->event, sv[1], probe_us, &handlers, self);
}

FIXTURE_SETUP(conn)
{
	ASSERT_LE(0, sd_event_new(&self->event));
	ASSERT_EQ(0, open_conn(self, LONG_US));
}

FIXTURE_TEARDOWN(conn)
{
	ovsdb_conn_free(self->conn);
	close(self->server);
	sd_event_unref(self->event);
}

static void run(FIXTURE_DATA(conn) * self)
{
	while (sd_event_run(self->event, 0) > 0)
		;
}

static void say_bytes(FIXTURE_DATA(conn) * self, const char *data, size_t size, size_t piece)
{
	for (size_t at = 0; at < size && !self->closed; at += piece) {
		const size_t n = size - at < piece ? size - at : piece;

		if (send(self->server, data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			abort();
		run(self);
	}
}

static void say(FIXTURE_DATA(conn) * self, const char *text)
{
	say_bytes(self, text, strlen(text), strlen(text));
}

/* What the client has said since the last time. */
static const char *heard(FIXTURE_DATA(conn) * self)
{
	static char buf[4096];
	const ssize_t n = recv(self->server, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

#define INITIAL "{\"id\":0,\"error\":null,\"result\":{\"Interface\":{\"u\":{\"new\":{}}}}}"
#define UPDATE "{\"method\":\"update\",\"id\":null,\"params\":[0,{\"Interface\":{}}]}"
#define ECHO_CALL "{\"method\":\"echo\",\"params\":[1,\"x\"],\"id\":\"e\"}"

TEST_F(conn, asks_for_what_it_needs_and_no_more) {
	const char *text = heard(self);

	EXPECT_STREQ("{\"method\":\"monitor\",\"params\":[\"Open_vSwitch\",0,{\"Interface\":"
		     "{\"columns\":[\"name\",\"type\",\"external_ids\"]}}],\"id\":0}",
		     text);
}

TEST_F(conn, messages_in_pieces) {
	static const char all[] = INITIAL UPDATE "\n \t" ECHO_CALL UPDATE "{}" UPDATE;

	heard(self);
	for (size_t piece = 1; piece < sizeof(all); piece += piece < 8 ? 1 : 37) {
		self->initial = self->updates = 0;
		say_bytes(self, all, sizeof(all) - 1, piece);
		EXPECT_EQ(1U, self->initial) TH_LOG("pieces of %zu", piece);
		EXPECT_EQ(3U, self->updates);
		EXPECT_STREQ("{\"id\":\"e\",\"result\":[1,\"x\"],\"error\":null}", heard(self));
	}
	EXPECT_EQ(0U, self->closed);
}

TEST_F(conn, what_is_not_for_us_is_ignored) {
	say(self, "{\"method\":\"update\",\"params\":[\"other\",5],\"id\":null}"
		  "{\"method\":\"steal\",\"params\":[],\"id\":null}"
		  "{\"id\":99,\"result\":5,\"error\":null}{\"id\":null}{\"method\":5}"
		  "{\"id\":\"vio4wd\",\"result\":[],\"error\":null}");
	EXPECT_EQ(0U, self->initial + self->updates + self->closed);
}

TEST_F(conn, a_bad_text_is_the_records_matter) {
	say(self, "{\"id\":0,\"result\":{\"Interface\":{\"u\":{\"new\":{\"name\":\"\xff\"}}}}}");
	EXPECT_EQ(1U, self->initial);
	EXPECT_EQ(0U, self->closed);
}

TEST_F(conn, what_ends_it) {
	static const struct {
		const char *text;
		int code;
		const char *why;
	} rows[] = {
		{ "nonsense", -EBADMSG, "no JSON object" },
		{ "5", -EBADMSG, "no JSON object" },
		{ "[]", -EBADMSG, "no JSON object" },
		{ "{\"a\":}", -EBADMSG, "no JSON:" },
		{ "{\"a\" 5}", -EBADMSG, "no JSON:" },
		{ "{\"method\":\"update\",\"params\":[0]}", -EBADMSG, "malformed update" },
		{ "{\"method\":\"update\",\"params\":[0,5]}", -EBADMSG, "malformed update" },
		{ "{\"method\":\"update\"}", -EBADMSG, "malformed request" },
		{ "{\"method\":\"echo\",\"params\":5}", -EBADMSG, "malformed request" },
		{ "{\"id\":0,\"result\":5,\"error\":null}", -EBADMSG, "malformed answer" },
		{ "{\"id\":0}", -EBADMSG, "malformed answer" },
		{ "{\"id\":0,\"error\":\"unknown database\\n\"}", -ECONNREFUSED,
		  "unknown database?" },
		{ "{\"id\":0,\"error\":{\"error\":\"e\",\"details\":\"no such table\"}}",
		  -ECONNREFUSED, "no such table" },
		{ "{\"id\":0,\"error\":{\"error\":\"short\"}}", -ECONNREFUSED, "short" },
		{ "{\"id\":0,\"error\":[]}", -ECONNREFUSED, "no reason given" },
		{ "{\"method\":\"monitor_canceled\",\"params\":[0],\"id\":null}", -ECONNREFUSED,
		  "taken away" },
	};
	char deep[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		self->closed = 0;
		say(self, rows[i].text);
		EXPECT_EQ(1U, self->closed) TH_LOG("%s", rows[i].text);
		EXPECT_EQ(rows[i].code, self->err.code) TH_LOG("%s", rows[i].text);
		EXPECT_NE(NULL, strstr(self->err.text, rows[i].why))
		TH_LOG("%s: %s", rows[i].text, self->err.text);
		close(self->server);
		ASSERT_EQ(0, open_conn(self, LONG_US));
	}
	self->closed = 0;
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"a\":", 5);
	say_bytes(self, deep, sizeof(deep), 7);
	EXPECT_EQ(1U, self->closed);
	close(self->server);
	ASSERT_EQ(0, open_conn(self, LONG_US));
	self->closed = 0;
	shutdown(self->server, SHUT_RDWR);
	run(self);
	EXPECT_EQ(-ECONNRESET, self->err.code);
	EXPECT_EQ(1U, self->closed);
}

static int ignore(json_object *message, void *userdata, struct err *err)
{
	++*(unsigned int *)userdata;
	return 0;
}

TEST(a_message_without_end)
{
	struct ovsdb_stream *stream = ovsdb_stream_new();
	char *chunk = malloc(1 << 20);
	unsigned int n = 0;
	struct err err;
	int rc;

	memset(chunk, 'x', 1 << 20);
	rc = ovsdb_stream_feed(stream, "{}{\"a\":\"", 8, ignore, &n, &err);
	EXPECT_EQ(1U, n);
	for (int i = 0; !rc && i < 40; i++)
		rc = ovsdb_stream_feed(stream, chunk, 1 << 20, ignore, &n, &err);
	EXPECT_EQ(-EMSGSIZE, rc);
	EXPECT_EQ(1U, n);
	ovsdb_stream_free(stream);
	free(chunk);
}

TEST_F(conn, a_server_that_asks_and_does_not_read) {
	char many[64 * sizeof(ECHO_CALL)] = "";

	for (int i = 0; i < 64; i++)
		strcat(many, ECHO_CALL);
	for (int i = 0; i < 4000 && !self->closed; i++)
		say(self, many);
	EXPECT_EQ(1U, self->closed);
	EXPECT_EQ(-ENOBUFS, self->err.code);
}

/* The next that the client says; "" when it has closed the connection. */
static const char *next_words(FIXTURE_DATA(conn) * self)
{
	const char *text = "";

	while (!*text && !self->closed && sd_event_run(self->event, LONG_US) > 0)
		text = heard(self);
	return text;
}

TEST_F(conn, a_server_that_goes_silent) {
	static const char echo[] = "{\"method\":\"echo\",\"params\":[],\"id\":\"vio4wd\"}";

	ovsdb_conn_free(self->conn);
	close(self->server);
	ASSERT_EQ(0, open_conn(self, 200000));
	heard(self);
	EXPECT_STREQ(echo, next_words(self));
	say(self, "{\"id\":\"vio4wd\",\"result\":[],\"error\":null}");
	EXPECT_STREQ(echo, next_words(self));
	EXPECT_EQ(0U, self->closed);
	EXPECT_STREQ("", next_words(self));
	EXPECT_EQ(1U, self->closed);
	EXPECT_EQ(-ETIMEDOUT, self->err.code);
}

TEST_HARNESS_MAIN
