/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Workers and their tables, from the control side.
 *
 * A worker has two tables of equal capacity: one is published, the other is where the next one is
 * written. After publishing, all workers pass a quiescent state, and the old one is free again. So
 * taking lanes away needs no memory and cannot fail. A worker that slept meanwhile may find the
 * table it had, rewritten: the serial tells.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sw-relay/worker_internal.h"
#include "sw-relay/worker_table.h"

#define IDLE_US 40		/* a polled lane without work is armed after */
#define CHECK_US 30		/* between looks at armed lanes while others are polled */
#define LONGEST_SLEEP_US 50000u /* LACP of bonds wants a burst every 100 ms (rte_eth_bond.h) */

struct worker_options worker_options;
struct rte_rcu_qsbr *worker_rcu;
uint64_t worker_idle_cycles;
uint64_t worker_check_cycles;
uint64_t worker_timed_cycles;
uint64_t worker_slow_cycles;

static pthread_mutex_t tables_mutex = PTHREAD_MUTEX_INITIALIZER;
/* Slots are filled from the control thread only; the worker structures are never freed, because
 * workers_poke() looks at them without a lock. */
static struct worker *_Atomic workers[WORKERS_MAX];
static bool running[WORKERS_MAX];
static struct worker *closing; /* gets no lanes any more */
static worker_leaving_fn leaving;

void tables_lock(void)
{
	pthread_mutex_lock(&tables_mutex);
}

void tables_unlock(void)
{
	pthread_mutex_unlock(&tables_mutex);
}

void tables_wait(pthread_cond_t *signalled)
{
	pthread_cond_wait(signalled, &tables_mutex);
}

void workers_on_leave(worker_leaving_fn fn)
{
	leaving = fn;
}

struct worker *worker_at(unsigned int i)
{
	return atomic_load(&workers[i]);
}

void worker_rouse(struct worker *w)
{
	if (atomic_load(&w->sleeping))
		eventfd_write(w->wake_fd, 1);
}

static struct lane_table *spare(struct worker *w)
{
	return w->tables[0] == atomic_load(&w->table) ? w->tables[1] : w->tables[0];
}

static void publish(struct worker *w, struct lane_table *t)
{
	static uint64_t serial;

	t->serial = ++serial;
	atomic_store(&w->table, t);
	worker_rouse(w);
}

static void synchronize(void)
{
	rte_rcu_qsbr_synchronize(worker_rcu, RTE_QSBR_THRID_INVALID);
}

static void table_free(struct lane_table *t)
{
	if (!t)
		return;
	free(t->lanes);
	free(t->polled);
	free(t->timed);
	free(t);
}

static struct lane_table *table_new(unsigned int capacity)
{
	struct lane_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->capacity = capacity;
	t->lanes = calloc(capacity, sizeof(*t->lanes));
	t->polled = calloc(capacity, sizeof(*t->polled));
	t->timed = calloc(capacity, sizeof(*t->timed));
	if (t->lanes && t->polled && t->timed)
		return t;
	table_free(t);
	return NULL;
}

static bool among(const struct lane *lane, struct lane *const *lanes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (lanes[i] == lane)
			return true;
	}
	return false;
}

void tables_remove(struct lane *const *lanes, size_t n)
{
	bool changed = false;

	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		struct worker *w = workers[i];
		struct lane_table *from, *to;

		if (!running[i])
			continue;
		from = w->table;
		to = spare(w);
		to->n = 0;
		for (unsigned int k = 0; k < from->n; k++) {
			if (!among(from->lanes[k], lanes, n))
				to->lanes[to->n++] = from->lanes[k];
		}
		if (to->n == from->n)
			continue;
		publish(w, to);
		changed = true;
	}
	if (!changed)
		return;
	synchronize();
	for (size_t i = 0; i < n; i++) {
		lanes[i]->state = LANE_FRESH;
		lanes[i]->arming = false;
		lanes[i]->slot = -1;
	}
}

/* Makes both tables of a worker large enough. */
static int reserve(struct worker *w, unsigned int n)
{
	struct lane_table *old[2] = { w->tables[0], w->tables[1] };
	struct lane_table *from = w->table;
	unsigned int capacity = from->capacity;
	struct lane_table *a, *b;

	if (n <= capacity)
		return 0;
	while (capacity < n)
		capacity *= 2;
	a = table_new(capacity);
	b = table_new(capacity);
	if (!a || !b) {
		table_free(a);
		table_free(b);
		return -ENOMEM;
	}
	memcpy(a->lanes, from->lanes, from->n * sizeof(*from->lanes));
	a->n = from->n;
	w->tables[0] = a;
	w->tables[1] = b;
	publish(w, a);
	synchronize();
	table_free(old[0]);
	table_free(old[1]);
	return 0;
}

