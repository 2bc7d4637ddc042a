/* SPDX-License-Identifier: BSD-3-Clause */

/* Devices that are no VFs or no PFs, names that lead nowhere, sysfs that changes while it is read
 * or holds what it never should. */
#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "common/cleanup.h"
#include "udev/vf.h"

#include "sysfs_tree.h"

#define PORT "/sys/devices/pci0000:00/0000:00:1c.0"
#define PF PORT "/0000:01:00.0"
#define VF PORT "/0000:01:10.2"
#define LINKS "/sys/bus/pci/devices"

FIXTURE(errors) {
	char root[CONFIG_ROOT_MAX];
	struct err err;
	struct vf vf;
	struct pf pf;
	struct pci_addr addr;
};

FIXTURE_SETUP(errors)
{
	config_root_make(self->root);
}

FIXTURE_TEARDOWN(errors)
{
	config_root_remove(self->root);
}

static struct pci_addr at(const char *text)
{
	struct pci_addr addr;

	if (pci_addr_parse(&addr, text) < 0)
		abort();
	return addr;
}

#define read_vf(text)                                                    \
	({                                                               \
		self->addr = at(text);                                   \
		vf_read(self->root, &self->addr, &self->vf, &self->err); \
	})
#define read_pf(text)                                                    \
	({                                                               \
		self->addr = at(text);                                   \
		pf_read(self->root, &self->addr, &self->pf, &self->err); \
	})
#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}

#define count_vfs()                                                             \
	({                                                                      \
		_cleanup_free_ struct vf *vfs_ = NULL;                          \
		size_t n_ = 0;                                                  \
		EXPECT_EQ(0, vf_enumerate(self->root, &vfs_, &n_, &self->err)); \
		n_;                                                             \
	})

TEST_F(errors, no_vf) {
	sysfs_tree_unpack(self->root, "two-nodes");
	EXPECT_EQ(-EINVAL, read_vf("0000:18:00.0"));
	EXPECT_SAID("0000:18:00.0 is a PF (ens1f0) and no VF; it has 2 VFs now");
	EXPECT_SAID("ens1f0.vf0");
	EXPECT_EQ(-EINVAL, read_vf("0000:18:00.1"));
	EXPECT_SAID("is no VF but a network device");
	EXPECT_EQ(-EINVAL, read_vf("0000:17:00.0"));
	EXPECT_SAID("is no VF but a bridge");
	EXPECT_EQ(-EINVAL, read_vf("0000:b1:01.0"));
	EXPECT_SAID("is no VF but a processor");
}

TEST_F(errors, vf_that_comes_or_goes) {
	sysfs_tree_unpack(self->root, "igb-7vfs");
	EXPECT_EQ(7, count_vfs());
	sysfs_tree_remove(self->root, VF "/physfn");
	EXPECT_EQ(-EINVAL, read_vf("0000:01:10.2"));
	sysfs_tree_file(self->root, VF "/config", "\xff\xff\xff\xff");
	EXPECT_EQ(-EAGAIN, read_vf("0000:01:10.2"));
	EXPECT_SAID("making or removing");
	EXPECT_EQ(6, count_vfs());
}

TEST_F(errors, no_pf) {
	sysfs_tree_unpack(self->root, "two-nodes");
	EXPECT_EQ(-EINVAL, read_pf("0000:18:02.1"));
	EXPECT_SAID("is a VF; its PF is 0000:18:00.0");
	EXPECT_EQ(-EINVAL, read_pf("0000:18:00.1"));
	EXPECT_SAID("network device without SR-IOV");
	EXPECT_EQ(-EINVAL, read_pf("0000:17:00.0"));
	EXPECT_SAID("is a bridge");
	EXPECT_EQ(-EINVAL, read_pf("0000:b1:00.0"));
	EXPECT_SAID("is a processor");
}

