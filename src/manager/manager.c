/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Start: lock, wishes (configuration, state file), relay processes, control endpoints; ready when
 * every pairing has been tried. Stop: relay processes, sockets, files. A manager that is killed
 * leaves the relays forwarding, and the next one adopts them.
 */
#include "manager/manager.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "manager/bindings.h"
#include "manager/jobs.h"
#include "manager/notify.h"
#include "manager/port_control.h"
#include "manager/relay_launcher.h"
#include "manager/sampler.h"
#include "manager/svc_control.h"
#include "manager/svc_zmq.h"
#include "manager/vdpas.h"
#include "manager/vfs.h"
#include "udev/monitor.h"

#define STOP_DEADLINE_US 2000000
#define STOP_DEADLINE_HARDWARE_US 5000000 /* the kernel resets what a process leaves behind */
#define STATUS_INTERVAL_US 1000000ull

void manager_path(const struct manager *m, char *buf, size_t size, const char *name)
{
	snprintf(buf, size, "%s/%s", m->cfg->runtime_dir, name);
}

uint64_t manager_now_us(const struct manager *m)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static int on_run_all(sd_event_source *source, void *userdata)
{
	struct manager *m = userdata;

	if (m->phase != MANAGER_STOPPING) {
		vf_counts_appeared(m->vf_counts);
		vf_auto_run(m);
		port_control_changed(m->port_control, true);
	}
	for (unsigned int id = 0; id < m->max_relays; id++)
		pairing_run(&m->pairings[id]);
	return 0;
}

void manager_run_all(struct manager *m)
{
	sd_event_source_set_enabled(m->run_all_source, SD_EVENT_ONESHOT);
}

static void on_links(void *userdata)
{
	manager_run_all(userdata);
}

/* Where to look again is not asked: all pairings look at what is theirs. */
static void on_vf_event(const struct vf_event *event, void *userdata)
{
	struct manager *m = userdata;

	vdpas_refresh(m->vdpas);
	manager_run_all(m);
}

static bool relay_was_tried(const struct pairing *p)
{
	return p->seen.relay && p->seen.relay->state == RELAY_FAILED;
}

static void status_line(const struct manager *m, char *buf, size_t size)
{
	unsigned int count[PAIRING_FAILED + 1] = { 0 }, running = 0;
	const struct relay *failing = NULL;

	for (unsigned int id = 0; id < m->max_relays; id++)
		count[m->pairings[id].state]++;
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		const struct relay *relay = m->processes[i];

		running += relay && relay->state == RELAY_RUNNING;
		if (relay && relay->state == RELAY_FAILED)
			failing = relay;
	}
	snprintf(buf, size,
		 "%u active, %u waiting for a VM, %u waiting for a device, %u failed; %u relay "
		 "process%s%s%s",
		 count[PAIRING_ACTIVE], count[PAIRING_LISTENING],
		 count[PAIRING_CONNECTED] + count[PAIRING_ABSENT], count[PAIRING_FAILED], running,
		 running == 1 ? "" : "es", failing ? "; failing: " : "",
		 failing ? failing->reason : "");
}

static void become_ready(struct manager *m)
{
	char status[sizeof(m->status)];

	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (!pairing_settled(&m->pairings[id]) && !relay_was_tried(&m->pairings[id]))
			return;
	}
	m->phase = MANAGER_READY;
	status_line(m, status, sizeof(status));
	memcpy(m->status, status, sizeof(m->status));
	m->status_us = manager_now_us(m);
	notify_send("READY=1\nSTATUS=%s", status);
	log_notice("ready: %s", status);
}

/* After every round of the loop that did something. */
static int on_post(sd_event_source *source, void *userdata)
{
	struct manager *m = userdata;
	char status[sizeof(m->status)];

	if (m->phase != MANAGER_STOPPING)
		vf_counts_continue(m->vf_counts);
	if (m->phase == MANAGER_STARTING)
		become_ready(m);
	if (m->phase != MANAGER_READY || manager_now_us(m) < m->status_us + STATUS_INTERVAL_US)
		return 0;
	m->status_us = manager_now_us(m);
	status_line(m, status, sizeof(status));
	if (strcmp(status, m->status)) {
		memcpy(m->status, status, sizeof(m->status));
		notify_send("STATUS=%s", status);
	}
	return 0;
}

