/* SPDX-License-Identifier: BSD-3-Clause */

/* Management of vDPA: what is asked of the kernel, and what is made of its answers. */
#include <kselftest_harness.h>

#include "vdpa/mgmt.h"
#include "vdpa/uapi.h"

#include "fake_netlink.h"
#include "vdpa_messages.h"

FIXTURE(vdpa) {
	struct vdpa_mgmtdev *mgmtdevs;
	struct vdpa_device *devices;
	struct vdpa_counter *counters;
	size_t n;
	struct vdpa_net_config config;
	struct err err;
};

FIXTURE_SETUP(vdpa)
{
	fake_netlink_reset();
	fake_next_answer();
}

FIXTURE_TEARDOWN(vdpa)
{
	free(self->mgmtdevs);
	free(self->devices);
	free(self->counters);
	fake_netlink_reset();
}

#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}
#define list_mgmtdevs()                                                   \
	({                                                                \
		free(self->mgmtdevs);                                     \
		vdpa_mgmtdev_list(&self->mgmtdevs, &self->n, &self->err); \
	})
#define list_devices()                                                  \
	({                                                              \
		free(self->devices);                                    \
		vdpa_device_list(&self->devices, &self->n, &self->err); \
	})
#define get_config() vdpa_device_config("vio4wd3", &self->config, &self->err)
#define get_counters()                                                                   \
	({                                                                               \
		free(self->counters);                                                    \
		vdpa_device_vstats("vio4wd3", 5, &self->counters, &self->n, &self->err); \
	})

/* Two messages in one datagram. */
static void put_both(struct nl_msg *a, struct nl_msg *b)
{
	const size_t first = nlmsg_hdr(a)->nlmsg_len, second = nlmsg_hdr(b)->nlmsg_len;
	char both[1024];

	memcpy(both, nlmsg_hdr(a), first);
	memcpy(both + first, nlmsg_hdr(b), second);
	fake_datagram(fake_last_answer(), both, first + second);
	nlmsg_free(a);
	nlmsg_free(b);
}

static bool asked(uint8_t command, int flags)
{
	return genlmsg_hdr(net.asked)->cmd == command &&
	       genlmsg_hdr(net.asked)->version == VDPA_GENL_VERSION &&
	       (net.asked->nlmsg_flags & NLM_F_DUMP) == flags;
}

/* An attribute of the last request. */
static const struct nlattr *sent(int type)
{
	return nla_find(genlmsg_attrdata(genlmsg_hdr(net.asked), 0),
			genlmsg_attrlen(genlmsg_hdr(net.asked), 0), type);
}

static const char *sent_string(int type)
{
	const struct nlattr *attr = sent(type);

	return attr ? nla_data(attr) : "";
}

TEST_F(vdpa, no_family) {
	net.no_family = true;
	EXPECT_EQ(-EOPNOTSUPP, list_mgmtdevs());
	EXPECT_SAID("the module vdpa is not loaded");
	EXPECT_SAID("linux-image-amd64");
	EXPECT_EQ(NULL, self->mgmtdevs);
	EXPECT_EQ(0, self->n);
	EXPECT_EQ(-EOPNOTSUPP, list_devices());
	EXPECT_EQ(-EOPNOTSUPP, vdpa_device_del("vio4wd3", &self->err));
	EXPECT_EQ(-EOPNOTSUPP, get_config());
	EXPECT_EQ(-EOPNOTSUPP, get_counters());
	EXPECT_SAID("the module vdpa is not loaded");
	EXPECT_EQ(NULL, net.asked);
	net.no_family = false;
	net.family_error = -EPERM;
	EXPECT_EQ(-EPERM, list_mgmtdevs());
	EXPECT_SAID("CAP_NET_ADMIN");
	net.family_error = 0;
	net.no_number = true;
	EXPECT_EQ(-EBADMSG, list_mgmtdevs());
	EXPECT_SAID("malformed");
	EXPECT_EQ(NULL, net.asked);
}

