/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A reading ("flight") asks every running relay and lands when all have answered or its deadline is
 * over; who asks while one is in the air joins it. The asks of a flight are then served. One with a
 * window keeps a copy of the first reading, waits, and takes part in a second flight.
 */
#include "manager/sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "manager/json_util.h"
#include "manager/manager.h"

#define TICK_US 1000000ull
#define REST_US 10000000ull /* without an ask, and ticks rest */
#define RATE_TICKS 2	    /* make a rate */
#define WAKE_WINDOW_MS 100  /* over which rates are made before there are those of a second */
#define FLIGHT_DEADLINE_US 250000ull
#define ASKS_MAX 1024

const char *const sampler_drop_names[N_DROPS] = {
	[DROP_QUEUE_FULL] = "queue_full", [DROP_NOT_CONNECTED] = "not_connected",
	[DROP_TOO_LONG] = "too_long",	  [DROP_MALFORMED] = "malformed",
	[DROP_NO_MEMORY] = "no_memory",
};

enum ask_phase { ASK_FIRST, ASK_WAITS, ASK_LAST };

struct ask {
	struct sampler *sampler;
	enum ask_phase phase;
	unsigned int window_ms;
	struct sampler_endpoint *before;
	sd_event_source *timer;
	sampler_fn done;
	void *userdata;
	struct ask *next;
};

struct process {
	bool asked;
	json_object *snapshot;
};

struct query { /* one process that was asked */
	struct sampler *sampler;
	unsigned int number;
	uint64_t flight;
};

struct sampler {
	struct manager *m;
	sd_event_source *tick;
	uint64_t last_ask_us; /* CLOCK_MONOTONIC */
	unsigned int stale;   /* ticks that are missing for rates of a second; all: it rests */
	sd_event_source *deadline;
	uint64_t flight; /* number of the last one */
	bool in_air;
	unsigned int missing; /* answers to it */
	unsigned int queries; /* that will still call back */
	bool is_tick;
	struct ask *asks;
	unsigned int n_asks;
	struct process processes[MANAGER_MAX_PROCESSES];
	struct sampler_endpoint *latest, *second; /* by relay id */
	json_object **json;			  /* by relay id, parts of the snapshots */
	struct sampler_rates (*rates)[N_DIRECTIONS];
	struct sampler_rates (*scratch)[N_DIRECTIONS];
};

static void read_drops(json_object *lane, struct sampler_counts *counts)
{
	json_object *drops = json_get_member(lane, "drops", json_type_object);

	for (unsigned int i = 0; i < N_DROPS; i++) {
		json_object *drop = json_get_member(drops, sampler_drop_names[i], json_type_object);

		counts->drop_packets[i] += json_get_int(drop, "packets", 0);
		counts->drop_bytes[i] += json_get_int(drop, "bytes", 0);
	}
}

static void read_lane(json_object *lane, struct sampler_endpoint *endpoint)
{
	const char *direction = json_get_text(lane, "direction", "");
	struct sampler_counts *counts =
		&endpoint->counts[strcmp(direction, "vm_to_vf") ? VF_TO_VM : VM_TO_VF];

	counts->packets_in += json_get_int(lane, "packets_in", 0);
	counts->bytes_in += json_get_int(lane, "bytes_in", 0);
	counts->packets_out += json_get_int(lane, "packets_out", 0);
	counts->bytes_out += json_get_int(lane, "bytes_out", 0);
	counts->busy_us += json_get_int(lane, "busy_us", 0);
	read_drops(lane, counts);
}

static void read_endpoint(struct sampler *s, unsigned int number, json_object *json,
			  uint64_t time_us)
{
	const int64_t id = json_get_int(json, "id", -1);
	json_object *lanes = json_get_member(json, "lanes", json_type_array);
	const struct relay *relay = s->m->processes[number];
	struct sampler_endpoint *endpoint;
	json_object *device;

	if (id < 0 || id >= s->m->max_relays || s->m->pairings[id].seen.relay != relay)
		return;
	endpoint = &s->latest[id];
	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->known = true;
	endpoint->time_us = time_us;
	endpoint->active[VF_TO_VM] =
		json_get_bool(json_get_member(json, "vf_to_vm", json_type_object), "active", false);
	endpoint->active[VM_TO_VF] =
		json_get_bool(json_get_member(json, "vm_to_vf", json_type_object), "active", false);
	for (size_t i = 0; lanes && i < json_object_array_length(lanes); i++)
		read_lane(json_object_array_get_idx(lanes, i), endpoint);
	json_object_put(s->json[id]);
	s->json[id] = json_object_get(json);
	device = json_get_member(json, "device", json_type_object);
	manager_take_mode(&s->m->pairings[id], json_get_text(device, "mode", NULL),
			  json_get_text(device, "mode_reason", NULL));
}

