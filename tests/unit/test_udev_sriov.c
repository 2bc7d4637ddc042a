/* SPDX-License-Identifier: BSD-3-Clause */

/* What a PF decides of its VFs: the messages of rtnetlink, and their number. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <kselftest_harness.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "common/kernel.h"
#include "common/netlink.h"
#include "udev/sriov.h"
#include "udev/vf_netlink.h"

#include "sysfs_tree.h"

#define PF_DIR "/sys/bus/pci/devices/0000:01:00.0"

/* In the place of netlink.c: a PF with 300 VFs, which are all as vf says. */
static struct {
	struct vf_attributes vf;
	bool silent; /* the driver does not tell */
	int refusal; /* of changes */
	char asked[256];
} pf;

#define N_VFS 300

static void put_vf(struct nl_msg *msg, unsigned int index)
{
	struct ifla_vf_mac mac = { .vf = index };
	struct ifla_vf_vlan vlan = { .vf = index, .vlan = pf.vf.vlan, .qos = pf.vf.qos };
	struct ifla_vf_spoofchk spoofchk = { .vf = index, .setting = pf.vf.spoofchk };
	struct ifla_vf_trust trust = { .vf = index, .setting = pf.vf.trust };
	struct nlattr *info = nla_nest_start(msg, IFLA_VF_INFO);

	memcpy(mac.mac, pf.vf.mac, 6);
	mac.mac[5] += index;
	nla_put(msg, IFLA_VF_MAC, sizeof(mac), &mac);
	nla_put(msg, IFLA_VF_VLAN, sizeof(vlan), &vlan);
	nla_put(msg, IFLA_VF_SPOOFCHK, sizeof(spoofchk), &spoofchk);
	nla_put(msg, IFLA_VF_TRUST, sizeof(trust), &trust);
	nla_nest_end(msg, info);
}

static struct nl_msg *link_message(void)
{
	struct ifinfomsg info = { .ifi_index = 3 };
	struct nl_msg *msg = nlmsg_alloc_size(64 * 1024);
	struct nlattr *list;

	nlmsg_put(msg, 0, 0, RTM_NEWLINK, 0, 0);
	nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_string(msg, IFLA_IFNAME, "enp1s0");
	nla_put_u32(msg, IFLA_NUM_VF, N_VFS);
	if (pf.silent)
		return msg;
	list = nla_nest_start(msg, IFLA_VFINFO_LIST);
	for (unsigned int i = 0; i < N_VFS; i++)
		put_vf(msg, i);
	nla_nest_end(msg, list);
	return msg;
}

/* The request in words, and done to the PF. */
static void take_change(struct nlattr *info)
{
	struct nlattr *t[IFLA_VF_MAX + 1];
	char *end = pf.asked + strlen(pf.asked);
	const size_t room = sizeof(pf.asked) - strlen(pf.asked);

	nla_parse_nested(t, IFLA_VF_MAX, info, NULL);
	if (t[IFLA_VF_MAC]) {
		const struct ifla_vf_mac *mac = nla_data(t[IFLA_VF_MAC]);

		snprintf(end, room, "mac of %u ends in %02x;", mac->vf, mac->mac[5]);
	}
	if (t[IFLA_VF_VLAN]) {
		const struct ifla_vf_vlan *vlan = nla_data(t[IFLA_VF_VLAN]);

		snprintf(end, room, "vlan of %u %u qos %u;", vlan->vf, vlan->vlan, vlan->qos);
	}
	if (t[IFLA_VF_SPOOFCHK]) {
		const struct ifla_vf_spoofchk *spoofchk = nla_data(t[IFLA_VF_SPOOFCHK]);

		snprintf(end, room, "spoofchk of %u %u;", spoofchk->vf, spoofchk->setting);
	}
	if (t[IFLA_VF_TRUST]) {
		const struct ifla_vf_trust *trust = nla_data(t[IFLA_VF_TRUST]);

		snprintf(end, room, "trust of %u %u;", trust->vf, trust->setting);
	}
}

