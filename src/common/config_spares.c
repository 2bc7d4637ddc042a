/* SPDX-License-Identifier: BSD-3-Clause */

/* The type of VIO4WD_SPARE_VFS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/cleanup.h"
#include "common/config_fields.h"
#include "common/config_report.h"
#include "common/config_table.h"

/* The PF in its canonical spelling. */
static bool take_pf(struct config_parser *p, const struct config_word *word, const char *text,
		    char **pf)
{
	char full[DEVNAME_MAX], address[PCI_ADDR_STRLEN];
	struct pci_addr addr;
	struct devname dev;

	if (pci_addr_parse(&addr, text) == 0) {
		*pf = strdup(pci_addr_format(&addr, address));
	} else if (snprintf(full, sizeof(full), "netdev:%s", text) < (int)sizeof(full) &&
		   devname_parse(&dev, full, NULL) == 0) {
		*pf = strdup(text);
	} else {
		config_bad(p, word, ", where %s is neither a network interface nor a PCI address",
			   QUOTE(text));
		return false;
	}
	if (!*pf)
		config_out_of_memory(p);
	return *pf != NULL;
}

/* What else the configuration has it for; reported. */
static bool is_used_otherwise(struct config_parser *p, const struct config_word *word,
			      const struct devname *dev)
{
	const struct config *cfg = p->cfg;
	struct devname other;

	for (size_t i = 0; i < cfg->n_spare_vfs; i++) {
		if (!strcmp(cfg->spare_vfs[i].device.text, dev->text)) {
			config_bad(p, word, ", but that VF is there already");
			return true;
		}
	}
	for (size_t i = 0; i < cfg->n_static_vfs; i++) {
		if (config_resolve_device(cfg, cfg->static_vfs[i].device, &other, NULL) == 0 &&
		    !strcmp(other.text, dev->text)) {
			config_bad(p, word, ", but VIRTIOFWD_STATIC_VFS gives it to relay %u",
				   cfg->static_vfs[i].id);
			return true;
		}
	}
	for (size_t i = 0; i < cfg->n_exclude; i++) {
		if (!strcmp(cfg->exclude[i], dev->text)) {
			config_bad(p, word, ", but VIO4WD_EXCLUDE has it");
			return true;
		}
	}
	return false;
}

static void spare_add(struct config_parser *p, const struct config_word *word)
{
	_cleanup_free_ char *name = strdup(word->text);
	char *pf = name ? strchr(name, '=') : NULL;
	struct config_spare spare = { 0 };
	struct err err;

	if (!name) {
		config_out_of_memory(p);
		return;
	}
	if (pf)
		*pf++ = '\0';
	if (config_resolve_device(p->cfg, name, &spare.device, &err) < 0) {
		config_report_error(p->report, word->line, "%s: found %s: %s", p->var->name,
				    QUOTE(word->text), err.text);
		return;
	}
	if (spare.device.kind != DEVNAME_PCI && spare.device.kind != DEVNAME_PF_VF) {
		config_bad(p, word, ", which is no VF");
		return;
	}
	if (is_used_otherwise(p, word, &spare.device) || (pf && !take_pf(p, word, pf, &spare.pf)))
		return;
	p->cfg->spare_vfs[p->cfg->n_spare_vfs++] = spare;
}

static void spares_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	p->cfg->spare_vfs = config_new_list(p, n, sizeof(*p->cfg->spare_vfs));
	for (size_t i = 0; p->cfg->spare_vfs && i < n; i++)
		spare_add(p, &words[i]);
}

static struct json_object *spares_to_json(const struct config_var *var, const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_spare_vfs; i++) {
		const struct config_spare *spare = &cfg->spare_vfs[i];

		config_json_add(array, "%s%s%s", spare->device.text, spare->pf ? "=" : "",
				spare->pf ? spare->pf : "");
	}
	return array;
}

static void spares_clear(const struct config_var *var, struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_spare_vfs; i++)
		free(cfg->spare_vfs[i].pf);
	free(cfg->spare_vfs);
}

const struct config_type config_type_spares = {
	.allowed = "VF or VF=PF, several in an array, each VF once and in no other variable; PF is "
		   "a network interface or a PCI address",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.parse = spares_parse,
	.to_json = spares_to_json,
	.clear = spares_clear,
};
