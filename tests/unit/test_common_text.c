/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <kselftest_harness.h>

#include "common/err.h"
#include "common/log.h"
#include "common/suggest.h"
#include "common/sysfs.h"
#include "common/text.h"
#include "config_root.h"

TEST(distances)
{
	static const struct {
		const char *a, *b;
		unsigned int distance;
	} cases[] = {
		{ "", "", 0 },	     { "", "abc", 3 },		 { "abc", "abc", 0 },
		{ "ABC", "abc", 0 }, { "abc", "acb", 1 },	 { "abc", "ab", 1 },
		{ "abc", "abd", 1 }, { "kitten", "sitting", 3 }, { "ca", "abc", 3 },
	};
	char longest[SUGGEST_MAX_LEN + 2];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(cases[i].distance, edit_distance(cases[i].a, cases[i].b));
		EXPECT_EQ(cases[i].distance, edit_distance(cases[i].b, cases[i].a));
	}
	memset(longest, 'x', sizeof(longest));
	longest[SUGGEST_MAX_LEN + 1] = '\0';
	EXPECT_EQ(UINT_MAX, edit_distance(longest, "x"));
	longest[SUGGEST_MAX_LEN] = '\0';
	EXPECT_EQ(SUGGEST_MAX_LEN, edit_distance(longest, ""));
}

TEST(suggestions)
{
	struct suggestion near = SUGGESTION_FOR("statuss"), far = SUGGESTION_FOR("zzzzzzzz"),
			  none = SUGGESTION_FOR("x");

	suggestion_offer(&near, "stats");
	suggestion_offer(&near, "status");
	suggestion_offer(&near, "show");
	EXPECT_STREQ("status", near.best);
	EXPECT_TRUE(suggestion_is_close(&near));
	suggestion_offer(&far, "status");
	EXPECT_FALSE(suggestion_is_close(&far));
	EXPECT_FALSE(suggestion_is_close(&none));
}

TEST(what_is_not_text_is_replaced)
{
	static const struct {
		const char *dirty, *clean;
	} cases[] = {
		{ "plain", "plain" },
		{ "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80",
		  "h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "a\nb\tc\x7f", "a?b?c?" },
		{ "\x1b[2J", "?[2J" },
		{ "\xc3", "?" },
		{ "\xc0\xaf", "??" },
		{ "\xed\xa0\x80", "???" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "\xff\xfe", "??" },
		{ "\xe2\x82", "??" },
	};
	char text[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(!strcmp(cases[i].dirty, cases[i].clean), text_is_clean(cases[i].dirty));
		snprintf(text, sizeof(text), "%s", cases[i].dirty);
		text_clean(text);
		EXPECT_STREQ(cases[i].clean, text);
	}
}

TEST(errors_are_one_line)
{
	struct err err;

	err_set(&err, -EINVAL, "step", "device '%s'", "a\nerror: forged");
	EXPECT_STREQ("device 'a?error: forged'", err.text);
	err_prefix(&err, "relay\n%d", 1);
	EXPECT_STREQ("relay?1: device 'a?error: forged'", err.text);
}

/* What log_write puts on stderr. */
static ssize_t logged(char *buf, size_t size, const char *text)
{
	int pipe_fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	if (pipe(pipe_fds) < 0)
		return -1;
	dup2(pipe_fds[1], STDERR_FILENO);
	close(pipe_fds[1]);
	log_open("test", LOG_INFO);
	log_debug("not shown");
	log_info("%s", text);
	dup2(saved, STDERR_FILENO); /* the last writer is gone: read ends */
	close(saved);
	n = read(pipe_fds[0], buf, size - 1);
	close(pipe_fds[0]);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

TEST(a_message_is_one_line)
{
	char line[4096], text[3000];
	ssize_t n;

	n = logged(line, sizeof(line), "a\nb");
	ASSERT_GT(n, 0);
	EXPECT_NE(NULL, strstr(line, "test: info: a?b\n"));
	EXPECT_EQ(strchr(line, '\n'), line + n - 1);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	n = logged(line, sizeof(line), text);
	ASSERT_GT(n, 0);
	EXPECT_EQ(strchr(line, '\n'), line + n - 1);
}

FIXTURE(files) {
	char root[CONFIG_ROOT_MAX];
};

FIXTURE_SETUP(files)
{
	config_root_make(self->root);
}

FIXTURE_TEARDOWN(files)
{
	config_root_remove(self->root);
}

TEST_F(files, attributes) {
	char buf[8];

	config_root_write(self->root, "a/one", "1\n");
	config_root_write(self->root, "a/empty", "");
	config_root_write(self->root, "a/seven", "1234567");
	config_root_write(self->root, "a/eight", "12345678");
	EXPECT_EQ(1, sysfs_read(self->root, buf, sizeof(buf), "/sys/devices/system/%s/one", "a"));
	EXPECT_STREQ("1", buf);
	EXPECT_EQ(0, sysfs_read(self->root, buf, sizeof(buf), "/sys/devices/system/a/empty"));
	EXPECT_STREQ("", buf);
	EXPECT_EQ(7, sysfs_read(self->root, buf, sizeof(buf), "/sys/devices/system/a/seven"));
	EXPECT_EQ(-EFBIG, sysfs_read(self->root, buf, sizeof(buf), "/sys/devices/system/a/eight"));
	EXPECT_EQ(-ENOENT, sysfs_read(self->root, buf, sizeof(buf), "/sys/none"));
	EXPECT_EQ(-EISDIR, sysfs_read(self->root, buf, sizeof(buf), "/sys"));
	EXPECT_EQ(-ENAMETOOLONG, sysfs_read(self->root, buf, sizeof(buf), "/%05000d", 1));
}

TEST_HARNESS_MAIN
