/* SPDX-License-Identifier: BSD-3-Clause */

/* Asking another program for its version. */
#ifndef VIO4WD_CTL_DOCTOR_PROGRAM_H
#define VIO4WD_CTL_DOCTOR_PROGRAM_H

#include <stddef.h>

#include "common/err.h"

/*
 * Runs path with one argument, without a shell, with nothing on stdin and stderr, and reads what it
 * prints, as much as size holds. It is killed when it takes longer than timeout_ms. Returns 0; a
 * negative errno when it cannot be started or fails (-EIO); -ETIMEDOUT.
 */
int program_output(const char *path, const char *argument, unsigned int timeout_ms, char *buf,
		   size_t size, struct err *err);

/* "9.2.1" in a text as 9002001; 0 when there is no number with a dot. */
unsigned int program_version(const char *text);
#define PROGRAM_VERSION(major, minor, micro) ((major)*1000000u + (minor)*1000u + (micro))

#endif
