/* SPDX-License-Identifier: BSD-3-Clause */

#include "vdpa/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/kernel.h"
#include "common/module.h"
#include "common/sysfs.h"

#define DEVICES "/sys/bus/vdpa/devices"
#define DRIVERS "/sys/bus/vdpa/drivers"
#define VHOST "vhost_vdpa"
#define DRIVER_MAX 64

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Auxiliary devices have names of their own choice: nothing of the PCI address is in them. */
static int parent_of_auxiliary(const char *root, const char *name, struct pci_addr *parent)
{
	char path[PATH_MAX], target[PATH_MAX], *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/sys/bus/auxiliary/devices/%s", root, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -ENODEV;
	target[n] = '\0';
	slash = strrchr(target, '/');
	if (!slash)
		return -ENODEV;
	*slash = '\0';
	slash = strrchr(target, '/');
	return slash && pci_addr_parse(parent, slash + 1) == 0 ? 0 : -ENODEV;
}

int vdpa_mgmtdev_function(const char *root, const struct vdpa_mgmtdev *mgmt,
			  struct pci_addr *function)
{
	if (!strcmp(mgmt->bus, "auxiliary"))
		return parent_of_auxiliary(root, mgmt->name, function);
	return !strcmp(mgmt->bus, "pci") && pci_addr_parse(function, mgmt->name) == 0 ? 0 : -ENODEV;
}

bool vdpa_mgmtdev_is_of(const char *root, const struct vdpa_mgmtdev *mgmt,
			const struct pci_addr *function)
{
	struct pci_addr addr;

	return vdpa_mgmtdev_function(root, mgmt, &addr) == 0 && pci_addr_equal(&addr, function);
}

static int no_such_device(const char *name, struct err *err)
{
	return err_set(err, -ENODEV, "vDPA",
		       "there is no vDPA device %s; `vdpa dev show` lists those that there are",
		       name);
}

/* "" when it is on none; -ENODEV when there is no such device. */
static int read_driver(const char *root, const char *name, char driver[DRIVER_MAX])
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	driver[0] = '\0';
	/* A name that sysfs cannot have, and that leads elsewhere. */
	if (!name[0] || name[0] == '.' || strchr(name, '/'))
		return -ENODEV;
	snprintf(path, sizeof(path), "%s" DEVICES "/%s/driver", root, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0) {
		*strrchr(path, '/') = '\0';
		return access(path, F_OK) < 0 ? -ENODEV : 0;
	}
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(driver, DRIVER_MAX, "%s", slash ? slash + 1 : target);
	return 0;
}

/* "vhost-vdpa-0" and nothing behind it. */
static bool is_chardev(const char *name)
{
	static const char prefix[] = "vhost-vdpa-";
	const char *number = name + strlen(prefix);

	return !strncmp(name, prefix, strlen(prefix)) && number[0] &&
	       strspn(number, "0123456789") == strlen(number);
}

static int no_chardev(const char *name, const char *driver, struct err *err)
{
	return err_set(err, -ENOENT, "vDPA",
		       "the vDPA device %s has no character device, which only the driver " VHOST
		       " makes; it is on %s",
		       name, driver[0] ? driver : "none");
}

int vdpa_chardev(const char *root, const char *name, char *path, size_t size, struct err *err)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	char folder[PATH_MAX], driver[DRIVER_MAX];
	const struct dirent *entry;
	int len;

	if (read_driver(root, name, driver) < 0)
		return no_such_device(name, err);
	snprintf(folder, sizeof(folder), "%s" DEVICES "/%s", root, name);
	dir = opendir(folder);
	if (!dir && errno == ENOENT)
		return no_such_device(name, err);
	if (!dir)
		return err_set(err, -errno, "vDPA", "%s cannot be read: %s", folder,
			       strerror(errno));
	while ((entry = readdir(dir)) && !is_chardev(entry->d_name))
		;
	if (!entry)
		return no_chardev(name, driver, err);
	len = snprintf(path, size, "/dev/%s", entry->d_name);
	if ((size_t)len >= size)
		return err_set(err, -ENAMETOOLONG, "vDPA", "/dev/%s is too long a path",
			       entry->d_name);
	return 0;
}

