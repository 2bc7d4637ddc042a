/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A relay process is known by its pidfd, never by its number alone, so no signal can hit another
 * process. A fresh process says to nobody when it listens: connecting is tried at short, growing
 * intervals until the deadline of hello.
 *
 * One that ends is started again at once; only when it ends again and again within seconds does
 * the next start wait. One that is connected to while it runs (after a restart of the manager, or
 * because the connection was lost) is asked for its snapshot before it is announced.
 */
#include "manager/relay_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "common/log.h"
#include "manager/json_util.h"
#include "manager/relay_spawn.h"

#define CONNECT_WAIT_MIN_US 1000
#define CONNECT_WAIT_MAX_US 50000
#define START_DEADLINE_US 15000000ull /* a fresh process: the first hugepages take their time */
#define ADOPT_DEADLINE_US 5000000ull  /* one that runs already */
#define QUICK_DEATH_US 5000000ull
#define FREE_RESTARTS 3 /* quick deaths in a row after which the next start does not wait */
#define RESTART_MIN_US 1000000ull
#define RESTART_MAX_US 60000000ull
#define STOP_TERM_US 150000
#define STOP_KILL_US 150000

static void start(struct relay *relay);
static void try_connect(struct relay *relay);

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

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void set_timer(struct relay *relay, sd_event_source **source, uint64_t after_us,
		      sd_event_time_handler_t handler)
{
	int rc;

	*source = sd_event_source_disable_unref(*source);
	rc = sd_event_add_time_relative(relay->setup->event, source, CLOCK_MONOTONIC, after_us, 1,
					handler, relay);
	if (rc < 0)
		log_error("relay process %u: no timer: %s", relay->number, strerror(-rc));
}

static void cancel_timers(struct relay *relay)
{
	relay->timer = sd_event_source_disable_unref(relay->timer);
	relay->deadline = sd_event_source_disable_unref(relay->deadline);
}

static void drop_connection(struct relay *relay)
{
	struct rpc_conn *conn = relay->conn;

	relay->conn = NULL;
	if (conn)
		rpc_conn_close(conn);
}

void relay_kill(struct relay *relay, const char *why)
{
	if (relay->pidfd < 0)
		return;
	log_error("relay process %u (pid %d): %s; killing it", relay->number, relay->pid, why);
	snprintf(relay->reason, sizeof(relay->reason), "%s", why);
	pidfd_signal(relay->pidfd, SIGKILL);
}

static void how_it_ended(struct relay *relay, char *buf, size_t size)
{
	siginfo_t info = { 0 };

	if (!relay->child)
		snprintf(buf, size, "ended (an earlier manager started it: how is not known)");
	else if (waitid(P_PID, relay->pid, &info, WEXITED) < 0)
		snprintf(buf, size, "ended (%s)", strerror(errno));
	else if (info.si_code == CLD_EXITED)
		snprintf(buf, size, "ended with status %d", info.si_status);
	else
		snprintf(buf, size, "was killed by signal %d (%s)", info.si_status,
			 strsignal(info.si_status));
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
	delay += (now_us() * 2654435761u) % (delay / 4);
	relay->state = RELAY_FAILED;
	log_error("relay process %u: next start in %.1f s", relay->number, delay / 1e6);
	set_timer(relay, &relay->timer, delay, on_restart);
}

static int on_exit_event(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct relay *relay = userdata;
	const bool stopping = relay->state == RELAY_STOPPING;
	char how[160], why[240];

	how_it_ended(relay, how, sizeof(how));
	relay->exit_source = sd_event_source_disable_unref(relay->exit_source);
	close(relay->pidfd);
	relay->pidfd = -1;
	cancel_timers(relay);
	snprintf(why, sizeof(why), "relay process %u (pid %d) %s", relay->number, relay->pid, how);
	relay->pid = 0;
	if (!stopping)
		relay->state = RELAY_FAILED;
	drop_connection(relay);
	if (stopping) {
		log_info("%s", why);
		relay->state = RELAY_GONE;
		relay->setup->events->down(relay, why);
		relay->setup->events->stopped(relay);
		return 0;
	}
	log_error("%s", why);
	snprintf(relay->reason, sizeof(relay->reason), "%.190s", why);
	relay->restarts++;
	relay->deaths = now_us() - relay->started_us < QUICK_DEATH_US ? relay->deaths + 1 : 1;
	relay->setup->events->down(relay, why);
	if (relay->deaths > FREE_RESTARTS)
		restart_later(relay);
	else
		start(relay);
	return 0;
}

static int watch(struct relay *relay)
{
	return sd_event_add_io(relay->setup->event, &relay->exit_source, relay->pidfd, EPOLLIN,
			       on_exit_event, relay);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct relay *relay = userdata;

	relay->deadline = sd_event_source_disable_unref(relay->deadline);
	relay_kill(relay, "does not answer");
	return 0;
}

static void announce(struct relay *relay, json_object *snapshot)
{
	cancel_timers(relay);
	relay->state = RELAY_RUNNING;
	relay->reason[0] = '\0';
	relay->adopted = true; /* from now on a new connection finds endpoints */
	relay->setup->events->up(relay, snapshot);
}

