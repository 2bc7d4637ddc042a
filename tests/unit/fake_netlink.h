/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The kernel's end of a generic netlink socket, by the bytes: sendmsg() and recvmsg() of this
 * program stand in the place of libc's for libnl. The family "vdpa" takes one request after
 * another, and answers with what the test has put into the next of its answers.
 */
#ifndef VIO4WD_TEST_FAKE_NETLINK_H
#define VIO4WD_TEST_FAKE_NETLINK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/vdpa.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#define FAKE_FAMILY 0x1b
#define FAKE_ANSWERS 24

/* Datagrams that answer one request, each after its length. */
struct fake_answer {
	char bytes[64 * 1024];
	size_t len;
};

static struct {
	bool no_family;
	int family_error;
	bool no_number; /* the family is there, but its number is missing */
	struct fake_answer answers[FAKE_ANSWERS];
	unsigned int n_answers, next; /* next: to be taken by a request */
	struct nlmsghdr *asked;	      /* the last request to the family */
	/* What the socket has to read. */
	struct fake_answer queue;
	size_t read;
	uint32_t seq, pid;
} net;

static inline void fake_netlink_reset(void)
{
	free(net.asked);
	memset(&net, 0, sizeof(net));
}

/* Appends a datagram with these bytes. */
static inline void fake_datagram(struct fake_answer *answer, const void *bytes, size_t len)
{
	if (answer->len + sizeof(len) + len > sizeof(answer->bytes))
		abort();
	memcpy(answer->bytes + answer->len, &len, sizeof(len));
	memcpy(answer->bytes + answer->len + sizeof(len), bytes, len);
	answer->len += sizeof(len) + len;
}

static inline struct fake_answer *fake_last_answer(void)
{
	return &net.answers[net.n_answers - 1];
}

/* The datagrams that follow answer the next request. */
static inline void fake_next_answer(void)
{
	if (net.n_answers == FAKE_ANSWERS)
		abort();
	net.n_answers++;
}

static inline void fake_put(struct nl_msg *msg)
{
	fake_datagram(fake_last_answer(), nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
	nlmsg_free(msg);
}

/* Of the kind that ends a request or a dump: error 0 is an acknowledgement. words may be NULL. */
static inline struct nl_msg *fake_error(int type, int error, const char *words)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlmsgerr body = { .error = error, .msg = { .nlmsg_len = NLMSG_HDRLEN } };
	const bool done = type == NLMSG_DONE;

	nlmsg_put(msg, 0, 0, type, 0, (words ? NLM_F_ACK_TLVS : 0) | (done ? NLM_F_MULTI : 0));
	nlmsg_append(msg, done ? (void *)&error : &body, done ? sizeof(error) : sizeof(body),
		     NLMSG_ALIGNTO);
	if (!done)
		nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_CAPPED;
	if (words)
		nla_put_string(msg, NLMSGERR_ATTR_MSG, words);
	return msg;
}

static inline void fake_ack(int error, const char *words)
{
	fake_put(fake_error(NLMSG_ERROR, error, words));
}

static inline void fake_done(int error, const char *words)
{
	fake_put(fake_error(NLMSG_DONE, error, words));
}

/* The start of a message of the family. */
static inline struct nl_msg *fake_message(uint8_t command, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(16 * 1024);

	genlmsg_put(msg, 1, 1, FAKE_FAMILY, 0, flags, command, VDPA_GENL_VERSION);
	return msg;
}

static inline void fake_answer_family(void)
{
	struct nl_msg *msg = nlmsg_alloc(), *ack;

	genlmsg_put(msg, 1, 1, GENL_ID_CTRL, 0, 0, CTRL_CMD_NEWFAMILY, 2);
	nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME);
	if (!net.no_number)
		nla_put_u16(msg, CTRL_ATTR_FAMILY_ID, FAKE_FAMILY);
	if (!net.no_family && !net.family_error)
		fake_datagram(&net.queue, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
	ack = fake_error(NLMSG_ERROR, net.no_family ? -ENOENT : net.family_error, NULL);
	fake_datagram(&net.queue, nlmsg_hdr(ack), nlmsg_hdr(ack)->nlmsg_len);
	nlmsg_free(ack);
	nlmsg_free(msg);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct nlmsghdr *request = msg->msg_iov[0].iov_base;

	net.queue.len = net.read = 0;
	net.seq = request->nlmsg_seq;
	net.pid = request->nlmsg_pid;
	if (request->nlmsg_type == GENL_ID_CTRL) {
		fake_answer_family();
		return request->nlmsg_len;
	}
	if (request->nlmsg_type != FAKE_FAMILY)
		abort();
	free(net.asked);
	net.asked = malloc(request->nlmsg_len);
	memcpy(net.asked, request, request->nlmsg_len);
	if (net.next < net.n_answers)
		net.queue = net.answers[net.next++];
	return request->nlmsg_len;
}

/* The messages of a datagram are made answers to the request. */
static inline void fake_address(char *bytes, size_t len)
{
	struct nlmsghdr *header = (struct nlmsghdr *)bytes;
	int left = (int)len;

	for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
		header->nlmsg_seq = net.seq;
		header->nlmsg_pid = net.pid;
	}
}

/* A socket that nothing is left to read of: the program would wait for ever. */
ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	size_t len, room = msg->msg_iov[0].iov_len;

	if (net.read == net.queue.len) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(&len, net.queue.bytes + net.read, sizeof(len));
	memcpy(msg->msg_iov[0].iov_base, net.queue.bytes + net.read + sizeof(len),
	       len < room ? len : room);
	if (len <= room)
		fake_address(msg->msg_iov[0].iov_base, len);
	memcpy(msg->msg_name, &from, sizeof(from));
	msg->msg_namelen = sizeof(from);
	msg->msg_controllen = 0;
	msg->msg_flags = len > room ? MSG_TRUNC : 0;
	if (!(flags & MSG_PEEK))
		net.read += sizeof(len) + len;
	return flags & MSG_TRUNC || len < room ? (ssize_t)len : (ssize_t)room;
}

#endif
