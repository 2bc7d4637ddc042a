/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The registers of PCI devices, as drivers have them mapped. A device that goes without having been
 * asked for leaves pages behind that raise SIGBUS or read as all ones; drivers wait for ever for a
 * bit to fall. Zeros in their place let every driver come to an end.
 */
#ifndef VIO4WD_RELAY_BARS_H
#define VIO4WD_RELAY_BARS_H

#include <stdbool.h>
#include <stdint.h>

#include "sw-relay/backend.h"

/* What has been mapped since the last call is the backend's, until bars_forget(). One at a time. */
void bars_add(struct backend *backend);
void bars_forget(const struct backend *backend);
/* Puts zeros in the place of its registers. */
void bars_blind(const struct backend *backend);

/* In a signal handler: if addr is in a device's registers they become zeros, the backend is gone,
 * and true is returned. */
bool bars_fault(uintptr_t addr);

#endif
