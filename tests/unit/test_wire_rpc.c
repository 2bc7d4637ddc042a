/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Connections over socketpairs: one end is the library, the other either the library again or this
 * test writing bytes. The loop is run until what is waited for has happened, with a deadline.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <kselftest_harness.h>

#include "wire/rpc.h"

#include "run_until.h"

#define UNANSWERED 1024 /* most that a connection may have */

static struct rpc_request *held_requests[UNANSWERED];

FIXTURE(rpc) {
	sd_event *event;
	int peer; /* the test's end */
	struct rpc_conn *conn;
	/* what the handlers saw */
	unsigned int requests, notifications, closed, done;
	char method[64], params[256];
	struct err closed_err, done_err;
	char result[256];
	struct rpc_request *held;
	int fd; /* kept of the last request */
	size_t n_fds[4];
	enum { REPLY, HOLD, CLOSE, FAIL, FLOOD } then;
	bool close_in_done, close_in_closed;
};

typedef FIXTURE_DATA(rpc) rpc_t;

static void on_request(struct rpc_conn *conn, struct rpc_request *req, const char *method,
		       json_object *params, int *fds, size_t n_fds, void *userdata)
{
	static const struct err refused = { -EBUSY, "attach", "netdev:x is in use" };
	rpc_t *self = userdata;

	snprintf(self->method, sizeof(self->method), "%s", method);
	snprintf(self->params, sizeof(self->params), "%s",
		 json_object_to_json_string_ext(params, JSON_C_TO_STRING_PLAIN));
	self->n_fds[self->requests % 4] = n_fds;
	if (n_fds) {
		self->fd = fds[0];
		fds[0] = -1;
	}
	if (!req) {
		self->notifications++;
		return;
	}
	self->requests++;
	switch (self->then) {
	case REPLY:
		rpc_reply(req, json_object_new_int((int)self->requests));
		break;
	case FAIL:
		rpc_reply_error(req, &refused);
		break;
	case HOLD:
		self->held = req;
		held_requests[(self->requests - 1) % UNANSWERED] = req;
		break;
	case CLOSE:
		rpc_conn_close(conn);
		rpc_reply(req, NULL);
		self->conn = NULL;
		break;
	case FLOOD:
		for (int i = 0; i < 8; i++) {
			char *text = calloc(1, 3 << 20);

			memset(text, 'x', (3 << 20) - 1);
			rpc_notify(conn, "noise", json_object_new_string(text));
			free(text);
		}
		rpc_reply(req, NULL);
		break;
	}
}

static void on_closed(struct rpc_conn *conn, const struct err *err, void *userdata)
{
	rpc_t *self = userdata;

	self->closed++;
	self->closed_err = *err;
	if (self->close_in_closed)
		rpc_conn_close(conn);
	self->conn = NULL;
}

static const struct rpc_handlers handlers = { .request = on_request, .closed = on_closed };

static void on_done(json_object *result, const struct err *err, void *userdata)
{
	rpc_t *self = userdata;

	self->done++;
	self->done_err = *err;
	snprintf(self->result, sizeof(self->result), "%s",
		 result ? json_object_to_json_string(result) : "");
	if (self->close_in_done) {
		rpc_conn_close(self->conn);
		self->conn = NULL;
	}
}

/* Runs what is due now. */
#define RUN_IDLE() \
	do {       \
	} while (sd_event_run(self->event, 20000) > 0)

static void put_text(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return; /* the test sees what is missing */
}

static void put_with_fds(int fd, const char *text, size_t size, const int *fds, size_t n)
{
	char control[CMSG_SPACE(sizeof(int) * 253)] = { 0 };
	struct iovec iov = { (void *)text, size };
	struct msghdr hdr = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE(sizeof(int) * n) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n);
	if (sendmsg(fd, &hdr, MSG_NOSIGNAL) < 0)
		return;
}