TEST_F(errors, not_there) {
	sysfs_tree_unpack(self->root, "igb-7vfs");
	EXPECT_EQ(-ENODEV, read_vf("0000:01:11.6"));
	EXPECT_SAID("0000:01:11.6: there is no such PCI function");
	EXPECT_EQ(-ENODEV, read_pf("0000:02:00.0"));
	EXPECT_SAID("0000:02:00.0: there is no such PCI function");
	EXPECT_EQ(-ENODEV, read_vf("0001:01:10.0"));
	self->addr = at("0000:02:00.0");
	EXPECT_EQ(-ENODEV, pf_vf(self->root, &self->addr, 0, &self->addr));
}

TEST_F(errors, a_host_without_pci) {
	_cleanup_free_ struct pf *pfs = NULL;
	size_t n = 1;

	EXPECT_EQ(0, count_vfs());
	EXPECT_EQ(0, pf_enumerate(self->root, &pfs, &n, &self->err));
	EXPECT_EQ(0, n);
	EXPECT_EQ(-ENODEV, pf_find(self->root, "eth0", &self->addr, &self->err));
}

TEST_F(errors, names) {
	static const char *const nowhere[] = {
		"eth9",		"",	 ".",	      "..",	  "enp1s0/device",
		"0000:09:00.0", "../..", "0000:01:0", "enp1s0\n", "a-name-of-16-chr",
	};

	sysfs_tree_unpack(self->root, "igb-7vfs");
	sysfs_tree_link(self->root, "/sys/class/net/lo", "../../devices/virtual/net/lo");
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		memset(&self->err, 0, sizeof(self->err));
		EXPECT_EQ(-ENODEV, pf_find(self->root, nowhere[i], &self->addr, &self->err));
		EXPECT_NE('\0', self->err.text[0]);
	}
	EXPECT_EQ(-ENODEV, pf_find(self->root, "lo", &self->addr, &self->err));
	EXPECT_SAID("lo: this network interface belongs to no PCI device");
}

TEST_F(errors, names_that_lead_somewhere) {
	static const char *const names[][2] = {
		{ "enp1s0", "0000:01:00.0" },	    { "enp1s0v3", "0000:01:10.6" },
		{ "enp0s3", "0000:00:03.0" },	    { "0000:01:00.0", "0000:01:00.0" },
		{ "01:10.4", "0000:01:10.4" },	    { "pci_0000_01_00_0", "0000:01:00.0" },
		{ "0000:00:1c.0", "0000:00:1c.0" },
	};
	char found[PCI_ADDR_STRLEN];

	sysfs_tree_unpack(self->root, "igb-7vfs");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ASSERT_EQ(0, pf_find(self->root, names[i][0], &self->addr, &self->err));
		EXPECT_STREQ(names[i][1], pci_addr_format(&self->addr, found));
	}
}

/* One broken function is left out, the others are not. */
TEST_F(errors, attributes_that_are_no_numbers) {
	static const struct {
		const char *attribute, *good, *bad[4];
	} cases[] = {
		{ "class", "0x020000\n", { "banana\n", "", "-1\n", "0x1020000\n" } },
		{ "vendor", "0x8086\n", { "0x\n", "\n", "0x8086 \n", "0x18086\n" } },
		{ "device", "0x10ca\n", { "0x10cag\n", " 1\n", "+1\n", "0x10ca\n0x10ca\n" } },
		{ "numa_node", "-1\n", { "-2\n", "x\n", "4294967296\n", "\xff\n" } },
	};
	char path[128], long_text[5000];

	memset(long_text, '0', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	sysfs_tree_unpack(self->root, "igb-7vfs");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(path, sizeof(path), VF "/%s", cases[i].attribute);
		for (size_t j = 0; j < 5; j++) {
			sysfs_tree_file(self->root, path, j < 4 ? cases[i].bad[j] : long_text);
			EXPECT_EQ(-EIO, read_vf("0000:01:10.2"));
			EXPECT_SAID("0000:01:10.2: the attribute ");
			EXPECT_SAID(cases[i].attribute);
			EXPECT_EQ(6, count_vfs());
		}
		sysfs_tree_file(self->root, path, cases[i].good);
		EXPECT_EQ(0, read_vf("0000:01:10.2"));
	}
}

