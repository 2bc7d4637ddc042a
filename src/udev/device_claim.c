/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/device_claim.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/kernel.h"
#include "common/sysfs.h"
#include "udev/device_node.h"

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool process_has_open(const char *root, const char *pid, const char *node)
{
	char path[PATH_MAX], target[PATH_MAX];
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/proc/%s/fd", root, pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (!strcmp(target, node))
			return true;
	}
	return false;
}

/* "qemu-system-x86 (process 1234)". False: /proc shows nobody. */
static bool find_user(const char *root, const char *node, char *buf, size_t size)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	char path[PATH_MAX], comm[32];
	const struct dirent *entry;

	snprintf(path, sizeof(path), "%s/proc", root);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !process_has_open(root, entry->d_name, node))
			continue;
		if (sysfs_read(root, comm, sizeof(comm), "/proc/%s/comm", entry->d_name) < 0)
			strcpy(comm, "a program");
		snprintf(buf, size, "%s (process %s)", comm, entry->d_name);
		return true;
	}
	return false;
}

static int in_use(const struct vf *vf, const char *node, const char *user, struct err *err)
{
	char addr[PCI_ADDR_STRLEN];

	return err_set(err, -EBUSY, "device in use",
		       "%s is used by %s, which has %s open; end that first, or keep the VF out by "
		       "VIO4WD_EXCLUDE",
		       pci_addr_format(&vf->addr, addr), user, node);
}

int device_claim(const char *root, const struct vf *vf, int *fd, struct err *err)
{
	char node[DEVICE_NODE_MAX], addr[PCI_ADDR_STRLEN];
	char user[80] = "another program (a VM with it as hostdev?)";
	int rc;

	*fd = -1;
	if (device_node_path(root, &vf->addr, vf->driver, node) < 0)
		return 0;
	if (!device_node_is_vfio(vf->driver))
		return find_user(root, node, user, sizeof(user)) ? in_use(vf, node, user, err) : 0;
	rc = kernel_open(root, "%s", node);
	if (rc >= 0) {
		*fd = rc;
		return 0;
	}
	/* The driver has just let go of it. */
	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		return 0;
	if (rc != -EBUSY)
		return err_set(err, rc, "device in use",
			       "%s: whether a program uses it cannot be told: %s: %s",
			       pci_addr_format(&vf->addr, addr), node, strerror(-rc));
	find_user(root, node, user, sizeof(user));
	return in_use(vf, node, user, err);
}
