/* SPDX-License-Identifier: BSD-3-Clause */

/* A real worker, on the CPU where the test is. */
#ifndef VIO4WD_TESTS_ONE_WORKER_H
#define VIO4WD_TESTS_ONE_WORKER_H

#include <sched.h>

#include "common/cpuset.h"
#include "sw-relay/lane.h"
#include "sw-relay/worker.h"

/* 0, or a negative errno. workers_stop() ends it. */
static inline int start_worker(unsigned int max_sleep_us)
{
	const struct worker_options options = { .max_sleep_us = max_sleep_us };
	struct cpuset cpus;
	struct err err;

	lanes_init();
	cpuset_clear(&cpus);
	cpuset_add(&cpus, sched_getcpu());
	return workers_start(&cpus, &options, &err);
}

#endif
