/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/ovsdb_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "manager/json_util.h"

#define DEPTH_MAX 32 /* a table-updates object has six levels */
#define MONITOR_ID 0 /* of the request, and the name of what is watched */
#define ECHO_ID "vio4wd"

struct ovsdb_stream {
	struct json_tokener *tokener;
	size_t used; /* bytes of the message under way; 0: none */
};

struct ovsdb_stream *ovsdb_stream_new(void)
{
	struct ovsdb_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!stream->tokener) {
		free(stream);
		return NULL;
	}
	/* Whether texts are UTF-8 is looked at where they are used: one bad record is not to keep
	 * the others away. Not JSON_TOKENER_STRICT: see wire/rpc_msg.c. */
	return stream;
}

void ovsdb_stream_free(struct ovsdb_stream *stream)
{
	if (!stream)
		return;
	json_tokener_free(stream->tokener);
	free(stream);
}

static size_t blanks(const char *data, size_t size)
{
	size_t n = 0;

	while (n < size && memchr(" \t\r\n", data[n], 4))
		n++;
	return n;
}

/* Gives the tokener the bytes of one message at most. Returns how many it took, or the error. */
static ssize_t feed_one(struct ovsdb_stream *stream, const char *data, size_t size,
			json_object **message, struct err *err)
{
	enum json_tokener_error error;
	size_t taken;

	*message = json_tokener_parse_ex(stream->tokener, data, (int)size);
	error = json_tokener_get_error(stream->tokener);
	if (error != json_tokener_success && error != json_tokener_continue)
		return err_set(err, -EBADMSG, "json-rpc", "the server sent what is no JSON: %s",
			       json_tokener_error_desc(error));
	taken = error == json_tokener_continue ? size : json_tokener_get_parse_end(stream->tokener);
	stream->used += taken;
	if (stream->used > OVSDB_MESSAGE_MAX) {
		json_object_put(*message);
		return err_set(err, -EMSGSIZE, "json-rpc",
			       "the server sent a message of more than %u MiB",
			       OVSDB_MESSAGE_MAX >> 20);
	}
	if (*message)
		stream->used = 0;
	return (ssize_t)taken;
}

int ovsdb_stream_feed(struct ovsdb_stream *stream, const char *data, size_t size,
		      ovsdb_message_fn fn, void *userdata, struct err *err)
{
	while (size) {
		const size_t skipped = stream->used ? 0 : blanks(data, size);
		json_object *message;
		ssize_t taken;
		int rc;

		data += skipped;
		size -= skipped;
		if (!size)
			break;
		/* A number or word by itself has no end that a parser could see. */
		if (!stream->used && *data != '{')
			return err_set(err, -EBADMSG, "json-rpc",
				       "the server sent what is no JSON object");
		taken = feed_one(stream, data, size, &message, err);
		if (taken < 0)
			return (int)taken;
		data += taken;
		size -= (size_t)taken;
		if (!message)
			continue;
		rc = fn(message, userdata, err);
		json_object_put(message);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int malformed(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "json-rpc", "the server sent a malformed %s (RFC 7047)",
		       what);
}

static bool is_null(json_object *root, const char *key)
{
	json_object *value;

	return !json_object_object_get_ex(root, key, &value) || !value;
}

static bool is_monitor(json_object *id)
{
	return json_object_is_type(id, json_type_int) && json_object_get_int64(id) == MONITOR_ID;
}

static int parse_update(struct ovsdb_message *msg, struct err *err)
{
	if (json_object_array_length(msg->params) != 2)
		return malformed(err, "update");
	if (!is_monitor(json_object_array_get_idx(msg->params, 0)))
		return 0;
	msg->tables = json_object_array_get_idx(msg->params, 1);
	if (!json_object_is_type(msg->tables, json_type_object))
		return malformed(err, "update");
	msg->kind = OVSDB_UPDATE;
	return 0;
}

static int parse_method(struct ovsdb_message *msg, json_object *root, const char *method,
			struct err *err)
{
	msg->params = json_get_member(root, "params", json_type_array);
	if (!msg->params)
		return malformed(err, "request");
	if (!strcmp(method, "echo")) {
		msg->kind = OVSDB_ECHO;
	} else if (!strcmp(method, "update")) {
		return parse_update(msg, err);
	} else if (!strcmp(method, "monitor_canceled")) {
		msg->kind = OVSDB_REFUSED;
		snprintf(msg->reason, sizeof(msg->reason), "the database was taken away");
	}
	return 0;
}

/* RFC 7047 knows an error as an object; servers also answer with a text. */
static void take_reason(struct ovsdb_message *msg, json_object *error)
{
	const char *text = json_get_text(error, "details", json_get_text(error, "error", NULL));

	if (!text && json_object_is_type(error, json_type_string))
		text = json_object_get_string(error);
	snprintf(msg->reason, sizeof(msg->reason), "%.190s", text ? text : "no reason given");
	text_clean(msg->reason);
}

static int parse_answer(struct ovsdb_message *msg, json_object *root, struct err *err)
{
	if (json_object_is_type(msg->id, json_type_string) &&
	    !strcmp(json_object_get_string(msg->id), ECHO_ID)) {
		msg->kind = OVSDB_ECHO_OK;
		return 0;
	}
	if (!is_monitor(msg->id))
		return 0;
	if (!is_null(root, "error")) {
		msg->kind = OVSDB_REFUSED;
		take_reason(msg, json_object_object_get(root, "error"));
		return 0;
	}
	msg->kind = OVSDB_INITIAL;
	msg->tables = json_get_member(root, "result", json_type_object);
	return msg->tables ? 0 : malformed(err, "answer");
}

int ovsdb_message_parse(struct ovsdb_message *msg, json_object *root, struct err *err)
{
	const char *method = json_get_text(root, "method", NULL);

	*msg = (struct ovsdb_message){ .kind = OVSDB_OTHER };
	msg->id = json_object_object_get(root, "id");
	return method ? parse_method(msg, root, method, err) : parse_answer(msg, root, err);
}

json_object *ovsdb_request_monitor(void)
{
	json_object *request = json_tokener_parse(
		"{\"method\": \"monitor\", \"params\": [\"Open_vSwitch\", 0, {\"Interface\": "
		"{\"columns\": [\"name\", \"type\", \"external_ids\"]}}]}");

	if (request)
		json_put_int(request, "id", MONITOR_ID);
	return request;
}

json_object *ovsdb_request_echo(void)
{
	json_object *request = json_tokener_parse("{\"method\": \"echo\", \"params\": []}");

	if (request)
		json_put_text(request, "id", ECHO_ID);
	return request;
}

json_object *ovsdb_reply_echo(const struct ovsdb_message *msg)
{
	json_object *reply = json_object_new_object();

	if (!reply)
		return NULL;
	json_put_shared(reply, "id", msg->id);
	json_put_shared(reply, "result", msg->params);
	json_put_shared(reply, "error", NULL);
	return reply;
}
