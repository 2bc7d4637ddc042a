/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Relays as instances of vio4wd-relay@.service. systemd gives them their user, their limits and a
 * cgroup of their own, so that they outlive the manager; when one is started, and again, is decided
 * here all the same.
 *
 * Each start, and each question how a relay ended, has a connection of its own to systemd: there is
 * none to be lost in between, and no daemon between the two that could be.
 *
 *   start: RestartUnit -> job, JobRemoved(job, "done") -> properties: MainPID -> relay_launched()
 *   ended: properties, again when they change until the process is reaped -> relay_ended()
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "manager/pidfd.h"
#include "manager/relay_args.h"
#include "manager/relay_launcher.h"
#include "manager/unit_result.h"

#define SYSTEMD_SOCKET "unix:path=/run/systemd/private" /* what systemctl uses as root */
#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER SYSTEMD ".Manager"
#define PROPERTIES "org.freedesktop.DBus.Properties"
#define LOCAL "org.freedesktop.DBus.Local"

#define MANAGER_UNIT "virtio-forwarder.service"
#define UNIT_DIR "/run/virtio-forwarder" /* as the unit says, whatever VIO4WD_RUNTIME_DIR is */

/* How long systemd may take (a reload of its own takes as long) before we go on without it. */
#define CANCEL_US 200000
#define REAPED_US 250000

enum phase {
	PHASE_START,  /* RestartUnit has not been answered */
	PHASE_JOB,    /* the job has not ended */
	PHASE_RESULT, /* what came of it is being asked */
	PHASE_CANCEL,
	PHASE_ENDED, /* how it ended is being asked */
};

struct launch {
	struct relay *relay;
	enum phase phase;
	sd_bus *bus;
	sd_event_source *timer;
	char *job;  /* its object path */
	char *path; /* the unit's */
	char unit[64];
	bool asking;
	char result[32]; /* of the job */
};

static void env_path(const struct relay *relay, char *buf, size_t size)
{
	snprintf(buf, size, UNIT_DIR "/relay-%u.env", relay->number);
}

static void socket_path(const struct relay_setup *setup, unsigned int number, char *buf,
			size_t size)
{
	snprintf(buf, size, UNIT_DIR "/relay@%u/control", number);
}

