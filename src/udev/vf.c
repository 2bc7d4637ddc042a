/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A VF's PF and IOMMU group are read once for all VFs that share them: they come one after the
 * other in an enumeration, and reading either takes as long as it has members.
 */
#include "udev/vf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/sysfs.h"
#include "udev/pci_sysfs.h"
#include "udev/pf.h"

struct group {
	int number; /* -1: none was read */
	struct pci_addr *members;
	size_t n;
	bool without_iommu; /* VFIO made it up for a device that has no IOMMU */
};

/* What the VF that was read last shares with its neighbours. */
struct neighbours {
	const char *root;
	struct pf_vfs pf;
	struct group group;
};

#define NEIGHBOURS_NONE(root_)                      \
	{                                           \
		.root = (root_), .group.number = -1 \
	}

static void cleanup_neighbours(struct neighbours *neighbours)
{
	pf_vfs_free(&neighbours->pf);
	free(neighbours->group.members);
}

/* enable_unsafe_noiommu_mode of vfio gives such groups this name. */
static bool group_is_without_iommu(const char *root, int number)
{
	char name[32];

	return sysfs_read(root, name, sizeof(name), "/sys/kernel/iommu_groups/%d/name", number) >
		       0 &&
	       !strcmp(name, "vfio-noiommu");
}

/* Bridges are left out: they make no DMA of their own, so that VFIO takes no notice of them. */
static void drop_bridges(const char *root, struct group *group)
{
	uint32_t class;
	size_t kept = 0;

	for (size_t i = 0; i < group->n; i++) {
		if (!pci_read_number(root, &group->members[i], "class", 0xffffff, &class, NULL) &&
		    pci_class_is_bridge(class))
			continue;
		group->members[kept++] = group->members[i];
	}
	group->n = kept;
}

static int group_read(const char *root, struct group *group, int number)
{
	char folder[64];
	int rc;

	if (group->number == number)
		return 0;
	free(group->members);
	*group = (struct group){ .number = -1 };
	snprintf(folder, sizeof(folder), "/sys/kernel/iommu_groups/%d/devices", number);
	rc = pci_list(root, folder, &group->members, &group->n);
	if (rc < 0)
		return rc;
	group->number = number;
	group->without_iommu = group_is_without_iommu(root, number);
	if (group->n > 1)
		drop_bridges(root, group);
	return 0;
}

static int read_group(struct neighbours *neighbours, const struct pci_folder *folder, struct vf *vf)
{
	struct group *group = &neighbours->group;
	char text[16], *end;
	unsigned long number;
	int rc;

	vf->iommu_group = -1;
	if (pci_folder_link(folder, "iommu_group", text, sizeof(text)) < 0)
		return 0;
	number = strtoul(text, &end, 10);
	if (*end || end == text || number > INT32_MAX)
		return 0;
	rc = group_read(neighbours->root, group, (int)number);
	if (rc < 0 || group->without_iommu)
		return rc;
	vf->iommu_group = (int)number;
	for (size_t i = 0; i < group->n; i++) {
		if (pci_addr_equal(&group->members[i], &vf->addr))
			continue;
		if (vf->n_group_others < VF_GROUP_MAX)
			vf->group_others[vf->n_group_others] = group->members[i];
		vf->n_group_others++;
	}
	return 0;
}

static int vanished(const struct pci_addr *addr, struct err *err)
{
	char name[PCI_ADDR_STRLEN];

	return err_set(err, -ENODEV, "no such device",
		       "%s: it went away while it was looked at; see lspci -D",
		       pci_addr_format(addr, name));
}

/* pci_iov_add_virtfn() links a VF to its PF when it is in sysfs already, and a change event
 * follows; pci_iov_remove_virtfn() takes the links away first, and waits for who uses it then. */
static int incomplete(const struct pci_addr *addr, struct err *err)
{
	char name[PCI_ADDR_STRLEN];

	return err_set(err, -EAGAIN, "no such device",
		       "%s: the kernel is just making or removing this VF; try again",
		       pci_addr_format(addr, name));
}

/* A VF's own configuration space shows no IDs (PCI Express, SR-IOV: Vendor ID of a VF is FFFFh). */
static bool has_vf_config(const struct pci_folder *folder)
{
	_cleanup_close_ int fd = openat(folder->fd, "config", O_RDONLY | O_CLOEXEC);
	uint8_t vendor[2];

	return fd >= 0 && pread(fd, vendor, 2, 0) == 2 && vendor[0] == 0xff && vendor[1] == 0xff;
}

static int no_vf(const char *root, const struct pci_addr *addr, uint32_t class, struct err *err)
{
	char name[PCI_ADDR_STRLEN], kind[PCI_CLASS_NAME_MAX];
	struct pf pf;

	pci_addr_format(addr, name);
	if (!pf_read(root, addr, &pf, NULL)) {
		const char *label = pf.netdev[0] ? pf.netdev : name;
		const char *netdev = pf.netdev[0] ? pf.netdev : "no interface";

		if (pf.num_vfs)
			return err_set(err, -EINVAL, "not a VF",
				       "%s is a PF (%s) and no VF; it has %u VFs now: name one of "
				       "them, as %s.vf0",
				       name, netdev, pf.num_vfs, label);
		return err_set(err, -EINVAL, "not a VF",
			       "%s is a PF (%s) and no VF, and has none; `vio4wdctl vf create %s "
			       "N` makes up to %u",
			       name, netdev, label, pf.total_vfs);
	}
	return err_set(err, -EINVAL, "not a VF",
		       "%s is no VF but a %s; `vio4wdctl vf list` shows the VFs that there are",
		       name, pci_class_name(class, kind));
}

