/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/pidfd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/relay_exit.h"

int pidfd_of(pid_t pid)
{
	const int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int pidfd_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
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

void pid_end_text(char *buf, size_t size, int code, int status)
{
	if (code == CLD_EXITED && status == RELAY_EXIT_HUGEPAGES)
		snprintf(
			buf, size,
			"finds too few free hugepages; `sysctl vm.nr_hugepages=1024` reserves them");
	else if (code == CLD_EXITED)
		snprintf(buf, size, "ended with status %d", status);
	else
		snprintf(buf, size, "was killed by signal %d (%s)", status, strsignal(status));
}