TEST_F(errors, a_number_of_vfs_that_is_none) {
	_cleanup_free_ struct pf *pfs = NULL;
	size_t n;

	sysfs_tree_unpack(self->root, "igb-7vfs");
	sysfs_tree_file(self->root, PF "/sriov_totalvfs", "many\n");
	EXPECT_EQ(-EIO, read_pf("0000:01:00.0"));
	EXPECT_SAID("sriov_totalvfs");
	EXPECT_EQ(0, pf_enumerate(self->root, &pfs, &n, &self->err));
	EXPECT_EQ(0, n);
	EXPECT_EQ(0, read_vf("0000:01:10.2"));
}

TEST_F(errors, no_numa) {
	sysfs_tree_unpack(self->root, "two-nodes");
	sysfs_tree_remove(self->root,
			  "/sys/devices/pci0000:17/0000:17:00.0/0000:18:02.0/numa_node");
	EXPECT_EQ(0, read_vf("0000:18:02.0"));
	EXPECT_EQ(-1, self->vf.numa_node);
}

/* The order in which the kernel takes a function apart: its links, its attributes, its place. */
TEST_F(errors, goes_while_it_is_read) {
	sysfs_tree_unpack(self->root, "igb-7vfs");
	sysfs_tree_remove(self->root, PF "/virtfn1");
	EXPECT_EQ(-ENODEV, read_vf("0000:01:10.2"));
	EXPECT_SAID("went away");
	EXPECT_EQ(6, count_vfs());
	sysfs_tree_remove(self->root, VF "/physfn");
	EXPECT_EQ(-EINVAL, read_vf("0000:01:10.2"));
	EXPECT_EQ(6, count_vfs());
	sysfs_tree_remove(self->root, VF "/device");
	EXPECT_EQ(-ENODEV, read_vf("0000:01:10.2"));
	EXPECT_EQ(6, count_vfs());
	sysfs_tree_remove(self->root, VF);
	EXPECT_EQ(-ENODEV, read_vf("0000:01:10.2"));
	EXPECT_EQ(6, count_vfs());
}

TEST_F(errors, its_pf_goes_while_it_is_read) {
	sysfs_tree_unpack(self->root, "igb-7vfs");
	sysfs_tree_remove(self->root, PF);
	EXPECT_EQ(-ENODEV, read_vf("0000:01:10.2"));
	EXPECT_EQ(-ENODEV, read_pf("0000:01:00.0"));
	EXPECT_EQ(0, count_vfs());
	sysfs_tree_remove(self->root, LINKS "/0000:01:00.0");
	EXPECT_EQ(-ENODEV, read_vf("0000:01:10.2"));
	EXPECT_EQ(0, count_vfs());
}

/* A function leaves its group before it goes. */
TEST_F(errors, a_group_without_members) {
	sysfs_tree_unpack(self->root, "igb-7vfs");
	sysfs_tree_remove(self->root, "/sys/kernel/iommu_groups/8");
	EXPECT_EQ(0, read_vf("0000:01:10.2"));
	EXPECT_EQ(8, self->vf.iommu_group);
	EXPECT_EQ(0, self->vf.n_group_others);
}

TEST_F(errors, links_that_lead_elsewhere) {
	sysfs_tree_unpack(self->root, "igb-7vfs");
	sysfs_tree_remove(self->root, VF "/iommu_group");
	sysfs_tree_link(self->root, VF "/iommu_group", "../../groups/none");
	sysfs_tree_link(self->root, PF "/virtfn9", "nowhere");
	sysfs_tree_link(self->root, PF "/virtfnx", "../0000:01:10.2");
	sysfs_tree_link(self->root, PF "/virtfn99999", "../0000:01:10.2");
	EXPECT_EQ(0, read_vf("0000:01:10.2"));
	EXPECT_EQ(-1, self->vf.iommu_group);
	EXPECT_EQ(1, self->vf.index);
	EXPECT_EQ(0, read_pf("0000:01:00.0"));
	EXPECT_EQ(7, self->pf.num_vfs);
	sysfs_tree_remove(self->root, VF "/physfn");
	sysfs_tree_link(self->root, VF "/physfn", "../nobody");
	EXPECT_EQ(-EINVAL, read_vf("0000:01:10.2"));
}

TEST_HARNESS_MAIN
