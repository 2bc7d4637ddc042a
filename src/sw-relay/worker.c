/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The thread of a worker. A round: take up a new table if one was published, run every polled lane
 * once, look at the lanes that are not polled when it is time, report a quiescent state. A lane
 * that has found nothing for some tens of microseconds leaves the polled set, so what a round costs
 * depends on the lanes with traffic and not on how many there are; with none polled the worker
 * blocks (worker_sleep.c).
 *
 * Between two quiescent states the worker may hold pointers to lanes of its table, and whoever
 * takes a lane away waits for the next one. While it blocks it is offline for RCU and holds none:
 * after waking, the table is looked at before anything else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "common/log.h"
#include "sw-relay/worker_internal.h"

#define TIMER_SLACK_NS 5000

/* Lanes of the table keep their state if they were here before. */
static void adopt(struct worker *w, struct lane_table *t, uint64_t now)
{
	w->current = t;
	w->current_serial = t->serial;
	w->n_polled = w->n_timed = w->n_armed = 0;
	for (unsigned int i = 0; i < t->n; i++) {
		struct lane *l = t->lanes[i];

		l->place = i;
		switch ((enum lane_state)l->state) {
		case LANE_FRESH:
			l->slot = -1;
			worker_wake_lane(w, l, now);
			break;
		case LANE_POLLED:
			t->polled[w->n_polled++] = l;
			break;
		case LANE_TIMED:
			l->timed_place = w->n_timed;
			t->timed[w->n_timed++] = l;
			break;
		case LANE_ARMED:
			w->n_armed++;
			break;
		case LANE_OFF:
			break;
		}
	}
	worker_slots_sweep(w);
}

void worker_take_up(struct worker *w, uint64_t now)
{
	if (unlikely(worker_table_changed(w)))
		adopt(w, atomic_load_explicit(&w->table, memory_order_acquire), now);
}

static bool has_reason_to_look(struct lane *l)
{
	struct vm *vm = l->cfg.vm;
	uint32_t rarp_seen = l->rarp_seen;

	l->rarp_seen = atomic_load(&vm->rarp.count);
	return l->rarp_seen != rarp_seen ||
	       atomic_load(&vm->rings[VM_TX_RING(l->cfg.index)].generation) != l->slot_generation;
}

/* A ring of some VM changed, or it is to be announced: its lanes begin anew. */
static void look_at_rings(struct worker *w, uint64_t now)
{
	struct lane_table *t = w->current;

	for (unsigned int i = 0; i < t->n; i++) {
		struct lane *l = t->lanes[i];

		if (l->cfg.direction != LANE_VM_TO_VF || l->state == LANE_POLLED)
			continue;
		if (has_reason_to_look(l))
			l->state = LANE_FRESH;
	}
	adopt(w, t, now);
}

/* False: the lane leaves the polled set. */
static bool stays_polled(struct worker *w, struct lane *l, uint64_t now)
{
	enum lane_state state;

	if (now - l->last_work < worker_idle_cycles || lane_waits(l) || l->drain)
		return true;
	if (l->arming) { /* and nothing came in the meantime */
		l->arming = false;
		l->state = LANE_ARMED;
		w->n_armed++;
		return false;
	}
	state = worker_arm(w, l);
	if (state == LANE_POLLED)
		return true;
	if (state == LANE_TIMED)
		worker_set_timed(w, l);
	else
		l->state = state;
	return false;
}

static void run_polled(struct worker *w, uint64_t now)
{
	struct lane **polled = w->current->polled;
	uint64_t last = now;

	for (unsigned int i = 0; i < w->n_polled;) {
		struct lane *l = polled[i];

		if (lane_run(l, now)) {
			uint64_t t = rte_rdtsc();

			w->busy_cycles += t - last;
			stat_add(&l->stats->busy_cycles, t - last);
			last = t;
			l->last_work = t;
			if (unlikely(l->arming)) {
				l->arming = false;
				worker_disarm(l);
			}
			i++;
		} else if (worker_options.busy_poll || stays_polled(w, l, now)) {
			i++;
		} else {
			polled[i] = polled[--w->n_polled];
		}
	}
}

