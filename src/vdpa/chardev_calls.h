/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The system calls that drive a vhost-vdpa device, in a file of their own: a unit test links its
 * own ones in their place, which behave like a device and let time pass at once. They return a
 * negative errno where the system calls set errno.
 */
#ifndef VIO4WD_VDPA_CHARDEV_CALLS_H
#define VIO4WD_VDPA_CHARDEV_CALLS_H

#include <stddef.h>
#include <stdint.h>

int chardev_open(const char *path);
void chardev_close(int fd);
int chardev_ioctl(int fd, unsigned long request, void *argument);
/* All of it, or it has failed. */
int chardev_write(int fd, const void *buf, size_t size);

/* A clock that only goes forward, and waiting, in microseconds. */
int64_t chardev_now(void);
void chardev_wait(unsigned int us);

/* Bytes that this process may pin (RLIMIT_MEMLOCK), and those that it has pinned. */
uint64_t chardev_pin_limit(void);
uint64_t chardev_pinned(void);

#endif
