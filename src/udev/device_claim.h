/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Does a program have the device open? The kernel lets one program at a time have /dev/vfio/GROUP
 * open (EBUSY for all others; drivers/vfio/group.c), and none while the device is open by way of
 * /dev/vfio/devices. So who gets it open is the only user, and nobody becomes one before it is
 * closed. That holds back neither the driver's unbinding nor its probing.
 *
 * uio has nothing like it: there /proc is asked, which does not show the programs of other PID
 * namespaces, nor one that opens the device a moment later.
 */
#ifndef VIO4WD_UDEV_DEVICE_CLAIM_H
#define VIO4WD_UDEV_DEVICE_CLAIM_H

#include "common/err.h"
#include "udev/vf.h"

/*
 * Makes sure that no program uses a device, and keeps it so (VFIO) while *fd is open, which is the
 * caller's to close; -1 when there was nothing to open. -EBUSY: it is in use; err tells by whom,
 * where /proc shows it.
 */
int device_claim(const char *root, const struct vf *vf, int *fd, struct err *err);

#endif