int netlink_request(int protocol, struct nl_msg *msg,
		    void (*answer)(struct nlmsghdr *message, void *userdata), void *userdata,
		    char *why, size_t size)
{
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct nlattr *t[IFLA_MAX + 1];
	struct nl_msg *link;

	if (protocol != NETLINK_ROUTE ||
	    nlmsg_parse(header, sizeof(struct ifinfomsg), t, IFLA_MAX, NULL) < 0)
		abort();
	if (strcmp(nla_get_string(t[IFLA_IFNAME]), "enp1s0") != 0) {
		snprintf(why, size, "No such device");
		return -ENODEV;
	}
	if (header->nlmsg_type == RTM_GETLINK) {
		if (nla_get_u32(t[IFLA_EXT_MASK]) != (RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS))
			abort();
		link = link_message();
		answer(nlmsg_hdr(link), userdata);
		nlmsg_free(link);
		return 0;
	}
	if (header->nlmsg_type != RTM_SETLINK)
		abort();
	if (pf.refusal) {
		snprintf(why, size, "the kernel's own words");
		return pf.refusal;
	}
	take_change(nla_data(t[IFLA_VFINFO_LIST]));
	return 0;
}

FIXTURE(attributes) {
	struct vf_attributes attrs;
	struct err err;
};

FIXTURE_SETUP(attributes)
{
	memset(&pf, 0, sizeof(pf));
	pf.vf = (struct vf_attributes){ .vlan = 7, .qos = 2, .trust = 1, .spoofchk = 0 };
	memcpy(pf.vf.mac, "\x52\x54\x00\x00\x00\x10", 6);
	self->attrs = (struct vf_attributes)VF_ATTRIBUTES_UNSET;
}

FIXTURE_TEARDOWN(attributes)
{
}

#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}
#define EXPECT_ASKED(what)                    \
	do {                                  \
		EXPECT_STREQ(what, pf.asked); \
		pf.asked[0] = '\0';           \
	} while (0)
#define set() sriov_set_attributes("enp1s0", 3, &self->attrs, &self->err)

TEST_F(attributes, get) {
	EXPECT_EQ(0, sriov_get_attributes("enp1s0", 5, &self->attrs, &self->err));
	EXPECT_TRUE(self->attrs.has_mac);
	EXPECT_EQ(0, memcmp("\x52\x54\x00\x00\x00\x15", self->attrs.mac, 6));
	EXPECT_EQ(7, self->attrs.vlan);
	EXPECT_EQ(2, self->attrs.qos);
	EXPECT_EQ(1, self->attrs.trust);
	EXPECT_EQ(0, self->attrs.spoofchk);
	EXPECT_EQ(0, sriov_get_attributes("enp1s0", N_VFS - 1, &self->attrs, &self->err));
	EXPECT_EQ(-ENODEV, sriov_get_attributes("enp1s0", N_VFS, &self->attrs, &self->err));
	EXPECT_SAID("enp1s0 has no VF 300");
	EXPECT_FALSE(self->attrs.has_mac);
	EXPECT_EQ(-ENODEV, sriov_get_attributes("enp9s0", 0, &self->attrs, &self->err));
	EXPECT_SAID("enp9s0");
	EXPECT_EQ(-EOPNOTSUPP, sriov_get_attributes("", 0, &self->attrs, &self->err));
	EXPECT_SAID("no network interface");
}

