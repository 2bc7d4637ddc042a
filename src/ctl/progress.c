/* SPDX-License-Identifier: BSD-3-Clause */

/* The call blocks its thread, so another one draws the line and takes the signals. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/progress.h"

#define STEP_MS 1000 /* a call that is over sooner shows nothing */

struct progress {
	const char *what, *afterwards;
	pthread_t thread;
	sigset_t old_mask;
	int signals, stop;
	bool terminal, drawn;
};

static void clear_line(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
}

static void draw(struct progress *progress, time_t since)
{
	struct timespec now;

	if (!progress->terminal)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	clear_line(progress);
	fprintf(stderr, "vio4wdctl: waiting for %s: %ld s", progress->what,
		(long)(now.tv_sec - since));
	fflush(stderr);
	progress->drawn = true;
}

static void die_by(struct progress *progress)
{
	struct signalfd_siginfo info;
	sigset_t set;

	if (read(progress->signals, &info, sizeof(info)) != sizeof(info))
		return;
	clear_line(progress);
	ctl_error("interrupted; %s", progress->afterwards);
	signal((int)info.ssi_signo, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, (int)info.ssi_signo);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise((int)info.ssi_signo);
}

static void *run(void *userdata)
{
	struct progress *progress = userdata;
	struct pollfd fds[] = { { progress->signals, POLLIN, 0 }, { progress->stop, POLLIN, 0 } };
	struct timespec since;

	clock_gettime(CLOCK_MONOTONIC, &since);
	for (;;) {
		const int n = poll(fds, 2, progress->terminal ? STEP_MS : -1);

		if (n < 0 && errno != EINTR)
			return NULL;
		if (n == 0)
			draw(progress, since.tv_sec);
		if (n > 0 && fds[1].revents)
			return NULL;
		if (n > 0 && fds[0].revents)
			die_by(progress);
	}
}

/* What a shell has made us ignore stays ignored. */
static void add_unless_ignored(sigset_t *set, int signal_number)
{
	struct sigaction action;

	if (sigaction(signal_number, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
		sigaddset(set, signal_number);
}

struct progress *progress_begin(const char *what, const char *afterwards)
{
	struct progress *progress = calloc(1, sizeof(*progress));
	sigset_t set;

	if (!progress)
		return NULL;
	progress->what = what;
	progress->afterwards = afterwards;
	progress->terminal = isatty(STDERR_FILENO);
	sigemptyset(&set);
	add_unless_ignored(&set, SIGINT);
	add_unless_ignored(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &progress->old_mask);
	progress->signals = signalfd(-1, &set, SFD_CLOEXEC);
	progress->stop = eventfd(0, EFD_CLOEXEC);
	if (progress->signals >= 0 && progress->stop >= 0 &&
	    pthread_create(&progress->thread, NULL, run, progress) == 0)
		return progress;
	if (progress->signals >= 0)
		close(progress->signals);
	if (progress->stop >= 0)
		close(progress->stop);
	pthread_sigmask(SIG_SETMASK, &progress->old_mask, NULL);
	free(progress);
	return NULL;
}

void progress_end(struct progress *progress)
{
	if (!progress)
		return;
	eventfd_write(progress->stop, 1);
	pthread_join(progress->thread, NULL);
	clear_line(progress);
	close(progress->signals);
	close(progress->stop);
	pthread_sigmask(SIG_SETMASK, &progress->old_mask, NULL);
	free(progress);
}