static void launch_free(struct launch *l)
{
	l->relay->launch = NULL;
	sd_event_source_disable_unref(l->timer);
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

static void remove_env(const struct relay *relay)
{
	char path[PATH_MAX];

	env_path(relay, path, sizeof(path));
	unlink(path);
}

static void fail(struct launch *l, const struct err *err)
{
	struct relay *relay = l->relay;

	launch_free(l);
	remove_env(relay);
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
	if (relay->state == RELAY_STOPPING)
		remove_env(relay);
	relay_ended(relay, how);
}

/* systemd is gone or does not answer: what is known without it has to do. */
static void give_up(struct launch *l, const char *why)
{
	if (l->phase == PHASE_ENDED)
		report_end(l, "ended");
	else
		fail_text(l, -ECONNRESET, why);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	give_up(userdata, "start cancelled");
	return 0;
}

static int set_timer(struct launch *l, uint64_t after_us)
{
	l->timer = sd_event_source_disable_unref(l->timer);
	return sd_event_add_time_relative(l->relay->setup->event, &l->timer, CLOCK_MONOTONIC,
					  after_us, 1000, on_timer, l);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	give_up(userdata, "systemd has closed the connection");
	return 0;
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

	l->asking = false;
	if (!sd_bus_message_is_method_error(m, NULL))
		unit_result_read(m, &p);
	if (l->phase == PHASE_RESULT && !strcmp(l->result, "done")) {
		launched(l, p.main_pid);
	} else if (l->phase == PHASE_RESULT) {
		failed(l, &p);
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
		give_up(l, "systemd cannot be asked");
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct launch *l = userdata;

	if (l->phase == PHASE_ENDED)
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
	if (l->phase == PHASE_CANCEL) {
		fail_text(l, -ECANCELED, "start cancelled");
	} else if (l->phase == PHASE_JOB) {
		l->phase = PHASE_RESULT;
		snprintf(l->result, sizeof(l->result), "%s", result);
		ask_properties(l);
	}
	return 0;
}

/* It must not become a running process. The job first: then none is made any more, and what there
 * is of one can be killed. */
static void cancel_job(struct launch *l)
{
	if (l->job)
		sd_bus_call_method_async(l->bus, NULL, SYSTEMD, l->job, SYSTEMD ".Job", "Cancel",
					 NULL, NULL, "");
	sd_bus_call_method_async(l->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "KillUnit",
				 NULL, NULL, "ssi", l->unit, "all", SIGKILL);
}

/* A manager that somebody made a unit of by hand, without ours. */
static void use_children(struct launch *l)
{
	struct relay *relay = l->relay;

	log_notice("systemd knows no unit %s: relays are child processes", l->unit);
	launch_free(l);
	remove_env(relay);
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

	if (refused && l->phase == PHASE_START &&
	    sd_bus_error_has_name(refused, SYSTEMD ".NoSuchUnit")) {
		use_children(l);
		return 0;
	}
	if (refused || sd_bus_message_read(m, "o", &job) < 0 || !(l->job = strdup(job))) {
		fail_text(l, -EIO,
			  refused && refused->message ? refused->message
						      : "systemd does not start it");
		return 0;
	}
	if (l->phase == PHASE_CANCEL)
		cancel_job(l);
	else
		l->phase = PHASE_JOB;
	return 0;
}

static int connect_systemd(struct launch *l)
{
	int rc = sd_bus_new(&l->bus);

	if (rc >= 0)
		rc = sd_bus_set_address(l->bus, SYSTEMD_SOCKET);
	if (rc >= 0)
		rc = sd_bus_start(l->bus);
	if (rc >= 0)
		rc = sd_bus_attach_event(l->bus, l->relay->setup->event, SD_EVENT_PRIORITY_NORMAL);
	if (rc >= 0)
		rc = sd_bus_match_signal(l->bus, NULL, NULL, NULL, LOCAL, "Disconnected",
					 on_disconnected, l);
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

static int write_env(const struct relay *relay, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	struct relay_args args;
	char path[PATH_MAX];
	int rc;

	rc = relay_args_fill(&args, relay, false, err);
	if (rc < 0)
		return rc;
	rc = relay_args_text(&args, &text, err);
	relay_args_free(&args);
	if (rc < 0)
		return rc;
	env_path(relay, path, sizeof(path));
	mkdir(UNIT_DIR, 0755); /* where the unit of the manager does not */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || dprintf(fd, "VIO4WD_RELAY_ARGS=\"%s\"\n", text) < 0)
		return err_set(err, -errno, "start", "%s: %s", path, strerror(errno));
	return 0;
}

static void start(struct relay *relay)
{
	struct launch *l;
	struct err err;
	int rc;

	if (write_env(relay, &err) < 0) {
		relay_launch_failed(relay, &err);
		return;
	}
	l = launch_new(relay, PHASE_START);
	if (!l) {
		err_set(&err, -ENOMEM, "start", "out of memory");
		relay_launch_failed(relay, &err);
		return;
	}
	rc = connect_systemd(l);
	if (rc >= 0)
		rc = sd_bus_match_signal(l->bus, NULL, NULL, SYSTEMD_PATH, SYSTEMD_MANAGER,
					 "JobRemoved", on_job_removed, l);
	/* Restart, not start: of one that systemd has not reaped yet, or that runs unheard, nothing
	 * must be left. */
	if (rc >= 0)
		rc = sd_bus_call_method_async(l->bus, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER,
					      "RestartUnit", on_restarted, l, "ss", l->unit,
					      "replace");
	if (rc < 0) {
		err_set(&err, rc, "start", "systemd cannot be asked for %s: %s", l->unit,
			strerror(-rc));
		fail(l, &err);
	}
}

static void cancel(struct relay *relay)
{
	struct launch *l = relay->launch;

	l->phase = PHASE_CANCEL;
	cancel_job(l);
	if (set_timer(l, CANCEL_US) < 0)
		fail_text(l, -ECANCELED, "start cancelled");
}

static void ended(struct relay *relay)
{
	/* How it was stopped does not matter. */
	struct launch *l = relay->state == RELAY_STOPPING ? NULL : launch_new(relay, PHASE_ENDED);
	int rc;

	if (!l) {
		if (relay->state == RELAY_STOPPING)
			remove_env(relay);
		relay_ended(relay, "ended");
		return;
	}
	rc = connect_systemd(l);
	if (rc >= 0)
		rc = sd_bus_match_signal(l->bus, NULL, NULL, l->path, PROPERTIES,
					 "PropertiesChanged", on_changed, l);
	if (rc >= 0)
		rc = set_timer(l, REAPED_US);
	if (rc < 0)
		report_end(l, "ended");
	else
		ask_properties(l);
}

const struct relay_launcher relay_unit_launcher = {
	.start = start,
	.cancel = cancel,
	.ended = ended,
	.forget = forget,
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
