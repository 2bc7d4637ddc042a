/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/sriov.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/fault.h"
#include "common/kernel.h"
#include "udev/pci_sysfs.h"
#include "udev/vf.h"

struct change {
	const char *root;
	struct pf pf;
	char addr[PCI_ADDR_STRLEN];
	char name[VF_NETDEV_MAX + PCI_ADDR_STRLEN + 4]; /* "ens3 (0000:05:00.0)" */
};

static void name_pf(struct change *c)
{
	pci_addr_format(&c->pf.addr, c->addr);
	if (c->pf.netdev[0])
		snprintf(c->name, sizeof(c->name), "%s (%s)", c->pf.netdev, c->addr);
	else
		snprintf(c->name, sizeof(c->name), "%s", c->addr);
}

/* Waits while a driver probes the PF or another change of the number is under way. */
static int read_count(const struct change *c, unsigned int *count, struct err *err)
{
	uint32_t value;
	const int rc =
		pci_read_number(c->root, &c->pf.addr, "sriov_numvfs", UINT16_MAX, &value, err);

	if (rc == -ENOENT || rc == -ENODEV)
		return err_set(err, -ENODEV, "number of VFs", "%s: the PF is gone", c->name);
	if (rc < 0 && rc != -EIO)
		return err_set(err, rc, "number of VFs", "%s: sriov_numvfs: %s", c->name,
			       strerror(-rc));
	*count = value;
	return rc;
}

void sriov_settle(const char *root, const struct pci_addr *pf)
{
	uint32_t count;

	/* sriov_numvfs_show() takes the lock that sriov_numvfs_store() holds all the time. */
	pci_read_number(root, pf, "sriov_numvfs", UINT16_MAX, &count, NULL);
}

/* What the kernel's sriov_numvfs_store() and the drivers' sriov_configure() return. */
static int refused(const struct change *c, unsigned int count, int rc, struct err *err)
{
	const char *driver = c->pf.driver;

	switch (rc) {
	case -ENOENT: /* no driver, or one without sriov_configure() */
	case -ENOSYS:
	case -EOPNOTSUPP:
		if (!driver[0])
			return err_set(
				err, -EOPNOTSUPP, "number of VFs",
				"%s has no driver, which has to make the VFs; bind it to its "
				"kernel driver first (echo %s > "
				"/sys/bus/pci/drivers_probe)",
				c->name, c->addr);
		return err_set(err, -EOPNOTSUPP, "number of VFs",
			       "the driver %s of %s cannot make VFs; the PF has to be on its "
			       "kernel driver",
			       driver, c->name);
	case -ENODEV:
		return err_set(err, rc, "number of VFs", "%s: the PF is gone", c->name);
	case -EBUSY:
		return err_set(
			err, rc, "number of VFs",
			"%s: the number of its VFs is being changed by somebody else, or its "
			"VFs are in use; see dmesg, then try again",
			c->name);
	case -ENOMEM:
		return err_set(err, rc, "number of VFs",
			       "%s: there is no room for %u VFs: too little memory space or too "
			       "few bus numbers behind its PCI bridge; enable SR-IOV (and \"above "
			       "4G decoding\") in the firmware, or boot with pci=realloc or "
			       "pci=assign-busses; see dmesg",
			       c->name, count);
	case -EPERM:
		return err_set(
			err, rc, "number of VFs",
			"the driver %s of %s does not make %u VFs: more than it supports, or "
			"VFs are assigned to a VM; see dmesg",
			driver, c->name, count);
	case -EACCES:
	case -EROFS:
		return err_set(err, rc, "number of VFs",
			       "%s: sriov_numvfs cannot be written: %s; the manager has to be root "
			       "and /sys writable (no ProtectKernelTunables= in its unit)",
			       c->name, strerror(-rc));
	default:
		return err_set(err, rc, "number of VFs", "%s: %u VFs cannot be made: %s; see dmesg",
			       c->name, count, strerror(-rc));
	}
}

static int write_count(const struct change *c, unsigned int count, struct err *err)
{
	char text[16];
	int rc;

	snprintf(text, sizeof(text), "%u", count);
	rc = kernel_write(c->root, text, PCI_DEVICES "/%s/sriov_numvfs", c->addr);
	return rc < 0 ? refused(c, count, rc, err) : 0;
}

/* The driver may make fewer than it was asked for, and the write succeeds. */
static int make(const struct change *c, unsigned int count, struct err *err)
{
	unsigned int made;
	int rc = write_count(c, count, err);

	if (!rc)
		rc = read_count(c, &made, err);
	if (!rc && made != count)
		return err_set(err, -EIO, "number of VFs",
			       "%s: %u VFs were asked for, but its driver %s made %u; see dmesg",
			       c->name, count, c->pf.driver, made);
	return rc;
}

/* The attribute is there since Linux 4.12. */
static int autoprobe_write(const char *root, const struct pci_addr *pf, bool on)
{
	char addr[PCI_ADDR_STRLEN];

	return kernel_write(root, on ? "1" : "0", PCI_DEVICES "/%s/sriov_drivers_autoprobe",
			    pci_addr_format(pf, addr));
}

bool sriov_autoprobe(const char *root, const struct pci_addr *pf)
{
	uint32_t on;

	return pci_read_number(root, pf, "sriov_drivers_autoprobe", 1, &on, NULL) == 0 && on;
}

void sriov_autoprobe_on(const char *root, const struct pci_addr *pf)
{
	autoprobe_write(root, pf, true);
}

int sriov_set_count(const char *root, const struct pci_addr *pf, unsigned int count, bool autoprobe,
		    struct err *err)
{
	struct change c = { .root = root };
	unsigned int now;
	bool restore;
	int rc;

	rc = pf_read(root, pf, &c.pf, err);
	if (rc < 0)
		return rc;
	name_pf(&c);
	if (count > c.pf.total_vfs)
		return err_set(err, -ERANGE, "number of VFs",
			       "%s can have %u VFs at most (sriov_totalvfs), %u were asked for; "
			       "the card's firmware settings may allow more",
			       c.name, c.pf.total_vfs, count);
	rc = read_count(&c, &now, err);
	if (rc < 0 || now == count)
		return rc;
	/* The kernel only goes from none to some and back. */
	if (now) {
		rc = write_count(&c, 0, err);
		if (rc < 0 || !count)
			return rc;
	}
	restore = !autoprobe && sriov_autoprobe(root, pf) && !autoprobe_write(root, pf, false);
	rc = make(&c, count, err);
	fault_point("count.made");
	if (restore)
		sriov_autoprobe_on(root, pf);
	return rc;
}
