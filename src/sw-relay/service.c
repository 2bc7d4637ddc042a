/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Requests are read in the control thread, which never waits: what takes longer is done elsewhere
 * and answered when it is done. Reports of other threads are gathered under a lock that is held for
 * a few instructions, newest state per endpoint, and sent from the loop. Links are looked at once a
 * second as well, because not every device tells when its link changes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sw-relay/device_thread.h"
#include "sw-relay/endpoint.h"
#include "sw-relay/service.h"
#include "sw-relay/service_methods.h"
#include "wire/rpc.h"

#define LINK_PERIOD_US 1000000
#define LINK_SOON_US 200000

enum vm_report { VM_SAME, VM_GONE, VM_HERE };

struct report { /* what is to be told of an endpoint */
	unsigned int id;
	enum vm_report vm;
	bool device;
};

struct reports {
	struct report *list;
	size_t n;
	size_t room;
};

struct watched { /* an endpoint with a device, and what was told of it last */
	unsigned int id;
	bool link;
	bool failed;
	json_object *members; /* of a bond, else NULL */
};

struct answer {			 /* that is owed for a request */
	struct rpc_request *req; /* NULL: a notification, which gets none */
	char method[32];
	bool attach;
	unsigned int id; /* with attach */
};

static struct {
	sd_event *event;
	struct rpc_server *server;
	const struct relay_options *options;
	struct cpuset workers;
	sd_event_source *report_source;
	sd_event_source *work_source;
	sd_event_source *config_source;
	sd_event_source *job_source;
	sd_event_source *link_source;
	sd_event_source *stop_source;
	struct watched *watched;
	size_t n_watched;
} service;

/* Shared with other threads; exists as long as the process. */
static pthread_mutex_t report_lock = PTHREAD_MUTEX_INITIALIZER;
static struct reports reports;
static int report_fd = -1;

/* Under the lock. NULL: no memory; the state is still seen in the next `stats`. */
static struct report *report_of(unsigned int id)
{
	struct report *r;

	for (size_t i = 0; i < reports.n; i++) {
		if (reports.list[i].id == id)
			return &reports.list[i];
	}
	if (reports.n == reports.room) {
		size_t room = reports.room ? 2 * reports.room : 64;

		r = reallocarray(reports.list, room, sizeof(*r));
		if (!r)
			return NULL;
		reports.list = r;
		reports.room = room;
	}
	r = &reports.list[reports.n++];
	*r = (struct report){ .id = id };
	return r;
}

