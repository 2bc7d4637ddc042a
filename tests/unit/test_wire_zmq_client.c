/* SPDX-License-Identifier: BSD-3-Clause */

/* The client against our own server and against nobody, on one event loop. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <kselftest_harness.h>

#include "wire/virtioforwarder.pb-c.h"
#include "wire/zmq_client.h"
#include "wire/zmq_server.h"

#include "run_until.h"

FIXTURE(client) {
	char dir[40], endpoint[64];
	sd_event *event;
	struct zmq_server *server;
	struct zmq_client *client;
	struct err err;
	unsigned int requests, answers;
	struct zmq_request *held;
	bool hold, free_client;
	/* the last answer */
	int code;
	char text[64];
};

typedef FIXTURE_DATA(client) client_t;

static void on_request(struct zmq_request *req, const uint8_t *data, size_t size, void *userdata)
{
	client_t *self = userdata;

	self->requests++;
	if (self->hold)
		self->held = req;
	else
		zmq_reply(req, data, size);
}

static void on_answer(const struct err *err, const uint8_t *data, size_t size, void *userdata)
{
	client_t *self = userdata;

	self->answers++;
	self->code = err->code;
	snprintf(self->text, sizeof(self->text), "%.*s", (int)size, data ? (const char *)data : "");
	if (self->free_client) {
		zmq_client_free(self->client);
		self->client = NULL;
	}
}

static void listen_on(client_t *self)
{
	if (zmq_server_new(&self->server, self->event, self->endpoint, 0660, on_request, self,
			   &self->err) < 0)
		abort();
}

static int ask(client_t *self, const char *text, unsigned int timeout_ms)
{
	return zmq_client_send(self->client, text, strlen(text), timeout_ms, on_answer, self,
			       &self->err);
}

FIXTURE_SETUP(client)
{
	strcpy(self->dir, "/tmp/test-wire-zmqc.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->endpoint, sizeof(self->endpoint), "ipc://%s/ep", self->dir);
	ASSERT_EQ(0, sd_event_new(&self->event));
	ASSERT_EQ(0, zmq_client_new(&self->client, self->event, self->endpoint, &self->err));
}

FIXTURE_TEARDOWN(client)
{
	zmq_client_free(self->client);
	zmq_server_free(self->server);
	sd_event_unref(self->event);
	EXPECT_EQ(0, rmdir(self->dir));
}

TEST_F(client, one_after_the_other) {
	listen_on(self);
	for (unsigned int i = 1; i <= 20; i++) {
		char text[16];

		snprintf(text, sizeof(text), "number %u", i);
		ASSERT_EQ(0, ask(self, text, 5000));
		EXPECT_EQ(-EBUSY, ask(self, "too soon", 5000));
		RUN_UNTIL(self->answers == i);
		EXPECT_EQ(0, self->code);
		EXPECT_STREQ(text, self->text);
	}
	EXPECT_EQ(20, self->requests);
}

TEST_F(client, nobody_answers) {
	ASSERT_EQ(0, ask(self, "hello", 50));
	RUN_UNTIL(self->answers == 1);
	EXPECT_EQ(-ETIMEDOUT, self->code);
	/* And then there is somebody. */
	listen_on(self);
	ASSERT_EQ(0, ask(self, "again", 5000));
	RUN_UNTIL(self->answers == 2);
	EXPECT_EQ(0, self->code);
	EXPECT_STREQ("again", self->text);
	EXPECT_EQ(1, self->requests);
}

/* A server that comes while the client waits is found. */
TEST_F(client, server_comes_later) {
	ASSERT_EQ(0, ask(self, "hello", 5000));
	sd_event_run(self->event, 20000);
	EXPECT_EQ(0, self->answers);
	listen_on(self);
	RUN_UNTIL(self->answers == 1);
	EXPECT_EQ(0, self->code);
}

/* What is answered too late is nobody's: the next request gets its own answer. */
TEST_F(client, late_answers) {
	listen_on(self);
	self->hold = true;
	ASSERT_EQ(0, ask(self, "first", 1000));
	RUN_UNTIL(self->held);
	RUN_UNTIL(self->answers == 1);
	EXPECT_EQ(-ETIMEDOUT, self->code);
	ASSERT_NE(NULL, self->held);
	zmq_reply(self->held, (const uint8_t *)"late", 4);
	self->hold = false;
	ASSERT_EQ(0, ask(self, "second", 5000));
	RUN_UNTIL(self->answers == 2);
	EXPECT_STREQ("second", self->text);
}

TEST_F(client, freed_by_its_answer) {
	listen_on(self);
	self->free_client = true;
	ASSERT_EQ(0, ask(self, "last", 5000));
	RUN_UNTIL(self->answers == 1);
	EXPECT_STREQ("last", self->text);
	EXPECT_EQ(NULL, self->client);
}

TEST_F(client, freed_while_it_waits) {
	ASSERT_EQ(0, ask(self, "hello", 50));
	zmq_client_free(self->client);
	self->client = NULL;
	for (unsigned int i = 0; i < 10; i++)
		sd_event_run(self->event, 10000);
	EXPECT_EQ(0, self->answers);
}

TEST_F(client, messages) {
	Virtioforwarder__CoreSchedRequest request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;

	listen_on(self);
	request.op = VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__GET_EAL_CORES;
	ASSERT_EQ(0,
		  zmq_client_ask(self->client, &request.base, 5000, on_answer, self, &self->err));
	RUN_UNTIL(self->answers == 1);
	EXPECT_STREQ("\x08\x01", self->text);
}

TEST_F(client, no_endpoint) {
	zmq_client_free(self->client);
	ASSERT_EQ(0, zmq_client_new(&self->client, self->event, "nonsense", &self->err));
	EXPECT_EQ(-EINVAL, ask(self, "x", 50));
	EXPECT_NE(NULL, strstr(self->err.text, "nonsense: "));
	EXPECT_NE(NULL, strstr(self->err.text, "ipc:///path"));
	EXPECT_EQ(-EINVAL, ask(self, "x", 50));
}

TEST_HARNESS_MAIN
