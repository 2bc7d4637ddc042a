/* SPDX-License-Identifier: BSD-3-Clause */

/* The types of variables that hold CPUs, endpoints, listening addresses and tokens. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>

#include "common/config_fields.h"
#include "common/config_report.h"
#include "common/config_table.h"

#define CPUS_SHOWN 80

static const char *show_cpus(const struct cpuset *set, char buf[CPUS_SHOWN])
{
	if (cpuset_format(set, buf, CPUS_SHOWN) >= CPUS_SHOWN)
		memcpy(buf + CPUS_SHOWN - 4, "...", 4);
	return buf;
}

static void cpu_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	char has[CPUS_SHOWN];
	int *field = config_field(p);
	long cpu;

	if (config_number(words->text, 0, CPUSET_MAX_CPU, &cpu) < 0) {
		config_bad(p, words, NULL);
		return;
	}
	*field = (int)cpu;
	if (!p->online || cpuset_has(p->online, cpu))
		return;
	if (p->is_default)
		*field = cpuset_next(p->online, 0);
	else
		config_bad(p, words, ", a CPU the host lacks (it has %s)",
			   show_cpus(p->online, has));
}

static struct json_object *cpu_to_json(const struct config_var *var, const struct config *cfg)
{
	return json_object_new_int(*(const int *)config_value(var, cfg));
}

const struct config_type config_type_cpu = {
	.allowed = "the number of a CPU of the host",
	.parse = cpu_parse,
	.to_json = cpu_to_json,
};

/* What is left of the default on a small host: at least one CPU, and not the first one, where
 * everything else runs, if there is another. */
static void shrink(struct cpuset *set, const struct cpuset *online)
{
	int other;

	for (size_t i = 0; i < sizeof(set->bits) / sizeof(set->bits[0]); i++)
		set->bits[i] &= online->bits[i];
	if (cpuset_count(set))
		return;
	other = cpuset_next(online, cpuset_next(online, 0) + 1);
	cpuset_add(set, other >= 0 ? other : cpuset_next(online, 0));
}

static void cpus_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	struct cpuset *set = config_field(p), lacking;
	char has[CPUS_SHOWN], lacks[CPUS_SHOWN];
	struct err err;

	if (cpuset_parse(set, words->text, &err) < 0) {
		config_report_error(p->report, words->line, "%s: %s; allowed: %s", p->var->name,
				    err.text, p->var->type->allowed);
		cpuset_clear(set);
		return;
	}
	if (!cpuset_count(set)) {
		config_bad(p, words, ", which names no CPU");
		return;
	}
	if (!p->online)
		return;
	if (p->is_default) {
		shrink(set, p->online);
		return;
	}
	lacking = *set;
	for (size_t i = 0; i < sizeof(lacking.bits) / sizeof(lacking.bits[0]); i++)
		lacking.bits[i] &= ~p->online->bits[i];
	if (cpuset_count(&lacking))
		config_bad(p, words, ", but the host lacks CPU %s (it has %s)",
			   show_cpus(&lacking, lacks), show_cpus(p->online, has));
}

static struct json_object *cpus_to_json(const struct config_var *var, const struct config *cfg)
{
	const struct cpuset *set = config_value(var, cfg);
	int len = cpuset_format(set, NULL, 0);
	struct json_object *json;
	char *text = malloc(len + 1);

	if (!text)
		return NULL;
	cpuset_format(set, text, len + 1);
	json = json_object_new_string(text);
	free(text);
	return json;
}

const struct config_type config_type_cpus = {
	.allowed =
		"CPUs of the host, as a list (1,2), with ranges (2-5) or as a hexadecimal bitmap "
		"(0x6)",
	.empty = CONFIG_EMPTY_IS_ERROR,
	.parse = cpus_parse,
	.to_json = cpus_to_json,
};

/* ADDRESS:PORT with an IPv4 address, or an IPv6 address in brackets. Where wildcard is set, "*"
 * stands for every address. */
static bool host_port_valid(const char *text, bool wildcard)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	unsigned char addr[sizeof(struct in6_addr)];
	size_t len;
	long port;

	if (!colon || config_number(colon + 1, 1, 65535, &port) < 0)
		return false;
	len = colon - text;
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (wildcard && !strcmp(host, "*"))
		return true;
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		return inet_pton(AF_INET6, host + 1, addr) == 1;
	}
	return inet_pton(AF_INET, host, addr) == 1;
}

static const char *behind(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? NULL : text + len;
}

static bool unix_path_valid(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && path[len - 1] != '/' && len <= CONFIG_SOCKET_PATH_MAX;
}

/* "On", without a path: 1.1 took an endpoint option without its argument for that. */
static bool names_no_path(const char *text)
{
	static const char *const words[] = {
		"ipc://", "ipc:", "ipc", "true", "yes", "y", "on", "1"
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	return false;
}

static void endpoint_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	const char *text = words->text, *path = behind(text, "ipc://"),
		   *tcp = behind(text, "tcp://");

	if (!*text)
		return; /* not opened */
	if (names_no_path(text))
		config_set_string(p, p->var->implied, strlen(p->var->implied));
	else if ((path && unix_path_valid(path)) || (tcp && host_port_valid(tcp, true)))
		config_set_string(p, text, strlen(text));
	else if (path && path[0] == '/' && strlen(path) > CONFIG_SOCKET_PATH_MAX)
		config_bad(p, words, ", whose path has %zu bytes; %d fit", strlen(path),
			   CONFIG_SOCKET_PATH_MAX);
	else
		config_bad(p, words, NULL);
}

const struct config_type config_type_endpoint = {
	.allowed = "ipc:///path, tcp://address:port, ipc:// or yes for the default path, or empty: "
		   "not opened",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.parse = endpoint_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static void listen_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	if (!*words->text)
		return;
	if (host_port_valid(words->text, false))
		config_set_string(p, words->text, strlen(words->text));
	else
		config_bad(p, words, NULL);
}

const struct config_type config_type_listen = {
	.allowed = "address:port (127.0.0.1:9465 or [::1]:9465), or empty: does not listen",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.parse = listen_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static void listen_unix_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	const char *path = behind(words->text, "unix:");

	if (path && unix_path_valid(path))
		config_set_string(p, words->text, strlen(words->text));
	else
		listen_parse(p, words, n);
}

const struct config_type config_type_listen_unix = {
	.allowed = "address:port (127.0.0.1:9464 or [::1]:9464), unix:/path, or empty: does not "
		   "listen",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.parse = listen_unix_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static bool uuid_valid(const char *text)
{
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return !text[36];
}

static void uuid_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	char lower[37];

	if (!*words->text)
		return;
	if (!strcmp(words->text, "0")) {
		config_set_string(p, p->var->implied, strlen(p->var->implied));
		return;
	}
	if (!uuid_valid(words->text)) {
		config_bad(p, words, NULL);
		return;
	}
	for (size_t i = 0; i < sizeof(lower); i++)
		lower[i] = (char)tolower((unsigned char)words->text[i]);
	config_set_string(p, lower, strlen(lower));
}

const struct config_type config_type_uuid = {
	.allowed = "a UUID, 0 for the well-known token, or empty: none",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.parse = uuid_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};
