/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The counters of all relays, read once for any number of askers, and their rates. Every second one
 * reading is kept, so that the last second's rates are at hand; when nobody has asked for some
 * seconds, this rests, and the first who asks again waits for a short window. A relay that does not
 * answer in time leaves its former values; it is not asked again before it has answered.
 */
#ifndef VIO4WD_MANAGER_SAMPLER_H
#define VIO4WD_MANAGER_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "common/err.h"
#include "manager/pairing.h"

#define SAMPLER_WINDOW_MAX_MS 1000

enum sampler_drop {
	DROP_QUEUE_FULL,
	DROP_NOT_CONNECTED,
	DROP_TOO_LONG,
	DROP_MALFORMED,
	DROP_NO_MEMORY,
	N_DROPS
};
extern const char *const sampler_drop_names[N_DROPS];

struct sampler_counts { /* of a direction, since the endpoint was made */
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	uint64_t drop_packets[N_DROPS], drop_bytes[N_DROPS];
	uint64_t busy_us; /* of workers, for its lanes */
};

struct sampler_rates { /* per second */
	double packets_in, bytes_in, packets_out, bytes_out;
	double load; /* CPU time; 1.0 is a whole CPU */
};

struct sampler_endpoint {
	bool known;
	uint64_t time_us; /* of the relay's reading, monotonic */
	bool active[N_DIRECTIONS];
	struct sampler_counts counts[N_DIRECTIONS];
};

struct sampler_view {
	const struct sampler_endpoint *endpoints; /* by relay id */
	const struct sampler_rates (*rates)[N_DIRECTIONS];
};

struct manager;
struct sampler;

/* view is valid until it returns. */
typedef void (*sampler_fn)(const struct sampler_view *view, void *userdata);

int sampler_new(struct sampler **sampler, struct manager *m, struct err *err);
void sampler_free(struct sampler *sampler); /* answers who still waits */

/*
 * Calls done, later or at once, with a new reading and the rates over window_ms (0: over the last
 * second; more than the maximum is cut).
 */
void sampler_ask(struct sampler *sampler, unsigned int window_ms, sampler_fn done, void *userdata);

/* The endpoint as the relay last described it, or NULL; not owned by the caller. */
json_object *sampler_endpoint_json(const struct sampler *sampler, unsigned int id);
/* The last whole snapshot of a process, or NULL. */
json_object *sampler_process_json(const struct sampler *sampler, unsigned int number);
/* An endpoint or a process has gone, and with it what was known of it. sampler may be NULL. */
void sampler_forget_endpoint(struct sampler *sampler, unsigned int id);
void sampler_forget_process(struct sampler *sampler, unsigned int number);

#endif
