/* SPDX-License-Identifier: BSD-3-Clause */

#include "vdpa/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "common/cleanup.h"
#include "vdpa/uapi.h"

#define LAST_ATTR VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES

/* clang-format off */
#define U16 { .type = NLA_U16, .maxlen = sizeof(uint16_t) }
#define U32 { .type = NLA_U32, .maxlen = sizeof(uint32_t) }
#define U64 { .type = NLA_U64, .maxlen = sizeof(uint64_t) }
#define STRING { .type = NLA_STRING }
/* clang-format on */

static struct nla_policy policy[LAST_ATTR + 1] = {
	[VDPA_ATTR_MGMTDEV_BUS_NAME] = STRING,
	[VDPA_ATTR_MGMTDEV_DEV_NAME] = STRING,
	[VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES] = U64,
	[VDPA_ATTR_DEV_NAME] = STRING,
	[VDPA_ATTR_DEV_ID] = U32,
	[VDPA_ATTR_DEV_VENDOR_ID] = U32,
	[VDPA_ATTR_DEV_MAX_VQS] = U32,
	[VDPA_ATTR_DEV_MAX_VQ_SIZE] = U16,
	[VDPA_ATTR_DEV_MIN_VQ_SIZE] = U16,
	[VDPA_ATTR_DEV_NET_CFG_MACADDR] = { .minlen = 6, .maxlen = 6 },
	[VDPA_ATTR_DEV_NET_STATUS] = U16, /* u8 by linux/vdpa.h, but u16 is what kernels send */
	[VDPA_ATTR_DEV_NET_CFG_MAX_VQP] = U16,
	[VDPA_ATTR_DEV_NET_CFG_MTU] = U16,
	[VDPA_ATTR_DEV_NEGOTIATED_FEATURES] = U64,
	[VDPA_ATTR_DEV_MGMTDEV_MAX_VQS] = U32,
	[VDPA_ATTR_DEV_SUPPORTED_FEATURES] = U64,
	[VDPA_ATTR_DEV_QUEUE_INDEX] = U32,
	[VDPA_ATTR_DEV_VENDOR_ATTR_NAME] = STRING,
	[VDPA_ATTR_DEV_VENDOR_ATTR_VALUE] = U64,
	[VDPA_ATTR_DEV_FEATURES] = U64,
	[VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES] = U64,
};

/* libnl stops without a word at an attribute that reaches beyond the end. */
static int parse(struct nlmsghdr *message, struct nlattr *t[LAST_ATTR + 1])
{
	struct nlattr *attrs, *attr;
	int len, left;

	if (!genlmsg_valid_hdr(message, 0))
		return -EBADMSG;
	attrs = genlmsg_attrdata(genlmsg_hdr(message), 0);
	len = genlmsg_attrlen(genlmsg_hdr(message), 0);
	nla_for_each_attr(attr, attrs, len, left);
	if (left > 0 || nla_parse(t, LAST_ATTR, attrs, len, policy) < 0)
		return -EBADMSG;
	return 0;
}

static uint16_t get_u16(const struct nlattr *attr)
{
	return attr ? nla_get_u16(attr) : 0;
}

static uint32_t get_u32(const struct nlattr *attr)
{
	return attr ? nla_get_u32(attr) : 0;
}

static uint64_t get_u64(const struct nlattr *attr)
{
	return attr ? nla_get_u64(attr) : 0;
}

static int get_name(const struct nlattr *attr, char *name, size_t size)
{
	const int len = snprintf(name, size, "%s", attr ? (const char *)nla_data(attr) : "");

	return (size_t)len < size ? 0 : -ENAMETOOLONG;
}

int vdpa_message_mgmtdev(struct nlmsghdr *message, struct vdpa_mgmtdev *mgmt)
{
	struct nlattr *t[LAST_ATTR + 1];
	int rc;

	*mgmt = (struct vdpa_mgmtdev){ 0 };
	rc = parse(message, t);
	if (rc < 0)
		return rc;
	if (!t[VDPA_ATTR_MGMTDEV_DEV_NAME] || !t[VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES])
		return -EBADMSG;
	mgmt->classes = get_u64(t[VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES]);
	mgmt->features = get_u64(t[VDPA_ATTR_DEV_SUPPORTED_FEATURES]);
	mgmt->max_vqs = get_u32(t[VDPA_ATTR_DEV_MGMTDEV_MAX_VQS]);
	rc = get_name(t[VDPA_ATTR_MGMTDEV_BUS_NAME], mgmt->bus, sizeof(mgmt->bus));
	return rc ? rc : get_name(t[VDPA_ATTR_MGMTDEV_DEV_NAME], mgmt->name, sizeof(mgmt->name));
}

