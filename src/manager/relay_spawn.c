/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/relay_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

/* Memory of a relay that cannot take hugepages as it needs them: address space that is reserved at
 * start, of which only what is used costs anything. */
#define RELAY_MEMORY_MB 2048

#define ARGS_MAX 40

struct args {
	char *argv[ARGS_MAX + 1];
	unsigned int n;
	bool failed;
};

static void arg(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void arg(struct args *a, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (a->n >= ARGS_MAX || vasprintf(&text, fmt, ap) < 0)
		a->failed = true;
	else
		a->argv[a->n++] = text;
	va_end(ap);
}

static void fill_args(struct args *a, const struct relay *relay)
{
	const struct config *cfg = relay->setup->cfg;
	const struct relay_user *user = relay->setup->user;
	char cpus[1024];

	cpuset_format(&relay->cpus, cpus, sizeof(cpus));
	arg(a, "%s", relay->setup->program);
	arg(a, "--relay");
	arg(a, "%u", relay->number);
	arg(a, "--socket");
	arg(a, "%s", relay->socket);
	arg(a, "--cpus");
	arg(a, "%s", cpus);
	arg(a, "--control-cpu");
	arg(a, "%d", cfg->master_lcore);
	arg(a, "--numa-node");
	arg(a, "%d", relay->numa_node);
	arg(a, "--user");
	arg(a, "%s", user->name);
	arg(a, "--group");
	arg(a, "%s", user->group_name);
	if (user->groups[0]) {
		arg(a, "--groups");
		arg(a, "%s", user->groups);
	}
	arg(a, "--poll");
	arg(a, "%s", cfg->poll_mode == CONFIG_POLL_BUSY ? "busy" : "adaptive");
	arg(a, "--max-sleep-us");
	arg(a, "%u", cfg->max_sleep_us);
	arg(a, "--hugepages");
	arg(a, "%s", cfg->hugepages ? "yes" : "no");
	if (!cfg->hugepages) {
		arg(a, "--memory");
		arg(a, "%u", RELAY_MEMORY_MB);
	}
	if (cfg->vfio_vf_token) {
		arg(a, "--vf-token");
		arg(a, "%s", cfg->vfio_vf_token);
	}
	arg(a, "--log-level");
	arg(a, "%d", log_level());
}

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

pid_t relay_spawn(const struct relay *relay, struct err *err)
{
	struct args args = { 0 };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	char **env = environment();
	pid_t pid = -1;
	int rc = ENOMEM;

	fill_args(&args, relay);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSID);
	if (!args.failed && env)
		rc = posix_spawn(&pid, relay->setup->program, &files, &attr, args.argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	for (unsigned int i = 0; i < args.n; i++)
		free(args.argv[i]);
	free(env);
	if (rc)
		return err_set(err, -rc, "start", "cannot start %s: %s", relay->setup->program,
			       strerror(rc));
	return pid;
}

int64_t pid_started(pid_t pid)
{
	char path[64], line[1024];
	unsigned long long ticks = 0;
	struct timespec up;
	const char *rest = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	/* The name in parentheses may hold anything: fields are counted from its end. */
	if (f && fgets(line, sizeof(line), f))
		rest = strrchr(line, ')');
	if (f)
		fclose(f);
	if (!rest || sscanf(rest,
			    ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			    "%*s %*s %*s %*s %llu",
			    &ticks) != 1)
		return time(NULL);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return time(NULL) - (up.tv_sec - (int64_t)(ticks / sysconf(_SC_CLK_TCK)));
}

int pidfd_of(pid_t pid)
{
	const int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int pidfd_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}
