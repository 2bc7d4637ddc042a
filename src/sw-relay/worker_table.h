/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The control side of workers: which lanes each of them runs.
 *
 * One lock serialises all changes between the control thread and the vhost library's event thread;
 * it protects what control-side state these share (endpoints' lanes, VMs), too. It is never held
 * over a library function that can wait for the event thread (rte_vhost_driver_unregister), and
 * never taken in a callback that runs with a ring's lock held (vring_state_changed).
 */
#ifndef VIO4WD_RELAY_WORKER_TABLE_H
#define VIO4WD_RELAY_WORKER_TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "sw-relay/lane.h"

struct worker;

void tables_lock(void);
void tables_unlock(void);
/* Lets go of the lock until what is signalled under it; needs it. */
void tables_wait(pthread_cond_t *signalled);

/*
 * Takes lanes away from their workers. On return no worker uses them, they may be changed, freed or
 * added again. Waits for at most one round of each worker. Cannot fail. Needs the lock.
 */
void tables_remove(struct lane *const *lanes, size_t n);

/* Gives each lane to the worker in lane->worker. Needs the lock. -ENOMEM: nothing was added. */
int tables_add(struct lane *const *lanes, size_t n);

/* The worker for a lane: the one on that CPU if there is one, else the least loaded, of two that
 * are equal the one with fewer lanes. cpu -1: any. Needs the lock. NULL: there is no worker. */
struct worker *worker_choose(int cpu);
/* The worker on a CPU, or NULL. Needs the lock. */
struct worker *worker_on_cpu(int cpu);
/* Counts n more lanes (or fewer) that carry traffic for worker_choose. Needs the lock. */
void worker_account(struct worker *worker, int n);
unsigned int worker_cpu(const struct worker *worker);
unsigned int workers_count(void);

/* Moves lanes of a worker that goes; implemented by the endpoints. Needs the lock. */
typedef void (*worker_leaving_fn)(struct worker *worker);
void workers_on_leave(worker_leaving_fn fn);

/* Makes all workers look at their lanes' rings again. Takes no lock, callable from anywhere. */
void workers_poke(void);

#define WORKER_SLOW_ROUND_US 100

/* What a snapshot shows. busy: 0..1 over about the last second. longest_round_us: the longest time
 * in about the last second that lanes with work had to wait until the worker looked at them again;
 * slow_rounds: how often that took longer than WORKER_SLOW_ROUND_US.
 */
struct worker_info {
	unsigned int cpu;
	int tid;
	double busy;
	uint64_t busy_us;
	uint64_t sleeps;
	uint64_t wakeups;
	uint64_t longest_round_us;
	uint64_t slow_rounds;
	unsigned int lanes;
};

/* Fills info of the i-th worker; false past the last. Needs the lock. */
bool worker_info(unsigned int i, struct worker_info *info);

#endif
