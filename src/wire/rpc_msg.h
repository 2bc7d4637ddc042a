/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * JSON-RPC 2.0 messages as text: one line to one classified message and back. No I/O.
 */
#ifndef VIO4WD_RPC_MSG_H
#define VIO4WD_RPC_MSG_H

#include <stdint.h>

#include <json-c/json.h>

#include "common/err.h"

#define RPC_JSON_DEPTH 32

enum rpc_msg_kind { RPC_MSG_BLANK, RPC_MSG_REQUEST, RPC_MSG_NOTIFY, RPC_MSG_RESULT, RPC_MSG_ERROR };

struct rpc_msg {
	enum rpc_msg_kind kind;
	json_object *root;   /* owned; the rest points into it */
	const char *method;  /* REQUEST, NOTIFY */
	json_object *params; /* REQUEST, NOTIFY: an object, or NULL when there was none */
	json_object *id;     /* REQUEST; may be NULL, JSON's null */
	int64_t call;	     /* RESULT, ERROR: the id we gave the call; -1 when it is null */
	json_object *result; /* RESULT; may be NULL, JSON's null */
	struct err error;    /* ERROR */
};

/* line has no newline. Returns 0 and *msg, ended by rpc_msg_clear, or -EBADMSG with the reason. */
int rpc_msg_parse(struct rpc_msg *msg, const char *line, size_t size, struct err *err);
void rpc_msg_clear(struct rpc_msg *msg);

/* All of these return an object that is owned by the caller, or NULL without memory; params, id
 * and result: ownership passes. */
json_object *rpc_msg_call(int64_t call, const char *method, json_object *params);
json_object *rpc_msg_notify(const char *method, json_object *params);
json_object *rpc_msg_result(json_object *id, json_object *result);
json_object *rpc_msg_error(json_object *id, const struct err *err);

/* The text of a message, one line without the newline; points into msg. */
const char *rpc_msg_text(json_object *msg, size_t *size);

#endif
