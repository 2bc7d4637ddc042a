/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "common/devname_bond.h"

TEST(pci_addresses)
{
	static const struct {
		const char *text, *canonical; /* NULL: not an address */
	} cases[] = {
		{ "0000:05:08.1", "0000:05:08.1" },
		{ "05:08.1", "0000:05:08.1" },
		{ "5:8.1", "0000:05:08.1" },
		{ "pci_0000_05_08_1", "0000:05:08.1" },
		{ "0000:AF:1F.7", "0000:af:1f.7" },
		{ "10000:e1:00.0", "10000:e1:00.0" },
		{ "ffffffff:ff:1f.7", "ffffffff:ff:1f.7" },
		{ "", NULL },
		{ "0000:05:08", NULL },
		{ "0000:05:08.", NULL },
		{ "0000:05:08.8", NULL },
		{ "0000:05:20.0", NULL },
		{ "0000:105:08.0", NULL },
		{ "100000000:05:08.0", NULL },
		{ "0000:05:08.1 ", NULL },
		{ " 0000:05:08.1", NULL },
		{ "0000:05:08.11", NULL },
		{ "0000:05:08:1", NULL },
		{ "0000.05.08.1", NULL },
		{ ":05:08.1", NULL },
		{ "pci_0000_05_08.1", NULL },
		{ "pci_05_08_1", NULL },
		{ "pci_", NULL },
		{ "-1:05:08.1", NULL },
		{ "0x0:05:08.1", NULL },
	};
	char text[PCI_ADDR_STRLEN];
	struct pci_addr addr;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = pci_addr_parse(&addr, cases[i].text);

		EXPECT_EQ(cases[i].canonical ? 0 : -EINVAL, rc)
		{
			TH_LOG("'%s'", cases[i].text);
		}
		if (rc == 0)
			EXPECT_STREQ(cases[i].canonical, pci_addr_format(&addr, text));
	}
}

TEST(pci_equal)
{
	struct pci_addr a, b;

	ASSERT_EQ(0, pci_addr_parse(&a, "05:08.1"));
	ASSERT_EQ(0, pci_addr_parse(&b, "pci_0000_05_08_1"));
	EXPECT_TRUE(pci_addr_equal(&a, &b));
	b.domain = 1;
	EXPECT_FALSE(pci_addr_equal(&a, &b));
}

TEST(good_names)
{
	static const struct {
		const char *text, *canonical;
		enum devname_kind kind;
	} cases[] = {
		{ "05:08.1", "0000:05:08.1", DEVNAME_PCI },
		{ "pci_0000_05_08_1", "0000:05:08.1", DEVNAME_PCI },
		{ "ens3.vf2", "ens3.vf2", DEVNAME_PF_VF },
		{ "ens3.100.vf0", "ens3.100.vf0", DEVNAME_PF_VF },
		{ "05:00.0.vf2", "0000:05:00.0.vf2", DEVNAME_PF_VF },
		{ "pci_0000_05_00_0.vf12", "0000:05:00.0.vf12", DEVNAME_PF_VF },
		{ "netdev:veth0", "netdev:veth0", DEVNAME_NETDEV },
		{ "netdev:123456789012345", "netdev:123456789012345", DEVNAME_NETDEV },
		{ "vdev:net_null0", "vdev:net_null0", DEVNAME_VDEV },
		{ "vdev:net_null0,copy=1", "vdev:net_null0,copy=1", DEVNAME_VDEV },
	};
	struct devname dev;
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ASSERT_EQ(0, devname_parse(&dev, cases[i].text, &err))
		{
			TH_LOG("%s", err.text);
		}
		EXPECT_EQ(cases[i].kind, dev.kind);
		EXPECT_STREQ(cases[i].canonical, dev.text);
	}
}

TEST(parts)
{
	struct devname dev;

	ASSERT_EQ(0, devname_parse(&dev, "ens3.vf65535", NULL));
	EXPECT_STREQ("ens3", dev.netdev);
	EXPECT_EQ(65535, dev.vf);
	EXPECT_FALSE(dev.pf_is_pci);
	ASSERT_EQ(0, devname_parse(&dev, "0000:05:00.0.vf3", NULL));
	EXPECT_TRUE(dev.pf_is_pci);
	EXPECT_EQ(5, dev.pci.bus);
	ASSERT_EQ(0, devname_parse(&dev, "vdev:net_pcap0,rx_pcap=/a,b=c", NULL));
	EXPECT_STREQ("net_pcap0", dev.driver_name);
	EXPECT_STREQ("rx_pcap=/a,b=c", dev.driver_args);
	EXPECT_STREQ("vdev", devname_kind_name(dev.kind));
}

