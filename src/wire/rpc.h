/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * JSON-RPC 2.0 over a Unix stream socket, one JSON text per line: how vio4wdctl talks to the
 * manager and the manager to its relays (docs/protocol.md). File descriptors may ride along with a
 * request (SCM_RIGHTS). Everything runs on an sd-event loop and never blocks; a peer that does not
 * read is disconnected when RPC_OUT_MAX bytes wait for it, one that sends a longer line than
 * RPC_LINE_MAX or what is not JSON-RPC gets an error reply and is disconnected.
 *
 * A connection is symmetric: both ends may send requests and notifications.
 */
#ifndef VIO4WD_RPC_H
#define VIO4WD_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "common/err.h"

#define RPC_LINE_MAX (4u << 20)
#define RPC_OUT_MAX (16u << 20)
#define RPC_FDS_MAX 64

struct rpc_conn;
struct rpc_request; /* a request that waits for its answer */

struct rpc_handlers {
	/*
	 * A request or notification came in. params is an object (never NULL), owned by the caller.
	 * fds were sent along; those the handler keeps it sets to -1, the rest is closed.
	 * A request (req != NULL) must be answered exactly once, now or later, with rpc_reply or
	 * rpc_reply_error; a notification has req == NULL.
	 */
	void (*request)(struct rpc_conn *conn, struct rpc_request *req, const char *method,
			json_object *params, int *fds, size_t n_fds, void *userdata);
	/*
	 * The peer is gone or was disconnected (err says why; code 0 for a plain end). Calls that
	 * were under way have been answered with -ECONNRESET before. Requests that are still
	 * unanswered stay valid: answering them is then a no-op that frees them. conn is freed
	 * after this returns.
	 */
	void (*closed)(struct rpc_conn *conn, const struct err *err, void *userdata);
};

/*
 * Listens on a Unix socket path with the given mode (owner: the caller). A stale socket that
 * nobody listens on is replaced; anything else at that path is -EEXIST and left alone.
 * Returns the listening fd, close-on-exec and non-blocking.
 */
int rpc_listen(const char *path, mode_t mode, struct err *err);

/* Accepts on listen_fd (ownership passes) and gives each connection these handlers. */
struct rpc_server;
int rpc_server_new(struct rpc_server **server, sd_event *event, int listen_fd,
		   const struct rpc_handlers *handlers, void *userdata);
/* Closes its connections, too, without closed(). The socket file is the caller's to remove. */
void rpc_server_free(struct rpc_server *server);
/* Sends a notification to every connection of the server. params: ownership passes. */
void rpc_server_notify(struct rpc_server *server, const char *method, json_object *params);

/* A connection on a connected stream socket (ownership passes). */
int rpc_conn_new(struct rpc_conn **conn, sd_event *event, int fd,
		 const struct rpc_handlers *handlers, void *userdata);
/* Connects to path without waiting (a Unix socket connects at once or fails). */
int rpc_connect(struct rpc_conn **conn, sd_event *event, const char *path,
		const struct rpc_handlers *handlers, void *userdata, struct err *err);
/* Ends it; closed() is not called. Allowed within any handler and done function; NULL is nothing.
 */
void rpc_conn_close(struct rpc_conn *conn);
/* Credentials of the peer at connect time (SO_PEERCRED). */
pid_t rpc_conn_peer_pid(const struct rpc_conn *conn);
uid_t rpc_conn_peer_uid(const struct rpc_conn *conn);

/*
 * Sends a request. done is called exactly once, later and never from within rpc_call: with result
 * (owned by the caller of done) and err->code 0, or with result NULL and the error: the peer's,
 * -ETIMEDOUT after timeout_ms (0: no limit), or -ECONNRESET when the connection ends, by
 * rpc_conn_close too. When rpc_call itself fails (-ENOTCONN, -EMSGSIZE, -ENOMEM, or what
 * duplicating an fd says) done is not called. params: ownership passes in every case, may be NULL.
 * fds are duplicated and remain the caller's; the line that carries some is sent by a sendmsg of
 * its own.
 */
typedef void (*rpc_done_fn)(json_object *result, const struct err *err, void *userdata);
int rpc_call(struct rpc_conn *conn, const char *method, json_object *params, const int *fds,
	     size_t n_fds, unsigned int timeout_ms, rpc_done_fn done, void *userdata);
int rpc_notify(struct rpc_conn *conn, const char *method, json_object *params);

/* result: ownership passes; NULL stands for {}. Both free the request. */
void rpc_reply(struct rpc_request *req, json_object *result);
void rpc_reply_error(struct rpc_request *req, const struct err *err);

/*
 * For programs without a loop (vio4wdctl): connect, call, wait. *result is owned by the caller.
 * A signal ends the wait with -EINTR; params: ownership passes.
 * rpc_client_call returns 0, or the negative errno that is in err: -ECONNREFUSED or -ENOENT from
 * rpc_client_connect mean that nobody serves the path.
 */
struct rpc_client;
int rpc_client_connect(struct rpc_client **client, const char *path, struct err *err);
int rpc_client_call(struct rpc_client *client, const char *method, json_object *params,
		    unsigned int timeout_ms, json_object **result, struct err *err);
/* After a failed call: true when the connection or the answer was lost (the client is then of no
 * more use), false when the peer refused. */
bool rpc_client_lost(const struct rpc_client *client);
void rpc_client_free(struct rpc_client *client);

#endif
