/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Relays as instances of vio4wd-relay@.service. systemd gives them their user, their limits and a
 * cgroup of their own, so that they outlive the manager; when one is started, and again, is decided
 * here all the same.
 *
 * Each start, and each question how a relay ended, has a connection of its own to systemd: there is
 * none to be lost in between, and no daemon between the two that could be.
 *
 *   start:  RestartUnit -> job, JobRemoved(job, "done") -> properties: MainPID -> relay_launched()
 *   cancel: StopUnit, KillUnit -> properties until there is no process -> relay_launch_failed()
 *   ended:  properties until the process is reaped -> relay_ended()
 *
 * When systemd executes itself anew (daemon-reexec) its connections end, and it may have read a
 * request or not: start and cancel begin again, which does no harm.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "manager/pidfd.h"
#include "manager/relay_env.h"
#include "manager/relay_launcher.h"
#include "manager/unit_result.h"

#define SYSTEMD_SOCKET "unix:path=/run/systemd/private" /* what systemctl uses as root */
#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD ".Manager"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define LOCAL "org.freedesktop.DBus.Local"
#define NO_REPLY "org.freedesktop.DBus.Error.NoReply" /* the connection has ended */

#define MANAGER_UNIT "virtio-forwarder.service"

/* How long systemd may take (a reload of its own takes as long) before we go on without it. */
#define CANCEL_US 300000
#define REAPED_US 250000
#define RETRY_US 50000

enum phase {
	PHASE_START,  /* RestartUnit has not been answered */
	PHASE_JOB,    /* the job has not ended */
	PHASE_RESULT, /* what came of it is being asked */
	PHASE_CANCEL, /* no process may come of it */
	PHASE_ENDED,  /* how it ended is being asked */
};

struct launch {
	struct relay *relay;
	enum phase phase;
	sd_bus *bus;
	sd_event_source *timer; /* of CANCEL_US, REAPED_US */
	sd_event_source *retry;
	char *job;  /* its object path */
	char *path; /* the unit's */
	char unit[64];
	bool asking;
	bool killed;	 /* of a start that is cancelled */
	char result[32]; /* of the job */
};

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);

static void socket_path(const struct relay_setup *setup, unsigned int number, char *buf,
			size_t size)
{
	snprintf(buf, size, RELAY_UNIT_DIR "/relay@%u/control", number);
}

static void launch_free(struct launch *l)
{
	l->relay->launch = NULL;
	sd_event_source_disable_unref(l->timer);
	sd_event_source_disable_unref(l->retry);
	sd_bus_close_unref(l->bus);
	free(l->job);
	free(l->path);
	free(l);
}

static void forget(struct relay *relay)
{
	if (relay->launch)
		launch_free(relay->launch);
}

static void fail(struct launch *l, const struct err *err)
{
	struct relay *relay = l->relay;

	launch_free(l);
	relay_launch_failed(relay, err);
}

static void fail_text(struct launch *l, int code, const char *what)
{
	struct err err;

	err_set(&err, code, "start", "%s: %s", l->unit, what);
	fail(l, &err);
}

static void report_end(struct launch *l, const char *how)
{
	struct relay *relay = l->relay;

	launch_free(l);
	relay_ended(relay, how);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct launch *l = userdata;

	if (l->phase == PHASE_ENDED)
		report_end(l, "ended");
	else
		fail_text(l, -ETIMEDOUT, "it has not started in time");
	return 0;
}

static void set_timer(struct launch *l, sd_event_source **source, uint64_t after_us,
		      sd_event_time_handler_t handler)
{
	*source = sd_event_source_disable_unref(*source);
	if (sd_event_add_time_relative(l->relay->setup->event, source, CLOCK_MONOTONIC, after_us,
				       1000, handler, l) < 0)
		log_error("%s: no timer", l->unit);
}

/* Without systemd nothing more will be known of a process that has ended. */
static void lost(struct launch *l)
{
	if (l->phase == PHASE_ENDED) {
		report_end(l, "ended");
		return;
	}
	l->bus = sd_bus_close_unref(l->bus);
	set_timer(l, &l->retry, RETRY_US, on_retry);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	lost(userdata);
	return 0;
}

/* Its Disconnected follows. */
static bool is_lost(sd_bus_message *m)
{
	return sd_bus_message_is_method_error(m, NO_REPLY);
}

