/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/device.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sysfs.h"

static int numa_node(const char *root, const char *device)
{
	char text[16];

	return sysfs_read(root, text, sizeof(text), "%s/numa_node", device) > 0 ? atoi(text) : -1;
}

static void pci_path(const char *root, const struct pci_addr *pci, char *path, size_t size)
{
	char addr[PCI_ADDR_STRLEN];

	snprintf(path, size, "%s/sys/bus/pci/devices/%s", root, pci_addr_format(pci, addr));
}

uint64_t device_instance(const char *root, const struct pci_addr *pci)
{
	char path[PATH_MAX];
	struct stat st;

	pci_path(root, pci, path, sizeof(path));
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static void look_pci(const char *root, struct device_facts *facts)
{
	char path[PATH_MAX];
	int rc;

	facts->is_pci = true;
	/* Before the rest: what is read then is of this one or of a later one. */
	facts->instance = device_instance(root, &facts->pci);
	if (!facts->instance)
		return;
	pci_path(root, &facts->pci, path, sizeof(path));
	rc = vf_read(root, &facts->pci, &facts->vf, NULL);
	facts->is_vf = rc == 0;
	facts->present = rc != -EAGAIN;
	facts->numa_node = facts->is_vf ? facts->vf.numa_node : numa_node("", path);
}

static void look_vf(const char *root, const struct devname *dev, struct device_facts *facts)
{
	struct pci_addr pf = dev->pci;

	if (!dev->pf_is_pci && pf_find(root, dev->netdev, &pf, NULL) < 0)
		return;
	if (pf_vf(root, &pf, dev->vf, &facts->pci) == 0)
		look_pci(root, facts);
}

void device_look(const char *root, const struct devname *dev, struct device_facts *facts)
{
	char path[64];

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
		snprintf(path, sizeof(path), "/sys/class/net/%s/device", dev->netdev);
		facts->numa_node = numa_node(root, path);
		break;
	case DEVNAME_VDEV:
		facts->present = true;
		break;
	case DEVNAME_BOND: /* its members are looked at */
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
			       "%s: there is no such VF; vio4wdctl vf list shows the PFs and their "
			       "VFs, vf create makes VFs",
			       dev->text);
	default:
		return err_set(err, -ENODEV, "no such device",
			       "%s: no such PCI function on this host; see vio4wdctl vf list and "
			       "lspci -D",
			       dev->text);
	}
}

bool device_handed_out(const char *root, const struct pci_addr *addr)
{
	static const char *const drivers[] = { "vfio-pci", "igb_uio", "uio_pci_generic" };
	char path[PATH_MAX], text[PCI_ADDR_STRLEN], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver", root,
		 pci_addr_format(addr, text));
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (!strcmp(slash ? slash + 1 : target, drivers[i]))
			return true;
	}
	return false;
}
