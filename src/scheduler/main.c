/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/config.h"
#include "common/log.h"
#include "scheduler/scheduler.h"

#define DEFAULT_DIR "ipc:///var/run/virtio-forwarder/"
#define INTERVAL_MAX 86400

enum {
	OPT_STATS_EP = 0x100,
	OPT_SCHED_EP,
	OPT_CONFIG_EP,
	OPT_POLL_INTERVAL,
	OPT_SENSITIVITY,
	OPT_LOGLEVEL,
	OPT_GLOBAL,
	OPT_CHECK,
};

struct options {
	const char *config_file;
	bool config_given;
	bool check_enabled;
	/* Given values; else NULL, resp. below 0: the configuration's. */
	const char *stats_ep, *sched_ep, *config_ep;
	double interval_s, sensitivity, loglevel;
	bool global;
};

static void usage(FILE *out)
{
	fprintf(out,
		"Usage: vio4wd_core_scheduler [OPTION]...\n"
		"\n"
		"Balances the load of vio4wd's worker CPUs: looks at what each relay takes, and moves\n"
		"relays to other workers when that makes the load clearly more even.\n"
		"\n"
		"  --poll-interval SECONDS  between two looks (default 5)\n"
		"  --sensitivity F          how much the variation of loads must fall for relays to\n"
		"                           be moved; smaller is more sensitive (default 0.25)\n"
		"  --loglevel N             0 (emergencies only) to 7 (debug) (default 6)\n"
		"  --global-numa-opt        serve relays on any NUMA node, not only on that of their\n"
		"                           memory\n"
		"  --stats-ep EP            ZeroMQ endpoint for counters\n"
		"  --sched-ep EP            ZeroMQ endpoint for core scheduling\n"
		"  --config-ep EP           ZeroMQ endpoint that tells the configured pins\n"
		"  -c, --config FILE        where the defaults are from (default\n"
		"                           %s)\n"
		"  --check-enabled          end at once: 0 when VIO4WD_CORE_SCHED_ENABLE is true, else 1\n"
		"  -h, --help               this text\n"
		"  -V, --version            the version\n"
		"\n"
		"Exit status: 0 after SIGTERM or SIGINT, 1 when it cannot start, 2 for wrong options,\n"
		"78 for a broken configuration.\n"
		"See vio4wd_core_scheduler(8), virtioforwarder(5).\n",
		CONFIG_DEFAULT_FILE);
}

/* False, with a message: it is no number from min to max. */
static bool read_number(const char *name, double min, double max, double *value)
{
	char *end;

	*value = strtod(optarg, &end);
	if (end != optarg && !*end && *value >= min && *value <= max)
		return true;
	fprintf(stderr, "vio4wd_core_scheduler: --%s is '%s'; it must be a number from %g to %g\n",
		name, optarg, min, max);
	return false;
}

static bool take_option(struct options *o, int c)
{
	switch (c) {
	case 'c':
		o->config_file = optarg;
		o->config_given = true;
		return true;
	case OPT_STATS_EP:
		o->stats_ep = optarg;
		return true;
	case OPT_SCHED_EP:
		o->sched_ep = optarg;
		return true;
	case OPT_CONFIG_EP:
		o->config_ep = optarg;
		return true;
	case OPT_POLL_INTERVAL:
		return read_number("poll-interval", 0.1, INTERVAL_MAX, &o->interval_s);
	case OPT_SENSITIVITY:
		return read_number("sensitivity", 0, 100, &o->sensitivity);
	case OPT_LOGLEVEL:
		return read_number("loglevel", 0, 7, &o->loglevel);
	case OPT_GLOBAL:
		o->global = true;
		return true;
	case OPT_CHECK:
		o->check_enabled = true;
		return true;
	default:
		return false;
	}
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "stats-ep", required_argument, NULL, OPT_STATS_EP },
		{ "sched-ep", required_argument, NULL, OPT_SCHED_EP },
		{ "config-ep", required_argument, NULL, OPT_CONFIG_EP },
		{ "poll-interval", required_argument, NULL, OPT_POLL_INTERVAL },
		{ "sensitivity", required_argument, NULL, OPT_SENSITIVITY },
		{ "loglevel", required_argument, NULL, OPT_LOGLEVEL },
		{ "global-numa-opt", no_argument, NULL, OPT_GLOBAL },
		{ "check-enabled", no_argument, NULL, OPT_CHECK },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (c == 'V') {
			puts("vio4wd_core_scheduler " VIO4WD_VERSION);
			return 0;
		}
		if (!take_option(o, c)) {
			fprintf(stderr, "Try 'vio4wd_core_scheduler --help'.\n");
			return 2;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr,
		"vio4wd_core_scheduler: unexpected argument '%s'\n"
		"Try 'vio4wd_core_scheduler --help'.\n",
		argv[optind]);
	return 2;
}

