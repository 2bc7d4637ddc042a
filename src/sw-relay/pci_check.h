/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Can the relay open a PCI function? DPDK answers that with -1, and a line or two in its log; here
 * the reason is found out beforehand.
 */
#ifndef VIO4WD_RELAY_PCI_CHECK_H
#define VIO4WD_RELAY_PCI_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/pci_addr.h"

struct pci_facts {
	uint16_t vendor, device; /* IDs */
	int numa_node;		 /* -1: none */
	bool vfio;		 /* it is opened through VFIO */
};

/*
 * root is put in front of every path ("" for the host itself).
 *   -ENODEV      there is no such function, or it has another driver than it should have
 *   -EIO         it does not answer
 *   -ENOTSUP     there is no IOMMU, or a driver is in charge that needs more rights
 *   -EACCES      the group's or the container's file is not ours to open
 *   -EBUSY       the group is open already: somebody has the device
 *   -EXDEV       it shares its group with functions that have other drivers
 */
int pci_check(const char *root, const struct pci_addr *addr, struct pci_facts *facts,
	      struct err *err);

/* False when its configuration space reads as all ones, or is gone. */
bool pci_answers(const char *root, const struct pci_addr *addr);

#endif
