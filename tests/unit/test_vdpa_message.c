/* SPDX-License-Identifier: BSD-3-Clause */

/* Messages of the kernel about vDPA that are not as they should be. */
#include <kselftest_harness.h>

#include "vdpa/message.h"
#include "vdpa/uapi.h"

#include "vdpa_messages.h"

/* Numbers of any other size, strings that do not end. */
static const struct {
	int type, len;
} wrong[] = {
	{ VDPA_ATTR_MGMTDEV_BUS_NAME, 0 },
	{ VDPA_ATTR_MGMTDEV_BUS_NAME, 3 },
	{ VDPA_ATTR_MGMTDEV_DEV_NAME, 8 },
	{ VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES, 4 },
	{ VDPA_ATTR_DEV_NAME, 8 },
	{ VDPA_ATTR_DEV_ID, 2 },
	{ VDPA_ATTR_DEV_ID, 8 },
	{ VDPA_ATTR_DEV_VENDOR_ID, 3 },
	{ VDPA_ATTR_DEV_MAX_VQS, 5 },
	{ VDPA_ATTR_DEV_MAX_VQ_SIZE, 1 },
	{ VDPA_ATTR_DEV_MAX_VQ_SIZE, 4 },
	{ VDPA_ATTR_DEV_MIN_VQ_SIZE, 4 },
	{ VDPA_ATTR_DEV_NET_CFG_MACADDR, 5 },
	{ VDPA_ATTR_DEV_NET_CFG_MACADDR, 8 },
	{ VDPA_ATTR_DEV_NET_STATUS, 1 },
	{ VDPA_ATTR_DEV_NET_CFG_MAX_VQP, 4 },
	{ VDPA_ATTR_DEV_NET_CFG_MTU, 1 },
	{ VDPA_ATTR_DEV_NEGOTIATED_FEATURES, 4 },
	{ VDPA_ATTR_DEV_MGMTDEV_MAX_VQS, 2 },
	{ VDPA_ATTR_DEV_SUPPORTED_FEATURES, 7 },
	{ VDPA_ATTR_DEV_QUEUE_INDEX, 2 },
	{ VDPA_ATTR_DEV_VENDOR_ATTR_NAME, 8 },
	{ VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, 4 },
	{ VDPA_ATTR_DEV_FEATURES, 16 },
	{ VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES, 4 },
};

TEST(wrong_sizes)
{
	static const char ones[16] = "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1";
	struct vdpa_counter *counters;
	struct vdpa_net_config config;
	struct vdpa_mgmtdev mgmt;
	struct vdpa_device dev;
	struct nl_msg *msg;
	size_t n;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		msg = with(device("vdpa0"), wrong[i].type, wrong[i].len, ones);
		EXPECT_EQ(-EBADMSG, vdpa_message_device(nlmsg_hdr(msg), &dev))
		{
			TH_LOG("attribute %d of %d bytes", wrong[i].type, wrong[i].len);
		}
		EXPECT_EQ(-EBADMSG, vdpa_message_mgmtdev(nlmsg_hdr(msg), &mgmt));
		EXPECT_EQ(-EBADMSG, vdpa_message_net_config(nlmsg_hdr(msg), &config));
		EXPECT_EQ(-EBADMSG, vdpa_message_counters(nlmsg_hdr(msg), &counters, &n));
		nlmsg_free(msg);
	}
}

