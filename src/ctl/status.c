/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "ctl/ctl.h"
#include "ctl/port_control_view.h"
#include "ctl/relay_view.h"

static const struct output_column columns[] = {
	{ "ID", .right = true },
	{ "DEVICE" },
	{ "BACKEND" },
	{ "STATE" },
	{ "VM" },
	{ "QUEUES", .right = true },
	{ "CPUS" },
	{ "TO-VM" },
	{ "TO-VF" },
	{ "DROPS" },
	{ "SOCKET" },
	{ "REASON", .last = true },
};

static void add_row(struct output_table *table, json_object *relay)
{
	char buf[600];

	output_row(table);
	output_cell(table, "%.0f", json_number(relay, "id"));
	output_cell(table, "%s", json_text(relay, "device"));
	output_cell(table, "%s", relay_serves(relay));
	output_cell(table, "%s", json_text(relay, "state"));
	output_cell(table, "%s", json_flag(relay, "vm") ? "yes" : "no");
	output_cell(table, "%.0f", json_number(relay, "queues"));
	output_cell(table, "%s", format_cpus(relay, buf, sizeof(buf)));
	output_cell(table, "%s", format_rate(json_at(relay, "rates.vf_to_vm"), buf, sizeof(buf)));
	output_cell(table, "%s", format_rate(json_at(relay, "rates.vm_to_vf"), buf, sizeof(buf)));
	output_cell(table, "%.0f/%.0f", json_number(relay, "drops.vf_to_vm"),
		    json_number(relay, "drops.vm_to_vf"));
	output_cell(table, "%s", json_text(relay, "socket"));
	output_cell(table, "%s", format_reason(relay, buf, sizeof(buf)));
}

static void print_status(struct ctl *ctl, json_object *relays, bool all)
{
	struct output_table *table =
		output_table_new(ctl, columns, sizeof(columns) / sizeof(columns[0]));

	if (!table)
		return;
	for (size_t i = 0; i < json_length(relays); i++) {
		json_object *relay = json_object_array_get_idx(relays, i);

		if (all || strcmp(json_text(relay, "state"), "free") != 0)
			add_row(table, relay);
	}
	output_table_print(table);
}

/* ZeroMQ needs no words: it is there when vio4wd is. */
static void print_control(json_object *control)
{
	if (!control || !strcmp(json_text(control, "way"), "zmq"))
		return;
	print_port_control(control);
	print_port_control_troubles(control);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int status = CTL_OK, c;
	json_object *result;
	bool all = false;

	while ((c = ctl_getopt(ctl, argc, argv, &status)) != -1) {
		if (c != 'a')
			return status;
		all = true;
	}
	if (!ctl_operands(ctl, argc, argv, 0, 0, &status))
		return status;
	status = ctl_call(ctl, "status", NULL, &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json) {
		output_json(result);
	} else {
		print_status(ctl, json_at(result, "relays"), all);
		print_control(json_at(result, "port_control"));
	}
	json_object_put(result);
	return CTL_OK;
}

static const struct option options[] = { { "all", no_argument, NULL, 'a' }, { 0 } };

const struct ctl_command ctl_status = {
	.name = "status",
	.usage = "[--all]",
	.summary = "one line for each relay",
	.help = "Lists the relays: the device, what serves it (software, or of hardware direct or\n"
		"shadow), the state and why it is so, whether a VM is connected, its queue pairs, the\n"
		"worker CPUs, the rates, the packets dropped and the vhost-user socket. CPUS and DROPS\n"
		"are of VF to VM and of VM to VF, divided by a slash.\n\n"
		"With port control by OVSDB or by the command file the last lines tell how that is, and\n"
		"which interfaces of OVSDB have not the relay they ask for, with the reason.\n\n"
		"States: absent (the device does not exist yet), binding, provisioning, probing,\n"
		"listening (no VM yet), connected (a VM, no device), active (both), failed, free.\n\n"
		"Options:\n"
		"  --all              also ids that have a socket and neither device nor VM (free);\n"
		"                     with --json they are always there\n\n",
	.options = options,
	.run = run,
};
