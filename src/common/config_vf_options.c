/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VIO4WD_VF_OPTIONS: what VFs are to be like, most of which their PF is told; one entry per word:
 *
 *	DEVICE:OPTION=VALUE[,OPTION=VALUE...]
 *
 * Addresses have colons and so has a MAC address, but no option's name has: DEVICE ends at the last
 * colon in front of the first '='. An interface with a '=' in its name is named by its address.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/cleanup.h"
#include "common/config_fields.h"
#include "common/config_report.h"
#include "common/config_table.h"
#include "common/suggest.h"

#define VLAN_MAX 4094 /* IEEE 802.1Q: 4095 is reserved */
#define QOS_MAX 7

/* Where one entry is being read: what is wrong is told with all of it. */
struct entry {
	struct config_parser *p;
	const struct config_word *word;
	struct config_vf_options *options;
	bool of_many; /* the device is an interface, so a PF: all of its VFs */
};

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
	for (unsigned int i = 0; i < 6; i++, text += 3) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
	}
	return true;
}

static bool take_mac(struct entry *e, const char *text)
{
	static const uint8_t zero[6];
	uint8_t *mac = e->options->mac;

	if (e->of_many)
		config_bad(e->p, e->word,
			   ", where a MAC address is given to all VFs of a PF; it is for one VF, "
			   "as in %s.vf0:mac=...",
			   e->options->device);
	else if (!parse_mac(text, mac))
		config_bad(e->p, e->word,
			   ", where %s is no MAC address, which looks like 52:54:00:12:34:56",
			   QUOTE(text));
	else if (!memcmp(mac, zero, sizeof(zero)))
		config_bad(e->p, e->word, ", where the MAC address is all zero");
	else if (mac[0] & 1)
		config_bad(e->p, e->word,
			   ", where %s is a group address; the first byte must be even",
			   QUOTE(text));
	else
		return e->options->has_mac = true;
	return false;
}

static bool take_number(struct entry *e, const char *name, const char *text, long min, long max,
			int *field)
{
	long value;

	if (config_number(text, min, max, &value) < 0) {
		config_bad(e->p, e->word, ", where %s is %s and must be a number from %ld to %ld",
			   name, QUOTE(text), min, max);
		return false;
	}
	*field = (int)value;
	return true;
}

static bool take_queues(struct entry *e, const char *name, const char *text)
{
	int queues = 0;

	if (!take_number(e, name, text, 1, CONFIG_QUEUES_MAX, &queues))
		return false;
	e->options->queues = (unsigned int)queues;
	return true;
}

static bool take_bool(struct entry *e, const char *name, const char *text, int *field)
{
	bool value;

	if (config_boolean(text, &value) < 0) {
		config_bad(e->p, e->word, ", where %s is %s and must be on or off", name,
			   QUOTE(text));
		return false;
	}
	*field = value;
	return true;
}

static void unknown_option(struct entry *e, const char *name, const char *const *known, size_t n)
{
	struct suggestion near = SUGGESTION_FOR(name);

	for (size_t i = 0; i < n; i++)
		suggestion_offer(&near, known[i]);
	if (suggestion_is_close(&near))
		config_bad(e->p, e->word, ", where %s is no option; did you mean %s?", QUOTE(name),
			   near.best);
	else
		config_bad(e->p, e->word, ", where %s is no option", QUOTE(name));
}

/* One "name=value"; given tells the options that were there before. */
static bool take_option(struct entry *e, char *text, unsigned int *given)
{
	static const char *const names[] = { "mac", "vlan", "qos", "trust", "spoofchk", "queues" };
	enum { MAC, VLAN, QOS, TRUST, SPOOFCHK, QUEUES, N };
	char *value = strchr(text, '=');
	unsigned int which = 0;

	if (!value) {
		config_bad(e->p, e->word, ", where %s has no =", QUOTE(text));
		return false;
	}
	*value++ = '\0';
	while (which < N && strcmp(names[which], text))
		which++;
	if (which < N && *given & 1u << which) {
		config_bad(e->p, e->word, ", where %s is there twice", text);
		return false;
	}
	*given |= 1u << which;
	switch (which) {
	case MAC:
		return take_mac(e, value);
	case VLAN:
		return take_number(e, text, value, 0, VLAN_MAX, &e->options->vlan);
	case QOS:
		return take_number(e, text, value, 0, QOS_MAX, &e->options->qos);
	case TRUST:
		return take_bool(e, text, value, &e->options->trust);
	case SPOOFCHK:
		return take_bool(e, text, value, &e->options->spoofchk);
	case QUEUES:
		return take_queues(e, text, value);
	default:
		unknown_option(e, text, names, N);
		return false;
	}
}

