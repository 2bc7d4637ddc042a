/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A relay process is known by its pidfd, never by its number alone, so no signal can hit another
 * process.
 *
 * One that ends is started again at once; only when it ends again and again within seconds, or does
 * not even start, does the next start wait.
 */
#include "manager/relay_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "manager/pidfd.h"
#include "manager/relay_connect.h"
#include "manager/relay_launcher.h"

#define QUICK_DEATH_US 5000000ull
#define FREE_RESTARTS 3 /* quick deaths in a row after which the next start does not wait */
#define RESTART_MIN_US 1000000ull
#define RESTART_MAX_US 60000000ull
#define STOP_TERM_US 150000
#define STOP_KILL_US 150000

static void start(struct relay *relay);

const char *relay_state_name(enum relay_state state)
{
	switch (state) {
	case RELAY_RUNNING:
		return "running";
	case RELAY_FAILED:
		return "failed";
	case RELAY_STARTING:
	case RELAY_LOST:
		return "starting";
	default:
		return "stopping";
	}
}

uint64_t relay_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

void relay_set_timer(struct relay *relay, sd_event_source **source, uint64_t after_us,
		     sd_event_time_handler_t handler)
{
	int rc;

	*source = sd_event_source_disable_unref(*source);
	rc = sd_event_add_time_relative(relay->setup->event, source, CLOCK_MONOTONIC, after_us, 1,
					handler, relay);
	if (rc < 0)
		log_error("relay process %u: no timer: %s", relay->number, strerror(-rc));
}

void relay_cancel_timers(struct relay *relay)
{
	relay->timer = sd_event_source_disable_unref(relay->timer);
	relay->deadline = sd_event_source_disable_unref(relay->deadline);
}

void relay_kill(struct relay *relay, const char *why)
{
	if (relay->pidfd < 0)
		return;
	log_error("relay process %u (pid %d): %s; killing it", relay->number, relay->pid, why);
	snprintf(relay->reason, sizeof(relay->reason), "%s", why);
	pidfd_signal(relay->pidfd, SIGKILL);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct relay *relay = userdata;

	relay->deadline = sd_event_source_disable_unref(relay->deadline);
	if (relay->launching)
		relay->launcher->cancel(relay);
	else
		relay_kill(relay, "does not answer");
	return 0;
}

void relay_set_deadline(struct relay *relay, uint64_t after_us)
{
	relay_set_timer(relay, &relay->deadline, after_us, on_deadline);
}

static int on_restart(sd_event_source *source, uint64_t usec, void *userdata)
{
	start(userdata);
	return 0;
}

static void restart_later(struct relay *relay)
{
	const unsigned int over = relay->deaths - FREE_RESTARTS - 1;
	uint64_t delay = RESTART_MIN_US << (over < 6 ? over : 6);

	if (delay > RESTART_MAX_US)
		delay = RESTART_MAX_US;
	delay += (relay_now_us() * 2654435761u) % (delay / 4);
	relay->state = RELAY_FAILED;
	log_error("relay process %u: next start in %.1f s", relay->number, delay / 1e6);
	relay_set_timer(relay, &relay->timer, delay, on_restart);
}

static int on_exit_event(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct relay *relay = userdata;

	relay->exit_source = sd_event_source_disable_unref(relay->exit_source);
	relay_cancel_timers(relay);
	if (relay->state != RELAY_STOPPING)
		relay->state = RELAY_LOST;
	relay_connect_drop(relay);
	relay->launcher->ended(relay);
	return 0;
}

static void is_gone(struct relay *relay, const char *why)
{
	relay->state = RELAY_GONE;
	relay_cancel_timers(relay);
	relay->launcher->clean(relay);
	relay->setup->events->down(relay, why);
	relay->setup->events->stopped(relay);
}

void relay_ended(struct relay *relay, const char *how)
{
	char why[240];

	snprintf(why, sizeof(why), "relay process %u (pid %d) %s", relay->number, relay->pid, how);
	close(relay->pidfd);
	relay->pidfd = -1;
	relay->pid = 0;
	if (relay->state == RELAY_STOPPING) {
		log_info("%s", why);
		is_gone(relay, why);
		return;
	}
	log_error("%s", why);
	snprintf(relay->reason, sizeof(relay->reason), "%.170s; its log says why", why);
	relay->state = RELAY_FAILED;
	relay->restarts++;
	relay->deaths = relay_now_us() - relay->started_us < QUICK_DEATH_US ? relay->deaths + 1 : 1;
	relay->setup->events->down(relay, why);
	if (relay->deaths > FREE_RESTARTS)
		restart_later(relay);
	else
		start(relay);
}

static int watch(struct relay *relay)
{
	return sd_event_add_io(relay->setup->event, &relay->exit_source, relay->pidfd, EPOLLIN,
			       on_exit_event, relay);
}

void relay_launch_failed(struct relay *relay, const struct err *err)
{
	relay->launching = false;
	relay_cancel_timers(relay);
	if (relay->state == RELAY_STOPPING) {
		is_gone(relay, err->text);
		return;
	}
	log_error("relay process %u: %s", relay->number, err->text);
	snprintf(relay->reason, sizeof(relay->reason), "%.190s", err->text);
	relay->deaths = relay->deaths <= FREE_RESTARTS ? FREE_RESTARTS + 1 : relay->deaths + 1;
	restart_later(relay);
}

