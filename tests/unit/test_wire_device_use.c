/* SPDX-License-Identifier: BSD-3-Clause */

/* What `vio4wdctl config uses` answers, on a host with a PF, its VFs and other interfaces. */
#include <errno.h>
#include <stdarg.h>

#include <kselftest_harness.h>

#include "config_case.h"
#include "ctl/device_use.h"

FIXTURE(use) {
	struct config_case c;
};

#define DEVICES "../../bus/pci/devices/"

/* A symbolic link below the root, whose folder a file has made before. */
static void make_link(const char *root, const char *target, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void make_link(const char *root, const char *target, const char *fmt, ...)
{
	char path[512];
	va_list ap;
	int len = snprintf(path, sizeof(path), "%s/sys/", root);

	va_start(ap, fmt);
	vsnprintf(path + len, sizeof(path) - len, fmt, ap);
	va_end(ap);
	if (symlink(target, path) < 0)
		abort();
}

static void make_function(const char *root, const char *addr, const char *class, const char *netdev)
{
	const struct {
		const char *name, *value;
	} files[] = { { "class", class }, { "vendor", "0x8086" }, { "device", "0x10c9" } };
	char path[256], target[128];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), DEVICES "%s/%s", addr, files[i].name);
		config_root_write(root, path, files[i].value);
	}
	if (!netdev)
		return;
	snprintf(path, sizeof(path), DEVICES "%s/net/%s/dev_port", addr, netdev);
	config_root_write(root, path, "0\n");
	snprintf(target, sizeof(target), "../../bus/pci/devices/%s/net/%s", addr, netdev);
	make_link(root, target, "class/net/%s", netdev);
}

/* PF 0000:01:00.0, ens3, with VF 0 (0000:01:10.0, eth3) and VF 1 (0000:01:10.2, no interface); a
 * plain card 0000:00:03.0, eth0; a disk controller 0000:00:1f.0; and veth0. */
FIXTURE_SETUP(use)
{
	static const char *const vfs[] = { "0000:01:10.0", "0000:01:10.2" };
	const char *root = self->c.root;

	config_case_setup(&self->c);
	config_root_write(root, "../../class/net/veth0/dev_port", "0\n");
	make_function(root, "0000:01:00.0", "0x020000", "ens3");
	config_root_write(root, DEVICES "0000:01:00.0/sriov_totalvfs", "7\n");
	for (unsigned int i = 0; i < 2; i++) {
		char target[64];

		make_function(root, vfs[i], "0x020000", i ? NULL : "eth3");
		make_link(root, "../0000:01:00.0", "bus/pci/devices/%s/physfn", vfs[i]);
		snprintf(target, sizeof(target), "../%s", vfs[i]);
		make_link(root, target, "bus/pci/devices/0000:01:00.0/virtfn%u", i);
	}
	make_function(root, "0000:00:03.0", "0x020000", "eth0");
	make_function(root, "0000:00:1f.0", "0x010601", NULL);
}

FIXTURE_TEARDOWN(use)
{
	config_case_teardown(&self->c);
}