TEST_F(vdpa, mgmtdevs) {
	put_both(mgmtdev(NULL, "vdpasim_net", false), mgmtdev("pci", "0000:05:08.1", true));
	fake_put(mgmtdev("auxiliary", "mlx5_core.sf.4", true));
	fake_done(0, NULL);
	ASSERT_EQ(0, list_mgmtdevs());
	EXPECT_TRUE(asked(VDPA_CMD_MGMTDEV_GET, NLM_F_DUMP));
	ASSERT_EQ(3, self->n);
	EXPECT_STREQ("", self->mgmtdevs[0].bus);
	EXPECT_STREQ("vdpasim_net", self->mgmtdevs[0].name);
	EXPECT_EQ(6, self->mgmtdevs[0].classes);
	EXPECT_EQ(0, self->mgmtdevs[0].features);
	EXPECT_EQ(0, self->mgmtdevs[0].max_vqs);
	EXPECT_STREQ("pci", self->mgmtdevs[1].bus);
	EXPECT_STREQ("0000:05:08.1", self->mgmtdevs[1].name);
	EXPECT_EQ(0x300000022ULL, self->mgmtdevs[1].features);
	EXPECT_EQ(17, self->mgmtdevs[1].max_vqs);
	EXPECT_STREQ("mlx5_core.sf.4", self->mgmtdevs[2].name);
	EXPECT_EQ(0, self->err.code);
}

TEST_F(vdpa, none) {
	fake_done(0, NULL);
	EXPECT_EQ(0, list_mgmtdevs());
	EXPECT_EQ(0, self->n);
	fake_next_answer();
	fake_done(0, NULL);
	EXPECT_EQ(0, list_devices());
	EXPECT_EQ(0, self->n);
}

TEST_F(vdpa, many) {
	char name[32];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "vdpa%d", i);
		fake_put(device(name));
	}
	fake_done(0, NULL);
	ASSERT_EQ(0, list_devices());
	ASSERT_EQ(300, self->n);
	EXPECT_STREQ("vdpa0", self->devices[0].name);
	EXPECT_STREQ("vdpa299", self->devices[299].name);
}

TEST_F(vdpa, devices) {
	struct nl_msg *msg = device("vdpa1");

	nla_put_u16(msg, VDPA_ATTR_DEV_MIN_VQ_SIZE, 2);
	put_both(device("vdpa0"), msg);
	fake_done(0, NULL);
	ASSERT_EQ(0, list_devices());
	EXPECT_TRUE(asked(VDPA_CMD_DEV_GET, NLM_F_DUMP));
	ASSERT_EQ(2, self->n);
	EXPECT_STREQ("vdpa0", self->devices[0].name);
	EXPECT_STREQ("pci", self->devices[0].mgmt_bus);
	EXPECT_STREQ("0000:05:08.1", self->devices[0].mgmt_name);
	EXPECT_EQ(1, self->devices[0].device_id);
	EXPECT_EQ(0x1af4, self->devices[0].vendor_id);
	EXPECT_EQ(5, self->devices[0].max_vqs);
	EXPECT_EQ(256, self->devices[0].max_vq_size);
	EXPECT_EQ(0, self->devices[0].min_vq_size);
	EXPECT_STREQ("vdpa1", self->devices[1].name);
	EXPECT_EQ(2, self->devices[1].min_vq_size);
}

TEST_F(vdpa, unknown_attributes) {
	struct nl_msg *msg = mgmtdev("pci", "0000:05:08.1", true);
	struct nlattr *nest = nla_nest_start(msg, 4000);

	nla_put_u32(msg, VDPA_ATTR_MGMTDEV_DEV_NAME, 7);
	nla_nest_end(msg, nest);
	nla_put(msg, VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES + 1, 3, "new");
	fake_put(msg);
	fake_done(0, NULL);
	ASSERT_EQ(0, list_mgmtdevs());
	ASSERT_EQ(1, self->n);
	EXPECT_STREQ("0000:05:08.1", self->mgmtdevs[0].name);
}

