/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vio4wd-relay, the datapath. What needs root is done first and in this order: the socket for the
 * manager, DPDK, the workers. Then all privileges go, and only then is anything read that comes
 * from outside.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/relay_exit.h"
#include "sw-relay/device_thread.h"
#include "sw-relay/eal.h"
#include "sw-relay/endpoint.h"
#include "sw-relay/options.h"
#include "sw-relay/sandbox.h"
#include "sw-relay/service.h"
#include "sw-relay/vhost_wake.h"
#include "sw-relay/worker.h"
#include "sw-relay/worker_watch.h"
#include "wire/rpc.h"

/* How far the start got; the stop goes the other way. */
enum stage { STAGE_NONE, STAGE_EAL, STAGE_WORKERS, STAGE_ENDPOINTS, STAGE_SERVICE };

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	log_info("signal %s: stopping", strsignal(si->ssi_signo));
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* Before the first thread, so that all of them leave the signals to the loop. */
static int prepare_signals(struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, -errno, "signals", "sigprocmask: %m");
	return 0;
}

static int prepare_loop(sd_event **event, struct err *err)
{
	int r = sd_event_default(event);

	if (r >= 0)
		r = sd_event_add_signal(*event, NULL, SIGTERM, on_signal, NULL);
	if (r >= 0)
		r = sd_event_add_signal(*event, NULL, SIGINT, on_signal, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(*event, true);
	if (r < 0)
		return err_set(err, r, "event loop", "cannot make an event loop: %s", strerror(-r));
	return 0;
}

/* listen_fd: ownership passes to the service. */
static int start(const struct relay_options *o, sd_event *event, int *listen_fd, enum stage *stage,
		 struct err *err)
{
	int r;

	r = sandbox_prepare(err);
	if (r < 0)
		return r;
	r = eal_start(o, err);
	if (r < 0)
		return r;
	*stage = STAGE_EAL;
	r = device_threads_start(err);
	if (r < 0)
		return r;
	r = workers_start(&o->cpus, &o->worker, err);
	if (r < 0)
		return r;
	*stage = STAGE_WORKERS;
	r = worker_watch_start(err);
	if (r < 0)
		return r;
	r = endpoints_init(err);
	if (r < 0)
		return r;
	*stage = STAGE_ENDPOINTS;
	r = vhost_wake_init(o->socket, err);
	if (r < 0)
		return r;
	r = sandbox_enter(o, err);
	if (r < 0)
		return r;
	r = service_start(event, take_fd(*listen_fd), o, err);
	if (r < 0)
		return r;
	*stage = STAGE_SERVICE;
	return 0;
}

static void stop(enum stage stage)
{
	/* Endpoints go first: sockets are unregistered and devices closed while workers still
	 * run and the service still takes their reports. */
	switch (stage) {
	case STAGE_SERVICE:
	case STAGE_ENDPOINTS:
		endpoints_fini();
		vhost_wake_fini();
		if (stage == STAGE_SERVICE)
			service_stop();
		/* fall through */
	case STAGE_WORKERS:
		worker_watch_stop();
		workers_stop();
		/* fall through */
	case STAGE_EAL:
		device_threads_stop();
		eal_stop();
		/* fall through */
	case STAGE_NONE:
		break;
	}
}

static int run(const struct relay_options *o, struct err *err)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_close_ int listen_fd = -1;
	enum stage stage = STAGE_NONE;
	int r;

	r = prepare_signals(err);
	if (r < 0)
		return r;
	listen_fd = rpc_listen(o->socket, 0600, err);
	if (listen_fd < 0)
		return listen_fd;
	r = prepare_loop(&event, err);
	if (r < 0)
		return r;
	r = start(o, event, &listen_fd, &stage, err);
	if (r == 0) {
		log_info("ready");
		sd_notify(false, "READY=1");
		r = sd_event_loop(event);
		if (r < 0)
			err_set(err, r, "event loop", "the event loop ended: %s", strerror(-r));
		sd_notify(false, "STOPPING=1");
	}
	stop(stage);
	return r;
}

int main(int argc, char **argv)
{
	static char program[32];
	struct relay_options options;
	struct err err = { 0 };

	log_open("vio4wd-relay", LOG_INFO);
	switch (options_parse(&options, argc, argv, &err)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_USAGE:
		log_error("%s", err.text);
		return RELAY_EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	snprintf(program, sizeof(program), "vio4wd-relay %u", options.id);
	log_open(program, options.log_level);
	umask(007); /* sockets of VMs: the group may connect */
	if (run(&options, &err) < 0) {
		log_error("%s", err.text);
		return strcmp(err.step, "hugepages") == 0 ? RELAY_EXIT_HUGEPAGES : EXIT_FAILURE;
	}
	log_info("stopped");
	return EXIT_SUCCESS;
}
