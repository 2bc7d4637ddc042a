/* SPDX-License-Identifier: BSD-3-Clause */

/* Hardware vDPA: the drivers that the VFs in use need for it. */
#include <stdio.h>
#include <string.h>

#include "common/module.h"
#include "ctl/doctor/doctor.h"
#include "udev/vdpa_driver.h"

static enum finding_severity severity(const struct doctor *d)
{
	return d->cfg->backend == CONFIG_BACKEND_VDPA ? FINDING_ERROR : FINDING_NOTE;
}

/* Was this driver looked at for an earlier VF? */
static bool is_repeated(const struct doctor *d, size_t i, const struct vdpa_driver *driver)
{
	for (size_t k = 0; k < i; k++) {
		if (vdpa_driver_of(d->root, &d->vfs[k]) == driver)
			return true;
	}
	return false;
}

static bool module_is_there(const struct doctor *d, const char *bus, const char *driver,
			    struct err *err)
{
	return module_find(d->root, bus, driver, err) == 0;
}

static void missing(struct doctor *d, const struct vf *vf, const char *what, const struct err *err)
{
	char name[64];

	doctor_find(d, severity(d), "/sys/bus/pci/drivers, /sys/bus/vdpa/drivers, /lib/modules",
		    "%s has hardware vDPA, but %s is missing: %s", vf_name(vf, name, sizeof(name)),
		    what, err->text);
	doctor_expected(d, "the modules of vDPA; without them software serves, unless "
			   "VIO4WD_BACKEND=vdpa");
	doctor_action(d, "install the full kernel package (Debian: linux-image-amd64), or "
			 "VIO4WD_BACKEND=sw");
}

static void check_modules(struct doctor *d)
{
	size_t found = 0, able = 0;

	for (size_t i = 0; i < d->n_vfs; i++) {
		const struct vdpa_driver *driver = vdpa_driver_of(d->root, &d->vfs[i]);
		struct err err = { 0 };

		if (!driver || d->cfg->backend == CONFIG_BACKEND_SW)
			continue;
		able++;
		if (is_repeated(d, i, driver))
			continue;
		if (!module_is_there(d, "pci", driver->driver, &err))
			missing(d, &d->vfs[i], driver->driver, &err);
		else if (driver->module && !module_is_loaded(d->root, driver->module) &&
			 !module_is_there(d, "pci", driver->module, &err))
			missing(d, &d->vfs[i], driver->module, &err);
		else if (!module_is_there(d, "vdpa", "vhost_vdpa", &err))
			missing(d, &d->vfs[i], "vhost_vdpa", &err);
		else
			continue;
		found++;
	}
	if (!found)
		doctor_ok(d, "/sys/bus/pci/drivers, /sys/bus/vdpa/drivers, /lib/modules",
			  "%zu of %zu VFs in use are known to have hardware vDPA%s", able, d->n_vfs,
			  able ? ", and its modules are there" : "");
}

static void check_able(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->n_vfs; i++) {
		const struct vf *vf = &d->vfs[i];
		const char *flaw = vdpa_driver_flaw(vf);
		char path[128], name[64], addr[PCI_ADDR_STRLEN];

		if (d->cfg->backend != CONFIG_BACKEND_VDPA ||
		    (!flaw && (vdpa_driver_of(d->root, vf) || vdpa_driver_dpdk_args(d->root, vf))))
			continue;
		found++;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/device",
			 pci_addr_format(&vf->addr, addr));
		doctor_find(d, flaw ? FINDING_ERROR : FINDING_WARNING, path, "%s (%04x:%04x): %s",
			    vf_name(vf, name, sizeof(name)), vf->vendor, vf->device,
			    flaw ? flaw
				 : "no vDPA driver is known for it, VIO4WD_BACKEND=vdpa wants "
				   "one; its present driver may have vDPA itself");
		doctor_expected(d, "VFs with hardware vDPA");
		doctor_action(d, "VIO4WD_BACKEND=auto lets software serve it; vio4wdctl vdpa list "
				 "shows what the kernel offers");
	}
	if (!found)
		doctor_ok(d, d->config_file, "VIO4WD_BACKEND=%s suits the VFs in use",
			  config_backend_name(d->cfg->backend));
}

static const struct doctor_check checks[] = {
	{ "modules", check_modules },
	{ "able", check_able },
	{ 0 },
};

const struct doctor_area doctor_vdpa = {
	.name = "vdpa",
	.checks = checks,
};
