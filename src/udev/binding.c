/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Taking a VF. The order of the steps is such that whatever cuts them off, repeating them completes
 * them, and binding_restore() undoes them: each looks at what is there before it changes it, and
 * the override is written before the driver is taken away, so that no other driver gets the device
 * in between (another program's modprobe has all devices without driver probed).
 */
#include "udev/binding.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/module.h"
#include "udev/binding_checks.h"
#include "udev/binding_driver.h"
#include "udev/device_claim.h"
#include "udev/device_node.h"
#include "udev/pci_sysfs.h"
#include "udev/vf_mac.h"
#include "udev/vf_settings.h"

static int gone(const struct pci_addr *addr, struct err *err)
{
	char name[PCI_ADDR_STRLEN];

	return err_set(err, -ENODEV, "no such device", "%s went away while it was being bound",
		       pci_addr_format(addr, name));
}

static bool wants_attributes(const struct vf_attributes *a)
{
	return a->has_mac || a->vlan >= 0 || a->qos >= 0 || a->trust >= 0 || a->spoofchk >= 0;
}

/* Unset where the PF says nothing. */
static int read_attributes(const char *root, const struct binding_plan *plan, const struct vf *vf,
			   struct vf_attributes *attributes, struct err *err)
{
	struct err why = { 0 };
	int rc;

	rc = vf_settings(root, vf, attributes, &why);
	if (rc == 0 || (rc == -EOPNOTSUPP && !wants_attributes(&plan->attributes)))
		return 0;
	if (rc == -EOPNOTSUPP && vf->pf_netdev[0])
		return 0; /* the PF may take them although it does not tell */
	return err_set(err, rc, why.step, "%s", why.text);
}

static int inspect_vf(const char *root, const struct binding_plan *plan, const struct vf *vf,
		      struct err *err)
{
	_cleanup_close_ int group = -1;
	int rc;

	rc = binding_check_unused(root, vf, plan->vdpa, err);
	if (!rc)
		rc = device_claim(root, vf, &group, err);
	if (rc)
		return rc;
	if (vf_keeps_kernel_driver(vf))
		return binding_check_kernel_driver(vf, err);
	rc = binding_check_possible(plan, vf, err);
	return rc ? rc : module_find(root, "pci", plan->driver, err);
}

int binding_inspect(const char *root, const struct binding_plan *plan, struct binding_state *now,
		    struct err *err)
{
	struct vf vf;
	int rc;

	*now = (struct binding_state){ .attributes = VF_ATTRIBUTES_UNSET };
	/* First, because it waits: a driver that probes has made its interface then. */
	rc = driver_override_read(root, &plan->addr, now->override, err);
	if (rc < 0 && rc != -ENODEV)
		return rc;
	rc = vf_read(root, &plan->addr, &vf, err);
	if (rc < 0)
		return rc;
	strcpy(now->driver, vf.driver);
	rc = inspect_vf(root, plan, &vf, err);
	return rc ? rc : read_attributes(root, plan, &vf, &now->attributes, err);
}

/* A VF without MAC address gets a random one each time that a driver starts it; one whose VM
 * has an address gets that. */
static int make_mac(const char *root, const struct binding_plan *plan, const struct vf *vf,
		    struct vf_attributes *wanted, struct err *err)
{
	static const uint8_t zero[6];
	struct vf_attributes now;
	int rc;

	/* A PF that tells of none takes none either. */
	if (vf_settings(root, vf, &now, NULL) < 0 || !now.has_mac)
		return 0;
	if (plan->has_vm_mac) {
		memcpy(wanted->mac, plan->vm_mac, sizeof(wanted->mac));
		wanted->has_mac = true;
		return 0;
	}
	if (memcmp(now.mac, zero, sizeof(zero)) != 0)
		return 0;
	rc = vf_mac_make(vf, wanted->mac, err);
	wanted->has_mac = rc == 0;
	return rc;
}

static int set_attributes(const char *root, const struct binding_plan *plan, const struct vf *vf,
			  struct err *err)
{
	struct vf_attributes wanted = plan->attributes;
	int rc = 0;

	if (plan->make_mac && !wanted.has_mac)
		rc = make_mac(root, plan, vf, &wanted, err);
	return rc ? rc : sriov_set_attributes(vf->pf_netdev, vf->index, &wanted, err);
}

/* The claim lasts until the device is off its driver: nobody gets it in between. */
static int take_from_driver(const char *root, const struct binding_plan *plan, const struct vf *vf,
			    struct err *err)
{
	_cleanup_close_ int group = -1;
	int rc = 0;

	/* Once more, as late as possible: somebody may have begun to use it. */
	if (strcmp(vf->driver, plan->driver) != 0) {
		rc = binding_check_unused(root, vf, plan->vdpa, err);
		if (!rc)
			rc = device_claim(root, vf, &group, err);
	}
	if (!rc)
		rc = driver_override_write(root, &vf->addr, plan->driver, err);
	if (rc)
		return rc;
	fault_point("bind.override");
	if (vf->driver[0] && strcmp(vf->driver, plan->driver) != 0)
		rc = driver_unbind(root, &vf->addr, vf->driver, err);
	if (rc)
		return rc;
	fault_point("bind.unbound");
	return 0;
}

static int change_driver(const char *root, const struct binding_plan *plan, const struct vf *vf,
			 struct err *err)
{
	char now[VF_DRIVER_MAX];
	int rc;

	rc = take_from_driver(root, plan, vf, err);
	if (!rc)
		rc = driver_read(root, &vf->addr, now);
	if (!rc && strcmp(now, plan->driver) != 0)
		rc = driver_probe(root, &vf->addr, plan->driver, err);
	if (rc)
		return rc;
	fault_point("bind.probed");
	if (device_node_of_driver(plan->driver))
		rc = device_node_own(root, &vf->addr, plan->driver, plan->uid, plan->gid, err);
	if (rc)
		return rc;
	fault_point("bind.owned");
	return 0;
}

static int keep_driver(const char *root, const struct vf *vf, struct err *err)
{
	const char *driver = vf_kernel_driver(vf);
	int rc;

	rc = binding_check_kernel_driver(vf, err);
	if (rc || vf->driver[0])
		return rc;
	return driver_probe(root, &vf->addr, driver, err);
}

int binding_bind(const char *root, const struct binding_plan *plan, struct err *err)
{
	struct vf vf;
	bool keeps;
	int rc;

	rc = vf_read(root, &plan->addr, &vf, err);
	if (rc < 0)
		return rc;
	/* Before anything is changed. */
	keeps = vf_keeps_kernel_driver(&vf);
	if (!keeps || !vf.driver[0])
		rc = module_load(root, "pci", keeps ? vf_kernel_driver(&vf) : plan->driver, err);
	if (rc >= 0 && plan->module[0])
		rc = module_load_other(root, plan->module, err);
	if (rc < 0)
		return rc;
	rc = set_attributes(root, plan, &vf, err);
	if (rc < 0)
		return rc;
	fault_point("bind.attributes");
	if (keeps)
		rc = keep_driver(root, &vf, err);
	else
		rc = change_driver(root, plan, &vf, err);
	return rc == -ENODEV ? gone(&plan->addr, err) : rc;
}

bool binding_ready(const char *root, const struct binding_plan *plan)
{
	struct pci_function function;
	struct vf vf = { .addr = plan->addr };

	if (pci_function_read(root, &plan->addr, &function, NULL) < 0)
		return false;
	vf.vendor = function.vendor;
	vf.device = function.device;
	if (plan->module[0] && !module_is_loaded(root, plan->module))
		return false;
	if (vf_keeps_kernel_driver(&vf))
		return !strcmp(function.driver, vf_kernel_driver(&vf));
	if (strcmp(function.driver, plan->driver) != 0)
		return false;
	return !device_node_of_driver(plan->driver) ||
	       device_node_usable(root, &plan->addr, plan->driver, plan->uid, plan->gid);
}
