/* SPDX-License-Identifier: BSD-3-Clause */

#include "ctl/doctor/program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int spawn(const char *path, const char *argument, int out, pid_t *pid)
{
	char *argv[] = { (char *)path, (char *)argument, NULL };
	char *envp[] = { "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	posix_spawn_file_actions_t files;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	rc = posix_spawn(pid, path, &files, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&files);
	return -rc;
}

/* The descriptor can be read: 0, or -ETIMEDOUT. A pidfd can when its process has ended. */
static int wait_for(int fd, long deadline)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	for (;;) {
		const long left = deadline - now_ms();
		const int n = left > 0 ? poll(&ready, 1, (int)left) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* Until the program has closed its output. What does not fit is read and dropped, lest the program
 * waits for it to be read. */
static int read_output(int fd, long deadline, char *buf, size_t size)
{
	size_t len = 0;

	for (;;) {
		const bool full = len + 1 >= size;
		char rest[512];
		ssize_t n;
		int rc = wait_for(fd, deadline);

		if (rc < 0)
			return rc;
		n = read(fd, full ? rest : buf + len, full ? sizeof(rest) : size - 1 - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0 && !full)
			len += n;
		buf[len] = '\0';
	}
}

/* After rc == 0 the program may take until the deadline to end; without pidfds, before Linux 5.3,
 * it is trusted to. */
static int reap(pid_t pid, long deadline, int rc)
{
	_cleanup_close_ int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int status = 0;

	if (!rc && pidfd >= 0)
		rc = wait_for(pidfd, deadline);
	if (rc)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!rc && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		rc = -EIO;
	return rc;
}

int program_output(const char *path, const char *argument, unsigned int timeout_ms, char *buf,
		   size_t size, struct err *err)
{
	const long deadline = now_ms() + timeout_ms;
	_cleanup_close_ int in = -1, out = -1;
	int fds[2], rc;
	pid_t pid;

	buf[0] = '\0';
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(err, -errno, "program", "%s: no pipe: %s", path, strerror(errno));
	in = fds[0];
	out = fds[1];
	rc = spawn(path, argument, out, &pid);
	if (rc < 0)
		return err_set(err, rc, "program", "%s cannot be run: %s", path, strerror(-rc));
	close(take_fd(out));
	rc = reap(pid, deadline, read_output(in, deadline, buf, size));
	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "program", "%s %s has not ended after %u ms", path,
			       argument, timeout_ms);
	if (rc < 0)
		return err_set(err, rc, "program", "%s %s fails", path, argument);
	return 0;
}

unsigned int program_version(const char *text)
{
	for (; *text; text++) {
		unsigned int major, minor, micro = 0;

		if (!isdigit((unsigned char)*text))
			continue;
		if (sscanf(text, "%3u.%3u.%3u", &major, &minor, &micro) >= 2)
			return PROGRAM_VERSION(major, minor, micro);
		text += strspn(text, "0123456789") - 1;
	}
	return 0;
}