static unsigned int count_for(const struct worker *w, struct lane *const *lanes, size_t n)
{
	unsigned int count = 0;

	for (size_t i = 0; i < n; i++)
		count += lanes[i]->worker == w;
	return count;
}

static int by_vm(const void *a, const void *b)
{
	const struct lane *const *x = a, *const *y = b;
	uintptr_t vm_x = (uintptr_t)(*x)->cfg.vm, vm_y = (uintptr_t)(*y)->cfg.vm;

	return (vm_x > vm_y) - (vm_x < vm_y);
}

int tables_add(struct lane *const *lanes, size_t n)
{
	bool changed = false;

	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		struct worker *w = workers[i];
		unsigned int more = running[i] ? count_for(w, lanes, n) : 0;

		if (more && reserve(w, w->table->n + more) < 0)
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		struct worker *w = workers[i];
		struct lane_table *from, *to;

		if (!running[i] || !count_for(w, lanes, n))
			continue;
		from = w->table;
		to = spare(w);
		memcpy(to->lanes, from->lanes, from->n * sizeof(*from->lanes));
		to->n = from->n;
		for (size_t k = 0; k < n; k++) {
			if (lanes[k]->worker == w)
				to->lanes[to->n++] = lanes[k];
		}
		qsort(to->lanes, to->n, sizeof(*to->lanes), by_vm);
		publish(w, to);
		changed = true;
	}
	/* The tables that were published before are spare ones only from here on. */
	if (changed)
		synchronize();
	return 0;
}

void workers_poke(void)
{
	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		struct worker *w = atomic_load(&workers[i]);

		if (!w)
			continue;
		atomic_store(&w->poked, true);
		worker_rouse(w);
	}
}

static double busy_share(const struct worker *w)
{
	uint64_t start = __atomic_load_n(&w->window_start, __ATOMIC_RELAXED);
	uint64_t length = rte_rdtsc() - start;
	uint64_t busy;

	if (length < 2 * rte_get_tsc_hz())
		return __atomic_load_n(&w->window_share, __ATOMIC_RELAXED) / 1e6;
	/* It has slept through more than a window. */
	busy = stat_read(&w->busy_cycles) - __atomic_load_n(&w->window_busy, __ATOMIC_RELAXED);
	return RTE_MIN((double)busy / length, 1.0);
}

static uint64_t longest_round_us(const struct worker *w)
{
	uint64_t now = rte_rdtsc();
	uint64_t cycles = stat_read(&w->window_longest);

	/* It has slept, or is in a round, since the window should have ended. */
	if (now - stat_read(&w->window_start) >= 2 * rte_get_tsc_hz())
		cycles = atomic_load(&w->sleeping) ? 0 : now - stat_read(&w->round_start);
	return cycles * 1e6 / rte_get_tsc_hz();
}

struct worker *worker_on_cpu(int cpu)
{
	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		if (running[i] && workers[i] != closing && (int)workers[i]->cpu == cpu)
			return workers[i];
	}
	return NULL;
}

struct worker *worker_choose(int cpu)
{
	struct worker *best = worker_on_cpu(cpu);
	double best_busy = 2;

	if (best)
		return best;
	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		double busy;

		if (!running[i] || workers[i] == closing)
			continue;
		/* Differences of a few percent are noise, not load. */
		busy = (int)(busy_share(workers[i]) * 20) / 20.0;
		if (busy > best_busy)
			continue;
		if (best && busy == best_busy && workers[i]->lanes_in_use >= best->lanes_in_use)
			continue;
		best = workers[i];
		best_busy = busy;
	}
	return best;
}

void worker_account(struct worker *worker, int n)
{
	worker->lanes_in_use += n;
}

unsigned int worker_cpu(const struct worker *worker)
{
	return worker->cpu;
}

unsigned int workers_count(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < WORKERS_MAX; i++)
		n += running[i];
	return n;
}

bool worker_info(unsigned int i, struct worker_info *info)
{
	for (unsigned int k = 0; k < WORKERS_MAX; k++) {
		struct worker *w = workers[k];

		if (!running[k] || i--)
			continue;
		info->cpu = w->cpu;
		info->tid = w->tid;
		info->busy = busy_share(w);
		info->busy_us = stat_read(&w->busy_cycles) * 1e6 / rte_get_tsc_hz();
		info->sleeps = stat_read(&w->sleeps);
		info->wakeups = stat_read(&w->wakeups);
		info->slow_rounds = stat_read(&w->slow_rounds);
		info->longest_round_us = longest_round_us(w);
		info->lanes = w->table->n;
		return true;
	}
	return false;
}

static struct worker *worker_slot(unsigned int i, struct err *err)
{
	struct worker *w = workers[i];

