/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One PCI function in sysfs: its numbers, links and interface. root as in vf.h; only what is read
 * without a lock.
 */
#ifndef VIO4WD_UDEV_PCI_SYSFS_H
#define VIO4WD_UDEV_PCI_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"
#include "common/pci_addr.h"
#include "udev/vf.h"

#define PCI_DEVICES "/sys/bus/pci/devices"

/* What every PCI function has. */
struct pci_function {
	uint32_t class; /* base class, sub-class, programming interface: 24 bits */
	uint16_t vendor, device;
	int numa_node; /* -1: none */
	char driver[VF_DRIVER_MAX];
};

/*
 * A function's folder. Opened once for all that is read of it: what is read is of one and the same
 * device, and the way to it, through a link and bridges, is looked up once.
 */
struct pci_folder {
	int fd;
	struct pci_addr addr;
};

#define PCI_FOLDER_NONE  \
	{                \
		.fd = -1 \
	}
#define _cleanup_pci_folder_ _cleanup_(pci_folder_close)

/* Returns 0; -ENODEV with words; another negative errno with words. The folder is closed first. */
int pci_folder_open(struct pci_folder *folder, const char *root, const struct pci_addr *addr,
		    struct err *err);
void pci_folder_close(struct pci_folder *folder);

/* A number in C's notation, at most max. -EIO with words: the attribute holds none; other errors
 * are those of open and read, without words. */
int pci_folder_number(const struct pci_folder *folder, const char *attribute, uint32_t max,
		      uint32_t *value, struct err *err);
/* The last part of what the link points to: a driver, a group, an address. -ENAMETOOLONG: size
 * bytes do not hold it. */
int pci_folder_link(const struct pci_folder *folder, const char *link, char *buf, size_t size);
/* Returns 0, -ENODEV (it went meanwhile), -EIO (an attribute is no number), with words. */
int pci_folder_function(const struct pci_folder *folder, struct pci_function *function,
			struct err *err);
/* The interface of a function that is on driver (virtio-pci: below virtioN); "" when it has none.
 * Of several the one of the first port, which was there first: representors of a switch are later
 * ones. */
void pci_folder_netdev(const struct pci_folder *folder, const char *driver,
		       char name[VF_NETDEV_MAX]);

/* The same where only one thing is wanted of a function. */
int pci_function_read(const char *root, const struct pci_addr *addr, struct pci_function *function,
		      struct err *err);
int pci_read_number(const char *root, const struct pci_addr *addr, const char *attribute,
		    uint32_t max, uint32_t *value, struct err *err);
int pci_read_link(const char *root, const struct pci_addr *addr, const char *link, char *buf,
		  size_t size);

/* Fills err with -ENODEV's words, and returns that. */
int pci_no_such_function(const struct pci_addr *addr, struct err *err);

/* By the base classes of the PCI Code and ID Assignment Specification. */
bool pci_class_is_network(uint32_t class);
bool pci_class_is_bridge(uint32_t class); /* to another bus of PCI or to CardBus */
#define PCI_CLASS_NAME_MAX 48
/* "network device", "bridge", ...; returns buf, which has PCI_CLASS_NAME_MAX bytes. */
char *pci_class_name(uint32_t class, char *buf);

/* The addresses that a folder has entries for, sorted, the caller's to free. A folder that does not
 * exist is empty. */
int pci_list(const char *root, const char *folder, struct pci_addr **addrs, size_t *n);
/* All PCI functions of the host. */
int pci_list_functions(const char *root, struct pci_addr **addrs, size_t *n, struct err *err);

/*
 * The PCI function that a device's place in sysfs is below: the last address of
 * .../pci0000:00/0000:00:03.0/virtio2/net/eth0. Returns 0 or -ENODEV.
 */
int pci_addr_of_path(const char *path, struct pci_addr *addr);

/* By domain, bus, slot and function: of qsort(). */
int pci_addr_compare(const void *a, const void *b);

#endif
