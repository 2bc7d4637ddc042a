/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "common/err.h"

TEST(set_fills_everything)
{
	struct err e;

	EXPECT_EQ(-ENOENT, err_set(&e, -ENOENT, "open", "%s: not there", "file"));
	EXPECT_EQ(-ENOENT, e.code);
	EXPECT_STREQ("open", e.step);
	EXPECT_STREQ("file: not there", e.text);
}

TEST(set_works_without_err)
{
	EXPECT_EQ(-EINVAL, err_set(NULL, -EINVAL, "step", "text"));
}

TEST(prefix_goes_in_front)
{
	struct err e;

	err_set(&e, -EBUSY, "bind", "in use");
	EXPECT_EQ(-EBUSY, err_prefix(&e, "relay %u", 3));
	EXPECT_STREQ("relay 3: in use", e.text);
	EXPECT_STREQ("bind", e.step);
}

TEST(long_texts_are_cut)
{
	struct err e;
	char text[2 * sizeof(e.text)];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&e, -EIO, text, "%s", text);
	EXPECT_EQ(sizeof(e.text) - 1, strlen(e.text));
	EXPECT_EQ(sizeof(e.step) - 1, strlen(e.step));
	EXPECT_EQ(-EIO, err_prefix(&e, "%s", text));
	EXPECT_EQ(sizeof(e.text) - 1, strlen(e.text));
}

TEST_HARNESS_MAIN
