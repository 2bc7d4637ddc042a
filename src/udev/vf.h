/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What sysfs says of SR-IOV functions: VFs and the PFs they belong to.
 *
 * root is prepended to every path ("" for the host itself). Nothing here waits for the kernel: what
 * is read is links and attributes that take no lock. sriov_numvfs and driver_override are not among
 * them (their readers take the device's lock, which a driver may hold for seconds); those belong to
 * binding.h and sriov.h, which run in a thread of their own.
 */
#ifndef VIO4WD_UDEV_VF_H
#define VIO4WD_UDEV_VF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/pci_addr.h"

#define VF_DRIVER_MAX 64
#define VF_NETDEV_MAX 16 /* IFNAMSIZ */
#define VF_GROUP_MAX 16	 /* members of an IOMMU group that are told by name */

struct vf {
	struct pci_addr addr;
	struct pci_addr pf;
	char pf_netdev[VF_NETDEV_MAX]; /* "": the PF has none */
	unsigned int index;	       /* of the PF's virtfn links */
	uint16_t vendor, device;       /* PCI IDs */
	int numa_node;		       /* -1: none */
	int iommu_group;	       /* -1: there is no IOMMU (vfio's no-IOMMU mode included) */
	struct pci_addr group_others[VF_GROUP_MAX]; /* without bridges: VFIO ignores them */
	size_t n_group_others;	    /* all of them, more than VF_GROUP_MAX possibly */
	char driver[VF_DRIVER_MAX]; /* "": none */
	char netdev[VF_NETDEV_MAX]; /* "": none */
};

struct pf {
	struct pci_addr addr;
	char netdev[VF_NETDEV_MAX];
	uint16_t vendor, device;
	int numa_node;
	char driver[VF_DRIVER_MAX];
	unsigned int total_vfs; /* what the hardware has */
	unsigned int num_vfs;	/* virtfn links there are now */
};

/* Returns 0; -ENODEV: no such PCI function; -EAGAIN: a VF that is just made or removed;
 * -EINVAL: another function than a network VF (err says what it is). */
int vf_read(const char *root, const struct pci_addr *addr, struct vf *vf, struct err *err);

/* All network VFs, sorted by address. *vfs is the caller's to free, also when *n is 0. */
int vf_enumerate(const char *root, struct vf **vfs, size_t *n, struct err *err);

/* Returns 0; -ENODEV; -EINVAL: it is no PF (no sriov_totalvfs), err says what it is. */
int pf_read(const char *root, const struct pci_addr *addr, struct pf *pf, struct err *err);

/* All network functions with sriov_totalvfs > 0, sorted by address; the caller frees *pfs. */
int pf_enumerate(const char *root, struct pf **pfs, size_t *n, struct err *err);

/* The PCI function that a text names, an interface or an address: -ENODEV when there is none, with
 * words. It need not be a PF. */
int pf_find(const char *root, const char *text, struct pci_addr *addr, struct err *err);

/* The address of VF index of a PF. Returns 0 or -ENODEV (no words: it may come). */
int pf_vf(const char *root, const struct pci_addr *pf, unsigned int index, struct pci_addr *vf);

/* Devices whose DPDK driver works beside the kernel's and needs it (ConnectX): they are never
 * bound to another one. */
bool vf_keeps_kernel_driver(const struct vf *vf);
/* Which driver that is; NULL for all other devices. */
const char *vf_kernel_driver(const struct vf *vf);

/* "ens3.vf2", or "0000:05:00.0.vf2" when the PF has no interface. Returns buf. */
char *vf_name(const struct vf *vf, char *buf, size_t size);

#endif
