/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The inside of a connection: rpc_conn.c (its life), rpc_io.c (bytes and descriptors, both ways)
 * and rpc_call.c (what a line means).
 *
 * Handlers may do anything, close the connection included. Nothing is therefore ended from within
 * a call of theirs: sending only notes that the connection has failed and leaves the rest to an
 * event of its own (the `later` source), and whoever calls handlers holds a reference meanwhile.
 */
#ifndef VIO4WD_RPC_CONN_H
#define VIO4WD_RPC_CONN_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "wire/rpc.h"

enum conn_state {
	CONN_OPEN,
	CONN_MUTE,    /* the peer no longer reads; what it sent is still handled, until its end */
	CONN_FAILED,  /* to be ended by the `later` source; `failure` says why */
	CONN_CLOSING, /* the calls under way are being answered */
	CONN_CLOSED,
};

struct out_msg;
struct call;

struct fd_group {
	unsigned int n;
	int fds[RPC_FDS_MAX];
	size_t at; /* offset in the input buffer of a byte of the line they belong to */
};

struct rpc_request {
	TAILQ_ENTRY(rpc_request) entry;
	struct rpc_conn *conn; /* NULL once the connection is gone */
	json_object *id;
};

/* Called once when the connection ends, whoever ends it. */
typedef void (*rpc_gone_fn)(struct rpc_conn *conn, void *owner);

struct rpc_conn {
	LIST_ENTRY(rpc_conn) entry; /* of the owner */
	unsigned int refs;
	enum conn_state state;
	struct err failure;
	int fd;
	struct ucred peer;
	sd_event *event;
	sd_event_source *io, *later;
	struct rpc_handlers handlers;
	void *userdata;
	rpc_gone_fn gone;
	void *owner;

	char *in;
	size_t in_size, in_used;
	size_t in_scanned;	   /* no newline between here and in_used */
	struct fd_group in_fds[2]; /* of the line under way; of the one behind it */

	TAILQ_HEAD(, out_msg) out;
	size_t out_bytes;
	TAILQ_HEAD(, call) calls;
	int64_t last_call;
	TAILQ_HEAD(, rpc_request) requests;
	unsigned int n_requests;
};

/* rpc_conn.c */
static inline bool conn_is_live(const struct rpc_conn *conn)
{
	return conn->state == CONN_OPEN || conn->state == CONN_MUTE;
}

void conn_unref(struct rpc_conn *conn);
/* Ends it on behalf of the peer or the library; the user is told. */
void conn_end(struct rpc_conn *conn, const struct err *why);
/* The same from the event loop, not from within the caller's call. */
void conn_fail_later(struct rpc_conn *conn, const struct err *why);
/* The peer's fault: it is told why, then disconnected. */
void conn_reject(struct rpc_conn *conn, const struct err *err);

/* rpc_io.c */
void close_fds(int *fds, size_t n); /* those that are not -1 */
void conn_flush(struct rpc_conn *conn);
void conn_read(struct rpc_conn *conn);
void conn_drop_io(struct rpc_conn *conn); /* what waits to be sent, descriptors received */
/* msg: ownership passes. */
int conn_send(struct rpc_conn *conn, json_object *msg, const int *fds, size_t n_fds);
/* A line that is text already, without the newline. */
int conn_send_text(struct rpc_conn *conn, const char *text, size_t size, const int *fds,
		   size_t n_fds);

/* rpc_call.c */
void conn_line(struct rpc_conn *conn, const char *line, size_t size, int *fds, size_t n_fds);
void conn_fail_calls(struct rpc_conn *conn, const struct err *why);
void conn_orphan_requests(struct rpc_conn *conn);

#endif
