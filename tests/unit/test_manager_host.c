/* SPDX-License-Identifier: BSD-3-Clause */

/* What the manager reads of the host, from a made-up one with two NUMA nodes. */
#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/device.h"
#include "manager/nodes.h"

#include "config_root.h"

FIXTURE(host) {
	char root[CONFIG_ROOT_MAX];
};

static void make_link(const char *root, const char *path, const char *target)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/sys/devices/system/%s", root, path);
	if (symlink(target, full) < 0)
		abort();
}

FIXTURE_SETUP(host)
{
	char sys[256], full[300];

	config_root_make(self->root);
	for (int cpu = 0; cpu < 8; cpu++) {
		snprintf(full, sizeof(full), "cpu/cpu%d/node%d/empty", cpu, cpu / 4);
		config_root_write(self->root, full, "");
	}
	config_root_write(self->root, "pci/0000:05:08.1/numa_node", "1\n");
	config_root_write(self->root, "pci/0000:05:08.2/numa_node", "-1\n");
	config_root_write(self->root, "pci/0000:05:00.0/numa_node", "1\n");
	make_link(self->root, "pci/0000:05:08.1/driver", "../../drivers/vfio-pci");
	make_link(self->root, "pci/0000:05:08.2/driver", "../../drivers/ixgbevf");
	make_link(self->root, "pci/0000:05:00.0/virtfn2", "../0000:05:08.1");
	/* The places where they are looked for. */
	snprintf(sys, sizeof(sys), "%s/sys/bus", self->root);
	ASSERT_EQ(0, mkdir(sys, 0755));
	snprintf(sys, sizeof(sys), "%s/sys/bus/pci", self->root);
	ASSERT_EQ(0, mkdir(sys, 0755));
	snprintf(full, sizeof(full), "%s/devices", sys);
	ASSERT_EQ(0, symlink("../../devices/system/pci", full));
	snprintf(sys, sizeof(sys), "%s/sys/class", self->root);
	ASSERT_EQ(0, mkdir(sys, 0755));
	snprintf(full, sizeof(full), "%s/net", sys);
	ASSERT_EQ(0, mkdir(full, 0755));
	snprintf(full, sizeof(full), "%s/net/ens3", sys);
	ASSERT_EQ(0, symlink("../../devices/system/pci/0000:05:00.0/net/ens3", full));
}

FIXTURE_TEARDOWN(host)
{
	config_root_remove(self->root);
}

static void look(const char *root, const char *name, struct devname *dev,
		 struct device_facts *facts)
{
	struct err err;

	devname_parse(dev, name, &err);
	device_look(root, dev, facts);
}

TEST_F(host, nodes_of_the_workers) {
	struct cpuset mask, cpus;
	struct err err;
	int nodes[4];
	char text[32];

	ASSERT_EQ(0, cpuset_parse(&mask, "1-2,5,7", &err));
	EXPECT_EQ(2, nodes_find(self->root, &mask, nodes, 4));
	EXPECT_EQ(0, nodes[0]);
	EXPECT_EQ(1, nodes[1]);
	nodes_cpus(self->root, &mask, 1, &cpus);
	cpuset_format(&cpus, text, sizeof(text));
	EXPECT_STREQ("5,7", text);
	ASSERT_EQ(0, cpuset_parse(&mask, "6", &err));
	EXPECT_EQ(1, nodes_find(self->root, &mask, nodes, 4));
	EXPECT_EQ(1, nodes[0]);
	/* No room: those that fit. */
	ASSERT_EQ(0, cpuset_parse(&mask, "0-7", &err));
	EXPECT_EQ(1, nodes_find(self->root, &mask, nodes, 1));
}

TEST_F(host, node_of_pinned_cpus) {
	static const struct {
		int cpus[2], node;
	} cases[] = {
		{ { 1, 2 }, 0 },  { { 5, 7 }, 1 },  { { -1, 5 }, 1 },
		{ { 5, -1 }, 1 }, { { 1, 5 }, -1 }, { { -1, -1 }, -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		EXPECT_EQ(cases[i].node, nodes_of_pins(self->root, cases[i].cpus, 2));
}

TEST_F(host, pci_function) {
	struct device_facts facts;
	struct devname dev;
	struct err err = { 0 };

	look(self->root, "05:08.1", &dev, &facts);
	EXPECT_TRUE(facts.present);
	EXPECT_EQ(1, facts.numa_node);
	EXPECT_TRUE(device_handed_out(self->root, &facts.pci));
	look(self->root, "0000:05:08.2", &dev, &facts);
	EXPECT_TRUE(facts.present);
	EXPECT_EQ(-1, facts.numa_node);
	EXPECT_FALSE(device_handed_out(self->root, &facts.pci));
	look(self->root, "0000:05:08.3", &dev, &facts);
	EXPECT_FALSE(facts.present);
	EXPECT_EQ(-ENODEV, device_missing(&dev, &err));
}

TEST_F(host, vf_of_a_pf) {
	struct device_facts facts;
	struct devname dev;
	char text[PCI_ADDR_STRLEN];

	look(self->root, "ens3.vf2", &dev, &facts);
	EXPECT_TRUE(facts.present);
	EXPECT_EQ(1, facts.numa_node);
	EXPECT_STREQ("0000:05:08.1", pci_addr_format(&facts.pci, text));
	EXPECT_TRUE(facts.is_pci);
	look(self->root, "ens3.vf3", &dev, &facts);
	EXPECT_FALSE(facts.present);
}

TEST_F(host, others) {
	struct device_facts facts;
	struct devname dev;

	look(self->root, "vdev:net_null0", &dev, &facts);
	EXPECT_TRUE(facts.present);
	look(self->root, "netdev:lo", &dev, &facts);
	EXPECT_TRUE(facts.present);
	EXPECT_LT(0, facts.ifindex);
	look(self->root, "netdev:vio4wd-no-such", &dev, &facts);
	EXPECT_FALSE(facts.present);
	EXPECT_EQ(0, facts.ifindex);
}

TEST_HARNESS_MAIN