/* What the peer can read now. */
static const char *get_text(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

FIXTURE_SETUP(rpc)
{
	int sv[2];

	self->fd = -1;
	ASSERT_EQ(0, sd_event_new(&self->event));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	self->peer = sv[0];
	ASSERT_EQ(0, rpc_conn_new(&self->conn, self->event, sv[1], &handlers, self));
}

FIXTURE_TEARDOWN(rpc)
{
	rpc_conn_close(self->conn);
	sd_event_unref(self->event);
	if (self->peer >= 0)
		close(self->peer);
	if (self->fd >= 0)
		close(self->fd);
}

TEST_F(rpc, request_and_reply) {
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"status\"}\n");
	RUN_UNTIL(self->requests == 1);
	EXPECT_STREQ("status", self->method);
	EXPECT_STREQ("{}", self->params);
	EXPECT_STREQ("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":1}\n", get_text(self->peer));
}

TEST_F(rpc, text_that_is_not_ascii) {
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":"
			     "{\"device\":\"caf\xc3\xa9\"}}\n");
	RUN_UNTIL(self->requests == 1);
	EXPECT_STREQ("{\"device\":\"caf\xc3\xa9\"}", self->params);
}

TEST_F(rpc, error_reply) {
	self->then = FAIL;
	put_text(self->peer,
		 "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"add\",\"params\":{\"id\":1}}\n");
	RUN_UNTIL(self->requests == 1);
	EXPECT_STREQ("{\"id\":1}", self->params);
	EXPECT_STREQ("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-16,\"message\":"
		     "\"netdev:x is in use\",\"data\":{\"step\":\"attach\"}}}\n",
		     get_text(self->peer));
}

TEST_F(rpc, error_text_is_made_utf8) {
	static const struct err err = { -EINVAL, "st\xff", "caf\xc3\xa9 \xc3" };

	self->then = HOLD;
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"add\"}\n");
	RUN_UNTIL(self->held);
	rpc_reply_error(self->held, &err);
	EXPECT_STREQ("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-22,\"message\":"
		     "\"caf\xc3\xa9 ?\",\"data\":{\"step\":\"st?\"}}}\n",
		     get_text(self->peer));
}

TEST_F(rpc, many_lines_in_one_piece_and_one_line_in_many) {
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n";

	put_text(self->peer, "\n  \r\n{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n"
			     "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}\n");
	RUN_UNTIL(self->requests == 1 && self->notifications == 1);
	for (size_t i = 0; i < strlen(line); i++) {
		EXPECT_EQ(1, send(self->peer, line + i, 1, 0));
		RUN_IDLE();
	}
	EXPECT_EQ(2, self->requests);
	EXPECT_EQ(0, self->closed);
}

static const char *const garbage[] = {
	"hello\n",
	"{\n",
	"{}\n",
	"[]\n",
	"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}]\n",
	"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}\n",
	"{\"id\":1,\"method\":\"x\"}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":[1]}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"} {}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1}\n",
	"{\"jsonrpc\":\"2.0\",\"result\":1}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"result\":1}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":3}\n",
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}\n",
	"{'jsonrpc':'2.0','id':1,'method':'x'}\n",
	"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
	"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
	"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1\n",
};

TEST_F(rpc, garbage_is_told_and_disconnected) {
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int sv[2];

		if (!self->conn) {
			close(self->peer);
			ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
			self->peer = sv[0];
			ASSERT_EQ(0,
				  rpc_conn_new(&self->conn, self->event, sv[1], &handlers, self));
		}
		put_text(self->peer, garbage[i]);
		RUN_UNTIL(self->closed == i + 1);
		EXPECT_EQ(-EBADMSG, self->closed_err.code)
		{
			TH_LOG("line: %s", garbage[i]);
		}
		EXPECT_NE(NULL, strstr(get_text(self->peer), "\"id\":null,\"error\""));
	}
	EXPECT_EQ(0, self->requests);
}

