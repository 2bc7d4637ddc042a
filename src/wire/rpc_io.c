/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Input is read into a buffer and cut at newlines; output is a queue of messages, each of which is
 * sent by sendmsg calls of its own, so that file descriptors go with the first byte of theirs.
 *
 * Which line do received descriptors belong to? Within one recvmsg the kernel may give the end of
 * data that was sent without descriptors and then data that was sent with them, but it stops at the
 * end of the latter. So the last byte of a chunk that came with descriptors belongs to the message
 * they were sent with, and the line that holds this byte gets them. When the chunk also holds the
 * end of a line whose descriptors came before, there are two groups of them at once; never more,
 * because whole lines are handled after each chunk.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/rpc_conn.h"
#include "wire/rpc_msg.h"

#define READ_CHUNK 65536
#define BUFFER_KEEP (4 * READ_CHUNK) /* an empty buffer larger than this is given back */
#define SCM_MAX_FDS 253		     /* what the kernel takes in one message */

struct out_msg {
	TAILQ_ENTRY(out_msg) entry;
	size_t size, sent;
	unsigned int n_fds;
	int fds[RPC_FDS_MAX]; /* duplicates, closed once the first byte is sent */
	char text[];
};

void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

static void out_msg_free(struct rpc_conn *conn, struct out_msg *msg)
{
	TAILQ_REMOVE(&conn->out, msg, entry);
	conn->out_bytes -= msg->size;
	close_fds(msg->fds, msg->n_fds);
	free(msg);
}

static void out_clear(struct rpc_conn *conn)
{
	while (!TAILQ_EMPTY(&conn->out))
		out_msg_free(conn, TAILQ_FIRST(&conn->out));
}

void conn_drop_io(struct rpc_conn *conn)
{
	out_clear(conn);
	for (int i = 0; i < 2; i++) {
		close_fds(conn->in_fds[i].fds, conn->in_fds[i].n);
		conn->in_fds[i].n = 0;
	}
}

