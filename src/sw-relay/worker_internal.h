/* SPDX-License-Identifier: BSD-3-Clause */

/* Shared by worker.c (the thread), worker_sleep.c (idle) and worker_table.c (control side) only. */
#ifndef VIO4WD_RELAY_WORKER_INTERNAL_H
#define VIO4WD_RELAY_WORKER_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_rcu_qsbr.h>

#include "sw-relay/lane.h"
#include "sw-relay/worker.h"

#define WORKERS_MAX VM_WORKERS_MAX

/* Published to one worker. The arrays behind are the worker's own. */
struct lane_table {
	uint64_t serial; /* of the publication: there are only two tables that take turns */
	unsigned int n;
	unsigned int capacity;
	struct lane **lanes;  /* those of a VM stand together */
	struct lane **polled; /* worker's */
	struct lane **timed;  /* worker's */
};

/* A place in the epoll set. The fd is a duplicate of our own, so that its registration can be ended
 * whatever becomes of the original. */
struct slot {
	int fd; /* -1: free */
	uint32_t serial;
	struct lane *lane;
	bool seen;
};

struct worker {
	/* written by the control side */
	struct lane_table *_Atomic table __rte_cache_aligned;
	atomic_bool stop;
	atomic_bool poked;
	atomic_bool stirred; /* by another worker: timed lanes are to be woken */

	/* written by the worker */
	atomic_bool sleeping __rte_cache_aligned;
	struct lane_table *current;
	uint64_t current_serial;
	_Atomic uint64_t rounds; /* for worker_watch.c */
	unsigned int n_polled;
	unsigned int n_timed;
	unsigned int n_armed;
	uint64_t next_check; /* TSC: armed and timed lanes are looked at while others are polled */
	uint64_t next_timed;
	uint64_t busy_cycles;
	uint64_t sleeps;
	uint64_t wakeups;
	uint64_t round_start;
	uint64_t slow_rounds;	/* ever, longer than worker_slow_cycles */
	uint64_t longest_round; /* in cycles, since the window's start; sleep does not count */
	/* the window of the last second: start, busy cycles at its start, the results of the last
	 */
	uint64_t window_start;
	uint64_t window_busy;
	uint32_t window_share; /* millionths */
	uint64_t window_longest;
	struct slot *slots;
	unsigned int n_slots;
	uint32_t next_serial;
	int epoll_fd;

	/* fixed while it runs, or the control side's */
	unsigned int index __rte_cache_aligned; /* RCU thread id */
	unsigned int cpu;
	unsigned int lanes_in_use; /* that carry traffic */
	pthread_t thread;
	int tid;
	int wake_fd;
	int start_error;
	sem_t started;
	struct lane_table *tables[2];
};

extern struct worker_options worker_options;
extern struct rte_rcu_qsbr *worker_rcu;
/* In TSC cycles. */
extern uint64_t worker_idle_cycles;  /* a polled lane without work for so long is armed */
extern uint64_t worker_check_cycles; /* between looks at armed lanes while others are polled */
extern uint64_t worker_timed_cycles; /* between looks at timed lanes */
extern uint64_t worker_slow_cycles;  /* a round that takes longer is counted */

void *worker_main(void *worker);
/* Ends its sleep if it sleeps; from any thread. */
void worker_rouse(struct worker *w);
/* The i-th worker that was ever started, or NULL; it may have ended, then tid is 0 or that of a
 * thread that is gone. From any thread. */
struct worker *worker_at(unsigned int i);
/* Goes over to the published table if it is another one. */
void worker_take_up(struct worker *w, uint64_t now);
/* It is another one. */
static inline bool worker_table_changed(struct worker *w)
{
	struct lane_table *t = atomic_load_explicit(&w->table, memory_order_acquire);

	return t != w->current || t->serial != w->current_serial;
}

/* worker_sleep.c, in the worker's thread */
int worker_sleep_init(struct worker *w);
void worker_sleep_fini(struct worker *w);
/* The slots that hold no lane of the current table are freed. */
void worker_slots_sweep(struct worker *w);
/* A polled lane found nothing for long. Returns the state it is now in: LANE_POLLED (with
 * lane->arming: poll once more, then it is LANE_ARMED), LANE_TIMED or LANE_OFF. */
enum lane_state worker_arm(struct worker *w, struct lane *lane);
/* The lane's source is to be quiet: it is polled. */
void worker_disarm(struct lane *lane);
/* Wakes the armed lanes whose sources have reported something. */
void worker_check_armed(struct worker *w, uint64_t now);
/* Nothing is polled: blocks until there may be something to do. */
void worker_block(struct worker *w);
/* The lane goes among the timed ones. */
void worker_set_timed(struct worker *w, struct lane *lane);
/* Puts a lane among the polled ones, and its source to rest. */
void worker_wake_lane(struct worker *w, struct lane *lane, uint64_t now);
/* A lane was woken: so are the others of its VM that may have to carry an answer, because what
 * passes one way is often answered the other way. */
void worker_wake_others(struct worker *w, const struct lane *lane, uint64_t now);
/* Another worker did that. */
void worker_stirred(struct worker *w, uint64_t now);

#endif
