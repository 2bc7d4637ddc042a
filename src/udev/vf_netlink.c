/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/vf_netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

static struct nl_msg *new_message(int type, const char *netdev)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct nl_msg *msg = nlmsg_alloc_simple(type, 0);

	if (!msg)
		return NULL;
	if (nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO) < 0 ||
	    nla_put_string(msg, IFLA_IFNAME, netdev) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

struct nl_msg *vf_netlink_query(const char *pf_netdev)
{
	struct nl_msg *msg = new_message(RTM_GETLINK, pf_netdev);

	if (msg && nla_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int put_attribute(struct nl_msg *msg, unsigned int index, enum vf_attribute which,
			 const struct vf_attributes *attrs)
{
	struct ifla_vf_mac mac = { .vf = index };
	/* A priority is of a VLAN: there is none without. */
	struct ifla_vf_vlan vlan = { .vf = index,
				     .vlan = attrs->vlan > 0 ? attrs->vlan : 0,
				     .qos = attrs->vlan > 0 && attrs->qos > 0 ? attrs->qos : 0 };
	struct ifla_vf_spoofchk spoofchk = { .vf = index, .setting = attrs->spoofchk };
	struct ifla_vf_trust trust = { .vf = index, .setting = attrs->trust };

	switch (which) {
	case VF_MAC:
		memcpy(mac.mac, attrs->mac, sizeof(attrs->mac));
		return nla_put(msg, IFLA_VF_MAC, sizeof(mac), &mac);
	case VF_VLAN:
		return nla_put(msg, IFLA_VF_VLAN, sizeof(vlan), &vlan);
	case VF_SPOOFCHK:
		return nla_put(msg, IFLA_VF_SPOOFCHK, sizeof(spoofchk), &spoofchk);
	case VF_TRUST:
		return nla_put(msg, IFLA_VF_TRUST, sizeof(trust), &trust);
	}
	return -EINVAL;
}

struct nl_msg *vf_netlink_change(const char *pf_netdev, unsigned int index, enum vf_attribute which,
				 const struct vf_attributes *attrs)
{
	struct nl_msg *msg = new_message(RTM_SETLINK, pf_netdev);
	struct nlattr *list, *info;

	if (!msg)
		return NULL;
	list = nla_nest_start(msg, IFLA_VFINFO_LIST);
	info = list ? nla_nest_start(msg, IFLA_VF_INFO) : NULL;
	if (!info || put_attribute(msg, index, which, attrs) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	nla_nest_end(msg, info);
	nla_nest_end(msg, list);
	return msg;
}

/* Spoof check and trust look the same. Drivers that do not know a setting leave it at -1. */
static int setting(const struct nlattr *attr)
{
	const struct ifla_vf_trust *value;

	if (!attr)
		return -1;
	value = nla_data(attr);
	return value->setting == UINT32_MAX ? -1 : !!value->setting;
}

static int parse_vf(struct nlattr *info, unsigned int index, struct vf_attributes *attrs)
{
	static struct nla_policy policy[IFLA_VF_MAX + 1] = {
		[IFLA_VF_MAC] = { .minlen = sizeof(struct ifla_vf_mac) },
		[IFLA_VF_VLAN] = { .minlen = sizeof(struct ifla_vf_vlan) },
		[IFLA_VF_SPOOFCHK] = { .minlen = sizeof(struct ifla_vf_spoofchk) },
		[IFLA_VF_TRUST] = { .minlen = sizeof(struct ifla_vf_trust) },
	};
	struct nlattr *t[IFLA_VF_MAX + 1];
	const struct ifla_vf_vlan *vlan;
	const struct ifla_vf_mac *mac;

	if (nla_parse_nested(t, IFLA_VF_MAX, info, policy) < 0)
		return -EBADMSG;
	if (!t[IFLA_VF_MAC])
		return -ENODEV;
	mac = nla_data(t[IFLA_VF_MAC]);
	if (mac->vf != index)
		return -ENODEV;
	*attrs = (struct vf_attributes)VF_ATTRIBUTES_UNSET;
	attrs->has_mac = true;
	memcpy(attrs->mac, mac->mac, sizeof(attrs->mac));
	if (t[IFLA_VF_VLAN]) {
		vlan = nla_data(t[IFLA_VF_VLAN]);
		attrs->vlan = (int)vlan->vlan;
		attrs->qos = (int)vlan->qos;
	}
	attrs->spoofchk = setting(t[IFLA_VF_SPOOFCHK]);
	attrs->trust = setting(t[IFLA_VF_TRUST]);
	return 0;
}

int vf_netlink_parse(struct nlmsghdr *link, unsigned int index, struct vf_attributes *attrs)
{
	struct nlattr *t[IFLA_MAX + 1], *info;
	int left, rc;

	if (nlmsg_parse(link, sizeof(struct ifinfomsg), t, IFLA_MAX, NULL) < 0)
		return -EBADMSG;
	if (!t[IFLA_VFINFO_LIST])
		return t[IFLA_NUM_VF] && nla_len(t[IFLA_NUM_VF]) >= 4 &&
				       nla_get_u32(t[IFLA_NUM_VF]) > index
			       ? -EOPNOTSUPP
			       : -ENODEV;
	nla_for_each_nested(info, t[IFLA_VFINFO_LIST], left)
	{
		rc = parse_vf(info, index, attrs);
		if (rc != -ENODEV)
			return rc;
	}
	return -ENODEV;
}
