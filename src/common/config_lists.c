/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The types of variables that hold a list: one entry per word. An entry that is wrong is reported
 * and the next one is read.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/config_fields.h"
#include "common/config_report.h"
#include "common/config_table.h"

#define RELAY_ID_MAX (CONFIG_MAX_RELAYS - 1)

/* Cuts a word in two; NULL when it lacks the separator. Frees with the first half. */
static char *split_last(const char *text, char separator, char **rest)
{
	char *copy = strdup(text), *at = copy ? strrchr(copy, separator) : NULL;

	if (!at) {
		free(copy);
		return NULL;
	}
	*at = '\0';
	*rest = at + 1;
	return copy;
}

/* A relay id; reports what is wrong with it. */
static bool take_id(struct config_parser *p, const struct config_word *word, const char *text,
		    unsigned int *id)
{
	long value;

	if (config_number(text, 0, RELAY_ID_MAX, &value) < 0) {
		config_bad(p, word, ", where %s is no relay id from 0 to %d", QUOTE(text),
			   RELAY_ID_MAX);
		return false;
	}
	*id = value;
	return true;
}

static bool same_device(const struct config *cfg, const char *a, const char *b)
{
	struct devname dev_a, dev_b;

	return config_resolve_device(cfg, a, &dev_a, NULL) == 0 &&
	       config_resolve_device(cfg, b, &dev_b, NULL) == 0 && !strcmp(dev_a.text, dev_b.text);
}

/* True when the new pairing says the same of a device or an id as an older one. */
static bool pairing_conflicts(struct config_parser *p, const struct config_word *word,
			      const char *device, unsigned int id)
{
	const struct config *cfg = p->cfg;

	for (size_t i = 0; i < cfg->n_static_vfs; i++) {
		const struct config_pairing *old = &cfg->static_vfs[i];

		if (old->id == id)
			config_bad(p, word, ", but relay %u has %s already", id,
				   QUOTE(old->device));
		else if (same_device(cfg, old->device, device))
			config_bad(p, word, ", but relay %u has that device already", old->id);
		else
			continue;
		return true;
	}
	return false;
}

static void static_vf_add(struct config_parser *p, const struct config_word *word)
{
	struct config *cfg = p->cfg;
	struct devname dev;
	struct err err;
	unsigned int id;
	char *device, *text;

	device = split_last(word->text, '=', &text);
	if (!device) {
		config_bad(p, word, ", which has no =");
		return;
	}
	if (!take_id(p, word, text, &id) || pairing_conflicts(p, word, device, id))
		goto out;
	if (config_resolve_device(cfg, device, &dev, &err) < 0) {
		config_report_error(p->report, word->line, "%s: found %s: %s", p->var->name,
				    QUOTE(word->text), err.text);
		goto out;
	}
	cfg->static_vfs[cfg->n_static_vfs++] =
		(struct config_pairing){ .device = device, .id = id };
	return;
out:
	free(device);
}

static void static_vfs_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	p->cfg->static_vfs = config_new_list(p, n, sizeof(*p->cfg->static_vfs));
	for (size_t i = 0; p->cfg->static_vfs && i < n; i++)
		static_vf_add(p, &words[i]);
}

static struct json_object *static_vfs_to_json(const struct config_var *var,
					      const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_static_vfs; i++)
		config_json_add(array, "%s=%u", cfg->static_vfs[i].device, cfg->static_vfs[i].id);
	return array;
}

static void static_vfs_clear(const struct config_var *var, struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_static_vfs; i++)
		free(cfg->static_vfs[i].device);
	free(cfg->static_vfs);
}

const struct config_type config_type_static_vfs = {
	.allowed = "DEVICE=ID, several in an array, each device and each id once",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.parse = static_vfs_parse,
	.to_json = static_vfs_to_json,
	.clear = static_vfs_clear,
};

/* A CPU of a pin must have a worker. A mask that is wrong itself is empty, and enough was said. */
static bool take_worker_cpu(struct config_parser *p, const struct config_word *word,
			    const char *text, unsigned int *cpu)
{
	char mask[80];
	long value;

	if (config_number(text, 0, CPUSET_MAX_CPU, &value) < 0) {
		config_bad(p, word, ", where %s is no CPU", QUOTE(text));
		return false;
	}
	*cpu = value;
	if (cpuset_has(&p->cfg->cpu_mask, value) || !cpuset_count(&p->cfg->cpu_mask))
		return true;
	cpuset_format(&p->cfg->cpu_mask, mask, sizeof(mask));
	config_bad(p, word, ", but CPU %ld is not in VIRTIOFWD_CPU_MASK (%s)", value, mask);
	return false;
}

static bool take_pin_cpus(struct config_parser *p, const struct config_word *word, char *cpus,
			  struct config_pin *pin)
{
	char *comma = strchr(cpus, ',');

	if (comma)
		*comma = '\0';
	if (!take_worker_cpu(p, word, cpus, &pin->vf_to_vm))
		return false;
	if (comma)
		return take_worker_cpu(p, word, comma + 1, &pin->vm_to_vf);
	pin->vm_to_vf = pin->vf_to_vm;
	return true;
}

