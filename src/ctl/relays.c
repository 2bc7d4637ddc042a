/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/output.h"

static void print_processes(struct ctl *ctl, json_object *processes)
{
	static const struct output_column columns[] = {
		{ "PROCESS", .right = true },
		{ "PID", .right = true },
		{ "STATE" },
		{ "NUMA", .right = true },
		{ "PORTS", .right = true },
		{ "ENDPOINTS", .right = true },
		{ "MEMORY", .right = true },
		{ "RESTARTS", .right = true },
		{ "STARTED" },
		{ "REASON", .last = true },
	};
	struct output_table *table =
		output_table_new(ctl, columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; table && i < json_length(processes); i++) {
		json_object *process = json_object_array_get_idx(processes, i);

		output_row(table);
		output_cell(table, "%s", json_text(process, "process"));
		output_cell(table, "%s", json_text(process, "pid"));
		output_cell(table, "%s", json_text(process, "state"));
		output_cell(table, "%s", json_text(process, "numa_node"));
		output_cell(table, "%.0f/%.0f", json_number(process, "ports"),
			    json_number(process, "max_ports"));
		output_cell(table, "%.0f", json_number(process, "endpoints"));
		output_cell(table, "%s", BYTES(json_number(process, "memory_kb") * 1024));
		output_cell(table, "%.0f", json_number(process, "restarts"));
		output_cell(table, "%s", TIME(json_number(process, "started")));
		output_cell(table, "%s", json_text(process, "reason"));
	}
	if (table)
		output_table_print(table);
}

static void print_workers(struct ctl *ctl, json_object *processes)
{
	static const struct output_column columns[] = {
		{ "PROCESS", .right = true },	    { "CPU", .right = true },
		{ "BUSY", .right = true },	    { "LANES", .right = true },
		{ "SLEEPS", .right = true },	    { "WAKE-UPS", .right = true },
		{ "LONGEST ROUND", .right = true }, { "SLOW ROUNDS", .right = true },
	};
	struct output_table *table =
		output_table_new(ctl, columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; table && i < json_length(processes); i++) {
		json_object *process = json_object_array_get_idx(processes, i);
		json_object *workers = json_at(process, "workers");

		for (size_t k = 0; k < json_length(workers); k++) {
			json_object *worker = json_object_array_get_idx(workers, k);

			output_row(table);
			output_cell(table, "%s", json_text(process, "process"));
			output_cell(table, "%s", json_text(worker, "cpu"));
			output_cell(table, "%.1f %%", json_number(worker, "busy") * 100);
			output_cell(table, "%.0f", json_number(worker, "lanes"));
			output_cell(table, "%.0f", json_number(worker, "sleeps"));
			output_cell(table, "%.0f", json_number(worker, "wakeups"));
			output_cell(table, "%.0f us", json_number(worker, "longest_round_us"));
			output_cell(table, "%.0f", json_number(worker, "slow_rounds"));
		}
	}
	if (table)
		output_table_print(table);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int status = CTL_OK;
	json_object *result;

	if (!ctl_operands(ctl, argc, argv, 0, 0, &status))
		return status;
	status = ctl_call(ctl, "relays", NULL, &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json) {
		output_json(result);
	} else {
		print_processes(ctl, json_at(result, "processes"));
		putchar('\n');
		print_workers(ctl, json_at(result, "processes"));
	}
	json_object_put(result);
	return CTL_OK;
}

const struct ctl_command ctl_relays = {
	.name = "relays",
	.usage = "",
	.summary = "the relay processes and their workers",
	.help = "Lists the processes that move packets (vio4wd-relay, one for each NUMA node and a\n"
		"further one when its ports are used up) and their workers: one thread for each CPU of\n"
		"VIRTIOFWD_CPU_MASK, with its busy share of the last second and the lanes it runs.\n\n",
	.run = run,
};