static int find_index(struct neighbours *neighbours, struct vf *vf)
{
	struct pf_vfs *pf = &neighbours->pf;
	const int rc = pf_vfs_read(neighbours->root, &vf->pf, pf);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < pf->n; i++) {
		if (!pci_addr_equal(&pf->vfs[i].addr, &vf->addr))
			continue;
		vf->index = pf->vfs[i].index;
		strcpy(vf->pf_netdev, pf->netdev);
		return 0;
	}
	return -ENODEV;
}

/* The link physfn makes a function a VF. */
static bool read_pf_of(const struct pci_folder *folder, struct pci_addr *pf)
{
	char text[PCI_ADDR_STRLEN];

	return !pci_folder_link(folder, "physfn", text, sizeof(text)) && !pci_addr_parse(pf, text);
}

static int read_from(struct neighbours *neighbours, const struct pci_folder *folder, struct vf *vf,
		     struct err *err)
{
	struct pci_function function;
	int rc;

	memset(vf, 0, sizeof(*vf));
	vf->addr = folder->addr;
	rc = pci_folder_function(folder, &function, err);
	if (rc < 0)
		return rc;
	if (!pci_class_is_network(function.class) || !read_pf_of(folder, &vf->pf))
		return has_vf_config(folder)
			       ? incomplete(&folder->addr, err)
			       : no_vf(neighbours->root, &folder->addr, function.class, err);
	vf->vendor = function.vendor;
	vf->device = function.device;
	vf->numa_node = function.numa_node;
	strcpy(vf->driver, function.driver);
	rc = find_index(neighbours, vf);
	if (!rc)
		rc = read_group(neighbours, folder, vf);
	if (rc == -ENODEV || rc == -ENOENT)
		return vanished(&folder->addr, err);
	if (rc < 0)
		return err_set(err, rc, "sysfs", "a VF's PF and IOMMU group cannot be read: %s",
			       strerror(-rc));
	pci_folder_netdev(folder, vf->driver, vf->netdev);
	return 0;
}

int vf_read(const char *root, const struct pci_addr *addr, struct vf *vf, struct err *err)
{
	_cleanup_(cleanup_neighbours) struct neighbours neighbours = NEIGHBOURS_NONE(root);
	_cleanup_pci_folder_ struct pci_folder folder = PCI_FOLDER_NONE;
	const int rc = pci_folder_open(&folder, root, addr, err);

	return rc < 0 ? rc : read_from(&neighbours, &folder, vf, err);
}

/* Appends the VF at addr, if it is one; what is none or cannot be made sense of is left out. err is
 * not NULL. */
static int add_vf(struct neighbours *neighbours, const struct pci_addr *addr, struct vf **vfs,
		  size_t *n, size_t *room, struct err *err)
{
	_cleanup_pci_folder_ struct pci_folder folder = PCI_FOLDER_NONE;
	struct vf *more;
	struct pci_addr pf;
	int rc;

	rc = pci_folder_open(&folder, neighbours->root, addr, err);
	if (rc < 0)
		return rc == -ENODEV ? 0 : rc;
	/* Most functions of a host are none: a look at one link is enough for those. */
	if (!read_pf_of(&folder, &pf))
		return 0;
	if (*n == *room) {
		more = realloc(*vfs, 2 * *room * sizeof(**vfs));
		if (!more)
			return err_set(err, -ENOMEM, "sysfs", "out of memory");
		*vfs = more;
		*room *= 2;
	}
	rc = read_from(neighbours, &folder, &(*vfs)[*n], err);
	if (!rc)
		(*n)++;
	if (rc == -EIO)
		log_warning("left out: %s", err->text);
	return rc == -EIO || rc == -ENODEV || rc == -EINVAL || rc == -EAGAIN ? 0 : rc;
}

int vf_enumerate(const char *root, struct vf **vfs, size_t *n, struct err *err)
{
	_cleanup_(cleanup_neighbours) struct neighbours neighbours = NEIGHBOURS_NONE(root);
	_cleanup_free_ struct pci_addr *addrs = NULL;
	_cleanup_free_ struct vf *found = NULL;
	size_t n_addrs, count = 0, room = 8;
	struct err why;
	int rc;

	rc = pci_list_functions(root, &addrs, &n_addrs, err);
	if (rc < 0)
		return rc;
	found = calloc(room, sizeof(*found));
	if (!found)
		return err_set(err, -ENOMEM, "sysfs", "out of memory");
	for (size_t i = 0; i < n_addrs; i++) {
		rc = add_vf(&neighbours, &addrs[i], &found, &count, &room, &why);
		if (rc < 0)
			return err_set(err, rc, why.step, "%s", why.text);
	}
	*vfs = take_ptr(found);
	*n = count;
	return 0;
}

/*
 * Those of DPDK's drivers that drive the device through its kernel driver (by libibverbs). What the
 * kernel drivers claim: pci_device_id tables of mlx4_core, mlx5_core and mana.
 */
const char *vf_kernel_driver(const struct vf *vf)
{
	switch (vf->vendor) {
	case 0x15b3: /* Mellanox: VFs of ConnectX-2 and ConnectX-3, then all later ones */
		return vf->device == 0x1002 || vf->device == 0x1004 ? "mlx4_core" : "mlx5_core";
	case 0x1414: /* Microsoft Azure Network Adapter */
		return vf->device == 0x00ba ? "mana" : NULL;
	default:
		return NULL;
	}
}

bool vf_keeps_kernel_driver(const struct vf *vf)
{
	return vf_kernel_driver(vf) != NULL;
}

char *vf_name(const struct vf *vf, char *buf, size_t size)
{
	char pf[PCI_ADDR_STRLEN];

	snprintf(buf, size, "%s.vf%u",
		 vf->pf_netdev[0] ? vf->pf_netdev : pci_addr_format(&vf->pf, pf), vf->index);
	return buf;
}
