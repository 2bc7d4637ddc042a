/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the host knows of a device that somebody named: whether it exists and where. Reads sysfs
 * and asks for interface indexes; never waits.
 */
#ifndef VIO4WD_MANAGER_DEVICE_H
#define VIO4WD_MANAGER_DEVICE_H

#include <stdbool.h>

#include "common/devname.h"
#include "common/err.h"

struct device_facts {
	bool present;
	int numa_node;	      /* -1: none or not known */
	unsigned int ifindex; /* DEVNAME_NETDEV */
	struct pci_addr pci;  /* DEVNAME_PCI and DEVNAME_PF_VF that exist */
};

/* root is prepended to sysfs paths ("" for the host itself); a missing device is no error. */
void device_look(const char *root, const struct devname *dev, struct device_facts *facts);

/* -ENODEV with words for a device that is not present. */
int device_missing(const struct devname *dev, struct err *err);

/*
 * Can a relay open it? A PCI function must be on a driver that hands it out (vfio-pci or a uio
 * driver). Returns 0 or -EBUSY with the driver's name and what to do.
 */
int device_check_driver(const char *root, const struct devname *dev,
			const struct device_facts *facts, struct err *err);

#endif
