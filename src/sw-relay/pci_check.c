/* SPDX-License-Identifier: BSD-3-Clause */

#include "sw-relay/pci_check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/sysfs.h"

#define VENDOR_MELLANOX 0x15b3	/* DPDK works beside the kernel's driver */
#define VENDOR_MICROSOFT 0x1414 /* so it does for MANA */
#define CONFIG_COMMAND 4

struct where {
	const char *root;
	char bdf[PCI_ADDR_STRLEN];
};

static struct where where_is(const char *root, const struct pci_addr *addr)
{
	struct where at = { .root = root };

	pci_addr_format(addr, at.bdf);
	return at;
}

/* -1: there is no such number. */
static long number(const struct where *at, const char *attribute)
{
	char text[32], *end;
	long value;

	if (sysfs_read(at->root, text, sizeof(text), "/sys/bus/pci/devices/%s/%s", at->bdf,
		       attribute) <= 0)
		return -1;
	value = strtol(text, &end, 0);
	return *end ? -1 : value;
}

/* The last part of what a link points to. False: there is none. */
static bool link_name(const struct where *at, const char *link, char *name, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *last;
	ssize_t len;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/%s", at->root, at->bdf, link);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	last = strrchr(target, '/');
	snprintf(name, size, "%s", last ? last + 1 : target);
	return true;
}

/* A VF has no vendor there, but every function has a command and a status. */
static bool answers(const struct where *at)
{
	_cleanup_close_ int fd = -1;
	uint32_t command = 0;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/config", at->root, at->bdf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && pread(fd, &command, sizeof(command), CONFIG_COMMAND) > 0 &&
	       command != UINT32_MAX;
}

bool pci_answers(const char *root, const struct pci_addr *addr)
{
	struct where at = where_is(root, addr);

	return answers(&at);
}

static int check_driver(const struct where *at, struct pci_facts *facts, struct err *err)
{
	char driver[64] = "";

	if (facts->vendor == VENDOR_MELLANOX || facts->vendor == VENDOR_MICROSOFT)
		return 0;
	link_name(at, "driver", driver, sizeof(driver));
	if (strcmp(driver, "vfio-pci") == 0) {
		facts->vfio = true;
		return 0;
	}
	if (strcmp(driver, "igb_uio") == 0 || strcmp(driver, "uio_pci_generic") == 0)
		return err_set(err, -ENOTSUP, "driver",
			       "device %s has the driver %s, which a relay without privileges "
			       "cannot use; set VIO4WD_UIO_DRIVER=vfio-pci, which needs an IOMMU",
			       at->bdf, driver);
	return err_set(err, -ENODEV, "driver",
		       "device %s has %s%s, not vfio-pci: `driverctl set-override %s vfio-pci`, or "
		       "let vio4wd bind it (it does so for VFs unless they are in use)",
		       at->bdf, *driver ? "the driver " : "no driver", driver, at->bdf);
}

static int open_err(const struct where *at, const char *path, int error, struct err *err)
{
	struct stat st = { 0 };

	stat(path, &st);
	switch (error) {
	case EACCES:
	case EPERM:
		return err_set(err, -EACCES, "vfio",
			       "device %s: user %u, as which the relay runs, may not open %s (its "
			       "owner is %u:%u, its mode %04o): `chown %u %s`, or let vio4wd bind "
			       "the device",
			       at->bdf, geteuid(), path, st.st_uid, st.st_gid, st.st_mode & 07777,
			       geteuid(), path);
	case EBUSY:
		return err_set(err, -EBUSY, "vfio",
			       "device %s is in use: another program has %s open (`fuser %s` tells "
			       "which), a VM that has the device or one of its IOMMU group perhaps",
			       at->bdf, path, path);
	case ENOENT:
		return err_set(err, -ENODEV, "vfio",
			       "device %s: there is no %s, although its driver is vfio-pci; is "
			       "/dev a devtmpfs?",
			       at->bdf, path);
	default:
		return err_set(err, -error, "vfio", "device %s: cannot open %s: %s", at->bdf, path,
			       strerror(error));
	}
}

static int check_viable(const struct where *at, int group, const char *name, struct err *err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	if (ioctl(group, VFIO_GROUP_GET_STATUS, &status) < 0 ||
	    (status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return 0;
	return err_set(err, -EXDEV, "vfio",
		       "device %s shares its IOMMU group %s with functions that have drivers of "
		       "the kernel (`ls /sys/kernel/iommu_groups/%s/devices`): bind all of them to "
		       "vfio-pci, or use another slot",
		       at->bdf, name, name);
}

/* Opens what DPDK is going to open. */
static int check_vfio(const struct where *at, struct err *err)
{
	_cleanup_close_ int container = -1, group = -1;
	char name[16], path[PATH_MAX];

	if (!link_name(at, "iommu_group", name, sizeof(name)))
		return err_set(
			err, -ENOTSUP, "iommu",
			"device %s is in no IOMMU group: the host has no IOMMU, or it is off; "
			"switch it on in the firmware and boot with intel_iommu=on (AMD: on by "
			"itself)",
			at->bdf);
	snprintf(path, sizeof(path), "%s/dev/vfio/vfio", at->root);
	container = open(path, O_RDWR | O_CLOEXEC);
	if (container < 0)
		return open_err(at, path, errno, err);
	snprintf(path, sizeof(path), "%s/dev/vfio/%s", at->root, name);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0)
		return open_err(at, path, errno, err);
	return check_viable(at, group, name, err);
}

int pci_check(const char *root, const struct pci_addr *addr, struct pci_facts *facts,
	      struct err *err)
{
	struct where at = where_is(root, addr);
	int r;

	*facts = (struct pci_facts){ .numa_node = number(&at, "numa_node") };
	if (number(&at, "vendor") < 0)
		return err_set(err, -ENODEV, "device", "device %s: there is no such PCI function",
			       at.bdf);
	facts->vendor = number(&at, "vendor");
	facts->device = number(&at, "device");
	if (!answers(&at))
		return err_set(
			err, -EIO, "device",
			"device %s does not answer (its configuration space reads as all "
			"ones): it is broken, without power, or its PF is being reset; `echo "
			"1 > /sys/bus/pci/devices/%s/remove` and `echo 1 > "
			"/sys/bus/pci/rescan` find it anew",
			at.bdf, at.bdf);
	r = check_driver(&at, facts, err);
	if (r == 0 && facts->vfio)
		r = check_vfio(&at, err);
	return r;
}
