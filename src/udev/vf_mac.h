/* SPDX-License-Identifier: BSD-3-Clause */

/* MAC addresses of VFs for which nobody has chosen one. */
#ifndef VIO4WD_UDEV_VF_MAC_H
#define VIO4WD_UDEV_VF_MAC_H

#include <stdint.h>

#include "common/err.h"
#include "udev/vf.h"

/*
 * The address that the VF's interface has of the host's own choice: its driver found none at the PF
 * and made one up, or udevd or an administrator gave it another since. The PF is told of it, tells
 * of it as if somebody had set it there, and forgets it when the device is reset. -ENOENT: it has
 * none of that kind.
 */
int vf_mac_of_interface(const char *root, const struct vf *vf, uint8_t mac[6]);

/*
 * The same one at each start, another one on each host: locally administered and unicast, made of
 * the machine id (machine-id(5)), the PF's permanent MAC address (its PCI address when it has none)
 * and the VF's index. -ENOENT: the host has no machine id.
 */
int vf_mac_make(const struct vf *vf, uint8_t mac[6], struct err *err);

#endif