/* Lanes whose sources cannot tell. */
static void run_timed(struct worker *w, uint64_t now)
{
	struct lane_table *t = w->current;
	unsigned int first = w->n_polled, end;

	for (unsigned int i = 0; i < w->n_timed;) {
		if (lane_run(t->timed[i], now))
			worker_wake_lane(w, t->timed[i], now);
		else
			i++;
	}
	end = w->n_polled;
	for (unsigned int i = first; i < end; i++)
		worker_wake_others(w, t->polled[i], now);
	w->next_timed = now + worker_timed_cycles;
}

static void account(struct worker *w, uint64_t now)
{
	uint64_t length = now - w->window_start;
	uint64_t busy = w->busy_cycles - w->window_busy;
	uint32_t share = (double)busy * 1000000 / length;

	__atomic_store_n(&w->window_share, RTE_MIN(share, 1000000u), __ATOMIC_RELAXED);
	__atomic_store_n(&w->window_longest, w->longest_round, __ATOMIC_RELAXED);
	w->longest_round = 0;
	__atomic_store_n(&w->window_busy, w->busy_cycles, __ATOMIC_RELAXED);
	__atomic_store_n(&w->window_start, now, __ATOMIC_RELAXED);
}

/* How long the lanes that are polled have not been looked at. */
static void account_round(struct worker *w, uint64_t now)
{
	uint64_t length = now - w->round_start;

	__atomic_store_n(&w->round_start, now, __ATOMIC_RELAXED);
	if (unlikely(length > w->longest_round))
		w->longest_round = length;
	if (unlikely(length > worker_slow_cycles))
		stat_add(&w->slow_rounds, 1);
}

static void run(struct worker *w)
{
	uint64_t second = rte_get_tsc_hz();

	while (likely(!atomic_load_explicit(&w->stop, memory_order_relaxed))) {
		uint64_t now = rte_rdtsc();

		account_round(w, now);
		atomic_store_explicit(&w->rounds,
				      atomic_load_explicit(&w->rounds, memory_order_relaxed) + 1,
				      memory_order_relaxed);
		worker_take_up(w, now);
		if (unlikely(atomic_load_explicit(&w->poked, memory_order_relaxed)) &&
		    atomic_exchange(&w->poked, false))
			look_at_rings(w, now);
		if (unlikely(atomic_load_explicit(&w->stirred, memory_order_relaxed)))
			worker_stirred(w, now);
		run_polled(w, now);
		if (w->n_timed && now >= w->next_timed)
			run_timed(w, now);
		if (unlikely(now - w->window_start >= second))
			account(w, now);
		if (!w->n_polled) {
			worker_block(w);
		} else if (now >= w->next_check) {
			if (w->n_armed)
				worker_check_armed(w, now);
			w->next_check = now + worker_check_cycles;
		}
		rte_rcu_qsbr_quiescent(worker_rcu, w->index);
	}
}

static int enter(struct worker *w)
{
	char name[16];
	cpu_set_t *set;
	size_t size;
	int r;

	snprintf(name, sizeof(name), "worker/%u", w->cpu);
	pthread_setname_np(pthread_self(), name);
	w->tid = gettid();
	set = CPU_ALLOC(w->cpu + 1);
	if (!set)
		return -ENOMEM;
	size = CPU_ALLOC_SIZE(w->cpu + 1);
	CPU_ZERO_S(size, set);
	CPU_SET_S(w->cpu, size, set);
	r = pthread_setaffinity_np(pthread_self(), size, set);
	CPU_FREE(set);
	if (r)
		return -r;
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	if (rte_thread_register() < 0)
		return -ENOSPC;
	r = worker_sleep_init(w);
	if (r < 0)
		rte_thread_unregister();
	return r;
}

void *worker_main(void *arg)
{
	struct worker *w = arg;

	w->start_error = enter(w);
	if (w->start_error < 0) {
		sem_post(&w->started);
		return NULL;
	}
	w->window_start = w->round_start = rte_rdtsc();
	rte_rcu_qsbr_thread_register(worker_rcu, w->index);
	rte_rcu_qsbr_thread_online(worker_rcu, w->index);
	sem_post(&w->started);
	run(w);
	rte_rcu_qsbr_thread_offline(worker_rcu, w->index);
	rte_rcu_qsbr_thread_unregister(worker_rcu, w->index);
	worker_sleep_fini(w);
	rte_thread_unregister();
	return NULL;
}
