/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Relays as child processes, in sessions of their own: a terminal's signals are the manager's
 * business. They survive it when it is killed; then another manager may have to find out that one
 * has ended that is not its child.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "manager/pidfd.h"
#include "manager/relay_args.h"
#include "manager/relay_launcher.h"

/* Without what the service manager told only us. */
static char **environment(void)
{
	static const char *const ours[] = { "NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=",
					    "LISTEN_FDS=", "LISTEN_PID=" };
	size_t n = 0, kept = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 1, sizeof(*env));
	for (size_t i = 0; env && i < n; i++) {
		bool drop = false;

		for (size_t j = 0; j < sizeof(ours) / sizeof(ours[0]); j++)
			drop |= !strncmp(environ[i], ours[j], strlen(ours[j]));
		if (!drop)
			env[kept++] = environ[i];
	}
	return env;
}

/* Returns the pid or a negative errno. */
static pid_t spawn(const char *program, char **argv)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	char **env = environment();
	pid_t pid = -1;
	int rc = ENOMEM;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSID);
	if (env)
		rc = posix_spawn(&pid, program, &files, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	free(env);
	return rc ? -rc : pid;
}

static int start_child(const struct relay *relay, pid_t *pid, struct err *err)
{
	struct relay_args args;
	int rc;

	rc = relay_args_fill(&args, relay, true, err);
	if (rc < 0)
		return rc;
	*pid = spawn(args.argv[0], args.argv);
	relay_args_free(&args);
	if (*pid < 0)
		return err_set(err, *pid, "start", "cannot start %s: %s", relay->setup->program,
			       strerror(-*pid));
	return 0;
}

static void start(struct relay *relay)
{
	struct err err;
	pid_t pid;
	int pidfd;

	if (start_child(relay, &pid, &err) < 0) {
		relay_launch_failed(relay, &err);
		return;
	}
	pidfd = pidfd_of(pid);
	if (pidfd < 0) {
		/* Cannot be watched, so it must not run. It is not reaped yet: the pid is its. */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		err_set(&err, pidfd, "start", "cannot watch a new process: %s", strerror(-pidfd));
		relay_launch_failed(relay, &err);
		return;
	}
	relay_launched(relay, pid, pidfd);
}

static void ended(struct relay *relay)
{
	siginfo_t info = { 0 };
	char how[120];

	if (waitid(P_PID, relay->pid, &info, WEXITED) == 0)
		pid_end_text(how, sizeof(how), info.si_code, info.si_status);
	else if (errno == ECHILD)
		snprintf(how, sizeof(how),
			 "ended (an earlier manager started it: how is not "
			 "known)");
	else
		snprintf(how, sizeof(how), "ended (%s)", strerror(errno));
	relay_ended(relay, how);
}

/* A start is over before start() returns. */
static void nothing(struct relay *relay)
{
}

static void remove_socket(const struct relay *relay)
{
	unlink(relay->socket);
}

static void socket_path(const struct relay_setup *setup, unsigned int number, char *buf,
			size_t size)
{
	snprintf(buf, size, "%s/relay-%u", setup->cfg->runtime_dir, number);
}

const struct relay_launcher relay_spawn_launcher = {
	.start = start,
	.cancel = nothing,
	.ended = ended,
	.forget = nothing,
	.clean = remove_socket,
	.socket = socket_path,
};