TEST_F(attributes, not_told) {
	/* What a driver does not know, the kernel leaves at -1. */
	pf.vf.trust = pf.vf.spoofchk = -1;
	EXPECT_EQ(0, sriov_get_attributes("enp1s0", 0, &self->attrs, &self->err));
	EXPECT_EQ(-1, self->attrs.trust);
	EXPECT_EQ(-1, self->attrs.spoofchk);
	pf.silent = true;
	EXPECT_EQ(-EOPNOTSUPP, sriov_get_attributes("enp1s0", 0, &self->attrs, &self->err));
	EXPECT_SAID("does not tell");
	EXPECT_EQ(-ENODEV, sriov_get_attributes("enp1s0", N_VFS, &self->attrs, &self->err));
	/* Such a driver is told nevertheless. */
	self->attrs.trust = 1;
	self->err.code = 0;
	EXPECT_EQ(0, set());
	EXPECT_EQ(0, self->err.code);
	EXPECT_ASKED("trust of 3 1;");
}

TEST_F(attributes, malformed) {
	struct nl_msg *msg = link_message();
	struct nlmsghdr *header = nlmsg_hdr(msg);
	const uint32_t whole = header->nlmsg_len;
	struct vf_attributes attrs;

	/* Cut anywhere: nothing is read beyond the end (valgrind), and nothing is made up. */
	for (uint32_t len = NLMSG_HDRLEN; len < 700; len++) {
		struct nlmsghdr *cut = malloc(len);

		memcpy(cut, header, len);
		cut->nlmsg_len = len;
		EXPECT_GT(0, vf_netlink_parse(cut, N_VFS, &attrs));
		free(cut);
	}
	header->nlmsg_len = whole;
	EXPECT_EQ(0, vf_netlink_parse(header, 2, &attrs));
	nlmsg_free(msg);
}

TEST_F(attributes, only_what_differs) {
	EXPECT_EQ(0, set());
	EXPECT_ASKED("");
	self->attrs = pf.vf;
	self->attrs.has_mac = true;
	self->attrs.mac[5] += 3;
	EXPECT_EQ(0, set());
	EXPECT_ASKED("");
	self->attrs.mac[5] = 0xaa;
	EXPECT_EQ(0, set());
	EXPECT_ASKED("mac of 3 ends in aa;");
	self->attrs = (struct vf_attributes){
		.has_mac = true, .vlan = 8, .qos = 2, .trust = 0, .spoofchk = 1
	};
	EXPECT_EQ(0, set());
	EXPECT_ASKED("mac of 3 ends in 00;vlan of 3 8 qos 2;spoofchk of 3 1;trust of 3 0;");
}

TEST_F(attributes, vlan_and_its_priority) {
	self->attrs.vlan = 7;
	EXPECT_EQ(0, set());
	EXPECT_ASKED("");
	self->attrs.vlan = 8;
	EXPECT_EQ(0, set());
	EXPECT_ASKED("vlan of 3 8 qos 0;");
	self->attrs.vlan = 0;
	self->attrs.qos = 4;
	EXPECT_EQ(0, set());
	EXPECT_ASKED("vlan of 3 0 qos 0;");
	self->attrs.vlan = -1;
	EXPECT_EQ(0, set());
	EXPECT_ASKED("vlan of 3 7 qos 4;");
	pf.vf.vlan = pf.vf.qos = 0;
	EXPECT_EQ(0, set());
	self->attrs.vlan = 0;
	EXPECT_EQ(0, set());
	EXPECT_ASKED("");
}

TEST_F(attributes, refused) {
	pf.refusal = -EINVAL;
	self->attrs.vlan = 4094;
	EXPECT_EQ(-EINVAL, set());
	EXPECT_SAID("enp1s0 refuses VLAN 4094 for its VF 3: the kernel's own words");
	self->attrs.qos = 7;
	EXPECT_EQ(-EINVAL, set());
	EXPECT_SAID("VLAN 4094 with priority 7");
	self->attrs = (struct vf_attributes){
		.has_mac = true, .vlan = -1, .qos = -1, .trust = -1, .spoofchk = -1
	};
	EXPECT_EQ(-EINVAL, set());
	EXPECT_SAID("the MAC address 00:00:00:00:00:00");
	self->attrs = (struct vf_attributes){ .vlan = -1, .qos = -1, .trust = 0, .spoofchk = -1 };
	pf.refusal = -EOPNOTSUPP;
	EXPECT_EQ(-EOPNOTSUPP, set());
	EXPECT_SAID("trust off");
	EXPECT_SAID("VIO4WD_VF_OPTIONS");
	self->attrs = (struct vf_attributes){ .vlan = -1, .qos = -1, .trust = -1, .spoofchk = 1 };
	pf.refusal = -EPERM;
	EXPECT_EQ(-EPERM, set());
	EXPECT_SAID("spoof check on");
	EXPECT_SAID("CAP_NET_ADMIN");
}

