/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Any bytes from a peer, in pieces of any size: the connection must not crash, hang or leak, and
 * what the handler gets must be what it was promised. The first byte of the input is the size of
 * the pieces, and the second one chooses what the handler does.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/rpc.h"
#include "wire/rpc_msg.h"

#define HELD_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct rpc_conn *conn;
	unsigned int behaviour, n_held;
	struct rpc_request *held[HELD_MAX];
};

static void must(int holds)
{
	if (!holds)
		abort();
}

static void on_done(json_object *result, const struct err *err, void *userdata)
{
	must(err != NULL && (err->code < 0 || err->code == 0));
	++*(unsigned int *)userdata;
}

static void on_request(struct rpc_conn *conn, struct rpc_request *req, const char *method,
		       json_object *params, int *fds, size_t n_fds, void *userdata)
{
	static const struct err refused = { -EINVAL, "step", "text \xff" };
	struct peer *peer = userdata;

	must(method && json_object_is_type(params, json_type_object) && n_fds == 0);
	if (!req)
		return;
	if (peer->behaviour == 1 && peer->n_held < HELD_MAX) {
		peer->held[peer->n_held++] = req;
	} else if (peer->behaviour == 2) {
		rpc_reply_error(req, &refused);
	} else if (peer->behaviour == 3) {
		rpc_conn_close(conn);
		peer->conn = NULL;
		rpc_reply(req, NULL);
	} else {
		rpc_reply(req, json_object_get(params));
	}
}

static void on_closed(struct rpc_conn *conn, const struct err *err, void *userdata)
{
	((struct peer *)userdata)->conn = NULL;
}

static const struct rpc_handlers handlers = { .request = on_request, .closed = on_closed };

static void feed(sd_event *event, struct peer *peer, int fd, const uint8_t *data, size_t size,
		 size_t piece)
{
	char answers[4096];

	while (size && peer->conn) {
		ssize_t n =
			send(fd, data, size < piece ? size : piece, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
		while (sd_event_run(event, 0) > 0)
			;
		while (recv(fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
			;
	}
}

/* The messages by themselves: what is accepted can be written and read again. */
static void parse(const uint8_t *data, size_t size)
{
	struct rpc_msg msg, again;
	struct err err;
	const char *text;
	size_t len;

	if (rpc_msg_parse(&msg, (const char *)data, size, &err) < 0) {
		must(err.code < 0 && *err.text);
		return;
	}
	if (msg.kind != RPC_MSG_BLANK) {
		text = rpc_msg_text(msg.root, &len);
		must(!memchr(text, '\n', len));
		must(rpc_msg_parse(&again, text, len, &err) == 0 && again.kind == msg.kind);
		rpc_msg_clear(&again);
	}
	rpc_msg_clear(&msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int done = 0, called;
	struct peer peer = { 0 };
	sd_event *event;
	int sv[2];

	if (size < 2)
		return 0;
	parse(data + 2, size - 2);
	peer.behaviour = data[1] % 4;
	must(sd_event_new(&event) >= 0);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
	must(rpc_conn_new(&peer.conn, event, sv[1], &handlers, &peer) == 0);
	called = rpc_call(peer.conn, "call", NULL, NULL, 0, 0, on_done, &done) == 0;
	feed(event, &peer, sv[0], data + 2, size - 2, data[0] + 1);
	close(sv[0]);
	while (sd_event_run(event, 0) > 0)
		;
	must(!peer.conn && done == called);
	for (unsigned int i = 0; i < peer.n_held; i++)
		rpc_reply(peer.held[i], NULL);
	sd_event_unref(event);
	return 0;
}
