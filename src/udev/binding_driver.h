/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The single steps by which a PCI function changes its driver. Each waits for the kernel, tells in
 * err what was refused, and returns -ENODEV (without words) when the function is gone.
 */
#ifndef VIO4WD_UDEV_BINDING_DRIVER_H
#define VIO4WD_UDEV_BINDING_DRIVER_H

#include "common/err.h"
#include "common/pci_addr.h"
#include "udev/vf.h"

/* The driver it is on, "" when it is on none. Takes no lock. */
int driver_read(const char *root, const struct pci_addr *addr, char driver[VF_DRIVER_MAX]);

/* driver_override, "" when it has none. The kernel takes the device's lock to tell: a driver that
 * was about to probe has finished when this returns. */
int driver_override_read(const char *root, const struct pci_addr *addr,
			 char override[VF_DRIVER_MAX], struct err *err);
/* Writes it unless it is so already; "" takes it away. */
int driver_override_write(const char *root, const struct pci_addr *addr, const char *override,
			  struct err *err);

/* Takes the device from its driver. A device of a VFIO driver that is in use blocks this until its
 * user lets go of it: device_claim() first. */
int driver_unbind(const char *root, const struct pci_addr *addr, const char *driver,
		  struct err *err);

/* Has the device probed, and makes sure that it is on this driver then. */
int driver_probe(const char *root, const struct pci_addr *addr, const char *driver,
		 struct err *err);

#endif
