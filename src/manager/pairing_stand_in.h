/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which device serves a pairing: the wished one, or a spare VF that stands in for it, in software
 * (VIO4WD_SPARE_VFS). What may stand in is the environment's to say (manager/spares.h).
 */
#ifndef VIO4WD_MANAGER_PAIRING_STAND_IN_H
#define VIO4WD_MANAGER_PAIRING_STAND_IN_H

#include <stdbool.h>
#include <stddef.h>

#include "manager/pairing.h"

/*
 * Which device is to serve; true when that has changed. A spare is taken when a VM waits and the
 * wished device is not there or cannot be opened, never to make up for an operation that fails.
 */
bool pairing_choose_device(struct pairing *p);

/* Why there is a stand-in, and until when. There has to be one. */
void pairing_stand_in_reason(const struct pairing *p, char *buf, size_t size);

#endif
