/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/sriov.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/netlink.h>

#include "common/netlink.h"
#include "udev/vf_netlink.h"

#define WHY_MAX 160

struct query {
	unsigned int index;
	struct vf_attributes *attrs;
	int result;
};

static void on_link(struct nlmsghdr *link, void *userdata)
{
	struct query *query = userdata;

	query->result = vf_netlink_parse(link, query->index, query->attrs);
}

static int no_interface(unsigned int index, struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "PF",
		       "the PF of VF %u has no network interface, by which its MAC address, VLAN, "
		       "trust and spoof check are set; is the PF on its kernel driver?",
		       index);
}

int sriov_get_attributes(const char *pf_netdev, unsigned int index, struct vf_attributes *attrs,
			 struct err *err)
{
	struct query query = { .index = index, .attrs = attrs, .result = -ENODEV };
	char why[WHY_MAX];
	struct nl_msg *msg;
	int rc;

	*attrs = (struct vf_attributes)VF_ATTRIBUTES_UNSET;
	if (!pf_netdev[0])
		return no_interface(index, err);
	msg = vf_netlink_query(pf_netdev);
	if (!msg)
		return err_set(err, -ENOMEM, "PF", "out of memory");
	rc = netlink_request(NETLINK_ROUTE, msg, on_link, &query, why, sizeof(why));
	nlmsg_free(msg);
	if (rc < 0)
		return err_set(err, rc, "PF", "%s cannot be asked for its VFs: %s", pf_netdev, why);
	switch (query.result) {
	case 0:
		return 0;
	case -ENODEV:
		return err_set(err, -ENODEV, "PF", "%s has no VF %u", pf_netdev, index);
	case -EOPNOTSUPP:
		return err_set(err, -EOPNOTSUPP, "PF",
			       "the driver of %s does not tell how its VFs are set up", pf_netdev);
	default:
		return err_set(err, query.result, "PF",
			       "what the kernel says of the VFs of %s is malformed", pf_netdev);
	}
}

/* "MAC 52:54:00:00:00:01" */
static void attribute_text(enum vf_attribute which, const struct vf_attributes *a, char *buf,
			   size_t size)
{
	switch (which) {
	case VF_MAC:
		snprintf(buf, size, "the MAC address %02x:%02x:%02x:%02x:%02x:%02x", a->mac[0],
			 a->mac[1], a->mac[2], a->mac[3], a->mac[4], a->mac[5]);
		break;
	case VF_VLAN:
		if (a->vlan > 0 && a->qos > 0)
			snprintf(buf, size, "VLAN %d with priority %d", a->vlan, a->qos);
		else if (a->vlan > 0)
			snprintf(buf, size, "VLAN %d", a->vlan);
		else
			snprintf(buf, size, "no VLAN");
		break;
	case VF_SPOOFCHK:
		snprintf(buf, size, "spoof check %s", a->spoofchk ? "on" : "off");
		break;
	case VF_TRUST:
		snprintf(buf, size, "trust %s", a->trust ? "on" : "off");
		break;
	}
}

static const char *next_step(int rc)
{
	switch (rc) {
	case -EOPNOTSUPP:
		return "; the PF's driver has no such setting: leave it out of VIO4WD_VF_OPTIONS";
	case -EPERM:
		return "; the manager needs CAP_NET_ADMIN, and some drivers want the VF to be "
		       "trusted first";
	case -ENODEV:
		return "; the PF or the VF is gone";
	default:
		return "; dmesg may say more";
	}
}

static int change(const char *pf_netdev, unsigned int index, enum vf_attribute which,
		  const struct vf_attributes *attrs, struct err *err)
{
	char text[64], why[WHY_MAX];
	struct nl_msg *msg = vf_netlink_change(pf_netdev, index, which, attrs);
	int rc;

	if (!msg)
		return err_set(err, -ENOMEM, "PF", "out of memory");
	rc = netlink_request(NETLINK_ROUTE, msg, NULL, NULL, why, sizeof(why));
	nlmsg_free(msg);
	if (rc == 0)
		return 0;
	attribute_text(which, attrs, text, sizeof(text));
	return err_set(err, rc, "PF", "%s refuses %s for its VF %u: %s%s", pf_netdev, text, index,
		       why, next_step(rc));
}

/* A VLAN and its priority are one setting; what is not given of it stays. */
static bool vlan_differs(const struct vf_attributes *now, struct vf_attributes *wanted)
{
	if (wanted->vlan < 0)
		wanted->vlan = now->vlan;
	if (wanted->vlan <= 0)
		return wanted->vlan == 0 && now->vlan != 0;
	if (wanted->qos < 0 && wanted->vlan == now->vlan)
		wanted->qos = now->qos;
	return wanted->vlan != now->vlan || (wanted->qos > 0 ? wanted->qos : 0) != now->qos;
}

int sriov_set_attributes(const char *pf_netdev, unsigned int index,
			 const struct vf_attributes *attrs, struct err *err)
{
	struct vf_attributes now, wanted = *attrs;
	struct err why = { 0 };
	int rc;

	if (!attrs->has_mac && attrs->vlan < 0 && attrs->qos < 0 && attrs->trust < 0 &&
	    attrs->spoofchk < 0)
		return 0;
	/* A driver that does not tell may take settings nevertheless. */
	rc = sriov_get_attributes(pf_netdev, index, &now, &why);
	if (rc < 0 && (rc != -EOPNOTSUPP || !pf_netdev[0]))
		return err_set(err, rc, why.step, "%s", why.text);
	rc = 0;
	if (attrs->has_mac && (!now.has_mac || memcmp(now.mac, attrs->mac, sizeof(now.mac)) != 0))
		rc = change(pf_netdev, index, VF_MAC, attrs, err);
	if (!rc && vlan_differs(&now, &wanted))
		rc = change(pf_netdev, index, VF_VLAN, &wanted, err);
	if (!rc && attrs->spoofchk >= 0 && attrs->spoofchk != now.spoofchk)
		rc = change(pf_netdev, index, VF_SPOOFCHK, attrs, err);
	if (!rc && attrs->trust >= 0 && attrs->trust != now.trust)
		rc = change(pf_netdev, index, VF_TRUST, attrs, err);
	return rc;
}