static const struct {
	const char *config, *device;
	enum config_use use;
	const char *name, *why;
} cases[] = {
	{ "VIO4WD_AUTO_VFS=ens3:0", "0000:01:10.2", CONFIG_USED, "ens3.vf1",
	  "VIO4WD_AUTO_VFS has ens3:0" },
	{ "VIO4WD_AUTO_VFS=ens3:0", "01:00.0", CONFIG_USED, "ens3", "VIO4WD_AUTO_VFS has ens3:0" },
	{ "VIO4WD_AUTO_VFS=01:00.0:0", "ens3", CONFIG_USED, "ens3", "VIO4WD_AUTO_VFS" },
	{ "VIO4WD_AUTO_VFS=01:00.0:0", "eth3", CONFIG_USED, "ens3.vf0", "VIO4WD_AUTO_VFS" },
	{ "VIO4WD_AUTO_VFS=ens4:0", "0000:01:10.2", CONFIG_UNUSED, "ens3.vf1",
	  "no variable names it or its PF" },
	{ "VIO4WD_AUTO_VFS=ens4:0", "0000:01:00.0", CONFIG_UNUSED, "ens3", "no variable names it" },
	{ "VIRTIOFWD_STATIC_VFS=ens3.vf1=3", "pci_0000_01_10_2", CONFIG_USED, "ens3.vf1",
	  "VIRTIOFWD_STATIC_VFS has ens3.vf1=3" },
	{ "VIRTIOFWD_STATIC_VFS=ens3.vf1=3", "0000:01:10.0", CONFIG_UNUSED, "ens3.vf0", "no var" },
	{ "VIRTIOFWD_STATIC_VFS=01:10.2=3", "ens3.vf1", CONFIG_USED, "ens3.vf1",
	  "VIRTIOFWD_STATIC_VFS has 01:10.2=3" },
	{ "VIRTIOFWD_STATIC_VFS=01:10.2=3", "0000:01:00.0.vf1", CONFIG_USED, "ens3.vf1", "STATIC" },
	/* the PF by one of its VFs */
	{ "VIRTIOFWD_STATIC_VFS=01:10.2=3", "ens3", CONFIG_USED, "ens3",
	  "VIRTIOFWD_STATIC_VFS has 01:10.2=3" },
	/* interfaces */
	{ "VIRTIOFWD_STATIC_VFS=netdev:eth3=3", "0000:01:10.0", CONFIG_USED, "ens3.vf0", "STATIC" },
	{ "VIRTIOFWD_STATIC_VFS=netdev:eth0=3", "eth0", CONFIG_USED, "eth0", "STATIC" },
	{ "VIRTIOFWD_STATIC_VFS=00:03.0=3", "eth0", CONFIG_USED, "eth0", "STATIC" },
	{ "VIRTIOFWD_STATIC_VFS=netdev:veth0=3", "veth0", CONFIG_USED, "veth0", "STATIC" },
	{ "VIRTIOFWD_STATIC_VFS=netdev:veth1=3", "netdev:veth0", CONFIG_UNUSED, "veth0", "no var" },
	{ "", "0000:00:1f.0", CONFIG_UNUSED, "", "no variable names it" },
	/* aliases */
	{ "VIO4WD_ALIASES=up=ens3.vf0", "up", CONFIG_USED, "ens3.vf0", "VIO4WD_ALIASES has up" },
	{ "VIO4WD_ALIASES=up=ens3.vf0", "0000:01:10.0", CONFIG_USED, "ens3.vf0", "VIO4WD_ALIASES" },
	{ "VIO4WD_ALIASES=0000:01:10.0=vdev:net_null0\nVIRTIOFWD_STATIC_VFS=01:10.0=1",
	  "0000:01:10.0", CONFIG_UNUSED, "ens3.vf0", "no variable" },
	/* never */
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=01:10.0", "0000:01:10.0", CONFIG_EXCLUDED,
	  "ens3.vf0", "VIO4WD_EXCLUDE has 0000:01:10.0" },
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=netdev:eth3", "0000:01:10.0", CONFIG_EXCLUDED,
	  "ens3.vf0", "VIO4WD_EXCLUDE has netdev:eth3" },
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=netdev:ens3", "eth3", CONFIG_EXCLUDED, "ens3.vf0",
	  "VIO4WD_EXCLUDE has netdev:ens3" },
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=01:10.0", "0000:01:10.2", CONFIG_USED, "ens3.vf1",
	  "VIO4WD_AUTO_VFS" },
};

TEST_F(use, answers) {
	struct config_case *c = &self->c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct device_use use;
		struct err err = { 0 };

		ASSERT_EQ(0, config_case_read(c, cases[i].config));
		EXPECT_EQ(0, device_use_find(c->cfg, c->root, cases[i].device, &use, &err))
		{
			TH_LOG("%s, %s: %s", cases[i].config, cases[i].device, err.text);
		}
		EXPECT_EQ(cases[i].use, use.use)
		{
			TH_LOG("%s, %s: %s", cases[i].config, cases[i].device, use.why);
		}
		EXPECT_STREQ(cases[i].name, use.name);
		EXPECT_NE(NULL, strstr(use.why, cases[i].why))
		{
			TH_LOG("%s, %s: %s", cases[i].config, cases[i].device, use.why);
		}
	}
}

TEST_F(use, devices_that_are_not_there) {
	static const struct {
		const char *device;
		int rc;
		const char *what;
	} absent[] = {
		{ "0000:01:10.4", -ENODEV, "0000:01:10.4: there is no such PCI function" },
		{ "ens4", -EINVAL, "'ens4' is no device of this host" },
		{ "netdev:ens4", -ENODEV, "there is no network interface ens4" },
		{ "ens3.vf2", -ENODEV, "the PF has no VF 2 now" },
		{ "ens4.vf0", -ENODEV, "ens4" },
		{ "vdev:net_null0", -EINVAL, "made by DPDK" },
		{ "", -EINVAL, "no device of this host" },
		{ "../../etc", -EINVAL, "no device of this host" },
	};
	struct config_case *c = &self->c;

	ASSERT_EQ(0, config_case_read(c, "VIO4WD_AUTO_VFS=ens3:0"));
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		struct device_use use;
		struct err err = { 0 };

		EXPECT_EQ(absent[i].rc,
			  device_use_find(c->cfg, c->root, absent[i].device, &use, &err))
		{
			TH_LOG("%s: %s", absent[i].device, err.text);
		}
		EXPECT_NE(NULL, strstr(err.text, absent[i].what))
		{
			TH_LOG("%s: %s", absent[i].device, err.text);
		}
	}
}

TEST_HARNESS_MAIN
