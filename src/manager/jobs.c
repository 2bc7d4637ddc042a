/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define STOP_WAIT_NS 200000000l

struct job_queue {
	struct job *first;
	struct job **end;
};

struct jobs {
	sd_event_source *source;
	int wake; /* eventfd: how many jobs are done and not yet reported */
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job_queue waiting;
	struct job_queue finished;
	struct job *running;
	struct timespec since; /* CLOCK_MONOTONIC, of running */
	bool stop;
	bool ended; /* the thread does nothing any more */
	bool left;  /* to the thread, which frees it all when the kernel comes back */
};

static void queue_init(struct job_queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void queue_push(struct job_queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

static struct job *queue_pop(struct job_queue *queue)
{
	struct job *job = queue->first;

	if (job) {
		queue->first = job->next;
		if (!queue->first)
			queue->end = &queue->first;
	}
	return job;
}

static void destroy(struct jobs *jobs)
{
	pthread_mutex_destroy(&jobs->lock);
	pthread_cond_destroy(&jobs->work);
	if (jobs->wake >= 0)
		close(jobs->wake);
	free(jobs);
}

static void *worker(void *arg)
{
	struct jobs *jobs = arg;
	const uint64_t one = 1;
	bool left;

	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		while (!jobs->waiting.first && !jobs->stop)
			pthread_cond_wait(&jobs->work, &jobs->lock);
		if (jobs->stop)
			break;
		jobs->running = queue_pop(&jobs->waiting);
		clock_gettime(CLOCK_MONOTONIC, &jobs->since);
		pthread_mutex_unlock(&jobs->lock);
		jobs->running->run(jobs->running);
		pthread_mutex_lock(&jobs->lock);
		queue_push(&jobs->finished, jobs->running);
		jobs->running = NULL;
		if (write(jobs->wake, &one, sizeof(one)) < 0)
			continue; /* the counter is full: the loop wakes up anyway */
	}
	jobs->ended = true;
	left = jobs->left;
	pthread_mutex_unlock(&jobs->lock);
	if (left)
		destroy(jobs);
	return NULL;
}

/* One job for each round of the loop, as the last thing: done() may free the jobs. */
static int on_wake(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct jobs *jobs = userdata;
	struct job *job;
	uint64_t one;

	if (read(fd, &one, sizeof(one)) < 0)
		return 0;
	pthread_mutex_lock(&jobs->lock);
	job = queue_pop(&jobs->finished);
	pthread_mutex_unlock(&jobs->lock);
	if (job)
		job->done(job);
	return 0;
}

/* Signals are the main thread's. */
static int start_thread(struct jobs *jobs)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&jobs->thread, NULL, worker, jobs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!rc)
		pthread_setname_np(jobs->thread, "jobs");
	return -rc;
}

int jobs_new(struct jobs **result, sd_event *event, struct err *err)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	int rc;

	if (!jobs)
		return err_set(err, -ENOMEM, "start", "out of memory");
	queue_init(&jobs->waiting);
	queue_init(&jobs->finished);
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->work, NULL);
	jobs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	rc = jobs->wake < 0 ? -errno : 0;
	if (!rc)
		rc = sd_event_add_io(event, &jobs->source, jobs->wake, EPOLLIN, on_wake, jobs);
	if (rc >= 0)
		rc = start_thread(jobs);
	if (rc < 0) {
		sd_event_source_disable_unref(jobs->source);
		destroy(jobs);
		return err_set(err, rc, "start", "the thread for slow kernel calls: %s",
			       strerror(-rc));
	}
	*result = jobs;
	return 0;
}

void jobs_free(struct jobs *jobs)
{
	struct timespec until;
	bool ended;

	if (!jobs)
		return;
	sd_event_source_disable_unref(jobs->source);
	pthread_mutex_lock(&jobs->lock);
	jobs->stop = true;
	pthread_cond_signal(&jobs->work);
	pthread_mutex_unlock(&jobs->lock);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += STOP_WAIT_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (!pthread_clockjoin_np(jobs->thread, NULL, CLOCK_MONOTONIC, &until)) {
		destroy(jobs);
		return;
	}
	pthread_detach(jobs->thread);
	pthread_mutex_lock(&jobs->lock);
	if (jobs->running)
		log_warning("%s: the kernel does not come back; not waiting for it",
			    jobs->running->what);
	ended = jobs->ended;
	jobs->left = !ended;
	pthread_mutex_unlock(&jobs->lock);
	if (ended)
		destroy(jobs);
}

void jobs_submit(struct jobs *jobs, struct job *job)
{
	pthread_mutex_lock(&jobs->lock);
	queue_push(&jobs->waiting, job);
	pthread_cond_signal(&jobs->work);
	pthread_mutex_unlock(&jobs->lock);
}

const char *jobs_stuck(const struct jobs *jobs, unsigned int *seconds)
{
	/* The lock is not part of what const promises. */
	pthread_mutex_t *lock = (pthread_mutex_t *)&jobs->lock;
	const char *what = NULL;
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(lock);
	ns = (int64_t)(now.tv_sec - jobs->since.tv_sec) * 1000000000 + now.tv_nsec -
	     jobs->since.tv_nsec;
	if (jobs->running && ns > 1000000000) {
		what = jobs->running->what;
		*seconds = ns / 1000000000;
	}
	pthread_mutex_unlock(lock);
	return what;
}
