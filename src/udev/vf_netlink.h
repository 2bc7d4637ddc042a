/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What rtnetlink says of a PF's VFs, and the messages that change it (linux/if_link.h:
 * IFLA_VFINFO_LIST, a list of IFLA_VF_INFO, one for each VF).
 *
 * Not libnl's rtnl_link_vf_*: that asks for the counters of all VFs, too, with which the list of
 * some 220 VFs is longer than the 64 KiB that an attribute can have, and the kernel cuts it.
 */
#ifndef VIO4WD_UDEV_VF_NETLINK_H
#define VIO4WD_UDEV_VF_NETLINK_H

#include <netlink/msg.h>

#include "udev/sriov.h"

enum vf_attribute { VF_MAC, VF_VLAN, VF_SPOOFCHK, VF_TRUST };

/* The caller frees the messages (nlmsg_free); NULL: out of memory. */
struct nl_msg *vf_netlink_query(const char *pf_netdev);
struct nl_msg *vf_netlink_change(const char *pf_netdev, unsigned int index, enum vf_attribute which,
				 const struct vf_attributes *attrs);

/* Takes VF index out of an RTM_NEWLINK message. Returns 0; -ENODEV: there is no such VF;
 * -EOPNOTSUPP: the PF's driver does not tell; -EBADMSG. */
int vf_netlink_parse(struct nlmsghdr *link, unsigned int index, struct vf_attributes *attrs);

#endif
