/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Slow kernel calls, one after another in a thread of their own, so that the event loop never waits
 * for the kernel. A job's run() is called in the thread, and then its done() on the event loop.
 */
#ifndef VIO4WD_MANAGER_JOBS_H
#define VIO4WD_MANAGER_JOBS_H

#include <systemd/sd-event.h>

#include "common/err.h"

struct jobs;

struct job {		  /* embedded in what the job works on; its owner keeps it until done() */
	const char *what; /* for the log, as in "bind 0000:01:10.0" */
	void (*run)(struct job *job);
	void (*done)(struct job *job);
	struct job *next; /* of the queue */
};

int jobs_new(struct jobs **jobs, sd_event *event, struct err *err);
/* Waits up to 0.2 s for the job under way; one that the kernel holds for longer is left to it, and
 * its memory with it. done() of no job is called any more; the jobs that had not begun are dropped.
 */
void jobs_free(struct jobs *jobs);

void jobs_submit(struct jobs *jobs, struct job *job);

/* What has been under way for more than a second, and for how long: NULL when nothing is. */
const char *jobs_stuck(const struct jobs *jobs, unsigned int *seconds);

#endif
