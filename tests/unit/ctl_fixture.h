/* SPDX-License-Identifier: BSD-3-Clause */

/* vio4wdctl as a program, against a daemon whose answers the test writes. */
#ifndef VIO4WD_TEST_CTL_FIXTURE_H
#define VIO4WD_TEST_CTL_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <kselftest_harness.h>

#include "wire/rpc.h"

#define ARGS_MAX 16
#define DEADLINE_MS 20000

FIXTURE(ctl) {
	char dir[40], socket[64], program[PATH_MAX];
	sd_event *event;
	struct rpc_server *server;
	struct err err;
	/* what the daemon does next, and was asked last */
	const char *result; /* NULL: refuses */
	const char *vfs;    /* of vf-list, when it is another one */
	enum { ANSWER, SILENT, CLOSE } then;
	unsigned int requests;
	struct rpc_request *held; /* by SILENT */
	const char *until;	  /* SILENT: answers when this was said on stderr */
	int terminal[2];	  /* of stderr, when it is to be one: ours and its end */
	char method[32], params[256];
	char out[16384], error[4096];
};

typedef FIXTURE_DATA(ctl) ctl_t;

#define RELAY                                                                                         \
	"{\"id\":1,\"device\":\"netdev:veth0\",\"backend\":\"software\",\"backend_wanted\":\"auto\"," \
	"\"state\":\"active\",\"reason\":\"software: no vDPA\",\"next_try_s\":null,"                  \
	"\"socket\":\"/tmp/vf1.sock\",\"mode\":\"server\",\"vm\":true,\"queues\":4,"                  \
	"\"cpus\":{\"vf_to_vm\":[1],\"vm_to_vf\":[2]},\"pinned\":false,\"process\":0,"                \
	"\"origin\":\"control\",\"link\":true,"                                                       \
	"\"rates\":{\"vf_to_vm\":{\"packets\":1000000.0,\"bytes\":64000000.0},"                       \
	"\"vm_to_vf\":{\"packets\":0.0,\"bytes\":0.0}},"                                              \
	"\"drops\":{\"vf_to_vm\":5,\"vm_to_vf\":0}"
#define FREE_RELAY "{\"id\":2,\"device\":null,\"state\":\"free\",\"socket\":\"/tmp/vf2.sock\"}"

static inline void on_request(struct rpc_conn *conn, struct rpc_request *req, const char *method,
			      json_object *params, int *fds, size_t n_fds, void *userdata)
{
	static const struct err refused = { -EINVAL, "id", "relay 99: ids are 0 to 63" };
	ctl_t *self = userdata;

	self->requests++;
	snprintf(self->method, sizeof(self->method), "%s", method);
	snprintf(self->params, sizeof(self->params), "%s",
		 json_object_to_json_string_ext(params, JSON_C_TO_STRING_PLAIN));
	if (self->then == CLOSE)
		rpc_conn_close(conn);
	if (self->then == SILENT) {
		self->held = req;
		return;
	}
	if (strcmp(method, "config") == 0 && self->result)
		rpc_reply(req, json_tokener_parse("{\"VIRTIOFWD_MRGBUF\":false,"
						  "\"VIRTIOFWD_JUMBO\":true}"));
	else if (strcmp(method, "vf-list") == 0 && self->vfs && strcmp(self->params, "{}") == 0)
		rpc_reply(req, json_tokener_parse(self->vfs));
	else if (self->result)
		rpc_reply(req, json_tokener_parse(self->result));
	else
		rpc_reply_error(req, &refused);
}

static const struct rpc_handlers handlers = { .request = on_request };

static inline void serve(ctl_t *self)
{
	int fd = rpc_listen(self->socket, 0600, &self->err);

	rpc_server_new(&self->server, self->event, fd, &handlers, self);
}

