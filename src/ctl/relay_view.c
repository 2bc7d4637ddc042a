/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/relay_view.h"

/* Appends to a text that may be full already. */
static void append(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *buf, size_t size, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
}

static void append_list(char *buf, size_t size, json_object *list)
{
	if (json_length(list) == 0)
		append(buf, size, "-");
	for (size_t i = 0; i < json_length(list); i++)
		append(buf, size, "%s%d", i ? "," : "",
		       json_object_get_int(json_object_array_get_idx(list, i)));
}

char *format_cpus(json_object *relay, char *buf, size_t size)
{
	json_object *up = json_at(relay, "cpus.vf_to_vm"), *down = json_at(relay, "cpus.vm_to_vf");

	buf[0] = '\0';
	append_list(buf, size, up);
	if (!up || !down || !json_object_equal(up, down)) {
		append(buf, size, "/");
		append_list(buf, size, down);
	}
	return buf;
}

char *format_rate(json_object *rate, char *buf, size_t size)
{
	snprintf(buf, size, "%s %s", PACKETS(json_number(rate, "packets")),
		 BITS(json_number(rate, "bytes")));
	return buf;
}

char *format_drops(json_object *drops, char *buf, size_t size)
{
	buf[0] = '\0';
	if (!json_object_is_type(drops, json_type_object))
		return buf;
	json_object_object_foreach(drops, reason, value) {
		if (json_number(value, "packets") > 0)
			append(buf, size, "%s%s %.0f", *buf ? ", " : "", reason,
			       json_number(value, "packets"));
	}
	return buf;
}

const char *relay_serves(json_object *relay)
{
	const char *mode = json_text(relay, "vdpa.mode");

	return *mode && strcmp(mode, "-") ? mode : json_text(relay, "backend");
}

char *format_reason(json_object *relay, char *buf, size_t size)
{
	json_object *reason = json_at(relay, "reason");

	snprintf(buf, size, "%s", reason ? json_object_get_string(reason) : "");
	if (json_at(relay, "next_try_s"))
		append(buf, size, "%snext try in %.0f s", *buf ? "; " : "",
		       json_number(relay, "next_try_s"));
	return buf;
}
