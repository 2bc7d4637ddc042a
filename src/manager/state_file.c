/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"

#define STATE_FILE_MAX (1 << 20)
#define STOP_WAIT_NS 100000000l

struct state_file {
	char path[PATH_MAX];
	state_file_fn saved;
	void *userdata;
	sd_event_source *source;
	int wake; /* eventfd: a save is over */
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t work;
	char *text; /* the latest that waits, owned */
	uint64_t asked;
	uint64_t finished;
	struct err result;
	bool stop;
};

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		const ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		size -= n;
	}
	return 0;
}

static int write_file(const char *path, const char *text, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char temporary[PATH_MAX];
	int rc;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(err, -errno, "state file", "%s: %s", temporary, strerror(errno));
	rc = write_all(fd, text, strlen(text));
	if (!rc && fsync(fd) < 0)
		rc = -errno;
	if (!rc && rename(temporary, path) < 0)
		rc = -errno;
	if (rc < 0)
		return err_set(err, rc, "state file",
			       "%s cannot be written: %s; a restarted manager will not know of the "
			       "last changes",
			       path, strerror(-rc));
	return 0;
}

static void *writer(void *arg)
{
	struct state_file *sf = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&sf->lock);
	for (;;) {
		_cleanup_free_ char *text = NULL;
		struct err err = { 0 };
		uint64_t seq;

		while (!sf->text && !sf->stop)
			pthread_cond_wait(&sf->work, &sf->lock);
		if (!sf->text)
			break;
		text = take_ptr(sf->text);
		seq = sf->asked;
		pthread_mutex_unlock(&sf->lock);
		write_file(sf->path, text, &err);
		pthread_mutex_lock(&sf->lock);
		sf->finished = seq;
		sf->result = err;
		if (write(sf->wake, &one, sizeof(one)) < 0)
			continue; /* the counter is full: the loop wakes up anyway */
	}
	pthread_mutex_unlock(&sf->lock);
	return NULL;
}

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct state_file *sf = userdata;
	struct err err;
	uint64_t seq;

	if (read(fd, &seq, sizeof(seq)) < 0)
		return 0;
	pthread_mutex_lock(&sf->lock);
	seq = sf->finished;
	err = sf->result;
	pthread_mutex_unlock(&sf->lock);
	sf->saved(seq, &err, sf->userdata);
	return 0;
}

/* Signals are the main thread's. */
static int start_thread(struct state_file *sf)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&sf->thread, NULL, writer, sf);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

int state_file_new(struct state_file **result, sd_event *event, const char *path,
		   state_file_fn saved, void *userdata, struct err *err)
{
	struct state_file *sf = calloc(1, sizeof(*sf));
	int rc;

	if (!sf)
		return err_set(err, -ENOMEM, "state file", "out of memory");
	snprintf(sf->path, sizeof(sf->path), "%s", path);
	sf->saved = saved;
	sf->userdata = userdata;
	pthread_mutex_init(&sf->lock, NULL);
	pthread_cond_init(&sf->work, NULL);
	sf->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = sf->wake < 0 ? -errno : 0;
	if (!rc)
		rc = sd_event_add_io(event, &sf->source, sf->wake, EPOLLIN, on_wake, sf);
	if (rc >= 0)
		rc = start_thread(sf);
	if (rc < 0) {
		sd_event_source_disable_unref(sf->source);
		if (sf->wake >= 0)
			close(sf->wake);
		free(sf);
		return err_set(err, rc, "state file", "%s: %s", path, strerror(-rc));
	}
	*result = sf;
	return 0;
}

void state_file_free(struct state_file *sf)
{
	struct timespec until;

	if (!sf)
		return;
	pthread_mutex_lock(&sf->lock);
	sf->stop = true;
	pthread_cond_signal(&sf->work);
	pthread_mutex_unlock(&sf->lock);
	sd_event_source_disable_unref(sf->source);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STOP_WAIT_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (pthread_timedjoin_np(sf->thread, NULL, &until)) {
		log_warning("%s: the disk is slow; not waiting for it", sf->path);
		return; /* the thread still uses it */
	}
	pthread_mutex_destroy(&sf->lock);
	pthread_cond_destroy(&sf->work);
	close(sf->wake);
	free(sf);
}

uint64_t state_file_save(struct state_file *sf, json_object *state)
{
	char *text = strdup(json_object_to_json_string_ext(state, JSON_C_TO_STRING_PRETTY));
	uint64_t seq;

	if (!text)
		return 0;
	pthread_mutex_lock(&sf->lock);
	free(sf->text);
	sf->text = text;
	seq = ++sf->asked;
	pthread_cond_signal(&sf->work);
	pthread_mutex_unlock(&sf->lock);
	return seq;
}

static int read_file(const char *path, char **text)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > STATE_FILE_MAX)
		return -EBADMSG;
	buf = malloc(st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	n = read(fd, buf, st.st_size);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	*text = take_ptr(buf);
	return 0;
}

int state_file_load(const char *path, json_object **state, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	enum json_tokener_error parse_error;
	char aside[PATH_MAX];
	int rc;

	*state = NULL;
	rc = read_file(path, &text);
	if (rc == -ENOENT)
		return 0;
	if (!rc) {
		*state = json_tokener_parse_verbose(text, &parse_error);
		if (*state && json_object_is_type(*state, json_type_object))
			return 0;
		json_object_put(*state);
		*state = NULL;
		rc = -EBADMSG;
	}
	snprintf(aside, sizeof(aside), "%s.broken", path);
	if (rename(path, aside) < 0)
		return err_set(err, rc, "state file", "%s is unusable and ignored", path);
	return err_set(
		err, rc, "state file",
		"%s is broken: ignored and moved to %s; run-time pairings are lost, add them "
		"again",
		path, aside);
}
