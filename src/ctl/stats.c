/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/relay_view.h"
#include "ctl/watch.h"

static const struct output_column columns[] = {
	{ "ID", .right = true },
	{ "DEVICE" },
	{ "DIRECTION" },
	{ "ACTIVE" },
	{ "IN", .right = true },
	{ "IN-RATE", .right = true },
	{ "OUT", .right = true },
	{ "OUT-RATE", .right = true },
	{ "OUT-BITS", .right = true },
	{ "OUT-BYTES", .right = true },
	{ "DROPS", .last = true },
};

struct stats_args {
	unsigned int id;
	unsigned int window_ms;
	unsigned int watch_ms; /* 0: once */
	bool all;	       /* no id was given */
};

static void add_row(struct output_table *table, json_object *stats, const char *key,
		    const char *name)
{
	json_object *direction = json_at(stats, key);
	char buf[400];

	output_row(table);
	output_cell(table, "%.0f", json_number(stats, "id"));
	output_cell(table, "%s", json_text(stats, "device"));
	output_cell(table, "%s", name);
	output_cell(table, "%s", json_flag(direction, "active") ? "yes" : "no");
	output_cell(table, "%.0f", json_number(direction, "packets_in"));
	output_cell(table, "%s", PACKETS(json_number(direction, "rates.packets_in")));
	output_cell(table, "%.0f", json_number(direction, "packets_out"));
	output_cell(table, "%s", PACKETS(json_number(direction, "rates.packets_out")));
	output_cell(table, "%s", BITS(json_number(direction, "rates.bytes_out")));
	output_cell(table, "%s", BYTES(json_number(direction, "bytes_out")));
	output_cell(table, "%s", format_drops(json_at(direction, "drops"), buf, sizeof(buf)));
}

/* What vDPA devices count by themselves, by the vendor's names; in modes without the relay's own
 * counters it is all that there is. */
static void print_counters(struct ctl *ctl, json_object *relays)
{
	static const struct output_column counter_columns[] = {
		{ "ID", .right = true },
		{ "VIRTQUEUE", .right = true },
		{ "DEVICE-COUNTER" },
		{ "VALUE", .right = true },
	};
	struct output_table *table = output_table_new(
		ctl, counter_columns, sizeof(counter_columns) / sizeof(counter_columns[0]));

	for (size_t i = 0; table && i < json_length(relays); i++) {
		json_object *stats = json_object_array_get_idx(relays, i);
		json_object *counters = json_at(stats, "device_counters");

		for (size_t k = 0; k < json_length(counters); k++) {
			json_object *counter = json_object_array_get_idx(counters, k);

			output_row(table);
			output_cell(table, "%.0f", json_number(stats, "id"));
			output_cell(table, "%s", json_text(counter, "queue"));
			output_cell(table, "%s", json_text(counter, "name"));
			output_cell(table, "%s", json_text(counter, "value"));
		}
	}
	if (table)
		output_table_print(table);
}

static bool any_counters(json_object *relays)
{
	for (size_t i = 0; i < json_length(relays); i++) {
		if (json_at(json_object_array_get_idx(relays, i), "device_counters"))
			return true;
	}
	return false;
}

static void print_stats(struct ctl *ctl, json_object *relays)
{
	struct output_table *table =
		output_table_new(ctl, columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; table && i < json_length(relays); i++) {
		json_object *stats = json_object_array_get_idx(relays, i);

		add_row(table, stats, "vf_to_vm", "VF>VM");
		add_row(table, stats, "vm_to_vf", "VM>VF");
	}
	if (table)
		output_table_print(table);
	if (any_counters(relays))
		print_counters(ctl, relays);
}

static json_object *make_params(const struct stats_args *args)
{
	json_object *params = args->all ? json_object_new_object() : ctl_id_params(args->id);

	if (args->window_ms)
		json_object_object_add(params, "window_ms",
				       json_object_new_int((int)args->window_ms));
	return params;
}

static int once(struct ctl *ctl, const struct stats_args *args)
{
	json_object *result;
	int status = ctl_call(ctl, "stats", make_params(args), &result);

	if (status != CTL_OK)
		return status;
	if (ctl->json)
		output_json(result);
	else
		print_stats(ctl, json_at(result, "relays"));
	json_object_put(result);
	return CTL_OK;
}

/* One turn of the watch. A daemon that is away may be restarting, so it is waited for. */
static int draw(struct ctl *ctl, const struct stats_args *args, struct watch *watch)
{
	struct err err = { 0 };
	json_object *result;
	int status = ctl_try_call(ctl, "stats", make_params(args), &result, &err);

	if (status == CTL_OK && ctl->json) {
		output_json_line(result);
	} else if (status == CTL_OK) {
		watch_clear(watch);
		print_stats(ctl, json_at(result, "relays"));
	} else {
		ctl_error("%s%s", err.text, status == CTL_UNREACHABLE ? " (waiting for it)" : "");
	}
	if (status == CTL_OK)
		json_object_put(result);
	return status;
}

static int repeat(struct ctl *ctl, const struct stats_args *args)
{
	struct watch *watch;
	int ret = watch_new(&watch, args->watch_ms), status;

	if (ret < 0) {
		ctl_error("--watch: %s", strerror(-ret));
		return CTL_REFUSED;
	}
	status = draw(ctl, args, watch);
	/* Only a daemon that has been there is waited for. */
	while (status == CTL_OK && watch_next(watch)) {
		int turn = draw(ctl, args, watch);

		if (turn == CTL_REFUSED)
			status = turn;
	}
	watch_free(watch);
	return status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct stats_args args = { .all = true };
	int status = CTL_OK, c;

	while ((c = ctl_getopt(ctl, argc, argv, &status)) != -1) {
		switch (c) {
		case 'w':
			args.watch_ms = 1000;
			if (optarg && !ctl_seconds(ctl, "--watch", optarg, 3600, &args.watch_ms))
				return CTL_USAGE;
			break;
		case 'm':
			if (!ctl_number(ctl, "--window", optarg, 1000, &args.window_ms))
				return CTL_USAGE;
			break;
		default:
			return status;
		}
	}
	if (!ctl_operands(ctl, argc, argv, 0, 1, &status))
		return status;
	if (optind < argc) {
		if (!ctl_number(ctl, "ID", argv[optind], UINT_MAX, &args.id))
			return CTL_USAGE;
		args.all = false;
	}
	return args.watch_ms ? repeat(ctl, &args) : once(ctl, &args);
}

static const struct option options[] = {
	{ "watch", optional_argument, NULL, 'w' },
	{ "window", required_argument, NULL, 'm' },
	{ 0 },
};

const struct ctl_command ctl_stats = {
	.name = "stats",
	.usage = "[ID] [--watch[=SECONDS]]",
	.summary = "packets, rates and drops by reason",
	.help = "Shows the counters of each direction of all relays or of one: what came in, what went\n"
		"out, and what was dropped for which reason. vDPA devices that count themselves have\n"
		"their counters below, by the vendor's names.\n\n"
		"Options:\n"
		"  --watch[=SECONDS]  draw it again every second (or SECONDS) until interrupted; a\n"
		"                     restart of vio4wd is waited for; with --json each turn is one line\n"
		"  --window MS        measure the rates over MS milliseconds from now, at most 1000\n"
		"                     (default: the last second)\n\n",
	.options = options,
	.run = run,
};
