/* SPDX-License-Identifier: BSD-3-Clause */

/* The command line of a relay, and how its end is told. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/relay_args.h"
#include "manager/unit_result.h"

FIXTURE(start) {
	struct config cfg;
	struct relay_user user;
	struct relay_setup setup;
	struct relay relay;
	struct relay_args args;
	struct err err;
};

FIXTURE_SETUP(start)
{
	self->user =
		(struct relay_user){ .name = "vio4wd", .group_name = "vio4wd", .groups = "kvm" };
	self->cfg = (struct config){ .max_sleep_us = 50, .hugepages = true };
	self->setup = (struct relay_setup){ .cfg = &self->cfg,
					    .user = &self->user,
					    .program = "/usr/sbin/vio4wd-relay" };
	self->relay = (struct relay){ .number = 3, .numa_node = 1, .setup = &self->setup };
	strcpy(self->relay.socket, "/run/virtio-forwarder/relay@3/control");
	ASSERT_EQ(0, cpuset_parse(&self->relay.cpus, "1,2,5", &self->err));
}

FIXTURE_TEARDOWN(start)
{
	relay_args_free(&self->args);
}

static bool has(const struct relay_args *args, const char *option, const char *value)
{
	for (unsigned int i = 1; i + 1 < args->n; i++) {
		if (!strcmp(args->argv[i], option))
			return !strcmp(args->argv[i + 1], value);
	}
	return false;
}

TEST_F(start, child_becomes_the_user) {
	ASSERT_EQ(0, relay_args_fill(&self->args, &self->relay, true, &self->err));
	EXPECT_STREQ("/usr/sbin/vio4wd-relay", self->args.argv[0]);
	EXPECT_EQ(NULL, self->args.argv[self->args.n]);
	EXPECT_TRUE(has(&self->args, "--relay", "3"));
	EXPECT_TRUE(has(&self->args, "--cpus", "1,2,5"));
	EXPECT_TRUE(has(&self->args, "--user", "vio4wd"));
	EXPECT_TRUE(has(&self->args, "--groups", "kvm"));
	EXPECT_TRUE(has(&self->args, "--hugepages", "yes"));
}

TEST_F(start, unit_has_options_without_user) {
	char *text = NULL;

	self->cfg.hugepages = false;
	self->cfg.vfio_vf_token = "14d63f20-8445-11ea-8900-1f9ce7d5650d";
	ASSERT_EQ(0, relay_args_fill(&self->args, &self->relay, false, &self->err));
	ASSERT_EQ(0, relay_args_text(&self->args, &text, &self->err));
	EXPECT_EQ(text, strstr(text, "--relay 3 --socket /run/virtio-forwarder/relay@3/control "));
	EXPECT_NE(NULL, strstr(text, " --memory "));
	EXPECT_NE(NULL, strstr(text, " --vf-token 14d63f20-8445-11ea-8900-1f9ce7d5650d "));
	EXPECT_EQ(NULL, strstr(text, "--user"));
	EXPECT_EQ(NULL, strstr(text, "--group"));
	free(text);
}

TEST_F(start, nothing_that_would_need_quotes) {
	static const char *const sockets[] = { "/run/a b",  "/run/a\"b", "/run/a$b",
					       "/run/a\\b", "/run/a'b",	 "" };
	char *text = NULL;

	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
		strcpy(self->relay.socket, sockets[i]);
		ASSERT_EQ(0, relay_args_fill(&self->args, &self->relay, false, &self->err));
		EXPECT_EQ(-EINVAL, relay_args_text(&self->args, &text, &self->err));
		EXPECT_NE(NULL, strstr(self->err.text, sockets[i]));
		relay_args_free(&self->args);
	}
}

static const char *told(int code, int status, const char *result)
{
	struct unit_result r = { .code = code, .status = status };
	static char text[160];

	strcpy(r.result, result);
	unit_result_text(&r, text, sizeof(text));
	return text;
}

TEST(end_of_a_unit)
{
	EXPECT_STREQ("ended with status 1", told(CLD_EXITED, 1, "exit-code"));
	EXPECT_NE(NULL, strstr(told(CLD_EXITED, 3, "exit-code"), "hugepages"));
	EXPECT_STREQ("was killed by signal 9 (Killed)", told(CLD_KILLED, SIGKILL, "signal"));
	EXPECT_NE(NULL, strstr(told(CLD_KILLED, SIGKILL, "oom-kill"), "memory"));
	EXPECT_NE(NULL, strstr(told(CLD_KILLED, SIGTERM, "timeout"), "in time"));
	EXPECT_NE(NULL, strstr(told(CLD_EXITED, 217, "exit-code"), "systemd-sysusers"));
	EXPECT_NE(NULL, strstr(told(CLD_EXITED, 203, "exit-code"), "status 203"));
	EXPECT_STREQ("ended", told(0, 0, "success"));
}

TEST_HARNESS_MAIN
