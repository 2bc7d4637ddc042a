/* SPDX-License-Identifier: BSD-3-Clause */

/* What the relay finds out about a PCI function before DPDK gets it, and about the VF's PF. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "sw-relay/dma.h"
#include "sw-relay/pci_check.h"
#include "sw-relay/pf_state.h"

#include "relay_eal.h"
#include "sysfs_tree.h"

#define VF "/sys/bus/pci/devices/0000:01:10.0/"
#define PF "/sys/bus/pci/devices/0000:01:00.0/"
#define NODE "/sys/devices/system/node/node"
#define NOBODY 65534

FIXTURE(pci) {
	char root[CONFIG_ROOT_MAX];
	struct pci_addr addr;
	struct pci_facts facts;
	struct err err;
};

/* An igb VF on vfio-pci that nobody has opened. */
FIXTURE_SETUP(pci)
{
	const char *root = self->root;

	config_root_make(self->root);
	chmod(root, 0755);
	pci_addr_parse(&self->addr, "0000:01:10.0");
	sysfs_tree_file(root, VF "vendor", "0x8086\n");
	sysfs_tree_file(root, VF "device", "0x10ca\n");
	sysfs_tree_file(root, VF "numa_node", "1\n");
	sysfs_tree_file(root, VF "config",
			"\xff\xff\xff\xff"
			"0123456789");
	sysfs_tree_link(root, VF "driver", "../../../bus/pci/drivers/vfio-pci");
	sysfs_tree_link(root, VF "iommu_group", "../../../kernel/iommu_groups/17");
	sysfs_tree_link(root, VF "physfn", "../0000:01:00.0");
	sysfs_tree_file(root, PF "net/ens3/operstate", "up\n");
	sysfs_tree_file(root, PF "net/ens3/carrier_up_count", "5\n");
	sysfs_tree_file(root, "/dev/vfio/vfio", "");
	sysfs_tree_file(root, "/dev/vfio/17", "");
}

FIXTURE_TEARDOWN(pci)
{
	config_root_remove(self->root);
}

#define CHECK() pci_check(self->root, &self->addr, &self->facts, &self->err)
#define EXPECT_SAYS(words)                                             \
	EXPECT_TRUE(strstr(self->err.text, words))                     \
	{                                                              \
		TH_LOG("\"%s\" is not in: %s", words, self->err.text); \
	}

TEST_F(pci, can_be_opened) {
	EXPECT_EQ(0, CHECK())
	{
		TH_LOG("%s", self->err.text);
	}
	EXPECT_TRUE(self->facts.vfio);
	EXPECT_EQ(0x8086, self->facts.vendor);
	EXPECT_EQ(0x10ca, self->facts.device);
	EXPECT_EQ(1, self->facts.numa_node);
}

TEST_F(pci, is_not_there) {
	pci_addr_parse(&self->addr, "0000:01:10.2");
	EXPECT_EQ(-ENODEV, CHECK());
	EXPECT_SAYS("0000:01:10.2");
	EXPECT_FALSE(pci_answers(self->root, &self->addr));
}

TEST_F(pci, does_not_answer) {
	EXPECT_TRUE(pci_answers(self->root, &self->addr));
	sysfs_tree_file(self->root, VF "config", "\xff\xff\xff\xff\xff\xff\xff\xff");
	EXPECT_FALSE(pci_answers(self->root, &self->addr));
	EXPECT_EQ(-EIO, CHECK());
	EXPECT_SAYS("all ones");
}

TEST_F(pci, has_no_driver) {
	sysfs_tree_remove(self->root, VF "driver");
	EXPECT_EQ(-ENODEV, CHECK());
	EXPECT_SAYS("no driver, not vfio-pci");
}

TEST_F(pci, has_the_kernels_driver) {
	sysfs_tree_remove(self->root, VF "driver");
	sysfs_tree_link(self->root, VF "driver", "../../../bus/pci/drivers/igbvf");
	EXPECT_EQ(-ENODEV, CHECK());
	EXPECT_SAYS("the driver igbvf");
}

TEST_F(pci, has_a_driver_for_root) {
	sysfs_tree_remove(self->root, VF "driver");
	sysfs_tree_link(self->root, VF "driver", "../../../bus/pci/drivers/igb_uio");
	EXPECT_EQ(-ENOTSUP, CHECK());
	EXPECT_SAYS("VIO4WD_UIO_DRIVER=vfio-pci");
}

TEST_F(pci, works_beside_the_kernels_driver) {
	sysfs_tree_file(self->root, VF "vendor", "0x15b3\n");
	sysfs_tree_remove(self->root, VF "driver");
	sysfs_tree_link(self->root, VF "driver", "../../../bus/pci/drivers/mlx5_core");
	EXPECT_EQ(0, CHECK());
	EXPECT_FALSE(self->facts.vfio);
}

TEST_F(pci, has_no_iommu) {
	sysfs_tree_remove(self->root, VF "iommu_group");
	EXPECT_EQ(-ENOTSUP, CHECK());
	EXPECT_SAYS("IOMMU");
	EXPECT_SAYS("intel_iommu=on");
}

