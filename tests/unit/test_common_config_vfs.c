/* SPDX-License-Identifier: BSD-3-Clause */

/* What a configuration says of one VF or PF: its options, and whether it is used. */
#include <kselftest_harness.h>

#include "config_case.h"

FIXTURE(vfs) {
	struct config_case c;
};

FIXTURE_SETUP(vfs)
{
	config_case_setup(&self->c);
}

FIXTURE_TEARDOWN(vfs)
{
	config_case_teardown(&self->c);
}

/* VF 2 of ens3, which is 0000:01:00.0. */
#define NAME "ens3.vf2"
#define ADDRESS "0000:01:10.4"
#define PF_NETDEV "ens3"
#define PF_ADDRESS "0000:01:00.0"
#define INDEX 2

/* Options as "mac vlan qos trust spoofchk", with - for what is not set, and queues when they are.
 */
static const char *options_text(const struct config_vf_options *o, char buf[64])
{
	int len = 0;

	if (o->has_mac)
		len = sprintf(buf, "%02x", o->mac[5]);
	else
		len = sprintf(buf, "-");
	for (size_t i = 0; i < 4; i++) {
		const int values[] = { o->vlan, o->qos, o->trust, o->spoofchk };

		len += values[i] < 0 ? sprintf(buf + len, " -")
				     : sprintf(buf + len, " %d", values[i]);
	}
	if (o->queues)
		sprintf(buf + len, " q%u", o->queues);
	return buf;
}

#define MAC(n) "mac=52:54:00:00:00:0" #n

static const struct {
	const char *text; /* of VIO4WD_VF_OPTIONS */
	const char *options;
} merged[] = {
	{ "", "- - - - -" },
	{ "ens3.vf1:vlan=5 ens3.vf22:vlan=6 ens33:vlan=7 01:10.5:vlan=8", "- - - - -" },
	/* by each of its names */
	{ "ens3.vf2:" MAC(1) ",vlan=5,qos=3,trust=on,spoofchk=off", "01 5 3 1 0" },
	{ "01:10.4:" MAC(1) ",vlan=0", "01 0 - - -" },
	{ "01:00.0.vf2:vlan=5", "- 5 - - -" },
	{ "ens3:vlan=5", "- 5 - - -" },
	{ "01:00.0:vlan=5", "- 5 - - -" },
	/* later ones win, those of the VF over those of the PF */
	{ "ens3:vlan=5 01:00.0:vlan=6", "- 6 - - -" },
	{ "01:10.4:vlan=5 ens3.vf2:vlan=6", "- 6 - - -" },
	{ "ens3.vf2:vlan=5 ens3:vlan=6,trust=on", "- 5 - 1 -" },
	{ "ens3.vf2:trust=off ens3:trust=on,spoofchk=on 01:10.4:spoofchk=off", "- - - 0 0" },
	{ "ens3.vf2:" MAC(1) " ens3.vf2:" MAC(2), "02 - - - -" },
	/* a VLAN comes with its own priority */
	{ "ens3:vlan=5,qos=3 ens3.vf2:vlan=6", "- 6 - - -" },
	{ "ens3:vlan=5,qos=3 ens3.vf2:trust=on", "- 5 3 1 -" },
	{ "ens3:vlan=5,qos=3 ens3.vf2:vlan=0", "- 0 - - -" },
	/* any number that is there is asked for, unless one is given */
	{ "ens3:queues=4,trust=on", "- - - 1 - q4" },
	{ "ens3:queues=4 01:10.4:queues=2", "- - - - - q2" },
	{ "ens3.vf1:queues=4", "- - - - -" },
	/* an address that turns out to be the PF's: no MAC for all of its VFs */
	{ "01:00.0:" MAC(1) ",vlan=5", "- 5 - - -" },
};

TEST_F(vfs, options) {
	struct config_case *c = &self->c;

	for (size_t i = 0; i < sizeof(merged) / sizeof(merged[0]); i++) {
		struct config_vf_options options;
		char text[512], buf[64];

		snprintf(text, sizeof(text), "VIO4WD_VF_OPTIONS=(%s)", merged[i].text);
		ASSERT_EQ(0, config_case_read(c, text))
		{
			TH_LOG("%s: %s", text, config_case_first(c));
		}
		config_vf_options_of(c->cfg, NAME, ADDRESS, PF_NETDEV, PF_ADDRESS, INDEX, &options);
		EXPECT_STREQ(merged[i].options, options_text(&options, buf))
		{
			TH_LOG("%s", text);
		}
		EXPECT_EQ(NULL, options.device);
	}
}

