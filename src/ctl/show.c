/* SPDX-License-Identifier: BSD-3-Clause */

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "ctl/ctl.h"
#include "ctl/relay_view.h"

static void line(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *name, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_clean(text);
	printf("  %-12s %s\n", name, *text ? text : "-");
}

/* "MQ CTRL_VQ": what one side does not have. */
static const char *masked_by(json_object *masked, const char *side, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < json_length(masked) && len < size; i++) {
		json_object *entry = json_object_array_get_idx(masked, i);

		if (!strcmp(json_text(entry, "by"), side))
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? " " : "",
						json_text(entry, "feature"));
	}
	return buf;
}

static void print_vdpa(json_object *vdpa)
{
	if (!vdpa)
		return;
	if (json_at(vdpa, "device"))
		line("vDPA device", "%s, %s", json_text(vdpa, "device"), json_text(vdpa, "path"));
	line("mode", "%s (%s)", json_text(vdpa, "mode"), json_text(vdpa, "mode_reason"));
	if (json_number(vdpa, "switches") > 0)
		line("switches", "%.0f, the last with a pause of %.1f ms",
		     json_number(vdpa, "switches"), json_number(vdpa, "last_switch_us") / 1e3);
	else
		line("switches", "none");
}

/* Hardware and software have to be able to serve the VM. */
static void print_masked(json_object *masked)
{
	char buf[900];

	if (!json_length(masked))
		return;
	line("not offered", "device lacks: %s", masked_by(masked, "device", buf, sizeof(buf)));
	line("", "relay lacks: %s", masked_by(masked, "relay", buf, sizeof(buf)));
}

static void print_bond(json_object *bond)
{
	json_object *members = json_at(bond, "members");

	if (!bond)
		return;
	line("bond", "mode %s (%s)", json_text(bond, "mode"), json_text(bond, "mode_name"));
	for (size_t i = 0; i < json_length(members); i++) {
		json_object *member = json_object_array_get_idx(members, i);
		const char *error = json_at(member, "error") ? json_text(member, "error") : NULL;

		line(i ? "" : "members", "%s: %s", json_text(member, "device"),
		     error			   ? error
		     : !json_flag(member, "there") ? "not there"
		     : !json_flag(member, "in")	   ? "being opened"
		     : !json_flag(member, "link")  ? "no link"
		     : json_flag(member, "active") ? "active"
						   : "backup");
	}
}

static void print_warnings(json_object *warnings)
{
	for (size_t i = 0; i < json_length(warnings); i++) {
		json_object *text = json_object_array_get_idx(warnings, i);

		line("warning", "%s", text ? json_object_get_string(text) : "");
	}
}

static void print_relay(json_object *relay)
{
	char buf[600];

	printf("relay %.0f\n", json_number(relay, "id"));
	line("state", "%s", json_text(relay, "state"));
	line("reason", "%s", format_reason(relay, buf, sizeof(buf)));
	line("device", "%s", json_text(relay, "device"));
	if (json_at(relay, "address") &&
	    strcmp(json_text(relay, "address"), json_text(relay, "device")) != 0)
		line("address", "%s", json_text(relay, "address"));
	line("backend", "%s (wanted: %s)", json_text(relay, "backend"),
	     json_text(relay, "backend_wanted"));
	print_bond(json_at(relay, "bond"));
	print_vdpa(json_at(relay, "vdpa"));
	print_masked(json_at(relay, "masked"));
	if (json_at(relay, "interface"))
		line("paired by", "%s (interface %s)", json_text(relay, "origin"),
		     json_text(relay, "interface"));
	else
		line("paired by", "%s", json_text(relay, "origin"));
	line("socket", "%s (%s mode)", json_text(relay, "socket"), json_text(relay, "mode"));
	line("link", "%s", json_flag(relay, "link") ? "up" : "down");
	line("CPUs", "%s%s (VF to VM/VM to VF)", format_cpus(relay, buf, sizeof(buf)),
	     json_flag(relay, "pinned") ? " pinned" : "");
	line("process", "%s", json_text(relay, "process"));
	line("to VM", "%s, %.0f dropped",
	     format_rate(json_at(relay, "rates.vf_to_vm"), buf, sizeof(buf)),
	     json_number(relay, "drops.vf_to_vm"));
	line("to VF", "%s, %.0f dropped",
	     format_rate(json_at(relay, "rates.vm_to_vf"), buf, sizeof(buf)),
	     json_number(relay, "drops.vm_to_vf"));
	print_warnings(json_at(relay, "warnings"));
}