/* False: it is broken, or not there though it was asked for. *cfg is NULL when there is none. */
static bool read_config(const struct options *o, struct config **cfg)
{
	struct config_report report = { 0 };
	const int rc = config_read(o->config_file, "", cfg, &report);
	const bool none = rc == -ENOENT && !o->config_given;

	for (size_t i = 0; !none && i < report.n_issues; i++) {
		const struct config_issue *issue = &report.issues[i];

		/* Warnings are the manager's business. */
		if (issue->is_error)
			log_error("%s:%u: %s", o->config_file, issue->line, issue->text);
	}
	config_report_free(&report);
	return rc == 0 || none;
}

static void complete(const struct options *o, const struct config *cfg, struct scheduler_options *s)
{
	const char *stats_ep = cfg ? cfg->zmq_stats_ep : DEFAULT_DIR "stats";
	const char *sched_ep = cfg ? cfg->zmq_core_sched_ep : DEFAULT_DIR "core_sched";
	const double interval_s = cfg ? cfg->core_sched_poll_interval : 5;
	const double sensitivity = cfg ? cfg->core_sched_sensitivity : 0.25;

	*s = (struct scheduler_options){
		.stats_ep = o->stats_ep ? o->stats_ep : stats_ep,
		.sched_ep = o->sched_ep ? o->sched_ep : sched_ep,
		.config_ep = o->config_ep ? o->config_ep
			     : cfg	  ? cfg->zmq_config_ep
					  : NULL,
		.pins = cfg ? cfg->cpu_pins : NULL,
		.n_pins = cfg ? cfg->n_cpu_pins : 0,
		.sensitivity = o->sensitivity < 0 ? sensitivity : o->sensitivity,
		.interval_us = (o->interval_s < 0 ? interval_s : o->interval_s) * 1e6,
		.global_numa_opt = o->global || (cfg && cfg->core_sched_global_numa_opt),
		.root = "",
	};
}

static int add_signal(sd_event *event, int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return sd_event_add_signal(event, NULL, signal, NULL, NULL); /* ends the loop */
}

static int serve(const struct scheduler_options *options)
{
	struct scheduler *scheduler = NULL;
	sd_event *event = NULL;
	struct err err = { 0 };
	int rc = sd_event_new(&event);

	if (rc >= 0)
		rc = add_signal(event, SIGTERM);
	if (rc >= 0)
		rc = add_signal(event, SIGINT);
	if (rc < 0)
		err_set(&err, rc, "start", "making an event loop: %s", strerror(-rc));
	else
		rc = scheduler_new(&scheduler, event, options, &err);
	if (rc >= 0) {
		sd_notify(0, "READY=1");
		rc = sd_event_loop(event);
		if (rc < 0)
			err_set(&err, rc, "loop", "waiting for events: %s", strerror(-rc));
	}
	if (err.code)
		log_error("cannot go on: %s", err.text);
	scheduler_free(scheduler);
	sd_event_unref(event);
	return rc < 0;
}

int main(int argc, char **argv)
{
	struct options o = {
		.config_file = CONFIG_DEFAULT_FILE,
		.interval_s = -1,
		.sensitivity = -1,
		.loglevel = -1,
	};
	struct scheduler_options options;
	struct config *cfg = NULL;
	int status = parse_options(argc, argv, &o);

	if (status >= 0)
		return status;
	log_open("vio4wd_core_scheduler", LOG_INFO);
	if (!read_config(&o, &cfg))
		return EX_CONFIG;
	if (o.check_enabled) {
		status = !cfg || !cfg->core_sched_enable;
		config_free(cfg);
		return status;
	}
	if (o.loglevel >= 0 || cfg)
		log_set_level(o.loglevel >= 0 ? (int)o.loglevel : cfg->core_sched_log_level);
	signal(SIGHUP, SIG_IGN); /* as 1.1's does */
	complete(&o, cfg, &options);
	if (!options.stats_ep || !options.sched_ep) {
		log_error("%s is empty in %s: give the endpoint with --%s",
			  options.stats_ep ? "VIRTIOFWD_ZMQ_CORE_SCHED_EP"
					   : "VIRTIOFWD_ZMQ_STATS_EP",
			  o.config_file, options.stats_ep ? "sched-ep" : "stats-ep");
		status = EX_CONFIG;
	} else {
		log_notice("vio4wd_core_scheduler %s: loads from %s, orders to %s", VIO4WD_VERSION,
			   options.stats_ep, options.sched_ep);
		status = serve(&options);
	}
	config_free(cfg);
	return status;
}
