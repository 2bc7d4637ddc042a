/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Telling the service manager (sd_notify's protocol) without ever waiting for it: sd_notify itself
 * blocks when nobody reads the socket.
 */
#ifndef VIO4WD_MANAGER_NOTIFY_H
#define VIO4WD_MANAGER_NOTIFY_H

/* What cannot be sent at once is lost. Returns 0, also without a service manager, or -errno. */
int notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