TEST_F(vdpa, names_too_long) {
	char name[VDPA_NAME_MAX + 1];

	memset(name, 'n', sizeof(name));
	name[VDPA_NAME_MAX] = '\0';
	fake_put(device(name));
	fake_put(device(name + 1));
	fake_put(device("vdpa1"));
	fake_done(0, NULL);
	ASSERT_EQ(0, list_devices());
	ASSERT_EQ(2, self->n);
	EXPECT_STREQ(name + 1, self->devices[0].name);
	EXPECT_STREQ("vdpa1", self->devices[1].name);
}

TEST_F(vdpa, interrupted) {
	struct nl_msg *msg = mgmtdev("pci", "0000:05:08.1", true);

	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_DUMP_INTR;
	fake_put(msg);
	fake_put(mgmtdev("pci", "0000:05:08.2", true));
	fake_done(0, NULL);
	/* Also when only the end has the mark. */
	fake_next_answer();
	fake_put(mgmtdev("pci", "0000:05:08.3", true));
	msg = fake_error(NLMSG_DONE, 0, NULL);
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_DUMP_INTR;
	fake_put(msg);
	fake_next_answer();
	fake_put(mgmtdev("pci", "0000:05:08.4", true));
	fake_done(0, NULL);
	ASSERT_EQ(0, list_mgmtdevs());
	ASSERT_EQ(1, self->n);
	EXPECT_STREQ("0000:05:08.4", self->mgmtdevs[0].name);
	EXPECT_EQ(0, self->err.code);
}

TEST_F(vdpa, interrupted_for_ever) {
	struct nl_msg *msg;

	for (int i = 0; i < FAKE_ANSWERS; i++) {
		if (i)
			fake_next_answer();
		msg = device("vdpa0");
		nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_DUMP_INTR;
		fake_put(msg);
		fake_done(0, NULL);
	}
	EXPECT_EQ(-EAGAIN, list_devices());
	EXPECT_SAID("the vDPA devices changed each time");
	EXPECT_EQ(NULL, self->devices);
	EXPECT_EQ(0, self->n);
	EXPECT_LT(net.next, FAKE_ANSWERS);
}

TEST_F(vdpa, dump_that_fails) {
	fake_put(device("vdpa0"));
	fake_done(-EMSGSIZE, "vdpa: a device is too large");
	EXPECT_EQ(-EMSGSIZE, list_devices());
	EXPECT_SAID("the vDPA devices cannot be listed: vdpa: a device is too large");
	EXPECT_EQ(NULL, self->devices);
	EXPECT_EQ(0, self->n);
	fake_next_answer();
	fake_done(-EIO, NULL);
	EXPECT_EQ(-EIO, list_devices());
	EXPECT_SAID("Input/output error");
	fake_next_answer();
	fake_ack(-EINVAL, "vdpa: no");
	EXPECT_EQ(-EINVAL, list_devices());
	EXPECT_SAID("vdpa: no");
	/* The socket is closed, the answers are over. */
	EXPECT_EQ(-EIO, list_devices());
	EXPECT_SAID("netlink");
	fake_next_answer();
	fake_put(device("vdpa0"));
	EXPECT_EQ(-EIO, list_devices());
	EXPECT_EQ(NULL, self->devices);
}

#define EXPECT_MALFORMED(read)             \
	do {                               \
		EXPECT_EQ(-EBADMSG, read); \
		EXPECT_SAID("malformed");  \
		fake_next_answer();        \
	} while (0)