static void snapshot_done(json_object *result, const struct err *err, void *userdata)
{
	struct relay *relay = userdata;

	if (relay->state != RELAY_STARTING && relay->state != RELAY_LOST)
		return;
	if (err->code) {
		if (err->code != -ECONNRESET)
			relay_kill(relay, err->text);
		return;
	}
	announce(relay, result);
}

static void hello_done(json_object *result, const struct err *err, void *userdata)
{
	struct relay *relay = userdata;
	const char *version;

	if (relay->state != RELAY_STARTING && relay->state != RELAY_LOST)
		return;
	if (err->code) {
		if (err->code != -ECONNRESET)
			relay_kill(relay, err->text);
		return;
	}
	relay->max_ports = json_get_int(result, "max_ports", RELAY_PORTS_DEFAULT);
	snprintf(relay->dpdk, sizeof(relay->dpdk), "%s", json_get_text(result, "dpdk", ""));
	version = json_get_text(result, "version", "");
	log_info("relay process %u: pid %d, NUMA node %d, %s, answers after %.0f ms", relay->number,
		 relay->pid, relay->numa_node, relay->dpdk, (now_us() - relay->started_us) / 1e3);
	if (strcmp(version, VIO4WD_VERSION))
		log_notice("relay process %u is of version %s, the manager of %s: it changes when "
			   "the relay is started again",
			   relay->number, version, VIO4WD_VERSION);
	if (!relay->adopted)
		announce(relay, NULL);
	else if (rpc_call(relay->conn, "stats", NULL, NULL, 0, RELAY_CALL_TIMEOUT_MS, snapshot_done,
			  relay) < 0)
		relay_kill(relay, "cannot be asked for its endpoints");
}

static void on_request(struct rpc_conn *conn, struct rpc_request *req, const char *method,
		       json_object *params, int *fds, size_t n_fds, void *userdata)
{
	struct relay *relay = userdata;
	const int id = json_get_int(params, "id", -1);
	struct err err;

	if (req) {
		err_set(&err, -EOPNOTSUPP, "method", "the manager serves no '%s' to relays",
			method);
		rpc_reply_error(req, &err);
	} else if (relay->state != RELAY_RUNNING || id < 0) {
		return;
	} else if (!strcmp(method, "vm")) {
		relay->setup->events->vm(relay, id, json_get_bool(params, "connected", false));
	} else if (!strcmp(method, "device")) {
		relay->setup->events->device(relay, id, json_get_bool(params, "link", false),
					     json_get_text(params, "error", NULL));
	}
}

static int on_retry_connect(sd_event_source *source, uint64_t usec, void *userdata)
{
	try_connect(userdata);
	return 0;
}

static void connect_later(struct relay *relay)
{
	set_timer(relay, &relay->timer, relay->connect_wait_us, on_retry_connect);
	relay->connect_wait_us += relay->connect_wait_us / 2;
	if (relay->connect_wait_us > CONNECT_WAIT_MAX_US)
		relay->connect_wait_us = CONNECT_WAIT_MAX_US;
}

/* The process itself may be fine: then it is connected to again. */
static void on_closed(struct rpc_conn *conn, const struct err *err, void *userdata)
{
	struct relay *relay = userdata;

	relay->conn = NULL;
	if (relay->state == RELAY_STOPPING || relay->pidfd < 0)
		return;
	if (relay->state == RELAY_RUNNING) {
		relay->state = RELAY_LOST;
		set_timer(relay, &relay->deadline, ADOPT_DEADLINE_US, on_deadline);
	}
	relay->connect_wait_us = CONNECT_WAIT_MAX_US;
	connect_later(relay);
}

static const struct rpc_handlers handlers = { .request = on_request, .closed = on_closed };

static void say_hello(struct relay *relay)
{
	if (rpc_call(relay->conn, "hello", NULL, NULL, 0, RELAY_CALL_TIMEOUT_MS, hello_done,
		     relay) < 0)
		relay_kill(relay, "cannot be talked to");
}

static void try_connect(struct relay *relay)
{
	struct err err;
	int rc;

	relay->timer = sd_event_source_disable_unref(relay->timer);
	rc = rpc_connect(&relay->conn, relay->setup->event, relay->socket, &handlers, relay, &err);
	if (rc < 0) {
		relay->conn = NULL;
		connect_later(relay);
	} else if (rpc_conn_peer_pid(relay->conn) != relay->pid) {
		relay_kill(relay, "another process serves its socket");
	} else {
		say_hello(relay);
	}
}

static void start_failed(struct relay *relay, const struct err *err)
{
	log_error("relay process %u: %s", relay->number, err->text);
	snprintf(relay->reason, sizeof(relay->reason), "%.190s", err->text);
	relay->deaths = relay->deaths <= FREE_RESTARTS ? FREE_RESTARTS + 1 : relay->deaths + 1;
	restart_later(relay);
}

