/* SPDX-License-Identifier: BSD-3-Clause */

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/suggest.h"
#include "ctl/ctl.h"

static const struct ctl_command *const commands[] = {
	&ctl_status,  &ctl_show,   &ctl_add,	   &ctl_remove,	     &ctl_stats,     &ctl_pin,
	&ctl_backend, &ctl_relays, &ctl_vf,	   &ctl_vdpa,	     &ctl_log_level, &ctl_reload,
	&ctl_config,  &ctl_doctor, &ctl_qemu_args, &ctl_libvirt_xml, &ctl_version,
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_overview(FILE *out)
{
	fputs("Usage: vio4wdctl [OPTION...] COMMAND [ARGUMENT...]\n\n"
	      "Shows and controls vio4wd, which gives VMs virtio network devices whose other end is\n"
	      "an SR-IOV virtual function or another network device.\n\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s%s%s", commands[i]->name,
			 *commands[i]->usage ? " " : "", commands[i]->usage);
		if (strlen(line) > 32)
			fprintf(out, "  %s\n%36s%s\n", line, "", commands[i]->summary);
		else
			fprintf(out, "  %-32s  %s\n", line, commands[i]->summary);
	}
	fprintf(out, "\n'vio4wdctl COMMAND --help' tells more about a command.\n\n%s",
		ctl_global_help());
}

static const struct ctl_command *find_command(struct ctl *ctl, const char *name)
{
	struct suggestion s = SUGGESTION_FOR(name);

	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		suggestion_offer(&s, commands[i]->name);
	}
	if (suggestion_is_close(&s))
		ctl_usage(ctl, "unknown command '%s'; did you mean '%s'?", name, s.best);
	else
		ctl_usage(ctl, "unknown command '%s'", name);
	return NULL;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int status = CTL_OK, c;

	while ((c = ctl_getopt_global(ctl, argc, argv, &status)) != -1) {
		switch (c) {
		case 'h':
			print_overview(stdout);
			return CTL_OK;
		case 'V':
			puts("vio4wdctl " VIO4WD_VERSION);
			return CTL_OK;
		default:
			return status;
		}
	}
	if (optind >= argc) {
		print_overview(stderr);
		return CTL_USAGE;
	}
	argc -= optind;
	argv += optind;
	if (strcmp(argv[0], "help") == 0 && argc == 1) {
		print_overview(stdout);
		return CTL_OK;
	}
	ctl->command = find_command(ctl, argv[0]);
	if (!ctl->command)
		return CTL_USAGE;
	optind = 0; /* glibc's way to start again */
	return ctl->command->run(ctl, argc, argv);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { 0 };
	int status;

	setlocale(LC_CTYPE, ""); /* libsmartcols shows bytes beyond ASCII as \x.. otherwise */
	status = run(&ctl, argc, argv);
	ctl_disconnect(&ctl);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("vio4wdctl: writing the output");
		return status == CTL_OK ? CTL_REFUSED : status;
	}
	return status;
}