static void read_snapshot(struct sampler *s, unsigned int number, json_object *snapshot)
{
	json_object *endpoints = json_get_member(snapshot, "endpoints", json_type_array);
	const uint64_t time_us = json_get_int(snapshot, "time_us", 0);

	json_object_put(s->processes[number].snapshot);
	s->processes[number].snapshot = json_object_get(snapshot);
	for (size_t i = 0; endpoints && i < json_object_array_length(endpoints); i++)
		read_endpoint(s, number, json_object_array_get_idx(endpoints, i), time_us);
}

void sampler_forget_endpoint(struct sampler *s, unsigned int id)
{
	if (!s)
		return;
	json_object_put(s->json[id]);
	s->json[id] = NULL;
	memset(&s->latest[id], 0, sizeof(s->latest[id]));
	memset(s->rates[id], 0, sizeof(s->rates[id]));
}

void sampler_forget_process(struct sampler *s, unsigned int number)
{
	if (!s)
		return;
	json_object_put(s->processes[number].snapshot);
	s->processes[number].snapshot = NULL;
	for (unsigned int id = 0; id < s->m->max_relays; id++) {
		if (s->m->pairings[id].seen.relay == s->m->processes[number])
			sampler_forget_endpoint(s, id);
	}
}

static double rate(uint64_t before, uint64_t after, double seconds)
{
	return after > before ? (after - before) / seconds : 0;
}

static void compute_rates(const struct sampler *s, const struct sampler_endpoint *before,
			  struct sampler_rates (*rates)[N_DIRECTIONS])
{
	for (unsigned int id = 0; id < s->m->max_relays; id++) {
		const struct sampler_endpoint *a = &before[id], *b = &s->latest[id];
		const double seconds = (b->time_us - a->time_us) / 1e6;

		for (unsigned int d = 0; d < N_DIRECTIONS; d++) {
			struct sampler_rates *r = &rates[id][d];
			const struct sampler_counts *x = &a->counts[d], *y = &b->counts[d];

			memset(r, 0, sizeof(*r));
			if (!a->known || !b->known || b->time_us <= a->time_us)
				continue;
			r->packets_in = rate(x->packets_in, y->packets_in, seconds);
			r->bytes_in = rate(x->bytes_in, y->bytes_in, seconds);
			r->packets_out = rate(x->packets_out, y->packets_out, seconds);
			r->bytes_out = rate(x->bytes_out, y->bytes_out, seconds);
			r->load = rate(x->busy_us, y->busy_us, seconds) / 1e6;
		}
	}
}

static void ask_unlink(struct ask *ask)
{
	struct ask **link = &ask->sampler->asks;

	while (*link != ask)
		link = &(*link)->next;
	*link = ask->next;
	ask->sampler->n_asks--;
}

static void ask_finish(struct ask *ask)
{
	struct sampler *s = ask->sampler;
	struct sampler_view view = { .endpoints = s->latest, .rates = s->rates };

	if (ask->before) {
		compute_rates(s, ask->before, s->scratch);
		view.rates = s->scratch;
	}
	ask_unlink(ask);
	ask->done(&view, ask->userdata);
	sd_event_source_disable_unref(ask->timer);
	free(ask->before);
	free(ask);
}

static void take_off(struct sampler *s);

static int on_window(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ask *ask = userdata;

	ask->phase = ASK_LAST;
	take_off(ask->sampler);
	return 0;
}

/* After the first reading of an ask with a window. */
static void ask_wait(struct ask *ask)
{
	struct sampler *s = ask->sampler;
	const size_t size = s->m->max_relays * sizeof(*s->latest);

	ask->phase = ASK_WAITS;
	ask->before = malloc(size);
	if (ask->before)
		memcpy(ask->before, s->latest, size);
	if (!ask->before ||
	    sd_event_add_time_relative(s->m->event, &ask->timer, CLOCK_MONOTONIC,
				       ask->window_ms * 1000ull, 1000, on_window, ask) < 0)
		ask_finish(ask);
}

static void land(struct sampler *s)
{
	struct ask *next;

	s->in_air = false;
	s->deadline = sd_event_source_disable_unref(s->deadline);
	if (s->is_tick) {
		s->is_tick = false;
		s->stale -= s->stale > 0;
		compute_rates(s, s->second, s->rates);
		memcpy(s->second, s->latest, s->m->max_relays * sizeof(*s->latest));
	}
	for (struct ask *ask = s->asks; ask; ask = next) {
		next = ask->next;
		if (ask->phase == ASK_FIRST && ask->window_ms)
			ask_wait(ask);
		else if (ask->phase != ASK_WAITS)
			ask_finish(ask);
	}
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	land(userdata);
	return 0;
}

static void sampler_destroy(struct sampler *s);

