/* SPDX-License-Identifier: BSD-3-Clause */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "common/text.h"
#include "ctl/ctl.h"
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
	return ctl_usage(ctl, "'%s' is neither check nor show", argv[optind]);
}

const struct ctl_command ctl_config = {
	.name = "config",
	.usage = "check [FILE] | show",
	.summary = "check a configuration file, or show what is in force",
	.help = "check lists every error and warning of FILE (default: that of --config, else\n"
		"/etc/default/virtioforwarder) as FILE:LINE: TEXT, and needs no daemon; the exit status\n"
		"is 1 when there is an error. With --json: a list of {file, line, severity, text}.\n\n"
		"show prints the configuration that vio4wd runs with, defaults included, or with\n"
		"--config FILE what that file means.\n\n",
	.run = run,
};
