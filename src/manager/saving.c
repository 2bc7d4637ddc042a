/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An operation that is over is answered when the wishes it changed are on disk. One that changed
 * nothing that is kept is answered at once. Answers keep their order. A disk that takes longer than
 * clients can wait is reported, and the answers leave without it.
 */
#include <stdlib.h>

#include "common/log.h"
#include "manager/manager.h"

#define SLOW_US 500000ull /* of the second that clients of 1.1 wait */

struct saving {
	void (*fn)(void *userdata);
	void *userdata;
	uint64_t seq;
	struct saving *next;
};

/* Gives the wishes to the writer when they differ from what it has. */
void saving_changed(struct manager *m)
{
	json_object *state;

	if (!m->state || m->phase == MANAGER_STOPPING)
		return;
	state = wishes_to_json(m);
	if (m->saved && json_object_equal(m->saved, state)) {
		json_object_put(state);
		return;
	}
	json_object_put(m->saved);
	m->saved = state;
	m->saved_seq = state_file_save(m->state, state);
}

static int on_slow(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	m->saving_timer = sd_event_source_disable_unref(m->saving_timer);
	if (m->savings) {
		log_warning("%s/state.json takes long to be written: a crash now would lose the "
			    "last changes",
			    m->cfg->runtime_dir);
		saving_flush(m);
	}
	return 0;
}

void saving_then(struct manager *m, void (*fn)(void *userdata), void *userdata)
{
	const uint64_t before = m->saved_seq;
	struct saving **last = &m->savings, *saving;

	saving_changed(m);
	if (m->saved_seq == before && !m->savings) {
		fn(userdata);
		return;
	}
	saving = malloc(sizeof(*saving));
	if (!saving) {
		fn(userdata);
		return;
	}
	*saving = (struct saving){ .fn = fn, .userdata = userdata, .seq = m->saved_seq };
	while (*last)
		last = &(*last)->next;
	*last = saving;
	if (!m->saving_timer &&
	    sd_event_add_time_relative(m->event, &m->saving_timer, CLOCK_MONOTONIC, SLOW_US, 1000,
				       on_slow, m) < 0)
		saving_flush(m);
}

static void answer(void *userdata)
{
	struct pairing_op *op = userdata;

	if (op->done)
		op->done(op->p, &op->err, op->userdata);
	free(op);
}

void saving_finish(struct pairing *p, struct pairing_op *op)
{
	saving_then(p->env->ctx, answer, op);
}

static void answer_until(struct manager *m, uint64_t seq)
{
	while (m->savings && m->savings->seq <= seq) {
		struct saving *saving = m->savings;

		m->savings = saving->next;
		saving->fn(saving->userdata);
		free(saving);
	}
	if (!m->savings)
		m->saving_timer = sd_event_source_disable_unref(m->saving_timer);
}

void saving_done(uint64_t seq, const struct err *err, void *userdata)
{
	if (err->code)
		log_error("%s", err->text);
	answer_until(userdata, seq);
}

void saving_flush(struct manager *m)
{
	answer_until(m, UINT64_MAX);
}