/* In the place of kernel.c: the PF's number of VFs. */
static struct {
	int refusal;
	unsigned int most; /* the driver makes no more */
	bool gone;
	char writes[128];
} driver;

int kernel_write(const char *root, const char *value, const char *path, ...)
{
	const char *name;
	char full[PATH_MAX], text[16];
	va_list ap;
	size_t len = strlen(driver.writes);

	va_start(ap, path);
	vsnprintf(full, sizeof(full), path, ap);
	va_end(ap);
	name = strrchr(full, '/') + 1;
	snprintf(driver.writes + len, sizeof(driver.writes) - len, "%s%s=%s", len ? " " : "", name,
		 value);
	if (strcmp(name, "sriov_numvfs") != 0) {
		sysfs_tree_file(root, full, value);
		return 0;
	}
	if (driver.gone)
		sysfs_tree_remove(root, full);
	if (driver.refusal && strcmp(value, "0") != 0)
		return driver.refusal;
	snprintf(text, sizeof(text), "%lu\n",
		 driver.most && driver.most < strtoul(value, NULL, 10) ? driver.most
								       : strtoul(value, NULL, 10));
	sysfs_tree_file(root, full, text);
	return 0;
}

FIXTURE(count) {
	char root[CONFIG_ROOT_MAX];
	struct pci_addr addr;
	struct err err;
};

FIXTURE_SETUP(count)
{
	memset(&driver, 0, sizeof(driver));
	config_root_make(self->root);
	sysfs_tree_unpack(self->root, "igb-7vfs");
	sysfs_tree_file(self->root, PF_DIR "/sriov_numvfs", "0\n");
	sysfs_tree_file(self->root, PF_DIR "/sriov_drivers_autoprobe", "1\n");
	pci_addr_parse(&self->addr, "0000:01:00.0");
}

FIXTURE_TEARDOWN(count)
{
	config_root_remove(self->root);
}

#define set_count(n, autoprobe)                                                     \
	({                                                                          \
		driver.writes[0] = '\0';                                            \
		sriov_set_count(self->root, &self->addr, n, autoprobe, &self->err); \
	})

TEST_F(count, made_and_removed) {
	EXPECT_EQ(0, set_count(7, true));
	EXPECT_STREQ("sriov_numvfs=7", driver.writes);
	EXPECT_EQ(0, set_count(7, true));
	EXPECT_STREQ("", driver.writes);
	EXPECT_EQ(0, set_count(3, true));
	EXPECT_STREQ("sriov_numvfs=0 sriov_numvfs=3", driver.writes);
	EXPECT_EQ(0, set_count(0, true));
	EXPECT_STREQ("sriov_numvfs=0", driver.writes);
	EXPECT_EQ(0, set_count(0, true));
	EXPECT_STREQ("", driver.writes);
}

