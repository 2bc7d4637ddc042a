/* SPDX-License-Identifier: BSD-3-Clause */

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "compat11/compat11.h"
#include "scheduler/load_table.h"

#define BAR 60 /* characters of a worker that is busy all the time */
#define WINDOW_MS 200
#define CLEAR "\033[H\033[2J"

static struct arg args[] = {
	{ .name = "poll-interval",
	  .kind = ARG_REAL,
	  .min = 0.1,
	  .max = 86400,
	  .value = "SECONDS",
	  .help = "between two looks (default: 2)" },
	ARG_ENDPOINT("stats-ep", "stats"),
	ARG_ENDPOINT("sched-ep", "core_sched"),
	{ .name = NULL },
};

static void print_bars(const struct load_table *table)
{
	static const char bar[] = "------------------------------------------------------------";

	if (isatty(STDOUT_FILENO))
		fputs(CLEAR, stdout);
	puts("CPU loads");
	for (size_t i = 0; i < table->n_workers; i++) {
		const struct load_worker *worker = &table->workers[i];
		const int n = round(fmin(worker->load, 1) * BAR);

		printf("CPU%u: %.*s\n", worker->cpu, n, bar);
	}
	fflush(stdout);
}

/* A server that does not answer is asked again at the next interval. */
static void look(void)
{
	Virtioforwarder__CoreSchedResponse *cores =
		call_cores(args_text(args, "sched-ep", ENDPOINT_DIR "core_sched"));
	Virtioforwarder__StatsResponse *stats = NULL;
	struct load_table *table = NULL;

	if (cores)
		stats = call_stats(args_text(args, "stats-ep", ENDPOINT_DIR "stats"), false,
				   WINDOW_MS);
	if (stats)
		table = load_table_new(stats, cores->eal_cores, cores->n_eal_cores, "");
	if (table)
		print_bars(table);
	load_table_free(table);
	if (stats)
		virtioforwarder__stats_response__free_unpacked(stats, NULL);
	if (cores)
		virtioforwarder__core_sched_response__free_unpacked(cores, NULL);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	const struct arg *interval = args_find(args, "poll-interval");

	look();
	sd_event_source_set_time_relative(source, (interval->given ? interval->number : 2) * 1e6);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Ctrl-C is how it is ended. */
static int end_with(sd_event *event, int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return sd_event_add_signal(event, NULL, signal, NULL, NULL);
}

int compat11_monitor_load(int argc, char **argv)
{
	sd_event *event = NULL;
	int rc, status = args_parse(argc, argv, args, "",
				    "Shows how busy vio4wd's worker CPUs are, until it is ended.",
				    NULL);

	if (status >= 0)
		return status;
	rc = sd_event_new(&event);
	if (rc >= 0)
		rc = end_with(event, SIGINT);
	if (rc >= 0)
		rc = end_with(event, SIGTERM);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, 0, 1000, on_timer,
						NULL);
	if (rc >= 0)
		rc = sd_event_loop(event);
	if (rc < 0)
		fprintf(stderr, "%s: waiting for events: %s\n", argv[0], strerror(-rc));
	sd_event_unref(event);
	return rc < 0;
}