TEST_F(rpc, nul_bytes) {
	EXPECT_EQ(3, send(self->peer, "\0\0\n", 3, 0));
	RUN_UNTIL(self->closed == 1);
	EXPECT_EQ(-EBADMSG, self->closed_err.code);
}

/* The whole range: far below, at, and above the limit. */
TEST_F(rpc, long_lines) {
	static const char head[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{\"a\":\"";
	size_t size = RPC_LINE_MAX - 1, sent = 0;
	char *line = malloc(2 * RPC_LINE_MAX);
	ssize_t n;

	memset(line, 'a', 2 * RPC_LINE_MAX);
	memcpy(line, head, strlen(head));
	memcpy(line + size - 3, "\"}}\n", 4);
	while (sent < size + 1) {
		n = send(self->peer, line + sent, size + 1 - sent, MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		sd_event_run(self->event, 1000);
	}
	RUN_UNTIL(self->requests == 1);
	get_text(self->peer);
	EXPECT_EQ(0, self->closed);
	memset(line, 'a', 2 * RPC_LINE_MAX);
	sent = 0;
	while (!self->closed && sent < 2 * RPC_LINE_MAX) {
		n = send(self->peer, line + sent, 2 * RPC_LINE_MAX - sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		sd_event_run(self->event, 1000);
	}
	EXPECT_EQ(1, self->closed);
	EXPECT_EQ(-EMSGSIZE, self->closed_err.code);
	EXPECT_NE(NULL, strstr(get_text(self->peer), "-90"));
	free(line);
}

TEST_F(rpc, fds_go_with_their_line) {
	static const char with_fds[] = "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"c\"}\n";
	unsigned int before = open_fds();
	int fds[2] = { open("/dev/null", O_RDONLY), open("/dev/zero", O_RDONLY) };
	struct stat st;

	/* The first line's end and the second, which has the fds, come in one recvmsg. */
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}\n{\"jsonrpc\":");
	put_text(self->peer, "\"2.0\",\"id\":2,\"method\":\"b\"}\n");
	put_with_fds(self->peer, with_fds, strlen(with_fds), fds, 2);
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"d\"}\n");
	RUN_UNTIL(self->requests == 4);
	EXPECT_EQ(0, self->n_fds[0]);
	EXPECT_EQ(0, self->n_fds[1]);
	EXPECT_EQ(2, self->n_fds[2]);
	EXPECT_EQ(0, self->n_fds[3]);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(0x103, st.st_rdev); /* /dev/null */
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd, F_GETFD));
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(before + 1, open_fds()); /* the one that the handler kept */
}

