/* SPDX-License-Identifier: BSD-3-Clause */

#ifndef VIO4WD_MANAGER_RELAY_SPAWN_H
#define VIO4WD_MANAGER_RELAY_SPAWN_H

#include "manager/relay_process.h"

/* Starts the program with the relay's options, in a session of its own: a terminal's signals are
 * the manager's business. Returns the pid or a negative errno. */
pid_t relay_spawn(const struct relay *relay, struct err *err);

/* When a process was started, seconds since the epoch; now when that cannot be found out. */
int64_t pid_started(pid_t pid);
int pidfd_of(pid_t pid); /* pidfd_open(2): the fd, close-on-exec, or a negative errno */
int pidfd_signal(int pidfd, int signal);

#endif
