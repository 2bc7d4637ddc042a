/* SPDX-License-Identifier: BSD-3-Clause */

/* Which driver makes vDPA out of a VF, by its PCI IDs. */
#include <stdio.h>
#include <string.h>

#include <kselftest_harness.h>

#include "udev/vdpa_driver.h"

#include "config_root.h"
#include "sysfs_tree.h"

#define ADDR "0000:05:08.1"

static const struct {
	uint16_t vendor, device;
	const char *subsystem_vendor, *subsystem_device;
	const char *driver, *module; /* NULL: none */
	const char *dpdk_args;
} table[] = {
	{ 0x1af4, 0x1041, "0x1af4", "0x1100", "vp-vdpa", NULL },
	{ 0x1af4, 0x1041, "0x8086", "0x001a", "ifcvf", NULL, "vdpa=1" },
	{ 0x1af4, 0x1000, "0x8086", "0x0001", "ifcvf", NULL, "vdpa=1" },
	{ 0x1af4, 0x1000, "0x1af4", "0x0001", "vp-vdpa", NULL },
	{ 0x1af4, 0x1041, NULL, NULL, "vp-vdpa", NULL },
	{ 0x1af4, 0x1042, "0x1af4", "0x1100", NULL, NULL }, /* a block device */
	{ 0x10ee, 0x1100, "0x10ee", "0x1100", NULL, NULL, "class=vdpa" },
	{ 0x10ee, 0x0100, "0x10ee", "0x0100", NULL, NULL }, /* its PF */
	{ 0x15b3, 0x101e, "0x15b3", "0x0001", "mlx5_core", "mlx5_vdpa" },
	{ 0x15b3, 0x1018, "0x15b3", "0x0001", NULL, NULL },
	{ 0x8086, 0x10ca, "0x8086", "0xa03c", NULL, NULL },
};

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

TEST(every_row)
{
	char root[CONFIG_ROOT_MAX];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct vf vf = { .vendor = table[i].vendor, .device = table[i].device };
		const struct vdpa_driver *found;

		config_root_make(root);
		ASSERT_EQ(0, pci_addr_parse(&vf.addr, ADDR));
		sysfs_tree_folders(root, "/sys/bus/pci/devices/" ADDR "/");
		if (table[i].subsystem_vendor) {
			sysfs_tree_file(root, "/sys/bus/pci/devices/" ADDR "/subsystem_vendor",
					table[i].subsystem_vendor);
			sysfs_tree_file(root, "/sys/bus/pci/devices/" ADDR "/subsystem_device",
					table[i].subsystem_device);
		}
		found = vdpa_driver_of(root, &vf);
		EXPECT_TRUE(same(table[i].driver, found ? found->driver : NULL))
		TH_LOG("row %zu: %s", i, found ? found->driver : "none");
		EXPECT_TRUE(same(table[i].module, found ? found->module : NULL));
		EXPECT_TRUE(same(table[i].dpdk_args, vdpa_driver_dpdk_args(root, &vf)))
		TH_LOG("row %zu", i);
		config_root_remove(root);
	}
}

TEST(drivers_of_nothing_else)
{
	EXPECT_TRUE(vdpa_driver_is("vp-vdpa"));
	EXPECT_TRUE(vdpa_driver_is("ifcvf"));
	EXPECT_FALSE(vdpa_driver_is("mlx5_core"));
	EXPECT_FALSE(vdpa_driver_is("vfio-pci"));
	EXPECT_FALSE(vdpa_driver_is(""));
}

TEST(known_flaws)
{
	const struct vf cx5 = { .vendor = 0x15b3, .device = 0x1018 };
	const struct vf cx6dx = { .vendor = 0x15b3, .device = 0x101e };

	EXPECT_NE(NULL, strstr(vdpa_driver_flaw(&cx5) ?: "", "ConnectX-5"));
	EXPECT_EQ(NULL, vdpa_driver_flaw(&cx6dx));
}

TEST_HARNESS_MAIN
