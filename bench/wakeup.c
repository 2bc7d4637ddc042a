/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How long does a thread that sleeps in epoll on CPU B take to run after CPU A has written to its
 * eventfd? `wakeup A B` answers each number N on stdin with a line
 *
 *	N MIN MEDIAN P99 MAX
 *
 * in nanoseconds over N wake-ups, a millisecond apart. No worker that sleeps can be woken faster.
 */
#include <sched.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#define MAX_WAKEUPS 1000000u
#define PERIOD_NS 1000000

static int fd;
static int sleeper_cpu;
static _Atomic int64_t woken_at; /* 0: asleep */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		fail("wakeup: sched_setaffinity");
}

static void *sleeper(void *unused)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	(void)unused;
	pin(sleeper_cpu);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("wakeup: epoll");
	while (epoll_wait(epoll_fd, &event, 1, -1) >= 0)
		atomic_store(&woken_at, now_ns());
	return NULL;
}

static int64_t wake_up(void)
{
	int64_t begin = now_ns();
	int64_t end;

	atomic_store(&woken_at, 0);
	if (eventfd_write(fd, 1) < 0)
		fail("wakeup: eventfd");
	while (!(end = atomic_load(&woken_at)))
		;
	while (now_ns() < begin + PERIOD_NS)
		;
	return end - begin;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void measure(unsigned int n)
{
	int64_t *ns = calloc(n, sizeof(*ns));

	if (!ns)
		fail("wakeup");
	for (unsigned int i = 0; i < n; i++)
		ns[i] = wake_up();
	qsort(ns, n, sizeof(*ns), compare);
	printf("%u %lld %lld %lld %lld\n", n, (long long)ns[0], (long long)ns[n / 2],
	       (long long)ns[n * 99ull / 100], (long long)ns[n - 1]);
	fflush(stdout);
	free(ns);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char line[32];

	if (argc != 3) {
		fprintf(stderr, "usage: wakeup CPU CPU (numbers of wake-ups on stdin ask for "
				"measurements)\n");
		return 2;
	}
	sleeper_cpu = atoi(argv[2]);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0 || pthread_create(&thread, NULL, sleeper, NULL))
		fail("wakeup");
	pin(atoi(argv[1]));
	while (fgets(line, sizeof(line), stdin)) {
		unsigned long n = strtoul(line, NULL, 10);

		if (!n || n > MAX_WAKEUPS) {
			fprintf(stderr, "wakeup: a number from 1 to %u is needed\n", MAX_WAKEUPS);
			return 2;
		}
		measure(n);
	}
	return 0;
}
