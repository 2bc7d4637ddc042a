/* SPDX-License-Identifier: BSD-3-Clause */

/* One program that looks at the name it was called by. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compat11/compat11.h"

static int core_scheduler(int argc, char **argv)
{
	execv(SCHEDULER_PROGRAM, argv);
	fprintf(stderr, "%s: %s\n", SCHEDULER_PROGRAM, strerror(errno));
	return 1;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} programs[] = {
	{ "virtioforwarder_port_control.py", compat11_port_control },
	{ "virtioforwarder_port_control_tester.py", compat11_port_control },
	{ "virtioforwarder_stats.py", compat11_stats },
	{ "virtioforwarder_core_pinner.py", compat11_core_pinner },
	{ "core_pinner.py", compat11_core_pinner },
	{ "virtioforwarder_monitor_load.py", compat11_monitor_load },
	{ "monitor_load.py", compat11_monitor_load },
	{ "virtioforwarder_core_scheduler.py", core_scheduler },
};

#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc ? argv[0] : "";

	for (size_t i = 0; i < N_PROGRAMS; i++) {
		int status;

		if (strcmp(name, programs[i].name))
			continue;
		status = programs[i].run(argc, argv);
		/* A full disk or a closed pipe must not look like success. */
		if (fflush(stdout) == 0 && !ferror(stdout))
			return status;
		perror(name);
		return status ? status : 1;
	}
	fputs("This is called by one of the names of virtio-forwarder 1.1's scripts:\n", stderr);
	for (size_t i = 0; i < N_PROGRAMS; i++)
		fprintf(stderr, "  %s\n", programs[i].name);
	return 2;
}
