/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The core scheduler's loop: looks at the load of vio4wd's workers in intervals, and moves relays
 * when that makes it clearly more even. A server that does not answer is asked again at the next
 * interval.
 */
#ifndef VIO4WD_SCHEDULER_H
#define VIO4WD_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "common/config.h"
#include "common/err.h"

struct scheduler_options {
	const char *stats_ep; /* endpoints, as for zmq_client_new() */
	const char *sched_ep;
	const char *config_ep; /* NULL: it is not there, the pins are those below */
	const struct config_pin *pins;
	size_t n_pins;
	double sensitivity;   /* see balance.h */
	uint64_t interval_us; /* from the end of a look to the next */
	bool global_numa_opt;
	const char *root; /* of sysfs, "" for the host */
};

struct scheduler;

/* The first look is made at once. options and what it points to must outlive it. */
int scheduler_new(struct scheduler **scheduler, sd_event *event,
		  const struct scheduler_options *options, struct err *err);
void scheduler_free(struct scheduler *scheduler); /* NULL is allowed */

#endif