static ssize_t send_some(struct rpc_conn *conn, struct out_msg *msg)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * RPC_FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { msg->text + msg->sent, msg->size - msg->sent };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (msg->n_fds) {
		struct cmsghdr *cmsg;

		hdr.msg_control = control.buf;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * msg->n_fds);
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * msg->n_fds);
		memcpy(CMSG_DATA(cmsg), msg->fds, sizeof(int) * msg->n_fds);
	}
	return sendmsg(conn->fd, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void watch_output(struct rpc_conn *conn)
{
	sd_event_source_set_io_events(conn->io,
				      TAILQ_EMPTY(&conn->out) ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void conn_flush(struct rpc_conn *conn)
{
	struct out_msg *msg;
	struct err err;
	ssize_t n;

	while ((msg = TAILQ_FIRST(&conn->out))) {
		n = send_some(conn, msg);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			/* What the peer sent before it went is still to be read. */
			conn->state = CONN_MUTE;
			out_clear(conn);
			break;
		}
		if (n < 0) {
			err_set(&err, -errno, "send", "sending: %s", strerror(errno));
			conn_fail_later(conn, &err);
			return;
		}
		close_fds(msg->fds, msg->n_fds);
		msg->n_fds = 0;
		msg->sent += (size_t)n;
		if (msg->sent == msg->size)
			out_msg_free(conn, msg);
	}
	watch_output(conn);
}

static int dup_fds(struct out_msg *msg, const int *fds, size_t n_fds)
{
	for (size_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return -errno;
		msg->fds[msg->n_fds++] = fd;
	}
	return 0;
}

int conn_send_text(struct rpc_conn *conn, const char *text, size_t size, const int *fds,
		   size_t n_fds)
{
	size_t total = size + 1;
	struct out_msg *msg;
	struct err err;
	int ret;

	if (conn->state == CONN_MUTE)
		return 0; /* as if the peer had gone just after it was sent */
	if (conn->state != CONN_OPEN)
		return -ENOTCONN;
	if (total > RPC_LINE_MAX || n_fds > RPC_FDS_MAX)
		return -EMSGSIZE;
	if (conn->out_bytes + total > RPC_OUT_MAX) {
		err_set(&err, -ENOBUFS, "send", "the peer does not read: %zu bytes wait for it",
			conn->out_bytes);
		conn_fail_later(conn, &err);
		return -ENOTCONN;
	}
	msg = malloc(sizeof(*msg) + total);
	if (!msg)
		return -ENOMEM;
	*msg = (struct out_msg){ .size = total };
	memcpy(msg->text, text, size);
	msg->text[size] = '\n';
	ret = dup_fds(msg, fds, n_fds);
	if (ret < 0) {
		close_fds(msg->fds, msg->n_fds);
		free(msg);
		return ret;
	}
	TAILQ_INSERT_TAIL(&conn->out, msg, entry);
	conn->out_bytes += total;
	if (TAILQ_FIRST(&conn->out) == msg)
		conn_flush(conn);
	return 0;
}

int conn_send(struct rpc_conn *conn, json_object *msg, const int *fds, size_t n_fds)
{
	const char *text = NULL;
	size_t size;
	int ret = -ENOMEM;

	if (msg)
		text = rpc_msg_text(msg, &size);
	if (text)
		ret = conn_send_text(conn, text, size, fds, n_fds);
	json_object_put(msg);
	return ret;
}

/* Takes the descriptors that belong to the line that ends at offset end of the buffer. */
static size_t take_line_fds(struct rpc_conn *conn, size_t end, int *fds)
{
	struct fd_group *group = conn->in_fds;
	size_t n = group[0].n;

	if (n == 0 || group[0].at > end)
		return 0;
	memcpy(fds, group[0].fds, n * sizeof(int));
	group[0] = group[1];
	group[1].n = 0;
	return n;
}

static void handle_lines(struct rpc_conn *conn)
{
	size_t start = 0, n_fds;
	int fds[RPC_FDS_MAX];
	char *end;

	while (conn_is_live(conn) && (end = memchr(conn->in + conn->in_scanned, '\n',
						   conn->in_used - conn->in_scanned))) {
		conn->in_scanned = (size_t)(end - conn->in) + 1;
		n_fds = take_line_fds(conn, (size_t)(end - conn->in), fds);
		conn_line(conn, conn->in + start, (size_t)(end - conn->in) - start, fds, n_fds);
		close_fds(fds, n_fds);
		start = conn->in_scanned;
	}
	if (!conn_is_live(conn))
		return;
	memmove(conn->in, conn->in + start, conn->in_used - start);
	conn->in_used -= start;
	conn->in_scanned = conn->in_used;
	if (conn->in_fds[0].n)
		conn->in_fds[0].at -= start;
	if (conn->in_used == 0 && conn->in_size > BUFFER_KEEP) {
		free(conn->in);
		conn->in = NULL;
		conn->in_size = 0;
	}
}

static int grow_buffer(struct rpc_conn *conn)
{
	size_t size = conn->in_size ? conn->in_size * 2 : READ_CHUNK;
	char *in;

	if (conn->in_size - conn->in_used >= READ_CHUNK / 2)
		return 0;
	in = realloc(conn->in, size);
	if (!in)
		return -ENOMEM;
	conn->in = in;
	conn->in_size = size;
	return 0;
}

/* Which group the descriptors of a chunk (the last size bytes of the buffer) go to. */
static struct fd_group *choose_group(struct rpc_conn *conn, size_t size)
{
	const char *chunk = conn->in + conn->in_used - size;

	if (conn->in_fds[0].n && memchr(chunk, '\n', size - 1))
		return &conn->in_fds[1];
	return &conn->in_fds[0];
}

static int collect_fds(struct rpc_conn *conn, struct msghdr *hdr, size_t size, struct err *err)
{
	struct fd_group *group = choose_group(conn, size);
	struct cmsghdr *cmsg;
	int fds[SCM_MAX_FDS];
	int ret = 0;

	for (cmsg = CMSG_FIRSTHDR(hdr); cmsg; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(cmsg), n * sizeof(int));
		if (group->n + n > RPC_FDS_MAX) {
			close_fds(fds, n);
			ret = err_set(err, -EMSGSIZE, "json-rpc",
				      "more than %u file descriptors with a message", RPC_FDS_MAX);
			continue;
		}
		memcpy(group->fds + group->n, fds, n * sizeof(int));
		group->n += (unsigned int)n;
		group->at = conn->in_used - 1;
	}
	if (!ret && (hdr->msg_flags & MSG_CTRUNC))
		ret = err_set(err, -EMFILE, "json-rpc",
			      "file descriptors were lost: the limit of open files is reached");
	return ret;
}

void conn_read(struct rpc_conn *conn)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * SCM_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct msghdr hdr = { .msg_control = control.buf, .msg_controllen = sizeof(control.buf) };
	struct err err = { 0 };
	struct iovec iov;
	ssize_t n;

	if (grow_buffer(conn) < 0) {
		err_set(&err, -ENOMEM, "receive", "out of memory");
		conn_end(conn, &err);
		return;
	}
	iov = (struct iovec){ conn->in + conn->in_used, conn->in_size - conn->in_used };
	hdr.msg_iov = &iov;
	hdr.msg_iovlen = 1;
	n = recvmsg(conn->fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		if (errno != ECONNRESET) /* the peer went without reading all: a plain end */
			err_set(&err, -errno, "receive", "receiving: %s", strerror(errno));
		conn_end(conn, &err);
		return;
	}
	if (n == 0) {
		conn_end(conn, &err);
		return;
	}
	conn->in_used += (size_t)n;
	if (collect_fds(conn, &hdr, (size_t)n, &err) < 0) {
		conn_reject(conn, &err);
		return;
	}
	handle_lines(conn);
	if (conn_is_live(conn) && conn->in_used > RPC_LINE_MAX) {
		err_set(&err, -EMSGSIZE, "json-rpc", "a line of more than %u bytes", RPC_LINE_MAX);
		conn_reject(conn, &err);
	}
}
