/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <kselftest_harness.h>

#include "common/cpuset.h"
#include "config_root.h"

TEST(good_texts)
{
	static const struct {
		const char *text, *list;
	} cases[] = {
		{ "0", "0" },
		{ "1,2", "1,2" },
		{ "2-5", "2-5" },
		{ "5,1, 3 ,2", "1-3,5" },
		{ "2-5,9,4-7", "2-7,9" },
		{ "3-3", "3" },
		{ "0x6", "1,2" },
		{ "0XfF", "0-7" },
		{ "0x0", "" },
		{ "0x10000000000000000", "64" },
		{ "0x00000000000000000000000000000000000000001", "0" },
		{ "8191", "8191" },
		{ "100,1000-1002", "100,1000-1002" },
	};
	struct cpuset set;
	char text[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(0, cpuset_parse(&set, cases[i].text, NULL));
		EXPECT_EQ((int)strlen(cases[i].list), cpuset_format(&set, text, sizeof(text)));
		EXPECT_STREQ(cases[i].list, text);
	}
}

TEST(bad_texts)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "no CPU number" },
		{ ",", "no CPU number" },
		{ "1,", "no CPU number" },
		{ "1,,2", "no CPU number" },
		{ "-1", "no CPU number" },
		{ "1-", "no CPU number" },
		{ "one", "no CPU number at 'one'" },
		{ "1 2", "where a comma is expected" },
		{ "1:2", "where a comma is expected" },
		{ "5-2", "ends before it begins" },
		{ "8192", "above 8191" },
		{ "99999999999999999999999", "above 8191" },
		{ "0x", "no hexadecimal digits" },
		{ "0x1g", "not hexadecimal at 'g'" },
		{ "0x1,2", "not hexadecimal" },
	};
	struct cpuset set;
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(-EINVAL, cpuset_parse(&set, cases[i].text, &err));
		EXPECT_NE(NULL, strstr(err.text, cases[i].why))
		{
			TH_LOG("'%s': %s", cases[i].text, err.text);
		}
	}
}

TEST(a_mask_longer_than_all_cpus)
{
	char text[4096] = "0x1";
	struct cpuset set;
	struct err err;

	memset(text + 3, '0', 2048);
	EXPECT_EQ(-EINVAL, cpuset_parse(&set, text, &err));
	text[2] = '0';
	text[3] = '8';
	EXPECT_EQ(0, cpuset_parse(&set, text, &err));
	EXPECT_EQ(8191, cpuset_next(&set, 0));
}

TEST(next_and_count)
{
	struct cpuset set;

	cpuset_clear(&set);
	EXPECT_EQ(-1, cpuset_next(&set, 0));
	cpuset_add(&set, 70);
	cpuset_add(&set, 8191);
	cpuset_add(&set, 8192); /* none that can be */
	EXPECT_EQ(2, cpuset_count(&set));
	EXPECT_EQ(70, cpuset_next(&set, 0));
	EXPECT_EQ(8191, cpuset_next(&set, 71));
	EXPECT_EQ(-1, cpuset_next(&set, 8192));
	EXPECT_FALSE(cpuset_has(&set, 8192));
}

TEST(format_into_little_room)
{
	struct cpuset set;
	char text[4];

	EXPECT_EQ(0, cpuset_parse(&set, "10,20,30", NULL));
	EXPECT_EQ(8, cpuset_format(&set, text, sizeof(text)));
	EXPECT_STREQ("10,", text);
	EXPECT_EQ(8, cpuset_format(&set, NULL, 0));
}

FIXTURE(host) {
	char root[CONFIG_ROOT_MAX];
};

FIXTURE_SETUP(host)
{
	config_root_make(self->root);
}

FIXTURE_TEARDOWN(host)
{
	config_root_remove(self->root);
}

TEST_F(host, online_and_nodes) {
	struct cpuset set;
	struct err err;
	char text[32];

	config_root_write(self->root, "cpu/online", "0-3,6\n");
	config_root_write(self->root, "node/node1/cpulist", "2,3\n");
	config_root_write(self->root, "node/node2/cpulist", "\n");
	config_root_write(self->root, "cpu/cpu3/node1/x", "");
	ASSERT_EQ(0, cpuset_online(&set, self->root, &err));
	cpuset_format(&set, text, sizeof(text));
	EXPECT_STREQ("0-3,6", text);
	ASSERT_EQ(0, cpuset_of_node(&set, self->root, 1, &err));
	EXPECT_EQ(2, cpuset_count(&set));
	ASSERT_EQ(0, cpuset_of_node(&set, self->root, 2, &err));
	EXPECT_EQ(0, cpuset_count(&set));
	EXPECT_EQ(-ENOENT, cpuset_of_node(&set, self->root, 7, &err));
	EXPECT_EQ(1, cpu_numa_node(self->root, 3));
	EXPECT_EQ(0, cpu_numa_node(self->root, 6));
}

TEST_F(host, without_numa_all_are_on_node_0) {
	struct cpuset set;

	config_root_write(self->root, "cpu/online", "0-3\n");
	ASSERT_EQ(0, cpuset_of_node(&set, self->root, 0, NULL));
	EXPECT_EQ(4, cpuset_count(&set));
	ASSERT_EQ(0, cpuset_of_node(&set, self->root, -1, NULL));
	EXPECT_EQ(4, cpuset_count(&set));
}

TEST_F(host, unreadable_and_garbage) {
	struct cpuset set;
	struct err err;

	EXPECT_EQ(-ENOENT, cpuset_online(&set, self->root, &err));
	EXPECT_NE(NULL, strstr(err.text, "cpu/online"));
	config_root_write(self->root, "cpu/online", "all of them\n");
	EXPECT_EQ(-EINVAL, cpuset_online(&set, self->root, &err));
	EXPECT_NE(NULL, strstr(err.text, "cpu/online"));
}

TEST_HARNESS_MAIN