static void start(struct relay *relay)
{
	struct err err;
	pid_t pid;

	cancel_timers(relay);
	relay->started_us = now_us();
	relay->started = time(NULL);
	relay->adopted = false;
	pid = relay_spawn(relay, &err);
	if (pid < 0) {
		start_failed(relay, &err);
		return;
	}
	relay->pid = pid;
	relay->child = true;
	relay->state = RELAY_STARTING;
	relay->pidfd = pidfd_of(pid);
	if (relay->pidfd < 0 || watch(relay) < 0) {
		/* Cannot be watched, so it must not run. It is not reaped yet: the pid is its. */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (relay->pidfd >= 0)
			close(relay->pidfd);
		relay->pidfd = -1;
		relay->pid = 0;
		err_set(&err, -ENFILE, "start", "cannot watch a new process");
		start_failed(relay, &err);
		return;
	}
	relay->connect_wait_us = CONNECT_WAIT_MIN_US;
	set_timer(relay, &relay->deadline, START_DEADLINE_US, on_deadline);
	connect_later(relay);
}

/* Is there one already? 0, or negative when it has to be started. */
static int adopt(struct relay *relay)
{
	struct err err;
	int rc;

	rc = rpc_connect(&relay->conn, relay->setup->event, relay->socket, &handlers, relay, &err);
	if (rc < 0) {
		relay->conn = NULL;
		return rc;
	}
	relay->pid = rpc_conn_peer_pid(relay->conn);
	relay->pidfd = pidfd_of(relay->pid);
	if (relay->pidfd < 0 || watch(relay) < 0) {
		drop_connection(relay);
		return -ESRCH;
	}
	relay->child = false;
	relay->adopted = true;
	relay->started_us = now_us();
	relay->started = pid_started(relay->pid);
	log_notice("relay process %u (pid %d) runs already: taking it over", relay->number,
		   relay->pid);
	set_timer(relay, &relay->deadline, ADOPT_DEADLINE_US, on_deadline);
	say_hello(relay);
	return 0;
}

int relay_new(struct relay **result, struct relay_setup *setup, unsigned int number, int numa_node,
	      const struct cpuset *cpus, struct err *err)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return err_set(err, -ENOMEM, "relay", "out of memory");
	relay->number = number;
	relay->numa_node = numa_node;
	relay->setup = setup;
	relay->cpus = *cpus;
	relay->pidfd = -1;
	relay->max_ports = RELAY_PORTS_DEFAULT;
	relay->state = RELAY_STARTING;
	snprintf(relay->socket, sizeof(relay->socket), "%s/relay-%u", setup->cfg->runtime_dir,
		 number);
	if (adopt(relay) < 0)
		start(relay);
	*result = relay;
	return 0;
}

static int on_stop_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct relay *relay = userdata;

	pidfd_signal(relay->pidfd, relay->stop_signals ? SIGKILL : SIGTERM);
	if (!relay->stop_signals++)
		set_timer(relay, &relay->timer, STOP_KILL_US, on_stop_timer);
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
	cancel_timers(relay);
	relay->state = RELAY_STOPPING;
	relay->stop_signals = 0;
	if (relay->pidfd < 0) {
		relay->state = RELAY_GONE;
		relay->setup->events->stopped(relay);
		return;
	}
	if (asked && rpc_call(relay->conn, "stop", NULL, NULL, 0, RELAY_CALL_TIMEOUT_MS,
			      stop_answered, relay) == 0)
		set_timer(relay, &relay->timer, STOP_TERM_US, on_stop_timer);
	else
		on_stop_timer(NULL, 0, relay);
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	relay->state = RELAY_GONE;
	cancel_timers(relay);
	drop_connection(relay);
	relay->exit_source = sd_event_source_disable_unref(relay->exit_source);
	if (relay->pidfd >= 0)
		close(relay->pidfd);
	free(relay);
}

struct pending_call {
	struct relay *relay;
	rpc_done_fn done;
	void *userdata;
};

static void call_done(json_object *result, const struct err *err, void *userdata)
{
	struct pending_call call = *(struct pending_call *)userdata;

	free(userdata);
	/* No step may be tried on a connection that is about to be closed. */
	if (err->code == -ECONNRESET && call.relay->state == RELAY_RUNNING) {
		call.relay->state = RELAY_LOST;
		set_timer(call.relay, &call.relay->deadline, ADOPT_DEADLINE_US, on_deadline);
	}
	if (err->code == -ETIMEDOUT) {
		relay_kill(call.relay, err->text);
		if (call.relay->state == RELAY_RUNNING)
			call.relay->state = RELAY_LOST;
	}
	call.done(result, err, call.userdata);
}

int relay_call(struct relay *relay, const char *method, json_object *params, const int *fds,
	       size_t n_fds, unsigned int timeout_ms, rpc_done_fn done, void *userdata)
{
	struct pending_call *call = NULL;
	int rc = -ENOTCONN;

	if (relay->state == RELAY_RUNNING && relay->conn)
		call = malloc(sizeof(*call));
	if (!call) {
		json_object_put(params);
		return rc;
	}
	*call = (struct pending_call){ relay, done, userdata };
	rc = rpc_call(relay->conn, method, params, fds, n_fds, timeout_ms, call_done, call);
	if (rc < 0)
		free(call);
	return rc;
}