TEST_F(vfs, options_of_a_pf_without_interface) {
	struct config_case *c = &self->c;
	struct config_vf_options options;
	char buf[64];

	ASSERT_EQ(0, config_case_read(c, "VIO4WD_VF_OPTIONS=(01:00.0:trust=on 01:10.4:vlan=3)"));
	config_vf_options_of(c->cfg, PF_ADDRESS ".vf2", ADDRESS, "", PF_ADDRESS, INDEX, &options);
	EXPECT_STREQ("- 3 - 1 -", options_text(&options, buf));
	config_vf_options_of(c->cfg, NULL, NULL, NULL, NULL, 0, &options);
	EXPECT_STREQ("- - - - -", options_text(&options, buf));
}

static const struct {
	const char *text;
	enum config_use use;
	const char *why;
} uses_vf[] = {
	{ "", CONFIG_UNUSED, "no variable names it or its PF" },
	{ "VIRTIOFWD_STATIC_VFS=01:10.4=1", CONFIG_USED, "VIRTIOFWD_STATIC_VFS has 01:10.4=1" },
	{ "VIRTIOFWD_STATIC_VFS=(ens3.vf1=0 ens3.vf2=1)", CONFIG_USED, "has ens3.vf2=1" },
	{ "VIRTIOFWD_STATIC_VFS=pci_0000_01_00_0.vf2=1", CONFIG_USED, "VIRTIOFWD_STATIC_VFS" },
	{ "VIRTIOFWD_STATIC_VFS=(ens3.vf1=1 01:10.5=2 netdev:ens3=3 01:00.0=4)", CONFIG_UNUSED,
	  "no variable" },
	{ "VIRTIOFWD_STATIC_VFS=a=1\nVIO4WD_ALIASES=a=ens3.vf2", CONFIG_USED,
	  "VIRTIOFWD_STATIC_VFS has a=1" },
	{ "VIO4WD_ALIASES=a=01:10.4", CONFIG_USED, "VIO4WD_ALIASES has a=0000:01:10.4" },
	{ "VIO4WD_ALIASES=a=netdev:ens3", CONFIG_UNUSED, "no variable" },
	{ "VIRTIOFWD_STATIC_VFS=01:10.4=1\nVIO4WD_ALIASES=01:10.4=vdev:net_null0", CONFIG_UNUSED,
	  "no variable" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=01:10.4", CONFIG_USED, "VIRTIOFWD_BIND_VFIO_PCI has 0000:01" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=ens3", CONFIG_USED, "VIRTIOFWD_BIND_VFIO_PCI has ens3" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=ens3:3", CONFIG_USED, "VIRTIOFWD_BIND_VFIO_PCI has ens3" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=ens3:2,01:00.0,ens33", CONFIG_UNUSED, "no variable" },
	{ "VIO4WD_AUTO_VFS=ens3:8", CONFIG_USED, "VIO4WD_AUTO_VFS has ens3:8" },
	{ "VIO4WD_SPARE_VFS=(ens4.vf0 ens3.vf2)", CONFIG_USED, "VIO4WD_SPARE_VFS has ens3.vf2" },
	{ "VIO4WD_SPARE_VFS=01:10.4=ens4", CONFIG_USED, "VIO4WD_SPARE_VFS has 0000:01:10.4" },
	{ "VIO4WD_AUTO_VFS=01:00.0:61", CONFIG_USED, "VIO4WD_AUTO_VFS has 0000:01:00.0:61" },
	{ "VIO4WD_AUTO_VFS=(ens3:62 ens4:0)", CONFIG_UNUSED, "no variable" }, /* would be id 64 */
	{ "VIO4WD_AUTO_VFS=(ens4:0 ens3:3 ens5:6)", CONFIG_USED, "VIO4WD_AUTO_VFS has ens3:3" },
	{ "VIO4WD_AUTO_VFS=(ens4:0 ens3:3 ens5:5)", CONFIG_UNUSED, "no variable" }, /* ens5's */
	{ "VIO4WD_NUM_VFS=ens3=7", CONFIG_USED, "VIO4WD_NUM_VFS has ens3=7" },
	{ "VIO4WD_NUM_VFS=01:00.0=7", CONFIG_USED, "VIO4WD_NUM_VFS has 0000:01:00.0=7" },
	{ "VIO4WD_NUM_VFS=ens4=7\nVIO4WD_VF_OPTIONS=ens3.vf2:vlan=3", CONFIG_UNUSED,
	  "no variable" },
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=ens3.vf2", CONFIG_EXCLUDED,
	  "VIO4WD_EXCLUDE has ens3.vf2" },
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=01:10.4", CONFIG_EXCLUDED, "VIO4WD_EXCLUDE" },
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=01:00.0", CONFIG_EXCLUDED, "VIO4WD_EXCLUDE" },
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=netdev:ens3", CONFIG_EXCLUDED, "VIO4WD_EXCLUDE" },
	{ "VIO4WD_AUTO_VFS=ens3:0\nVIO4WD_EXCLUDE=(ens3.vf1 netdev:ens4)", CONFIG_USED, "AUTO" },
};

