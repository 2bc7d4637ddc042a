/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ctl/watch.h"

struct watch {
	int signals, timer;
	bool terminal;
};

int watch_new(struct watch **ret_watch, unsigned int interval_ms)
{
	struct itimerspec spec = {
		.it_interval = { interval_ms / 1000, interval_ms % 1000 * 1000000l },
	};
	struct watch *watch = calloc(1, sizeof(*watch));
	sigset_t set;

	if (!watch)
		return -ENOMEM;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	spec.it_value = spec.it_interval;
	watch->signals = signalfd(-1, &set, SFD_CLOEXEC);
	watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	watch->terminal = isatty(STDOUT_FILENO);
	if (watch->signals < 0 || watch->timer < 0 ||
	    timerfd_settime(watch->timer, 0, &spec, NULL) < 0) {
		int ret = -errno;

		watch_free(watch);
		return ret;
	}
	*ret_watch = watch;
	return 0;
}

void watch_clear(struct watch *watch)
{
	if (watch->terminal)
		fputs("\033[H\033[2J", stdout);
}

bool watch_next(struct watch *watch)
{
	struct pollfd fds[] = { { watch->signals, POLLIN, 0 }, { watch->timer, POLLIN, 0 } };
	uint64_t expirations;

	if (fflush(stdout) != 0) /* nobody reads any more */
		return false;
	return poll(fds, 2, -1) > 0 && !fds[0].revents &&
	       read(watch->timer, &expirations, sizeof(expirations)) > 0;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->signals >= 0)
		close(watch->signals);
	if (watch->timer >= 0)
		close(watch->timer);
	free(watch);
}
