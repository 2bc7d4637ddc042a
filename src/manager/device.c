/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/device.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_int(const char *path, int otherwise)
{
	FILE *f = fopen(path, "re");
	int value;

	if (!f)
		return otherwise;
	if (fscanf(f, "%d", &value) != 1)
		value = otherwise;
	fclose(f);
	return value;
}

/* The last part of what a link points to. */
static int link_name(const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	const ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(buf, size, "%s", slash ? slash + 1 : target);
	return 0;
}

static void look_pci(const char *root, struct device_facts *facts)
{
	char path[PATH_MAX], addr[PCI_ADDR_STRLEN];

	pci_addr_format(&facts->pci, addr);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s", root, addr);
	facts->present = access(path, F_OK) == 0;
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/numa_node", root, addr);
	facts->numa_node = read_int(path, -1);
}

static void look_vf(const char *root, const struct devname *dev, struct device_facts *facts)
{
	char path[PATH_MAX], pf[PCI_ADDR_STRLEN], vf[64];

	if (dev->pf_is_pci)
		snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/virtfn%u", root,
			 pci_addr_format(&dev->pci, pf), dev->vf);
	else
		snprintf(path, sizeof(path), "%s/sys/class/net/%s/device/virtfn%u", root,
			 dev->netdev, dev->vf);
	if (link_name(path, vf, sizeof(vf)) == 0 && pci_addr_parse(&facts->pci, vf) == 0)
		look_pci(root, facts);
}

void device_look(const char *root, const struct devname *dev, struct device_facts *facts)
{
	char path[PATH_MAX];

	memset(facts, 0, sizeof(*facts));
	facts->numa_node = -1;
	switch (dev->kind) {
	case DEVNAME_PCI:
		facts->pci = dev->pci;
		look_pci(root, facts);
		break;
	case DEVNAME_PF_VF:
		look_vf(root, dev, facts);
		break;
	case DEVNAME_NETDEV:
		facts->ifindex = if_nametoindex(dev->netdev);
		facts->present = facts->ifindex != 0;
		snprintf(path, sizeof(path), "%s/sys/class/net/%s/device/numa_node", root,
			 dev->netdev);
		facts->numa_node = read_int(path, -1);
		break;
	case DEVNAME_VDEV:
		facts->present = true;
		break;
	}
}

int device_missing(const struct devname *dev, struct err *err)
{
	switch (dev->kind) {
	case DEVNAME_NETDEV:
		return err_set(err, -ENODEV, "no such device",
			       "%s: there is no network interface of that name in the manager's "
			       "network namespace; create it first",
			       dev->text);
	case DEVNAME_PF_VF:
		return err_set(err, -ENODEV, "no such device",
			       "%s: the PF has no such VF; see sriov_numvfs of the PF", dev->text);
	default:
		return err_set(err, -ENODEV, "no such device",
			       "%s: no such PCI function on this host; see lspci -D", dev->text);
	}
}

int device_check_driver(const char *root, const struct devname *dev,
			const struct device_facts *facts, struct err *err)
{
	static const char *const usable[] = { "vfio-pci", "igb_uio", "uio_pci_generic" };
	char path[PATH_MAX], addr[PCI_ADDR_STRLEN], driver[64] = "none";

	if (dev->kind != DEVNAME_PCI && dev->kind != DEVNAME_PF_VF)
		return 0;
	pci_addr_format(&facts->pci, addr);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver", root, addr);
	link_name(path, driver, sizeof(driver));
	for (size_t i = 0; i < sizeof(usable) / sizeof(usable[0]); i++) {
		if (!strcmp(driver, usable[i]))
			return 0;
	}
	return err_set(err, -EBUSY, "driver",
		       "%s is on the driver '%s'; bind it to vfio-pci first "
		       "(driverctl set-override %s vfio-pci)",
		       addr, driver, addr);
}
