/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A worker is a pinned thread that runs its lanes in turn and sleeps when none has work.
 * Control side, called by the control thread.
 */
#ifndef VIO4WD_RELAY_WORKER_H
#define VIO4WD_RELAY_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cpuset.h"
#include "common/err.h"

struct worker_options {
	bool busy_poll;		   /* VIO4WD_POLL_MODE=busy: never sleep */
	unsigned int max_sleep_us; /* VIO4WD_MAX_SLEEP_US */
};

/* Starts one worker on each CPU of the set. */
int workers_start(const struct cpuset *cpus, const struct worker_options *options, struct err *err);
/* Adds and removes workers so that there is one on each CPU of the set; lanes move without loss. */
int workers_set(const struct cpuset *cpus, struct err *err);
void workers_stop(void);

#endif