TEST_F(count, without_drivers) {
	EXPECT_EQ(0, set_count(2, false));
	EXPECT_STREQ("sriov_drivers_autoprobe=0 sriov_numvfs=2 sriov_drivers_autoprobe=1",
		     driver.writes);
	EXPECT_EQ(0, set_count(0, false));
	EXPECT_STREQ("sriov_numvfs=0", driver.writes);
	/* Put back also when there are no VFs after all ... */
	driver.refusal = -ENOMEM;
	EXPECT_EQ(-ENOMEM, set_count(2, false));
	EXPECT_STREQ("sriov_drivers_autoprobe=0 sriov_numvfs=2 sriov_drivers_autoprobe=1",
		     driver.writes);
	/* ... and left alone where it was off, or is not there. */
	driver.refusal = 0;
	sysfs_tree_file(self->root, PF_DIR "/sriov_drivers_autoprobe", "0\n");
	EXPECT_EQ(0, set_count(2, false));
	EXPECT_STREQ("sriov_numvfs=2", driver.writes);
	sysfs_tree_remove(self->root, PF_DIR "/sriov_drivers_autoprobe");
	EXPECT_EQ(0, set_count(1, false));
	EXPECT_STREQ("sriov_numvfs=0 sriov_numvfs=1", driver.writes);
}

TEST_F(count, autoprobe_that_was_left_off) {
	EXPECT_TRUE(sriov_autoprobe(self->root, &self->addr));
	sysfs_tree_file(self->root, PF_DIR "/sriov_drivers_autoprobe", "0\n");
	EXPECT_FALSE(sriov_autoprobe(self->root, &self->addr));
	sriov_autoprobe_on(self->root, &self->addr);
	EXPECT_STREQ("sriov_drivers_autoprobe=1", driver.writes);
	sysfs_tree_remove(self->root, PF_DIR "/sriov_drivers_autoprobe");
	EXPECT_FALSE(sriov_autoprobe(self->root, &self->addr));
}

TEST_F(count, too_many) {
	EXPECT_EQ(-ERANGE, set_count(8, true));
	EXPECT_SAID("enp1s0 (0000:01:00.0) can have 7 VFs at most (sriov_totalvfs), 8 were asked");
	EXPECT_STREQ("", driver.writes);
	driver.most = 5;
	EXPECT_EQ(-EIO, set_count(7, true));
	EXPECT_SAID("7 VFs were asked for, but its driver igb made 5");
}

TEST_F(count, refused) {
	static const struct {
		int refusal, code;
		const char *words;
	} cases[] = {
		{ -ENOENT, -EOPNOTSUPP, "the driver igb of enp1s0 (0000:01:00.0) cannot make VFs" },
		{ -ENOSYS, -EOPNOTSUPP, "cannot make VFs" },
		{ -EOPNOTSUPP, -EOPNOTSUPP, "cannot make VFs" },
		{ -ENOMEM, -ENOMEM, "pci=realloc" },
		{ -EBUSY, -EBUSY, "somebody else" },
		{ -EPERM, -EPERM, "igb of enp1s0 (0000:01:00.0) does not make 2 VFs" },
		{ -EACCES, -EACCES, "ProtectKernelTunables" },
		{ -EROFS, -EROFS, "ProtectKernelTunables" },
		{ -EINVAL, -EINVAL, "2 VFs cannot be made: Invalid argument" },
		{ -ENODEV, -ENODEV, "the PF is gone" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		driver.refusal = cases[i].refusal;
		EXPECT_EQ(cases[i].code, set_count(2, true));
		EXPECT_SAID(cases[i].words);
	}
	sysfs_tree_remove(self->root, PF_DIR "/driver");
	driver.refusal = -ENOENT;
	EXPECT_EQ(-EOPNOTSUPP, set_count(2, true));
	EXPECT_SAID("has no driver");
}

TEST_F(count, no_pf) {
	pci_addr_parse(&self->addr, "0000:01:10.0");
	EXPECT_EQ(-EINVAL, set_count(2, true));
	pci_addr_parse(&self->addr, "0000:01:12.0");
	EXPECT_EQ(-ENODEV, set_count(2, true));
	pci_addr_parse(&self->addr, "0000:01:00.0");
	driver.gone = true;
	driver.refusal = -ENODEV;
	EXPECT_EQ(-ENODEV, set_count(2, true));
	EXPECT_EQ(-ENODEV, set_count(2, true));
	EXPECT_SAID("the PF is gone");
}

TEST_HARNESS_MAIN
