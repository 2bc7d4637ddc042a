/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A message on a ROUTER socket is the client's identity, the rest of its envelope up to an empty
 * frame, and the payload. The reply goes out behind the same envelope, so to a client this is the
 * REP socket of 1.1; unlike that one it needs no answer before the next request is taken.
 *
 * ZMQ_FD is edge triggered: it becomes readable when something may have changed, and not again
 * before ZMQ_EVENTS was read. Reading it is also what makes libzmq look at its mailbox, and so does
 * every send; so after a wake-up and after each send ZMQ_EVENTS is read until nothing is left,
 * for the latter in an event of its own (the `again` source).
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <zmq.h>

#include "common/log.h"
#include "wire/unix_listen.h"
#include "wire/zmq_context.h"
#include "wire/zmq_server.h"

#define BATCH 32       /* messages before other events get their turn */
#define ENVELOPE_MAX 8 /* frames: identities of the client and of proxies on the way */
#define UNANSWERED_MAX 4096
#define RCVHWM 64 /* messages per client */
#define SNDHWM 256

static const char ipc_scheme[] = "ipc://";

struct zmq_request {
	TAILQ_ENTRY(zmq_request) entry;
	struct zmq_server *server; /* NULL once it was freed */
	unsigned int n_envelope;
	zmq_msg_t envelope[ENVELOPE_MAX];
};

struct zmq_server {
	unsigned int refs; /* the owner's, and that of a dispatch on the stack */
	void *socket;	   /* NULL once freed */
	char *path;	   /* of the socket file; NULL for tcp */
	sd_event_source *io, *again;
	zmq_request_fn handler;
	void *userdata;
	TAILQ_HEAD(, zmq_request) requests;
	unsigned int n_requests;
};

/* --- requests --- */

static void request_free(struct zmq_request *req)
{
	if (req->server) {
		TAILQ_REMOVE(&req->server->requests, req, entry);
		req->server->n_requests--;
	}
	for (unsigned int i = 0; i < req->n_envelope; i++)
		zmq_msg_close(&req->envelope[i]);
	free(req);
}

/* Takes the frames of one message: envelope into req, the payload's first frame into payload.
 * Every frame is read, however many there are. Returns the number of payload frames; -1 when
 * there is no valid envelope, -2 when there is no message. */
static int receive(struct zmq_server *server, struct zmq_request *req, zmq_msg_t *payload)
{
	enum { IN_ENVELOPE, IN_PAYLOAD, BROKEN } state = IN_ENVELOPE;
	int n_payload = 0;
	bool more = true;

	while (more) {
		zmq_msg_t frame;

		zmq_msg_init(&frame);
		if (zmq_msg_recv(&frame, server->socket, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&frame);
			return -2;
		}
		more = zmq_msg_more(&frame);
		if (state == IN_PAYLOAD) {
			if (n_payload++ == 0)
				zmq_msg_move(payload, &frame);
		} else if (state == IN_ENVELOPE && req->n_envelope == ENVELOPE_MAX) {
			state = BROKEN;
		} else if (state == IN_ENVELOPE) {
			/* The identity is never empty: ROUTER makes one up. */
			if (zmq_msg_size(&frame) == 0)
				state = IN_PAYLOAD;
			zmq_msg_init(&req->envelope[req->n_envelope]);
			zmq_msg_move(&req->envelope[req->n_envelope++], &frame);
		}
		zmq_msg_close(&frame);
	}
	return state == IN_PAYLOAD && n_payload ? n_payload : -1;
}

/* Returns false when there was no message. */
static bool serve_one(struct zmq_server *server)
{
	/* More than one payload frame is no request of 1.1's protocol: the handler gets a byte
	 * that no protobuf begins with, so that the client gets its well-formed error. */
	static const uint8_t no_protobuf[] = { 0xff };
	struct zmq_request *req = calloc(1, sizeof(*req));
	zmq_msg_t payload;
	int n;

	if (!req)
		return false;
	zmq_msg_init(&payload);
	n = receive(server, req, &payload);
	if (n < 0) {
		if (n == -1)
			log_debug("zmq: a message without a valid envelope was dropped");
		request_free(req);
	} else {
		req->server = server;
		TAILQ_INSERT_TAIL(&server->requests, req, entry);
		server->n_requests++;
		if (n == 1)
			server->handler(req, zmq_msg_data(&payload), zmq_msg_size(&payload),
					server->userdata);
		else
			server->handler(req, no_protobuf, sizeof(no_protobuf), server->userdata);
	}
	zmq_msg_close(&payload);
	return n != -2;
}

static void server_unref(struct zmq_server *server)
{
	if (--server->refs == 0)
		free(server);
}

static bool has_input(struct zmq_server *server)
{
	size_t size = sizeof(int);
	int events;

	return server->socket && zmq_getsockopt(server->socket, ZMQ_EVENTS, &events, &size) == 0 &&
	       (events & ZMQ_POLLIN);
}

static void serve(struct zmq_server *server)
{
	server->refs++; /* the handler may free the server */
	for (unsigned int i = 0; i < BATCH; i++) {
		if (!has_input(server))
			goto out;
		/* zmq_reply goes on here once one is answered. */
		if (server->n_requests >= UNANSWERED_MAX)
			goto out;
		if (!serve_one(server))
			goto out;
	}
	if (server->socket)
		sd_event_source_set_enabled(server->again, SD_EVENT_ONESHOT);
out:
	server_unref(server);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	serve(userdata);
	return 0;
}

