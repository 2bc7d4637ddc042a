/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <string.h>

#include "common/suggest.h"
#include "common/text.h"
#include "ctl/ctl.h"
#include "ctl/output.h"

static const char forms[] = "vdpa list or vdpa show NAME";

static const struct output_column mgmt_columns[] = {
	{ "MANAGEMENT" },
	{ "VF" },
	{ "CLASSES" },
	{ "VIRTQUEUES", .right = true },
	{ "FEATURES", .last = true },
};

static const struct output_column device_columns[] = {
	{ "DEVICE" },
	{ "MANAGEMENT" },
	{ "DRIVER" },
	{ "FILE" },
	{ "MAC" },
	{ "MTU", .right = true },
	{ "PAIRS", .right = true },
	{ "RELAY", .right = true },
	{ "STATE" },
};

static void print_management(struct ctl *ctl, json_object *list)
{
	struct output_table *table =
		output_table_new(ctl, mgmt_columns, sizeof(mgmt_columns) / sizeof(mgmt_columns[0]));
	char buf[2000];

	for (size_t i = 0; table && i < json_length(list); i++) {
		json_object *mgmt = json_object_array_get_idx(list, i);

		output_row(table);
		output_cell(table, "%s", json_text(mgmt, "name"));
		output_cell(table, "%s", json_text(mgmt, "vf"));
		output_cell(table, "%s", json_words(json_at(mgmt, "classes"), buf, sizeof(buf)));
		output_cell(table, "%s", json_text(mgmt, "max_virtqueues"));
		output_cell(table, "%s", json_words(json_at(mgmt, "features"), buf, sizeof(buf)));
	}
	if (table)
		output_table_print(table);
}

static void print_devices(struct ctl *ctl, json_object *list)
{
	struct output_table *table = output_table_new(
		ctl, device_columns, sizeof(device_columns) / sizeof(device_columns[0]));

	for (size_t i = 0; table && i < json_length(list); i++) {
		json_object *device = json_object_array_get_idx(list, i);

		output_row(table);
		output_cell(table, "%s", json_text(device, "name"));
		output_cell(table, "%s", json_text(device, "management"));
		output_cell(table, "%s", json_text(device, "driver"));
		output_cell(table, "%s", json_text(device, "path"));
		output_cell(table, "%s", json_text(device, "mac"));
		output_cell(table, "%s", json_text(device, "mtu"));
		output_cell(table, "%s", json_text(device, "queue_pairs"));
		output_cell(table, "%s", json_text(device, "relay"));
		output_cell(table, "%s", json_text(device, "state"));
	}
	if (table)
		output_table_print(table);
}

static int list(struct ctl *ctl, json_object *result)
{
	json_object *management = json_at(result, "management"), *devices;

	devices = json_at(result, "devices");
	if (ctl->json) {
		output_json(result);
		return CTL_OK;
	}
	if (json_length(management))
		print_management(ctl, management);
	else
		ctl_error("this host has no vDPA management device: no driver here has vDPA now "
			  "(a VF may have it on another driver; see 'vio4wdctl show ID')");
	if (json_length(management) && json_length(devices) && !ctl->no_headings)
		putchar('\n');
	if (json_length(devices))
		print_devices(ctl, devices);
	return CTL_OK;
}

/* The one of that name among devices and management devices; NULL, and a suggestion. */
static json_object *find(json_object *result, const char *name, struct suggestion *near)
{
	static const char *const keys[] = { "devices", "management" };

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		json_object *list_of = json_at(result, keys[k]);

		for (size_t i = 0; i < json_length(list_of); i++) {
			json_object *entry = json_object_array_get_idx(list_of, i);

			if (!strcmp(json_text(entry, "name"), name))
				return entry;
			suggestion_offer(near, json_text(entry, "name"));
		}
	}
	return NULL;
}

/* Each member on a line; lists of words are broken by nobody but the terminal. */
static void print_members(json_object *entry)
{
	char text[2000];

	json_object_object_foreach(entry, key, value) {
		if (json_object_is_type(value, json_type_array))
			json_words(value, text, sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", json_text(entry, key));
		text_clean(text);
		printf("%-15s %s\n", key, *text ? text : "-");
	}
}

static int show(struct ctl *ctl, json_object *result, const char *name)
{
	struct suggestion near = SUGGESTION_FOR(name);
	json_object *entry = find(result, name, &near);

	if (!entry && suggestion_is_close(&near))
		ctl_error("there is no vDPA device and no management device '%s'; did you mean "
			  "'%s'?",
			  name, near.best);
	else if (!entry)
		ctl_error("there is no vDPA device and no management device '%s'; see "
			  "'vio4wdctl vdpa list'",
			  name);
	else if (ctl->json)
		output_json(entry);
	else
		print_members(entry);
	return entry ? CTL_OK : CTL_REFUSED;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int status = CTL_OK;
	json_object *result;
	const char *verb, *name;
	bool shows;

	if (!ctl_operands(ctl, argc, argv, 0, 2, &status))
		return status;
	if (optind >= argc)
		return ctl_help_wanted(ctl);
	verb = argv[optind];
	name = optind + 1 < argc ? argv[optind + 1] : NULL;
	shows = !strcmp(verb, "show");
	if (!shows && strcmp(verb, "list") != 0)
		return ctl_usage(ctl, "unknown verb '%s'; it must be %s", verb, forms);
	if (shows && !name)
		return ctl_usage(ctl,
				 "the name is missing: vdpa show NAME, as in vdpa show vio4wd1");
	if (!shows && name)
		return ctl_usage(ctl, "unexpected argument '%s': vdpa list", name);
	status = ctl_call(ctl, "vdpa-list", NULL, &result);
	if (status != CTL_OK)
		return status;
	status = shows ? show(ctl, result, name) : list(ctl, result);
	json_object_put(result);
	return status;
}

const struct ctl_command ctl_vdpa = {
	.name = "vdpa",
	.usage = "list | show NAME",
	.summary = "hardware vDPA of the host",
	.help = "list shows the kernel's vDPA management devices (what makes vDPA devices: a VF on a\n"
		"driver that has it) with the classes of devices, virtqueues and virtio features that\n"
		"they offer, and the vDPA devices that were made: driver, character device, MAC\n"
		"address, MTU, queue pairs, and the relay that has it. vio4wd calls its own vio4wd<ID>.\n\n"
		"show tells all about one of them.\n\n",
	.run = run,
};