static int refused(const char *name, const char *what, int rc, struct err *err)
{
	const char *next = "dmesg may say more";

	if (rc == -EACCES || rc == -EPERM || rc == -EROFS)
		next = "the manager has to be root and /sys writable (no ProtectKernelTunables= "
		       "in its unit)";
	return err_set(err, rc, "vDPA", "the vDPA device %s: %s: %s; %s", name, what, strerror(-rc),
		       next);
}

/* Kernels before 5.17 do not have it; binding by name does all that is wanted there. */
static int set_override(const char *root, const char *name, struct err *err)
{
	char now[DRIVER_MAX];
	int rc = sysfs_read(root, now, sizeof(now), DEVICES "/%s/driver_override", name);

	if (rc == -ENOENT || (rc >= 0 && !strcmp(now, VHOST)))
		return 0;
	rc = kernel_write(root, VHOST, DEVICES "/%s/driver_override", name);
	if (rc == -ENOENT || rc == -ENODEV)
		return no_such_device(name, err);
	return rc < 0 ? refused(name, "driver_override", rc, err) : 0;
}

/* bus_add_driver() has devices probed before it makes the files: a driver may be new. */
static int tell_driver(const char *root, const char *name, const char *driver, const char *file)
{
	int rc = kernel_write(root, name, DRIVERS "/%s/%s", driver, file);

	if (rc == -ENOENT) {
		module_settle(root, driver);
		rc = kernel_write(root, name, DRIVERS "/%s/%s", driver, file);
	}
	return rc;
}

static int kept(const char *name, const char *driver, const char *why, struct err *err)
{
	return err_set(err, -EBUSY, "vDPA",
		       "the vDPA device %s is wanted on " VHOST ", but %s has it%s%s; is another "
		       "tool (driverctl, a udev rule) in charge of it?",
		       name, driver, why[0] ? " and keeps it: " : "", why);
}

/* What counts is on which driver it is in the end: somebody else may have been faster. */
static int take_from(const char *root, const char *name, const char *driver, struct err *err)
{
	char now[DRIVER_MAX];
	const int rc = tell_driver(root, name, driver, "unbind");

	if (read_driver(root, name, now) < 0)
		return no_such_device(name, err);
	if (!now[0] || !strcmp(now, VHOST))
		return 0;
	return kept(name, now, rc < 0 ? strerror(-rc) : "", err);
}

static int put_on_vhost(const char *root, const char *name, struct err *err)
{
	char now[DRIVER_MAX];
	int rc = tell_driver(root, name, VHOST, "bind");

	if (read_driver(root, name, now) < 0)
		return no_such_device(name, err);
	if (!strcmp(now, VHOST))
		return 0;
	if (now[0])
		return kept(name, now, "", err);
	/* The driver's word: the device is there. */
	if (rc == 0 || rc == -ENODEV)
		rc = -EIO;
	return refused(name, VHOST " does not take it", rc, err);
}

int vdpa_use_vhost(const char *root, const char *name, struct err *err)
{
	char driver[DRIVER_MAX];
	int rc;

	if (read_driver(root, name, driver) < 0)
		return no_such_device(name, err);
	if (!strcmp(driver, VHOST))
		return 0;
	/* Before anything is changed. A driver that is new takes every device that has none. */
	rc = module_load(root, "vdpa", VHOST, err);
	if (rc < 0)
		return rc;
	rc = set_override(root, name, err);
	if (rc < 0)
		return rc;
	if (read_driver(root, name, driver) < 0)
		return no_such_device(name, err);
	if (driver[0] && strcmp(driver, VHOST) != 0)
		rc = take_from(root, name, driver, err);
	return rc < 0 || !strcmp(driver, VHOST) ? rc : put_on_vhost(root, name, err);
}
