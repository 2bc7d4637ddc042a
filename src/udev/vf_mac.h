/* SPDX-License-Identifier: BSD-3-Clause */

/* MAC addresses of VFs for which nobody has chosen one. */
#ifndef VIO4WD_UDEV_VF_MAC_H
#define VIO4WD_UDEV_VF_MAC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "udev/vf.h"

/*
 * The address is one that the VF's kernel driver made up for want of any. It told the PF, which now
 * tells of it as if somebody had set it, and forgets it when the driver goes.
 */
bool vf_mac_is_random(const char *root, const struct vf *vf, const uint8_t mac[6]);

/*
 * The same one at each start, another one on each host: locally administered and unicast, made of
 * the machine id (machine-id(5)), the PF's permanent MAC address (its PCI address when it has none)
 * and the VF's index. -ENOENT: the host has no machine id.
 */
int vf_mac_make(const struct vf *vf, uint8_t mac[6], struct err *err);

#endif