TEST_F(vdpa, malformed) {
	/* One of many spoils the list. */
	fake_put(device("vdpa0"));
	fake_put(with(device("vdpa1"), VDPA_ATTR_DEV_ID, 2, "\1\1"));
	fake_put(device("vdpa2"));
	fake_done(0, NULL);
	EXPECT_MALFORMED(list_devices());
	EXPECT_EQ(NULL, self->devices);
	EXPECT_EQ(0, self->n);
	fake_put(with(net_config(), VDPA_ATTR_DEV_ID, -1, NULL));
	fake_ack(0, NULL);
	EXPECT_MALFORMED(get_config());
	fake_put(with(net_config(), VDPA_ATTR_DEV_NET_CFG_MTU, 4, "\1\1\1\1"));
	fake_ack(0, NULL);
	EXPECT_MALFORMED(get_config());
	/* Nothing but an acknowledgement. */
	fake_ack(0, NULL);
	EXPECT_MALFORMED(get_config());
	fake_ack(0, NULL);
	EXPECT_MALFORMED(get_counters());
}

/* An error message that is too short for what it has to say. */
TEST_F(vdpa, truncated_error) {
	struct nl_msg *msg = fake_error(NLMSG_ERROR, -EEXIST, NULL);

	nlmsg_hdr(msg)->nlmsg_len = NLMSG_HDRLEN + 4;
	fake_put(msg);
	EXPECT_EQ(-EBADMSG, vdpa_device_del("vio4wd3", &self->err));
	EXPECT_SAID("malformed");
}

static const struct vdpa_spec on_vf = {
	.name = "vio4wd3",
	.mgmt_bus = "pci",
	.mgmt_name = "0000:05:08.1",
	.has_mac = true,
	.mac = { 0x52, 0x54, 0, 0, 0, 7 },
	.mtu = 9000,
	.max_vqp = 8,
};

/* Before one is made, it is asked whether there is one. */
static void put_no_devices(void)
{
	fake_done(0, NULL);
	fake_next_answer();
}

TEST_F(vdpa, add) {
	struct vdpa_spec spec = { .name = "vio4wd4", .mgmt_name = "vdpasim_net" };

	put_no_devices();
	fake_ack(0, NULL);
	EXPECT_EQ(0, vdpa_device_add(&on_vf, &self->err));
	EXPECT_TRUE(asked(VDPA_CMD_DEV_NEW, 0));
	EXPECT_STREQ("vio4wd3", sent_string(VDPA_ATTR_DEV_NAME));
	EXPECT_STREQ("pci", sent_string(VDPA_ATTR_MGMTDEV_BUS_NAME));
	EXPECT_STREQ("0000:05:08.1", sent_string(VDPA_ATTR_MGMTDEV_DEV_NAME));
	ASSERT_NE(NULL, sent(VDPA_ATTR_DEV_NET_CFG_MACADDR));
	EXPECT_EQ(6, nla_len(sent(VDPA_ATTR_DEV_NET_CFG_MACADDR)));
	EXPECT_EQ(0, memcmp(on_vf.mac, nla_data(sent(VDPA_ATTR_DEV_NET_CFG_MACADDR)), 6));
	ASSERT_NE(NULL, sent(VDPA_ATTR_DEV_NET_CFG_MTU));
	EXPECT_EQ(9000, nla_get_u16(sent(VDPA_ATTR_DEV_NET_CFG_MTU)));
	ASSERT_NE(NULL, sent(VDPA_ATTR_DEV_NET_CFG_MAX_VQP));
	EXPECT_EQ(8, nla_get_u16(sent(VDPA_ATTR_DEV_NET_CFG_MAX_VQP)));
	fake_next_answer();
	fake_ack(0, NULL);
	EXPECT_EQ(0, vdpa_device_add(&spec, &self->err));
	EXPECT_STREQ("vdpasim_net", sent_string(VDPA_ATTR_MGMTDEV_DEV_NAME));
	EXPECT_EQ(NULL, sent(VDPA_ATTR_MGMTDEV_BUS_NAME));
	EXPECT_EQ(NULL, sent(VDPA_ATTR_DEV_NET_CFG_MACADDR));
	EXPECT_EQ(NULL, sent(VDPA_ATTR_DEV_NET_CFG_MTU));
	EXPECT_EQ(NULL, sent(VDPA_ATTR_DEV_NET_CFG_MAX_VQP));
	EXPECT_EQ(0, self->err.code);
}

