/* SPDX-License-Identifier: BSD-3-Clause */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "common/suggest.h"
#include "common/text.h"
#include "ctl/ctl.h"
#include "ctl/device_use.h"
#include "ctl/output.h"

static json_object *report_json(const char *file, const struct config_report *report)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < report->n_issues; i++) {
		const struct config_issue *issue = &report->issues[i];
		json_object *entry = json_object_new_object();

		json_object_object_add(entry, "file", json_object_new_string(file));
		json_object_object_add(entry, "line", json_object_new_int((int)issue->line));
		json_object_object_add(entry, "severity",
				       json_object_new_string(issue->is_error ? "error"
									      : "warning"));
		json_object_object_add(entry, "text", json_object_new_string(issue->text));
		json_object_array_add(list, entry);
	}
	return list;
}

static void print_report(FILE *out, const char *file, const struct config_report *report)
{
	for (size_t i = 0; i < report->n_issues; i++) {
		const struct config_issue *issue = &report->issues[i];
		char text[sizeof(issue->text)];

		snprintf(text, sizeof(text), "%s", issue->text);
		text_clean(text);
		fputs(file, out);
		if (issue->line)
			fprintf(out, ":%u", issue->line);
		fprintf(out, ": %s: %s\n", issue->is_error ? "error" : "warning", text);
	}
}

static int check(struct ctl *ctl, const char *file)
{
	struct config_report report = { 0 };
	struct config *cfg = NULL;
	int ret = config_read(file, "", &cfg, &report);

	if (ctl->json) {
		json_object *list = report_json(file, &report);

		output_json(list);
		json_object_put(list);
	} else {
		print_report(stdout, file, &report);
		if (ret == 0)
			printf("%s: valid%s\n", file, report.n_issues ? ", with warnings" : "");
	}
	config_report_free(&report);
	config_free(cfg);
	return ret < 0 ? CTL_REFUSED : CTL_OK;
}

/* A value as it could stand in the file. */
static void print_value(json_object *value)
{
	char text[4096];
	const char *p;

	if (json_object_is_type(value, json_type_array)) {
		putchar('(');
		for (size_t i = 0; i < json_length(value); i++) {
			if (i)
				putchar(' ');
			print_value(json_object_array_get_idx(value, i));
		}
		putchar(')');
		return;
	}
	snprintf(text, sizeof(text), "%s", value ? json_object_get_string(value) : "");
	text_clean(text);
	for (p = text; isalnum((unsigned char)*p) || (*p && strchr("_-+./:=,%@", *p)); p++)
		;
	printf(*p || !*text ? "\"%s\"" : "%s", text);
}

static void print_config(struct ctl *ctl, json_object *config)
{
	if (ctl->json) {
		output_json(config);
		return;
	}
	if (!json_object_is_type(config, json_type_object))
		return;
	json_object_object_foreach(config, name, value) {
		printf("%s=", name);
		print_value(value);
		putchar('\n');
	}
}

static int show_file(struct ctl *ctl, const char *file)
{
	struct config_report report = { 0 };
	struct config *cfg = NULL;
	json_object *config;
	int ret = config_read(file, "", &cfg, &report);

	if (ret < 0) {
		print_report(stderr, file, &report);
	} else {
		config = config_to_json(cfg);
		print_config(ctl, config);
		json_object_put(config);
	}
	config_report_free(&report);
	config_free(cfg);
	return ret < 0 ? CTL_REFUSED : CTL_OK;
}

static int show(struct ctl *ctl)
{
	json_object *result;
	int status;

	if (ctl->config_file)
		return show_file(ctl, ctl->config_file);
	status = ctl_call(ctl, "config", NULL, &result);
	if (status != CTL_OK)
		return status;
	print_config(ctl, result);
	json_object_put(result);
	return CTL_OK;
}