/* The device in its canonical spelling; an interface is a PF, with or without netdev:. */
static bool take_device(struct entry *e, const char *text)
{
	char full[DEVNAME_MAX + 8];
	struct devname dev;
	struct err err;

	if (config_resolve_device(e->p->cfg, text, &dev, &err) < 0) {
		snprintf(full, sizeof(full), "netdev:%s", text);
		if (!*text || strstr(text, ".vf") || devname_parse(&dev, full, NULL) < 0) {
			config_report_error(e->p->report, e->word->line, "%s: found %s: %s",
					    e->p->var->name, QUOTE(e->word->text), err.text);
			return false;
		}
	}
	if (dev.kind == DEVNAME_VDEV) {
		config_bad(e->p, e->word, ", where %s is neither a VF nor a PF", QUOTE(text));
		return false;
	}
	e->of_many = dev.kind == DEVNAME_NETDEV;
	e->options->device = strdup(e->of_many ? dev.netdev : dev.text);
	if (!e->options->device)
		config_out_of_memory(e->p);
	return e->options->device;
}

static bool take_entry(struct entry *e)
{
	_cleanup_free_ char *text = strdup(e->word->text);
	unsigned int given = 0;
	char *equals, *colon, *option, *rest;

	if (!text) {
		config_out_of_memory(e->p);
		return false;
	}
	equals = strchr(text, '=');
	if (!equals) {
		config_bad(e->p, e->word, ", which has no option, as in ens3.vf0:vlan=100");
		return false;
	}
	colon = memrchr(text, ':', equals - text);
	if (!colon) {
		config_bad(e->p, e->word, ", which has no : between device and options");
		return false;
	}
	*colon = '\0';
	rest = colon + 1;
	if (!take_device(e, text))
		return false;
	while ((option = strsep(&rest, ",")))
		if (!take_option(e, option, &given))
			return false;
	if (e->options->qos >= 0 && e->options->vlan <= 0) {
		config_bad(e->p, e->word, ", where qos is without a VLAN (vlan=1 to %d)", VLAN_MAX);
		return false;
	}
	return true;
}

static void vf_options_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	struct config *cfg = p->cfg;

	cfg->vf_options = config_new_list(p, n, sizeof(*cfg->vf_options));
	for (size_t i = 0; cfg->vf_options && i < n; i++) {
		struct config_vf_options *options = &cfg->vf_options[cfg->n_vf_options];
		struct entry e = { .p = p, .word = &words[i], .options = options };

		*options = (struct config_vf_options)CONFIG_VF_OPTIONS_UNSET;
		if (take_entry(&e))
			cfg->n_vf_options++;
		else
			free(options->device);
	}
}

static void print_option(FILE *out, const char **separator, const char *name, const char *value)
{
	fprintf(out, "%s%s=%s", *separator, name, value);
	*separator = ",";
}

static void print_options(FILE *out, const struct config_vf_options *options)
{
	static const char *const states[] = { "off", "on" };
	const char *separator = ":";
	const uint8_t *m = options->mac;
	char value[32];

	fputs(options->device, out);
	if (options->has_mac) {
		snprintf(value, sizeof(value), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
			 m[3], m[4], m[5]);
		print_option(out, &separator, "mac", value);
	}
	if (options->vlan >= 0) {
		snprintf(value, sizeof(value), "%d", options->vlan);
		print_option(out, &separator, "vlan", value);
	}
	if (options->qos >= 0) {
		snprintf(value, sizeof(value), "%d", options->qos);
		print_option(out, &separator, "qos", value);
	}
	if (options->trust >= 0)
		print_option(out, &separator, "trust", states[options->trust]);
	if (options->spoofchk >= 0)
		print_option(out, &separator, "spoofchk", states[options->spoofchk]);
	if (options->queues) {
		snprintf(value, sizeof(value), "%u", options->queues);
		print_option(out, &separator, "queues", value);
	}
}

static struct json_object *vf_options_to_json(const struct config_var *var,
					      const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_vf_options; i++) {
		char text[2 * DEVNAME_MAX] = "";
		FILE *out = fmemopen(text, sizeof(text), "w");

		if (!out)
			break;
		print_options(out, &cfg->vf_options[i]);
		fclose(out);
		config_json_add(array, "%s", text);
	}
	return array;
}

static void vf_options_clear(const struct config_var *var, struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_vf_options; i++)
		free(cfg->vf_options[i].device);
	free(cfg->vf_options);
}

const struct config_type config_type_vf_options = {
	.allowed =
		"DEVICE:OPTION=VALUE[,OPTION=VALUE...], several in an array; OPTION is mac, "
		"vlan (0 to 4094), qos (0 to 7), trust or spoofchk (on or off), queues (1 to 32)",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.parse = vf_options_parse,
	.to_json = vf_options_to_json,
	.clear = vf_options_clear,
};