int vdpa_message_device(struct nlmsghdr *message, struct vdpa_device *device)
{
	struct nlattr *t[LAST_ATTR + 1];
	int rc;

	*device = (struct vdpa_device){ 0 };
	rc = parse(message, t);
	if (rc < 0)
		return rc;
	if (!t[VDPA_ATTR_DEV_NAME] || !t[VDPA_ATTR_MGMTDEV_DEV_NAME] || !t[VDPA_ATTR_DEV_ID] ||
	    !t[VDPA_ATTR_DEV_VENDOR_ID] || !t[VDPA_ATTR_DEV_MAX_VQS] ||
	    !t[VDPA_ATTR_DEV_MAX_VQ_SIZE])
		return -EBADMSG;
	device->device_id = get_u32(t[VDPA_ATTR_DEV_ID]);
	device->vendor_id = get_u32(t[VDPA_ATTR_DEV_VENDOR_ID]);
	device->max_vqs = get_u32(t[VDPA_ATTR_DEV_MAX_VQS]);
	device->max_vq_size = get_u16(t[VDPA_ATTR_DEV_MAX_VQ_SIZE]);
	device->min_vq_size = get_u16(t[VDPA_ATTR_DEV_MIN_VQ_SIZE]);
	rc = get_name(t[VDPA_ATTR_DEV_NAME], device->name, sizeof(device->name));
	if (!rc)
		rc = get_name(t[VDPA_ATTR_MGMTDEV_BUS_NAME], device->mgmt_bus,
			      sizeof(device->mgmt_bus));
	if (!rc)
		rc = get_name(t[VDPA_ATTR_MGMTDEV_DEV_NAME], device->mgmt_name,
			      sizeof(device->mgmt_name));
	return rc;
}

/* Where the device has no VIRTIO_NET_F_STATUS, the field means nothing. */
static bool tells_link(struct nlattr *const t[LAST_ATTR + 1], uint64_t features)
{
	return t[VDPA_ATTR_DEV_NET_STATUS] && (!features || features & 1ULL << VIRTIO_NET_F_STATUS);
}

int vdpa_message_net_config(struct nlmsghdr *message, struct vdpa_net_config *config)
{
	struct nlattr *t[LAST_ATTR + 1];
	int rc;

	*config = (struct vdpa_net_config){ 0 };
	rc = parse(message, t);
	if (rc < 0)
		return rc;
	if (!t[VDPA_ATTR_DEV_ID])
		return -EBADMSG;
	if (get_u32(t[VDPA_ATTR_DEV_ID]) != VIRTIO_ID_NET)
		return -EOPNOTSUPP;
	config->negotiated = get_u64(t[VDPA_ATTR_DEV_NEGOTIATED_FEATURES]);
	/* The second one is that of kernel 6.0. */
	config->features =
		get_u64(t[VDPA_ATTR_DEV_FEATURES] ?: t[VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES]);
	config->has_mac = t[VDPA_ATTR_DEV_NET_CFG_MACADDR];
	if (config->has_mac)
		memcpy(config->mac, nla_data(t[VDPA_ATTR_DEV_NET_CFG_MACADDR]),
		       sizeof(config->mac));
	config->has_mtu = t[VDPA_ATTR_DEV_NET_CFG_MTU];
	config->mtu = get_u16(t[VDPA_ATTR_DEV_NET_CFG_MTU]);
	config->has_max_vqp = t[VDPA_ATTR_DEV_NET_CFG_MAX_VQP];
	config->max_vqp = get_u16(t[VDPA_ATTR_DEV_NET_CFG_MAX_VQP]);
	config->has_link = tells_link(t, config->features);
	config->link =
		config->has_link && get_u16(t[VDPA_ATTR_DEV_NET_STATUS]) & VIRTIO_NET_S_LINK_UP;
	return 0;
}

static size_t count_attr(struct nlattr *attrs, int len, int type)
{
	struct nlattr *attr;
	size_t n = 0;
	int left;

	nla_for_each_attr(attr, attrs, len, left) n += nla_type(attr) == type;
	return n;
}

/* Each name is followed by its value, perhaps with a pad between. */
static int read_counters(struct nlattr *attrs, int len, struct vdpa_counter *counters, size_t *n)
{
	const struct nlattr *name = NULL;
	struct nlattr *attr;
	int left;

	nla_for_each_attr(attr, attrs, len, left)
	{
		if (nla_type(attr) == VDPA_ATTR_DEV_VENDOR_ATTR_NAME) {
			if (name)
				return -EBADMSG;
			name = attr;
		} else if (nla_type(attr) == VDPA_ATTR_DEV_VENDOR_ATTR_VALUE) {
			if (!name)
				return -EBADMSG;
			snprintf(counters[*n].name, sizeof(counters[*n].name), "%s",
				 (const char *)nla_data(name));
			counters[(*n)++].value = nla_get_u64(attr);
			name = NULL;
		}
	}
	return name ? -EBADMSG : 0;
}

int vdpa_message_counters(struct nlmsghdr *message, struct vdpa_counter **counters, size_t *n)
{
	_cleanup_free_ struct vdpa_counter *found = NULL;
	struct nlattr *t[LAST_ATTR + 1], *attrs;
	size_t room, count = 0;
	int len, rc;

	*counters = NULL;
	*n = 0;
	rc = parse(message, t);
	if (rc < 0)
		return rc;
	attrs = genlmsg_attrdata(genlmsg_hdr(message), 0);
	len = genlmsg_attrlen(genlmsg_hdr(message), 0);
	room = count_attr(attrs, len, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE);
	if (room) {
		found = calloc(room, sizeof(*found));
		if (!found)
			return -ENOMEM;
	}
	rc = read_counters(attrs, len, found, &count);
	if (rc < 0)
		return rc;
	*counters = take_ptr(found);
	*n = count;
	return 0;
}
