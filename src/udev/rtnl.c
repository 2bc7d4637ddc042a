/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/rtnl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "common/cleanup.h"

struct request {
	void (*answer)(struct nlmsghdr *message, void *userdata);
	void *userdata;
	bool finished;
	int error; /* negative errno */
	char *why;
	size_t size;
};

static void cleanup_sock(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static int on_answer(struct nl_msg *msg, void *arg)
{
	struct request *request = arg;

	if (request->answer)
		request->answer(nlmsg_hdr(msg), request->userdata);
	return NL_OK;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct request *request = arg;

	request->finished = true;
	return NL_STOP;
}

/* The attributes follow the request, of which only the header is there when it was capped. */
static void read_extended_ack(struct request *request, struct nlmsgerr *error)
{
	struct nlmsghdr *header = (struct nlmsghdr *)((char *)error - NLMSG_HDRLEN);
	int offset = sizeof(*error), len;
	struct nlattr *text;

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		offset += NLMSG_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
	len = nlmsg_datalen(header) - NLMSG_ALIGN(offset);
	if (len <= 0)
		return;
	text = nla_find((struct nlattr *)((char *)error + NLMSG_ALIGN(offset)), len,
			NLMSGERR_ATTR_MSG);
	if (text)
		snprintf(request->why, request->size, "%.*s", nla_len(text),
			 (char *)nla_data(text));
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *arg)
{
	struct request *request = arg;

	request->finished = true;
	request->error = error->error;
	snprintf(request->why, request->size, "%s", strerror(-error->error));
	read_extended_ack(request, error);
	return NL_STOP;
}

static int failed(struct request *request, int rc)
{
	snprintf(request->why, request->size, "rtnetlink: %s", nl_geterror(rc));
	return -EIO;
}

int rtnl_request(struct nl_msg *msg, void (*answer)(struct nlmsghdr *message, void *userdata),
		 void *userdata, char *why, size_t size)
{
	struct request request = {
		.answer = answer, .userdata = userdata, .why = why, .size = size
	};
	_cleanup_(cleanup_sock) struct nl_sock *sock = nl_socket_alloc();
	const int on = 1;
	int rc;

	if (!sock)
		return failed(&request, -NLE_NOMEM);
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_answer, &request);
	nl_socket_modify_cb(sock, NL_CB_ACK, NL_CB_CUSTOM, on_ack, &request);
	nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, on_error, &request);
	rc = nl_connect(sock, NETLINK_ROUTE);
	if (rc < 0)
		return failed(&request, rc);
	/* Kernels before 4.12 have no such words. */
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	rc = nl_send_auto(sock, msg);
	while (rc >= 0 && !request.finished)
		rc = nl_recvmsgs_default(sock);
	if (!request.finished)
		return failed(&request, rc);
	return request.error;
}