TEST_F(vfs, uses_of_a_vf) {
	struct config_case *c = &self->c;

	for (size_t i = 0; i < sizeof(uses_vf) / sizeof(uses_vf[0]); i++) {
		char why[CONFIG_WHY_MAX];

		ASSERT_EQ(0, config_case_read(c, uses_vf[i].text))
		{
			TH_LOG("%s: %s", uses_vf[i].text, config_case_first(c));
		}
		EXPECT_EQ(uses_vf[i].use,
			  config_use_of(c->cfg, NAME, ADDRESS, PF_NETDEV, PF_ADDRESS, INDEX, why))
		{
			TH_LOG("%s: %s", uses_vf[i].text, why);
		}
		EXPECT_NE(NULL, strstr(why, uses_vf[i].why))
		{
			TH_LOG("%s: %s", uses_vf[i].text, why);
		}
		EXPECT_EQ(uses_vf[i].use == CONFIG_USED,
			  config_uses(c->cfg, NAME, ADDRESS, PF_NETDEV, PF_ADDRESS, INDEX));
	}
}

static const struct {
	const char *text;
	enum config_use use;
} uses_pf[] = {
	{ "", CONFIG_UNUSED },
	{ "VIRTIOFWD_STATIC_VFS=netdev:ens3=1", CONFIG_USED },
	{ "VIRTIOFWD_STATIC_VFS=ens3.vf60=1", CONFIG_USED },
	{ "VIRTIOFWD_STATIC_VFS=01:00.0.vf1=1", CONFIG_USED },
	{ "VIRTIOFWD_STATIC_VFS=(ens4.vf1=1 netdev:ens4=2)", CONFIG_UNUSED },
	{ "VIO4WD_ALIASES=up=netdev:ens3", CONFIG_USED },
	{ "VIRTIOFWD_BIND_VFIO_PCI=ens3:1", CONFIG_USED },
	{ "VIRTIOFWD_BIND_VFIO_PCI=01:00.0", CONFIG_USED },
	{ "VIRTIOFWD_BIND_VFIO_PCI=01:10.4,ens4", CONFIG_UNUSED },
	{ "VIO4WD_AUTO_VFS=01:00.0:63", CONFIG_USED },
	{ "VIO4WD_NUM_VFS=ens3=1", CONFIG_USED },
	{ "VIO4WD_NUM_VFS=ens3=1\nVIO4WD_EXCLUDE=netdev:ens3", CONFIG_EXCLUDED },
	{ "VIO4WD_NUM_VFS=ens3=1\nVIO4WD_EXCLUDE=ens3.vf0", CONFIG_USED },
};

TEST_F(vfs, uses_of_a_pf) {
	struct config_case *c = &self->c;

	for (size_t i = 0; i < sizeof(uses_pf) / sizeof(uses_pf[0]); i++) {
		char why[CONFIG_WHY_MAX];

		ASSERT_EQ(0, config_case_read(c, uses_pf[i].text));
		EXPECT_EQ(uses_pf[i].use, config_use_of_device(c->cfg, PF_NETDEV, PF_ADDRESS, why))
		{
			TH_LOG("%s: %s", uses_pf[i].text, why);
		}
	}
	ASSERT_EQ(0, config_case_read(c, "VIRTIOFWD_STATIC_VFS=netdev:veth0=1"));
	EXPECT_EQ(CONFIG_USED, config_use_of_device(c->cfg, "veth0", NULL, NULL));
	EXPECT_EQ(CONFIG_UNUSED, config_use_of_device(c->cfg, "veth1", NULL, NULL));
}

TEST_HARNESS_MAIN
