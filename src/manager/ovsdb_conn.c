/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/ovsdb_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "manager/ovsdb_message.h"

#define READ_CHUNK 65536
#define OUT_MAX 65536u /* bytes that wait for a server that asks and does not read */

struct ovsdb_conn {
	int fd;
	sd_event_source *io, *timer;
	uint64_t probe_us;
	bool heard;  /* something came since the last look */
	bool probed; /* it was asked since then */
	struct ovsdb_stream *stream;
	char *out;
	size_t out_used;
	struct ovsdb_handlers handlers;
	void *userdata;
};

static int flush(struct ovsdb_conn *conn, struct err *err)
{
	size_t sent = 0;

	while (sent < conn->out_used) {
		const ssize_t n = send(conn->fd, conn->out + sent, conn->out_used - sent,
				       MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return err_set(err, -errno, "send", "sending: %s", strerror(errno));
		sent += (size_t)n;
	}
	conn->out_used -= sent;
	if (sent)
		memmove(conn->out, conn->out + sent, conn->out_used);
	sd_event_source_set_io_events(conn->io, conn->out_used ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return 0;
}

/* message: ownership passes; NULL is out of memory. */
static int send_message(struct ovsdb_conn *conn, json_object *message, struct err *err)
{
	const char *text =
		message ? json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN) : NULL;
	const size_t size = text ? strlen(text) : 0;
	char *out = NULL;

	if (text && conn->out_used + size <= OUT_MAX)
		out = realloc(conn->out, conn->out_used + size);
	if (out) {
		conn->out = out;
		memcpy(out + conn->out_used, text, size);
		conn->out_used += size;
	}
	json_object_put(message);
	if (!out)
		return err_set(err, -ENOBUFS, "send",
			       "the server asks and does not read the answers");
	return flush(conn, err);
}

static int on_message(json_object *root, void *userdata, struct err *err)
{
	struct ovsdb_conn *conn = userdata;
	struct ovsdb_message msg;
	const int rc = ovsdb_message_parse(&msg, root, err);

	if (rc < 0)
		return rc;
	switch (msg.kind) {
	case OVSDB_INITIAL:
	case OVSDB_UPDATE:
		conn->handlers.update(msg.tables, msg.kind == OVSDB_INITIAL, conn->userdata);
		return 0;
	case OVSDB_ECHO:
		return send_message(conn, ovsdb_reply_echo(&msg), err);
	case OVSDB_REFUSED:
		return err_set(
			err, -ECONNREFUSED, "monitor",
			"the server does not tell of the Interface table of Open_vSwitch: %s",
			msg.reason);
	case OVSDB_ECHO_OK:
	case OVSDB_OTHER:
		break;
	}
	return 0;
}

/* One chunk for each round of the loop: a large database does not keep the others waiting. */
static int receive(struct ovsdb_conn *conn, struct err *err)
{
	char chunk[READ_CHUNK];
	const ssize_t n = recv(conn->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_set(err, -errno, "receive", "receiving: %s", strerror(errno));
	if (n == 0)
		return err_set(err, -ECONNRESET, "connection", "the server closed the connection");
	conn->heard = true;
	return ovsdb_stream_feed(conn->stream, chunk, (size_t)n, on_message, conn, err);
}

/* conn may be gone afterwards. */
static void fail(struct ovsdb_conn *conn, const struct err *err)
{
	sd_event_source_set_enabled(conn->io, SD_EVENT_OFF);
	sd_event_source_set_enabled(conn->timer, SD_EVENT_OFF);
	conn->handlers.closed(err, conn->userdata);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct ovsdb_conn *conn = userdata;
	struct err err;
	int rc = 0;

	if (revents & EPOLLOUT)
		rc = flush(conn, &err);
	if (!rc && (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		rc = receive(conn, &err);
	if (rc < 0)
		fail(conn, &err);
	return 0;
}

static int on_probe(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ovsdb_conn *conn = userdata;
	struct err err;
	int rc = 0;

	if (!conn->heard && conn->probed)
		rc = err_set(&err, -ETIMEDOUT, "echo", "the server does not answer");
	conn->probed = !conn->heard;
	if (!rc && conn->probed)
		rc = send_message(conn, ovsdb_request_echo(), &err);
	conn->heard = false;
	if (rc < 0) {
		fail(conn, &err);
		return 0;
	}
	sd_event_source_set_time_relative(source, conn->probe_us);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int ovsdb_conn_new(struct ovsdb_conn **result, sd_event *event, int fd, uint64_t probe_us,
		   const struct ovsdb_handlers *handlers, void *userdata)
{
	struct ovsdb_conn *conn = calloc(1, sizeof(*conn));
	struct err err;
	int rc = -ENOMEM;

	if (!conn) {
		close(fd);
		return rc;
	}
	conn->fd = fd;
	conn->probe_us = probe_us;
	conn->handlers = *handlers;
	conn->userdata = userdata;
	conn->stream = ovsdb_stream_new();
	if (conn->stream)
		rc = sd_event_add_io(event, &conn->io, fd, EPOLLIN, on_io, conn);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, &conn->timer, CLOCK_MONOTONIC, probe_us,
						probe_us / 20, on_probe, conn);
	if (rc >= 0)
		rc = send_message(conn, ovsdb_request_monitor(), &err);
	if (rc < 0) {
		ovsdb_conn_free(conn);
		return rc;
	}
	*result = conn;
	return 0;
}

void ovsdb_conn_free(struct ovsdb_conn *conn)
{
	if (!conn)
		return;
	sd_event_source_disable_unref(conn->io);
	sd_event_source_disable_unref(conn->timer);
	ovsdb_stream_free(conn->stream);
	close(conn->fd);
	free(conn->out);
	free(conn);
}
