/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What takes too long for workers and for the control thread: opening, starting, stopping and
 * closing devices (a VF is reset by each, and waits for its PF), and closing descriptors that the
 * kernel closes slowly. Jobs run in threads of their own; what follows from them is done in the
 * control thread.
 *
 * Jobs run at the same time. Whoever posts them sees to it that those of one device do not
 * (endpoint_op.h).
 */
#ifndef VIO4WD_RELAY_DEVICE_THREAD_H
#define VIO4WD_RELAY_DEVICE_THREAD_H

#include <sys/queue.h>

#include "common/err.h"

struct device_job {
	STAILQ_ENTRY(device_job) next;
	void (*work)(struct device_job *job); /* in a thread of these */
	void (*done)(struct device_job *job); /* afterwards, in the control thread */
};

int device_threads_start(struct err *err);
/* When no job is left but those that close descriptors; they are waited for. */
void device_threads_stop(void);

/* From the control thread. The job is the caller's; it is used until done() is called. */
void device_thread_post(struct device_job *job);
/* The control thread's loop calls device_threads_reap(), which calls done() of finished jobs, when
 * this descriptor is readable (it is this module's). */
int device_threads_fd(void);
void device_threads_reap(void);
/* Waits until a job is finished; for a control thread that has left its loop. */
void device_threads_wait(void);

/* Takes fd over and closes it. From any thread, never waits. */
void device_thread_close(int fd);

#endif
