/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "common/sysfs.h"

static int read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += n;
	}
	if (len == size)
		return -EFBIG;
	buf[len] = '\0';
	return (int)len;
}

int sysfs_read_at(int folder, char *buf, size_t size, const char *path)
{
	_cleanup_close_ int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int len;

	if (fd < 0)
		return -errno;
	len = read_all(fd, buf, size);
	while (len > 0 && buf[len - 1] == '\n')
		buf[--len] = '\0';
	return len;
}

int sysfs_read(const char *root, char *buf, size_t size, const char *path, ...)
{
	char full[PATH_MAX];
	va_list ap;
	int n, len;

	len = snprintf(full, sizeof(full), "%s", root);
	if ((size_t)len >= sizeof(full))
		return -ENAMETOOLONG;
	va_start(ap, path);
	n = vsnprintf(full + len, sizeof(full) - len, path, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(full) - len)
		return -ENAMETOOLONG;
	return sysfs_read_at(AT_FDCWD, buf, size, full);
}
