/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "ctl/vf_view.h"

static const struct output_column columns[] = {
	{ "NAME" },
	{ "ADDRESS" },
	{ "DRIVER" },
	{ "NETDEV" },
	{ "MAC" },
	{ "NUMA", .right = true },
	{ "GROUP", .right = true },
	{ "RELAY", .right = true },
	{ "STATE" },
};

const char *pf_name(json_object *pf)
{
	const char *name = json_text(pf, "netdev");

	return strcmp(name, "-") ? name : json_text(pf, "address");
}

json_object *vf_of_relay(json_object *pfs, unsigned int id)
{
	for (size_t i = 0; i < json_length(pfs); i++) {
		json_object *vfs = json_at(json_object_array_get_idx(pfs, i), "vfs");

		for (size_t j = 0; j < json_length(vfs); j++) {
			json_object *vf = json_object_array_get_idx(vfs, j);

			if (json_at(vf, "relay") && json_number(vf, "relay") == id)
				return vf;
		}
	}
	return NULL;
}

static void print_clean(const char *text)
{
	char copy[1024];

	snprintf(copy, sizeof(copy), "%s", text);
	text_clean(copy);
	puts(copy);
}

/* "ens3 (0000:01:00.0, igb, NUMA node 0): 2 of 7 VFs, made by vio4wd" */
static void print_heading(json_object *pf)
{
	json_object *netdev = json_at(pf, "netdev"), *node = json_at(pf, "numa_node");
	const char *made_by = json_text(pf, "made_by");
	char line[400];
	int len;

	len = snprintf(line, sizeof(line), "%s (", pf_name(pf));
	if (netdev)
		len += snprintf(line + len, sizeof(line) - len, "%s, ", json_text(pf, "address"));
	len += snprintf(line + len, sizeof(line) - len, "%s",
			json_at(pf, "driver") ? json_text(pf, "driver") : "no driver");
	if (node && len < (int)sizeof(line))
		len += snprintf(line + len, sizeof(line) - len, ", NUMA node %s",
				json_text(pf, "numa_node"));
	if (len < (int)sizeof(line))
		len += snprintf(line + len, sizeof(line) - len, "): %.0f of %.0f VFs",
				json_number(pf, "made"), json_number(pf, "total"));
	if (strcmp(made_by, "-") && len < (int)sizeof(line))
		snprintf(line + len, sizeof(line) - len, ", made by %s",
			 strcmp(made_by, "other") ? made_by : "somebody else");
	print_clean(line);
}

static void add_row(struct output_table *table, json_object *vf)
{
	const bool held = json_at(vf, "held_by") && !json_at(vf, "state");
	const bool is_spare = json_at(vf, "spare") && !json_at(vf, "state");
	const char *mac = json_text(vf, "mac");

	output_row(table);
	output_cell(table, "%s", json_text(vf, "name"));
	output_cell(table, "%s", json_text(vf, "address"));
	output_cell(table, "%s", json_text(vf, "driver"));
	output_cell(table, "%s", json_text(vf, "netdev"));
	output_cell(table, "%s", strcmp(mac, "00:00:00:00:00:00") ? mac : ""); /* the PF has none */
	output_cell(table, "%s", json_text(vf, "numa_node"));
	output_cell(table, "%s", json_text(vf, "iommu_group"));
	output_cell(table, "%s", json_text(vf, "relay"));
	if (json_flag(vf, "stands_in"))
		output_cell(table, "stands in for relay %s", json_text(vf, "relay"));
	else if (is_spare)
		output_cell(table, "spare");
	else
		output_cell(table, "%s%s", held ? "bound for " : "",
			    json_text(vf, held ? "held_by" : "state"));
}

static void print_sharing(json_object *vf)
{
	json_object *others = json_at(vf, "shares_group_with");
	char line[800];
	size_t len;

	if (!json_length(others))
		return;
	len = (size_t)snprintf(line, sizeof(line), "%s: its IOMMU group %s has other devices, too:",
			       json_text(vf, "name"), json_text(vf, "iommu_group"));
	for (size_t i = 0; i < json_length(others) && len < sizeof(line); i++)
		len += (size_t)snprintf(
			line + len, sizeof(line) - len, " %s",
			json_object_get_string(json_object_array_get_idx(others, i)));
	print_clean(line);
}

void print_pf(struct ctl *ctl, json_object *pf)
{
	json_object *vfs = json_at(pf, "vfs");
	struct output_table *table =
		output_table_new(ctl, columns, sizeof(columns) / sizeof(columns[0]));

	if (!table)
		return;
	for (size_t i = 0; i < json_length(vfs); i++)
		add_row(table, json_object_array_get_idx(vfs, i));
	if (!ctl->no_headings)
		print_heading(pf);
	output_table_print(table);
	for (size_t i = 0; !ctl->no_headings && i < json_length(vfs); i++)
		print_sharing(json_object_array_get_idx(vfs, i));
}