/* A long line with descriptors ends in the chunk that begins the next line with some. */
TEST_F(rpc, fds_of_two_lines_in_one_chunk) {
	static const char head[] =
		"{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"id\":1,\"params\":{\"a\":\"";
	static const char second[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"b\"}\n";
	unsigned int before = open_fds();
	size_t size = 100000;
	char *line = malloc(size);
	int fds[3];

	for (int i = 0; i < 3; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	memset(line, 'a', size);
	memcpy(line, head, strlen(head));
	memcpy(line + size - 4, "\"}}\n", 4);
	put_with_fds(self->peer, line, size, fds, 1);
	put_with_fds(self->peer, second, strlen(second), fds, 3);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	RUN_UNTIL(self->requests == 2);
	EXPECT_EQ(1, self->n_fds[0]);
	EXPECT_EQ(3, self->n_fds[1]);
	EXPECT_EQ(before + 2, open_fds()); /* the handler kept one of each */
	free(line);
}

TEST_F(rpc, too_many_fds) {
	unsigned int before = open_fds();
	int fds[65];

	for (int i = 0; i < 65; i++)
		fds[i] = STDERR_FILENO;
	put_with_fds(self->peer, "{", 1, fds, 64);
	RUN_IDLE();
	EXPECT_EQ(0, self->closed);
	EXPECT_EQ(before + 64, open_fds());
	put_with_fds(self->peer, " ", 1, fds, 1);
	RUN_UNTIL(self->closed == 1);
	EXPECT_EQ(before - 1, open_fds()); /* less its own end of the socket pair */
	EXPECT_EQ(-EMSGSIZE, self->closed_err.code);
}

TEST_F(rpc, fds_of_unfinished_line_are_closed) {
	unsigned int before = open_fds();
	int fd = STDERR_FILENO;

	put_with_fds(self->peer, "{\"", 2, &fd, 1);
	RUN_IDLE();
	EXPECT_EQ(before + 1, open_fds());
	close(self->peer);
	self->peer = -1;
	RUN_UNTIL(self->closed == 1);
	EXPECT_EQ(0, self->closed_err.code);
	EXPECT_EQ(before - 2, open_fds());
}

TEST_F(rpc, call_both_ways) {
	struct rpc_conn *other;
	rpc_t second = { .event = self->event, .fd = -1 };
	int fd = STDERR_FILENO;

	ASSERT_EQ(0, rpc_conn_new(&other, self->event, dup(self->peer), &handlers, &second));
	EXPECT_EQ(0, rpc_call(self->conn, "attach", NULL, &fd, 1, 1000, on_done, self));
	EXPECT_EQ(0, self->done);
	RUN_UNTIL(self->done == 1);
	EXPECT_EQ(0, self->done_err.code);
	EXPECT_STREQ("1", self->result);
	EXPECT_EQ(1, second.n_fds[0]);
	self->then = FAIL;
	EXPECT_EQ(0,
		  rpc_call(other, "add", json_object_new_object(), NULL, 0, 0, on_done, &second));
	RUN_UNTIL(second.done == 1);
	EXPECT_EQ(-EBUSY, second.done_err.code);
	EXPECT_STREQ("attach", second.done_err.step);
	EXPECT_STREQ("netdev:x is in use", second.done_err.text);
	rpc_conn_close(other);
	close(second.fd);
	RUN_IDLE();
	EXPECT_EQ(0, self->closed); /* the test's own end still holds it open */
}

TEST_F(rpc, call_times_out_and_late_answer_is_ignored) {
	EXPECT_EQ(0, rpc_call(self->conn, "x", NULL, NULL, 0, 20, on_done, self));
	RUN_UNTIL(self->done == 1);
	EXPECT_EQ(-ETIMEDOUT, self->done_err.code);
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
	RUN_IDLE();
	EXPECT_EQ(1, self->done);
	EXPECT_EQ(0, self->closed);
}

TEST_F(rpc, peer_vanishes) {
	self->then = HOLD;
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n");
	EXPECT_EQ(0, rpc_call(self->conn, "y", NULL, NULL, 0, 0, on_done, self));
	EXPECT_EQ(0, rpc_call(self->conn, "z", NULL, NULL, 0, 60000, on_done, self));
	RUN_UNTIL(self->requests == 1);
	close(self->peer);
	self->peer = -1;
	RUN_UNTIL(self->closed == 1);
	EXPECT_EQ(2, self->done);
	EXPECT_EQ(-ECONNRESET, self->done_err.code);
	rpc_reply(self->held, json_object_new_int(1));
}

/* What a peer sent before it went is still handled, though the reply has nowhere to go. */
TEST_F(rpc, peer_sends_and_goes) {
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n"
			     "{\"jsonrpc\":\"2.0\",\"method\":\"last\"}\n");
	EXPECT_EQ(0, rpc_notify(self->conn, "unread", NULL));
	close(self->peer);
	self->peer = -1;
	RUN_UNTIL(self->closed == 1);
	EXPECT_EQ(1, self->requests);
	EXPECT_STREQ("last", self->method);
}

TEST_F(rpc, close_in_request) {
	self->then = CLOSE;
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n"
			     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n");
	RUN_UNTIL(self->requests == 1);
	RUN_IDLE();
	EXPECT_EQ(1, self->requests);
	EXPECT_EQ(0, self->closed);
}

TEST_F(rpc, close_in_done) {
	self->close_in_done = true;
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, rpc_call(self->conn, "x", NULL, NULL, 0, 1000, on_done, self));
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n");
	RUN_UNTIL(self->done == 3);
	EXPECT_EQ(0, self->closed);
}

