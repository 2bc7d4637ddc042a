/* SPDX-License-Identifier: BSD-3-Clause */

/* The files a manager needs around itself, made at start and removed at a clean stop. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "manager/manager.h"

#define NOFILE_WANTED 65536

/* mkdir -p, without touching what is there. */
static int make_directories(const char *path, struct err *err)
{
	char part[PATH_MAX];
	struct stat st;

	for (const char *end = path; end;) {
		end = strchr(end + 1, '/');
		snprintf(part, sizeof(part), "%.*s", end ? (int)(end - path) : (int)strlen(path),
			 path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_set(err, -errno, "directory", "%s: %s", part, strerror(errno));
	}
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "directory", "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "directory", "%s is not a directory", path);
	return 0;
}

int startup_directories(struct manager *m, struct err *err)
{
	const bool there = access(m->cfg->runtime_dir, F_OK) == 0;
	int rc;

	if (strlen(m->cfg->runtime_dir) + strlen("/control") + 2 > CONFIG_SOCKET_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "directory",
			       "VIO4WD_RUNTIME_DIR is too long for the paths of sockets, which "
			       "have at most %d bytes",
			       CONFIG_SOCKET_PATH_MAX);
	rc = make_directories(m->cfg->runtime_dir, err);

	m->made_runtime_dir = !rc && !there;
	return rc ? err_prefix(err, "VIO4WD_RUNTIME_DIR") : 0;
}

int startup_ipc_directory(const char *endpoint, struct err *err)
{
	char dir[PATH_MAX];
	char *slash;

	if (!endpoint || strncmp(endpoint, "ipc:///", 7))
		return 0;
	snprintf(dir, sizeof(dir), "%s", endpoint + 6);
	slash = strrchr(dir, '/');
	if (slash == dir)
		return 0;
	*slash = '\0';
	return make_directories(dir, err);
}

static int held_by(int fd, const char *path, struct err *err)
{
	char pid[32] = "";
	const ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
	return err_set(err, -EBUSY, "lock",
		       "another vio4wd (pid %s) runs with this VIO4WD_RUNTIME_DIR (%s is locked); "
		       "stop it first",
		       *pid ? pid : "unknown", path);
}

int startup_lock(struct manager *m, struct err *err)
{
	char path[PATH_MAX], pid[32];
	struct stat by_fd, by_path;

	manager_path(m, path, sizeof(path), "lock");
	for (int tries = 0; tries < 10; tries++) {
		_cleanup_close_ int fd =
			open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

		if (fd < 0)
			return err_set(err, -errno, "lock", "%s: %s", path, strerror(errno));
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return held_by(fd, path, err);
		/* A manager that stops removes the file: then this is no longer the one. */
		if (fstat(fd, &by_fd) < 0 || stat(path, &by_path) < 0 ||
		    by_fd.st_ino != by_path.st_ino)
			continue;
		snprintf(pid, sizeof(pid), "%d\n", getpid());
		if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, strlen(pid), 0) < 0)
			return err_set(err, -errno, "lock", "%s: %s", path, strerror(errno));
		m->lock_fd = take_fd(fd);
		return 0;
	}
	return err_set(err, -EBUSY, "lock", "%s changes all the time", path);
}

int startup_pid_file(struct manager *m, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char pid[32];
	int rc = make_directories(m->cfg->pid_dir, err);

	if (rc)
		return err_prefix(err, "VIRTIOFWD_PID_DIR");
	snprintf(m->pid_file, sizeof(m->pid_file), "%s/virtio-forwarder.pid", m->cfg->pid_dir);
	fd = open(m->pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (fd < 0 || write(fd, pid, strlen(pid)) < 0) {
		err_set(err, -errno, "PID file", "%s: %s", m->pid_file, strerror(errno));
		m->pid_file[0] = '\0';
		return err->code;
	}
	return 0;
}

void startup_limits(void)
{
	struct rlimit now, limit;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return;
	limit.rlim_max = now.rlim_max < NOFILE_WANTED ? NOFILE_WANTED : now.rlim_max;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	/* Without CAP_SYS_RESOURCE: as far as it goes. */
	now.rlim_cur = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &now) < 0)
		log_warning("cannot raise the limit of open files: %s", strerror(errno));
}

void startup_clean(struct manager *m)
{
	static const char *const names[] = { "state.json.new", "control", "lock" };
	char path[PATH_MAX];

	if (m->lock_fd < 0)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		manager_path(m, path, sizeof(path), names[i]);
		unlink(path);
	}
	/* What was asked for at run time is there again after `systemctl restart`. */
	manager_path(m, path, sizeof(path), "state.json");
	if (!wishes_worth_keeping(m))
		unlink(path);
	if (m->pid_file[0])
		unlink(m->pid_file);
	close(m->lock_fd);
	m->lock_fd = -1;
	if (m->made_runtime_dir && rmdir(m->cfg->runtime_dir) < 0)
		log_debug("%s stays: %s", m->cfg->runtime_dir, strerror(errno));
}