static void launched(struct launch *l, pid_t pid)
{
	struct relay *relay = l->relay;
	_cleanup_free_ char *unit = NULL;
	_cleanup_close_ int pidfd = pid > 0 ? pidfd_of(pid) : -ESRCH;

	/* Asked while we have hold of it: the number is of this process and no other. */
	if (pidfd < 0 || sd_pid_get_unit(pid, &unit) < 0 || strcmp(unit, l->unit)) {
		fail_text(l, -ESRCH, "its process has ended as soon as it was ready");
		return;
	}
	launch_free(l);
	relay_launched(relay, pid, take_fd(pidfd));
}

static void failed(struct launch *l, const struct unit_result *p)
{
	struct err err;
	char how[160];

	unit_result_text(p, how, sizeof(how));
	err_set(&err, -EIO, "start", "%s %s (job: %s); `journalctl -u %s` says why", l->unit, how,
		l->result, l->unit);
	fail(l, &err);
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct launch *l = userdata;
	struct unit_result p = { 0 };
	char how[160];

	if (is_lost(m))
		return 0;
	l->asking = false;
	if (!sd_bus_message_is_method_error(m, NULL))
		unit_result_read(m, &p);
	if (l->phase == PHASE_RESULT && !strcmp(l->result, "done")) {
		launched(l, p.main_pid);
	} else if (l->phase == PHASE_RESULT) {
		failed(l, &p);
	} else if (l->phase == PHASE_CANCEL && l->killed && !p.main_pid) {
		fail_text(l, -ETIMEDOUT, "it has not started in time");
	} else if (l->phase == PHASE_ENDED && (pid_t)p.main_pid != l->relay->pid) {
		unit_result_text(&p, how, sizeof(how));
		report_end(l, how);
	}
	return 0;
}

static void ask_properties(struct launch *l)
{
	if (l->asking)
		return;
	l->asking = sd_bus_call_method_async(l->bus, NULL, SYSTEMD, l->path, PROPERTIES, "GetAll",
					     on_properties, l, "s", SYSTEMD ".Service") >= 0;
	if (!l->asking)
		lost(l);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct launch *l = userdata;

	if (l->phase == PHASE_ENDED || l->killed)
		ask_properties(l);
	return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct launch *l = userdata;
	const char *job, *unit, *result;
	uint32_t id;

	if (!l->job || sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0 ||
	    strcmp(job, l->job))
		return 0;
	if (l->phase == PHASE_JOB) {
		l->phase = PHASE_RESULT;
		snprintf(l->result, sizeof(l->result), "%s", result);
		ask_properties(l);
	}
	return 0;
}

static int on_killed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct launch *l = userdata;

	if (is_lost(m))
		return 0;
	l->killed = true;
	ask_properties(l);
	return 0;
}

/* A manager that somebody made a unit of by hand, without ours. */
static void use_children(struct launch *l)
{
	struct relay *relay = l->relay;

	log_notice("systemd knows no unit %s: relays are child processes", l->unit);
	launch_free(l);
	relay_env_remove(relay);
	relay->setup->launcher = &relay_spawn_launcher;
	relay->launcher = relay->setup->launcher;
	relay->launcher->socket(relay->setup, relay->number, relay->socket, sizeof(relay->socket));
	relay->launcher->start(relay);
}

static int on_restarted(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct launch *l = userdata;
	const sd_bus_error *refused = sd_bus_message_get_error(m);
	const char *job;

	if (l->phase == PHASE_CANCEL || is_lost(m))
		return 0;
	if (refused && sd_bus_error_has_name(refused, SYSTEMD ".NoSuchUnit")) {
		use_children(l);
		return 0;
	}
	if (refused || sd_bus_message_read(m, "o", &job) < 0 || !(l->job = strdup(job))) {
		fail_text(l, -EIO,
			  refused && refused->message ? refused->message
						      : "systemd does not start it");
		return 0;
	}
	l->phase = PHASE_JOB;
	return 0;
}

