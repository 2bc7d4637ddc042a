/* SPDX-License-Identifier: BSD-3-Clause */

/* Other programs' versions, asked with a deadline. Valgrind knows no pidfd, and fails no spawn. */
#include <errno.h>
#include <time.h>

#include <kselftest_harness.h>

#include "ctl/doctor/program.h"
#include "sysfs_tree.h"

static double elapsed(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - since->tv_sec + (now.tv_nsec - since->tv_nsec) / 1e9;
}

TEST(programs)
{
	static const struct {
		const char *text;
		unsigned int mode;
		int rc;
		const char *out, *why;
	} cases[] = {
		{ "#!/bin/sh\necho \"[$1]\" $#\n", 0755, 0, "[--version] 1\n", "" },
		{ "#!/bin/sh\necho to stderr >&2\n", 0755, 0, "", "" },
		/* more than there is room for */
		{ "#!/bin/sh\nhead -c 200000 /dev/zero | tr '\\0' x\n", 0755, 0, "xxxxxx", "" },
		{ "#!/bin/sh\necho 1.2\nexit 3\n", 0755, -EIO, "1.2", "--version fails" },
		{ "#!/bin/sh\n", 0644, -EACCES, "", "cannot be run" },
		/* one that does not end, and one that closes its output besides */
		{ "#!/bin/sh\nexec sleep 60\n", 0755, -ETIMEDOUT, "",
		  "has not ended after 300 ms" },
		{ "#!/bin/sh\nexec >&- sleep 60\n", 0755, -ETIMEDOUT, "", "has not ended" },
	};
	char root[CONFIG_ROOT_MAX], path[PATH_MAX], buf[32];

	config_root_make(root);
	snprintf(path, sizeof(path), "%s/program", root);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool hangs = cases[i].rc == -ETIMEDOUT;
		struct timespec start;
		struct err err = { 0 };

		sysfs_tree_file(root, "/program", cases[i].text);
		ASSERT_EQ(0, chmod(path, cases[i].mode));
		clock_gettime(CLOCK_MONOTONIC, &start);
		EXPECT_EQ(cases[i].rc, program_output(path, "--version", hangs ? 300 : 20000, buf,
						      sizeof(buf), &err))
		{
			TH_LOG("case %zu: %s", i, err.text);
		}
		EXPECT_LT(elapsed(&start), 20);
		EXPECT_EQ(0, strncmp(buf, cases[i].out, strlen(cases[i].out)));
		EXPECT_NE(NULL, strstr(err.text, cases[i].why));
	}
	config_root_remove(root);
}

TEST(versions)
{
	EXPECT_EQ(PROGRAM_VERSION(7, 2, 19),
		  program_version("QEMU emulator version 7.2.19 (Deb 1:7)"));
	EXPECT_EQ(PROGRAM_VERSION(10, 0, 0), program_version("QEMU emulator version 10.0"));
	EXPECT_EQ(PROGRAM_VERSION(9, 1, 0), program_version("x86_64 9.1.0"));
	EXPECT_EQ(0, program_version("no number, 12"));
	EXPECT_EQ(0, program_version(""));
}

TEST_HARNESS_MAIN