static int on_again(sd_event_source *source, void *userdata)
{
	serve(userdata);
	return 0;
}

void zmq_reply(struct zmq_request *req, const uint8_t *data, size_t size)
{
	struct zmq_server *server = req->server;
	bool sent = true;

	if (!server) {
		request_free(req);
		return;
	}
	/* To a client that has gone ROUTER drops the whole message, from the identity on. */
	for (unsigned int i = 0; i < req->n_envelope && sent; i++)
		sent = zmq_msg_send(&req->envelope[i], server->socket,
				    ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0;
	if (sent && zmq_send(server->socket, data, size, ZMQ_DONTWAIT) < 0)
		sent = false;
	if (!sent)
		log_debug("zmq: a reply was not sent: %s", zmq_strerror(errno));
	request_free(req);
	sd_event_source_set_enabled(server->again, SD_EVENT_ONESHOT);
}

/* --- making one --- */

static int set_options(void *socket)
{
	const int64_t max = ZMQ_SERVER_MSG_MAX;
	static const struct {
		int option, value;
	} options[] = {
		{ ZMQ_LINGER, 0 },	{ ZMQ_ROUTER_MANDATORY, 0 },
		{ ZMQ_RCVHWM, RCVHWM }, { ZMQ_SNDHWM, SNDHWM },
		{ ZMQ_IPV6, 1 },
	};

	if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof(int)) < 0)
			return -errno;
	}
	return 0;
}

/* libzmq itself removes whatever file is at the path, and makes the socket with any mode; so it is
 * given one that listens already. */
static int listen_ipc(struct zmq_server *server, const char *path, unsigned int mode,
		      struct err *err)
{
	int fd = unix_listen(path, mode, err);

	if (fd < 0)
		return fd;
	server->path = strdup(path);
	if (!server->path || zmq_setsockopt(server->socket, ZMQ_USE_FD, &fd, sizeof(fd)) < 0) {
		unlink(path);
		close(fd);
		return err_set(err, -ENOMEM, "zmq", "%s: %s", path, zmq_strerror(errno));
	}
	return fd;
}

static int bind_endpoint(struct zmq_server *server, const char *endpoint, unsigned int mode,
			 struct err *err)
{
	int ret = set_options(server->socket), fd = -1;

	if (ret < 0)
		return err_set(err, ret, "zmq", "%s: setting options: %s", endpoint,
			       zmq_strerror(-ret));
	if (strncmp(endpoint, ipc_scheme, strlen(ipc_scheme)) == 0) {
		fd = listen_ipc(server, endpoint + strlen(ipc_scheme), mode, err);
		if (fd < 0)
			return fd;
	}
	if (zmq_bind(server->socket, endpoint) == 0)
		return 0; /* the fd is the socket's now */
	ret = err_set(err, errno < ZMQ_HAUSNUMERO ? -errno : -EINVAL, "zmq",
		      "listening on %s: %s; an endpoint is ipc:///path or tcp://address:port",
		      endpoint, zmq_strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

int zmq_server_new(struct zmq_server **ret_server, sd_event *event, const char *endpoint,
		   unsigned int mode, zmq_request_fn handler, void *userdata, struct err *err)
{
	struct zmq_server *server = calloc(1, sizeof(*server));
	size_t size = sizeof(int);
	void *ctx;
	int fd, ret;

	if (!server)
		return err_set(err, -ENOMEM, "zmq", "out of memory");
	server->refs = 1;
	server->handler = handler;
	server->userdata = userdata;
	TAILQ_INIT(&server->requests);
	ctx = zmq_context_get();
	server->socket = ctx ? zmq_socket(ctx, ZMQ_ROUTER) : NULL;
	if (!server->socket) {
		ret = err_set(err, -errno, "zmq", "making a socket: %s", zmq_strerror(errno));
		if (ctx)
			zmq_context_put();
		free(server);
		return ret;
	}
	ret = bind_endpoint(server, endpoint, mode, err);
	if (ret < 0)
		goto fail;
	if (zmq_getsockopt(server->socket, ZMQ_FD, &fd, &size) < 0)
		ret = -errno;
	if (ret == 0)
		ret = sd_event_add_io(event, &server->io, fd, EPOLLIN, on_io, server);
	if (ret >= 0)
		ret = sd_event_add_defer(event, &server->again, on_again, server);
	if (ret < 0) {
		err_set(err, ret, "zmq", "%s: %s", endpoint, strerror(-ret));
		goto fail;
	}
	*ret_server = server;
	return 0;
fail:
	zmq_server_free(server);
	return ret;
}

void zmq_server_free(struct zmq_server *server)
{
	struct zmq_request *req;

	if (!server)
		return;
	server->io = sd_event_source_disable_unref(server->io);
	server->again = sd_event_source_disable_unref(server->again);
	while ((req = TAILQ_FIRST(&server->requests))) {
		TAILQ_REMOVE(&server->requests, req, entry);
		req->server = NULL;
	}
	zmq_close(server->socket);
	server->socket = NULL;
	if (server->path)
		unlink(server->path);
	free(server->path);
	zmq_context_put();
	server_unref(server);
}
