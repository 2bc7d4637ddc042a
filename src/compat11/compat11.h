/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The scripts of virtio-forwarder 1.1 that others call: the same names, options, output and exit
 * statuses. Each takes its command line and returns its exit status: 0, 1 (refused, no answer) or 2
 * (wrong options).
 */
#ifndef VIO4WD_COMPAT11_H
#define VIO4WD_COMPAT11_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "wire/virtioforwarder.pb-c.h"

#define ENDPOINT_DIR "ipc:///var/run/virtio-forwarder/" /* 1.1's defaults */

int compat11_port_control(int argc, char **argv);
int compat11_stats(int argc, char **argv);
int compat11_core_pinner(int argc, char **argv);
int compat11_monitor_load(int argc, char **argv);

/* --- args.c: options as 1.1's parser takes them --- */

enum arg_kind { ARG_TEXT, ARG_FLAG, ARG_UINT, ARG_REAL, ARG_LIST };

struct arg {		  /* of a table that ends with name NULL */
	const char *name; /* without -- */
	char letter;	  /* short form, or 0 */
	enum arg_kind kind;
	const char *value; /* how help shows it */
	const char *help;
	double min, max; /* of numbers */
	/* What was given; text and list elements point into argv. */
	bool given;
	const char *text;
	double number;
	const char **list; /* argc elements at most; freed by nobody: it is there to the end */
	size_t n_list;
};

/*
 * Reads the options into args, and the operand, if usage names one, into *operand. Returns -1 to go
 * on, 0 after --help, 2 after a message about wrong options. operands is how help shows them, or
 * ""; about says what the program does.
 */
int args_parse(int argc, char **argv, struct arg *args, const char *operands, const char *about,
	       const char **operand);

/* The option that names an endpoint; file is the endpoint's own in ENDPOINT_DIR. */
#define ARG_ENDPOINT(option, file)                                         \
	{                                                                  \
		.name = option, .kind = ARG_TEXT, .value = "EP",           \
		.help = "ZeroMQ endpoint (default: " ENDPOINT_DIR file ")" \
	}

/* The entry of that name, which must be there. */
const struct arg *args_find(const struct arg *args, const char *name);
/* What was given, or fallback. */
const char *args_text(const struct arg *args, const char *name, const char *fallback);

/* --- call.c: requests --- */

/*
 * Sends a message to an endpoint and waits for the answer, which the caller frees with
 * protobuf_c_message_free_unpacked(). NULL, after a message on stderr: there is no answer in time,
 * or it is none of that type.
 */
void *call_endpoint(const char *endpoint, const ProtobufCMessage *request,
		    const ProtobufCMessageDescriptor *answer, unsigned int timeout_ms);

/* The states of relays; NULL as above, and when the status is not OK. */
Virtioforwarder__StatsResponse *call_stats(const char *endpoint, bool include_inactive,
					   unsigned int delay_ms);
/* The CPUs of workers; NULL as above, and when the status is not OK. */
Virtioforwarder__CoreSchedResponse *call_cores(const char *endpoint);

/* --- text_format.c: messages and numbers as Python shows them --- */

#define REAL_TEXT_MAX 340

/* The protobuf text format, a field a line, of those fields that are set. */
void text_format_print(const ProtobufCMessage *message);
/* The shortest text that reads as this number again: "0.0", "1e+16". Returns buf. */
const char *text_real(double value, char buf[REAL_TEXT_MAX]);

#endif