static void print_use(struct ctl *ctl, const char *text, const struct device_use *use)
{
	json_object *result;

	if (!ctl->json) {
		printf("%s%s%s%s: %s: %s\n", *use->address ? use->address : use->name,
		       *use->address && *use->name ? " (" : "", *use->address ? use->name : "",
		       *use->address && *use->name ? ")" : "",
		       use->use == CONFIG_USED ? "used" : "not used", use->why);
		return;
	}
	result = json_object_new_object();
	json_object_object_add(result, "device", json_object_new_string(text));
	json_object_object_add(result, "address",
			       *use->address ? json_object_new_string(use->address) : NULL);
	json_object_object_add(result, "name",
			       *use->name ? json_object_new_string(use->name) : NULL);
	json_object_object_add(result, "used", json_object_new_boolean(use->use == CONFIG_USED));
	json_object_object_add(result, "reason", json_object_new_string(use->why));
	output_json(result);
	json_object_put(result);
}

/* A broken file and a device that is not there are told apart from a device that is not used. */
static int uses(struct ctl *ctl, const char *text)
{
	const char *file = ctl->config_file ? ctl->config_file : CONFIG_DEFAULT_FILE;
	struct config_report report = { 0 };
	struct config *cfg = NULL;
	struct device_use use;
	int status = CTL_USAGE;
	struct err err;

	if (config_read(file, "", &cfg, &report) < 0) {
		print_report(stderr, file, &report);
	} else if (device_use_find(cfg, "", text, &use, &err) < 0) {
		ctl_error("%s", err.text);
	} else {
		print_use(ctl, text, &use);
		status = use.use == CONFIG_USED ? CTL_OK : CTL_REFUSED;
	}
	config_report_free(&report);
	config_free(cfg);
	return status;
}

static int unknown_verb(struct ctl *ctl, const char *text)
{
	static const char *const verbs[] = { "check", "show", "uses" };
	struct suggestion near = SUGGESTION_FOR(text);

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		suggestion_offer(&near, verbs[i]);
	if (suggestion_is_close(&near))
		return ctl_usage(ctl, "'%s' is neither check nor show nor uses; did you mean %s?",
				 text, near.best);
	return ctl_usage(ctl, "'%s' is neither check nor show nor uses", text);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *file = CONFIG_DEFAULT_FILE;
	int status = CTL_OK;

	if (!ctl_operands(ctl, argc, argv, 1, 2, &status))
		return status;
	if (strcmp(argv[optind], "check") == 0) {
		if (ctl->config_file)
			file = ctl->config_file;
		if (optind + 1 < argc)
			file = argv[optind + 1];
		return check(ctl, file);
	}
	if (strcmp(argv[optind], "show") == 0) {
		if (optind + 1 < argc)
			return ctl_usage(ctl,
					 "unexpected argument '%s'; a file is named with "
					 "--config",
					 argv[optind + 1]);
		return show(ctl);
	}
	if (strcmp(argv[optind], "uses") == 0) {
		if (optind + 1 >= argc)
			return ctl_usage(ctl,
					 "a device is missing: config uses DEVICE, as in config "
					 "uses 0000:01:10.0");
		return uses(ctl, argv[optind + 1]);
	}
	return unknown_verb(ctl, argv[optind]);
}

const struct ctl_command ctl_config = {
	.name = "config",
	.usage = "check [FILE] | show | uses DEVICE",
	.summary = "check a file, show what is in force, ask for a device",
	.help = "check lists every error and warning of FILE (default: that of --config, else\n"
		"/etc/default/virtioforwarder) as FILE:LINE: TEXT, and needs no daemon; the exit status\n"
		"is 1 when there is an error. With --json: a list of {file, line, severity, text}.\n\n"
		"show prints the configuration that vio4wd runs with, defaults included, or with\n"
		"--config FILE what that file means.\n\n"
		"uses tells whether the configuration file uses a PCI function (a VF or a PF) or an\n"
		"interface of this host, and which variable says so: a VF is used when it is named, or\n"
		"its PF in VIO4WD_AUTO_VFS, VIO4WD_NUM_VFS or VIRTIOFWD_BIND_VFIO_PCI, unless\n"
		"VIO4WD_EXCLUDE names either. DEVICE is an address, an interface, a VF as in ens3.vf0,\n"
		"or an alias. No daemon is needed. The exit status is 0 when it is used, 1 when it is\n"
		"not, 2 when the file is broken or there is no such device. With --json: {device,\n"
		"address, name, used, reason}.\n\n",
	.run = run,
};