static int connect_systemd(struct launch *l)
{
	int rc;

	l->bus = sd_bus_close_unref(l->bus);
	l->asking = l->killed = false;
	rc = sd_bus_new(&l->bus);

	if (rc >= 0)
		rc = sd_bus_set_address(l->bus, SYSTEMD_SOCKET);
	if (rc >= 0)
		rc = sd_bus_start(l->bus);
	if (rc >= 0)
		rc = sd_bus_attach_event(l->bus, l->relay->setup->event, SD_EVENT_PRIORITY_NORMAL);
	if (rc >= 0)
		rc = sd_bus_match_signal(l->bus, NULL, NULL, NULL, LOCAL, "Disconnected",
					 on_disconnected, l);
	if (rc >= 0)
		rc = sd_bus_match_signal(l->bus, NULL, NULL, l->path, PROPERTIES,
					 "PropertiesChanged", on_changed, l);
	return rc;
}

static struct launch *launch_new(struct relay *relay, enum phase phase)
{
	struct launch *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->relay = relay;
	l->phase = phase;
	relay->launch = l;
	snprintf(l->unit, sizeof(l->unit), "vio4wd-relay@%u.service", relay->number);
	if (sd_bus_path_encode(SYSTEMD_PATH "/unit", l->unit, &l->path) >= 0)
		return l;
	launch_free(l);
	return NULL;
}

/* Restart, not start: of one that systemd has not reaped yet, or that runs unheard, nothing must be
 * left. */
static void request_start(struct launch *l)
{
	int rc = connect_systemd(l);

	l->phase = PHASE_START;
	free(l->job);
	l->job = NULL;
	if (rc >= 0)
		rc = sd_bus_match_signal(l->bus, NULL, NULL, SYSTEMD_PATH, SYSTEMD_MANAGER,
					 "JobRemoved", on_job_removed, l);
	if (rc >= 0)
		rc = sd_bus_call_method_async(l->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					      "RestartUnit", on_restarted, l, "ss", l->unit,
					      "replace");
	if (rc < 0)
		lost(l);
}

/* The stop takes the place of the start, but is put off while the manager itself is being stopped;
 * so what there is of a process is killed. Both must have been read before the connection ends. */
static void request_stop(struct launch *l)
{
	int rc = l->bus ? 0 : connect_systemd(l);

	if (rc >= 0)
		rc = sd_bus_call_method_async(l->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					      "StopUnit", NULL, NULL, "ss", l->unit, "replace");
	if (rc >= 0)
		rc = sd_bus_call_method_async(l->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					      "KillUnit", on_killed, l, "ssi", l->unit, "all",
					      SIGKILL);
	if (rc < 0)
		lost(l);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct launch *l = userdata;

	if (l->phase == PHASE_CANCEL)
		request_stop(l);
	else
		request_start(l);
	return 0;
}

/* systemd that does not answer, or cannot be reached, is waited for until the relay's deadline. */
static void start(struct relay *relay)
{
	struct launch *l;
	struct err err;

	if (relay_env_write(relay, &err) < 0) {
		relay_launch_failed(relay, &err);
		return;
	}
	l = launch_new(relay, PHASE_START);
	if (l) {
		request_start(l);
		return;
	}
	err_set(&err, -ENOMEM, "start", "out of memory");
	relay_launch_failed(relay, &err);
}

static void cancel(struct relay *relay)
{
	struct launch *l = relay->launch;

	l->phase = PHASE_CANCEL;
	set_timer(l, &l->timer, CANCEL_US, on_timer);
	request_stop(l);
}

static void ended(struct relay *relay)
{
	/* How it was stopped does not matter. */
	struct launch *l = relay->state == RELAY_STOPPING ? NULL : launch_new(relay, PHASE_ENDED);

	if (!l) {
		relay_ended(relay, "ended");
		return;
	}
	set_timer(l, &l->timer, REAPED_US, on_timer);
	if (connect_systemd(l) < 0)
		report_end(l, "ended");
	else
		ask_properties(l);
}

const struct relay_launcher relay_unit_launcher = {
	.start = start,
	.cancel = cancel,
	.ended = ended,
	.forget = forget,
	.clean = relay_env_remove,
	.socket = socket_path,
};

const struct relay_launcher *relay_launcher_find(struct relay_user *user)
{
	_cleanup_free_ char *unit = NULL;

	if (sd_booted() <= 0 || sd_pid_get_unit(0, &unit) < 0 || strcmp(unit, MANAGER_UNIT))
		return &relay_spawn_launcher;
	relay_user_of_unit(user);
	return &relay_unit_launcher;
}
