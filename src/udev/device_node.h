/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The character device by which programs use a PCI function: /dev/vfio/GROUP on vfio-pci, /dev/uioN
 * on a uio driver.
 *
 * The kernel makes it in devtmpfs before the driver's probe returns (device_add() waits for
 * devtmpfs). Where /dev is another file system, udevd or mdev makes it a little later.
 */
#ifndef VIO4WD_UDEV_DEVICE_NODE_H
#define VIO4WD_UDEV_DEVICE_NODE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/pci_addr.h"

#define DEVICE_NODE_MAX 32

/* The driver is one that hands devices to programs: vfio-pci, igb_uio, uio_pci_generic. */
bool device_node_of_driver(const char *driver);
/* vfio-pci, and those that know more of a device: mlx5_vfio_pci, virtio_vfio_pci, ... */
bool device_node_is_vfio(const char *driver);

/* Below root. -ENODEV: it has none. */
int device_node_path(const char *root, const struct pci_addr *addr, const char *driver,
		     char path[DEVICE_NODE_MAX]);

/* Waits until there is such a file, which its driver has made or is about to make. -ETIMEDOUT. */
int device_node_wait(const char *path);

/* Gives the device to uid and gid, and nobody else (mode 0600); waits for it if need be. -ENODEV:
 * the function is gone or on no such driver (no words then). */
int device_node_own(const char *root, const struct pci_addr *addr, const char *driver, uid_t uid,
		    gid_t gid, struct err *err);

/* Does not wait: the node is there and uid or gid may read and write it. */
bool device_node_usable(const char *root, const struct pci_addr *addr, const char *driver,
			uid_t uid, gid_t gid);

#endif
