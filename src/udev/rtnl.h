/* SPDX-License-Identifier: BSD-3-Clause */

/* One rtnetlink request and its answer, with the kernel's own words when it refuses. */
#ifndef VIO4WD_UDEV_RTNL_H
#define VIO4WD_UDEV_RTNL_H

#include <stddef.h>

#include <netlink/msg.h>

/*
 * Sends msg and waits until the kernel has acknowledged it. answer (NULL: none is wanted) is called
 * for each message that comes back. Returns 0 or a negative errno; then why has the text of the
 * kernel's extended acknowledgement (NETLINK_EXT_ACK), or that of the errno.
 */
int rtnl_request(struct nl_msg *msg, void (*answer)(struct nlmsghdr *message, void *userdata),
		 void *userdata, char *why, size_t size);

#endif
