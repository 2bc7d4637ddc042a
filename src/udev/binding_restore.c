/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Giving a VF back. Cut off anywhere, it is completed by doing it again: the driver that it is on
 * tells what is still to be done.
 */
#include "udev/binding.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/log.h"
#include "udev/binding_driver.h"
#include "udev/device_claim.h"
#include "udev/device_node.h"
#include "udev/module.h"
#include "udev/vf_settings.h"

/* Only from a driver that it was bound to for a relay: what somebody else bound it to since is
 * theirs. */
static int take_back(const char *root, const struct vf *vf, const struct binding_state *before,
		     struct err *err)
{
	_cleanup_close_ int group = -1;
	int rc;

	if (!device_node_of_driver(vf->driver))
		return 0;
	rc = device_claim(root, vf, &group, err);
	if (rc < 0)
		return rc;
	if (strcmp(vf->driver, before->driver) != 0)
		return driver_unbind(root, &vf->addr, vf->driver, err);
	/* It stays where it was, and is no longer the relay's to open. */
	return device_node_own(root, &vf->addr, vf->driver, 0, 0, err);
}

/* The PF may be gone, or refuse what it had itself; the driver is given back nevertheless. */
static void restore_attributes(const char *root, const struct vf *vf,
			       const struct binding_state *before)
{
	struct vf_attributes now, wanted = before->attributes;
	struct err err = { 0 };
	char name[PCI_ADDR_STRLEN];
	int rc;

	/* A VF that has never left its driver may use an address of its own choice, which the PF
	 * repeats: taken from the PF it would no longer receive anything. */
	if (vf_settings(root, vf, &now, NULL) == 0 && !memcmp(now.mac, wanted.mac, sizeof(now.mac)))
		wanted.has_mac = false;
	rc = sriov_set_attributes(vf->pf_netdev, vf->index, &wanted, &err);
	if (rc < 0 && rc != -ENODEV)
		log_warning("%s: the PF's settings of it are not as they were before: %s",
			    pci_addr_format(&vf->addr, name), err.text);
}

static int restore_driver(const char *root, const struct vf *vf, const struct binding_state *before,
			  struct err *err)
{
	char now[VF_DRIVER_MAX];
	int rc;

	rc = driver_override_write(root, &vf->addr, before->override, err);
	if (rc < 0)
		return rc;
	fault_point("restore.override");
	rc = driver_read(root, &vf->addr, now);
	if (!rc && before->driver[0] && !now[0]) {
		/* It may have been unloaded. A driver's module can have another name. */
		module_load(root, before->driver, NULL);
		rc = driver_probe(root, &vf->addr, before->driver, err);
	}
	if (rc)
		return rc;
	fault_point("restore.probed");
	return 0;
}

static int restore(const char *root, const struct vf *vf, const struct binding_state *before,
		   struct err *err)
{
	int rc = 0;

	if (!vf_keeps_kernel_driver(vf))
		rc = take_back(root, vf, before, err);
	if (rc < 0)
		return rc;
	fault_point("restore.unbound");
	/* Before the driver: it asks the PF for its MAC address when it starts. */
	restore_attributes(root, vf, before);
	fault_point("restore.attributes");
	return vf_keeps_kernel_driver(vf) ? 0 : restore_driver(root, vf, before, err);
}

int binding_restore(const char *root, const struct pci_addr *addr,
		    const struct binding_state *before, struct err *err)
{
	struct err why = { 0 };
	struct vf vf;
	int rc;

	rc = vf_read(root, addr, &vf, &why);
	/* Another device has its address now, or it goes or has just come: it is on no driver that
	 * could be ours. */
	if (rc == -EINVAL || rc == -EAGAIN)
		return 0;
	if (!rc)
		rc = restore(root, &vf, before, &why);
	return rc == -ENODEV || rc == 0 ? 0 : err_set(err, rc, why.step, "%s", why.text);
}
