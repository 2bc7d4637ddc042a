/* SPDX-License-Identifier: BSD-3-Clause */

/* One call at a time, waiting with poll(2): for programs without an event loop. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire/rpc.h"
#include "wire/rpc_msg.h"
#include "wire/unix_listen.h"

#define CONNECT_TIMEOUT_MS 2000
#define READ_CHUNK 65536

enum client_state { CLIENT_READY, CLIENT_LOST };

struct rpc_client {
	int fd;
	enum client_state state;
	int64_t last_call;
	char *in;
	size_t in_size, in_used;
};

int rpc_client_connect(struct rpc_client **ret_client, const char *path, struct err *err)
{
	struct rpc_client *client = calloc(1, sizeof(*client));

	if (!client)
		return err_set(err, -ENOMEM, "connect", "out of memory");
	client->fd = unix_connect(path, CONNECT_TIMEOUT_MS, err);
	if (client->fd < 0) {
		int ret = client->fd;

		free(client);
		return ret;
	}
	*ret_client = client;
	return 0;
}

void rpc_client_free(struct rpc_client *client)
{
	if (!client)
		return;
	close(client->fd);
	free(client->in);
	free(client);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* deadline: of now_ms(), 0 for none. A signal ends it with -EINTR: the program may want to stop. */
static int wait_for(struct rpc_client *client, short events, int64_t deadline, struct err *err)
{
	struct pollfd pfd = { .fd = client->fd, .events = events };
	int64_t left = -1;
	int n;

	if (deadline) {
		left = deadline - now_ms();
		left = left < 0 ? 0 : left;
	}
	n = poll(&pfd, 1, (int)left);
	if (n < 0)
		return err_set(err, -errno, "call", "waiting for the answer: %s", strerror(errno));
	if (n == 0)
		return err_set(err, -ETIMEDOUT, "call", "no answer in time");
	return 0;
}

static int lost(struct err *err)
{
	return err_set(err, -ECONNRESET, "connection", "the daemon closed the connection");
}

static int send_line(struct rpc_client *client, const char *text, size_t size, int64_t deadline,
		     struct err *err)
{
	size_t sent = 0;
	ssize_t n;
	int ret;

	while (sent < size) {
		n = send(client->fd, text + sent, size - sent, MSG_NOSIGNAL);
		if (n >= 0) {
			sent += (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return lost(err);
		if (errno != EAGAIN && errno != EINTR)
			return err_set(err, -errno, "call", "sending: %s", strerror(errno));
		ret = wait_for(client, POLLOUT, deadline, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int read_some(struct rpc_client *client, int64_t deadline, struct err *err)
{
	ssize_t n;
	int ret;

	if (client->in_size - client->in_used < READ_CHUNK / 2) {
		size_t size = client->in_size ? client->in_size * 2 : READ_CHUNK;
		char *in = realloc(client->in, size);

		if (!in)
			return err_set(err, -ENOMEM, "call", "out of memory");
		client->in = in;
		client->in_size = size;
	}
	ret = wait_for(client, POLLIN, deadline, err);
	if (ret < 0)
		return ret;
	n = recv(client->fd, client->in + client->in_used, client->in_size - client->in_used, 0);
	if (n > 0)
		client->in_used += (size_t)n;
	else if (n == 0 || errno == ECONNRESET)
		return lost(err);
	else if (errno != EAGAIN && errno != EINTR)
		return err_set(err, -errno, "call", "receiving: %s", strerror(errno));
	return 0;
}

/* The next line that is there or comes; the caller drops it with drop_line. */
static int read_line(struct rpc_client *client, size_t *size, int64_t deadline, struct err *err)
{
	char *end;
	int ret;

	while (!client->in || !(end = memchr(client->in, '\n', client->in_used))) {
		if (client->in_used > RPC_LINE_MAX)
			return err_set(err, -EMSGSIZE, "call", "the answer is too long");
		ret = read_some(client, deadline, err);
		if (ret < 0)
			return ret;
	}
	*size = (size_t)(end - client->in);
	return 0;
}

static void drop_line(struct rpc_client *client, size_t size)
{
	client->in_used -= size + 1;
	memmove(client->in, client->in + size + 1, client->in_used);
}

/* Reads until the answer to our last call; notifications are of no interest here. */
static int read_answer(struct rpc_client *client, int64_t deadline, json_object **result,
		       struct err *err)
{
	struct rpc_msg msg;
	size_t size = 0;
	int ret;

	for (;;) {
		ret = read_line(client, &size, deadline, err);
		if (ret < 0)
			return ret;
		ret = rpc_msg_parse(&msg, client->in, size, err);
		drop_line(client, size);
		if (ret < 0)
			return ret;
		if (msg.kind == RPC_MSG_ERROR && (msg.call == client->last_call || msg.call < 0)) {
			client->state = CLIENT_READY;
			*err = msg.error;
			rpc_msg_clear(&msg);
			return err->code;
		}
		if (msg.kind == RPC_MSG_RESULT && msg.call == client->last_call) {
			client->state = CLIENT_READY;
			*result = json_object_get(msg.result);
			rpc_msg_clear(&msg);
			return 0;
		}
		rpc_msg_clear(&msg);
	}
}

int rpc_client_call(struct rpc_client *client, const char *method, json_object *params,
		    unsigned int timeout_ms, json_object **result, struct err *err)
{
	int64_t deadline = timeout_ms ? now_ms() + timeout_ms : 0;
	json_object *msg = rpc_msg_call(++client->last_call, method, params);
	struct err dummy;
	size_t size;
	int ret;

	err = err ? err : &dummy;
	if (!msg || !rpc_msg_text(msg, &size)) {
		json_object_put(msg);
		return err_set(err, -ENOMEM, "call", "out of memory");
	}
	client->state = CLIENT_LOST; /* until there is an answer */
	ret = send_line(client, rpc_msg_text(msg, &size), size, deadline, err);
	if (ret == 0)
		ret = send_line(client, "\n", 1, deadline, err);
	json_object_put(msg);
	/* A daemon that refuses the line says so before it closes. */
	if (ret < 0 && ret != -ECONNRESET)
		return ret;
	return read_answer(client, deadline, result, err);
}

bool rpc_client_lost(const struct rpc_client *client)
{
	return client->state == CLIENT_LOST;
}
