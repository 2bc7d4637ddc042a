/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The server side of 1.1's ZeroMQ endpoints (wire-compatible with its REP sockets): one request
 * frame in, one reply frame out. It runs on an sd-event loop, and a request may be answered later,
 * so a slow one does not hold up other clients (a ROUTER socket does the book-keeping that REP
 * forbids). Frames of more than ZMQ_SERVER_MSG_MAX bytes are refused by ZMQ_MAXMSGSIZE.
 */
#ifndef VIO4WD_ZMQ_SERVER_H
#define VIO4WD_ZMQ_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "common/err.h"

#define ZMQ_SERVER_MSG_MAX 65536

struct zmq_server;
struct zmq_request;

/*
 * A request came in. data is valid until the handler returns. It must be answered exactly once,
 * now or later, with zmq_reply. Malformed envelopes never get here; an empty payload does.
 */
typedef void (*zmq_request_fn)(struct zmq_request *req, const uint8_t *data, size_t size,
			       void *userdata);

/* endpoint: "ipc:///path" (missing directories below the runtime directory are not made here) or
 * "tcp://...". A stale ipc socket is replaced; another file there is -EEXIST and left alone.
 * mode is that of the ipc socket file. */
int zmq_server_new(struct zmq_server **server, sd_event *event, const char *endpoint,
		   unsigned int mode, zmq_request_fn handler, void *userdata, struct err *err);
void zmq_server_free(struct zmq_server *server); /* removes the ipc socket file */

/* Copies data; a client that has gone changes nothing. Frees req. */
void zmq_reply(struct zmq_request *req, const uint8_t *data, size_t size);

#endif
