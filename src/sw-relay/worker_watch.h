/* SPDX-License-Identifier: BSD-3-Clause */

/* Looks after workers: one that a VM has blocked is freed again, and the VM is reported. */
#ifndef VIO4WD_RELAY_WORKER_WATCH_H
#define VIO4WD_RELAY_WORKER_WATCH_H

#include "common/err.h"

int worker_watch_start(struct err *err);
void worker_watch_stop(void);

#endif
