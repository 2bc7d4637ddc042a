/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "wire/rpc_msg.h"

static int bad(struct err *err, const char *why)
{
	return err_set(err, -EBADMSG, "json-rpc", "not a JSON-RPC 2.0 message: %s", why);
}

static bool is_blank(const char *line, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	}
	return true;
}

/* To JSON_TOKENER_STRICT of json-c 0.18 all that is not ASCII is a control character. */
static int strictness(const char *line, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)line[i] > 0x7f)
			return 0;
	}
	return JSON_TOKENER_STRICT;
}

static int parse_json(json_object **root, const char *line, size_t size, struct err *err)
{
	struct json_tokener *tok = json_tokener_new_ex(RPC_JSON_DEPTH);
	enum json_tokener_error error;
	char why[96];
	int ret = 0;

	if (!tok)
		return err_set(err, -ENOMEM, "json-rpc", "out of memory");
	json_tokener_set_flags(tok, JSON_TOKENER_VALIDATE_UTF8 | strictness(line, size));
	*root = json_tokener_parse_ex(tok, line, (int)size);
	error = json_tokener_get_error(tok);
	if (error != json_tokener_success) {
		snprintf(why, sizeof(why), "%s at byte %zu",
			 error == json_tokener_continue ? "incomplete"
							: json_tokener_error_desc(error),
			 json_tokener_get_parse_end(tok));
		ret = bad(err, why);
	} else if (!is_blank(line + json_tokener_get_parse_end(tok),
			     size - json_tokener_get_parse_end(tok))) {
		ret = bad(err, "more than one value in a line");
	} else if (!json_object_is_type(*root, json_type_object)) {
		ret = bad(err, "not an object");
	}
	json_tokener_free(tok);
	return ret;
}

static int parse_request(struct rpc_msg *msg, json_object *method, struct err *err)
{
	if (!json_object_is_type(method, json_type_string))
		return bad(err, "method is not a string");
	msg->method = json_object_get_string(method);
	if (json_object_object_get_ex(msg->root, "params", &msg->params) && msg->params &&
	    !json_object_is_type(msg->params, json_type_object))
		return bad(err, "params is not an object");
	msg->kind = RPC_MSG_NOTIFY;
	if (json_object_object_get_ex(msg->root, "id", &msg->id)) {
		msg->kind = RPC_MSG_REQUEST;
		if (msg->id && !json_object_is_type(msg->id, json_type_int) &&
		    !json_object_is_type(msg->id, json_type_double) &&
		    !json_object_is_type(msg->id, json_type_string))
			return bad(err, "id is neither a number nor a string");
	}
	return 0;
}

static void parse_error_object(struct rpc_msg *msg, json_object *error)
{
	json_object *value, *data;
	const char *text = "no reason given", *step = "peer";
	int code = -EPROTO;

	if (json_object_object_get_ex(error, "message", &value) &&
	    json_object_is_type(value, json_type_string))
		text = json_object_get_string(value);
	/* 4095 is the greatest errno the kernel's interfaces know. */
	if (json_object_object_get_ex(error, "code", &value) &&
	    json_object_is_type(value, json_type_int) && json_object_get_int64(value) < 0 &&
	    json_object_get_int64(value) >= -4095)
		code = json_object_get_int(value);
	if (json_object_object_get_ex(error, "data", &data) &&
	    json_object_is_type(data, json_type_object) &&
	    json_object_object_get_ex(data, "step", &value) &&
	    json_object_is_type(value, json_type_string))
		step = json_object_get_string(value);
	err_set(&msg->error, code, step, "%s", text);
}

