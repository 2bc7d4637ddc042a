/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A REQ socket that was not answered can send nothing more, and would take a late answer for that
 * of the next request. So each request has a socket of its own, closed when it is over; connecting
 * costs little on the hosts where this is used.
 *
 * ZMQ_FD is edge triggered, and what it tells of may be news of libzmq's own: after each wake-up,
 * and once after sending, the socket is asked whether there is an answer.
 */
#include "wire/zmq_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "common/cleanup.h"
#include "wire/zmq_context.h"

struct zmq_client {
	sd_event *event;
	char *endpoint;
	void *socket; /* NULL: no request is under way */
	sd_event_source *io, *first, *timeout;
	zmq_answer_fn done;
	void *userdata;
};

static void end_request(struct zmq_client *client)
{
	client->io = sd_event_source_disable_unref(client->io);
	client->first = sd_event_source_disable_unref(client->first);
	client->timeout = sd_event_source_disable_unref(client->timeout);
	if (client->socket) {
		zmq_close(client->socket);
		zmq_context_put();
	}
	client->socket = NULL;
}

/* The client may be gone afterwards. */
static void answer(struct zmq_client *client, const struct err *err, const uint8_t *data,
		   size_t size)
{
	end_request(client);
	client->done(err, data, size, client->userdata);
}

static void look(struct zmq_client *client)
{
	static const struct err none;
	zmq_msg_t message;

	zmq_msg_init(&message);
	if (zmq_msg_recv(&message, client->socket, ZMQ_DONTWAIT) >= 0) {
		answer(client, &none, zmq_msg_data(&message), zmq_msg_size(&message));
	} else if (errno != EAGAIN) {
		struct err err;

		err_set(&err, -errno, "zmq", "%s: %s", client->endpoint, zmq_strerror(errno));
		answer(client, &err, NULL, 0);
	}
	zmq_msg_close(&message);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	look(userdata);
	return 0;
}

static int on_first(sd_event_source *source, void *userdata)
{
	look(userdata);
	return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct zmq_client *client = userdata;
	struct err err;

	err_set(&err, -ETIMEDOUT, "zmq",
		"%s: no answer; is vio4wd running, and is this the endpoint of its configuration?",
		client->endpoint);
	answer(client, &err, NULL, 0);
	return 0;
}

static int add_sources(struct zmq_client *client, unsigned int timeout_ms)
{
	size_t size = sizeof(int);
	int fd, rc;

	if (zmq_getsockopt(client->socket, ZMQ_FD, &fd, &size) < 0)
		return -errno;
	rc = sd_event_add_io(client->event, &client->io, fd, EPOLLIN, on_io, client);
	if (rc >= 0)
		rc = sd_event_add_defer(client->event, &client->first, on_first, client);
	if (rc >= 0)
		rc = sd_event_add_time_relative(client->event, &client->timeout, CLOCK_MONOTONIC,
						timeout_ms * 1000ull, 1000, on_timeout, client);
	return rc < 0 ? rc : 0;
}

static int send_request(struct zmq_client *client, const void *data, size_t size)
{
	static const int no_linger;
	static const int ipv6 = 1;
	void *context = zmq_context_get();

	if (!context)
		return -errno;
	client->socket = zmq_socket(context, ZMQ_REQ);
	if (!client->socket) {
		const int rc = -errno;

		zmq_context_put();
		return rc;
	}
	if (zmq_setsockopt(client->socket, ZMQ_LINGER, &no_linger, sizeof(no_linger)) < 0 ||
	    zmq_setsockopt(client->socket, ZMQ_IPV6, &ipv6, sizeof(ipv6)) < 0 ||
	    zmq_connect(client->socket, client->endpoint) < 0 ||
	    zmq_send(client->socket, data, size, ZMQ_DONTWAIT) < 0)
		return errno < ZMQ_HAUSNUMERO ? -errno : -EINVAL;
	return 0;
}

int zmq_client_send(struct zmq_client *client, const void *data, size_t size,
		    unsigned int timeout_ms, zmq_answer_fn done, void *userdata, struct err *err)
{
	int rc;

	if (client->socket)
		return err_set(err, -EBUSY, "zmq", "%s: a request is under way", client->endpoint);
	client->done = done;
	client->userdata = userdata;
	rc = send_request(client, data, size);
	if (!rc)
		rc = add_sources(client, timeout_ms);
	if (!rc)
		return 0;
	end_request(client);
	return err_set(err, rc, "zmq", "%s: %s; an endpoint is ipc:///path or tcp://address:port",
		       client->endpoint, strerror(-rc));
}

int zmq_client_ask(struct zmq_client *client, const ProtobufCMessage *message,
		   unsigned int timeout_ms, zmq_answer_fn done, void *userdata, struct err *err)
{
	const size_t size = protobuf_c_message_get_packed_size(message);
	_cleanup_free_ uint8_t *data = malloc(size ? size : 1);

	if (!data)
		return err_set(err, -ENOMEM, "memory", "out of memory");
	protobuf_c_message_pack(message, data);
	return zmq_client_send(client, data, size, timeout_ms, done, userdata, err);
}

int zmq_client_new(struct zmq_client **result, sd_event *event, const char *endpoint,
		   struct err *err)
{
	struct zmq_client *client = calloc(1, sizeof(*client));

	if (client)
		client->endpoint = strdup(endpoint);
	if (!client || !client->endpoint) {
		free(client);
		return err_set(err, -ENOMEM, "memory", "out of memory");
	}
	client->event = sd_event_ref(event);
	*result = client;
	return 0;
}

void zmq_client_free(struct zmq_client *client)
{
	if (!client)
		return;
	end_request(client);
	sd_event_unref(client->event);
	free(client->endpoint);
	free(client);
}