TEST(bad_names)
{
	static const char *const texts[] = {
		"",
		"eth0",
		"0000:05:08.9",
		"ens3.vf",
		"ens3.vfx",
		"ens3.vf-1",
		"ens3.vf65536",
		"ens3.vf99999999999999999999",
		".vf1",
		"a/b.vf1",
		"sixteencharacter.vf1",
		"netdev:",
		"netdev:.",
		"netdev:..",
		"netdev:a/b",
		"netdev:a:b",
		"netdev:a b",
		"netdev:a\tb",
		"netdev:sixteencharacter",
		"vdev:",
		"vdev:,copy=1",
		"vdev:net null0",
		"vdev:net_null0,a\nb",
		"vdev:../x",
		"vdev:a1234567890123456789012345678901234567890123456789012345678901234",
		"VDEV:net_null0",
	};
	struct devname dev;
	struct err err;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		err = (struct err){ 0 };
		EXPECT_EQ(-EINVAL, devname_parse(&dev, texts[i], &err))
		{
			TH_LOG("'%s'", texts[i]);
		}
		EXPECT_NE('\0', err.text[0]);
		EXPECT_EQ(NULL, strchr(err.text, '\n'));
	}
}

TEST(long_names)
{
	char text[100000];
	struct devname dev;
	struct err err;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	EXPECT_EQ(-EINVAL, devname_parse(&dev, text, &err));
	memcpy(text, "vdev:x,", 7);
	EXPECT_EQ(-EINVAL, devname_parse(&dev, text, &err));
	text[DEVNAME_MAX - 1] = '\0';
	EXPECT_EQ(0, devname_parse(&dev, text, &err));
	EXPECT_STREQ(text, dev.text);
}

/* What a bond is goes into its text and comes out of it again. */
TEST(bonds)
{
	static const char text[] =
		"bond:net_bonding0,4 0000:05:08.1 ens3.vf2 vdev:net_null0,copy=1";
	struct devname bond, same, members[BOND_MEMBERS_MAX];
	struct err err = { 0 };

	EXPECT_EQ(3, devname_bond_parse(&bond, text, members, &err)) TH_LOG("%s", err.text);
	EXPECT_EQ(DEVNAME_BOND, bond.kind);
	EXPECT_EQ(4, bond.mode);
	EXPECT_STREQ("net_bonding0", devname_label(&bond));
	EXPECT_STREQ(text, bond.text);
	EXPECT_EQ(DEVNAME_PCI, members[0].kind);
	EXPECT_EQ(DEVNAME_PF_VF, members[1].kind);
	EXPECT_STREQ("vdev:net_null0,copy=1", members[2].text);
	EXPECT_EQ(0, devname_bond_make(&same, "net_bonding0", 4, members, 3, &err));
	EXPECT_STREQ(text, same.text);
}

TEST(bad_bonds)
{
	static const struct {
		const char *text;
		int code;
	} table[] = {
		{ "bond:net_bonding0", -EINVAL },
		{ "bond:net_bonding0,1", -EINVAL },
		{ "bond:net_bonding0,1 0000:05:08.1", -EINVAL },
		{ "bond:net_bonding0,1 0000:05:08.1 0000:05:08.1", -EINVAL },
		{ "bond:net_bonding0,7 0000:05:08.1 0000:05:08.2", -EINVAL },
		{ "bond:net_bonding0,11 0000:05:08.1 0000:05:08.2", -EINVAL },
		{ "bond:eth0,1 0000:05:08.1 0000:05:08.2", -EINVAL },
		{ "bond:net_bonding/,1 0000:05:08.1 0000:05:08.2", -EINVAL },
		{ "bond:net_bonding0,1 0000:05:08.1 what", -EINVAL },
		{ "bond:net_bonding0,1 netdev:eth0 netdev:eth1", -EOPNOTSUPP },
		{ "bond:net_bonding0,1 05:0.0 05:0.1 05:0.2 05:0.3 05:0.4 05:0.5 05:0.6 05:0.7 "
		  "05:1.0",
		  -E2BIG },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct devname bond;
		struct err err = { 0 };

		EXPECT_EQ(table[i].code, devname_bond_parse(&bond, table[i].text, NULL, &err))
		TH_LOG("%s: %s", table[i].text, err.text);
		EXPECT_NE('\0', err.text[0]);
	}
}

TEST_HARNESS_MAIN
