/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Becoming a process that can do nothing but forward packets. It opens no file a stranger could
 * not, starts no program, and most system calls are gone.
 */
#ifndef VIO4WD_RELAY_SANDBOX_H
#define VIO4WD_RELAY_SANDBOX_H

#include "common/err.h"
#include "sw-relay/options.h"

#if defined(__has_feature) /* clang's way to say what gcc says */
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

/* As root and before the first thread: limits are raised, and what a thread inherits and root does
 * not need is given up (bounding set, inheritable and ambient capabilities, new privileges). */
int sandbox_prepare(struct err *err);
/* User, groups, capabilities, dumps and system calls, of all threads. */
int sandbox_enter(const struct relay_options *options, struct err *err);

/* The allow list alone (sandbox_syscalls.c). */
int sandbox_filter_syscalls(struct err *err);

#endif
