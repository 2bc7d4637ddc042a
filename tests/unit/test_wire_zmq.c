/* SPDX-License-Identifier: BSD-3-Clause */

/* The server against real REQ and DEALER sockets, over ipc. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <zmq.h>

#include <kselftest_harness.h>

#include "wire/zmq_server.h"

#include "run_until.h"

FIXTURE(zmq) {
	char dir[40], endpoint[64];
	sd_event *event;
	struct zmq_server *server;
	void *ctx;
	struct err err;
	/* what the handler saw */
	unsigned int requests;
	uint8_t data[256];
	size_t size;
	struct zmq_request *held[4];
	enum { ECHO, HOLD, FREE } then;
};

typedef FIXTURE_DATA(zmq) zmq_t;

static void on_request(struct zmq_request *req, const uint8_t *data, size_t size, void *userdata)
{
	zmq_t *self = userdata;

	self->requests++;
	self->size = size;
	if (size)
		memcpy(self->data, data, size < sizeof(self->data) ? size : sizeof(self->data));
	if (self->then == HOLD) {
		self->held[(self->requests - 1) % 4] = req;
		return;
	}
	if (self->then == FREE) {
		zmq_server_free(self->server);
		self->server = NULL;
	}
	zmq_reply(req, data, size);
}

static void *client(zmq_t *self, int type)
{
	void *socket = zmq_socket(self->ctx, type);
	int none = 0;

	zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none));
	zmq_connect(socket, self->endpoint);
	return socket;
}

static bool readable(void *socket)
{
	int events = 0;
	size_t size = sizeof(events);

	zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
	return events & ZMQ_POLLIN;
}

FIXTURE_SETUP(zmq)
{
	strcpy(self->dir, "/tmp/test-wire-zmq.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->endpoint, sizeof(self->endpoint), "ipc://%s/ep", self->dir);
	ASSERT_EQ(0, sd_event_new(&self->event));
	self->ctx = zmq_ctx_new();
	ASSERT_EQ(0, zmq_server_new(&self->server, self->event, self->endpoint, 0660, on_request,
				    self, &self->err));
}

FIXTURE_TEARDOWN(zmq)
{
	zmq_server_free(self->server);
	sd_event_unref(self->event);
	zmq_ctx_term(self->ctx);
	EXPECT_EQ(0, rmdir(self->dir)); /* the socket file is gone */
}

TEST_F(zmq, socket_file) {
	struct zmq_server *other;
	struct stat st;

	EXPECT_EQ(0, stat(self->endpoint + 6, &st));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_EQ(-EEXIST, zmq_server_new(&other, self->event, self->endpoint, 0600, on_request,
					  self, &self->err));
	EXPECT_EQ(0, stat(self->endpoint + 6, &st));
}

TEST_F(zmq, bad_endpoints) {
	struct zmq_server *other;
	char path[64], endpoint[80];
	int fd;

	snprintf(path, sizeof(path), "%s/file", self->dir);
	snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	EXPECT_EQ(-EEXIST, zmq_server_new(&other, self->event, endpoint, 0600, on_request, self,
					  &self->err));
	EXPECT_EQ(0, unlink(path));
	EXPECT_EQ(-ENOENT, zmq_server_new(&other, self->event, "ipc:///nowhere/at/all", 0600,
					  on_request, self, &self->err));
	EXPECT_GT(0, zmq_server_new(&other, self->event, "nonsense", 0600, on_request, self,
				    &self->err));
	EXPECT_GT(0, zmq_server_new(&other, self->event, "tcp://no.such.host.invalid:1", 0600,
				    on_request, self, &self->err));
	EXPECT_GT(0, zmq_server_new(&other, self->event, "ipc://", 0600, on_request, self,
				    &self->err));
}

TEST_F(zmq, request_and_reply) {
	void *req = client(self, ZMQ_REQ);
	char buf[16];

	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(5, zmq_send(req, "hello", 5, 0));
		RUN_UNTIL(readable(req));
		EXPECT_EQ(5, zmq_recv(req, buf, sizeof(buf), ZMQ_DONTWAIT));
	}
	EXPECT_EQ(100, self->requests);
	zmq_close(req);
}

TEST_F(zmq, empty_payload) {
	void *req = client(self, ZMQ_REQ);
	char buf[16];

	EXPECT_EQ(0, zmq_send(req, "", 0, 0));
	RUN_UNTIL(readable(req));
	EXPECT_EQ(0, zmq_recv(req, buf, sizeof(buf), ZMQ_DONTWAIT));
	EXPECT_EQ(1, self->requests);
	EXPECT_EQ(0, self->size);
	zmq_close(req);
}

TEST_F(zmq, late_replies_reach_their_clients) {
	void *req[3];
	char buf[16], text[2] = "0";

	self->then = HOLD;
	for (unsigned int i = 0; i < 3; i++) {
		req[i] = client(self, ZMQ_REQ);
		zmq_send(req[i], "x", 1, 0);
		RUN_UNTIL(self->requests == i + 1);
	}
	for (int i = 2; i >= 0; i--) {
		text[0] = (char)('0' + i);
		zmq_reply(self->held[i], (uint8_t *)text, 1);
	}
	for (int i = 0; i < 3; i++) {
		RUN_UNTIL(readable(req[i]));
		EXPECT_EQ(1, zmq_recv(req[i], buf, sizeof(buf), ZMQ_DONTWAIT));
		EXPECT_EQ('0' + i, buf[0]);
		zmq_close(req[i]);
	}
}