TEST_F(pci, has_no_group_file) {
	sysfs_tree_remove(self->root, "/dev/vfio/17");
	EXPECT_EQ(-ENODEV, CHECK());
	EXPECT_SAYS("/dev/vfio/17");
}

TEST_F(pci, is_somebody_elses) {
	char path[256];

	if (geteuid() != 0)
		SKIP(return, "needs root");
	snprintf(path, sizeof(path), "%s/dev/vfio/vfio", self->root);
	chmod(path, 0666);
	snprintf(path, sizeof(path), "%s/dev/vfio/17", self->root);
	chmod(path, 0640);
	ASSERT_EQ(0, seteuid(NOBODY));
	EXPECT_EQ(-EACCES, CHECK());
	EXPECT_EQ(0, seteuid(0));
	EXPECT_SAYS("user 65534");
	EXPECT_SAYS("owner is 0:0, its mode 0640");
	EXPECT_SAYS("chown 65534");
}

TEST_F(pci, pf_has_a_link) {
	struct pf_state pf = pf_state_read(self->root, &self->addr);

	EXPECT_TRUE(pf.known);
	EXPECT_TRUE(pf.up);
	EXPECT_EQ(5, pf.ups);
	EXPECT_STREQ("ens3", pf.name);
}

TEST_F(pci, pf_is_down) {
	struct pf_state pf;

	sysfs_tree_file(self->root, PF "net/ens3/operstate", "down\n");
	pf = pf_state_read(self->root, &self->addr);
	EXPECT_TRUE(pf.known);
	EXPECT_FALSE(pf.up);
}

TEST_F(pci, pf_cannot_be_told) {
	EXPECT_TRUE(pf_state_read(self->root, &self->addr).known);
	sysfs_tree_file(self->root, PF "net/ens4/operstate", "up\n"); /* which of both? */
	EXPECT_FALSE(pf_state_read(self->root, &self->addr).known);
	sysfs_tree_remove(self->root, VF "physfn");
	EXPECT_FALSE(pf_state_read(self->root, &self->addr).known);
}

static void add_node(const char *root, const char *node, const char *pages)
{
	char path[128];

	snprintf(path, sizeof(path), NODE "%s/cpulist", node);
	sysfs_tree_file(root, path, "0-3\n");
	snprintf(path, sizeof(path), NODE "%s/hugepages/hugepages-2048kB/free_hugepages", node);
	sysfs_tree_file(root, path, pages);
}

/* DPDK has memory on node 0 here, which it may give away. */
TEST_F(pci, memory_on_its_node) {
	bool elsewhere = true;

	add_node(self->root, "0", "0\n");
	add_node(self->root, "1", "3\n");
	EXPECT_EQ(0, dma_check_node(self->root, "vf", 1, &elsewhere, &self->err));
	EXPECT_FALSE(elsewhere);
	EXPECT_EQ(0, dma_check_node(self->root, "vf", 0, &elsewhere, &self->err));
	EXPECT_FALSE(elsewhere);
	EXPECT_EQ(0, dma_check_node(self->root, "vf", -1, &elsewhere, &self->err));
	EXPECT_FALSE(elsewhere);
}

TEST_F(pci, memory_on_another_node) {
	bool elsewhere = false;

	add_node(self->root, "1", "1\n"); /* too little */
	add_node(self->root, "2", "3\n");
	EXPECT_EQ(0, dma_check_node(self->root, "vf", 1, &elsewhere, &self->err));
	EXPECT_TRUE(elsewhere);
}

TEST_F(pci, memory_nowhere) {
	bool elsewhere = true;

	add_node(self->root, "1", "0\n");
	add_node(self->root, "2", "0\n");
	sysfs_tree_file(self->root, NODE "2/hugepages/hugepages-1048576kB/free_hugepages", "0\n");
	EXPECT_EQ(-ENOMEM, dma_check_node(self->root, "vf", 1, &elsewhere, &self->err));
	EXPECT_SAYS("node 1: none, node 2: none");
	EXPECT_SAYS("vm.nr_hugepages");
}

TEST_F(pci, free_memory_in_words) {
	char text[200];

	add_node(self->root, "0", "12\n");
	add_node(self->root, "1", "0\n");
	sysfs_tree_file(self->root, NODE "1/hugepages/hugepages-1048576kB/free_hugepages", "2\n");
	EXPECT_STREQ("node 0: 12 of 2 MiB, node 1: 2 of 1024 MiB",
		     dma_free_text(self->root, text, sizeof(text)));
}

TEST_F(pci, no_hugepages_no_vfio) {
	EXPECT_EQ(-EOPNOTSUPP, dma_opening("vf", &self->err));
	EXPECT_SAYS("VIO4WD_HUGEPAGES=true");
}

int main(int argc, char **argv)
{
	return relay_test_main(argc, argv, 128, 2048);
}
