/* SPDX-License-Identifier: BSD-3-Clause */

/* One netlink request and its answer, with the kernel's own words when it refuses. */
#ifndef VIO4WD_NETLINK_H
#define VIO4WD_NETLINK_H

#include <stddef.h>

#include <netlink/msg.h>

/*
 * Sends msg on a socket of its own (protocol: NETLINK_ROUTE, NETLINK_GENERIC) and waits until the
 * kernel has acknowledged it; with NLM_F_DUMP, until the last message has come. answer (NULL: none
 * is wanted) is called for each message that comes back. Returns 0 or a negative errno; then why
 * has the text of the kernel's extended acknowledgement (NETLINK_EXT_ACK), or that of the errno.
 * -EINTR: a dump is not consistent, because something changed meanwhile (NLM_F_DUMP_INTR); what
 * answer got is void, ask again.
 */
int netlink_request(int protocol, struct nl_msg *msg,
		    void (*answer)(struct nlmsghdr *message, void *userdata), void *userdata,
		    char *why, size_t size);

#endif