static void wake_loop(void)
{
	uint64_t one = 1;

	/* EAGAIN: it is awake already */
	if (report_fd >= 0 && write(report_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("the control thread cannot be woken: %m");
}

void service_vm_changed(unsigned int id, bool connected)
{
	struct report *r;

	pthread_mutex_lock(&report_lock);
	r = report_of(id);
	if (r)
		r->vm = connected ? VM_HERE : VM_GONE;
	pthread_mutex_unlock(&report_lock);
	wake_loop();
}

void service_device_changed(unsigned int id)
{
	struct report *r;

	pthread_mutex_lock(&report_lock);
	r = report_of(id);
	if (r)
		r->device = true;
	pthread_mutex_unlock(&report_lock);
	wake_loop();
}

static void tell_vm(unsigned int id, bool connected)
{
	json_object *params = json_object_new_object();

	json_object_object_add(params, "id", json_object_new_int64(id));
	json_object_object_add(params, "connected", json_object_new_boolean(connected));
	rpc_server_notify(service.server, "vm", params);
}

static void tell_device(const struct watched *w, const char *error)
{
	json_object *params = json_object_new_object();

	json_object_object_add(params, "id", json_object_new_int64(w->id));
	json_object_object_add(params, "link", json_object_new_boolean(w->link));
	json_object_object_add(params, "error", *error ? json_object_new_string(error) : NULL);
	if (w->members)
		json_object_object_add(params, "members", json_object_get(w->members));
	rpc_server_notify(service.server, "device", params);
}

static struct watched *watched_find(unsigned int id)
{
	for (size_t i = 0; i < service.n_watched; i++) {
		if (service.watched[i].id == id)
			return &service.watched[i];
	}
	return NULL;
}

static void watched_remove(struct watched *w)
{
	json_object_put(w->members);
	*w = service.watched[--service.n_watched];
}

/* What has become of the members of its bond since they were told of last. */
static bool members_changed(struct watched *w)
{
	json_object *members = endpoint_members_json(w->id);

	if (json_object_equal(members, w->members)) {
		json_object_put(members);
		return false;
	}
	json_object_put(w->members);
	w->members = members;
	return true;
}

/* Tells of the device when it changed. */
static void device_look(struct watched *w)
{
	bool link, changed;
	char error[256];

	if (endpoint_device_state(w->id, &link, error, sizeof(error)) < 0) {
		watched_remove(w);
		return;
	}
	changed = members_changed(w);
	if (link != w->link || w->failed != (*error != '\0')) {
		changed = true;
		w->link = link;
		w->failed = *error != '\0';
		if (w->failed)
			log_error("relay %u: %s", w->id, error);
		else
			log_info("relay %u: link %s", w->id, link ? "up" : "down");
	}
	if (changed)
		tell_device(w, error);
}

/* What was told of its link is what the answer says. */
static void watched_add(unsigned int id)
{
	struct watched *w = watched_find(id);
	char error[256];
	bool link;

	if (endpoint_device_state(id, &link, error, sizeof(error)) < 0)
		return;
	if (!w) {
		w = reallocarray(service.watched, service.n_watched + 1, sizeof(*w));
		if (!w)
			return;
		service.watched = w;
		w += service.n_watched++;
	} else {
		json_object_put(w->members);
	}
	*w = (struct watched){ .id = id, .link = link };
	device_look(w); /* it may have failed already */
}

static int on_link_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	bool soon = endpoint_look_at_devices();

	/* backwards: a removed one is replaced by the last */
	for (size_t i = service.n_watched; i-- > 0;)
		device_look(&service.watched[i]);
	sd_event_source_set_time_relative(source, soon ? LINK_SOON_US : LINK_PERIOD_US);
	return 0;
}

static int on_reports(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct reports now;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("eventfd: %m");
	pthread_mutex_lock(&report_lock);
	now = reports;
	reports = (struct reports){ 0 };
	pthread_mutex_unlock(&report_lock);
	for (size_t i = 0; i < now.n; i++) {
		struct watched *w = watched_find(now.list[i].id);

		if (now.list[i].vm != VM_SAME)
			tell_vm(now.list[i].id, now.list[i].vm == VM_HERE);
		if (now.list[i].device && w)
			device_look(w);
	}
	free(now.list);
	return 0;
}

static int on_work(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	endpoint_work();
	return 0;
}

static int on_config(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	endpoint_config_changed();
	return 0;
}

static int on_jobs(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	device_threads_reap();
	return 0;
}

static int on_stop(sd_event_source *source, uint64_t usec, void *userdata)
{
	return sd_event_exit(service.event, 0);
}

/* After the reply is out; a manager that does not read it must not hold the relay up. */
static void stop_soon(void)
{
	if (service.stop_source)
		return;
	if (sd_event_add_time_relative(service.event, &service.stop_source, CLOCK_MONOTONIC, 10000,
				       1000, on_stop, NULL) < 0)
		sd_event_exit(service.event, 0);
}

static void reply(struct rpc_request *req, const char *method, const struct err *err,
		  json_object *result)
{
	if (err->code)
		log_notice("%s: %s", method, err->text);
	if (!req) {
		json_object_put(result);
		return;
	}
	if (err->code)
		rpc_reply_error(req, err);
	else
		rpc_reply(req, result);
}

void service_answer(struct answer *answer, const struct err *err, json_object *result)
{
	reply(answer->req, answer->method, err, result);
	if (answer->attach && !err->code)
		watched_add(answer->id);
	free(answer);
}

static struct answer *answer_new(struct rpc_request *req, const char *method, json_object *params)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	if (!answer)
		return NULL;
	answer->req = req;
	snprintf(answer->method, sizeof(answer->method), "%s", method);
	answer->attach = strcmp(method, "attach") == 0;
	answer->id = json_object_get_int64(json_object_object_get(params, "id"));
	return answer;
}

