/* SPDX-License-Identifier: BSD-3-Clause */

/* Slow jobs: they wait for nobody, and what follows from them is the control thread's. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "sw-relay/device_thread.h"

#define JOBS 20

struct test_job {
	struct device_job job;
	sem_t *gate; /* NULL: does not wait */
	pthread_t worked_in;
	pthread_t done_in;
	unsigned int done;
};

FIXTURE(threads) {
	struct err err;
	sem_t gate;
	struct test_job jobs[JOBS];
};

static void work(struct device_job *job)
{
	struct test_job *t = (struct test_job *)job;

	if (t->gate)
		sem_wait(t->gate);
	t->worked_in = pthread_self();
}

static void done(struct device_job *job)
{
	struct test_job *t = (struct test_job *)job;

	t->done_in = pthread_self();
	t->done++;
}

FIXTURE_SETUP(threads)
{
	sem_init(&self->gate, 0, 0);
	ASSERT_EQ(0, device_threads_start(&self->err));
	for (unsigned int i = 0; i < JOBS; i++)
		self->jobs[i] = (struct test_job){ .job = { .work = work, .done = done } };
}

FIXTURE_TEARDOWN(threads)
{
	device_threads_stop();
	sem_destroy(&self->gate);
}

static unsigned int count_done(const struct test_job *jobs)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < JOBS; i++)
		n += jobs[i].done;
	return n;
}

TEST_F(threads, done_in_the_control_thread) {
	for (unsigned int i = 0; i < JOBS; i++)
		device_thread_post(&self->jobs[i].job);
	while (count_done(self->jobs) < JOBS) {
		device_threads_wait();
		device_threads_reap();
	}
	for (unsigned int i = 0; i < JOBS; i++) {
		EXPECT_EQ(1, self->jobs[i].done);
		EXPECT_TRUE(pthread_equal(pthread_self(), self->jobs[i].done_in));
		EXPECT_FALSE(pthread_equal(pthread_self(), self->jobs[i].worked_in));
	}
}

TEST_F(threads, a_slow_one_holds_up_no_other) {
	self->jobs[0].gate = &self->gate;
	for (unsigned int i = 0; i < JOBS; i++)
		device_thread_post(&self->jobs[i].job);
	while (count_done(self->jobs) < JOBS - 1) {
		device_threads_wait();
		device_threads_reap();
	}
	EXPECT_EQ(0, self->jobs[0].done);
	sem_post(&self->gate);
	/* One that was reaped before it was told of may be told of now. */
	while (!self->jobs[0].done) {
		device_threads_wait();
		device_threads_reap();
	}
}

/* Packets would go to a socket that is to be closed. */
TEST_F(threads, descriptors_wait_for_no_device) {
	int ends[2];
	char c;

	for (unsigned int i = 0; i < JOBS; i++) {
		self->jobs[i].gate = &self->gate;
		device_thread_post(&self->jobs[i].job);
	}
	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	device_thread_close(ends[1]);
	EXPECT_EQ(0, read(ends[0], &c, 1)); /* the end of the pipe */
	close(ends[0]);
	for (unsigned int i = 0; i < JOBS; i++)
		sem_post(&self->gate);
	while (count_done(self->jobs) < JOBS) {
		device_threads_wait();
		device_threads_reap();
	}
}

TEST(without_threads_descriptors_are_closed_at_once)
{
	int ends[2];

	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	device_thread_close(ends[1]);
	EXPECT_EQ(-1, fcntl(ends[1], F_GETFD));
	close(ends[0]);
}

TEST_HARNESS_MAIN