TEST_F(zmq, malformed_envelopes_are_dropped) {
	void *dealer = client(self, ZMQ_DEALER), *req = client(self, ZMQ_REQ);

	zmq_send(dealer, "no delimiter", 12, 0);
	zmq_send(dealer, "", 0, 0);
	zmq_send(dealer, "a", 1, ZMQ_SNDMORE);
	zmq_send(dealer, "b", 1, 0);
	for (int i = 0; i < 20; i++)
		zmq_send(dealer, "a", 1, ZMQ_SNDMORE);
	zmq_send(dealer, "", 0, ZMQ_SNDMORE);
	zmq_send(dealer, "deep", 4, 0);
	for (int i = 0; i < 20000; i++)
		zmq_send(dealer, "a", 1, ZMQ_SNDMORE);
	zmq_send(dealer, "a", 1, 0);
	zmq_send(dealer, "", 0, ZMQ_SNDMORE);
	zmq_send(dealer, "good", 4, 0);
	RUN_UNTIL(readable(dealer));
	EXPECT_EQ(1, self->requests);
	EXPECT_EQ(4, self->size);
	zmq_send(req, "x", 1, 0);
	RUN_UNTIL(readable(req));
	zmq_close(dealer);
	zmq_close(req);
}

TEST_F(zmq, envelope_of_a_proxy_comes_back) {
	void *dealer = client(self, ZMQ_DEALER);
	char buf[16];

	zmq_send(dealer, "proxied", 7, ZMQ_SNDMORE);
	zmq_send(dealer, "", 0, ZMQ_SNDMORE);
	zmq_send(dealer, "ask", 3, 0);
	RUN_UNTIL(readable(dealer));
	EXPECT_EQ(7, zmq_recv(dealer, buf, sizeof(buf), ZMQ_DONTWAIT));
	EXPECT_EQ(0, zmq_recv(dealer, buf, sizeof(buf), ZMQ_DONTWAIT));
	EXPECT_EQ(3, zmq_recv(dealer, buf, sizeof(buf), ZMQ_DONTWAIT));
	zmq_close(dealer);
}

/* The handler answers with its own error: it gets what no protobuf begins with. */
TEST_F(zmq, several_payload_frames) {
	void *req = client(self, ZMQ_REQ);
	char buf[16];

	for (int i = 0; i < 5000; i++)
		zmq_send(req, "frame", 5, ZMQ_SNDMORE);
	zmq_send(req, "last", 4, 0);
	RUN_UNTIL(readable(req));
	EXPECT_EQ(1, zmq_recv(req, buf, sizeof(buf), ZMQ_DONTWAIT));
	EXPECT_EQ(1, self->requests);
	EXPECT_EQ(0xff, self->data[0]);
	zmq_close(req);
}

TEST_F(zmq, oversized_messages_are_refused) {
	void *big = client(self, ZMQ_REQ), *req = client(self, ZMQ_REQ);
	char *data = calloc(1, 1 << 20);

	zmq_send(big, data, 1 << 20, 0);
	zmq_send(req, "x", 1, 0);
	RUN_UNTIL(readable(req));
	EXPECT_EQ(1, self->requests);
	EXPECT_FALSE(readable(big));
	free(data);
	zmq_close(big);
	zmq_close(req);
}

TEST_F(zmq, client_that_went) {
	void *gone = client(self, ZMQ_REQ), *req;

	self->then = HOLD;
	zmq_send(gone, "x", 1, 0);
	RUN_UNTIL(self->requests == 1);
	zmq_close(gone);
	self->then = ECHO;
	req = client(self, ZMQ_REQ);
	zmq_send(req, "x", 1, 0);
	RUN_UNTIL(readable(req));
	zmq_reply(self->held[0], (const uint8_t *)"late", 4);
	zmq_close(req);
}

/* More than one batch, from one client that does not wait for answers. */
TEST_F(zmq, burst) {
	void *dealer = client(self, ZMQ_DEALER);

	for (int i = 0; i < 500; i++) {
		zmq_send(dealer, "", 0, ZMQ_SNDMORE);
		zmq_send(dealer, "x", 1, 0);
	}
	RUN_UNTIL(self->requests == 500);
	zmq_close(dealer);
}

TEST_F(zmq, freed_while_requests_are_unanswered) {
	void *req = client(self, ZMQ_REQ);

	self->then = HOLD;
	zmq_send(req, "x", 1, 0);
	RUN_UNTIL(self->requests == 1);
	zmq_server_free(self->server);
	self->server = NULL;
	zmq_reply(self->held[0], (const uint8_t *)"x", 1);
	zmq_close(req);
}

TEST_F(zmq, freed_by_the_handler) {
	void *req = client(self, ZMQ_REQ);

	self->then = FREE;
	zmq_send(req, "x", 1, 0);
	RUN_UNTIL(self->requests == 1);
	zmq_close(req);
}

TEST_HARNESS_MAIN
