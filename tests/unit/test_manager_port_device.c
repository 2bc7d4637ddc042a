/* SPDX-License-Identifier: BSD-3-Clause */

/* The device behind an interface, on a recorded host with ConnectX VFs in switchdev mode. */
#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/port_device.h"

#include "config_case.h"
#include "sysfs_tree.h"

#define PF_BELOW "/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/net/"
#define PF "/sys" PF_BELOW
#define VIRTUAL "/sys/devices/virtual/net/"

FIXTURE(host) {
	struct config_case c;
	const char *root;
};

static void add_virtual(const char *root, const char *name, const char *port, const char *switch_id)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	snprintf(target, sizeof(target), "../../devices/virtual/net/%s", name);
	sysfs_tree_link(root, path, target);
	snprintf(path, sizeof(path), VIRTUAL "%s/phys_port_name", name);
	sysfs_tree_file(root, path, port);
	if (!switch_id)
		return;
	snprintf(path, sizeof(path), VIRTUAL "%s/phys_switch_id", name);
	sysfs_tree_file(root, path, switch_id);
}

FIXTURE_SETUP(host)
{
	config_case_setup(&self->c);
	self->root = self->c.root;
	sysfs_tree_unpack(self->root, "connectx");
	sysfs_tree_file(self->root, PF "enp59s0f0np0/phys_port_name", "p0\n");
	sysfs_tree_file(self->root, PF "enp59s0f0np0/phys_switch_id", "98039b\n");
	sysfs_tree_file(self->root, PF "rep1/phys_port_name", "pf0vf1\n");
	sysfs_tree_link(self->root, "/sys/class/net/rep1", "../.." PF_BELOW "rep1");
	add_virtual(self->root, "far", "c1pf0vf0\n", NULL);
	add_virtual(self->root, "rep2", "pf0vf2\n", "98039b\n");
	add_virtual(self->root, "rep9", "pf0vf9\n", "98039b\n");
	add_virtual(self->root, "lost", "pf0vf2\n", "112233\n");
	add_virtual(self->root, "odd", "pf0vf2x\n", "98039b\n");
	add_virtual(self->root, "sub", "pf0sf1\n", "98039b\n");
	add_virtual(self->root, "veth0", "", NULL);
	ASSERT_EQ(0, config_case_read(&self->c, "VIO4WD_ALIASES=(vm1=vdev:net_null0 "
						"enp94s0v0=enp59s0f0np0.vf1)"));
}

FIXTURE_TEARDOWN(host)
{
	config_case_teardown(&self->c);
}

TEST_F(host, what_is_behind_an_interface) {
	static const struct {
		const char *name;
		bool internal;
		const char *text;
		int vf;
	} rows[] = {
		{ "enp59s0f0v0", false, "0000:3b:00.2", 0 }, /* the VF's own */
		{ "rep1", false, "0000:3b:00.3", 1 },	     /* a representor below the PF */
		{ "rep2", false, "0000:3b:00.4", 2 }, /* one that only the switch leads from */
		{ "enp94s0v0d1", false, "0000:5e:00.1", 0 },
		{ "vm1", false, "vm1", -1 }, /* aliases, which go before */
		{ "enp94s0v0", false, "enp94s0v0", 1 },
		{ "br0", true, "netdev:br0", -1 }, /* the switch's own port */
		{ "vm1", true, "vm1", -1 },
	};
	struct port_device device;
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EXPECT_EQ(0, port_device_find(self->root, self->c.cfg, rows[i].name,
					      rows[i].internal, &device, &err))
		TH_LOG("%s: %s", rows[i].name, err.text);
		EXPECT_STREQ(rows[i].text, device.text);
		EXPECT_EQ(rows[i].vf, device.vf) TH_LOG("%s", rows[i].name);
	}
}

TEST_F(host, what_is_not) {
	static const struct {
		const char *name;
		int code;
		const char *why;
	} rows[] = {
		{ "nothing", -ENODEV, "there is no interface nothing" },
		{ "enp59s0f0np0", -ENODEV, "neither a VF's interface nor" }, /* a PF */
		{ "veth0", -ENODEV, "neither a VF's interface nor" },
		{ "odd", -ENODEV, "neither a VF's interface nor" },
		{ "sub", -ENODEV, "neither a VF's interface nor" },
		{ "far", -ENODEV, "another host (controller 1)" },
		{ "rep9", -ENODEV, "VF 9 of 0000:3b:00.0, which has no such VF" },
		{ "lost", -ENODEV, "which PF that is cannot be told" },
		{ "", -EINVAL, "no name of an interface" },
		{ "..", -EINVAL, "no name of an interface" },
		{ "a/b", -EINVAL, "no name of an interface" },
		{ "../net/veth0", -EINVAL, "no name of an interface" },
		{ "a b", -EINVAL, "no name of an interface" },
		{ "vlan:1", -EINVAL, "no name of an interface" },
		{ "sixteen-letters0", -EINVAL, "no name of an interface" },
	};
	struct port_device device;
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EXPECT_EQ(rows[i].code, port_device_find(self->root, self->c.cfg, rows[i].name,
							 false, &device, &err))
		TH_LOG("%s", rows[i].name);
		EXPECT_NE(NULL, strstr(err.text, rows[i].why))
		TH_LOG("%s: %s", rows[i].name, err.text);
	}
	EXPECT_EQ(-EINVAL, port_device_find(self->root, self->c.cfg, "a/b", true, &device, &err));
}

/* Two PFs on one switch. */
TEST_F(host, the_pf_of_a_representor) {
	struct port_device device;
	struct err err;

	sysfs_tree_file(self->root,
			"/sys/devices/pci0000:5d/0000:5d:00.0/0000:5e:00.0/net/enp94s0/"
			"phys_switch_id",
			"98039b\n");
	/* Both are function 0, and neither is function 1. */
	add_virtual(self->root, "pf1", "pf1vf0\n", "98039b\n");
	EXPECT_EQ(-ENODEV, port_device_find(self->root, self->c.cfg, "rep2", false, &device, &err));
	EXPECT_NE(NULL, strstr(err.text, "cannot be told"));
	EXPECT_EQ(-ENODEV, port_device_find(self->root, self->c.cfg, "pf1", false, &device, &err));
	EXPECT_NE(NULL, strstr(err.text, "cannot be told"));
	/* What the PCI function above tells is told. */
	EXPECT_EQ(0, port_device_find(self->root, self->c.cfg, "rep1", false, &device, &err));
	EXPECT_STREQ("0000:3b:00.3", device.text);
}

TEST_HARNESS_MAIN
