/* SPDX-License-Identifier: BSD-3-Clause */

/* PCI addresses: read in any of their common forms, written as %04x:%02x:%02x.%x everywhere. */
#ifndef VIO4WD_PCI_ADDR_H
#define VIO4WD_PCI_ADDR_H

#include <stdbool.h>
#include <stdint.h>

struct pci_addr {
	uint32_t domain; /* at most 0xffffffff: VMD domains exceed 16 bits */
	uint8_t bus;
	uint8_t slot;	  /* 0..31 */
	uint8_t function; /* 0..7 */
};

#define PCI_ADDR_STRLEN 20 /* room for the longest form and its NUL */

/* "0000:05:08.1", "05:08.1" or libvirt's "pci_0000_05_08_1"; the whole text must be one.
 * Returns 0 or -EINVAL. */
int pci_addr_parse(struct pci_addr *addr, const char *text);
/* Returns buf, which has PCI_ADDR_STRLEN bytes. */
char *pci_addr_format(const struct pci_addr *addr, char *buf);
bool pci_addr_equal(const struct pci_addr *a, const struct pci_addr *b);

#endif
