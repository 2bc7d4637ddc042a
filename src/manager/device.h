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
#include "udev/vf.h"

struct device_facts {
	bool present;
	int numa_node;	      /* -1: none or not known */
	unsigned int ifindex; /* DEVNAME_NETDEV */
	bool is_pci;	      /* DEVNAME_PCI, and DEVNAME_PF_VF when the VF exists */
	struct pci_addr pci;
	uint64_t instance; /* as device_instance() tells */
	bool is_vf;	   /* it exists and vf is filled */
	struct vf vf;
};

/* root is prepended to sysfs paths ("" for the host itself); a missing device is no error. */
void device_look(const char *root, const struct devname *dev, struct device_facts *facts);

/* The number of a PCI function (of its folder in sysfs), which no other function gets before the
 * next boot, also when it has the same address. 0: there is none. */
uint64_t device_instance(const char *root, const struct pci_addr *pci);

/* -ENODEV with words for a device that is not present. */
int device_missing(const struct devname *dev, struct err *err);

/* The driver that a PCI function is on hands it out to programs (vfio-pci or a uio driver). */
bool device_handed_out(const char *root, const struct pci_addr *addr);

#endif