static int parse_response(struct rpc_msg *msg, struct err *err)
{
	json_object *error = NULL, *id = NULL;
	bool has_result = json_object_object_get_ex(msg->root, "result", &msg->result);
	bool has_error = json_object_object_get_ex(msg->root, "error", &error);

	if (has_result == has_error)
		return bad(err, "neither a request nor a response");
	if (!json_object_object_get_ex(msg->root, "id", &id))
		return bad(err, "a response without id");
	if (id && !json_object_is_type(id, json_type_int))
		return bad(err, "a response to something never asked");
	msg->call = id ? json_object_get_int64(id) : -1;
	msg->kind = has_error ? RPC_MSG_ERROR : RPC_MSG_RESULT;
	if (!has_error)
		return 0;
	if (!json_object_is_type(error, json_type_object))
		return bad(err, "error is not an object");
	parse_error_object(msg, error);
	return 0;
}

int rpc_msg_parse(struct rpc_msg *msg, const char *line, size_t size, struct err *err)
{
	json_object *value;
	int ret;

	*msg = (struct rpc_msg){ .kind = RPC_MSG_BLANK };
	if (is_blank(line, size))
		return 0;
	ret = parse_json(&msg->root, line, size, err);
	if (ret < 0)
		goto out;
	if (!json_object_object_get_ex(msg->root, "jsonrpc", &value) ||
	    !json_object_is_type(value, json_type_string) ||
	    strcmp(json_object_get_string(value), "2.0") != 0)
		ret = bad(err, "\"jsonrpc\": \"2.0\" is missing");
	else if (json_object_object_get_ex(msg->root, "method", &value))
		ret = parse_request(msg, value, err);
	else
		ret = parse_response(msg, err);
out:
	if (ret < 0)
		rpc_msg_clear(msg);
	return ret;
}

void rpc_msg_clear(struct rpc_msg *msg)
{
	json_object_put(msg->root);
	*msg = (struct rpc_msg){ .kind = RPC_MSG_BLANK };
}

static json_object *new_message(void)
{
	json_object *msg = json_object_new_object();

	if (msg)
		json_object_object_add(msg, "jsonrpc", json_object_new_string("2.0"));
	return msg;
}

static json_object *new_request(const char *method, json_object *params)
{
	json_object *msg = new_message();

	if (!msg) {
		json_object_put(params);
		return NULL;
	}
	json_object_object_add(msg, "method", json_object_new_string(method));
	if (params)
		json_object_object_add(msg, "params", params);
	return msg;
}

json_object *rpc_msg_call(int64_t call, const char *method, json_object *params)
{
	json_object *msg = new_request(method, params);

	if (msg)
		json_object_object_add(msg, "id", json_object_new_int64(call));
	return msg;
}

json_object *rpc_msg_notify(const char *method, json_object *params)
{
	return new_request(method, params);
}

json_object *rpc_msg_result(json_object *id, json_object *result)
{
	json_object *msg = new_message();

	if (!msg) {
		json_object_put(id);
		json_object_put(result);
		return NULL;
	}
	json_object_object_add(msg, "id", id);
	json_object_object_add(msg, "result", result ? result : json_object_new_object());
	return msg;
}

/* Error texts quote what they were given (file names, a cut sequence at their end), and a line that
 * is not UTF-8 would end the connection. */
static json_object *new_text(const char *text)
{
	char clean[sizeof(((struct err *)NULL)->text)];

	snprintf(clean, sizeof(clean), "%s", text);
	text_clean(clean);
	return json_object_new_string(clean);
}

json_object *rpc_msg_error(json_object *id, const struct err *err)
{
	json_object *msg = new_message(), *error, *data;

	if (!msg) {
		json_object_put(id);
		return NULL;
	}
	error = json_object_new_object();
	data = json_object_new_object();
	json_object_object_add(error, "code", json_object_new_int(err->code));
	json_object_object_add(error, "message", new_text(err->text));
	json_object_object_add(data, "step", new_text(err->step));
	json_object_object_add(error, "data", data);
	json_object_object_add(msg, "id", id);
	json_object_object_add(msg, "error", error);
	return msg;
}

const char *rpc_msg_text(json_object *msg, size_t *size)
{
	return json_object_to_json_string_length(
		msg, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, size);
}
