/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which PCI driver makes a vDPA management device out of a VF. Devices that are not in the table
 * have vDPA when their present driver says so itself (vdpa/mgmt.h). And which vDPA driver of DPDK
 * takes a VF that is on vfio-pci.
 */
#ifndef VIO4WD_UDEV_VDPA_DRIVER_H
#define VIO4WD_UDEV_VDPA_DRIVER_H

#include <stdbool.h>

#include "udev/vf.h"

struct vdpa_driver {
	const char *driver; /* of the PCI function: "vp-vdpa" */
	const char *module; /* to be loaded beside it; NULL: it is the driver's own */
};

/* What the VF can be put on; NULL when nothing is known of it. Reads sysfs, never waits. */
const struct vdpa_driver *vdpa_driver_of(const char *root, const struct vf *vf);

/* The devargs with which a vDPA driver of DPDK takes the VF: "class=vdpa"; NULL when there is none
 * for it. Likewise. */
const char *vdpa_driver_dpdk_args(const char *root, const struct vf *vf);

/* A driver that does nothing but vDPA: no program opens the function itself. */
bool vdpa_driver_is(const char *driver);

/* Why the vDPA of a device is not to be used although its driver has it; NULL: nothing is known
 * against it. */
const char *vdpa_driver_flaw(const struct vf *vf);

#endif