TEST_F(vdpa, add_refused) {
	static const struct {
		int refusal;
		const char *words;
		int code;
		const char *said;
	} cases[] = {
		{ -EEXIST, NULL, -EEXIST, "there is a vDPA device vio4wd3 already" },
		{ -ENODEV, "vdpa: Fail to find the specified management device", -ENODEV,
		  "pci/0000:05:08.1 makes no vDPA devices: vdpa: Fail to find the" },
		{ -ENOSPC, NULL, -ENOSPC, "pci/0000:05:08.1 has no room for the vDPA device" },
		{ -EPERM, NULL, -EPERM, "CAP_NET_ADMIN" },
		{ -ENOMEM, "vdpa: the kernel's own words", -ENOMEM,
		  "pci/0000:05:08.1 does not make the vDPA device vio4wd3: vdpa: the kernel's" },
	};
	struct vdpa_spec spec = on_vf;

	spec.has_mac = false;
	spec.mtu = spec.max_vqp = 0;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_no_devices();
		fake_ack(cases[i].refusal, cases[i].words);
		EXPECT_EQ(cases[i].code, vdpa_device_add(&spec, &self->err));
		EXPECT_EQ(cases[i].code, self->err.code);
		EXPECT_SAID(cases[i].said);
		fake_next_answer();
	}
	/* -EOPNOTSUPP says that there is no vDPA at all. */
	put_no_devices();
	fake_ack(-EOPNOTSUPP, NULL);
	EXPECT_EQ(-EINVAL, vdpa_device_add(&spec, &self->err));
}

/* vp_vdpa would make a second one. */
TEST_F(vdpa, add_where_one_is) {
	struct vdpa_spec spec = on_vf;

	fake_put(device("vdpa0"));
	fake_done(0, NULL);
	EXPECT_EQ(-ENOSPC, vdpa_device_add(&on_vf, &self->err));
	EXPECT_SAID("pci/0000:05:08.1 is the vDPA device vdpa0 already and cannot be vio4wd3");
	fake_next_answer();
	fake_put(device("vio4wd3"));
	fake_done(0, NULL);
	EXPECT_EQ(-EEXIST, vdpa_device_add(&on_vf, &self->err));
	EXPECT_SAID("there is a vDPA device vio4wd3 already");
	EXPECT_TRUE(asked(VDPA_CMD_DEV_GET, NLM_F_DUMP));
	fake_next_answer();
	fake_done(-EIO, NULL);
	EXPECT_EQ(-EIO, vdpa_device_add(&on_vf, &self->err));
	EXPECT_TRUE(asked(VDPA_CMD_DEV_GET, NLM_F_DUMP));
	/* Those of others are no hindrance. */
	for (int i = 0; i < 2; i++) {
		snprintf(i ? spec.mgmt_name : spec.mgmt_bus, sizeof(spec.mgmt_bus), "other");
		fake_next_answer();
		fake_put(device("vdpa0"));
		fake_done(0, NULL);
		fake_next_answer();
		fake_ack(0, NULL);
		EXPECT_EQ(0, vdpa_device_add(&spec, &self->err));
		EXPECT_TRUE(asked(VDPA_CMD_DEV_NEW, 0));
		spec = on_vf;
	}
}

