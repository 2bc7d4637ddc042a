/* SPDX-License-Identifier: BSD-3-Clause */

/* The system calls themselves, on what is no vDPA device. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <kselftest_harness.h>

#include "vdpa/chardev_calls.h"

TEST(errors)
{
	int fd;

	EXPECT_EQ(-ENOENT, chardev_open("/dev/vhost-vdpa-of-nobody"));
	fd = chardev_open("/dev/full");
	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(-ENOSPC, chardev_write(fd, "12", 2));
	EXPECT_EQ(-ENOTTY, chardev_ioctl(fd, 0x4711, NULL));
	chardev_close(fd);
	EXPECT_EQ(-EBADF, chardev_ioctl(fd, 0x4711, NULL));
	EXPECT_EQ(-EBADF, chardev_write(fd, "12", 2));
	fd = chardev_open("/dev/null");
	EXPECT_EQ(0, chardev_write(fd, "12", 2));
	chardev_close(fd);
}

TEST(time)
{
	const int64_t before = chardev_now();

	chardev_wait(3000);
	EXPECT_LE(before + 3000, chardev_now());
}

TEST(locked_memory)
{
	struct rlimit limit;

	ASSERT_EQ(0, getrlimit(RLIMIT_MEMLOCK, &limit));
	limit.rlim_cur = 65536;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	EXPECT_EQ(65536, chardev_pin_limit());
	/* Nothing that this program does pins memory. */
	EXPECT_EQ(0, chardev_pinned());
}

TEST_HARNESS_MAIN
