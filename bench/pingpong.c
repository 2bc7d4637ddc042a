/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How far apart are two CPUs? `pingpong A B` answers every byte on stdin with the nanoseconds that
 * a cache line takes from CPU A to CPU B and back, averaged over ROUNDS. On a virtual machine the
 * answer changes while it runs, and with it every rate that moves data between the two.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 10000

static _Alignas(128) atomic_int line;
static _Alignas(128) atomic_int ready;
static int start_pipe[2];
static int far_cpu;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		perror("pingpong: sched_setaffinity");
		exit(1);
	}
}

static void *far_side(void *unused)
{
	char byte;

	(void)unused;
	pin(far_cpu);
	while (read(start_pipe[0], &byte, 1) == 1) {
		atomic_store(&ready, 1);
		for (int i = 0; i < ROUNDS; i++) {
			while (atomic_load_explicit(&line, memory_order_acquire) != 2 * i + 1)
				;
			atomic_store_explicit(&line, 2 * i + 2, memory_order_release);
		}
	}
	return NULL;
}

static int64_t measure(void)
{
	struct timespec begin, end;

	atomic_store(&line, 0);
	atomic_store(&ready, 0);
	if (write(start_pipe[1], "x", 1) != 1)
		return -1;
	while (!atomic_load(&ready))
		;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < ROUNDS; i++) {
		atomic_store_explicit(&line, 2 * i + 1, memory_order_release);
		while (atomic_load_explicit(&line, memory_order_acquire) != 2 * i + 2)
			;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	return ((end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec) / ROUNDS;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char byte;

	if (argc != 3) {
		fprintf(stderr,
			"usage: pingpong CPU CPU (a byte on stdin asks for a measurement)\n");
		return 2;
	}
	far_cpu = atoi(argv[2]);
	if (pipe(start_pipe) < 0 || pthread_create(&thread, NULL, far_side, NULL)) {
		perror("pingpong");
		return 1;
	}
	pin(atoi(argv[1]));
	while (read(STDIN_FILENO, &byte, 1) == 1) {
		printf("%lld\n", (long long)measure());
		fflush(stdout);
	}
	_exit(0); /* the far side waits in read() */
}