TEST_F(vdpa, what_cannot_be_chosen) {
	struct vdpa_spec spec = on_vf;

	put_no_devices();
	fake_ack(-EOPNOTSUPP, "vdpa: All provided attributes are not supported");
	EXPECT_EQ(-EINVAL, vdpa_device_add(&spec, &self->err));
	EXPECT_SAID("does not let all of the MAC address and the MTU and the number of queue "
		    "pairs be chosen");
	EXPECT_SAID("vdpa: All provided attributes are not supported; leave some of it out");
	fake_next_answer();
	put_no_devices();
	fake_ack(-EOPNOTSUPP, "vdpa: Some provided attributes are not supported: 0x2400");
	EXPECT_EQ(-EINVAL, vdpa_device_add(&spec, &self->err));
	EXPECT_SAID("does not let all of the MAC address and the MTU be chosen");
	fake_next_answer();
	put_no_devices();
	fake_ack(-EOPNOTSUPP, "vdpa: Some provided attributes are not supported: 0x1000");
	EXPECT_EQ(-EINVAL, vdpa_device_add(&spec, &self->err));
	EXPECT_SAID("does not let the number of queue pairs be chosen");
	EXPECT_SAID("0x1000; leave that out");
	spec.has_mac = false;
	spec.mtu = 0;
	fake_next_answer();
	put_no_devices();
	fake_ack(-EOPNOTSUPP, NULL);
	EXPECT_EQ(-EINVAL, vdpa_device_add(&spec, &self->err));
	EXPECT_SAID("pci/0000:05:08.1 does not let the number of queue pairs be chosen");
}

/* 17 virtqueues are 8 pairs and a control queue. */
TEST_F(vdpa, more_queue_pairs_than_offered) {
	struct vdpa_spec spec = on_vf;

	spec.max_vqp = 9;
	put_no_devices();
	fake_ack(-EINVAL, NULL);
	fake_next_answer();
	fake_put(mgmtdev("pci", "0000:05:08.2", true));
	fake_put(mgmtdev(NULL, "0000:05:08.1", false));
	fake_put(mgmtdev("pci", "0000:05:08.1", true));
	fake_done(0, NULL);
	EXPECT_EQ(-ERANGE, vdpa_device_add(&spec, &self->err));
	EXPECT_SAID("pci/0000:05:08.1 offers 8 queue pairs for a vDPA device, 9 were asked for");
	/* It was something else. */
	spec.max_vqp = 8;
	fake_next_answer();
	put_no_devices();
	fake_ack(-EINVAL, "mlx5: no");
	fake_next_answer();
	fake_put(mgmtdev("pci", "0000:05:08.1", true));
	fake_done(0, NULL);
	EXPECT_EQ(-EINVAL, vdpa_device_add(&spec, &self->err));
	EXPECT_SAID("mlx5: no");
	/* It does not tell how many; it cannot be asked. */
	fake_next_answer();
	put_no_devices();
	fake_ack(-EINVAL, NULL);
	fake_next_answer();
	fake_put(mgmtdev("pci", "0000:05:08.1", false));
	fake_done(0, NULL);
	EXPECT_EQ(-EINVAL, vdpa_device_add(&spec, &self->err));
	fake_next_answer();
	put_no_devices();
	fake_ack(-EINVAL, NULL);
	fake_next_answer();
	fake_done(-EIO, NULL);
	EXPECT_EQ(-EINVAL, vdpa_device_add(&spec, &self->err));
	EXPECT_SAID("Invalid argument");
}

TEST_F(vdpa, del) {
	fake_ack(0, NULL);
	EXPECT_EQ(0, vdpa_device_del("vio4wd3", &self->err));
	EXPECT_TRUE(asked(VDPA_CMD_DEV_DEL, 0));
	EXPECT_STREQ("vio4wd3", sent_string(VDPA_ATTR_DEV_NAME));
	fake_next_answer();
	fake_ack(-ENODEV, "vdpa: device not found");
	EXPECT_EQ(-ENODEV, vdpa_device_del("vio4wd3", &self->err));
	EXPECT_SAID("there is no vDPA device vio4wd3");
	fake_next_answer();
	fake_ack(-EPERM, NULL);
	EXPECT_EQ(-EPERM, vdpa_device_del("vio4wd3", &self->err));
	EXPECT_SAID("CAP_NET_ADMIN");
	fake_next_answer();
	fake_ack(-EINVAL, "vdpa: Only user created device can be deleted by user");
	EXPECT_EQ(-EINVAL, vdpa_device_del("vio4wd3", &self->err));
	EXPECT_SAID("vio4wd3 cannot be removed: vdpa: Only user created device");
}

