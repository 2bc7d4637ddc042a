/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Places at which a test can cut a program off, to see that the next start completes or undoes what
 * was under way. Only in builds with the option fault_points (-DVIO4WD_FAULT_POINTS); in all others
 * there is nothing.
 *
 * fault_point("bind.unbound") kills the process with SIGKILL when the environment variable
 * VIO4WD_FAULT is that name. All names:
 *
 *   grep -rhoE 'fault_point\("[^"]+' src | sort -u
 */
#ifndef VIO4WD_FAULT_H
#define VIO4WD_FAULT_H

#ifdef VIO4WD_FAULT_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void fault_point(const char *name)
{
	const char *wanted = getenv("VIO4WD_FAULT");

	if (wanted && !strcmp(wanted, name))
		kill(getpid(), SIGKILL);
}

#else

#define fault_point(name) ((void)0)

#endif

#endif
