/* SPDX-License-Identifier: BSD-3-Clause */

/* The bridge's rings in shadow mode (bridge.h). All of it needs the bridge's lock. */
#ifndef VIO4WD_RELAY_BRIDGE_SHADOW_H
#define VIO4WD_RELAY_BRIDGE_SHADOW_H

#include "common/err.h"

struct bridge;

/* Makes rings of ours for those in use and gives them to the device, before DRIVER_OK.
 * -EOPNOTSUPP: packed rings. */
int bridge_shadow_prepare(struct bridge *b, struct err *err);
/* Starts the thread that copies. */
int bridge_shadow_start(struct bridge *b, struct err *err);
/* Of a device that was reset: what it has done last is copied, too. Harmless without a shadow. */
void bridge_shadow_stop(struct bridge *b);
/* The thread looks for what it has to do. Harmless without a shadow. */
void bridge_shadow_wake(struct bridge *b);

/* Around an exchange of a ring's descriptors (struct bridge_ring): the thread uses none of them
 * between hold and release. All of it is harmless without a shadow. */
void bridge_shadow_hold(struct bridge *b);
void bridge_shadow_release(struct bridge *b);
void bridge_shadow_unwatch(struct bridge *b, unsigned int index);
int bridge_shadow_watch(struct bridge *b, unsigned int index, struct err *err);

#endif
