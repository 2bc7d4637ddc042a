/* SPDX-License-Identifier: BSD-3-Clause */

/* The kernel's events, in a network namespace of its own, where nobody else makes any. */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <kselftest_harness.h>
#include <linux/if.h>
#include <linux/if_tun.h>

#include "udev/uevents.h"

/* An interface comes, and goes when the descriptor is closed. */
static int interface(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	strcpy(ifr.ifr_name, "event0");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) == 0)
		return fd;
	close(fd);
	return -1;
}

TEST(one_event_is_enough)
{
	int fd, nic;

	if (unshare(CLONE_NEWNET) < 0)
		SKIP(return, "needs root");
	fd = uevents_open();
	ASSERT_LE(0, fd);
	EXPECT_FALSE(uevents_wait(fd, 0));
	nic = interface();
	ASSERT_LE(0, nic);
	EXPECT_TRUE(uevents_wait(fd, 20000));
	/* All that came together are one. */
	while (uevents_wait(fd, 100))
		;
	EXPECT_FALSE(uevents_wait(fd, 0));
	close(nic);
	EXPECT_TRUE(uevents_wait(fd, 20000));
	close(fd);
}

TEST(without_events_time_passes)
{
	EXPECT_FALSE(uevents_wait(-1, 1));
}

TEST_HARNESS_MAIN
