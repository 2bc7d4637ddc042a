/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Descriptors have a thread that does nothing else: closing a packet socket takes ten milliseconds
 * and more, and while it is open it takes packets from those that follow it; it must not wait
 * behind a VF whose PF does not answer.
 */
#include "sw-relay/device_thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cleanup.h"

/* Most of what a device takes to open is waiting. */
#define DEVICE_THREADS 8

struct closing {
	struct device_job job;
	int fd;
};

STAILQ_HEAD(job_list, device_job);

struct crew {
	pthread_cond_t posted;
	struct job_list jobs;
	pthread_t threads[DEVICE_THREADS];
	unsigned int n_threads;
	bool stop; /* when there are no jobs */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct crew devices = { .posted = PTHREAD_COND_INITIALIZER,
			       .jobs = STAILQ_HEAD_INITIALIZER(devices.jobs) };
static struct crew closings = { .posted = PTHREAD_COND_INITIALIZER,
				.jobs = STAILQ_HEAD_INITIALIZER(closings.jobs) };
static struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
static int done_fd = -1;

static struct device_job *take(struct job_list *list)
{
	struct device_job *job = STAILQ_FIRST(list);

	if (job)
		STAILQ_REMOVE_HEAD(list, next);
	return job;
}

static void *crew_main(void *arg)
{
	struct crew *crew = arg;
	struct device_job *job;

	pthread_mutex_lock(&lock);
	for (;;) {
		job = take(&crew->jobs);
		if (!job && crew->stop)
			break;
		if (!job) {
			pthread_cond_wait(&crew->posted, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		job->work(job);
		pthread_mutex_lock(&lock);
		if (crew == &devices) {
			STAILQ_INSERT_TAIL(&finished, job, next);
			eventfd_write(done_fd, 1);
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void post(struct crew *crew, struct device_job *job)
{
	pthread_mutex_lock(&lock);
	STAILQ_INSERT_TAIL(&crew->jobs, job, next);
	pthread_cond_signal(&crew->posted);
	pthread_mutex_unlock(&lock);
}

static int crew_start(struct crew *crew, const char *name, unsigned int n, struct err *err)
{
	crew->stop = false;
	while (crew->n_threads < n) {
		pthread_t *thread = &crew->threads[crew->n_threads];
		int r = pthread_create(thread, NULL, crew_main, crew);

		if (r)
			return err_set(err, -r, "start", "cannot start the thread \"%s\": %s", name,
				       strerror(r));
		pthread_setname_np(*thread, name);
		crew->n_threads++;
	}
	return 0;
}

static void crew_stop(struct crew *crew)
{
	pthread_mutex_lock(&lock);
	crew->stop = true;
	pthread_cond_broadcast(&crew->posted);
	pthread_mutex_unlock(&lock);
	while (crew->n_threads)
		pthread_join(crew->threads[--crew->n_threads], NULL);
}

int device_threads_start(struct err *err)
{
	int r;

	done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (done_fd < 0)
		return err_set(err, -errno, "start", "eventfd: %s", strerror(errno));
	r = crew_start(&closings, "closing", 1, err);
	if (r == 0)
		r = crew_start(&devices, "devices", DEVICE_THREADS, err);
	if (r < 0)
		device_threads_stop();
	return r;
}

void device_threads_stop(void)
{
	crew_stop(&devices);
	crew_stop(&closings);
	if (done_fd >= 0)
		close(take_fd(done_fd));
}

void device_thread_post(struct device_job *job)
{
	post(&devices, job);
}

int device_threads_fd(void)
{
	return done_fd;
}

void device_threads_reap(void)
{
	struct job_list jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct device_job *job;
	eventfd_t count;

	eventfd_read(done_fd, &count);
	pthread_mutex_lock(&lock);
	STAILQ_CONCAT(&jobs, &finished);
	pthread_mutex_unlock(&lock);
	while ((job = take(&jobs)))
		job->done(job);
}

void device_threads_wait(void)
{
	struct pollfd pfd = { .fd = done_fd, .events = POLLIN };

	poll(&pfd, 1, -1);
}

static void close_work(struct device_job *job)
{
	struct closing *closing = (struct closing *)job;

	close(closing->fd);
	free(closing);
}

void device_thread_close(int fd)
{
	struct closing *closing = closings.n_threads ? malloc(sizeof(*closing)) : NULL;

	if (!closing) {
		close(fd);
		return;
	}
	closing->job.work = close_work;
	closing->fd = fd;
	post(&closings, &closing->job);
}
