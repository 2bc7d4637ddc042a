/* SPDX-License-Identifier: BSD-3-Clause */

/* A MAC address for a VF that has none: the same one at each start, another one on each host. */
#ifndef VIO4WD_UDEV_VF_MAC_H
#define VIO4WD_UDEV_VF_MAC_H

#include <stdint.h>

#include "common/err.h"
#include "udev/vf.h"

/*
 * Locally administered and unicast. Made of the machine id (machine-id(5)), the PF's permanent MAC
 * address (its PCI address when it has none) and the VF's index. -ENOENT: the host has no machine
 * id.
 */
int vf_mac_make(const struct vf *vf, uint8_t mac[6], struct err *err);

#endif
