/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The calls that make the kernel do something, in a file of their own: a unit test links its own
 * ones in their place, which do to a tree of plain files what the kernel does to sysfs.
 */
#ifndef VIO4WD_KERNEL_H
#define VIO4WD_KERNEL_H

/* Writes value to an attribute of sysfs, below root, with one write(2). Returns 0 or a negative
 * errno: open's, or what the kernel's handler of the attribute said. */
int kernel_write(const char *root, const char *value, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

/* Opens a character device, below root, for reading and writing; returns the descriptor or a
 * negative errno. */
int kernel_open(const char *root, const char *path, ...) __attribute__((format(printf, 2, 3)));

#endif
