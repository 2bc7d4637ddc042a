/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/socket_access.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/config.h"
#include "common/log.h"

void socket_owner_find(struct socket_owner *owner, const char *user, const char *group)
{
	const struct passwd *pw = getpwnam(user);
	const struct group *gr = getgrnam(group);

	if (!pw)
		log_warning("VIRTIOFWD_SOCKET_OWNER: this host has no user '%s'; sockets belong to "
			    "uid %u",
			    user, geteuid());
	if (!gr)
		log_warning(
			"VIRTIOFWD_SOCKET_GROUP: this host has no group '%s'; sockets belong to "
			"gid %u",
			group, getegid());
	owner->uid = pw ? pw->pw_uid : geteuid();
	owner->gid = gr ? gr->gr_gid : getegid();
}

static bool is_stale(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	return fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 &&
	       errno == ECONNREFUSED;
}

static int check_directory(const char *path, bool client, const struct relay_user *user,
			   struct err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[CONFIG_SOCKET_PATH_MAX + 2];
	struct stat st;

	if (path[0] != '/' || !slash)
		return err_set(err, -EINVAL, "socket path", "'%s' is not an absolute path", path);
	if (!slash[1])
		return err_set(err, -EINVAL, "socket path", "'%s' names a directory", path);
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (stat(dir, &st) < 0)
		return err_set(err, -errno, "socket directory", "%s: %s; create the directory", dir,
			       strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "socket directory", "%s is not a directory", dir);
	if (!relay_user_may(user, &st, client ? S_IXOTH : S_IWOTH | S_IXOTH))
		return err_set(
			err, -EACCES, "socket directory",
			"%s: user %s of the relays may not %s it; chgrp %s and chmod g+%s it", dir,
			user->name, client ? "enter" : "write to",
			user->groups[0] ? user->groups : user->group_name, client ? "x" : "wx");
	return 0;
}

int socket_prepare(const char *path, bool client, const struct relay_user *user, struct err *err)
{
	struct stat st;
	int rc;

	if (strlen(path) > CONFIG_SOCKET_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "socket path",
			       "'%.40s...' has %zu bytes, a socket path at most %d", path,
			       strlen(path), CONFIG_SOCKET_PATH_MAX);
	rc = check_directory(path, client, user, err);
	if (rc)
		return rc;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : err_set(err, -errno, "socket path", "%s: %s", path,
						 strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "socket path",
			       "%s exists and is %s, not a socket; it is left alone: move it away",
			       path,
			       S_ISLNK(st.st_mode)   ? "a symbolic link"
			       : S_ISDIR(st.st_mode) ? "a directory"
						     : "a file");
	if (client)
		return 0;
	if (!is_stale(path))
		return err_set(err, -EEXIST, "socket path",
			       "%s is served by another process; stop that one or choose another "
			       "path",
			       path);
	log_debug("removing the stale socket %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(err, -errno, "socket path", "%s: %s", path, strerror(errno));
	return 0;
}

/* An O_PATH fd of the socket itself, or a negative errno. */
static int open_socket_file(const char *path, struct stat *st)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	if (!S_ISSOCK(st->st_mode))
		return -ENOTSOCK;
	return take_fd(fd);
}

/* fchmod(2) refuses O_PATH fds; their name in /proc leads to the same file. */
static int chmod_fd(int fd, mode_t mode)
{
	char name[40];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return chmod(name, mode);
}

int socket_give(const char *path, const struct socket_owner *owner,
		struct socket_identity *identity, struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_socket_file(path, &st);

	if (fd < 0)
		return err_set(err, fd, "socket", "%s: %s", path, strerror(-fd));
	identity->dev = st.st_dev;
	identity->ino = st.st_ino;
	if (fchownat(fd, "", owner->uid, owner->gid, AT_EMPTY_PATH) < 0 || chmod_fd(fd, 0660) < 0)
		return err_set(err, -errno, "socket", "%s: cannot set owner and mode: %s", path,
			       strerror(errno));
	return 0;
}

int socket_identify(const char *path, struct socket_identity *identity)
{
	struct stat st;
	_cleanup_close_ int fd = open_socket_file(path, &st);

	if (fd < 0)
		return fd;
	identity->dev = st.st_dev;
	identity->ino = st.st_ino;
	return 0;
}

void socket_remove(const char *path, const struct socket_identity *identity)
{
	struct stat st;

	if (identity->ino && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == identity->dev && st.st_ino == identity->ino && unlink(path) < 0)
		log_warning("removing the socket %s: %s", path, strerror(errno));
}

static bool is_group_of(const struct relay_user *user, gid_t gid)
{
	for (unsigned int i = 0; i < user->n_gids; i++) {
		if (user->gids[i] == gid)
			return true;
	}
	return gid == user->gid;
}

int socket_open_for_relay(const char *path, const struct relay_user *user, struct err *err)
{
	const gid_t relay_gid = user->n_gids ? user->gids[0] : user->gid;
	struct stat st;
	_cleanup_close_ int fd = open_socket_file(path, &st);

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTSOCK
			       ? 0
			       : err_set(err, fd, "socket", "%s: %s", path, strerror(-fd));
	if (relay_user_may(user, &st, S_IROTH | S_IWOTH))
		return 0;
	if (!is_group_of(user, st.st_gid) && fchownat(fd, "", -1, relay_gid, AT_EMPTY_PATH) < 0)
		return err_set(err, -errno, "socket", "%s: cannot change its group: %s", path,
			       strerror(errno));
	if (chmod_fd(fd, (st.st_mode & 07777) | S_IRGRP | S_IWGRP) < 0)
		return err_set(err, -errno, "socket", "%s: cannot change its mode: %s", path,
			       strerror(errno));
	return 1;
}
