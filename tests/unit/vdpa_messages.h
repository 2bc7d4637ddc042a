/* SPDX-License-Identifier: BSD-3-Clause */

/* Messages of the generic netlink family "vdpa", as the kernel makes them. */
#ifndef VIO4WD_TEST_VDPA_MESSAGES_H
#define VIO4WD_TEST_VDPA_MESSAGES_H

#include "fake_netlink.h"

/* As one of 5.12 and one of today. */
static inline struct nl_msg *mgmtdev(const char *bus, const char *name, bool new)
{
	struct nl_msg *msg = fake_message(VDPA_CMD_MGMTDEV_NEW, NLM_F_MULTI);

	if (bus)
		nla_put_string(msg, VDPA_ATTR_MGMTDEV_BUS_NAME, bus);
	nla_put_string(msg, VDPA_ATTR_MGMTDEV_DEV_NAME, name);
	nla_put_u64(msg, VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES, 1 << 1 | 1 << 2);
	if (new) {
		nla_put_u32(msg, VDPA_ATTR_DEV_MGMTDEV_MAX_VQS, 17);
		nla_put_u64(msg, VDPA_ATTR_DEV_SUPPORTED_FEATURES, 0x300000022ULL);
	}
	return msg;
}

static inline struct nl_msg *device(const char *name)
{
	struct nl_msg *msg = fake_message(VDPA_CMD_DEV_NEW, NLM_F_MULTI);

	nla_put_string(msg, VDPA_ATTR_MGMTDEV_BUS_NAME, "pci");
	nla_put_string(msg, VDPA_ATTR_MGMTDEV_DEV_NAME, "0000:05:08.1");
	nla_put_string(msg, VDPA_ATTR_DEV_NAME, name);
	nla_put_u32(msg, VDPA_ATTR_DEV_ID, 1);
	nla_put_u32(msg, VDPA_ATTR_DEV_VENDOR_ID, 0x1af4);
	nla_put_u32(msg, VDPA_ATTR_DEV_MAX_VQS, 5);
	nla_put_u16(msg, VDPA_ATTR_DEV_MAX_VQ_SIZE, 256);
	return msg;
}

static inline struct nl_msg *net_config(void)
{
	struct nl_msg *msg = fake_message(VDPA_CMD_DEV_CONFIG_GET, 0);

	nla_put_string(msg, VDPA_ATTR_DEV_NAME, "vio4wd3");
	nla_put_u32(msg, VDPA_ATTR_DEV_ID, 1);
	nla_put_u16(msg, VDPA_ATTR_DEV_NET_STATUS, 1);
	nla_put_u64(msg, VDPA_ATTR_DEV_NEGOTIATED_FEATURES, 0x100010020ULL);
	nla_put_u64(msg, VDPA_ATTR_DEV_FEATURES, 0x300010028ULL);
	nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MTU, 1500);
	nla_put(msg, VDPA_ATTR_DEV_NET_CFG_MACADDR, 6, "\x52\x54\x00\x00\x00\x07");
	nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MAX_VQP, 4);
	return msg;
}

static inline void put_counter(struct nl_msg *msg, const char *name, uint64_t value)
{
	nla_put_string(msg, VDPA_ATTR_DEV_VENDOR_ATTR_NAME, name);
	nla_put(msg, VDPA_ATTR_PAD, 0, NULL); /* where u64 has to be aligned */
	nla_put_u64(msg, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, value);
}

static inline struct nl_msg *vstats(void)
{
	struct nl_msg *msg = fake_message(VDPA_CMD_DEV_VSTATS_GET, 0);

	nla_put_string(msg, VDPA_ATTR_DEV_NAME, "vio4wd3");
	nla_put_u32(msg, VDPA_ATTR_DEV_ID, 1);
	nla_put_u64(msg, VDPA_ATTR_DEV_NEGOTIATED_FEATURES, 0x100010020ULL);
	nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MAX_VQP, 4);
	nla_put_u32(msg, VDPA_ATTR_DEV_QUEUE_INDEX, 5);
	return msg;
}

/* A message that has all attributes, one of them as the test wants it. */
static inline struct nl_msg *with(struct nl_msg *msg, int type, int len, const void *data)
{
	struct nlmsghdr *header = nlmsg_hdr(msg);
	struct nl_msg *result = fake_message(genlmsg_hdr(header)->cmd, header->nlmsg_flags);
	struct nlattr *attr;
	int left;

	nla_for_each_attr(attr, genlmsg_attrdata(genlmsg_hdr(header), 0),
			  genlmsg_attrlen(genlmsg_hdr(header), 0), left) if (nla_type(attr) != type)
		nla_put(result, nla_type(attr), nla_len(attr), nla_data(attr));
	if (len >= 0)
		nla_put(result, type, len, data);
	nlmsg_free(msg);
	return result;
}

#endif
