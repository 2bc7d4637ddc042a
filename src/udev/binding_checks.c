/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/binding_checks.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "udev/device_node.h"
#include "udev/netdev_use.h"
#include "udev/pci_sysfs.h"

#define SHOWN_GROUP_MEMBERS 8

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int no_iommu(const char *name, const char *driver, struct err *err)
{
	return err_set(
		err, -ENOTSUP, "IOMMU",
		"%s cannot be bound to %s: this host has no IOMMU switched on, which keeps a "
		"VM's device within the VM's memory; enable it in the firmware (VT-d, "
		"AMD-Vi, SMMU), on Intel CPUs also put intel_iommu=on on the kernel command "
		"line, and boot again",
		name, driver);
}

static int group_is_shared(const char *name, const struct vf *vf, struct err *err)
{
	char others[SHOWN_GROUP_MEMBERS * (PCI_ADDR_STRLEN + 1) + 32] = "";
	size_t shown = 0, len = 0;

	for (; shown < vf->n_group_others && shown < SHOWN_GROUP_MEMBERS; shown++) {
		char addr[PCI_ADDR_STRLEN];

		len += snprintf(others + len, sizeof(others) - len, "%s%s", shown ? " " : "",
				pci_addr_format(&vf->group_others[shown], addr));
	}
	if (shown < vf->n_group_others)
		snprintf(others + len, sizeof(others) - len, " and %zu more",
			 vf->n_group_others - shown);
	return err_set(err, -EXDEV, "IOMMU group",
		       "%s shares its IOMMU group %d with %s: whoever has one of them reaches all; "
		       "put the card into another slot, or enable ACS in the firmware",
		       name, vf->iommu_group, others);
}

/*
 * DPDK hands physical addresses to a device on a uio driver and does not start it otherwise
 * (pci_device_iova_mode() in drivers/bus/pci/linux/pci.c); the kernel shows those to CAP_SYS_ADMIN
 * only (/proc/PID/pagemap), and nothing would keep the device within the memory of its VM.
 */
static int uio_is_useless(const char *name, const char *driver, struct err *err)
{
	return err_set(err, -ENOTSUP, "driver",
		       "%s: %s gives a relay no access to the device: it needs physical addresses, "
		       "which an unprivileged program is not shown%s; set "
		       "VIO4WD_UIO_DRIVER=vfio-pci, which needs an IOMMU",
		       name, driver,
		       !strcmp(driver, "uio_pci_generic")
			       ? ", and a legacy interrupt, which no VF has"
			       : "");
}

int binding_check_possible(const struct binding_plan *plan, const struct vf *vf, struct err *err)
{
	char name[PCI_ADDR_STRLEN];

	pci_addr_format(&vf->addr, name);
	if (device_node_of_driver(plan->driver) && !device_node_is_vfio(plan->driver))
		return uio_is_useless(name, plan->driver, err);
	if (vf->iommu_group < 0)
		return no_iommu(name, plan->driver, err);
	return vf->n_group_others ? group_is_shared(name, vf, err) : 0;
}

/*
 * The interface of a device that belongs to another network namespace is not listed, but the folder
 * that it is in stays.
 */
static int check_namespace(const char *root, const char *name, const struct vf *vf,
			   const char *below, struct err *err)
{
	char pattern[PATH_MAX];
	glob_t found = { 0 };
	int rc = 0;

	snprintf(pattern, sizeof(pattern), "%s" PCI_DEVICES "/%s/%s", root, name, below);
	if (glob(pattern, GLOB_ONLYDIR, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc && !rc; i++) {
		_cleanup_(cleanup_dir) DIR *dir = opendir(found.gl_pathv[i]);
		const struct dirent *entry = NULL;

		while (dir && (entry = readdir(dir)) && entry->d_name[0] == '.')
			;
		if (dir && !entry)
			rc = err_set(
				err, -EBUSY, "device in use",
				"%s: its interface (driver %s) is in another network "
				"namespace: a container uses it; end that first, or keep the VF "
				"out by VIO4WD_EXCLUDE",
				name, vf->driver);
	}
	globfree(&found);
	return rc;
}

static int check_netdev(const char *root, const char *name, const struct vf *vf, struct err *err)
{
	int rc;

	if (vf->netdev[0])
		return netdev_check_unused(root, name, vf->netdev, err);
	rc = check_namespace(root, name, vf, "net", err);
	return rc ? rc : check_namespace(root, name, vf, "virtio*/net", err);
}

/* /sys/bus/vdpa/devices/NAME links to its folder, which is below that of the PCI function. */
int binding_check_vdpa(const char *root, const struct vf *vf, const char *own, struct err *err)
{
	char path[PATH_MAX], target[PATH_MAX], part[PCI_ADDR_STRLEN + 2], name[PCI_ADDR_STRLEN];
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	ssize_t n;

	snprintf(part, sizeof(part), "/%s/", pci_addr_format(&vf->addr, name));
	snprintf(path, sizeof(path), "%s/sys/bus/vdpa/devices", root);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n < 0 || (own && !strcmp(entry->d_name, own)))
			continue;
		target[n] = '\0';
		if (strstr(target, part))
			return err_set(err, -EBUSY, "device in use",
				       "%s: the vDPA device %s was made on it; remove that first "
				       "(vdpa dev del %s), or keep the VF out by VIO4WD_EXCLUDE",
				       name, entry->d_name, entry->d_name);
	}
	return 0;
}

/* Drivers that do nothing but keep others away. */
static int check_set_aside(const char *name, const struct vf *vf, struct err *err)
{
	static const char *const drivers[] = { "pci-stub", "pciback", "xen_pciback" };

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strcmp(vf->driver, drivers[i]) != 0)
			continue;
		return err_set(
			err, -EBUSY, "device in use",
			"%s is on the driver %s, which sets it aside for another use (a VM); "
			"take it from that first: echo %s > /sys/bus/pci/drivers/%s/unbind",
			name, vf->driver, name, vf->driver);
	}
	return 0;
}

int binding_check_unused(const char *root, const struct vf *vf, const char *own, struct err *err)
{
	char name[PCI_ADDR_STRLEN];
	int rc;

	pci_addr_format(&vf->addr, name);
	rc = check_set_aside(name, vf, err);
	if (!rc)
		rc = binding_check_vdpa(root, vf, own, err);
	return rc ? rc : check_netdev(root, name, vf, err);
}

int binding_check_kernel_driver(const struct vf *vf, struct err *err)
{
	const char *driver = vf_kernel_driver(vf);
	char name[PCI_ADDR_STRLEN];

	if (!vf->driver[0] || !strcmp(vf->driver, driver))
		return 0;
	pci_addr_format(&vf->addr, name);
	return err_set(
		err, -EBUSY, "driver",
		"%s works only beside its kernel driver %s, but is bound to %s; give it back "
		"first (driverctl unset-override %s)",
		name, driver, vf->driver, name);
}
