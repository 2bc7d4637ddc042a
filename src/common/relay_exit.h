/* SPDX-License-Identifier: BSD-3-Clause */

/* Exit statuses of vio4wd-relay that tell the manager what its log says at length. */
#ifndef VIO4WD_RELAY_EXIT_H
#define VIO4WD_RELAY_EXIT_H

#define RELAY_EXIT_USAGE 2
#define RELAY_EXIT_HUGEPAGES 3 /* too few are free */

#endif