TEST_F(rpc, close_in_done_of_a_lost_connection) {
	self->close_in_done = true;
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, rpc_call(self->conn, "x", NULL, NULL, 0, 1000, on_done, self));
	close(self->peer);
	self->peer = -1;
	RUN_UNTIL(self->done == 3);
	RUN_IDLE();
	EXPECT_EQ(0, self->closed);
}

TEST_F(rpc, close_in_closed) {
	self->close_in_closed = true;
	close(self->peer);
	self->peer = -1;
	RUN_UNTIL(self->closed == 1);
}

TEST_F(rpc, peer_that_does_not_read) {
	self->then = FLOOD;
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n");
	RUN_UNTIL(self->closed == 1);
	EXPECT_EQ(-ENOBUFS, self->closed_err.code);
}

TEST_F(rpc, peer_complains_about_us) {
	EXPECT_EQ(0, rpc_call(self->conn, "x", NULL, NULL, 0, 0, on_done, self));
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-90,"
			     "\"message\":\"too long\"}}\n");
	RUN_UNTIL(self->closed == 1);
	EXPECT_EQ(-EMSGSIZE, self->closed_err.code);
	EXPECT_EQ(1, self->done);
}

TEST_F(rpc, too_long_to_send) {
	char *text = malloc(RPC_LINE_MAX + 1);

	memset(text, 'x', RPC_LINE_MAX);
	text[RPC_LINE_MAX] = '\0';
	EXPECT_EQ(-EMSGSIZE, rpc_notify(self->conn, "n", json_object_new_string(text)));
	self->then = HOLD;
	put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n");
	RUN_UNTIL(self->requests == 1);
	rpc_reply(self->held, json_object_new_string(text));
	EXPECT_NE(NULL, strstr(get_text(self->peer), "\"code\":-90"));
	RUN_IDLE();
	EXPECT_EQ(0, self->closed);
	free(text);
}

