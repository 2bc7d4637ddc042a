/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/uevents.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#define KERNELS 1 /* the group of events as the kernel sends them; 2: after udevd */

int uevents_open(void)
{
	const struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = KERNELS };
	const int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	int rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&group, sizeof(group)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

bool uevents_wait(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char event[8192];

	if (poll(&pfd, 1, ms) <= 0)
		return false;
	/* An overrun is an event, too. */
	while (read(fd, event, sizeof(event)) > 0 || errno == ENOBUFS)
		errno = 0;
	return true;
}