static int on_stop_signal(sd_event_source *source, const struct signalfd_siginfo *si,
			  void *userdata)
{
	log_notice("signal %u (%s): stopping", si->ssi_signo, strsignal(si->ssi_signo));
	manager_stop(userdata);
	return 0;
}

static int on_hup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct manager *m = userdata;
	json_object *warnings = json_object_new_array();
	struct err err;
	uint64_t now = manager_now_us(m);

	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now);
	manager_reload(m, warnings, &err);
	json_object_put(warnings);
	notify_send("READY=1");
	return 0;
}

static int add_signals(struct manager *m)
{
	int rc;

	rc = sd_event_add_signal(m->event, NULL, SIGTERM, on_stop_signal, m);
	if (rc >= 0)
		rc = sd_event_add_signal(m->event, NULL, SIGINT, on_stop_signal, m);
	if (rc >= 0)
		rc = sd_event_add_signal(m->event, NULL, SIGHUP, on_hup, m);
	if (rc >= 0)
		rc = sd_event_add_post(m->event, NULL, on_post, m);
	if (rc >= 0)
		rc = sd_event_add_defer(m->event, &m->run_all_source, on_run_all, m);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(m->run_all_source, SD_EVENT_OFF);
	if (rc >= 0)
		rc = sd_event_set_watchdog(m->event, true);
	return rc;
}

static int make_pairings(struct manager *m, struct err *err)
{
	m->max_relays = CONFIG_MAX_RELAYS;
	m->pairings = calloc(m->max_relays, sizeof(*m->pairings));
	m->extra = calloc(m->max_relays, sizeof(*m->extra));
	if (!m->pairings || !m->extra)
		return err_set(err, -ENOMEM, "start", "out of memory");
	manager_env_init(m);
	for (unsigned int id = 0; id < m->max_relays; id++) {
		pairing_init(&m->pairings[id], id, &m->env);
		m->extra[id].m = m;
	}
	return 0;
}

static int start(struct manager *m, struct err *err)
{
	char path[4096];
	int rc;

	rc = startup_directories(m, err);
	if (!rc)
		rc = startup_lock(m, err);
	if (!rc)
		rc = startup_pid_file(m, err);
	if (!rc)
		rc = relay_user_find(&m->user, m->cfg->socket_group, err);
	if (!rc)
		rc = make_pairings(m, err);
	if (rc)
		return rc;
	rc = jobs_new(&m->jobs, m->event, err);
	if (!rc)
		rc = bindings_new(&m->bindings, m, err);
	if (!rc)
		rc = vdpas_new(&m->vdpas, m, err);
	if (!rc)
		rc = vf_counts_new(&m->vf_counts, m, err);
	if (!rc)
		rc = vf_monitor_new(&m->vf_monitor, m->event, on_vf_event, m, err);
	if (rc)
		return rc;
	socket_owner_find(&m->owner, m->cfg->socket_owner, m->cfg->socket_group);
	vdpas_refresh(m->vdpas);
	wishes_from_config(m);
	wishes_restore(m);
	/* Relays start while the rest is being set up. */
	m->setup = (struct relay_setup){ .event = m->event,
					 .launcher = relay_launcher_find(&m->user),
					 .program = m->relay_program,
					 .cfg = m->cfg,
					 .user = &m->user,
					 .root = m->root,
					 .events = &manager_relay_events,
					 .userdata = m };
	rc = relays_start(m, err);
	if (!rc)
		rc = netlinks_new(&m->netlinks, m->event, on_links, m, err);
	if (!rc && m->cfg->vhost_client)
		rc = socket_watch_new(&m->watch, m->event, &m->user);
	manager_path(m, path, sizeof(path), "state.json");
	if (!rc)
		rc = state_file_new(&m->state, m->event, path, saving_done, m, err);
	if (!rc)
		rc = sampler_new(&m->sampler, m, err);
	if (!rc)
		rc = svc_control_new(&m->control, m, err);
	if (!rc)
		rc = svc_zmq_new(&m->zmq, m, err);
	if (!rc)
		rc = port_control_new(&m->port_control, m, err);
	if (!rc)
		manager_run_all(m);
	return rc;
}

