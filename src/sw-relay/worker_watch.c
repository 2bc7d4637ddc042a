/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The vhost library writes to the call eventfd of a VM from a worker. The relay makes that
 * descriptor non-blocking, but it shares it with the front end, which may make it blocking again
 * and fill it: then the write does not return, and every VM of the worker stands still, soon
 * followed by the threads that wait for the worker.
 *
 * A thread of its own looks at the workers. One that is asleep in a system call, but not where
 * workers sleep, gets a signal, which ends the call; the VM it worked for is dropped when that
 * happens again. A worker that merely gets no CPU is not asleep, and is left alone.
 */
#include "sw-relay/worker_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sw-relay/guard.h"
#include "sw-relay/worker_internal.h"

#define PERIOD_MS 100

static pthread_t thread;
static int stop_fd = -1;

static void on_signal(int sig)
{
	if (guard_current)
		guard_blocked(guard_current);
}

/* The third word of /proc/PID/task/TID/stat, behind the name in parentheses. */
static bool is_asleep(int tid)
{
	char path[64], text[256];
	_cleanup_close_ int fd = -1;
	const char *end;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (size <= 0)
		return false;
	text[size] = '\0';
	end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'S';
}

static bool stands_still(struct worker *w, uint64_t rounds)
{
	return atomic_load(&w->rounds) == rounds && !atomic_load(&w->sleeping);
}

static void look_after(struct worker *w, uint64_t *rounds)
{
	if (!stands_still(w, *rounds)) {
		*rounds = atomic_load(&w->rounds);
		return;
	}
	if (!is_asleep(w->tid) || !stands_still(w, *rounds))
		return;
	log_warning("worker on CPU %u: blocked by a VM, and freed", w->cpu);
	tgkill(getpid(), w->tid, SIGUSR1); /* it may be ending: then there is no such thread */
}

static void *watch(void *arg)
{
	static uint64_t rounds[WORKERS_MAX];
	struct pollfd pfd = { .fd = stop_fd, .events = POLLIN };

	pthread_setname_np(pthread_self(), "worker-watch");
	while (poll(&pfd, 1, PERIOD_MS) <= 0) { /* also when interrupted */
		for (unsigned int i = 0; i < WORKERS_MAX; i++) {
			struct worker *w = worker_at(i);

			if (w && w->tid)
				look_after(w, &rounds[i]);
		}
	}
	return NULL;
}

int worker_watch_start(struct err *err)
{
	struct sigaction action = { .sa_handler =
					    on_signal }; /* no SA_RESTART: that is the point */
	int r;

	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd < 0)
		return err_set(err, -errno, "start", "eventfd: %s", strerror(errno));
	r = pthread_create(&thread, NULL, watch, NULL);
	if (r) {
		close(stop_fd);
		stop_fd = -1;
		return err_set(err, -r, "start", "cannot start a thread: %s", strerror(r));
	}
	return 0;
}

void worker_watch_stop(void)
{
	if (stop_fd < 0)
		return;
	eventfd_write(stop_fd, 1);
	pthread_join(thread, NULL);
	close(stop_fd);
	stop_fd = -1;
}
