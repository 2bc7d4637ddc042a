/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/binding_driver.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/kernel.h"
#include "common/module.h"
#include "common/sysfs.h"
#include "udev/pci_sysfs.h"

static int refused(const char *addr, const char *attribute, int rc, struct err *err)
{
	const char *next = "; dmesg may say more";

	/* The function went away, and its attributes with it. */
	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		return -ENODEV;
	if (rc == -EACCES || rc == -EPERM || rc == -EROFS)
		next = "; the manager has to be root and /sys writable (no ProtectKernelTunables= "
		       "in its unit)";
	return err_set(err, rc, "bind", "%s: %s: %s%s", addr, attribute, strerror(-rc), next);
}

int driver_read(const char *root, const struct pci_addr *addr, char driver[VF_DRIVER_MAX])
{
	char path[PATH_MAX], name[PCI_ADDR_STRLEN];
	int rc;

	driver[0] = '\0';
	rc = pci_read_link(root, addr, "driver", driver, VF_DRIVER_MAX);
	if (rc != -ENOENT)
		return rc;
	snprintf(path, sizeof(path), "%s" PCI_DEVICES "/%s", root, pci_addr_format(addr, name));
	return access(path, F_OK) < 0 ? -ENODEV : 0;
}

int driver_override_read(const char *root, const struct pci_addr *addr,
			 char override[VF_DRIVER_MAX], struct err *err)
{
	char name[PCI_ADDR_STRLEN];
	const int rc = sysfs_read(root, override, VF_DRIVER_MAX, PCI_DEVICES "/%s/driver_override",
				  pci_addr_format(addr, name));

	if (rc < 0) {
		override[0] = '\0';
		return refused(name, "driver_override", rc, err);
	}
	/* printf's text for NULL: none is set */
	if (!strcmp(override, "(null)"))
		override[0] = '\0';
	return 0;
}

int driver_override_write(const char *root, const struct pci_addr *addr, const char *override,
			  struct err *err)
{
	char now[VF_DRIVER_MAX], name[PCI_ADDR_STRLEN];
	int rc;

	rc = driver_override_read(root, addr, now, err);
	if (rc < 0 || !strcmp(now, override))
		return rc;
	/* A newline stands for none: write(2) of nothing does not reach the attribute. */
	rc = kernel_write(root, override[0] ? override : "\n", PCI_DEVICES "/%s/driver_override",
			  pci_addr_format(addr, name));
	return rc < 0 ? refused(name, "driver_override", rc, err) : 0;
}

static int write_unbind(const char *root, const char *name, const char *driver)
{
	return kernel_write(root, name, "/sys/bus/pci/drivers/%s/unbind", driver);
}

int driver_unbind(const char *root, const struct pci_addr *addr, const char *driver,
		  struct err *err)
{
	char now[VF_DRIVER_MAX], name[PCI_ADDR_STRLEN];
	int rc;

	rc = write_unbind(root, pci_addr_format(addr, name), driver);
	/* bus_add_driver() has devices probed before it makes this file: the first VFs of a host
	 * are seen then. */
	if (rc == -ENOENT) {
		module_settle(root, driver);
		rc = write_unbind(root, name, driver);
	}
	if (rc == 0)
		return 0;
	/* Somebody else was faster, or the driver's module has just gone. */
	if (driver_read(root, addr, now) == -ENODEV)
		return -ENODEV;
	if (strcmp(now, driver) != 0)
		return 0;
	return err_set(err, rc, "bind", "%s cannot be taken from its driver %s: %s", name, driver,
		       strerror(-rc));
}

/* drivers_probe does not tell why a driver refused; asked for directly, it does. */
static int bind_directly(const char *root, const struct pci_addr *addr, const char *driver,
			 struct err *err)
{
	char name[PCI_ADDR_STRLEN];
	const int rc = kernel_write(root, pci_addr_format(addr, name),
				    "/sys/bus/pci/drivers/%s/bind", driver);

	if (rc == 0)
		return 0;
	if (rc == -ENOENT)
		return err_set(err, -ENOENT, "bind",
			       "%s has no driver now: %s is not loaded any more (modprobe %s)",
			       name, driver, driver);
	return err_set(err, rc, "bind", "%s does not take %s: %s; dmesg says more", driver, name,
		       strerror(-rc));
}

int driver_probe(const char *root, const struct pci_addr *addr, const char *driver, struct err *err)
{
	char now[VF_DRIVER_MAX], name[PCI_ADDR_STRLEN];
	int rc;

	rc = kernel_write(root, pci_addr_format(addr, name), "/sys/bus/pci/drivers_probe");
	if (rc == -EACCES || rc == -EPERM || rc == -EROFS)
		return refused(name, "drivers_probe", rc, err);
	/* Any other error is that of some driver: what counts is on which one the device is. */
	rc = driver_read(root, addr, now);
	if (rc < 0)
		return rc;
	if (!now[0]) {
		rc = bind_directly(root, addr, driver, err);
		if (rc == -ENODEV && driver_read(root, addr, now) == 0)
			return -EIO; /* the driver's word, and err has it: the device is there */
		return rc;
	}
	if (strcmp(now, driver) != 0)
		return err_set(err, -EBUSY, "bind",
			       "%s was to be bound to %s, but %s has it now; is another tool "
			       "(driverctl, a udev rule) in charge of it?",
			       name, driver, now);
	return 0;
}