	if (w)
		return w;
	w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);
	if (w)
		w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!w || w->wake_fd < 0) {
		err_set(err, w ? -errno : -ENOMEM, "worker",
			"no memory or descriptor for a worker");
		rte_free(w);
		return NULL;
	}
	w->index = i;
	atomic_store(&workers[i], w);
	return w;
}

static void worker_start_failed(struct worker *w)
{
	table_free(w->tables[0]);
	table_free(w->tables[1]);
	w->tables[0] = w->tables[1] = NULL;
	sem_destroy(&w->started);
}

static int worker_start(unsigned int cpu, struct err *err)
{
	unsigned int i = 0;
	struct worker *w;
	int r;

	while (i < WORKERS_MAX && running[i])
		i++;
	if (i == WORKERS_MAX)
		return err_set(err, -ENOSPC, "worker", "worker on CPU %u: there are %u already",
			       cpu, WORKERS_MAX);
	w = worker_slot(i, err);
	if (!w)
		return -ENOMEM;
	w->cpu = cpu;
	w->lanes_in_use = 0;
	w->stop = false;
	w->current = NULL;
	sem_init(&w->started, 0, 0);
	w->tables[0] = table_new(16);
	w->tables[1] = table_new(16);
	w->table = w->tables[0];
	r = w->tables[0] && w->tables[1] ? pthread_create(&w->thread, NULL, worker_main, w)
					 : ENOMEM;
	if (r) {
		worker_start_failed(w);
		return err_set(err, -r, "worker", "worker on CPU %u: cannot start a thread: %s",
			       cpu, strerror(r));
	}
	while (sem_wait(&w->started) < 0)
		;
	if (w->start_error < 0) {
		pthread_join(w->thread, NULL);
		worker_start_failed(w);
		return err_set(err, w->start_error, "worker",
			       "worker on CPU %u: %s; is the CPU online and allowed to this "
			       "process?",
			       cpu, strerror(-w->start_error));
	}
	running[i] = true;
	return 0;
}

/* It has no lanes. */
static void worker_end(unsigned int i)
{
	struct worker *w = workers[i];

	atomic_store(&w->stop, true);
	eventfd_write(w->wake_fd, 1);
	pthread_join(w->thread, NULL);
	w->tid = 0;
	running[i] = false;
	table_free(w->tables[0]);
	table_free(w->tables[1]);
	w->tables[0] = w->tables[1] = NULL;
	w->table = NULL;
	sem_destroy(&w->started);
}

static int rcu_init(struct err *err)
{
	size_t size = rte_rcu_qsbr_get_memsize(WORKERS_MAX);

	if (worker_rcu)
		return 0;
	worker_rcu = rte_zmalloc("rcu", size, RTE_CACHE_LINE_SIZE);
	if (!worker_rcu || rte_rcu_qsbr_init(worker_rcu, WORKERS_MAX) < 0)
		return err_set(err, -ENOMEM, "worker", "no memory for RCU");
	return 0;
}

int workers_start(const struct cpuset *cpus, const struct worker_options *options, struct err *err)
{
	uint64_t hz = rte_get_tsc_hz();
	unsigned int sleep_us;
	int r = rcu_init(err);

	if (r < 0)
		return r;
	worker_options = *options;
	worker_idle_cycles = hz / US_PER_S * IDLE_US;
	worker_check_cycles = hz / US_PER_S * CHECK_US;
	worker_slow_cycles = hz / US_PER_S * WORKER_SLOW_ROUND_US;
	sleep_us = RTE_MIN(options->max_sleep_us, LONGEST_SLEEP_US);
	worker_timed_cycles = hz / US_PER_S * RTE_MAX(sleep_us, 1u);
	return workers_set(cpus, err);
}

int workers_set(const struct cpuset *cpus, struct err *err)
{
	int r = 0;

	if (!cpuset_count(cpus))
		return err_set(err, -EINVAL, "workers", "a relay needs at least one worker CPU");
	tables_lock();
	for (int cpu = cpuset_next(cpus, 0); cpu >= 0 && r == 0; cpu = cpuset_next(cpus, cpu + 1)) {
		if (!worker_on_cpu(cpu))
			r = worker_start(cpu, err);
	}
	for (unsigned int i = 0; i < WORKERS_MAX && r == 0; i++) {
		if (!running[i] || cpuset_has(cpus, workers[i]->cpu))
			continue;
		closing = workers[i];
		if (leaving)
			leaving(closing);
		closing = NULL;
		worker_end(i);
	}
	tables_unlock();
	return r;
}

void workers_stop(void)
{
	tables_lock();
	for (unsigned int i = 0; i < WORKERS_MAX; i++) {
		if (running[i])
			worker_end(i);
	}
	tables_unlock();
}
