/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/device_node.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "udev/pci_sysfs.h"

#define NODE_WAIT_MS 5000

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

bool device_node_is_vfio(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

static bool is_uio(const char *driver)
{
	return !strcmp(driver, "igb_uio") || !strcmp(driver, "uio_pci_generic");
}

bool device_node_of_driver(const char *driver)
{
	return !strcmp(driver, "vfio-pci") || is_uio(driver);
}

static int vfio_node(const char *root, const struct pci_addr *addr, char path[DEVICE_NODE_MAX])
{
	char group[16];

	if (pci_read_link(root, addr, "iommu_group", group, sizeof(group)) < 0)
		return -ENODEV;
	snprintf(path, DEVICE_NODE_MAX, "/dev/vfio/%s", group);
	return 0;
}

static int uio_node(const char *root, const struct pci_addr *addr, char path[DEVICE_NODE_MAX])
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	char folder[PATH_MAX], name[PCI_ADDR_STRLEN];
	const struct dirent *entry;

	snprintf(folder, sizeof(folder), "%s" PCI_DEVICES "/%s/uio", root,
		 pci_addr_format(addr, name));
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "uio", 3))
			continue;
		snprintf(path, DEVICE_NODE_MAX, "/dev/%s", entry->d_name);
		return 0;
	}
	return -ENODEV;
}

int device_node_path(const char *root, const struct pci_addr *addr, const char *driver,
		     char path[DEVICE_NODE_MAX])
{
	if (device_node_is_vfio(driver))
		return vfio_node(root, addr, path);
	return is_uio(driver) ? uio_node(root, addr, path) : -ENODEV;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000l + now.tv_nsec / 1000000;
}

/* The folder may have to be made, too: watched is what there is on the way. */
static void watch_parents(int notify, const char *path)
{
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	while ((slash = strrchr(folder, '/')) && slash != folder) {
		*slash = '\0';
		if (inotify_add_watch(notify, folder, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) >= 0)
			return;
	}
}

int device_node_wait(const char *path)
{
	const long until = now_ms() + NODE_WAIT_MS;
	_cleanup_close_ int notify = -1;
	char events[4096];
	struct pollfd p;

	if (access(path, F_OK) == 0)
		return 0;
	notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (notify < 0)
		return -errno;
	for (;;) {
		long left;

		watch_parents(notify, path);
		if (access(path, F_OK) == 0)
			return 0;
		left = until - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		p = (struct pollfd){ .fd = notify, .events = POLLIN };
		if (poll(&p, 1, (int)left) > 0) {
			while (read(notify, events, sizeof(events)) > 0)
				;
		}
	}
}

static int give(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if ((st.st_mode & 07777) != 0600 && chmod(path, 0600) < 0)
		return -errno;
	if ((st.st_uid != uid || st.st_gid != gid) && chown(path, uid, gid) < 0)
		return -errno;
	return 0;
}

int device_node_own(const char *root, const struct pci_addr *addr, const char *driver, uid_t uid,
		    gid_t gid, struct err *err)
{
	char path[PATH_MAX], node[DEVICE_NODE_MAX], name[PCI_ADDR_STRLEN];
	int rc;

	rc = device_node_path(root, addr, driver, node);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "%s%s", root, node);
	pci_addr_format(addr, name);
	rc = device_node_wait(path);
	if (rc == -ETIMEDOUT)
		return err_set(
			err, rc, "device file",
			"%s is bound to %s, but %s does not appear: /dev is no devtmpfs, and "
			"nobody else makes it; is udevd running?",
			name, driver, path);
	if (!rc)
		rc = give(path, uid, gid);
	/* It is gone again: so is the function, or its driver. */
	if (rc == -ENOENT)
		return -ENODEV;
	if (rc < 0)
		return err_set(err, rc, "device file",
			       "%s: %s cannot be given to user %u: %s; the manager has to be root "
			       "(CAP_CHOWN, CAP_FOWNER)",
			       name, path, (unsigned int)uid, strerror(-rc));
	return 0;
}

bool device_node_usable(const char *root, const struct pci_addr *addr, const char *driver,
			uid_t uid, gid_t gid)
{
	char path[PATH_MAX], node[DEVICE_NODE_MAX];
	struct stat st;

	if (device_node_path(root, addr, driver, node) < 0)
		return false;
	snprintf(path, sizeof(path), "%s%s", root, node);
	if (stat(path, &st) < 0)
		return false;
	/* As the kernel does: the owner's bits count for the owner, whatever the group's say. */
	if (uid == 0)
		return true;
	if (st.st_uid == uid)
		return (st.st_mode & 0600) == 0600;
	if (st.st_gid == gid)
		return (st.st_mode & 0060) == 0060;
	return (st.st_mode & 0006) == 0006;
}
