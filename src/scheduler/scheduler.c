/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A look is a chain of questions, each asked when the one before is answered: the workers, the
 * configured pins (where there is an endpoint for them), the loads over a short while; then, if it
 * is worth it, the order to move. Whatever breaks the chain is logged when it is news, and the next
 * interval begins.
 */
#include "scheduler/scheduler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "scheduler/load_table.h"
#include "wire/zmq_client.h"

#define WINDOW_MAX_MS 1000 /* over which loads are measured: vio4wd's maximum */

typedef Virtioforwarder__CoreSchedRequest SchedRequest;
typedef Virtioforwarder__CoreSchedResponse SchedResponse;
typedef Virtioforwarder__CoreSchedRequest__RelayCPU Entry;

enum contact { CONTACT_NOT_YET, CONTACT_THERE, CONTACT_LOST }; /* by the last look */

struct scheduler {
	const struct scheduler_options *options;
	struct zmq_client *stats, *sched, *config;
	sd_event_source *timer;
	SchedResponse *cores;
	Virtioforwarder__ConfigResponse *pins; /* NULL: those of the options */
	enum contact contact;
};

static void look_ends(struct scheduler *s)
{
	if (s->cores)
		virtioforwarder__core_sched_response__free_unpacked(s->cores, NULL);
	s->cores = NULL;
	if (s->pins)
		virtioforwarder__config_response__free_unpacked(s->pins, NULL);
	s->pins = NULL;
	sd_event_source_set_time_relative(s->timer, s->options->interval_us);
	sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void look_failed(struct scheduler *s, const struct err *err)
{
	log_write(s->contact == CONTACT_LOST ? LOG_DEBUG : LOG_WARNING, "%s", err->text);
	s->contact = CONTACT_LOST;
	look_ends(s);
}

static void look_done(struct scheduler *s)
{
	if (s->contact != CONTACT_THERE)
		log_notice("vio4wd answers: looking at its load every %g s",
			   s->options->interval_us / 1e6);
	s->contact = CONTACT_THERE;
	look_ends(s);
}

static void no_answer_of_ours(struct scheduler *s, const char *endpoint, const char *what)
{
	struct err err;

	err_set(&err, -EBADMSG, "answer", "%s: %s", endpoint, what);
	look_failed(s, &err);
}

static void on_updated(const struct err *err, const uint8_t *data, size_t size, void *userdata)
{
	struct scheduler *s = userdata;
	SchedResponse *response;

	if (err->code) {
		look_failed(s, err);
		return;
	}
	response = virtioforwarder__core_sched_response__unpack(NULL, size, data);
	if (!response)
		log_error("%s: the answer to the order to move is not one of core_sched",
			  s->options->sched_ep);
	else if (response->status != VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK)
		log_error("moving was refused: %s (error %d); the next look tries again",
			  response->error_code_source ? response->error_code_source : "no reason",
			  response->error_code);
	if (response)
		virtioforwarder__core_sched_response__free_unpacked(response, NULL);
	look_done(s);
}

static void log_moves(const struct load_table *table, const struct load_plan *plan)
{
	log_info("moving %zu directions: the variation of loads falls from %.2f to %.2f",
		 plan->moves, plan->before, plan->after);
	for (size_t i = 0; i < table->n_relays; i++) {
		const struct load_relay *relay = &table->relays[i];

		if (relay->moved)
			log_info("relay %u: VF to VM (load %.2f) by CPU %u, VM to VF (%.2f) by "
				 "CPU %u",
				 relay->id, relay->flows[LOAD_VF_TO_VM].load,
				 relay->flows[LOAD_VF_TO_VM].cpu, relay->flows[LOAD_VM_TO_VF].load,
				 relay->flows[LOAD_VM_TO_VF].cpu);
	}
}

/* Only the relays that change; -ENOMEM, or what zmq_client_ask() says. */
static int order(struct scheduler *s, const struct load_table *table, struct err *err)
{
	SchedRequest request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;
	Entry *entries = calloc(table->n_relays, sizeof(*entries));
	Entry **pointers = calloc(table->n_relays, sizeof(*pointers));
	int rc = entries && pointers ? 0 : err_set(err, -ENOMEM, "memory", "out of memory");

	request.op = VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__UPDATE;
	request.relay_cpu_map = pointers;
	for (size_t i = 0; !rc && i < table->n_relays; i++) {
		const struct load_relay *relay = &table->relays[i];
		Entry *entry = &entries[i];

		if (!relay->moved)
			continue;
		virtioforwarder__core_sched_request__relay_cpu__init(entry);
		entry->relay_number = relay->id;
		entry->vf2virtio_cpu = relay->flows[LOAD_VF_TO_VM].cpu;
		entry->virtio2vf_cpu = relay->flows[LOAD_VM_TO_VF].cpu;
		pointers[request.n_relay_cpu_map++] = entry;
	}
	if (!rc)
		rc = zmq_client_ask(s->sched, &request.base, ZMQ_CLIENT_TIMEOUT_MS, on_updated, s,
				    err);
	free(entries);
	free(pointers);
	return rc;
}

static void fix_pinned(const struct scheduler *s, struct load_table *table)
{
	for (size_t i = 0; s->pins && i < s->pins->n_relay_cpu_map; i++)
		load_table_fix(table, s->pins->relay_cpu_map[i]->relay_number);
	for (size_t i = 0; !s->pins && i < s->options->n_pins; i++)
		load_table_fix(table, s->options->pins[i].id);
}

static void decide(struct scheduler *s, const Virtioforwarder__StatsResponse *stats)
{
	struct load_table *table =
		load_table_new(stats, s->cores->eal_cores, s->cores->n_eal_cores, s->options->root);
	struct load_plan plan;
	struct err err = { 0 };
	bool asked = false;

	if (!table) {
		err_set(&err, -ENOMEM, "memory", "out of memory");
		look_failed(s, &err);
		return;
	}
	fix_pinned(s, table);
	plan = load_table_plan(table, s->options->sensitivity, s->options->global_numa_opt);
	if (plan.moves) {
		log_moves(table, &plan);
		asked = order(s, table, &err) == 0;
	} else {
		log_debug("nothing to move: the variation of loads is %.2f, at best %.2f",
			  plan.before, plan.after);
	}
	load_table_free(table);
	if (err.code)
		look_failed(s, &err);
	else if (!asked)
		look_done(s);
}

static void on_stats(const struct err *err, const uint8_t *data, size_t size, void *userdata)
{
	struct scheduler *s = userdata;
	Virtioforwarder__StatsResponse *stats;

	if (err->code) {
		look_failed(s, err);
		return;
	}
	stats = virtioforwarder__stats_response__unpack(NULL, size, data);
	if (stats && stats->status == VIRTIOFORWARDER__STATS_RESPONSE__STATUS__OK)
		decide(s, stats);
	else
		no_answer_of_ours(s, s->options->stats_ep, "the answer is not one of stats");
	if (stats)
		virtioforwarder__stats_response__free_unpacked(stats, NULL);
}

static void ask_stats(struct scheduler *s)
{
	Virtioforwarder__StatsRequest request = VIRTIOFORWARDER__STATS_REQUEST__INIT;
	struct err err;

	request.has_include_inactive = request.has_delay = true;
	request.include_inactive = false;
	request.delay = s->options->interval_us / 1000;
	if (request.delay > WINDOW_MAX_MS)
		request.delay = WINDOW_MAX_MS;
	if (zmq_client_ask(s->stats, &request.base, ZMQ_CLIENT_TIMEOUT_MS + request.delay, on_stats,
			   s, &err) < 0)
		look_failed(s, &err);
}

static void on_pins(const struct err *err, const uint8_t *data, size_t size, void *userdata)
{
	struct scheduler *s = userdata;

	if (err->code) {
		look_failed(s, err);
		return;
	}
	s->pins = virtioforwarder__config_response__unpack(NULL, size, data);
	if (s->pins && s->pins->status == VIRTIOFORWARDER__CONFIG_RESPONSE__STATUS__OK)
		ask_stats(s);
	else
		no_answer_of_ours(s, s->options->config_ep, "the answer is not one of config");
}

static void ask_pins(struct scheduler *s)
{
	Virtioforwarder__ConfigRequest request = VIRTIOFORWARDER__CONFIG_REQUEST__INIT;
	struct err err;

	if (!s->config)
		ask_stats(s);
	else if (zmq_client_ask(s->config, &request.base, ZMQ_CLIENT_TIMEOUT_MS, on_pins, s, &err) <
		 0)
		look_failed(s, &err);
}

static void on_cores(const struct err *err, const uint8_t *data, size_t size, void *userdata)
{
	struct scheduler *s = userdata;

	if (err->code) {
		look_failed(s, err);
		return;
	}
	s->cores = virtioforwarder__core_sched_response__unpack(NULL, size, data);
	if (s->cores && s->cores->status == VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK)
		ask_pins(s);
	else
		no_answer_of_ours(s, s->options->sched_ep, "the answer is not one of core_sched");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct scheduler *s = userdata;
	SchedRequest request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;
	struct err err;

	request.op = VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__GET_EAL_CORES;
	if (zmq_client_ask(s->sched, &request.base, ZMQ_CLIENT_TIMEOUT_MS, on_cores, s, &err) < 0)
		look_failed(s, &err);
	return 0;
}

int scheduler_new(struct scheduler **result, sd_event *event,
		  const struct scheduler_options *options, struct err *err)
{
	struct scheduler *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(err, -ENOMEM, "memory", "out of memory");
	s->options = options;
	rc = zmq_client_new(&s->stats, event, options->stats_ep, err);
	if (!rc)
		rc = zmq_client_new(&s->sched, event, options->sched_ep, err);
	if (!rc && options->config_ep)
		rc = zmq_client_new(&s->config, event, options->config_ep, err);
	if (!rc) {
		rc = sd_event_add_time_relative(event, &s->timer, CLOCK_MONOTONIC, 0, 1000,
						on_timer, s);
		if (rc < 0)
			err_set(err, rc, "start", "making a timer: %s", strerror(-rc));
	}
	if (rc < 0) {
		scheduler_free(s);
		return rc;
	}
	*result = s;
	return 0;
}

void scheduler_free(struct scheduler *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->timer);
	zmq_client_free(s->stats);
	zmq_client_free(s->sched);
	zmq_client_free(s->config);
	if (s->cores)
		virtioforwarder__core_sched_response__free_unpacked(s->cores, NULL);
	if (s->pins)
		virtioforwarder__config_response__free_unpacked(s->pins, NULL);
	free(s);
}