void relay_launched(struct relay *relay, pid_t pid, int pidfd)
{
	relay->launching = false;
	relay->pid = pid;
	relay->pidfd = pidfd;
	if (watch(relay) < 0) {
		relay_kill(relay, "cannot be watched");
		relay->launcher->ended(relay);
		return;
	}
	relay_connect_fresh(relay);
}

static void start(struct relay *relay)
{
	relay_cancel_timers(relay);
	relay->started_us = relay_now_us();
	relay->started = time(NULL);
	relay->adopted = false;
	relay->state = RELAY_STARTING;
	relay->launcher = relay->setup->launcher;
	relay->launcher->socket(relay->setup, relay->number, relay->socket, sizeof(relay->socket));
	relay->launching = true;
	relay_set_deadline(relay, RELAY_START_TIMEOUT_MS * 1000ull);
	relay->launcher->start(relay);
}

/* Is there one already? 0, or negative when it has to be started. */
static int adopt(struct relay *relay, const struct relay_launcher *launcher)
{
	relay->launcher = launcher;
	launcher->socket(relay->setup, relay->number, relay->socket, sizeof(relay->socket));
	if (relay_connect_adopt(relay) < 0)
		return -ENOENT;
	relay->pidfd = pidfd_of(relay->pid);
	if (relay->pidfd < 0 || watch(relay) < 0) {
		relay_connect_drop(relay);
		return -ESRCH;
	}
	relay->adopted = true;
	relay->started_us = relay_now_us();
	relay->started = pid_started(relay->pid);
	log_notice("relay process %u (pid %d) runs already: taking it over", relay->number,
		   relay->pid);
	relay_set_deadline(relay, RELAY_ADOPT_DEADLINE_US);
	relay_connect_hello(relay);
	return 0;
}

/* Where an earlier manager may have left one: with units, relays of before there were any, too.
 * NULL: nowhere else. */
static const struct relay_launcher *other_launcher(const struct relay_setup *setup)
{
	return setup->launcher == &relay_spawn_launcher ? NULL : &relay_spawn_launcher;
}

static bool has_socket(const struct relay_launcher *launcher, const struct relay_setup *setup,
		       unsigned int number)
{
	char path[CONFIG_SOCKET_PATH_MAX + 1];

	launcher->socket(setup, number, path, sizeof(path));
	return access(path, F_OK) == 0;
}

bool relay_left(const struct relay_setup *setup, unsigned int number)
{
	const struct relay_launcher *other = other_launcher(setup);

	return has_socket(setup->launcher, setup, number) ||
	       (other && has_socket(other, setup, number));
}

int relay_new(struct relay **result, struct relay_setup *setup, unsigned int number, int numa_node,
	      const struct cpuset *cpus, struct err *err)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	const struct relay_launcher *other = other_launcher(setup);

	if (!relay)
		return err_set(err, -ENOMEM, "relay", "out of memory");
	relay->number = number;
	relay->numa_node = numa_node;
	relay->setup = setup;
	relay->cpus = *cpus;
	relay->pidfd = -1;
	relay->max_ports = RELAY_PORTS_DEFAULT;
	relay->state = RELAY_STARTING;
	if (adopt(relay, setup->launcher) < 0 && (!other || adopt(relay, other) < 0))
		start(relay);
	*result = relay;
	return 0;
}

static int on_stop_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct relay *relay = userdata;

	pidfd_signal(relay->pidfd, relay->stop_signals ? SIGKILL : SIGTERM);
	if (!relay->stop_signals++)
		relay_set_timer(relay, &relay->timer, STOP_KILL_US, on_stop_timer);
	return 0;
}

static void stop_answered(json_object *result, const struct err *err, void *userdata)
{
}

void relay_stop(struct relay *relay)
{
	const bool asked = relay->state == RELAY_RUNNING && relay->conn;

	if (relay->state == RELAY_STOPPING || relay->state == RELAY_GONE)
		return;
	relay_cancel_timers(relay);
	relay->state = RELAY_STOPPING;
	relay->stop_signals = 0;
	if (relay->launching) {
		relay->launcher->cancel(relay);
	} else if (relay->pidfd < 0) {
		is_gone(relay, relay->reason);
	} else if (asked && rpc_call(relay->conn, "stop", NULL, NULL, 0, RELAY_CALL_TIMEOUT_MS,
				     stop_answered, relay) == 0) {
		relay_set_timer(relay, &relay->timer, STOP_TERM_US, on_stop_timer);
	} else {
		on_stop_timer(NULL, 0, relay);
	}
}

void relay_abandon(struct relay *relay)
{
	if (relay->state != RELAY_STOPPING)
		return;
	if (relay->pidfd >= 0)
		pidfd_signal(relay->pidfd, SIGKILL);
	is_gone(relay, "did not end in time");
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	relay->state = RELAY_GONE;
	relay->launcher->forget(relay);
	relay_cancel_timers(relay);
	relay_connect_drop(relay);
	relay->exit_source = sd_event_source_disable_unref(relay->exit_source);
	if (relay->pidfd >= 0)
		close(relay->pidfd);
	free(relay);
}
