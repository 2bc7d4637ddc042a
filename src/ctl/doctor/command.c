/* SPDX-License-Identifier: BSD-3-Clause */

/* vio4wdctl doctor: asks the daemon, runs the checks, prints what they have found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "ctl/ctl.h"
#include "ctl/doctor/doctor.h"
#include "ctl/output.h"

enum { OPT_ALL = 1 };

static const struct option options[] = { { "all", no_argument, NULL, OPT_ALL }, { 0 } };

static const struct doctor_area *find_area(struct ctl *ctl, const char *name)
{
	struct suggestion near = SUGGESTION_FOR(name);
	char names[200] = "";

	for (size_t i = 0; doctor_areas[i]; i++) {
		const char *area = doctor_areas[i]->name;

		if (!strcmp(area, name))
			return doctor_areas[i];
		suggestion_offer(&near, area);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 i ? ", " : "", area);
	}
	if (suggestion_is_close(&near))
		ctl_usage(ctl, "unknown area '%s'; did you mean '%s'? (areas: %s)", name, near.best,
			  names);
	else
		ctl_usage(ctl, "unknown area '%s' (areas: %s)", name, names);
	return NULL;
}

/* One that does not answer is a finding, too, and no reason not to look at the host. */
static void ask_daemon(struct ctl *ctl, struct doctor *d)
{
	const struct {
		const char *method;
		json_object **answer;
	} questions[] = { { "version", &d->version },
			  { "status", &d->status },
			  { "config", &d->running_config },
			  { "vf-list", &d->vf_list } };

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (ctl_try_call(ctl, questions[i].method, NULL, questions[i].answer,
				 &d->daemon_err) != CTL_OK)
			return;
	}
}

static void print_more(struct output_table *table, const char *label, const char *text)
{
	output_row(table);
	output_cell(table, " ");
	output_cell(table, " ");
	output_cell(table, "%s", label);
	output_cell(table, "%s", text);
}

static void print_finding(struct output_table *table, const struct finding *finding,
			  bool first_of_area)
{
	output_row(table);
	output_cell(table, "%s", first_of_area ? finding->area : " ");
	output_cell(table, "%s", finding_severity_name(finding->severity));
	output_cell(table, "%s", finding->check);
	output_cell(table, "%s", finding->found);
	if (finding->severity == FINDING_OK)
		return;
	print_more(table, "  seen in", finding->looked_at);
	print_more(table, "  expected", finding->expected);
	print_more(table, "  to do", finding->action);
}

static void print_counts(const struct findings *f, bool all)
{
	static const char *const plurals[] = { "ok", "notes", "warnings", "errors" };

	for (int s = FINDING_ERROR; s >= FINDING_OK; s--) {
		const size_t n = findings_count(f, s);

		printf("%zu %s%s", n, n == 1 ? finding_severity_name(s) : plurals[s],
		       s > FINDING_OK ? ", " : "");
	}
	puts(!all && findings_count(f, FINDING_OK) ? " (--all shows what is ok)" : "");
}

static void print_table(const struct ctl *ctl, const struct findings *f, bool all)
{
	static const struct output_column columns[] = {
		{ "AREA" }, { "RESULT" }, { "CHECK" }, { "FOUND", .last = true }
	};
	struct output_table *table =
		output_table_new(ctl, columns, sizeof(columns) / sizeof(columns[0]));
	const char *area = "";

	for (size_t i = 0; table && i < f->n; i++) {
		const struct finding *finding = &f->list[i];

		if (finding->severity == FINDING_OK && !all)
			continue;
		print_finding(table, finding, strcmp(area, finding->area) != 0);
		area = finding->area;
	}
	if (table)
		output_table_print(table);
	print_counts(f, all);
}

static int report(struct ctl *ctl, struct doctor *d, bool all)
{
	struct findings *f = &d->findings;

	findings_sort(f);
	if (f->out_of_memory)
		ctl_error("out of memory: some findings are missing");
	if (ctl->json) {
		json_object *json = findings_to_json(f);

		output_json(json);
		json_object_put(json);
	} else {
		print_table(ctl, f, all);
	}
	if (f->out_of_memory || findings_count(f, FINDING_WARNING) ||
	    findings_count(f, FINDING_ERROR))
		return CTL_REFUSED;
	return CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct doctor d;
	bool all = false;
	int status = CTL_OK, c;

	while ((c = ctl_getopt(ctl, argc, argv, &status)) != -1) {
		if (c != OPT_ALL)
			return status;
		all = true;
	}
	for (int i = optind; i < argc; i++) {
		if (!find_area(ctl, argv[i]))
			return CTL_USAGE;
	}
	if (doctor_init(&d, "", ctl->config_file ? ctl->config_file : CONFIG_DEFAULT_FILE) < 0) {
		ctl_error("out of memory");
		return CTL_REFUSED;
	}
	ask_daemon(ctl, &d);
	for (int i = optind; i < argc; i++)
		doctor_run(&d, find_area(ctl, argv[i]));
	for (size_t i = 0; optind == argc && doctor_areas[i]; i++)
		doctor_run(&d, doctor_areas[i]);
	status = report(ctl, &d, all);
	doctor_free(&d);
	return status;
}

const struct ctl_command ctl_doctor = {
	.name = "doctor",
	.usage = "[AREA...] [--all]",
	.summary = "look whether this host has what is needed",
	.help = "Looks at the host and the configuration file, changes nothing, and needs no daemon; of\n"
		"a running one it asks what that knows. Each finding tells what was looked at, what is\n"
		"expected and what to do. Run it as root: others do not see everything.\n\n"
		"  --all              also what is in order\n\n"
		"Areas (default: all of them):\n"
		"  config             errors and warnings of the configuration file\n"
		"  install            programs, units and the relays' user\n"
		"  cpu                virtualization, the workers' CPUs, NUMA nodes of VFs, workers, VMs\n"
		"  iommu              the IOMMU, its groups, interrupt remapping\n"
		"  memory             hugepages, hugetlbfs, limits of locked memory, KSM\n"
		"  vf                 the VFs in use: there, free, with stable MAC addresses\n"
		"  vdpa               the modules of hardware vDPA that the VFs in use need\n"
		"  libvirt            QEMU and libvirt: versions, VFs they hold, interfaces at relays\n"
		"  socket             the vhost-user sockets: owner, way to them, denials\n"
		"  daemon             what the running vio4wd tells: version, configuration, failures\n\n"
		"The exit status is 0 when there is neither a warning nor an error, else 1. With --json:\n"
		"{findings: [{area, check, severity, looked_at, found, expected, action}], counts}, what\n"
		"is in order included.\n\n",
	.options = options,
	.run = run,
};