static void print_vm(json_object *vm)
{
	char buf[800], rings[400] = "";
	json_object *list = json_at(vm, "rings");
	size_t len = 0;

	if (!vm)
		return;
	puts("VM");
	if (json_flag(vm, "connected"))
		line("connected", "for %s, %.0f queue pairs, NUMA node %s",
		     DURATION(json_number(vm, "since_s")), json_number(vm, "queues"),
		     json_text(vm, "numa_node"));
	else
		line("connected", "no");
	line("count", "%.0f connects, %.0f disconnects", json_number(vm, "connects"),
	     json_number(vm, "disconnects"));
	line("features", "%s %s", json_text(vm, "features"),
	     json_words(json_at(vm, "features_text"), buf, sizeof(buf)));
	for (size_t i = 0; i < json_length(list) && len < sizeof(rings); i++) {
		json_object *ring = json_object_array_get_idx(list, i);

		len += (size_t)snprintf(rings + len, sizeof(rings) - len, "%s%.0f:%.0f%s",
					i ? " " : "", json_number(ring, "index"),
					json_number(ring, "size"),
					json_flag(ring, "enabled") ? "" : "(off)");
	}
	line("rings", "%s", rings);
}

static void print_device(json_object *device)
{
	char buf[400];

	if (!device)
		return;
	puts("device");
	line("driver", "%s (%s)", json_text(device, "driver"), json_text(device, "backend"));
	line("port", "%s", json_text(device, "port"));
	line("queues", "%.0f receive, %.0f transmit", json_number(device, "rx_queues"),
	     json_number(device, "tx_queues"));
	line("MAC", "%s", json_text(device, "mac"));
	line("MTU", "%s", json_text(device, "mtu"));
	line("NUMA node", "%s", json_text(device, "numa_node"));
	line("offloads", "%s", json_words(json_at(device, "offloads"), buf, sizeof(buf)));
	line("interrupts", "%s", json_flag(device, "interrupts") ? "yes" : "no");
}

static double lane_drops(json_object *drops)
{
	double sum = 0;

	if (!json_object_is_type(drops, json_type_object))
		return 0;
	json_object_object_foreach(drops, reason, value) {
		(void)reason;
		sum += json_number(value, "packets");
	}
	return sum;
}

static void print_lanes(struct ctl *ctl, json_object *lanes)
{
	static const struct output_column columns[] = {
		{ "LANE" },
		{ "QUEUE", .right = true },
		{ "CPU", .right = true },
		{ "STATE" },
		{ "IN", .right = true },
		{ "OUT", .right = true },
		{ "DROPS", .right = true },
		{ "POLLS", .right = true },
		{ "EMPTY", .right = true },
		{ "BUSY", .right = true },
	};
	struct output_table *table =
		output_table_new(ctl, columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; table && i < json_length(lanes); i++) {
		json_object *lane = json_object_array_get_idx(lanes, i);

		output_row(table);
		output_cell(table, "%s", json_text(lane, "direction"));
		output_cell(table, "%s", json_text(lane, "index"));
		output_cell(table, "%s", json_text(lane, "cpu"));
		output_cell(table, "%s", json_text(lane, "state"));
		output_cell(table, "%.0f", json_number(lane, "packets_in"));
		output_cell(table, "%.0f", json_number(lane, "packets_out"));
		output_cell(table, "%.0f", lane_drops(json_at(lane, "drops")));
		output_cell(table, "%.0f", json_number(lane, "polls"));
		output_cell(table, "%.0f", json_number(lane, "empty_polls"));
		output_cell(table, "%.2f s", json_number(lane, "busy_us") / 1e6);
	}
	if (table)
		output_table_print(table);
}

static void print_history(json_object *history)
{
	if (json_length(history))
		puts("history");
	for (size_t i = 0; i < json_length(history); i++) {
		json_object *entry = json_object_array_get_idx(history, i);

		line(TIME(json_number(entry, "time")), "%s", json_text(entry, "text"));
	}
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int status = CTL_OK;
	json_object *result;
	unsigned int id;

	if (!ctl_operands(ctl, argc, argv, 1, 1, &status))
		return status;
	if (!ctl_number(ctl, "ID", argv[optind], UINT_MAX, &id))
		return CTL_USAGE;
	status = ctl_call(ctl, "show", ctl_id_params(id), &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json) {
		output_json(result);
	} else {
		print_relay(result);
		print_vm(json_at(result, "vm_detail"));
		print_device(json_at(result, "device_detail"));
		print_lanes(ctl, json_at(result, "lanes"));
		print_history(json_at(result, "history"));
	}
	json_object_put(result);
	return CTL_OK;
}

const struct ctl_command ctl_show = {
	.name = "show",
	.usage = "ID",
	.summary = "everything about one relay",
	.help = "Shows a relay, its VM (features, rings, how often it came and went), its device, its\n"
		"lanes (one direction of one queue, run by a worker CPU: polled, armed or timed) and\n"
		"what has happened to it. Of a device that is attached by vDPA also the mode and why: direct\n"
		"(the device serves the VM's rings), shadow (it serves copies of them) or software (the\n"
		"relay copies packets), which features are not offered to the VM because the device or\n"
		"the relay lacks them, and the last switch of modes. A warning names a variable of the\n"
		"configuration that cannot be as it is set.\n\n",
	.run = run,
};
