/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Reading attributes of sysfs (and of anything that looks like it: one short text per file) below a
 * root directory that a test can replace. root is "" for the host itself.
 */
#ifndef VIO4WD_SYSFS_H
#define VIO4WD_SYSFS_H

#include <stddef.h>

/*
 * Reads the file root + path (printf-style) into buf, NUL-terminated and without the newline at its
 * end. Returns the length, or a negative errno: -EFBIG when size bytes do not hold it all.
 */
int sysfs_read(const char *root, char *buf, size_t size, const char *path, ...)
	__attribute__((format(printf, 4, 5)));

/* The same of a file below an open folder. */
int sysfs_read_at(int folder, char *buf, size_t size, const char *path);

#endif
