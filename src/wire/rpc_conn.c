/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/rpc_conn.h"
#include "wire/rpc_msg.h"
#include "wire/unix_listen.h"

void conn_unref(struct rpc_conn *conn)
{
	if (--conn->refs)
		return;
	free(conn->in);
	sd_event_unref(conn->event);
	free(conn);
}

/* Lets go of everything but the memory and the calls. */
static void conn_release(struct rpc_conn *conn)
{
	conn->io = sd_event_source_disable_unref(conn->io);
	conn->later = sd_event_source_disable_unref(conn->later);
	conn_drop_io(conn);
	close(conn->fd);
	conn->fd = -1;
	conn_orphan_requests(conn);
	if (conn->gone)
		conn->gone(conn, conn->owner);
}

void conn_end(struct rpc_conn *conn, const struct err *why)
{
	if (conn->state >= CONN_CLOSING)
		return;
	conn->refs++;
	conn->state = CONN_CLOSING;
	conn_release(conn);
	conn_fail_calls(conn, why);
	if (conn->state == CONN_CLOSING) {
		conn->state = CONN_CLOSED;
		if (conn->handlers.closed)
			conn->handlers.closed(conn, why, conn->userdata);
		conn_unref(conn);
	}
	conn_unref(conn);
}

void rpc_conn_close(struct rpc_conn *conn)
{
	static const struct err none;

	if (!conn || conn->state == CONN_CLOSED)
		return;
	if (conn->state == CONN_CLOSING) { /* from a done function: conn_end does the rest */
		conn->state = CONN_CLOSED;
		conn_unref(conn);
		return;
	}
	conn->state = CONN_CLOSED;
	conn_release(conn);
	conn_fail_calls(conn, &none);
	conn_unref(conn);
}

void conn_fail_later(struct rpc_conn *conn, const struct err *why)
{
	if (!conn_is_live(conn))
		return;
	conn->state = CONN_FAILED;
	conn->failure = *why;
	conn_drop_io(conn);
	sd_event_source_set_enabled(conn->io, SD_EVENT_OFF);
	sd_event_source_set_enabled(conn->later, SD_EVENT_ONESHOT);
}

static int on_later(sd_event_source *source, void *userdata)
{
	struct rpc_conn *conn = userdata;
	struct err why = conn->failure;

	conn_end(conn, &why);
	return 0;
}

void conn_reject(struct rpc_conn *conn, const struct err *err)
{
	conn_send(conn, rpc_msg_error(NULL, err), NULL, 0);
	conn_end(conn, err);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct rpc_conn *conn = userdata;

	conn->refs++;
	if ((revents & EPOLLOUT) && conn_is_live(conn))
		conn_flush(conn);
	if ((revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) && conn_is_live(conn))
		conn_read(conn);
	conn_unref(conn);
	return 0;
}

int rpc_conn_new(struct rpc_conn **ret_conn, sd_event *event, int fd,
		 const struct rpc_handlers *handlers, void *userdata)
{
	struct rpc_conn *conn = calloc(1, sizeof(*conn));
	socklen_t len = sizeof(conn->peer);
	int ret = -ENOMEM;

	if (!conn)
		goto fail;
	conn->refs = 1;
	conn->fd = fd;
	conn->event = sd_event_ref(event);
	conn->handlers = *handlers;
	conn->userdata = userdata;
	TAILQ_INIT(&conn->out);
	TAILQ_INIT(&conn->calls);
	TAILQ_INIT(&conn->requests);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &conn->peer, &len) < 0)
		conn->peer = (struct ucred){ .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	ret = sd_event_add_io(event, &conn->io, fd, EPOLLIN, on_io, conn);
	if (ret < 0)
		goto fail;
	ret = sd_event_add_defer(event, &conn->later, on_later, conn);
	if (ret < 0)
		goto fail;
	sd_event_source_set_enabled(conn->later, SD_EVENT_OFF);
	*ret_conn = conn;
	return 0;
fail:
	if (conn) {
		sd_event_source_disable_unref(conn->io);
		conn_unref(conn);
	}
	close(fd);
	return ret;
}

int rpc_connect(struct rpc_conn **conn, sd_event *event, const char *path,
		const struct rpc_handlers *handlers, void *userdata, struct err *err)
{
	int fd = unix_connect(path, 0, err);
	int ret;

	if (fd < 0)
		return fd;
	ret = rpc_conn_new(conn, event, fd, handlers, userdata);
	if (ret < 0)
		return err_set(err, ret, "connect", "%s: %s", path, strerror(-ret));
	return 0;
}

pid_t rpc_conn_peer_pid(const struct rpc_conn *conn)
{
	return conn->peer.pid;
}

uid_t rpc_conn_peer_uid(const struct rpc_conn *conn)
{
	return conn->peer.uid;
}
