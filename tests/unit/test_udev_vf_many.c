/* SPDX-License-Identifier: BSD-3-Clause */

/* A PF with 256 VFs: all are found, in order, and it takes no longer than it should. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <kselftest_harness.h>

#include "common/cleanup.h"
#include "udev/vf.h"

#include "sysfs_tree.h"

#define N 256
#define BUS "/sys/devices/pci0000:00/0000:00:01.0"
#define PF "0000:02:00.0"

FIXTURE(many) {
	char root[CONFIG_ROOT_MAX];
};

/* Its own group for each, or one for all. */
FIXTURE_VARIANT(many)
{
	bool one_group;
};
FIXTURE_VARIANT_ADD(many, groups){
	.one_group = false,
};
FIXTURE_VARIANT_ADD(many, one_group){
	.one_group = true,
};

static void make(const char *root, const char *path, const char *name, const char *text)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", path, name);
	sysfs_tree_file(root, full, text);
}

static void make_link(const char *root, const char *path, const char *name, const char *to)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", path, name);
	sysfs_tree_link(root, full, to);
}

static void make_function(const char *root, const char *addr, const char *device)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), BUS "/%s", addr);
	make(root, path, "class", "0x020000\n");
	make(root, path, "vendor", "0x19ee\n");
	make(root, path, "device", device);
	make(root, path, "numa_node", "0\n");
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/0000:00:01.0/%s", addr);
	make_link(root, "/sys/bus/pci/devices", addr, target);
}

/* VF i, from 0000:02:08.0 on: eight functions to a slot, 32 slots to a bus. */
static void vf_address(unsigned int i, char addr[PCI_ADDR_STRLEN])
{
	const unsigned int devfn = i + 8 * 8;

	snprintf(addr, PCI_ADDR_STRLEN, "0000:%02x:%02x.%x", 2 + (devfn >> 8), devfn >> 3 & 31,
		 devfn & 7);
}

static void make_vf(const char *root, unsigned int i, unsigned int group)
{
	char addr[PCI_ADDR_STRLEN], path[128], text[128];

	vf_address(i, addr);
	make_function(root, addr, "0x6003\n");
	snprintf(path, sizeof(path), BUS "/%s", addr);
	make_link(root, path, "physfn", "../" PF);
	make_link(root, path, "driver", "../../../../bus/pci/drivers/nfp");
	snprintf(text, sizeof(text), "../../../../kernel/iommu_groups/%u", group);
	make_link(root, path, "iommu_group", text);
	snprintf(text, sizeof(text), "net/eth%u/ifindex", i);
	make(root, path, text, "9\n");
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/devices", group);
	make_link(root, path, addr, "nowhere");
	snprintf(path, sizeof(path), "virtfn%u", i);
	snprintf(text, sizeof(text), "../%s", addr);
	make_link(root, BUS "/" PF, path, text);
}

FIXTURE_SETUP(many)
{
	config_root_make(self->root);
	make_function(self->root, PF, "0x4000\n");
	sysfs_tree_file(self->root, BUS "/" PF "/sriov_totalvfs", "256\n");
	sysfs_tree_file(self->root, BUS "/" PF "/net/ens3/ifindex", "4\n");
	for (unsigned int i = 0; i < N; i++)
		make_vf(self->root, i, variant->one_group ? 1 : i + 10);
}

FIXTURE_TEARDOWN(many)
{
	config_root_remove(self->root);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

TEST_F(many, all_are_found) {
	char addr[PCI_ADDR_STRLEN], found[PCI_ADDR_STRLEN], name[32];
	_cleanup_free_ struct vf *vfs = NULL;
	struct err err;
	size_t n;
	double start = now();

	ASSERT_EQ(0, vf_enumerate(self->root, &vfs, &n, &err));
	TH_LOG("%zu VFs in %.1f ms", n, now() - start);
	ASSERT_EQ(N, n);
	for (unsigned int i = 0; i < N; i++) {
		vf_address(i, addr);
		EXPECT_STREQ(addr, pci_addr_format(&vfs[i].addr, found));
		EXPECT_EQ(i, vfs[i].index);
		EXPECT_STREQ("ens3", vfs[i].pf_netdev);
		EXPECT_STREQ("nfp", vfs[i].driver);
		snprintf(name, sizeof(name), "eth%u", i);
		EXPECT_STREQ(name, vfs[i].netdev);
		EXPECT_EQ(variant->one_group ? 1 : (int)i + 10, vfs[i].iommu_group);
		EXPECT_EQ(variant->one_group ? N - 1 : 0, vfs[i].n_group_others);
		/* Those that are told by name, without the VF itself. */
		vf_address(i > 0 ? 0 : 1, addr);
		if (variant->one_group)
			EXPECT_STREQ(addr, pci_addr_format(&vfs[i].group_others[0], found));
	}
}

TEST_F(many, counted) {
	_cleanup_free_ struct pf *pfs = NULL;
	struct err err;
	size_t n;

	ASSERT_EQ(0, pf_enumerate(self->root, &pfs, &n, &err));
	ASSERT_EQ(1, n);
	EXPECT_EQ(N, pfs[0].num_vfs);
	EXPECT_EQ(N, pfs[0].total_vfs);
}

TEST_HARNESS_MAIN
