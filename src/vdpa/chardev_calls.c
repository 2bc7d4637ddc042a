/* SPDX-License-Identifier: BSD-3-Clause */

#include "vdpa/chardev_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/sysfs.h"

int chardev_open(const char *path)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

void chardev_close(int fd)
{
	close(fd);
}

int chardev_ioctl(int fd, unsigned long request, void *argument)
{
	const int rc = ioctl(fd, request, argument);

	return rc < 0 ? -errno : rc;
}

int chardev_write(int fd, const void *buf, size_t size)
{
	const ssize_t n = write(fd, buf, size);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

int64_t chardev_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

void chardev_wait(unsigned int us)
{
	const struct timespec time = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000l };

	ppoll(NULL, 0, &time, NULL);
}

uint64_t chardev_pin_limit(void)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

uint64_t chardev_pinned(void)
{
	char text[8192];
	const char *line;
	uint64_t kib = 0;

	if (sysfs_read("", text, sizeof(text), "/proc/self/status") < 0)
		return 0;
	line = strstr(text, "\nVmPin:");
	if (line)
		sscanf(line, "\nVmPin: %" SCNu64, &kib);
	return kib * 1024;
}