static void query_done(json_object *result, const struct err *err, void *userdata)
{
	struct query query = *(struct query *)userdata;
	struct sampler *s = query.sampler;

	free(userdata);
	s->queries--;
	if (!s->m) {
		if (!s->queries)
			sampler_destroy(s);
		return;
	}
	s->processes[query.number].asked = false;
	if (!err->code)
		read_snapshot(s, query.number, result);
	if (s->in_air && query.flight == s->flight && --s->missing == 0)
		land(s);
}

static bool ask_process(struct sampler *s, unsigned int number)
{
	struct relay *relay = s->m->processes[number];
	struct query *query;

	if (!relay || relay->state != RELAY_RUNNING || s->processes[number].asked)
		return false;
	query = malloc(sizeof(*query));
	if (!query)
		return false;
	*query = (struct query){ s, number, s->flight };
	if (relay_call(relay, "stats", NULL, NULL, 0, RELAY_CALL_TIMEOUT_MS, query_done, query) <
	    0) {
		free(query);
		return false;
	}
	s->processes[number].asked = true;
	s->queries++;
	return true;
}

static void take_off(struct sampler *s)
{
	if (s->in_air)
		return;
	s->flight++;
	s->in_air = true;
	s->missing = 0;
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++)
		s->missing += ask_process(s, i);
	if (sd_event_add_time_relative(s->m->event, &s->deadline, CLOCK_MONOTONIC,
				       s->missing ? FLIGHT_DEADLINE_US : 0, 1000, on_deadline,
				       s) < 0)
		land(s);
}

static void set_tick(struct sampler *s, uint64_t after_us)
{
	sd_event_source_set_time_relative(s->tick, after_us);
	sd_event_source_set_enabled(s->tick, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct sampler *s = userdata;

	if (usec > s->last_ask_us + REST_US) {
		s->stale = RATE_TICKS;
		return 0;
	}
	s->is_tick = true;
	take_off(s);
	set_tick(s, TICK_US);
	return 0;
}

/* Somebody asks: the ticks go on. False: there are no rates of the last second yet. */
static bool keep_awake(struct sampler *s)
{
	sd_event_now(s->m->event, CLOCK_MONOTONIC, &s->last_ask_us);
	if (s->stale == RATE_TICKS)
		set_tick(s, 0);
	return !s->stale;
}

void sampler_ask(struct sampler *s, unsigned int window_ms, sampler_fn done, void *userdata)
{
	struct ask *ask = s->n_asks < ASKS_MAX ? calloc(1, sizeof(*ask)) : NULL;

	if (!ask) {
		const struct sampler_view view = { s->latest, s->rates };

		done(&view, userdata);
		return;
	}
	if (!keep_awake(s) && !window_ms)
		window_ms = WAKE_WINDOW_MS;
	ask->sampler = s;
	ask->phase = ASK_FIRST;
	ask->window_ms = window_ms < SAMPLER_WINDOW_MAX_MS ? window_ms : SAMPLER_WINDOW_MAX_MS;
	ask->done = done;
	ask->userdata = userdata;
	ask->next = s->asks;
	s->asks = ask;
	s->n_asks++;
	take_off(s);
}

json_object *sampler_endpoint_json(const struct sampler *s, unsigned int id)
{
	return s->json[id];
}

json_object *sampler_process_json(const struct sampler *s, unsigned int number)
{
	return s->processes[number].snapshot;
}

int sampler_new(struct sampler **result, struct manager *m, struct err *err)
{
	struct sampler *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(err, -ENOMEM, "start", "out of memory");
	s->m = m;
	sd_event_now(m->event, CLOCK_MONOTONIC, &s->last_ask_us);
	s->latest = calloc(m->max_relays, sizeof(*s->latest));
	s->second = calloc(m->max_relays, sizeof(*s->second));
	s->json = calloc(m->max_relays, sizeof(*s->json));
	s->rates = calloc(m->max_relays, sizeof(*s->rates));
	s->scratch = calloc(m->max_relays, sizeof(*s->scratch));
	if (!s->latest || !s->second || !s->json || !s->rates || !s->scratch ||
	    sd_event_add_time_relative(m->event, &s->tick, CLOCK_MONOTONIC, TICK_US, 10000, on_tick,
				       s) < 0) {
		sampler_free(s);
		return err_set(err, -ENOMEM, "start", "out of memory");
	}
	*result = s;
	return 0;
}

static void sampler_destroy(struct sampler *s)
{
	free(s->latest);
	free(s->second);
	free(s->json);
	free(s->rates);
	free(s->scratch);
	free(s);
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	while (s->asks)
		ask_finish(s->asks);
	sd_event_source_disable_unref(s->tick);
	sd_event_source_disable_unref(s->deadline);
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++)
		json_object_put(s->processes[i].snapshot);
	for (unsigned int id = 0; s->json && id < s->m->max_relays; id++)
		json_object_put(s->json[id]);
	/* Calls that are under way come back when their connections end. */
	s->m = NULL;
	if (!s->queries)
		sampler_destroy(s);
}