TEST_F(vdpa, config) {
	fake_put(net_config());
	fake_ack(0, NULL);
	ASSERT_EQ(0, get_config());
	EXPECT_TRUE(asked(VDPA_CMD_DEV_CONFIG_GET, 0));
	EXPECT_STREQ("vio4wd3", sent_string(VDPA_ATTR_DEV_NAME));
	EXPECT_TRUE(self->config.has_mac);
	EXPECT_EQ(0, memcmp("\x52\x54\x00\x00\x00\x07", self->config.mac, 6));
	EXPECT_TRUE(self->config.has_mtu);
	EXPECT_EQ(1500, self->config.mtu);
	EXPECT_TRUE(self->config.has_max_vqp);
	EXPECT_EQ(4, self->config.max_vqp);
	EXPECT_TRUE(self->config.has_link);
	EXPECT_TRUE(self->config.link);
	EXPECT_EQ(0x100010020ULL, self->config.negotiated);
	EXPECT_EQ(0x300010028ULL, self->config.features);
}

TEST_F(vdpa, config_of_little) {
	struct nl_msg *msg = fake_message(VDPA_CMD_DEV_CONFIG_GET, 0);

	nla_put_string(msg, VDPA_ATTR_DEV_NAME, "vio4wd3");
	nla_put_u32(msg, VDPA_ATTR_DEV_ID, 1);
	nla_put_u16(msg, VDPA_ATTR_DEV_NET_STATUS, 0);
	nla_put_u64(msg, VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES, 0x300010000ULL);
	fake_put(msg);
	fake_ack(0, NULL);
	ASSERT_EQ(0, get_config());
	EXPECT_FALSE(self->config.has_mac);
	EXPECT_FALSE(self->config.has_mtu);
	EXPECT_FALSE(self->config.has_max_vqp);
	EXPECT_TRUE(self->config.has_link);
	EXPECT_FALSE(self->config.link);
	EXPECT_EQ(0, self->config.negotiated);
	EXPECT_EQ(0x300010000ULL, self->config.features);
	/* A device without VIRTIO_NET_F_STATUS has no link to tell of. */
	fake_next_answer();
	fake_put(with(net_config(), VDPA_ATTR_DEV_FEATURES, 8, "\x28\0\0\0\3\0\0\0"));
	fake_ack(0, NULL);
	ASSERT_EQ(0, get_config());
	EXPECT_EQ(0x300000028ULL, self->config.features);
	EXPECT_FALSE(self->config.has_link);
	EXPECT_FALSE(self->config.link);
	/* Kernels before 6.0 do not tell what it has. */
	fake_next_answer();
	fake_put(with(net_config(), VDPA_ATTR_DEV_FEATURES, -1, NULL));
	fake_ack(0, NULL);
	ASSERT_EQ(0, get_config());
	EXPECT_TRUE(self->config.link);
}

TEST_F(vdpa, config_refused) {
	fake_ack(-ENODEV, "vdpa: device not found");
	EXPECT_EQ(-ENODEV, get_config());
	EXPECT_SAID("there is no vDPA device vio4wd3");
	fake_next_answer();
	fake_ack(-EAGAIN, "vdpa: Features negotiation not completed");
	EXPECT_EQ(-EAGAIN, get_config());
	EXPECT_SAID("when a VM uses it (vdpa: Features negotiation not completed)");
	fake_next_answer();
	fake_ack(-EINVAL, "vdpa: unmanaged vdpa device");
	EXPECT_EQ(-EINVAL, get_config());
	EXPECT_SAID("vio4wd3 does not tell its configuration: vdpa: unmanaged vdpa device");
	/* Old kernels refuse a disk, new ones tell of it. */
	fake_next_answer();
	fake_ack(-EOPNOTSUPP, NULL);
	EXPECT_EQ(-EOPNOTSUPP, get_config());
	EXPECT_SAID("vio4wd3 is no network device");
	fake_next_answer();
	fake_put(with(net_config(), VDPA_ATTR_DEV_ID, 4, "\2\0\0\0"));
	fake_ack(0, NULL);
	EXPECT_EQ(-EOPNOTSUPP, get_config());
	EXPECT_SAID("vio4wd3 is no network device");
	EXPECT_FALSE(self->config.has_mac);
}

