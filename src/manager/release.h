/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vio4wd --release-devices: every VF whose driver was changed gets its own back. For the removal of
 * the software; a manager and relays must not run.
 */
#ifndef VIO4WD_MANAGER_RELEASE_H
#define VIO4WD_MANAGER_RELEASE_H

#include "common/config.h"
#include "common/err.h"

/* Says on stdout what it did. Returns 0, or the error of the last VF that could not be put back. */
int release_devices(const struct config *cfg, const char *root, struct err *err);

#endif
