/* SPDX-License-Identifier: BSD-3-Clause */

/* The VFs that a PF links to: what vf.c and pf.c share. */
#ifndef VIO4WD_UDEV_PF_H
#define VIO4WD_UDEV_PF_H

#include <stdbool.h>
#include <stddef.h>

#include "udev/vf.h"

struct pf_vfs {
	bool read;
	struct pci_addr addr;
	char netdev[VF_NETDEV_MAX];
	struct pf_virtfn {
		unsigned int index;
		struct pci_addr addr;
	} * vfs;
	size_t n;
};

/* Reads the links of the PF, unless pf is of it already. Returns 0 or a negative errno: -ENOENT
 * when there is no such function. */
int pf_vfs_read(const char *root, const struct pci_addr *addr, struct pf_vfs *pf);
void pf_vfs_free(struct pf_vfs *pf);

#endif
