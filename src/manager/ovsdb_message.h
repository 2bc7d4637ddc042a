/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What OVSDB says, RFC 7047: JSON-RPC 1.0 messages one after the other in a stream, without
 * anything between them. Here are the stream that is cut into messages, the kinds of messages that
 * matter to somebody who watches tables, and those that are sent.
 */
#ifndef VIO4WD_MANAGER_OVSDB_MESSAGE_H
#define VIO4WD_MANAGER_OVSDB_MESSAGE_H

#include <stddef.h>

#include <json-c/json.h>

#include "common/err.h"

#define OVSDB_MESSAGE_MAX (32u << 20) /* bytes; the initial contents of a table are one message */

enum ovsdb_message_kind {
	OVSDB_INITIAL, /* the answer to the request to watch: what there is */
	OVSDB_UPDATE,  /* what has changed */
	OVSDB_REFUSED, /* the request to watch was refused, or is no longer served */
	OVSDB_ECHO,    /* the server wants to know whether we are there */
	OVSDB_ECHO_OK, /* the server is there */
	OVSDB_OTHER,   /* nothing that was asked for; may be ignored */
};

struct ovsdb_message {
	enum ovsdb_message_kind kind;
	json_object *tables; /* initial, update: the <table-updates>, an object */
	json_object *params; /* echo, with id; owned by the message */
	json_object *id;
	char reason[200]; /* refused: the server's words */
};

/* Makes sense of a message: root is an object, what is found stays a part of it. Returns 0 or
 * -EBADMSG when the message is one of those above but not of their form (RFC 7047, 4.1). */
int ovsdb_message_parse(struct ovsdb_message *msg, json_object *root, struct err *err);

/* The messages that are sent; the caller puts them. NULL: out of memory. */
json_object *ovsdb_request_monitor(void); /* of Interface records: what ovsdb_table.h takes */
json_object *ovsdb_request_echo(void);
json_object *ovsdb_reply_echo(const struct ovsdb_message *msg);

struct ovsdb_stream;

/* Returns 0, or an error that ends the feeding. The message is put by the stream. */
typedef int (*ovsdb_message_fn)(json_object *message, void *userdata, struct err *err);

struct ovsdb_stream *ovsdb_stream_new(void); /* NULL: out of memory */
void ovsdb_stream_free(struct ovsdb_stream *stream);
/*
 * Takes the next bytes and calls fn with each message that they complete. Returns 0, the error of
 * fn, -EBADMSG for what is no JSON object, or -EMSGSIZE; after an error the stream is of no use.
 */
int ovsdb_stream_feed(struct ovsdb_stream *stream, const char *data, size_t size,
		      ovsdb_message_fn fn, void *userdata, struct err *err);

#endif
