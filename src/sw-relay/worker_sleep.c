/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How idle lanes wait.
 *
 * A lane that finds nothing is armed: the guest is asked to kick (VM to VF), the device to
 * interrupt (VF to VM), and the descriptor that will tell is in the worker's epoll set. A packet
 * that came in between the last look and the arming would tell nobody, so an armed lane is polled
 * once more before it leaves the polled set. A source that cannot tell makes the lane timed.
 *
 * Descriptors are registered edge-triggered: the library leaves a kick's eventfd unread, and every
 * new kick is a new edge. What is registered is a duplicate, because a registration belongs to the
 * open file, which the other process keeps open: it would outlive the library's descriptor, and
 * could then not be named any more. The duplicate is taken anew when the ring's generation
 * changed; the generation is compared after dup() again, as the number may have been closed and
 * reused in between.
 *
 * An event names a slot and the slot's serial, never a lane: slots of lanes that left the table are
 * freed when the new table is adopted, before events are looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_atomic.h>
#include <rte_cycles.h>
#include <rte_vhost.h>

#include "common/cleanup.h"
#include "sw-relay/device_thread.h"
#include "sw-relay/pool.h"
#include "sw-relay/worker_internal.h"

#define EVENTS 64
#define STUCK_MS 500
#define STUCK_MBUFS 64 /* with fewer in the pool it may be for want of memory */
#define WAKE_EVENT UINT64_MAX
#define WAKE_ARMED_MAX 8 /* armed lanes that are woken along with one of their VM */

int worker_sleep_init(struct worker *w)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE_EVENT };

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0)
		return -errno;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &event) < 0) {
		int r = -errno;

		close(w->epoll_fd);
		return r;
	}
	return 0;
}

static void slot_free(struct worker *w, struct slot *slot)
{
	if (slot->fd < 0)
		return;
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, slot->fd, NULL);
	device_thread_close(slot->fd);
	slot->fd = -1;
	slot->lane = NULL;
}

void worker_sleep_fini(struct worker *w)
{
	for (unsigned int i = 0; i < w->n_slots; i++)
		slot_free(w, &w->slots[i]);
	free(w->slots);
	w->slots = NULL;
	w->n_slots = 0;
	close(w->epoll_fd);
}

void worker_slots_sweep(struct worker *w)
{
	struct lane_table *t = w->current;

	for (unsigned int i = 0; i < w->n_slots; i++)
		w->slots[i].seen = false;
	for (unsigned int i = 0; i < t->n; i++) {
		if (t->lanes[i]->slot >= 0)
			w->slots[t->lanes[i]->slot].seen = true;
	}
	for (unsigned int i = 0; i < w->n_slots; i++) {
		if (!w->slots[i].seen)
			slot_free(w, &w->slots[i]);
	}
}