static void on_request(struct rpc_conn *conn, struct rpc_request *req, const char *method,
		       json_object *params, int *fds, size_t n_fds, void *userdata)
{
	struct method_call call = {
		.params = params,
		.fds = fds,
		.n_fds = n_fds,
		.options = service.options,
		.workers = &service.workers,
		.answer = answer_new(req, method, params),
	};
	struct err err = { 0 };
	int r = -ENOMEM;

	if (call.answer) {
		r = service_method_call(method, &call, &err);
		if (!call.answer)
			return;
	}
	if (r < 0 && !err.code)
		err_set(&err, r, method, "%s: %s", method, strerror(-r));
	free(call.answer);
	reply(req, method, &err, call.result);
	if (r == 0 && call.stop)
		stop_soon();
}

static void on_closed(struct rpc_conn *conn, const struct err *err, void *userdata)
{
	if (err->code)
		log_notice("manager disconnected: %s", err->text);
	else
		log_info("manager disconnected");
}

static int add_sources(struct err *err)
{
	int r;

	report_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (report_fd < 0)
		return err_set(err, -errno, "service", "eventfd: %m");
	r = sd_event_add_io(service.event, &service.report_source, report_fd, EPOLLIN, on_reports,
			    NULL);
	if (r >= 0)
		r = sd_event_add_io(service.event, &service.work_source, endpoint_work_fd(),
				    EPOLLIN, on_work, NULL);
	if (r >= 0)
		r = sd_event_add_io(service.event, &service.config_source, endpoint_config_fd(),
				    EPOLLIN, on_config, NULL);
	if (r >= 0)
		r = sd_event_add_io(service.event, &service.job_source, device_threads_fd(),
				    EPOLLIN, on_jobs, NULL);
	if (r >= 0)
		r = sd_event_add_time_relative(service.event, &service.link_source, CLOCK_MONOTONIC,
					       LINK_PERIOD_US, 0, on_link_timer, NULL);
	if (r >= 0)
		r = sd_event_source_set_enabled(service.link_source, SD_EVENT_ON);
	if (r < 0)
		return err_set(err, r, "service", "event loop: %s", strerror(-r));
	return 0;
}

int service_start(sd_event *event, int listen_fd, const struct relay_options *options,
		  struct err *err)
{
	static const struct rpc_handlers handlers = { .request = on_request, .closed = on_closed };
	int r;

	service.event = event;
	service.options = options;
	service.workers = options->cpus;
	r = rpc_server_new(&service.server, event, listen_fd, &handlers, NULL);
	if (r < 0)
		return err_set(err, r, "service", "%s: %s", options->socket, strerror(-r));
	r = add_sources(err);
	if (r < 0)
		service_stop();
	return r;
}

void service_stop(void)
{
	int fd;

	sd_event_source_disable_unref(service.report_source);
	sd_event_source_disable_unref(service.work_source);
	sd_event_source_disable_unref(service.config_source);
	sd_event_source_disable_unref(service.job_source);
	sd_event_source_disable_unref(service.link_source);
	sd_event_source_disable_unref(service.stop_source);
	rpc_server_free(service.server);
	while (service.n_watched)
		watched_remove(service.watched);
	free(service.watched);
	memset(&service, 0, sizeof(service));

	pthread_mutex_lock(&report_lock);
	fd = report_fd;
	report_fd = -1;
	free(reports.list);
	reports = (struct reports){ 0 };
	pthread_mutex_unlock(&report_lock);
	if (fd >= 0)
		close(fd);
}
