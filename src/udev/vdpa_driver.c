/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/vdpa_driver.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "udev/pci_sysfs.h"

#define ANY 0xffff

static const struct vdpa_driver vp_vdpa = { .driver = "vp-vdpa" };
static const struct vdpa_driver ifcvf = { .driver = "ifcvf" };
/* It works beside the interface's driver, on the same VF. */
static const struct vdpa_driver mlx5_vdpa = { .driver = "mlx5_core", .module = "mlx5_vdpa" };

/*
 * The first row that fits counts. ifcvf has its devices by their subsystem (the kernel's
 * drivers/vdpa/ifcvf/ifcvf_main.c); vp-vdpa has no devices of its own and takes every modern
 * virtio-pci one that it is told to. Of ConnectX those that have the emulation of virtqueues: VFs
 * from ConnectX-6 Dx on, and BlueField's.
 *
 * The last column is from the tables of DPDK's drivers (drivers/vdpa): net_ifcvf and net_sfc_vdpa
 * on vfio-pci. That of mlx5 drives the same VFs as the kernel's, and is not needed.
 */
static const struct row {
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	const struct vdpa_driver *driver; /* of the kernel; NULL: none */
	const char *dpdk_args;
} rows[] = {
	{ 0x1af4, 0x1041, 0x8086, 0x001a, &ifcvf, "vdpa=1" }, /* Intel N3000 */
	{ 0x1af4, 0x1000, 0x8086, 0x0001, &ifcvf, "vdpa=1" }, /* Intel C5000X-PL */
	{ 0x1af4, 0x1041, ANY, ANY, &vp_vdpa },
	{ 0x1af4, 0x1000, ANY, ANY, &vp_vdpa },		  /* transitional */
	{ 0x10ee, 0x1100, ANY, ANY, NULL, "class=vdpa" }, /* AMD (Solarflare) EF100 */
	{ 0x15b3, 0x101e, ANY, ANY, &mlx5_vdpa }, /* "ConnectX Family mlx5Gen Virtual Function" */
};

static const struct flaw {
	uint16_t vendor, device;
	const char *why;
} flaws[] = {
	{ 0x15b3, 0x101c,
	  "VFs of ConnectX-6 cannot emulate virtqueues, although mlx5_vdpa takes some of them; "
	  "ConnectX-6 Dx and later can" },
	{ 0x15b3, 0x1018, "ConnectX-5 cannot emulate virtqueues; ConnectX-6 Dx and later can" },
	{ 0x15b3, 0x101a, "ConnectX-5 cannot emulate virtqueues; ConnectX-6 Dx and later can" },
};

static bool subsystem_is(const char *root, const struct vf *vf, const struct row *row)
{
	uint32_t vendor, device;

	if (row->subsystem_vendor == ANY)
		return true;
	return !pci_read_number(root, &vf->addr, "subsystem_vendor", 0xffff, &vendor, NULL) &&
	       !pci_read_number(root, &vf->addr, "subsystem_device", 0xffff, &device, NULL) &&
	       vendor == row->subsystem_vendor && device == row->subsystem_device;
}

static const struct row *row_of(const char *root, const struct vf *vf)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (vf->vendor == rows[i].vendor && vf->device == rows[i].device &&
		    subsystem_is(root, vf, &rows[i]))
			return &rows[i];
	}
	return NULL;
}

const struct vdpa_driver *vdpa_driver_of(const char *root, const struct vf *vf)
{
	const struct row *row = row_of(root, vf);

	return row ? row->driver : NULL;
}

const char *vdpa_driver_dpdk_args(const char *root, const struct vf *vf)
{
	const struct row *row = row_of(root, vf);

	return row ? row->dpdk_args : NULL;
}

bool vdpa_driver_is(const char *driver)
{
	return !strcmp(driver, vp_vdpa.driver) || !strcmp(driver, ifcvf.driver);
}

const char *vdpa_driver_flaw(const struct vf *vf)
{
	for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
		if (vf->vendor == flaws[i].vendor && vf->device == flaws[i].device)
			return flaws[i].why;
	}
	return NULL;
}
