/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What sysfs says of vDPA: which management device belongs to a PCI function, and the character
 * device of a vDPA device. root is prepended to paths ("" for the host itself).
 */
#ifndef VIO4WD_VDPA_SYSFS_H
#define VIO4WD_VDPA_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/pci_addr.h"
#include "vdpa/mgmt.h"

/* The PCI function that it is, or, for an auxiliary device, its parent in sysfs. Never waits.
 * -ENODEV: it has none, or is gone. */
int vdpa_mgmtdev_function(const char *root, const struct vdpa_mgmtdev *mgmt,
			  struct pci_addr *function);
/* That function is this one. */
bool vdpa_mgmtdev_is_of(const char *root, const struct vdpa_mgmtdev *mgmt,
			const struct pci_addr *function);

/*
 * "/dev/vhost-vdpa-N" of a vDPA device, found by its own folder in sysfs, never by counting. Never
 * waits. -ENODEV: there is no such vDPA device; -ENOENT: it is on no driver that makes one.
 */
int vdpa_chardev(const char *root, const char *name, char *path, size_t size, struct err *err);

/*
 * Puts the vDPA device on the driver vhost_vdpa (driver_override, bind), loading its module. May
 * wait for the kernel. Repeating it harms nothing. -ENODEV: there is no such vDPA device; -EBUSY:
 * another driver has it and keeps it; -ENOENT: there is no such module; -EIO: the driver does not
 * take it.
 */
int vdpa_use_vhost(const char *root, const char *name, struct err *err);

#endif
