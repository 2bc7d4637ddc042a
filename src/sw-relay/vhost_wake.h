/* SPDX-License-Identifier: BSD-3-Clause */

/* Making the vhost library's event thread look at what has changed. */
#ifndef VIO4WD_RELAY_VHOST_WAKE_H
#define VIO4WD_RELAY_VHOST_WAKE_H

#include "common/err.h"

/* A socket with this path and ".wake" behind it exists for a moment. */
int vhost_wake_init(const char *path, struct err *err);
void vhost_wake_fini(void);

/* A socket was registered: the thread is to poll it from now on. Nothing happens before init. */
void vhost_wake(void);

#endif
