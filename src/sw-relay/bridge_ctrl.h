/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The device's control queue, which the VM knows nothing of: the bridge drives it to set how many
 * queue pairs are in use, and to receive whatever MAC address the VM has. All of it needs the
 * bridge's lock.
 */
#ifndef VIO4WD_RELAY_BRIDGE_CTRL_H
#define VIO4WD_RELAY_BRIDGE_CTRL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct bridge;

/* Features to negotiate for it; 0: the queue is of no use for this VM, or there is none, and
 * nothing below does anything. */
uint64_t bridge_ctrl_features(const struct bridge *b);
/* Gives the queue to the device, after negotiating and before DRIVER_OK. */
int bridge_ctrl_prepare(struct bridge *b, struct err *err);
/* The device runs. That it does not become promiscuous is logged, no more. -EIO, -ETIMEDOUT: it
 * does not take the number of queue pairs. */
int bridge_ctrl_start(struct bridge *b, unsigned int pairs, struct err *err);
/* The number of pairs changes; nothing is done when it is as it was. */
int bridge_ctrl_set_pairs(struct bridge *b, unsigned int pairs, struct err *err);
/* The VM uses another number of pairs than the device was told. */
bool bridge_ctrl_is_stale(const struct bridge *b);
/* Of a device that was reset or closed. */
void bridge_ctrl_drop(struct bridge *b);

#endif
