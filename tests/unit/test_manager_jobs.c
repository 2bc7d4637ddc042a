/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "manager/jobs.h"

struct task {
	struct job job;
	struct log *log;
	int number;
	pthread_t ran_in, done_in;
	sem_t *wait_for; /* run() waits for it: a kernel that does not come back */
	sem_t *begun;
};

struct log { /* what happened, in order */
	sd_event *event;
	struct jobs *jobs;
	int ran[64], done[64];
	int n_ran, n_done; /* of the jobs' thread, of the loop */
	int wanted;	   /* done: the loop ends */
	bool free_at_end;
};

static struct task *task_of(struct job *job)
{
	return (struct task *)((char *)job - offsetof(struct task, job));
}

static void run(struct job *job)
{
	struct task *task = task_of(job);

	task->ran_in = pthread_self();
	if (task->begun)
		sem_post(task->begun);
	if (task->wait_for) {
		while (sem_wait(task->wait_for) < 0 && errno == EINTR)
			;
	}
	task->log->ran[task->log->n_ran++] = task->number;
}

static void done(struct job *job)
{
	struct task *task = task_of(job);
	struct log *log = task->log;

	task->done_in = pthread_self();
	log->done[log->n_done++] = task->number;
	if (log->n_done == log->wanted) {
		sd_event_exit(log->event, 0);
		if (log->free_at_end) {
			jobs_free(log->jobs);
			log->jobs = NULL;
		}
	}
}

static void task_init(struct task *task, struct log *log, int number)
{
	memset(task, 0, sizeof(*task));
	task->job = (struct job){ .what = "test", .run = run, .done = done };
	task->log = log;
	task->number = number;
}

FIXTURE(job_thread) {
	struct log log;
	struct task tasks[20];
	sem_t go, begun;
};

FIXTURE_SETUP(job_thread)
{
	struct err err;

	memset(&self->log, 0, sizeof(self->log));
	ASSERT_LE(0, sd_event_new(&self->log.event));
	ASSERT_EQ(0, jobs_new(&self->log.jobs, self->log.event, &err));
	for (int i = 0; i < 20; i++)
		task_init(&self->tasks[i], &self->log, i);
	sem_init(&self->go, 0, 0);
	sem_init(&self->begun, 0, 0);
}

FIXTURE_TEARDOWN(job_thread)
{
	jobs_free(self->log.jobs);
	sd_event_unref(self->log.event);
	sem_destroy(&self->go);
	sem_destroy(&self->begun);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

TEST_F(job_thread, in_order_and_done_on_the_loop) {
	self->log.wanted = 20;
	for (int i = 0; i < 20; i++)
		jobs_submit(self->log.jobs, &self->tasks[i].job);
	sd_event_loop(self->log.event);
	EXPECT_EQ(20, self->log.n_ran);
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(i, self->log.ran[i]);
		EXPECT_EQ(i, self->log.done[i]);
		EXPECT_FALSE(pthread_equal(pthread_self(), self->tasks[i].ran_in));
		EXPECT_TRUE(pthread_equal(pthread_self(), self->tasks[i].done_in));
	}
}

static void submit_next(struct job *job)
{
	struct task *task = task_of(job);

	done(job);
	if (task->log->n_done < task->log->wanted) {
		task->number++;
		jobs_submit(task->log->jobs, &task->job);
	}
}

TEST_F(job_thread, done_may_submit_again) {
	self->log.wanted = 10;
	self->tasks[0].job.done = submit_next;
	jobs_submit(self->log.jobs, &self->tasks[0].job);
	sd_event_loop(self->log.event);
	EXPECT_EQ(10, self->log.n_done);
	EXPECT_EQ(9, self->log.done[9]);
}

TEST_F(job_thread, done_may_free) {
	self->log.wanted = 3;
	self->log.free_at_end = true;
	for (int i = 0; i < 5; i++)
		jobs_submit(self->log.jobs, &self->tasks[i].job);
	sd_event_loop(self->log.event);
	EXPECT_EQ(3, self->log.n_done);
	EXPECT_EQ(NULL, self->log.jobs);
}

TEST_F(job_thread, the_loop_goes_on_meanwhile) {
	self->tasks[0].wait_for = &self->go;
	self->log.wanted = 1;
	jobs_submit(self->log.jobs, &self->tasks[0].job);
	EXPECT_EQ(0, sd_event_run(self->log.event, 10000));
	sem_post(&self->go);
	sd_event_loop(self->log.event);
	EXPECT_EQ(1, self->log.n_done);
}

TEST_F(job_thread, end_drops_what_has_not_begun) {
	self->tasks[0].wait_for = &self->go;
	self->tasks[0].begun = &self->begun;
	for (int i = 0; i < 3; i++)
		jobs_submit(self->log.jobs, &self->tasks[i].job);
	sem_wait(&self->begun);
	sem_post(&self->go);
	jobs_free(self->log.jobs);
	self->log.jobs = NULL;
	/* The first may be over before the end is asked for, so that the second begins. */
	EXPECT_LE(1, self->log.n_ran);
	EXPECT_EQ(0, self->log.n_done);
	EXPECT_EQ(0, sd_event_run(self->log.event, 0));
	EXPECT_EQ(0, self->log.n_done);
}

TEST_F(job_thread, end_with_a_stuck_job) {
	double start;

	/* What a stuck job uses must outlive this. */
	self->tasks[0].wait_for = &self->go;
	self->tasks[0].begun = &self->begun;
	jobs_submit(self->log.jobs, &self->tasks[0].job);
	jobs_submit(self->log.jobs, &self->tasks[1].job);
	sem_wait(&self->begun);
	start = now();
	jobs_free(self->log.jobs);
	self->log.jobs = NULL;
	EXPECT_LE(0.2, now() - start);
	EXPECT_GT(2, now() - start);
	EXPECT_EQ(0, self->log.n_ran);
	self->tasks[0].begun = NULL;
	sem_post(&self->go);
	/* It comes back, and neither begins the next nor reports. */
	for (start = now();
	     !__atomic_load_n(&self->log.n_ran, __ATOMIC_ACQUIRE) && now() - start < 10;)
		sched_yield();
	EXPECT_EQ(1, self->log.n_ran);
	EXPECT_EQ(0, sd_event_run(self->log.event, 0));
	EXPECT_EQ(0, self->log.n_done);
}

TEST_F(job_thread, stuck) {
	unsigned int seconds = 0;
	const double start = now();
	const char *what;

	EXPECT_EQ(NULL, jobs_stuck(self->log.jobs, &seconds));
	self->tasks[0].wait_for = &self->go;
	self->tasks[0].begun = &self->begun;
	self->tasks[0].job.what = "bind 0000:01:10.0";
	self->log.wanted = 1;
	jobs_submit(self->log.jobs, &self->tasks[0].job);
	sem_wait(&self->begun);
	EXPECT_EQ(NULL, jobs_stuck(self->log.jobs, &seconds));
	do {
		sd_event_run(self->log.event, 20000);
		what = jobs_stuck(self->log.jobs, &seconds);
	} while (!what && now() - start < 20);
	ASSERT_NE(NULL, what);
	EXPECT_STREQ("bind 0000:01:10.0", what);
	EXPECT_LE(1, seconds);
	EXPECT_LE(1, now() - start);
	sem_post(&self->go);
	sd_event_loop(self->log.event);
	EXPECT_EQ(NULL, jobs_stuck(self->log.jobs, &seconds));
}

TEST_HARNESS_MAIN
