/* SPDX-License-Identifier: BSD-3-Clause */

/* The command line of vio4wd-relay, which the manager (or its unit) writes. */
#ifndef VIO4WD_RELAY_OPTIONS_H
#define VIO4WD_RELAY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/cpuset.h"
#include "common/err.h"
#include "sw-relay/worker.h"

#define OPTIONS_MAX_GROUPS 32

struct relay_options {
	unsigned int id; /* number of this relay process */
	const char *socket;
	struct cpuset cpus; /* a worker on each */
	unsigned int control_cpu;
	int numa_node;
	bool has_user;
	uid_t uid;
	gid_t gid;
	gid_t groups[OPTIONS_MAX_GROUPS]; /* supplementary */
	size_t n_groups;
	struct worker_options worker;
	bool hugepages;
	unsigned int memory_mb; /* without hugepages: all the memory there will be */
	const char *vf_token;	/* NULL: none */
	int log_level;		/* 0..7 */
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_USAGE };

/* DONE: --help or --version was printed. USAGE: err says what is wrong. Texts point into argv. */
enum options_result options_parse(struct relay_options *options, int argc, char **argv,
				  struct err *err);

#endif
