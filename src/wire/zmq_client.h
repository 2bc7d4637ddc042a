/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The client side of 1.1's ZeroMQ endpoints: one request, one answer, on an sd-event loop. A server
 * that is not there, or goes, is no error of its own: ZeroMQ connects in the background and again,
 * and a request that is not answered in time ends with -ETIMEDOUT.
 */
#ifndef VIO4WD_ZMQ_CLIENT_H
#define VIO4WD_ZMQ_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>
#include <systemd/sd-event.h>

#include "common/err.h"

#define ZMQ_CLIENT_TIMEOUT_MS 2000 /* as long as 1.1's clients wait */

struct zmq_client;

/* The answer: err->code is 0, and data is valid until it returns; or what went wrong, then data is
 * NULL. It may ask again, and may free the client. */
typedef void (*zmq_answer_fn)(const struct err *err, const uint8_t *data, size_t size,
			      void *userdata);

/* endpoint: "ipc:///path" or "tcp://host:port". It takes a reference of event. */
int zmq_client_new(struct zmq_client **client, sd_event *event, const char *endpoint,
		   struct err *err);
/* A request that is under way is not answered any more. client may be NULL. */
void zmq_client_free(struct zmq_client *client);

/* Sends data, which is copied; done is called later, once. -EBUSY: one is under way. */
int zmq_client_send(struct zmq_client *client, const void *data, size_t size,
		    unsigned int timeout_ms, zmq_answer_fn done, void *userdata, struct err *err);
/* The same with a message; one that lacks required fields is the caller's mistake. */
int zmq_client_ask(struct zmq_client *client, const ProtobufCMessage *message,
		   unsigned int timeout_ms, zmq_answer_fn done, void *userdata, struct err *err);

#endif