static void cpu_pin_add(struct config_parser *p, const struct config_word *word)
{
	struct config *cfg = p->cfg;
	struct config_pin pin;
	char *id, *cpus;

	id = split_last(word->text, ':', &cpus);
	if (!id) {
		config_bad(p, word, ", which has no :");
		return;
	}
	if (!take_id(p, word, id, &pin.id) || !take_pin_cpus(p, word, cpus, &pin))
		goto out;
	for (size_t i = 0; i < cfg->n_cpu_pins; i++)
		if (cfg->cpu_pins[i].id == pin.id) {
			config_bad(p, word, ", but relay %u is pinned already", pin.id);
			goto out;
		}
	cfg->cpu_pins[cfg->n_cpu_pins++] = pin;
out:
	free(id);
}

static void cpu_pins_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	p->cfg->cpu_pins = config_new_list(p, n, sizeof(*p->cfg->cpu_pins));
	for (size_t i = 0; p->cfg->cpu_pins && i < n; i++)
		cpu_pin_add(p, &words[i]);
}

static struct json_object *cpu_pins_to_json(const struct config_var *var, const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_cpu_pins; i++)
		config_json_add(array, "%u:%u,%u", cfg->cpu_pins[i].id, cfg->cpu_pins[i].vf_to_vm,
				cfg->cpu_pins[i].vm_to_vf);
	return array;
}

static void cpu_pins_clear(const struct config_var *var, struct config *cfg)
{
	free(cfg->cpu_pins);
}

const struct config_type config_type_cpu_pins = {
	.allowed = "ID:CPU or ID:CPU,CPU, several in an array or separated by ; in quotes, each id "
		   "once",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.separator = ';',
	.parse = cpu_pins_parse,
	.to_json = cpu_pins_to_json,
	.clear = cpu_pins_clear,
};

static void exclude_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	struct config *cfg = p->cfg;
	struct devname dev;
	struct err err;

	cfg->exclude = config_new_list(p, n, sizeof(*cfg->exclude));
	for (size_t i = 0; cfg->exclude && i < n; i++) {
		if (config_resolve_device(cfg, words[i].text, &dev, &err) < 0) {
			config_report_error(p->report, words[i].line, "%s: found %s: %s",
					    p->var->name, QUOTE(words[i].text), err.text);
			continue;
		}
		cfg->exclude[cfg->n_exclude] = strdup(dev.text);
		if (cfg->exclude[cfg->n_exclude])
			cfg->n_exclude++;
		else
			config_out_of_memory(p);
	}
}

static struct json_object *exclude_to_json(const struct config_var *var, const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_exclude; i++)
		config_json_add(array, "%s", cfg->exclude[i]);
	return array;
}

static void exclude_clear(const struct config_var *var, struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_exclude; i++)
		free(cfg->exclude[i]);
	free(cfg->exclude);
}

const struct config_type config_type_exclude = {
	.allowed = "names of devices, several in an array",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.parse = exclude_parse,
	.to_json = exclude_to_json,
	.clear = exclude_clear,
};

/* What may stand for a device: a PCI address, in any spelling, or a plain word. */
static bool alias_name(const char *text, size_t len, char name[DEVNAME_MAX], const char **reason)
{
	struct pci_addr addr;
	struct devname dev;

	*reason = ", whose name is empty or too long";
	if (!len || len >= DEVNAME_MAX)
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	if (pci_addr_parse(&addr, name) == 0) {
		pci_addr_format(&addr, name);
		return true;
	}
	*reason = ", whose name is the name of a device";
	if (devname_parse(&dev, name, NULL) == 0)
		return false;
	*reason = ", whose name may have letters, digits, _, - and . only";
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i]))
			return false;
	return true;
}

static void alias_add(struct config_parser *p, const struct config_word *word)
{
	struct config_alias *alias = &p->cfg->aliases[p->cfg->n_aliases];
	size_t len = strcspn(word->text, "=");
	char name[DEVNAME_MAX];
	const char *reason;
	struct err err;

	if (!word->text[len]) {
		config_bad(p, word, ", which has no =");
		return;
	}
	if (!alias_name(word->text, len, name, &reason)) {
		config_bad(p, word, "%s", reason);
		return;
	}
	for (size_t i = 0; i < p->cfg->n_aliases; i++)
		if (!strcmp(p->cfg->aliases[i].name, name)) {
			config_bad(p, word, ", but that name stands for a device already");
			return;
		}
	if (devname_parse(&alias->device, word->text + len + 1, &err) < 0) {
		config_report_error(p->report, word->line, "%s: found %s: %s", p->var->name,
				    QUOTE(word->text), err.text);
		return;
	}
	alias->name = strdup(name);
	if (alias->name)
		p->cfg->n_aliases++;
	else
		config_out_of_memory(p);
}

static void aliases_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	p->cfg->aliases = config_new_list(p, n, sizeof(*p->cfg->aliases));
	for (size_t i = 0; p->cfg->aliases && i < n; i++)
		alias_add(p, &words[i]);
}

static struct json_object *aliases_to_json(const struct config_var *var, const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_aliases; i++)
		config_json_add(array, "%s=%s", cfg->aliases[i].name, cfg->aliases[i].device.text);
	return array;
}

static void aliases_clear(const struct config_var *var, struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_aliases; i++)
		free(cfg->aliases[i].name);
	free(cfg->aliases);
}

const struct config_type config_type_aliases = {
	.allowed =
		"NAME=DEVICE, several in an array, each name once; NAME is a word or a PCI address",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.parse = aliases_parse,
	.to_json = aliases_to_json,
	.clear = aliases_clear,
};
