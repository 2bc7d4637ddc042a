/* SPDX-License-Identifier: BSD-3-Clause */

#include "common/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

static int open_below(const char *root, int flags, const char *path, va_list ap)
{
	char full[PATH_MAX];
	const int len = snprintf(full, sizeof(full), "%s", root);
	int n, fd;

	if ((size_t)len >= sizeof(full))
		return -ENAMETOOLONG;
	n = vsnprintf(full + len, sizeof(full) - len, path, ap);
	if (n < 0 || (size_t)n >= sizeof(full) - len)
		return -ENAMETOOLONG;
	fd = open(full, flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

int kernel_write(const char *root, const char *value, const char *path, ...)
{
	_cleanup_close_ int fd = -1;
	va_list ap;

	va_start(ap, path);
	fd = open_below(root, O_WRONLY, path, ap);
	va_end(ap);
	if (fd < 0)
		return fd;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int kernel_open(const char *root, const char *path, ...)
{
	va_list ap;
	int fd;

	va_start(ap, path);
	fd = open_below(root, O_RDWR, path, ap);
	va_end(ap);
	return fd;
}