static int slots_grow(struct worker *w)
{
	unsigned int n = RTE_MAX(2 * w->n_slots, 16u);
	struct slot *slots = realloc(w->slots, n * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (unsigned int i = w->n_slots; i < n; i++)
		slots[i] = (struct slot){ .fd = -1 };
	w->slots = slots;
	w->n_slots = n;
	return 0;
}

/* Registers fd (which becomes the slot's) for the lane. */
static int slot_add(struct worker *w, struct lane *lane, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	unsigned int i = 0;

	while (i < w->n_slots && w->slots[i].fd >= 0)
		i++;
	if (i == w->n_slots && slots_grow(w) < 0)
		return -ENOMEM;
	event.data.u64 = (uint64_t)++w->next_serial << 32 | i;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	w->slots[i].fd = fd;
	w->slots[i].serial = w->next_serial;
	w->slots[i].lane = lane;
	lane->slot = i;
	return 0;
}

static void lane_slot_free(struct worker *w, struct lane *lane)
{
	if (lane->slot >= 0)
		slot_free(w, &w->slots[lane->slot]);
	lane->slot = -1;
}

/*
 * The guest has put something into its ring, and yet nothing could be taken for long: it is a chain
 * that the library cannot follow, and it would be in the way for ever. The count is only right for
 * split rings.
 */
static bool is_stuck(struct lane *lane, unsigned int ring)
{
	uint64_t now = rte_rdtsc();

	if (lane->cfg.packed || rte_vhost_rx_queue_count(lane->cfg.vm->vid, ring) == 0 ||
	    pool_free(lane->cfg.pool) < STUCK_MBUFS) {
		lane->stuck_since = 0;
		return false;
	}
	if (!lane->stuck_since || lane->last_work > lane->stuck_since)
		lane->stuck_since = now;
	else if (now - lane->stuck_since > rte_get_tsc_hz() / 1000 * STUCK_MS)
		guard_report(&lane->cfg.vm->guard, GUARD_RING);
	return true;
}

static enum lane_state arm_guest(struct worker *w, struct lane *lane)
{
	unsigned int index = VM_TX_RING(lane->cfg.index);
	struct vm *vm = lane->cfg.vm;
	struct vm_ring *ring = &vm->rings[index];
	uint32_t generation = atomic_load(&ring->generation);

	if (lane->slot_generation != generation)
		lane_slot_free(w, lane);
	lane->slot_generation = generation;
	if (!(atomic_load(&vm->enabled) & (1ull << index)))
		return LANE_OFF;
	if (is_stuck(lane, index))
		return LANE_POLLED;
	if (lane->slot < 0) {
		int kick_fd = atomic_load(&ring->kick_fd);
		_cleanup_close_ int fd = -1;

		if (kick_fd < 0)
			return LANE_TIMED; /* this guest does not kick */
		fd = fcntl(kick_fd, F_DUPFD_CLOEXEC, 0);
		if (atomic_load(&ring->generation) != generation)
			return LANE_POLLED; /* changed under our feet: again in the next round */
		if (fd < 0 || slot_add(w, lane, fd) < 0)
			return LANE_TIMED;
		take_fd(fd);
	}
	if (rte_vhost_enable_guest_notification(vm->vid, index, 1) < 0)
		return LANE_TIMED;
	return LANE_ARMED;
}

static enum lane_state arm_device(struct worker *w, struct lane *lane)
{
	struct backend *backend = lane->cfg.backend;
	int rx_fd = backend->ops->rx_fd ? backend->ops->rx_fd(backend, lane->cfg.index) : -1;

	if (rx_fd < 0)
		return LANE_TIMED;
	if (lane->slot < 0) {
		_cleanup_close_ int fd = fcntl(rx_fd, F_DUPFD_CLOEXEC, 0);

		if (fd < 0 || slot_add(w, lane, fd) < 0)
			return LANE_TIMED;
		take_fd(fd);
	}
	if (backend->ops->rx_arm(backend, lane->cfg.index, true) < 0)
		return LANE_TIMED;
	return LANE_ARMED;
}

enum lane_state worker_arm(struct worker *w, struct lane *lane)
{
	enum lane_state state;

	guard_current = lane->cfg.vm ? &lane->cfg.vm->guard : NULL;
	state = lane->cfg.direction == LANE_VM_TO_VF ? arm_guest(w, lane) : arm_device(w, lane);
	if (state != LANE_ARMED)
		return state;
	/* What was asked for must be visible before the source is looked at again. */
	rte_smp_mb();
	lane->arming = true;
	return LANE_POLLED;
}

void worker_disarm(struct lane *lane)
{
	struct backend *backend = lane->cfg.backend;

	guard_current = lane->cfg.vm ? &lane->cfg.vm->guard : NULL;
	if (lane->cfg.direction == LANE_VM_TO_VF)
		rte_vhost_enable_guest_notification(lane->cfg.vm->vid, VM_TX_RING(lane->cfg.index),
						    0);
	else if (backend->ops->rx_fd && backend->ops->rx_fd(backend, lane->cfg.index) >= 0)
		backend->ops->rx_arm(backend, lane->cfg.index, false);
}

void worker_set_timed(struct worker *w, struct lane *lane)
{
	struct vm *vm = lane->cfg.vm;

	lane->state = LANE_TIMED;
	lane->timed_place = w->n_timed;
	w->current->timed[w->n_timed++] = lane;
	if (!vm)
		return;
	lane->stirs_seen = atomic_load(&vm->stirs);
	atomic_fetch_or(&vm->timed_on[w->index / 64], 1ull << w->index % 64);
}

static void leave_timed(struct worker *w, struct lane *lane)
{
	struct lane *last = w->current->timed[--w->n_timed];

	w->current->timed[lane->timed_place] = last;
	last->timed_place = lane->timed_place;
}

void worker_wake_lane(struct worker *w, struct lane *lane, uint64_t now)
{
	if (lane->state == LANE_TIMED)
		leave_timed(w, lane);
	else if (lane->state == LANE_ARMED)
		w->n_armed--;
	lane->arming = false;
	lane->last_work = now;
	lane->state = LANE_POLLED;
	w->current->polled[w->n_polled++] = lane;
	worker_disarm(lane);
}

/* Those whose sources have to be put to rest first are woken up to a number: the packet waits. The
 * rest is woken by these if need be. */
static void wake_other(struct worker *w, struct lane *other, unsigned int *armed, uint64_t now)
{
	if (other->state == LANE_TIMED ||
	    (other->state == LANE_ARMED && (*armed)++ < WAKE_ARMED_MAX))
		worker_wake_lane(w, other, now);
}

/* The lanes of the VM that other workers have timed; those that are armed wake by themselves. */
static void stir_workers(struct worker *w, struct vm *vm)
{
	for (unsigned int k = 0; k < RTE_DIM(vm->timed_on); k++) {
		uint64_t left = atomic_load(&vm->timed_on[k]);

		if (left)
			left = atomic_exchange(&vm->timed_on[k], 0);
		for (; left; left &= left - 1) {
			struct worker *other = worker_at(64 * k + __builtin_ctzll(left));

			if (other == w)
				continue;
			atomic_fetch_add(&vm->stirs, 1);
			atomic_store(&other->stirred, true);
			worker_rouse(other);
		}
	}
}

void worker_wake_others(struct worker *w, const struct lane *lane, uint64_t now)
{
	struct lane **lanes = w->current->lanes;
	struct vm *vm = lane->cfg.vm;
	unsigned int armed = 0;

	if (!vm)
		return;
	for (unsigned int i = lane->place; i-- && lanes[i]->cfg.vm == vm;)
		wake_other(w, lanes[i], &armed, now);
	for (unsigned int i = lane->place + 1; i < w->current->n && lanes[i]->cfg.vm == vm; i++)
		wake_other(w, lanes[i], &armed, now);
	stir_workers(w, vm);
}

void worker_stirred(struct worker *w, uint64_t now)
{
	struct lane **timed = w->current->timed;

	atomic_store(&w->stirred, false);
	for (unsigned int i = 0; i < w->n_timed;) {
		struct vm *vm = timed[i]->cfg.vm;

		if (vm && atomic_load(&vm->stirs) != timed[i]->stirs_seen)
			worker_wake_lane(w, timed[i], now);
		else
			i++;
	}
}

static void handle(struct worker *w, const struct epoll_event *event, uint64_t now)
{
	uint32_t i = event->data.u64;
	struct slot *slot;
	eventfd_t count;

	if (event->data.u64 == WAKE_EVENT) {
		eventfd_read(w->wake_fd, &count);
		return;
	}
	if (i >= w->n_slots)
		return;
	slot = &w->slots[i];
	if (slot->fd < 0 || slot->serial != event->data.u64 >> 32 ||
	    slot->lane->state != LANE_ARMED)
		return;
	worker_wake_lane(w, slot->lane, now);
	worker_wake_others(w, slot->lane, now);
}

void worker_check_armed(struct worker *w, uint64_t now)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(w->epoll_fd, events, EVENTS, 0);

	for (int i = 0; i < n; i++)
		handle(w, &events[i], now);
}

