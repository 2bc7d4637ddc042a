/* SPDX-License-Identifier: BSD-3-Clause */

/* The types of variables that are about PFs and the VFs they have. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/config_fields.h"
#include "common/config_report.h"
#include "common/config_table.h"

#define VFS_MAX 65535 /* NumVFs of SR-IOV has 16 bits */

static bool netdev_name(const char *text, char name[16])
{
	char full[DEVNAME_MAX];
	struct devname dev;

	if (snprintf(full, sizeof(full), "netdev:%s", text) >= (int)sizeof(full) ||
	    devname_parse(&dev, full, NULL) < 0)
		return false;
	memcpy(name, dev.netdev, sizeof(dev.netdev));
	return true;
}

/* "PF<separator>NUMBER": the PF in its canonical spelling, owned by the caller; NULL when it is
 * something else, which has been reported. */
static char *take_pf(struct config_parser *p, const struct config_word *word, char separator,
		     long min, long max, long *number)
{
	const char *at = strrchr(word->text, separator);
	char pf[DEVNAME_MAX], name[16], *copy;
	struct pci_addr addr;

	if (!at || config_number(at + 1, min, max, number) < 0) {
		config_bad(p, word, ", where %c and a number from %ld to %ld is missing", separator,
			   min, max);
		return NULL;
	}
	if ((size_t)(at - word->text) >= sizeof(pf)) {
		config_bad(p, word, NULL);
		return NULL;
	}
	snprintf(pf, sizeof(pf), "%.*s", (int)(at - word->text), word->text);
	if (pci_addr_parse(&addr, pf) == 0) {
		pci_addr_format(&addr, pf);
	} else if (!netdev_name(pf, name)) {
		config_bad(p, word, ", where %s is neither a network interface nor a PCI address",
			   QUOTE(pf));
		return NULL;
	}
	copy = strdup(pf);
	if (!copy)
		config_out_of_memory(p);
	return copy;
}

static void auto_vfs_add(struct config_parser *p, const struct config_word *word)
{
	struct config *cfg = p->cfg;
	long first;
	char *pf;

	pf = take_pf(p, word, ':', 0, CONFIG_MAX_RELAYS - 1, &first);
	if (!pf)
		return;
	for (size_t i = 0; i < cfg->n_auto_vfs; i++) {
		const struct config_auto_vfs *old = &cfg->auto_vfs[i];

		if (!strcmp(old->pf, pf))
			config_bad(p, word, ", but that PF is there already");
		else if (old->first_id == first)
			config_bad(p, word, ", but the VFs of %s begin at relay %ld, too", old->pf,
				   first);
		else
			continue;
		free(pf);
		return;
	}
	cfg->auto_vfs[cfg->n_auto_vfs++] = (struct config_auto_vfs){ .pf = pf, .first_id = first };
}

static void auto_vfs_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	p->cfg->auto_vfs = config_new_list(p, n, sizeof(*p->cfg->auto_vfs));
	for (size_t i = 0; p->cfg->auto_vfs && i < n; i++)
		auto_vfs_add(p, &words[i]);
}

static struct json_object *auto_vfs_to_json(const struct config_var *var, const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_auto_vfs; i++)
		config_json_add(array, "%s:%u", cfg->auto_vfs[i].pf, cfg->auto_vfs[i].first_id);
	return array;
}

static void auto_vfs_clear(const struct config_var *var, struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_auto_vfs; i++)
		free(cfg->auto_vfs[i].pf);
	free(cfg->auto_vfs);
}

const struct config_type config_type_auto_vfs = {
	.allowed = "PF:FIRST_ID, several in an array, each PF once; PF is a network interface or a "
		   "PCI address",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.parse = auto_vfs_parse,
	.to_json = auto_vfs_to_json,
	.clear = auto_vfs_clear,
};

static void num_vfs_add(struct config_parser *p, const struct config_word *word)
{
	struct config *cfg = p->cfg;
	long count;
	char *pf;

	pf = take_pf(p, word, '=', 1, VFS_MAX, &count);
	if (!pf)
		return;
	for (size_t i = 0; i < cfg->n_num_vfs; i++)
		if (!strcmp(cfg->num_vfs[i].pf, pf)) {
			config_bad(p, word, ", but that PF is there already");
			free(pf);
			return;
		}
	cfg->num_vfs[cfg->n_num_vfs++] = (struct config_num_vfs){ .pf = pf, .count = count };
}

static void num_vfs_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	p->cfg->num_vfs = config_new_list(p, n, sizeof(*p->cfg->num_vfs));
	for (size_t i = 0; p->cfg->num_vfs && i < n; i++)
		num_vfs_add(p, &words[i]);
}

static struct json_object *num_vfs_to_json(const struct config_var *var, const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_num_vfs; i++)
		config_json_add(array, "%s=%u", cfg->num_vfs[i].pf, cfg->num_vfs[i].count);
	return array;
}

static void num_vfs_clear(const struct config_var *var, struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_num_vfs; i++)
		free(cfg->num_vfs[i].pf);
	free(cfg->num_vfs);
}

const struct config_type config_type_num_vfs = {
	.allowed =
		"PF=COUNT, several in an array, each PF once; PF is a network interface or a PCI "
		"address",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.parse = num_vfs_parse,
	.to_json = num_vfs_to_json,
	.clear = num_vfs_clear,
};

/* An address, the name of an interface, or the name and how many of its VFs. */
static bool take_bind(const char *text, struct config_bind *bind)
{
	const char *colon = strchr(text, ':');
	char name[DEVNAME_MAX];
	long count = 0;

	*bind = (struct config_bind){ 0 };
	if (pci_addr_parse(&bind->pci, text) == 0) {
		bind->is_pci = true;
		return true;
	}
	if (colon && config_number(colon + 1, 1, VFS_MAX, &count) < 0)
		return false;
	if (strlen(text) >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ":"), text);
	bind->count = count;
	return netdev_name(name, bind->netdev);
}

static void bind_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	struct config *cfg = p->cfg;

	cfg->bind_vfio_pci = config_new_list(p, n, sizeof(*cfg->bind_vfio_pci));
	for (size_t i = 0; cfg->bind_vfio_pci && i < n; i++) {
		if (take_bind(words[i].text, &cfg->bind_vfio_pci[cfg->n_bind_vfio_pci]))
			cfg->n_bind_vfio_pci++;
		else
			config_bad(p, &words[i], NULL);
	}
}

static struct json_object *bind_to_json(const struct config_var *var, const struct config *cfg)
{
	struct json_object *array = json_object_new_array();
	char addr[PCI_ADDR_STRLEN];

	for (size_t i = 0; i < cfg->n_bind_vfio_pci; i++) {
		const struct config_bind *bind = &cfg->bind_vfio_pci[i];

		if (bind->is_pci)
			config_json_add(array, "%s", pci_addr_format(&bind->pci, addr));
		else if (bind->count)
			config_json_add(array, "%s:%u", bind->netdev, bind->count);
		else
			config_json_add(array, "%s", bind->netdev);
	}
	return array;
}

static void bind_clear(const struct config_var *var, struct config *cfg)
{
	free(cfg->bind_vfio_pci);
}

const struct config_type config_type_bind = {
	.allowed = "a PCI address (0000:01:02.3 or 01:02.3), NETDEV (all its VFs) or NETDEV:COUNT, "
		   "several separated by commas",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.separator = ',',
	.parse = bind_parse,
	.to_json = bind_to_json,
	.clear = bind_clear,
};
