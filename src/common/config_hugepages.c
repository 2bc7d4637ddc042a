/* SPDX-License-Identifier: BSD-3-Clause */

/* VIO4WD_NR_HUGEPAGES: one number for the host, or NODE:NUMBER for each NUMA node. */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/config_fields.h"
#include "common/config_report.h"
#include "common/config_table.h"
#include "common/sysfs.h"

#define PAGES_MAX (1 << 26) /* 128 TiB, what a kernel without 5-level page tables can address */
#define NODE_MAX 1023	    /* of CONFIG_NODES_SHIFT at its largest */

/* A node that is not there is no reason to refuse the whole file: the pages are a matter of
 * another unit, which then says so. */
static void warn_unknown_node(struct config_parser *p, const struct config_word *word, int node)
{
	char text[4096];
	struct cpuset nodes; /* the same notation */

	if (sysfs_read(p->root, text, sizeof(text), "/sys/devices/system/node/online") < 0 ||
	    cpuset_parse(&nodes, text, NULL) < 0 || cpuset_has(&nodes, (unsigned int)node))
		return;
	config_report_warning(p->report, word->line,
			      "%s: found %s, a NUMA node this host does not have (it has %s)",
			      p->var->name, QUOTE(word->text), text);
}

static bool take_pages(struct config_parser *p, const struct config_word *word,
		       struct config_node_pages *pages)
{
	const char *colon = strchr(word->text, ':');
	long node = -1, number;
	char text[16] = "";

	if (colon && colon - word->text < (long)sizeof(text))
		memcpy(text, word->text, colon - word->text);
	if (colon && config_number(text, 0, NODE_MAX, &node) < 0)
		config_bad(p, word,
			   ", where no NUMA node (0 to %d) is in front of the :", NODE_MAX);
	else if (config_number(colon ? colon + 1 : word->text, 1, PAGES_MAX, &number) < 0)
		config_bad(p, word, NULL);
	else {
		*pages = (struct config_node_pages){ .node = (int)node,
						     .pages = (unsigned int)number };
		return true;
	}
	return false;
}

static bool pages_conflict(struct config_parser *p, const struct config_word *word,
			   const struct config_node_pages *pages)
{
	const struct config *cfg = p->cfg;

	for (size_t i = 0; i < cfg->n_nr_hugepages; i++) {
		const struct config_node_pages *old = &cfg->nr_hugepages[i];

		if ((old->node < 0) != (pages->node < 0))
			config_bad(p, word,
				   ", but one entry is for the whole host and another for a node");
		else if (old->node != pages->node)
			continue;
		else if (old->node < 0)
			config_bad(p, word, ", but the host's number is there already");
		else
			config_bad(p, word, ", but node %d is there already", old->node);
		return true;
	}
	return false;
}

static void nr_hugepages_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	struct config *cfg = p->cfg;
	struct config_node_pages pages;

	cfg->nr_hugepages = config_new_list(p, n, sizeof(*cfg->nr_hugepages));
	for (size_t i = 0; cfg->nr_hugepages && i < n; i++) {
		if (!take_pages(p, &words[i], &pages) || pages_conflict(p, &words[i], &pages))
			continue;
		if (pages.node >= 0)
			warn_unknown_node(p, &words[i], pages.node);
		cfg->nr_hugepages[cfg->n_nr_hugepages++] = pages;
	}
}

static struct json_object *nr_hugepages_to_json(const struct config_var *var,
						const struct config *cfg)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < cfg->n_nr_hugepages; i++) {
		const struct config_node_pages *pages = &cfg->nr_hugepages[i];

		if (pages->node < 0)
			config_json_add(array, "%u", pages->pages);
		else
			config_json_add(array, "%d:%u", pages->node, pages->pages);
	}
	return array;
}

static void nr_hugepages_clear(const struct config_var *var, struct config *cfg)
{
	free(cfg->nr_hugepages);
}

const struct config_type config_type_nr_hugepages = {
	.allowed = "a number of pages from 1 on, or NODE:NUMBER, several in an array, each NUMA "
		   "node once",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.is_list = true,
	.parse = nr_hugepages_parse,
	.to_json = nr_hugepages_to_json,
	.clear = nr_hugepages_clear,
};