int manager_new(struct manager **result, const char *config_file, const char *relay_program,
		struct config *cfg, struct err *err)
{
	struct manager *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return err_set(err, -ENOMEM, "start", "out of memory");
	m->cfg = cfg;
	m->config_file = config_file;
	m->root = "";
	m->lock_fd = -1;
	m->started = time(NULL);
	snprintf(m->relay_program, sizeof(m->relay_program), "%s", relay_program);
	startup_limits();
	rc = sd_event_default(&m->event);
	if (rc >= 0)
		rc = add_signals(m);
	if (rc < 0)
		err_set(err, rc, "start", "event loop: %s", strerror(-rc));
	else
		rc = start(m, err);
	*result = m;
	return rc < 0 ? rc : 0;
}

int manager_run(struct manager *m)
{
	const int rc = sd_event_loop(m->event);

	if (rc < 0)
		log_error("event loop: %s", strerror(-rc));
	return rc < 0 ? 1 : rc;
}

static int on_stop_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	log_error("a relay process did not end in time; leaving");
	relays_abandon(m);
	return sd_event_exit(m->event, 1);
}

void manager_stop(struct manager *m)
{
	uint64_t deadline = STOP_DEADLINE_US;
	bool any = false;

	if (m->phase == MANAGER_STOPPING)
		return;
	m->phase = MANAGER_STOPPING;
	notify_send("STOPPING=1");
	for (unsigned int id = 0; m->pairings && id < m->max_relays; id++) {
		struct pci_addr addrs[BOND_MEMBERS_MAX];

		if (m->pairings[id].seen.has_pci || bonds_functions(&m->pairings[id], addrs))
			deadline = STOP_DEADLINE_HARDWARE_US;
		pairing_fini(&m->pairings[id]);
	}
	if (sd_event_add_time_relative(m->event, &m->stop_deadline, CLOCK_MONOTONIC, deadline, 1000,
				       on_stop_deadline, m) < 0)
		sd_event_exit(m->event, 1);
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		if (m->processes[i]) {
			any = true;
			relay_stop(m->processes[i]);
		}
	}
	if (!any)
		sd_event_exit(m->event, 0);
}

void manager_free(struct manager *m)
{
	const bool stopped = m->phase == MANAGER_STOPPING;

	m->phase = MANAGER_STOPPING;
	/* Who still waits is answered before the way to him goes. */
	for (unsigned int id = 0; m->pairings && id < m->max_relays; id++)
		pairing_fini(&m->pairings[id]);
	saving_flush(m);
	sampler_free(m->sampler);
	svc_zmq_free(m->zmq);
	port_control_free(m->port_control);
	svc_control_free(m->control);
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++)
		relay_free(m->processes[i]);
	for (unsigned int id = 0; m->pairings && id < m->max_relays; id++)
		sd_event_source_disable_unref(m->extra[id].alarm);
	vf_monitor_free(m->vf_monitor);
	jobs_free(m->jobs);
	netlinks_free(m->netlinks);
	socket_watch_free(m->watch);
	state_file_free(m->state);
	json_object_put(m->saved);
	if (stopped)
		startup_clean(m);
	bindings_free(m->bindings);
	vdpas_free(m->vdpas);
	vf_counts_free(m->vf_counts);
	sd_event_source_disable_unref(m->run_all_source);
	sd_event_source_disable_unref(m->stop_deadline);
	sd_event_unref(m->event);
	free(m->pairings);
	free(m->extra);
	config_free(m->cfg);
	free(m);
}