TEST(attributes_that_every_kernel_sends)
{
	static const int mgmtdev_has[] = { VDPA_ATTR_MGMTDEV_DEV_NAME,
					   VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES };
	static const int device_has[] = { VDPA_ATTR_MGMTDEV_DEV_NAME, VDPA_ATTR_DEV_NAME,
					  VDPA_ATTR_DEV_ID,	      VDPA_ATTR_DEV_VENDOR_ID,
					  VDPA_ATTR_DEV_MAX_VQS,      VDPA_ATTR_DEV_MAX_VQ_SIZE };
	struct vdpa_mgmtdev mgmt;
	struct vdpa_device dev;
	struct nl_msg *msg;

	for (size_t i = 0; i < sizeof(mgmtdev_has) / sizeof(int); i++) {
		msg = with(mgmtdev("pci", "0000:05:08.1", true), mgmtdev_has[i], -1, NULL);
		EXPECT_EQ(-EBADMSG, vdpa_message_mgmtdev(nlmsg_hdr(msg), &mgmt));
		nlmsg_free(msg);
	}
	for (size_t i = 0; i < sizeof(device_has) / sizeof(int); i++) {
		msg = with(device("vdpa0"), device_has[i], -1, NULL);
		EXPECT_EQ(-EBADMSG, vdpa_message_device(nlmsg_hdr(msg), &dev));
		nlmsg_free(msg);
	}
}

static int read_mgmtdev(struct nlmsghdr *message)
{
	struct vdpa_mgmtdev mgmt;

	return vdpa_message_mgmtdev(message, &mgmt);
}

static int read_device(struct nlmsghdr *message)
{
	struct vdpa_device dev;

	return vdpa_message_device(message, &dev);
}

/* 1: what it says is as it was sent, or left out. */
static int read_net_config(struct nlmsghdr *message)
{
	struct vdpa_net_config config;
	const int rc = vdpa_message_net_config(message, &config);

	if (rc < 0)
		return rc;
	return (!config.has_link || config.link) && (!config.has_mtu || config.mtu == 1500) &&
	       (!config.has_mac || !memcmp(config.mac, "\x52\x54\x00\x00\x00\x07", 6)) &&
	       (!config.has_max_vqp || config.max_vqp == 4);
}

static int read_counters(struct nlmsghdr *message)
{
	struct vdpa_counter *counters;
	size_t n;
	const int rc = vdpa_message_counters(message, &counters, &n);

	free(counters);
	return rc;
}

/* Nothing is read beyond the end (valgrind). */
static int read_cut(struct nl_msg *msg, uint32_t len, int (*read)(struct nlmsghdr *message))
{
	struct nlmsghdr *cut = malloc(len);
	int rc;

	memcpy(cut, nlmsg_hdr(msg), len);
	cut->nlmsg_len = len;
	rc = read(cut);
	free(cut);
	return rc;
}

TEST(truncated)
{
	struct nl_msg *msgs[] = { mgmtdev("pci", "0000:05:08.1", false), device("vdpa0"),
				  net_config(), vstats() };
	const uint32_t device_len = nlmsg_hdr(msgs[1])->nlmsg_len - 2; /* of padding */
	const uint32_t counters_at = nlmsg_hdr(msgs[3])->nlmsg_len;
	uint32_t len;

	for (len = NLMSG_HDRLEN; len < nlmsg_hdr(msgs[0])->nlmsg_len; len++)
		EXPECT_EQ(-EBADMSG, read_cut(msgs[0], len, read_mgmtdev));
	for (len = NLMSG_HDRLEN; len < device_len; len++)
		EXPECT_EQ(-EBADMSG, read_cut(msgs[1], len, read_device));
	EXPECT_EQ(0, read_cut(msgs[1], len, read_device));
	/* Between two attributes it is one of an older kernel. */
	for (len = NLMSG_HDRLEN; len < nlmsg_hdr(msgs[2])->nlmsg_len; len++)
		EXPECT_EQ(1, read_cut(msgs[2], len, read_net_config) == -EBADMSG ||
				     read_cut(msgs[2], len, read_net_config) == 1);
	EXPECT_EQ(-EBADMSG, read_cut(msgs[2], len - 5, read_net_config));
	put_counter(msgs[3], "received_desc", 1);
	for (len = counters_at + 1; len < nlmsg_hdr(msgs[3])->nlmsg_len; len++)
		EXPECT_EQ(-EBADMSG, read_cut(msgs[3], len, read_counters));
	for (size_t i = 0; i < sizeof(msgs) / sizeof(msgs[0]); i++)
		nlmsg_free(msgs[i]);
}

TEST_HARNESS_MAIN
