/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "wire/unix_listen.h"

#define LISTEN_BACKLOG 64

static int fill_address(struct sockaddr_un *addr, const char *path, struct err *err)
{
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(addr->sun_path))
		return err_set(err, len ? -ENAMETOOLONG : -EINVAL, "socket path",
			       "'%s' has %zu bytes, a socket path has 1 to %zu; choose a shorter "
			       "directory",
			       path, len, sizeof(addr->sun_path) - 1);
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(addr->sun_path, path, len + 1);
	return 0;
}

/* True when the socket file is left from a process that is gone: only then may it be removed. */
static bool is_stale(const struct sockaddr_un *addr)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
	       errno == ECONNREFUSED;
}

static int remove_stale(const struct sockaddr_un *addr, struct err *err)
{
	const char *path = addr->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0; /* bind says what is wrong when it is more than absence */
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "socket path",
			       "%s exists and is no socket; it is left alone: move it away or "
			       "configure another path",
			       path);
	if (!is_stale(addr))
		return err_set(err, -EEXIST, "socket path",
			       "%s is served by another process; stop that one first", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(err, -errno, "socket path", "removing the stale socket %s: %s", path,
			       strerror(errno));
	return 0;
}

static int bind_error(const char *path, int error, struct err *err)
{
	const char *hint = "";

	if (error == ENOENT)
		hint = "; create its directory first";
	else if (error == EACCES || error == EROFS)
		hint = "; the directory must be writable for this user";
	else if (error == EADDRINUSE)
		return err_set(err, -EEXIST, "socket path", "%s was taken meanwhile", path);
	return err_set(err, -error, "socket", "listening on %s: %s%s", path, strerror(error), hint);
}

int unix_listen(const char *path, mode_t mode, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	int ret;

	ret = fill_address(&addr, path, err);
	if (ret < 0)
		return ret;
	ret = remove_stale(&addr, err);
	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket", "making a socket for %s: %s", path,
			       strerror(errno));
	/* bind(2) gives the file the mode of the socket's inode, less the umask: nobody can
	 * connect in between who may not connect afterwards. */
	if (fchmod(fd, mode) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return bind_error(path, errno, err);
	if (chmod(path, mode) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		ret = bind_error(path, errno, err);
		unlink(path);
		return ret;
	}
	return take_fd(fd);
}

static int connect_error(const char *path, int error, struct err *err)
{
	switch (error) {
	case ENOENT:
		return err_set(err, -error, "connect", "%s does not exist", path);
	case ECONNREFUSED:
		return err_set(err, -error, "connect", "nobody listens on %s", path);
	case EAGAIN:
		return err_set(err, -error, "connect", "%s does not accept connections", path);
	default:
		return err_set(err, -error, "connect", "%s: %s", path, strerror(error));
	}
}

int unix_connect(const char *path, unsigned int timeout_ms, struct err *err)
{
	struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	int ret;

	ret = fill_address(&addr, path, err);
	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (timeout_ms ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return err_set(err, -errno, "connect", "making a socket: %s", strerror(errno));
	/* The send timeout is what limits a connect(2) that waits for the backlog. */
	if (timeout_ms && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return err_set(err, -errno, "connect", "%s: %s", path, strerror(errno));
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno != EINTR)
			return connect_error(path, errno, err);
	}
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return err_set(err, -errno, "connect", "%s: %s", path, strerror(errno));
	return take_fd(fd);
}
