/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/netlinks.h"

#include <errno.h>
#include <stdlib.h>

#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

struct netlinks {
	struct nl_sock *sock;
	sd_event_source *source;
	void (*changed)(void *userdata);
	void *userdata;
	unsigned int news; /* of the batch that is being read */
};

static int on_message(struct nl_msg *msg, void *arg)
{
	struct netlinks *netlinks = arg;
	const int type = nlmsg_hdr(msg)->nlmsg_type;

	if (type == RTM_NEWLINK || type == RTM_DELLINK)
		netlinks->news++;
	return NL_OK;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct netlinks *netlinks = userdata;
	int rc;

	netlinks->news = 0;
	do {
		rc = nl_recvmsgs_default(netlinks->sock);
	} while (rc >= 0);
	/* Anything but "nothing more to read" means that events were lost. */
	if (netlinks->news || rc != -NLE_AGAIN)
		netlinks->changed(netlinks->userdata);
	return 0;
}

int netlinks_new(struct netlinks **result, sd_event *event, void (*changed)(void *userdata),
		 void *userdata, struct err *err)
{
	struct netlinks *netlinks = calloc(1, sizeof(*netlinks));
	int rc;

	if (!netlinks)
		return err_set(err, -ENOMEM, "netlink", "out of memory");
	netlinks->changed = changed;
	netlinks->userdata = userdata;
	netlinks->sock = nl_socket_alloc();
	if (!netlinks->sock) {
		free(netlinks);
		return err_set(err, -ENOMEM, "netlink", "out of memory");
	}
	nl_socket_disable_seq_check(netlinks->sock);
	nl_socket_modify_cb(netlinks->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, netlinks);
	rc = nl_connect(netlinks->sock, NETLINK_ROUTE);
	if (!rc)
		rc = nl_socket_add_membership(netlinks->sock, RTNLGRP_LINK);
	if (!rc)
		rc = nl_socket_set_nonblocking(netlinks->sock);
	if (!rc)
		rc = sd_event_add_io(event, &netlinks->source, nl_socket_get_fd(netlinks->sock),
				     EPOLLIN, on_readable, netlinks);
	if (rc < 0) {
		netlinks_free(netlinks);
		return err_set(err, -EIO, "netlink",
			       "network interfaces cannot be watched (rtnetlink): %s",
			       nl_geterror(rc));
	}
	*result = netlinks;
	return 0;
}

void netlinks_free(struct netlinks *netlinks)
{
	if (!netlinks)
		return;
	sd_event_source_disable_unref(netlinks->source);
	nl_socket_free(netlinks->sock);
	free(netlinks);
}
