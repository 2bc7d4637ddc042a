/* SPDX-License-Identifier: BSD-3-Clause */

#include "common/module.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <syslog.h>
#include <unistd.h>

#include <libkmod.h>

#include "common/cleanup.h"

static void cleanup_kmod(struct kmod_ctx **ctx)
{
	kmod_unref(*ctx);
}

static void cleanup_list(struct kmod_list **list)
{
	kmod_module_unref_list(*list);
}

static bool driver_is_there(const char *root, const char *bus, const char *driver)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/bus/%s/drivers/%s", root, bus, driver);
	return access(path, F_OK) == 0;
}

bool module_is_loaded(const char *root, const char *module)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/module/%s", root, module);
	return access(path, F_OK) == 0;
}

static const char *where_from(const char *driver)
{
	if (!strcmp(driver, "igb_uio"))
		return "it is no part of the kernel (Debian: package dpdk-kmods-dkms); vfio-pci is";
	return "install the full kernel package: on Debian linux-image-amd64, not the -cloud one; "
	       "elsewhere often a package of extra modules";
}

static int missing(const char *driver, struct err *err)
{
	struct utsname kernel;

	uname(&kernel);
	return err_set(err, -ENOENT, "module",
		       "the driver %s is not loaded, and /lib/modules/%s has no module of that "
		       "name: %s",
		       driver, kernel.release, where_from(driver));
}

/* *list is empty when there is no such module. */
static int look_up(struct kmod_ctx **ctx, const char *driver, struct kmod_list **list)
{
	int rc;

	*ctx = kmod_new(NULL, NULL);
	if (!*ctx)
		return -ENOMEM;
	/* What fails is told here, not by the library on stderr. */
	kmod_set_log_priority(*ctx, LOG_CRIT);
	rc = kmod_module_new_from_lookup(*ctx, driver, list);
	return rc == -ENOENT || rc == -ENOSYS ? 0 : rc;
}

int module_find(const char *root, const char *bus, const char *driver, struct err *err)
{
	_cleanup_(cleanup_kmod) struct kmod_ctx *ctx = NULL;
	_cleanup_(cleanup_list) struct kmod_list *list = NULL;
	int rc;

	if (driver_is_there(root, bus, driver))
		return 0;
	if (root[0])
		return missing(driver, err);
	rc = look_up(&ctx, driver, &list);
	if (rc < 0)
		return err_set(err, rc, "module", "the modules of the kernel cannot be read: %s",
			       strerror(-rc));
	return list ? 0 : missing(driver, err);
}

static int refused(const char *driver, int rc, bool by_command, struct err *err)
{
	if (by_command)
		return err_set(err, rc, "module",
			       "the driver %s was not loaded by the `install` line that "
			       "/etc/modprobe.d has for its module; take that line out (`modprobe "
			       "--showconfig | grep '^install'` shows it)",
			       driver);
	if (rc == -EPERM)
		return err_set(err, rc, "module",
			       "the module of %s may not be loaded by this process (a unit with "
			       "ProtectKernelModules=, a container, a locked down kernel); let the "
			       "host load it at boot: echo %s > /etc/modules-load.d/vio4wd.conf",
			       driver, driver);
	return err_set(err, rc, "module",
		       "the module of %s cannot be loaded: %s; `modprobe %s` and dmesg say more",
		       driver, strerror(-rc), driver);
}

/* Waits until whoever loads it already has loaded it. *by_command: modprobe.d(5) has a command for
 * it, which is run instead. */
static int insert(const char *driver, bool *by_command)
{
	_cleanup_(cleanup_kmod) struct kmod_ctx *ctx = NULL;
	_cleanup_(cleanup_list) struct kmod_list *list = NULL;
	struct kmod_list *entry;
	int rc;

	*by_command = false;
	rc = look_up(&ctx, driver, &list);
	kmod_list_foreach(entry, list)
	{
		struct kmod_module *module = kmod_module_get_module(entry);

		*by_command |= kmod_module_get_install_commands(module) != NULL;
		if (rc >= 0)
			rc = kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);
		kmod_module_unref(module);
	}
	return rc;
}

int module_load(const char *root, const char *bus, const char *driver, struct err *err)
{
	bool by_command;
	int rc;

	rc = module_find(root, bus, driver, err);
	if (rc < 0 || driver_is_there(root, bus, driver))
		return rc;
	rc = insert(driver, &by_command);
	if (rc < 0)
		return refused(driver, rc, by_command, err);
	return driver_is_there(root, bus, driver) ? 0 : refused(driver, -ENODEV, by_command, err);
}

int module_load_other(const char *root, const char *module, struct err *err)
{
	_cleanup_(cleanup_kmod) struct kmod_ctx *ctx = NULL;
	_cleanup_(cleanup_list) struct kmod_list *list = NULL;
	bool by_command;
	int rc;

	if (module_is_loaded(root, module))
		return 0;
	if (root[0] || look_up(&ctx, module, &list) < 0 || !list)
		return missing(module, err);
	rc = insert(module, &by_command);
	if (rc < 0)
		return refused(module, rc, by_command, err);
	return module_is_loaded(root, module) ? 0 : refused(module, -ENODEV, by_command, err);
}

void module_settle(const char *root, const char *driver)
{
	bool by_command;

	if (!root[0])
		insert(driver, &by_command);
}
