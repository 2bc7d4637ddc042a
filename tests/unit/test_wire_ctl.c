/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vio4wdctl as a program against a daemon whose answers are written here: what it asks, what it
 * prints, and its exit status.
 */

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
	enum { ANSWER, SILENT, CLOSE } then;
	unsigned int requests;
	struct rpc_request *held; /* by SILENT */
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

static void on_request(struct rpc_conn *conn, struct rpc_request *req, const char *method,
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
	else if (self->result)
		rpc_reply(req, json_tokener_parse(self->result));
	else
		rpc_reply_error(req, &refused);
}

static const struct rpc_handlers handlers = { .request = on_request };

static void serve(ctl_t *self)
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
	sd_event_unref(self->event);
	unlink(self->socket);
	rmdir(self->dir);
}

static void drain(int fd, char *buf, size_t size)
{
	size_t len = strlen(buf);
	ssize_t n;

	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		buf[len += (size_t)n] = '\0';
}

static pid_t start(ctl_t *self, char **argv, int out[2], int err[2])
{
	pid_t pid;

	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		execv(self->program, argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	return pid;
}

/* Runs vio4wdctl with words split at spaces and serves it until it ends, or
 * until stop_after requests, when it gets a SIGINT. Returns its exit status. */
static int run_until(ctl_t *self, unsigned int stop_after, const char *fmt, va_list ap)
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
		drain(err[0], self->error, sizeof(self->error));
		if (stop_after && self->requests >= stop_after)
			kill(pid, SIGINT);
		ended = waitpid(pid, &status, WNOHANG);
	}
	if (ended == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	drain(out[0], self->out, sizeof(self->out));
	drain(err[0], self->error, sizeof(self->error));
	close(out[0]);
	close(err[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int run(ctl_t *self, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ... with --runtime-dir. */
static int run(ctl_t *self, const char *fmt, ...)
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

static int run_alone(ctl_t *self, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int run_alone(ctl_t *self, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = run_until(self, 0, fmt, ap);
	va_end(ap);
	return ret;
}

static int run_stopped(ctl_t *self, unsigned int stop_after, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int run_stopped(ctl_t *self, unsigned int stop_after, const char *fmt, ...)
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

TEST_F(ctl, status) {
	self->result = "{\"relays\":[" RELAY "}," FREE_RELAY "]}";
	EXPECT_EQ(0, run(self, "status"));
	EXPECT_STREQ("status", self->method);
	EXPECT_STREQ(
		"ID DEVICE       BACKEND  STATE  VM  QUEUES CPUS TO-VM                TO-VF         "
		"DROPS SOCKET        REASON\n"
		" 1 netdev:veth0 software active yes      4 1/2  1.00 Mpps 512 Mbit/s 0 pps 0 bit/s "
		"5/0   /tmp/vf1.sock software: no vDPA\n",
		self->out);
	EXPECT_EQ(0, run(self, "status --all --no-headings"));
	EXPECT_EQ(NULL, strstr(self->out, "DEVICE"));
	EXPECT_IN("/tmp/vf2.sock", self->out);
}

TEST_F(ctl, json_is_the_result) {
	json_object *result;
	char expected[4096];

	self->result = "{\"relays\":[" RELAY ",\"new_key\":1}," FREE_RELAY "]}";
	EXPECT_EQ(0, run(self, "status --json"));
	result = json_tokener_parse(self->result);
	snprintf(expected, sizeof(expected), "%s\n",
		 json_object_to_json_string_ext(result, JSON_C_TO_STRING_PRETTY |
								JSON_C_TO_STRING_SPACED |
								JSON_C_TO_STRING_NOSLASHESCAPE));
	EXPECT_STREQ(expected, self->out);
	json_object_put(result);
}

TEST_F(ctl, show) {
	self->result =
		RELAY ",\"vm_detail\":{\"connected\":true,\"queues\":4,\"features_text\":"
		      "[\"VIRTIO_F_VERSION_1\"]},\"history\":[{\"time\":1,\"text\":\"added\"}]}";
	EXPECT_EQ(0, run(self, "show 1"));
	EXPECT_STREQ("show", self->method);
	EXPECT_STREQ("{\"id\":1}", self->params);
	EXPECT_IN("VIRTIO_F_VERSION_1", self->out);
	EXPECT_IN("added", self->out);
	self->result = "[]"; /* nonsense of a daemon is no crash */
	EXPECT_EQ(0, run(self, "show 1"));
}

TEST_F(ctl, add_and_remove) {
	self->result = RELAY "}";
	EXPECT_EQ(0, run(self, "add --id 1 --device netdev:veth0 --backend sw --conditional"));
	EXPECT_STREQ(
		"{\"id\":1,\"device\":\"netdev:veth0\",\"backend\":\"sw\",\"conditional\":true}",
		self->params);
	EXPECT_IN("/tmp/vf1.sock", self->out);
	self->result = "{}";
	EXPECT_EQ(0, run(self, "remove 1"));
	EXPECT_STREQ("{\"id\":1}", self->params);
	EXPECT_EQ(0, run(self, "remove --id 1 --device netdev:veth0"));
	EXPECT_STREQ("{\"id\":1,\"device\":\"netdev:veth0\"}", self->params);
}

TEST_F(ctl, pin) {
	self->result = RELAY "}";
	EXPECT_EQ(0, run(self, "pin 1 --cpu 3"));
	EXPECT_STREQ("{\"id\":1,\"vf_to_vm\":3,\"vm_to_vf\":3}", self->params);
	EXPECT_EQ(0, run(self, "pin --cpu=3,4 1"));
	EXPECT_STREQ("{\"id\":1,\"vf_to_vm\":3,\"vm_to_vf\":4}", self->params);
	EXPECT_EQ(0, run(self, "pin 1 --cpu auto"));
	EXPECT_STREQ("{\"id\":1,\"vf_to_vm\":-1,\"vm_to_vf\":-1}", self->params);
}

TEST_F(ctl, others) {
	EXPECT_EQ(0, run(self, "relays"));
	EXPECT_STREQ("relays", self->method);
	EXPECT_EQ(0, run(self, "stats 1 --window 500"));
	EXPECT_STREQ("{\"id\":1,\"window_ms\":500}", self->params);
	self->result = "{\"level\":7}";
	EXPECT_EQ(0, run(self, "log-level 7"));
	EXPECT_STREQ("7 (debug)\n", self->out);
	EXPECT_STREQ("{\"level\":7}", self->params);
	self->result = "{\"warnings\":[\"line 3: later\"]}";
	EXPECT_EQ(0, run(self, "reload"));
	EXPECT_STREQ("vio4wdctl: warning: line 3: later\n", self->error);
	EXPECT_EQ(0, run(self, "version"));
	EXPECT_EQ(0, run(self, "config show"));
	EXPECT_STREQ("VIRTIOFWD_MRGBUF=false\nVIRTIOFWD_JUMBO=true\n", self->out);
}

TEST_F(ctl, arguments_for_qemu) {
	self->result = RELAY "}";
	EXPECT_EQ(0, run(self, "qemu-args 1 --queues 2 --mac 52:54:00:00:00:01 --memory 2G"));
	EXPECT_STREQ("-m 2048M\n"
		     "-object memory-backend-memfd,id=vio4wd-mem,size=2048M,share=on\n"
		     "-machine memory-backend=vio4wd-mem\n"
		     "-chardev socket,id=vio4wd1,path=/tmp/vf1.sock,reconnect=1\n"
		     "-netdev vhost-user,id=vio4wd-net1,chardev=vio4wd1,queues=2\n"
		     "-device virtio-net-pci,netdev=vio4wd-net1,mq=on,vectors=6,"
		     "mac=52:54:00:00:00:01,mrg_rxbuf=off,host_mtu=9000\n",
		     self->out);
	self->result = "{\"id\":1,\"mode\":\"client\",\"socket\":\"/tmp/a,b\"}";
	EXPECT_EQ(0, run(self, "qemu-args 1 --qemu 10.0 --hugepages"));
	EXPECT_IN("path=/tmp/a,,b,server=on,wait=off\n", self->out);
	EXPECT_IN("hugetlb=on", self->out);
	EXPECT_EQ(0, run(self, "libvirt-xml 1"));
	EXPECT_IN("path='/tmp/a,b' mode='server'/>", self->out);
	self->result = "{\"id\":1,\"mode\":\"server\",\"socket\":\"/tmp/a<'b\"}";
	EXPECT_EQ(0, run(self, "qemu-args 1 --qemu 10.0"));
	EXPECT_IN("reconnect-ms=1000\n", self->out);
	EXPECT_EQ(0, run(self, "libvirt-xml 1"));
	EXPECT_IN("path='/tmp/a&lt;&apos;b' mode='client'>", self->out);
}

TEST_F(ctl, refusals) {
	static const char *const lines[] = { "show 99",	       "add --id 99 --device x",
					     "remove 99",      "stats 99",
					     "pin 99 --cpu 1", "qemu-args 99",
					     "libvirt-xml 99", "status --json" };

	self->result = NULL;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		EXPECT_EQ(1, run_alone(self, "--runtime-dir %s %s", self->dir, lines[i]));
		EXPECT_STREQ("vio4wdctl: relay 99: ids are 0 to 63\n", self->error);
		EXPECT_STREQ("", self->out);
	}
}

TEST_F(ctl, wrong_usage) {
	static const char *const lines[] = {
		"",
		"nonsense",
		"status x",
		"status --nonsense",
		"show",
		"show x",
		"show -1",
		"show 1 2",
		"add",
		"add --id 1",
		"add --device x",
		"add --id",
		"remove",
		"remove 1 --id 1",
		"pin 1",
		"pin 1 --cpu x",
		"pin 1 --cpu 1,2,3",
		"log-level 8",
		"config",
		"config x",
		"config show x",
		"stats --watch=0",
		"stats --window 1001",
		"--timeout x status",
		"add --id 1 --device d --backend x",
		"qemu-args 1 --queues 33",
		"qemu-args 1 --queues 0",
		"qemu-args 1 --mac 5",
		"qemu-args 1 --mac 01:00:00:00:00:00",
		"qemu-args 1 --memory 5",
		"libvirt-xml 1 --qemu 9",
		"status --json=1",
		"-x",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		EXPECT_EQ(2, run_alone(self, "--runtime-dir %s %s", self->dir, lines[i]))
		{
			TH_LOG("line: %s", lines[i]);
		}
		EXPECT_IN("--help", self->error);
		EXPECT_STREQ("", self->out);
		EXPECT_EQ(0, self->requests);
	}
	run(self, "stauts");
	EXPECT_IN("did you mean 'status'?", self->error);
	run(self, "add --devcie x");
	EXPECT_IN("did you mean --device?", self->error);
}

TEST_F(ctl, help_needs_no_daemon) {
	static const char *const commands[] = { "status", "show",   "add",	 "remove",
						"stats",  "pin",    "relays",	 "log-level",
						"reload", "config", "qemu-args", "libvirt-xml",
						"version" };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		EXPECT_EQ(0, run_alone(self, "%s --help", commands[i]));
		EXPECT_IN("Usage: vio4wdctl", self->out);
		EXPECT_IN(commands[i], self->out);
	}
	EXPECT_EQ(0, run_alone(self, "--help"));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		EXPECT_IN(commands[i], self->out);
	}
	EXPECT_EQ(0, run_alone(self, "--version"));
	EXPECT_STREQ("vio4wdctl " VIO4WD_VERSION "\n", self->out);
}

TEST_F(ctl, daemon_cannot_be_reached) {
	EXPECT_EQ(3, run_alone(self, "--runtime-dir /tmp/test-wire-ctl.none status"));
	EXPECT_IN("/tmp/test-wire-ctl.none/control", self->error);
	EXPECT_IN("not running", self->error);
	rpc_server_free(self->server);
	self->server = NULL;
	EXPECT_EQ(3, run(self, "status"));
	EXPECT_IN("nobody listens", self->error);
}

TEST_F(ctl, daemon_that_goes_or_is_silent) {
	self->then = CLOSE;
	EXPECT_EQ(3, run(self, "status"));
	self->then = SILENT;
	EXPECT_EQ(3, run(self, "--timeout 0.1 status"));
	EXPECT_IN("did not answer", self->error);
}

TEST_F(ctl, runtime_dir_of_the_configuration) {
	char file[80];
	FILE *f;

	snprintf(file, sizeof(file), "%s/conf", self->dir);
	f = fopen(file, "w");
	fprintf(f, "VIO4WD_RUNTIME_DIR=%s\n", self->dir);
	fclose(f);
	EXPECT_EQ(0, run_alone(self, "status --config %s", file));
	EXPECT_EQ(1, self->requests);
	unlink(file);
	EXPECT_EQ(1, run_alone(self, "status --config %s", file));
	EXPECT_IN(file, self->error);
}

TEST_F(ctl, config_check) {
	char file[80], expected[100];
	FILE *f;

	snprintf(file, sizeof(file), "%s/conf", self->dir);
	f = fopen(file, "w");
	fprintf(f, "VIRTIOFWD_LOG_LEVEL=9\nVIRTIOFWD_LOG_LEVLE=6\nVIRTIOFWD_SOCKET_DIR=`x`\n");
	fclose(f);
	EXPECT_EQ(1, run_alone(self, "config check %s", file));
	snprintf(expected, sizeof(expected), "%s:1: error: ", file);
	EXPECT_IN(expected, self->out);
	snprintf(expected, sizeof(expected), "%s:2: warning: ", file);
	EXPECT_IN(expected, self->out);
	snprintf(expected, sizeof(expected), "%s:3: error: ", file);
	EXPECT_IN(expected, self->out);
	EXPECT_EQ(1, run_alone(self, "--json config check %s", file));
	EXPECT_IN("\"severity\": \"warning\"", self->out);
	EXPECT_EQ(1, run_alone(self, "config show --config %s", file));
	f = fopen(file, "w");
	fprintf(f, "VIRTIOFWD_LOG_LEVEL=5\n");
	fclose(f);
	EXPECT_EQ(0, run_alone(self, "config check %s", file));
	EXPECT_EQ(0, run_alone(self, "config show --config %s", file));
	EXPECT_IN("VIRTIOFWD_LOG_LEVEL=5\n", self->out);
	EXPECT_EQ(0, self->requests);
	unlink(file);
}

TEST_F(ctl, watch_goes_on_until_interrupted) {
	self->result = "{\"relays\":[{\"id\":1,\"vf_to_vm\":{},\"vm_to_vf\":{}}]}";
	EXPECT_EQ(0, run_stopped(self, 3, "--runtime-dir %s stats --watch=0.05", self->dir));
	EXPECT_LE(3, self->requests);
	EXPECT_EQ(NULL, strchr(self->out, '\033'));
	EXPECT_EQ(0, run_stopped(self, 3, "--runtime-dir %s stats --watch=0.05 --json", self->dir));
	EXPECT_IN("}\n{", self->out);
	/* A daemon that closes is asked again; one that was never there is not waited for. */
	self->then = CLOSE;
	EXPECT_EQ(3, run_stopped(self, 3, "--runtime-dir %s stats --watch=0.05", self->dir));
	EXPECT_EQ(1, self->requests);
}

TEST_HARNESS_MAIN