TEST_F(vdpa, vstats) {
	struct nl_msg *msg = vstats();

	put_counter(msg, "received_desc", 17);
	put_counter(msg, "completed_desc", UINT64_MAX);
	fake_put(msg);
	fake_ack(0, NULL);
	ASSERT_EQ(0, get_counters());
	EXPECT_TRUE(asked(VDPA_CMD_DEV_VSTATS_GET, 0));
	EXPECT_STREQ("vio4wd3", sent_string(VDPA_ATTR_DEV_NAME));
	ASSERT_NE(NULL, sent(VDPA_ATTR_DEV_QUEUE_INDEX));
	EXPECT_EQ(5, nla_get_u32(sent(VDPA_ATTR_DEV_QUEUE_INDEX)));
	ASSERT_EQ(2, self->n);
	EXPECT_STREQ("received_desc", self->counters[0].name);
	EXPECT_EQ(17, self->counters[0].value);
	EXPECT_STREQ("completed_desc", self->counters[1].name);
	EXPECT_EQ(UINT64_MAX, self->counters[1].value);
	fake_next_answer();
	fake_put(vstats());
	fake_ack(0, NULL);
	EXPECT_EQ(0, get_counters());
	EXPECT_EQ(0, self->n);
}

TEST_F(vdpa, vstats_out_of_order) {
	struct nl_msg *msg = vstats();

	nla_put_u64(msg, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, 17);
	fake_put(msg);
	fake_ack(0, NULL);
	EXPECT_MALFORMED(get_counters());
	msg = vstats();
	nla_put_string(msg, VDPA_ATTR_DEV_VENDOR_ATTR_NAME, "lost");
	put_counter(msg, "received_desc", 17);
	fake_put(msg);
	fake_ack(0, NULL);
	EXPECT_MALFORMED(get_counters());
	msg = vstats();
	put_counter(msg, "received_desc", 17);
	nla_put_string(msg, VDPA_ATTR_DEV_VENDOR_ATTR_NAME, "lost");
	fake_put(msg);
	fake_ack(0, NULL);
	EXPECT_MALFORMED(get_counters());
	EXPECT_EQ(NULL, self->counters);
	EXPECT_EQ(0, self->n);
}

TEST_F(vdpa, vstats_refused) {
	fake_ack(-EOPNOTSUPP, NULL);
	EXPECT_EQ(-EOPNOTSUPP, get_counters());
	EXPECT_SAID("vio4wd3 counts nothing of its virtqueues");
	fake_next_answer();
	fake_ack(-EAGAIN, "vdpa: feature negotiation not complete");
	EXPECT_EQ(-EAGAIN, get_counters());
	EXPECT_SAID("vio4wd3 tells the counters of its virtqueue 5 only after");
	fake_next_answer();
	fake_ack(-EPERM, NULL);
	EXPECT_EQ(-EPERM, get_counters());
	EXPECT_SAID("CAP_NET_ADMIN");
	fake_next_answer();
	fake_ack(-ENODEV, NULL);
	EXPECT_EQ(-ENODEV, get_counters());
	/* An error after counters have come. */
	fake_next_answer();
	{
		struct nl_msg *msg = vstats();

		put_counter(msg, "received_desc", 17);
		fake_put(msg);
	}
	fake_ack(-EIO, NULL);
	EXPECT_EQ(-EIO, get_counters());
	EXPECT_EQ(NULL, self->counters);
	EXPECT_EQ(0, self->n);
}

TEST_HARNESS_MAIN
