/* SPDX-License-Identifier: BSD-3-Clause */

#ifndef VIO4WD_MANAGER_PIDFD_H
#define VIO4WD_MANAGER_PIDFD_H

#include <stdint.h>
#include <sys/types.h>

int pidfd_of(pid_t pid); /* pidfd_open(2): the fd, close-on-exec, or a negative errno */
int pidfd_signal(int pidfd, int signal);
/* When a process was started, seconds since the epoch; now when that cannot be found out. */
int64_t pid_started(pid_t pid);
/* In words how a relay ended: code and status as in siginfo_t (CLD_EXITED, ...). */
void pid_end_text(char *buf, size_t size, int code, int status);

#endif