TEST_F(rpc, too_many_unanswered) {
	self->then = HOLD;
	for (int i = 0; i < UNANSWERED + 1; i++) {
		put_text(self->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n");
		sd_event_run(self->event, 0);
	}
	RUN_IDLE();
	EXPECT_EQ(UNANSWERED, self->requests);
	EXPECT_NE(NULL, strstr(get_text(self->peer), "\"code\":-16"));
	EXPECT_EQ(0, self->closed);
	for (int i = 0; i < UNANSWERED; i++)
		rpc_reply(held_requests[i], NULL);
}

TEST_F(rpc, peer_credentials) {
	EXPECT_EQ(getpid(), rpc_conn_peer_pid(self->conn));
	EXPECT_EQ(getuid(), rpc_conn_peer_uid(self->conn));
}

/* --- server and client --- */

FIXTURE(server) {
	char dir[32], path[64];
	rpc_t rpc; /* what on_request wants */
	sd_event *event;
	struct rpc_server *server;
	struct err err;
};

FIXTURE_SETUP(server)
{
	int fd;

	strcpy(self->dir, "/tmp/test-wire-rpc.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->path, sizeof(self->path), "%s/control", self->dir);
	ASSERT_EQ(0, sd_event_new(&self->event));
	self->rpc.event = self->event;
	self->rpc.fd = -1;
	fd = rpc_listen(self->path, 0660, &self->err);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rpc_server_new(&self->server, self->event, fd, &handlers, &self->rpc));
}

FIXTURE_TEARDOWN(server)
{
	rpc_server_free(self->server);
	sd_event_unref(self->event);
	unlink(self->path);
	rmdir(self->dir);
}

TEST_F(server, mode_and_busy_path) {
	struct stat st;

	EXPECT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_EQ(-EEXIST, rpc_listen(self->path, 0600, &self->err));
	EXPECT_NE(NULL, strstr(self->err.text, "another process"));
	EXPECT_EQ(0, stat(self->path, &st));
}

TEST_F(server, stale_socket_is_replaced) {
	int fd;

	rpc_server_free(self->server);
	self->server = NULL;
	EXPECT_EQ(0, access(self->path, F_OK));
	fd = rpc_listen(self->path, 0600, &self->err);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(server, other_files_are_left_alone) {
	char path[80], long_path[200];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/file", self->dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	EXPECT_EQ(-EEXIST, rpc_listen(path, 0600, &self->err));
	EXPECT_EQ(0, lstat(path, &st));
	unlink(path);
	EXPECT_EQ(0, symlink("/nowhere", path));
	EXPECT_EQ(-EEXIST, rpc_listen(path, 0600, &self->err));
	EXPECT_EQ(0, lstat(path, &st));
	unlink(path);
	snprintf(path, sizeof(path), "%s/no/dir", self->dir);
	EXPECT_EQ(-ENOENT, rpc_listen(path, 0600, &self->err));
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, rpc_listen(long_path, 0600, &self->err));
}

TEST_F(server, client_without_a_loop) {
	struct rpc_client *client;
	json_object *result = NULL;
	pid_t pid;
	int status = -1;

	pid = fork();
	if (pid == 0) {
		if (rpc_client_connect(&client, self->path, &self->err) < 0)
			_exit(1);
		if (rpc_client_call(client, "one", NULL, 2000, &result, &self->err) < 0 ||
		    json_object_get_int(result) != 1)
			_exit(2);
		json_object_put(result);
		if (rpc_client_call(client, "two", json_object_new_object(), 2000, &result,
				    &self->err) < 0)
			_exit(3);
		json_object_put(result);
		/* Held: the answer does not come. */
		if (rpc_client_call(client, "three", NULL, 50, &result, &self->err) != -ETIMEDOUT)
			_exit(4);
		if (rpc_client_call(client, "four", NULL, 2000, &result, &self->err) != -ECONNRESET)
			_exit(5);
		rpc_client_free(client);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		sd_event_run(self->event, 10000);
		if (self->rpc.requests == 2)
			self->rpc.then = HOLD;
		if (self->rpc.requests == 3)
			self->rpc.then = CLOSE;
	}
	EXPECT_EQ(0, status);
	if (self->rpc.held)
		rpc_reply(self->rpc.held, NULL);
}

TEST_F(server, nobody_there) {
	struct rpc_client *client;
	struct rpc_conn *conn;

	EXPECT_EQ(-ENOENT, rpc_client_connect(&client, "/tmp/test-wire-rpc.none", &self->err));
	rpc_server_free(self->server);
	self->server = NULL;
	EXPECT_EQ(-ECONNREFUSED, rpc_client_connect(&client, self->path, &self->err));
	EXPECT_EQ(-ECONNREFUSED,
		  rpc_connect(&conn, self->event, self->path, &handlers, &self->rpc, &self->err));
}

TEST_F(server, notify_reaches_all_and_free_ends_them) {
	rpc_t a = { .event = self->event, .fd = -1 }, b = a;
	struct rpc_conn *conns[2];

	ASSERT_EQ(0, rpc_connect(&conns[0], self->event, self->path, &handlers, &a, &self->err));
	ASSERT_EQ(0, rpc_connect(&conns[1], self->event, self->path, &handlers, &b, &self->err));
	RUN_IDLE();
	rpc_server_notify(self->server, "vm", json_object_new_object());
	RUN_UNTIL(a.notifications == 1 && b.notifications == 1);
	rpc_server_free(self->server);
	self->server = NULL;
	RUN_UNTIL(a.closed == 1 && b.closed == 1);
}

TEST_HARNESS_MAIN
