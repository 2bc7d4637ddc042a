/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A VF's PF and IOMMU group are read once for all VFs that share them: they come one after the
 * other in an enumeration, and reading either takes as long as it has members.
 */
#include "udev/vf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int read_group(struct neighbours *neighbours, struct vf *vf)
{
	struct group *group = &neighbours->group;
	char text[16], *end;
	unsigned long number;
	int rc;

	vf->iommu_group = -1;
	if (pci_read_link(neighbours->root, &vf->addr, "iommu_group", text, sizeof(text)) < 0)
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

static int no_vf(const char *root, const struct pci_addr *addr, const struct pci_function *function,
		 struct err *err)
{
	char name[PCI_ADDR_STRLEN], kind[PCI_CLASS_NAME_MAX];
	struct pf pf;

	pci_addr_format(addr, name);
	if (!pf_read(root, addr, &pf, NULL))
		return err_set(err, -EINVAL, "not a VF",
			       "%s is a PF (%s) with room for %u VFs, and has %u; name one of "
			       "them, as %s.vf0",
			       name, pf.netdev[0] ? pf.netdev : "no interface", pf.total_vfs,
			       pf.num_vfs, pf.netdev[0] ? pf.netdev : name);
	return err_set(err, -EINVAL, "not a VF",
		       "%s is a %s and no VF of a network device; `vio4wdctl vf list` shows those "
		       "that there are",
		       name, pci_class_name(function->class, kind));
}

/* Whether the function is a VF is the physfn link's to say: its PF in *pf. */
static int read_pf_of(const char *root, const struct pci_addr *addr, struct pci_addr *pf)
{
	char text[PCI_ADDR_STRLEN];
	const int rc = pci_read_link(root, addr, "physfn", text, sizeof(text));

	return rc < 0 ? rc : pci_addr_parse(pf, text);
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

static int read_with(struct neighbours *neighbours, const struct pci_addr *addr, struct vf *vf,
		     struct err *err)
{
	const char *root = neighbours->root;
	struct pci_function function;
	int rc;

	memset(vf, 0, sizeof(*vf));
	vf->addr = *addr;
	rc = pci_function_read(root, addr, &function, err);
	if (rc < 0)
		return rc;
	if (!pci_class_is_network(function.class) || read_pf_of(root, addr, &vf->pf) < 0)
		return no_vf(root, addr, &function, err);
	vf->vendor = function.vendor;
	vf->device = function.device;
	vf->numa_node = function.numa_node;
	strcpy(vf->driver, function.driver);
	rc = find_index(neighbours, vf);
	if (!rc)
		rc = read_group(neighbours, vf);
	if (rc == -ENODEV || rc == -ENOENT)
		return vanished(addr, err);
	if (rc < 0)
		return err_set(err, rc, "sysfs", "a VF's PF and IOMMU group cannot be read: %s",
			       strerror(-rc));
	pci_read_netdev(root, addr, vf->driver, vf->netdev);
	return 0;
}

int vf_read(const char *root, const struct pci_addr *addr, struct vf *vf, struct err *err)
{
	_cleanup_(cleanup_neighbours) struct neighbours neighbours = { .root = root,
								       .group.number = -1 };

	return read_with(&neighbours, addr, vf, err);
}

int vf_enumerate(const char *root, struct vf **vfs, size_t *n, struct err *err)
{
	_cleanup_(cleanup_neighbours) struct neighbours neighbours = { .root = root,
								       .group.number = -1 };
	_cleanup_free_ struct pci_addr *addrs = NULL;
	_cleanup_free_ struct vf *found = NULL;
	struct err why = { 0 };
	struct pci_addr pf;
	size_t n_addrs, count = 0, kept = 0;
	int rc;

	rc = pci_list_functions(root, &addrs, &n_addrs, err);
	if (rc < 0)
		return rc;
	/* Most functions of a host are none: a look at one link is enough for those. */
	for (size_t i = 0; i < n_addrs; i++) {
		if (!read_pf_of(root, &addrs[i], &pf))
			addrs[count++] = addrs[i];
	}
	found = calloc(count + 1, sizeof(*found));
	if (!found)
		return err_set(err, -ENOMEM, "sysfs", "out of memory");
	for (size_t i = 0; i < count; i++) {
		rc = read_with(&neighbours, &addrs[i], &found[kept], &why);
		if (!rc)
			kept++;
		else if (rc == -EIO)
			log_warning("left out: %s", why.text);
		else if (rc != -ENODEV && rc != -EINVAL)
			return err_set(err, rc, why.step, "%s", why.text);
	}
	*vfs = take_ptr(found);
	*n = kept;
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