/* Until there is an event, or the timed lanes are due. */
static int wait_events(struct worker *w, struct epoll_event *events)
{
	struct pollfd pfd = { .fd = w->epoll_fd, .events = POLLIN };
	struct timespec left = { 0 };
	struct timespec *timeout = NULL;
	int n;

	if (w->n_timed) {
		uint64_t now = rte_rdtsc();
		uint64_t cycles = w->next_timed > now ? w->next_timed - now : 0;
		uint64_t ns = cycles * 1e9 / rte_get_tsc_hz();

		left.tv_sec = ns / NS_PER_S;
		left.tv_nsec = ns % NS_PER_S;
		timeout = &left;
	}
	n = epoll_pwait2(w->epoll_fd, events, EVENTS, timeout, NULL);
	if (n < 0 && errno == ENOSYS) /* a kernel before 5.11 */
		n = ppoll(&pfd, 1, timeout, NULL) > 0 ? epoll_wait(w->epoll_fd, events, EVENTS, 0)
						      : 0;
	return n;
}

/*
 * Whoever changes the table, pokes, stirs or stops the worker does that first and then looks at
 * `sleeping`; here it is the other way round, so one of both sees the other.
 */
void worker_block(struct worker *w)
{
	struct epoll_event events[EVENTS];
	uint64_t now;
	int n;

	atomic_store(&w->sleeping, true);
	atomic_thread_fence(memory_order_seq_cst);
	if (worker_table_changed(w) || atomic_load(&w->poked) || atomic_load(&w->stirred) ||
	    atomic_load(&w->stop)) {
		atomic_store(&w->sleeping, false);
		return;
	}
	stat_add(&w->sleeps, 1);
	rte_rcu_qsbr_thread_offline(worker_rcu, w->index);
	n = wait_events(w, events);
	rte_rcu_qsbr_thread_online(worker_rcu, w->index);
	now = rte_rdtsc();
	__atomic_store_n(&w->round_start, now, __ATOMIC_RELAXED);
	atomic_store(&w->sleeping, false);
	worker_take_up(w, now);
	if (n <= 0)
		return;
	stat_add(&w->wakeups, 1);
	for (int i = 0; i < n; i++)
		handle(w, &events[i], now);
}
