/* SPDX-License-Identifier: BSD-3-Clause */

/* What lines mean: our calls and their answers, the peer's requests and ours. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "wire/rpc_conn.h"
#include "wire/rpc_msg.h"

#define UNANSWERED_MAX 1024 /* requests of one peer that wait for their answers */

struct call {
	TAILQ_ENTRY(call) entry;
	int64_t id;
	sd_event_source *timer;
	struct rpc_conn *conn;
	rpc_done_fn done;
	void *userdata;
};

static void call_finish(struct call *call, json_object *result, const struct err *err)
{
	TAILQ_REMOVE(&call->conn->calls, call, entry);
	sd_event_source_disable_unref(call->timer);
	call->done(result, err, call->userdata);
	free(call);
}

void conn_fail_calls(struct rpc_conn *conn, const struct err *why)
{
	struct err err;

	err_set(&err, -ECONNRESET, "connection", "the connection was closed%s%s",
		why->code ? ": " : "", why->code ? why->text : "");
	while (!TAILQ_EMPTY(&conn->calls))
		call_finish(TAILQ_FIRST(&conn->calls), NULL, &err);
}

static int on_call_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct call *call = userdata;
	struct rpc_conn *conn = call->conn;
	struct err err;

	err_set(&err, -ETIMEDOUT, "call", "no answer in time");
	conn->refs++;
	call_finish(call, NULL, &err);
	conn_unref(conn);
	return 0;
}

int rpc_call(struct rpc_conn *conn, const char *method, json_object *params, const int *fds,
	     size_t n_fds, unsigned int timeout_ms, rpc_done_fn done, void *userdata)
{
	struct call *call = calloc(1, sizeof(*call));
	int ret = -ENOMEM;

	if (!call) {
		json_object_put(params);
		return ret;
	}
	*call = (struct call){ .conn = conn, .done = done, .userdata = userdata };
	call->id = ++conn->last_call;
	if (timeout_ms) {
		ret = sd_event_add_time_relative(conn->event, &call->timer, CLOCK_MONOTONIC,
						 timeout_ms * 1000ull, 1000, on_call_timeout, call);
		if (ret < 0) {
			json_object_put(params);
			goto fail;
		}
	}
	ret = conn_send(conn, rpc_msg_call(call->id, method, params), fds, n_fds);
	if (ret < 0)
		goto fail;
	TAILQ_INSERT_TAIL(&conn->calls, call, entry);
	return 0;
fail:
	sd_event_source_disable_unref(call->timer);
	free(call);
	return ret;
}

static void handle_response(struct rpc_conn *conn, struct rpc_msg *msg)
{
	static const struct err none;
	struct call *call;

	TAILQ_FOREACH(call, &conn->calls, entry)
	{
		if (call->id == msg->call)
			break;
	}
	if (!call) { /* its time had run out */
		log_debug("rpc: an answer came too late (call %lld)", (long long)msg->call);
		return;
	}
	if (msg->kind == RPC_MSG_ERROR)
		call_finish(call, NULL, &msg->error);
	else
		call_finish(call, msg->result, &none);
}

int rpc_notify(struct rpc_conn *conn, const char *method, json_object *params)
{
	return conn_send(conn, rpc_msg_notify(method, params), NULL, 0);
}

static void request_free(struct rpc_request *req)
{
	if (req->conn) {
		TAILQ_REMOVE(&req->conn->requests, req, entry);
		req->conn->n_requests--;
	}
	json_object_put(req->id);
	free(req);
}

static void request_answer(struct rpc_request *req, json_object *msg)
{
	struct err err;
	int ret;

	if (!req->conn) {
		json_object_put(msg);
		request_free(req);
		return;
	}
	ret = conn_send(req->conn, msg, NULL, 0);
	if (ret == -EMSGSIZE) {
		err_set(&err, ret, "reply", "the answer is longer than %u bytes", RPC_LINE_MAX);
		ret = conn_send(req->conn, rpc_msg_error(json_object_get(req->id), &err), NULL, 0);
	}
	if (ret < 0 && ret != -ENOTCONN) {
		/* The peer waits for an answer that will not come. */
		err_set(&err, ret, "reply", "sending an answer: %s", strerror(-ret));
		conn_fail_later(req->conn, &err);
	}
	request_free(req);
}

void rpc_reply(struct rpc_request *req, json_object *result)
{
	request_answer(req, rpc_msg_result(json_object_get(req->id), result));
}

void rpc_reply_error(struct rpc_request *req, const struct err *err)
{
	request_answer(req, rpc_msg_error(json_object_get(req->id), err));
}

static struct rpc_request *request_new(struct rpc_conn *conn, json_object *id)
{
	struct rpc_request *req = calloc(1, sizeof(*req));

	if (!req)
		return NULL;
	req->conn = conn;
	req->id = json_object_get(id);
	TAILQ_INSERT_TAIL(&conn->requests, req, entry);
	conn->n_requests++;
	return req;
}

static void refuse(struct rpc_conn *conn, json_object *id, int code, const char *why)
{
	struct err err;

	err_set(&err, code, "json-rpc", "%s", why);
	conn_send(conn, rpc_msg_error(json_object_get(id), &err), NULL, 0);
}

static void handle_request(struct rpc_conn *conn, struct rpc_msg *msg, int *fds, size_t n_fds)
{
	struct rpc_request *req = NULL;
	json_object *params;

	if (!conn->handlers.request) {
		if (msg->kind == RPC_MSG_REQUEST)
			refuse(conn, msg->id, -ENOSYS, "no requests are served here");
		return;
	}
	if (msg->kind == RPC_MSG_REQUEST) {
		if (conn->n_requests < UNANSWERED_MAX)
			req = request_new(conn, msg->id);
		if (!req) {
			refuse(conn, msg->id, -EBUSY,
			       "too many requests of this connection wait for their answers");
			return;
		}
	}
	params = msg->params ? json_object_get(msg->params) : json_object_new_object();
	conn->handlers.request(conn, req, msg->method, params, fds, n_fds, conn->userdata);
	json_object_put(params);
}

void conn_orphan_requests(struct rpc_conn *conn)
{
	struct rpc_request *req;

	while ((req = TAILQ_FIRST(&conn->requests))) {
		TAILQ_REMOVE(&conn->requests, req, entry);
		req->conn = NULL;
	}
}

void conn_line(struct rpc_conn *conn, const char *line, size_t size, int *fds, size_t n_fds)
{
	struct rpc_msg msg;
	struct err err;

	if (size >= RPC_LINE_MAX)
		err_set(&err, -EMSGSIZE, "json-rpc", "a line of more than %u bytes", RPC_LINE_MAX);
	if (size >= RPC_LINE_MAX || rpc_msg_parse(&msg, line, size, &err) < 0) {
		conn_reject(conn, &err);
		return;
	}
	switch (msg.kind) {
	case RPC_MSG_BLANK:
		break;
	case RPC_MSG_REQUEST:
	case RPC_MSG_NOTIFY:
		handle_request(conn, &msg, fds, n_fds);
		break;
	case RPC_MSG_ERROR:
		if (msg.call < 0) { /* about something we sent that the peer could not read */
			conn_end(conn, &msg.error);
			break;
		}
		/* fallthrough */
	case RPC_MSG_RESULT:
		handle_response(conn, &msg);
		break;
	}
	rpc_msg_clear(&msg);
}
