/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "wire/rpc_conn.h"
#include "wire/rpc_msg.h"
#include "wire/unix_listen.h"

#define CONNS_MAX 256
#define ACCEPT_PAUSE_US 200000 /* without file descriptors the listening socket stays readable */

struct rpc_server {
	sd_event *event;
	sd_event_source *io, *resume;
	int fd;
	struct rpc_handlers handlers;
	void *userdata;
	LIST_HEAD(, rpc_conn) conns;
	unsigned int n_conns;
};

int rpc_listen(const char *path, mode_t mode, struct err *err)
{
	return unix_listen(path, mode, err);
}

static void on_gone(struct rpc_conn *conn, void *owner)
{
	struct rpc_server *server = owner;

	LIST_REMOVE(conn, entry);
	server->n_conns--;
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct rpc_server *server = userdata;

	return sd_event_source_set_enabled(server->io, SD_EVENT_ON);
}

static void pause_accepting(struct rpc_server *server)
{
	log_warning("control: accepting a connection: %s; trying again soon", strerror(errno));
	if (sd_event_source_set_time_relative(server->resume, ACCEPT_PAUSE_US) < 0 ||
	    sd_event_source_set_enabled(server->resume, SD_EVENT_ONESHOT) < 0)
		return;
	sd_event_source_set_enabled(server->io, SD_EVENT_OFF);
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct rpc_server *server = userdata;
	struct rpc_conn *conn;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (peer < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accepting(server);
		return 0;
	}
	if (server->n_conns >= CONNS_MAX) {
		log_warning("control: more than %d connections; one was refused", CONNS_MAX);
		close(peer);
		return 0;
	}
	if (rpc_conn_new(&conn, server->event, peer, &server->handlers, server->userdata) < 0)
		return 0;
	conn->gone = on_gone;
	conn->owner = server;
	LIST_INSERT_HEAD(&server->conns, conn, entry);
	server->n_conns++;
	return 0;
}

int rpc_server_new(struct rpc_server **ret_server, sd_event *event, int listen_fd,
		   const struct rpc_handlers *handlers, void *userdata)
{
	struct rpc_server *server = calloc(1, sizeof(*server));
	int ret = -ENOMEM;

	if (!server) {
		close(listen_fd);
		return ret;
	}
	server->event = sd_event_ref(event);
	server->fd = listen_fd;
	server->handlers = *handlers;
	server->userdata = userdata;
	LIST_INIT(&server->conns);
	ret = sd_event_add_io(event, &server->io, listen_fd, EPOLLIN, on_accept, server);
	if (ret < 0)
		goto fail;
	ret = sd_event_add_time_relative(event, &server->resume, CLOCK_MONOTONIC, 0, 0, on_resume,
					 server);
	if (ret < 0)
		goto fail;
	sd_event_source_set_enabled(server->resume, SD_EVENT_OFF);
	*ret_server = server;
	return 0;
fail:
	rpc_server_free(server);
	return ret;
}

void rpc_server_free(struct rpc_server *server)
{
	if (!server)
		return;
	server->io = sd_event_source_disable_unref(server->io);
	server->resume = sd_event_source_disable_unref(server->resume);
	while (!LIST_EMPTY(&server->conns))
		rpc_conn_close(LIST_FIRST(&server->conns));
	close(server->fd);
	sd_event_unref(server->event);
	free(server);
}

void rpc_server_notify(struct rpc_server *server, const char *method, json_object *params)
{
	json_object *msg = rpc_msg_notify(method, params);
	struct rpc_conn *conn;
	const char *text;
	size_t size;

	if (!msg)
		return;
	text = rpc_msg_text(msg, &size);
	if (text) {
		LIST_FOREACH(conn, &server->conns, entry)
		conn_send_text(conn, text, size, NULL, 0);
	}
	json_object_put(msg);
}