FIXTURE_SETUP(ctl)
{
	ssize_t n = readlink("/proc/self/exe", self->program, sizeof(self->program) - 40);
	char *slash;

	ASSERT_LT(0, n);
	self->program[n] = '\0';
	slash = strrchr(self->program, '/');
	strcpy(slash, "/../../src/ctl/vio4wdctl");
	ASSERT_EQ(0, access(self->program, X_OK))
	{
		TH_LOG("%s is not built", self->program);
	}
	strcpy(self->dir, "/tmp/test-wire-ctl.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->socket, sizeof(self->socket), "%s/control", self->dir);
	ASSERT_EQ(0, sd_event_new(&self->event));
	serve(self);
	self->result = "{}";
}

FIXTURE_TEARDOWN(ctl)
{
	rpc_server_free(self->server);
	if (self->held)
		rpc_reply(self->held, NULL);
	for (size_t i = 0; i < 2 && self->terminal[i]; i++)
		close(self->terminal[i]);
	sd_event_unref(self->event);
	unlink(self->socket);
	rmdir(self->dir);
}

static inline void drain(int fd, char *buf, size_t size)
{
	size_t len = strlen(buf);
	ssize_t n;

	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		buf[len += (size_t)n] = '\0';
}

static inline pid_t start(ctl_t *self, char **argv, int out[2], int err[2])
{
	pid_t pid;

	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(self->terminal[1] ? self->terminal[1] : err[1], STDERR_FILENO);
		execv(self->program, argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	return pid;
}

/* Runs vio4wdctl with words split at spaces and serves it until it ends, or
 * until stop_after requests, when it gets a SIGINT. Returns its exit status. */
static inline int run_until(ctl_t *self, unsigned int stop_after, const char *fmt, va_list ap)
{
	char line[512], *argv[ARGS_MAX], *rest = line, *word;
	int out[2], err[2], status = 0, n = 0;
	uint64_t turns = 0;
	pid_t pid, ended = 0;

	vsnprintf(line, sizeof(line), fmt, ap);
	argv[n++] = self->program;
	while ((word = strsep(&rest, " ")) && n < ARGS_MAX - 1) {
		if (*word)
			argv[n++] = word;
	}
	argv[n] = NULL;
	self->out[0] = self->error[0] = '\0';
	self->requests = 0;
	pid = start(self, argv, out, err);
	while (ended == 0 && turns++ < DEADLINE_MS / 5) {
		sd_event_run(self->event, 5000);
		drain(out[0], self->out, sizeof(self->out));
		drain(self->terminal[0] ? self->terminal[0] : err[0], self->error,
		      sizeof(self->error));
		if (self->held && self->until && strstr(self->error, self->until)) {
			rpc_reply(self->held, json_tokener_parse(self->result));
			self->held = NULL;
		}
		if (stop_after && self->requests >= stop_after)
			kill(pid, SIGINT);
		ended = waitpid(pid, &status, WNOHANG);
	}
	if (ended == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	drain(out[0], self->out, sizeof(self->out));
	drain(self->terminal[0] ? self->terminal[0] : err[0], self->error, sizeof(self->error));
	close(out[0]);
	close(err[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int run(ctl_t *self, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ... with --runtime-dir. */
static inline int run(ctl_t *self, const char *fmt, ...)
{
	char with_dir[256];
	va_list ap;
	int ret;

	snprintf(with_dir, sizeof(with_dir), "--runtime-dir %s %s", self->dir, fmt);
	va_start(ap, fmt);
	ret = run_until(self, 0, with_dir, ap);
	va_end(ap);
	return ret;
}

static inline int run_alone(ctl_t *self, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline int run_alone(ctl_t *self, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = run_until(self, 0, fmt, ap);
	va_end(ap);
	return ret;
}

static inline int run_stopped(ctl_t *self, unsigned int stop_after, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static inline int run_stopped(ctl_t *self, unsigned int stop_after, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = run_until(self, stop_after, fmt, ap);
	va_end(ap);
	return ret;
}

#define EXPECT_IN(needle, text)                             \
	EXPECT_NE(NULL, strstr(text, needle))               \
	{                                                   \
		TH_LOG("'%s' is not in: %s", needle, text); \
	}

#endif
