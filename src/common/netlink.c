/* SPDX-License-Identifier: BSD-3-Clause */

#include "common/netlink.h"

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
	bool interrupted;
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

static int on_interruption(struct nl_msg *msg, void *arg)
{
	struct request *request = arg;

	request->interrupted = true;
	return NL_OK;
}

/* What the kernel says of an error beside its number, in attributes at an offset of the message. */
static void read_words(struct request *request, struct nlmsghdr *header, int offset)
{
	const int len = nlmsg_datalen(header) - NLMSG_ALIGN(offset);
	struct nlattr *text;

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS) || len <= 0)
		return;
	text = nla_find((struct nlattr *)((char *)nlmsg_data(header) + NLMSG_ALIGN(offset)), len,
			NLMSGERR_ATTR_MSG);
	if (text)
		snprintf(request->why, request->size, "%.*s", nla_len(text),
			 (char *)nla_data(text));
}

static void refused(struct request *request, int error)
{
	request->finished = true;
	request->error = error;
	snprintf(request->why, request->size, "%s", strerror(-error));
}

/* The words follow the request, of which only the header is there when it was capped. */
static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *arg)
{
	struct request *request = arg;
	struct nlmsghdr *header = (struct nlmsghdr *)((char *)error - NLMSG_HDRLEN);
	int offset = sizeof(*error);

	refused(request, error->error);
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		offset += NLMSG_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
	read_words(request, header, offset);
	return NL_STOP;
}

/* The end of a dump has the error that it ended with. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct request *request = arg;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	int error = 0;

	if (nlmsg_datalen(header) >= (int)sizeof(error))
		memcpy(&error, nlmsg_data(header), sizeof(error));
	request->finished = true;
	if (error < 0) {
		refused(request, error);
		read_words(request, header, sizeof(error));
	}
	return NL_STOP;
}

static int failed(struct request *request, int rc)
{
	snprintf(request->why, request->size, "netlink: %s", nl_geterror(rc));
	return rc == -NLE_MSG_TRUNC ? -EBADMSG : -EIO;
}

static void set_up(struct nl_sock *sock, struct request *request)
{
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_answer, request);
	nl_socket_modify_cb(sock, NL_CB_ACK, NL_CB_CUSTOM, on_ack, request);
	nl_socket_modify_cb(sock, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, request);
	nl_socket_modify_cb(sock, NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_interruption, request);
	nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, on_error, request);
}

int netlink_request(int protocol, struct nl_msg *msg,
		    void (*answer)(struct nlmsghdr *message, void *userdata), void *userdata,
		    char *why, size_t size)
{
	struct request request = {
		.answer = answer, .userdata = userdata, .why = why, .size = size
	};
	_cleanup_(cleanup_sock) struct nl_sock *sock = nl_socket_alloc();
	const int on = 1;
	int rc;

	if (!sock)
		return failed(&request, -NLE_NOMEM);
	set_up(sock, &request);
	rc = nl_connect(sock, protocol);
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
	if (!request.error && request.interrupted) {
		snprintf(why, size, "it changed while it was listed");
		return -EINTR;
	}
	return request.error;
}
