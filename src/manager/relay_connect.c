/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A fresh process says to nobody when it listens: connecting is tried at short, growing intervals
 * until the deadline of hello. One that is connected to while it runs (after a restart of the
 * manager, or because the connection was lost) is asked for its snapshot before it is announced.
 */
#include "manager/relay_connect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "manager/json_util.h"

#define CONNECT_WAIT_MIN_US 1000
#define CONNECT_WAIT_MAX_US 50000

static void try_connect(struct relay *relay);

void relay_connect_drop(struct relay *relay)
{
	struct rpc_conn *conn = relay->conn;

	relay->conn = NULL;
	if (conn)
		rpc_conn_close(conn);
}

static void announce(struct relay *relay, json_object *snapshot)
{
	relay_cancel_timers(relay);
	relay->state = RELAY_RUNNING;
	relay->reason[0] = '\0';
	relay->adopted = true; /* from now on a new connection finds endpoints */
	relay->setup->events->up(relay, snapshot);
}

static void snapshot_done(json_object *result, const struct err *err, void *userdata)
{
	struct relay *relay = userdata;

	if (relay->state != RELAY_STARTING && relay->state != RELAY_LOST)
		return;
	if (err->code) {
		if (err->code != -ECONNRESET)
			relay_kill(relay, err->text);
		return;
	}
	announce(relay, result);
}

static void hello_done(json_object *result, const struct err *err, void *userdata)
{
	struct relay *relay = userdata;
	const char *version;

	if (relay->state != RELAY_STARTING && relay->state != RELAY_LOST)
		return;
	if (err->code) {
		if (err->code != -ECONNRESET)
			relay_kill(relay, err->text);
		return;
	}
	relay->max_ports = json_get_int(result, "max_ports", RELAY_PORTS_DEFAULT);
	snprintf(relay->dpdk, sizeof(relay->dpdk), "%s", json_get_text(result, "dpdk", ""));
	version = json_get_text(result, "version", "");
	log_info("relay process %u: pid %d, NUMA node %d, %s, answers after %.0f ms", relay->number,
		 relay->pid, relay->numa_node, relay->dpdk,
		 (relay_now_us() - relay->started_us) / 1e3);
	if (strcmp(version, VIO4WD_VERSION))
		log_notice("relay process %u is of version %s, the manager of %s: it changes when "
			   "the relay is started again",
			   relay->number, version, VIO4WD_VERSION);
	if (!relay->adopted)
		announce(relay, NULL);
	else if (rpc_call(relay->conn, "stats", NULL, NULL, 0, RELAY_CALL_TIMEOUT_MS, snapshot_done,
			  relay) < 0)
		relay_kill(relay, "cannot be asked for its endpoints");
}

void relay_connect_hello(struct relay *relay)
{
	if (rpc_call(relay->conn, "hello", NULL, NULL, 0, RELAY_START_TIMEOUT_MS, hello_done,
		     relay) < 0)
		relay_kill(relay, "cannot be talked to");
}

static void on_request(struct rpc_conn *conn, struct rpc_request *req, const char *method,
		       json_object *params, int *fds, size_t n_fds, void *userdata)
{
	struct relay *relay = userdata;
	const int id = json_get_int(params, "id", -1);
	struct err err;

	if (req) {
		err_set(&err, -EOPNOTSUPP, "method", "the manager serves no '%s' to relays",
			method);
		rpc_reply_error(req, &err);
	} else if (relay->state != RELAY_RUNNING || id < 0) {
		return;
	} else if (!strcmp(method, "vm")) {
		relay->setup->events->vm(relay, id, json_get_bool(params, "connected", false));
	} else if (!strcmp(method, "device")) {
		relay->setup->events->device(relay, id, json_get_bool(params, "link", false),
					     json_get_text(params, "error", NULL),
					     json_get_text(params, "mode", NULL),
					     json_get_member(params, "members", json_type_array));
	}
}

static int on_retry_connect(sd_event_source *source, uint64_t usec, void *userdata)
{
	try_connect(userdata);
	return 0;
}

static void connect_later(struct relay *relay)
{
	relay_set_timer(relay, &relay->timer, relay->connect_wait_us, on_retry_connect);
	relay->connect_wait_us += relay->connect_wait_us / 2;
	if (relay->connect_wait_us > CONNECT_WAIT_MAX_US)
		relay->connect_wait_us = CONNECT_WAIT_MAX_US;
}

/* The process itself may be fine: then it is connected to again. */
static void on_closed(struct rpc_conn *conn, const struct err *err, void *userdata)
{
	struct relay *relay = userdata;

	relay->conn = NULL;
	if (relay->state == RELAY_STOPPING || !relay->exit_source)
		return;
	if (relay->state == RELAY_RUNNING) {
		relay->state = RELAY_LOST;
		relay_set_deadline(relay, RELAY_ADOPT_DEADLINE_US);
	}
	relay->connect_wait_us = CONNECT_WAIT_MAX_US;
	connect_later(relay);
}

static const struct rpc_handlers handlers = { .request = on_request, .closed = on_closed };

static int connect_now(struct relay *relay)
{
	struct err err;
	int rc;

	rc = rpc_connect(&relay->conn, relay->setup->event, relay->socket, &handlers, relay, &err);
	if (rc < 0)
		relay->conn = NULL;
	return rc;
}

static void try_connect(struct relay *relay)
{
	relay->timer = sd_event_source_disable_unref(relay->timer);
	if (connect_now(relay) < 0)
		connect_later(relay);
	else if (rpc_conn_peer_pid(relay->conn) != relay->pid)
		relay_kill(relay, "another process serves its socket");
	else
		relay_connect_hello(relay);
}

void relay_connect_fresh(struct relay *relay)
{
	relay->connect_wait_us = CONNECT_WAIT_MIN_US;
	connect_later(relay);
}

int relay_connect_adopt(struct relay *relay)
{
	const int rc = connect_now(relay);

	if (rc < 0)
		return rc;
	relay->pid = rpc_conn_peer_pid(relay->conn);
	return 0;
}

struct pending_call {
	struct relay *relay;
	rpc_done_fn done;
	void *userdata;
};

static void call_done(json_object *result, const struct err *err, void *userdata)
{
	struct pending_call call = *(struct pending_call *)userdata;

	free(userdata);
	/* No step may be tried on a connection that is about to be closed. */
	if (err->code == -ECONNRESET && call.relay->state == RELAY_RUNNING) {
		call.relay->state = RELAY_LOST;
		relay_set_deadline(call.relay, RELAY_ADOPT_DEADLINE_US);
	}
	if (err->code == -ETIMEDOUT) {
		relay_kill(call.relay, err->text);
		if (call.relay->state == RELAY_RUNNING)
			call.relay->state = RELAY_LOST;
	}
	call.done(result, err, call.userdata);
}

int relay_call(struct relay *relay, const char *method, json_object *params, const int *fds,
	       size_t n_fds, unsigned int timeout_ms, rpc_done_fn done, void *userdata)
{
	struct pending_call *call = NULL;
	int rc = -ENOTCONN;

	if (relay->state == RELAY_RUNNING && relay->conn)
		call = malloc(sizeof(*call));
	if (!call) {
		json_object_put(params);
		return rc;
	}
	*call = (struct pending_call){ relay, done, userdata };
	rc = rpc_call(relay->conn, method, params, fds, n_fds, timeout_ms, call_done, call);
	if (rc < 0)
		free(call);
	return rc;
}
