/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Lanes and workers with a device that is made up: what it receives is put there by the test, what
 * it sends is counted, and how much it takes can be set.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include <rte_cycles.h>

#include "relay_frame.h"
#include "sw-relay/flow.h"
#include "sw-relay/lane.h"
#include "sw-relay/pool.h"
#include "sw-relay/worker.h"
#include "sw-relay/worker_internal.h"
#include "sw-relay/worker_table.h"

#define QUEUES 4

struct device {
	struct backend base;
	_Atomic unsigned int waiting[QUEUES]; /* frames to be received */
	_Atomic unsigned int taken;	      /* frames it was given */
	unsigned int room;		      /* frames it takes */
	_Atomic int left;		      /* that it says are still in its ring */
	int fd;				      /* interrupt of queue 0, -1: none */
	_Atomic unsigned int stall_ms;	      /* how long the next look at it takes */
	_Atomic bool armed;
};

static uint16_t device_rx(struct backend *b, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct device *d = (struct device *)b;
	unsigned int here = d->waiting[queue];
	unsigned int stall_ms = atomic_exchange(&d->stall_ms, 0);

	if (stall_ms)
		rte_delay_us_block(stall_ms * 1000);
	n = RTE_MIN(n, here);
	if (!n || rte_pktmbuf_alloc_bulk(test_pool, pkts, n))
		return 0;
	for (unsigned int i = 0; i < n; i++)
		rte_pktmbuf_append(pkts[i], 60);
	d->waiting[queue] -= n;
	return n;
}

static uint16_t device_tx(struct backend *b, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct device *d = (struct device *)b;

	n = RTE_MIN(n, d->room);
	d->room -= n;
	d->taken += n;
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static int device_tx_left(struct backend *b, uint16_t queue)
{
	return ((struct device *)b)->left;
}

static int device_rx_fd(struct backend *b, uint16_t queue)
{
	return ((struct device *)b)->fd;
}

static int device_rx_arm(struct backend *b, uint16_t queue, bool on)
{
	((struct device *)b)->armed = on;
	return 0;
}

static const struct backend_ops device_ops = {
	.name = "test",
	.rx_burst = device_rx,
	.tx_burst = device_tx,
	.tx_left = device_tx_left,
	.rx_fd = device_rx_fd,
	.rx_arm = device_rx_arm,
};

/* What the service does with reports is not of interest here. */
void service_vm_changed(unsigned int id, bool connected)
{
}

void service_device_changed(unsigned int id)
{
}

FIXTURE(lane) {
	struct device device;
	struct lane_stats stats[LANE_DIRECTIONS][QUEUES];
	struct vm vm;
};

FIXTURE_SETUP(lane)
{
	memset(self, 0, sizeof(*self));
	self->device.base.ops = &device_ops;
	self->device.base.rx_queues = self->device.base.tx_queues = 1;
	self->device.fd = -1;
	self->vm.vid = -1; /* the library knows no such VM: its rings are empty */
	lanes_init();
}

FIXTURE_TEARDOWN(lane)
{
	if (self->device.fd >= 0)
		close(self->device.fd);
}

static struct lane *make_lane(struct device *device, struct lane_stats *stats,
			      enum lane_direction direction, struct vm *vm)
{
	struct lane_config cfg = {
		.direction = direction,
		.queues = 1,
		.vm = vm,
		.backend = &device->base,
		.pool = test_pool,
		.offloads = OFFLOAD_MULTI_SEGS,
		.max_frame = 1522,
	};

	return lane_new(&cfg, stats);
}

TEST_F(lane, flows_keep_their_queue) {
	unsigned int seen = 0;

	for (unsigned int port = 0; port < 64; port++) {
		struct rte_mbuf *a = build(&(struct shape){ .l4 = L4_TCP, .payload = 10 });
		struct rte_mbuf *b = build(&(struct shape){ .l4 = L4_TCP, .payload = 200 });
		uint8_t *tcp_a = rte_pktmbuf_mtod_offset(a, uint8_t *, l2_len + l3_len);
		uint8_t *tcp_b = rte_pktmbuf_mtod_offset(b, uint8_t *, l2_len + l3_len);

		put16(tcp_a, 1000 + port);
		put16(tcp_b, 1000 + port);
		EXPECT_EQ(flow_hash(a), flow_hash(b));
		EXPECT_GT(4, flow_queue(flow_hash(a), 4));
		seen |= 1 << flow_queue(flow_hash(a), 4);
		rte_pktmbuf_free(a);
		rte_pktmbuf_free(b);
	}
	EXPECT_EQ(0xf, seen);
}

TEST_F(lane, hash_of_the_nic_wins) {
	struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_UDP, .payload = 10 });

	m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	m->hash.rss = 7;
	EXPECT_EQ(7, flow_hash(m));
	rte_pktmbuf_free(m);
}

TEST_F(lane, fragments_go_with_their_datagram) {
	struct rte_mbuf *whole = build(&(struct shape){ .l4 = L4_UDP, .payload = 100 });
	struct rte_mbuf *rest = build(&(struct shape){ .l4 = L4_UDP, .payload = 100 });
	uint8_t *first = rte_pktmbuf_mtod_offset(whole, uint8_t *, l2_len);
	uint8_t *second = rte_pktmbuf_mtod_offset(rest, uint8_t *, l2_len);

	put16(first + 6, 0x2000);  /* more follow */
	put16(second + 6, 0x0010); /* offset 128: what would be ports is payload */
	put16(second + 20, 0xbeef);
	EXPECT_EQ(flow_hash(whole), flow_hash(rest));
	rte_pktmbuf_free(whole);
	rte_pktmbuf_free(rest);
}

TEST_F(lane, what_is_not_ip_has_one_queue) {
	struct rte_mbuf *m = rte_pktmbuf_alloc(test_pool);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, 60);

	memset(p, 0xff, 60);
	put16(p + 12, 0x0806);
	EXPECT_EQ(0, flow_hash(m));
	m->data_len = 5;
	EXPECT_EQ(0, flow_hash(m));
	rte_pktmbuf_free(m);
}

TEST_F(lane, rings_are_those_enabled) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);

	lane_set_rings(lane, 1ull << VM_RX_RING(0) | 1ull << VM_TX_RING(0) | 1ull << VM_RX_RING(3) |
				     1ull << VM_RX_RING(31));
	ASSERT_EQ(3, lane->n_rings);
	EXPECT_EQ(VM_RX_RING(0), lane->rings[0]);
	EXPECT_EQ(VM_RX_RING(3), lane->rings[1]);
	EXPECT_EQ(VM_RX_RING(31), lane->rings[2]);
	lane_set_rings(lane, 0);
	EXPECT_EQ(0, lane->n_rings);
	lane_free(lane);
}

TEST_F(lane, transmit_queues_are_shared_in_turn) {
	EXPECT_EQ(0, lane_tx_queue(0, 1));
	EXPECT_EQ(0, lane_tx_queue(31, 1));
	EXPECT_EQ(1, lane_tx_queue(5, 4));
	EXPECT_EQ(3, lane_tx_queue(3, 4));
}

TEST_F(lane, without_a_vm_the_device_is_drained) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
	const struct lane_stats *s = &self->stats[0][0];

	self->device.waiting[0] = 100;
	EXPECT_EQ(LANE_BURST, lane_run(lane, 0));
	EXPECT_EQ(100 - LANE_BURST, lane_run(lane, 0));
	EXPECT_EQ(0, lane_run(lane, 0));
	EXPECT_EQ(100, s->in.packets);
	EXPECT_EQ(6000, s->in.bytes);
	EXPECT_EQ(100, s->drops[LANE_DROP_NOT_CONNECTED].packets);
	EXPECT_EQ(6000, s->drops[LANE_DROP_NOT_CONNECTED].bytes);
	EXPECT_EQ(3, s->polls);
	EXPECT_EQ(1, s->empty_polls);
	EXPECT_TRUE(rte_mempool_full(test_pool));
	lane_free(lane);
}

static void let_wait(struct lane *lane, unsigned int n, uint64_t deadline)
{
	for (unsigned int i = 0; i < n; i++) {
		lane->out[i] = rte_pktmbuf_alloc(test_pool);
		rte_pktmbuf_append(lane->out[i], 60);
	}
	lane->out_head = 0;
	lane->out_n = n;
	lane->deadline = deadline;
}

TEST_F(lane, packets_wait_for_room) {
	struct lane *lane = make_lane(&self->device, &self->stats[1][0], LANE_VM_TO_VF, &self->vm);
	const struct lane_stats *s = &self->stats[1][0];

	let_wait(lane, 10, 1000);
	EXPECT_EQ(0, lane_run(lane, 10));
	EXPECT_TRUE(lane_waits(lane));
	self->device.room = 4;
	EXPECT_EQ(1, lane_run(lane, 20)); /* progress gives more time */
	EXPECT_EQ(20 + lane_patience, lane->deadline);
	EXPECT_TRUE(lane_waits(lane));
	self->device.room = 100;
	EXPECT_EQ(1, lane_run(lane, 30));
	EXPECT_FALSE(lane_waits(lane));
	EXPECT_EQ(10, self->device.taken);
	EXPECT_EQ(10, s->out.packets);
	EXPECT_EQ(600, s->out.bytes);
	EXPECT_EQ(0, s->drops[LANE_DROP_QUEUE_FULL].packets);
	lane_free(lane);
}

TEST_F(lane, a_stuck_device_does_not_stop_the_guest) {
	struct lane *lane = make_lane(&self->device, &self->stats[1][0], LANE_VM_TO_VF, &self->vm);
	const struct lane_stats *s = &self->stats[1][0];

	let_wait(lane, 10, 1000);
	EXPECT_EQ(0, lane_run(lane, 999));
	EXPECT_TRUE(lane_waits(lane));
	lane_run(lane, 1000);
	EXPECT_FALSE(lane_waits(lane));
	EXPECT_EQ(10, s->drops[LANE_DROP_QUEUE_FULL].packets);
	EXPECT_EQ(600, s->drops[LANE_DROP_QUEUE_FULL].bytes);
	EXPECT_TRUE(rte_mempool_full(test_pool));
	lane_free(lane);
}

/* The pace at which a guest is found to send n packets every `since` cycles. */
static uint64_t settled(uint64_t since, unsigned int n)
{
	uint64_t pace = 0;

	for (int i = 0; i < 200; i++)
		lane_gather_wait(&pace, since, n);
	return pace;
}

TEST_F(lane, a_fast_guest_gathers_a_burst) {
	uint64_t pace = settled(3200, 32);
	const uint64_t wait = lane_gather_wait(&pace, 3200, 32);

	EXPECT_LE(90, pace);
	EXPECT_GE(100, pace);
	EXPECT_EQ(pace * LANE_BURST, wait);
	/* more is there already */
	EXPECT_EQ(0, lane_gather_wait(&pace, 6400, LANE_BURST));
	/* it is late: a shorter wait, until it has fallen silent */
	EXPECT_LT(0, lane_gather_wait(&pace, wait, 0));
	EXPECT_GT(wait, lane_gather_wait(&pace, wait, 0));
	EXPECT_EQ(0, lane_gather_wait(&pace, lane_gather + 1, 0));
}

TEST_F(lane, waits_are_bounded) {
	for (uint64_t cycles = 1; cycles < 2 * lane_gather; cycles += cycles / 8 + 1) {
		uint64_t pace = settled(cycles, 1);

		EXPECT_GE(lane_gather, lane_gather_wait(&pace, cycles, 1));
		EXPECT_GE(lane_gather, lane_gather_wait(&pace, cycles, 0));
	}
}

TEST_F(lane, a_slow_guest_never_waits) {
	uint64_t pace = lane_gather;

	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(0, lane_gather_wait(&pace, lane_gather / 2, 1));
		EXPECT_EQ(0, lane_gather_wait(&pace, lane_gather / 2, 0));
	}
}

TEST_F(lane, what_waits_is_counted_when_the_lane_ends) {
	struct lane *lane = make_lane(&self->device, &self->stats[1][0], LANE_VM_TO_VF, &self->vm);

	let_wait(lane, 3, 1000);
	lane_free(lane);
	EXPECT_EQ(3, self->stats[1][0].drops[LANE_DROP_QUEUE_FULL].packets);
	EXPECT_TRUE(rte_mempool_full(test_pool));
}

/* True when it was told since the last time. */
static bool is_told(int fd)
{
	eventfd_t count;

	return eventfd_read(fd, &count) == 0;
}

/* The guest's frames stay in its ring, and those that it has sent are waited for. */
TEST_F(lane, a_lane_from_the_guest_runs_dry) {
	struct lane *lane = make_lane(&self->device, &self->stats[1][0], LANE_VM_TO_VF, &self->vm);
	struct lane_drain drain = { .fd = eventfd(0, EFD_NONBLOCK) };

	let_wait(lane, 10, 1000);
	self->device.left = 5;
	self->device.room = 4;
	lane_drain(lane, &drain);
	EXPECT_EQ(1, lane_run(lane, 10));
	EXPECT_TRUE(lane_drains(lane));
	self->device.room = 100;
	EXPECT_EQ(1, lane_run(lane, 20));
	EXPECT_EQ(10, self->device.taken);
	EXPECT_EQ(0, lane_run(lane, 30));
	EXPECT_TRUE(lane_drains(lane));
	EXPECT_FALSE(is_told(drain.fd));
	self->device.left = 0;
	EXPECT_EQ(0, lane_run(lane, 40));
	EXPECT_FALSE(lane_drains(lane));
	EXPECT_TRUE(is_told(drain.fd));
	EXPECT_EQ(0, lane_run(lane, 50));
	EXPECT_FALSE(is_told(drain.fd));
	EXPECT_EQ(0, self->stats[1][0].polls);
	lane_free(lane);
	EXPECT_FALSE(is_told(drain.fd));
	close(drain.fd);
}

TEST_F(lane, a_device_that_does_not_tell_is_given_time) {
	struct lane *lane = make_lane(&self->device, &self->stats[1][0], LANE_VM_TO_VF, &self->vm);
	struct lane_drain drain = { .fd = eventfd(0, EFD_NONBLOCK) };

	self->device.left = -ENOTSUP;
	lane_drain(lane, &drain);
	lane_run(lane, lane->quiet_since + lane_quiet - 1);
	EXPECT_FALSE(is_told(drain.fd));
	lane_run(lane, lane->quiet_since + lane_quiet);
	EXPECT_TRUE(is_told(drain.fd));
	lane_free(lane);
	close(drain.fd);
}

/* Whatever comes begins the time anew. A round may have begun before the lane was told. */
TEST_F(lane, a_lane_to_the_guest_is_dry_when_nothing_comes) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
	struct lane_drain drain = { .fd = eventfd(0, EFD_NONBLOCK) };
	uint64_t since;

	lane_drain(lane, &drain);
	since = lane->quiet_since;
	lane_run(lane, since - 1);
	EXPECT_TRUE(lane_drains(lane));
	self->device.waiting[0] = 5;
	EXPECT_EQ(5, lane_run(lane, since + lane_quiet));
	EXPECT_EQ(0, lane_run(lane, since + 2 * lane_quiet - 1));
	EXPECT_TRUE(lane_drains(lane));
	EXPECT_EQ(0, lane_run(lane, since + 2 * lane_quiet));
	EXPECT_TRUE(is_told(drain.fd));
	/* It goes on until it is taken away. */
	self->device.waiting[0] = 5;
	EXPECT_EQ(5, lane_run(lane, since + 3 * lane_quiet));
	EXPECT_FALSE(is_told(drain.fd));
	lane_free(lane);
	close(drain.fd);
}

/* A network is never quiet. */
TEST_F(lane, a_device_that_never_stops_is_not_waited_for) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
	struct lane_drain drain = { .fd = eventfd(0, EFD_NONBLOCK) };
	uint64_t since;
	unsigned int i;

	lane_drain(lane, &drain);
	since = lane->quiet_since;
	for (i = 1; i < 100 && lane_drains(lane); i++) {
		self->device.waiting[0] = 1;
		lane_run(lane, since + i * (lane_quiet / 2));
	}
	EXPECT_LT(4, i);
	EXPECT_GT(20, i);
	EXPECT_TRUE(is_told(drain.fd));
	lane_free(lane);
	close(drain.fd);
}

/* What the device gets last may come back. */
TEST_F(lane, what_is_received_is_waited_for_after_what_is_sent) {
	struct lane *to_vf = make_lane(&self->device, &self->stats[1][0], LANE_VM_TO_VF, &self->vm);
	struct lane *to_vm = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
	struct lane_drain drain = { .fd = eventfd(0, EFD_NONBLOCK) };
	uint64_t since;

	self->device.left = 1;
	lane_drain(to_vf, &drain);
	lane_drain(to_vm, &drain);
	since = to_vm->quiet_since;
	lane_run(to_vf, since + 10 * lane_quiet);
	lane_run(to_vm, since + 10 * lane_quiet);
	EXPECT_TRUE(lane_drains(to_vf));
	EXPECT_TRUE(lane_drains(to_vm));
	self->device.left = 0;
	lane_run(to_vf, since + 11 * lane_quiet - 1);
	lane_run(to_vm, since + 11 * lane_quiet - 1);
	EXPECT_FALSE(lane_drains(to_vf));
	EXPECT_TRUE(lane_drains(to_vm));
	EXPECT_FALSE(is_told(drain.fd));
	lane_run(to_vm, since + 11 * lane_quiet);
	EXPECT_FALSE(lane_drains(to_vm));
	EXPECT_TRUE(is_told(drain.fd));
	lane_free(to_vf);
	lane_free(to_vm);
	close(drain.fd);
}

TEST_F(lane, nobody_waits_for_a_lane_that_ends) {
	struct lane *lane = make_lane(&self->device, &self->stats[1][0], LANE_VM_TO_VF, &self->vm);
	struct lane_drain drain = { .fd = eventfd(0, EFD_NONBLOCK) };

	lane_drain(lane, &drain);
	lane_free(lane);
	EXPECT_TRUE(is_told(drain.fd));
	close(drain.fd);
}

TEST_F(lane, pools_grow_with_what_holds_packets) {
	struct pool_need small = { .device = 1024, .lanes = 2, .workers = 2, .mtu = 1500 };
	struct pool_need many = { .device = 32 * 512, .lanes = 64, .workers = 2, .mtu = 1500 };
	struct pool_need jumbo = { .device = 1024, .lanes = 2, .workers = 2, .mtu = 9000 };
	struct pool_need one_room = jumbo;
	struct pool_need large = { .device = 1024, .lanes = 2, .workers = 2, .tso = true };

	/* the rings, a burst in each lane's hand, and full caches at the same time */
	EXPECT_LE(1024 + 2 * LANE_BURST + 3 * 384, pool_size(&small));
	EXPECT_GT(4000, pool_size(&small)); /* 10 MB */
	EXPECT_LE(32 * 512 + 64 * LANE_BURST, pool_size(&many));
	EXPECT_LE(1024 + 2 * 5 * LANE_BURST, pool_size(&jumbo));
	one_room.min_room = 9216;
	EXPECT_GT(pool_size(&jumbo), pool_size(&one_room));
	/* a burst of segmented packets, and what one becomes */
	EXPECT_LE(1024 + 32 * 33 + OFFLOAD_MAX_SEGMENTS, pool_size(&large));
}

TEST_F(lane, a_pool_waits_for_its_packets) {
	struct pool_need need = { .device = 64, .lanes = 2, .workers = 1, .numa_node = -1 };
	struct rte_mempool *pool;
	struct rte_mbuf *m;
	struct err err;

	ASSERT_EQ(0, pool_create(&pool, &need, &err));
	EXPECT_EQ(1, pool_count());
	m = rte_pktmbuf_alloc(pool);
	pool_put(pool);
	EXPECT_EQ(1, pool_count());
	rte_pktmbuf_free(m);
	EXPECT_EQ(0, pool_count());
}

/* With packets as long as it is asked for, and as many. */
TEST_F(lane, a_pool_fits_a_need) {
	struct pool_need need = { .device = 64, .lanes = 2, .workers = 1, .numa_node = -1 };
	struct rte_mempool *pool;
	struct err err;

	ASSERT_EQ(0, pool_create(&pool, &need, &err));
	EXPECT_TRUE(pool_fits(pool, &need));
	need.device = 63;
	EXPECT_TRUE(pool_fits(pool, &need));
	need.min_room = POOL_DATA_ROOM + 64;
	EXPECT_FALSE(pool_fits(pool, &need));
	need.min_room = 0;
	need.device = 65;
	EXPECT_FALSE(pool_fits(pool, &need));
	pool_put(pool);
}

/* Waits for a counter that a worker writes; false after 5 s. */
static bool reaches(uint64_t *counter, uint64_t value)
{
	uint64_t end = rte_rdtsc() + 5 * rte_get_tsc_hz();

	while (stat_read(counter) < value) {
		if (rte_rdtsc() > end)
			return false;
		sched_yield();
	}
	return true;
}

static bool gets_to(struct lane *lane, enum lane_state state)
{
	uint64_t end = rte_rdtsc() + 5 * rte_get_tsc_hz();

	while (lane->state != (int)state) {
		if (rte_rdtsc() > end)
			return false;
		sched_yield();
	}
	return true;
}

static int start_worker(bool busy)
{
	struct worker_options options = { .busy_poll = busy, .max_sleep_us = 200 };
	struct cpuset cpus;
	struct err err;

	cpuset_clear(&cpus);
	cpuset_add(&cpus, sched_getcpu());
	return workers_start(&cpus, &options, &err);
}

static void add(struct lane *lane)
{
	tables_lock();
	lane->worker = worker_choose(-1);
	tables_add(&lane, 1);
	tables_unlock();
}

static void take(struct lane *lane)
{
	tables_lock();
	tables_remove(&lane, 1);
	tables_unlock();
}

TEST_F(lane, an_idle_lane_is_woken_by_its_interrupt) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
	struct lane_stats *s = &self->stats[0][0];

	self->device.fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, start_worker(false));
	add(lane);
	for (unsigned int i = 1; i <= 20; i++) {
		ASSERT_TRUE(gets_to(lane, LANE_ARMED));
		EXPECT_TRUE(self->device.armed);
		self->device.waiting[0] = 5;
		eventfd_write(self->device.fd, 1);
		ASSERT_TRUE(reaches(&s->in.packets, 5 * i));
	}
	take(lane);
	lane_free(lane);
	workers_stop();
}

TEST_F(lane, a_source_that_cannot_interrupt_is_looked_at) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
	struct lane_stats *s = &self->stats[0][0];

	ASSERT_EQ(0, start_worker(false));
	add(lane);
	for (unsigned int i = 1; i <= 20; i++) {
		ASSERT_TRUE(gets_to(lane, LANE_TIMED));
		self->device.waiting[0] = 5;
		ASSERT_TRUE(reaches(&s->in.packets, 5 * i));
	}
	take(lane);
	lane_free(lane);
	workers_stop();
}

/* What passes one way is often answered the other way: a lane that wakes wakes the others of its
 * VM, here one whose device has forgotten to interrupt. */
TEST_F(lane, lanes_of_a_vm_wake_together) {
	struct device silent = { .base.ops = &device_ops, .fd = eventfd(0, EFD_NONBLOCK) };
	struct vm stranger = { .vid = -1 };
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, &self->vm);
	struct lane *other = make_lane(&silent, &self->stats[0][1], LANE_VF_TO_VM, &self->vm);
	struct lane *far = make_lane(&silent, &self->stats[0][2], LANE_VF_TO_VM, &stranger);

	self->device.fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, start_worker(false));
	add(lane);
	add(far);
	add(other);
	for (unsigned int i = 1; i <= 20; i++) {
		ASSERT_TRUE(gets_to(lane, LANE_ARMED));
		ASSERT_TRUE(gets_to(other, LANE_ARMED));
		ASSERT_TRUE(gets_to(far, LANE_ARMED));
		silent.waiting[0] = 5;
		eventfd_write(self->device.fd, 1);
		ASSERT_TRUE(reaches(&self->stats[0][1].in.packets, 5 * i));
		EXPECT_EQ(0, self->stats[0][2].in.packets);
	}
	take(lane);
	take(other);
	take(far);
	lane_free(lane);
	lane_free(other);
	lane_free(far);
	workers_stop();
	close(silent.fd);
}

/* Armed, it would tell nobody when it is dry; and what the guest makes available is not for it. */
TEST_F(lane, a_lane_that_runs_dry_is_polled) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
	struct lane_drain drain = { .fd = eventfd(0, EFD_NONBLOCK) };
	struct pollfd pfd = { .fd = drain.fd, .events = POLLIN };

	self->device.fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, start_worker(false));
	add(lane);
	ASSERT_TRUE(gets_to(lane, LANE_ARMED));
	take(lane);
	lane_drain(lane, &drain);
	add(lane);
	EXPECT_EQ(1, poll(&pfd, 1, 5000));
	EXPECT_FALSE(lane_drains(lane));
	EXPECT_TRUE(reaches(&self->stats[0][0].polls, self->stats[0][0].polls + 1000));
	EXPECT_EQ(LANE_POLLED, lane->state);
	take(lane);
	lane_free(lane);
	workers_stop();
	close(drain.fd);
}

TEST_F(lane, busy_polling_never_arms) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);

	self->device.fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, start_worker(true));
	add(lane);
	ASSERT_TRUE(reaches(&self->stats[0][0].empty_polls, 100000));
	EXPECT_EQ(LANE_POLLED, lane->state);
	take(lane);
	lane_free(lane);
	workers_stop();
}

/* A worker that sleeps misses tables; the next one it sees may be at the address of its own. */
TEST_F(lane, lanes_come_and_go_while_the_worker_sleeps) {
	struct lane *resident = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
	struct device other = { .base.ops = &device_ops, .fd = -1 };

	self->device.fd = eventfd(0, EFD_NONBLOCK);
	other.fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, start_worker(false));
	add(resident);
	for (unsigned int i = 0; i < 200; i++) {
		struct lane *guest = make_lane(&other, &self->stats[0][1], LANE_VF_TO_VM, NULL);

		if (i % 2)
			ASSERT_TRUE(gets_to(resident, LANE_ARMED));
		add(guest);
		take(guest);
		add(guest);
		other.waiting[0] = 1;
		eventfd_write(other.fd, 1);
		ASSERT_TRUE(reaches(&self->stats[0][1].in.packets, i + 1));
		take(guest);
		lane_free(guest);
	}
	self->device.waiting[0] = 1;
	eventfd_write(self->device.fd, 1);
	EXPECT_TRUE(reaches(&self->stats[0][0].in.packets, 1));
	take(resident);
	lane_free(resident);
	workers_stop();
	close(other.fd);
}

/* The worker is woken all the time meanwhile. */
static bool longest_round_gets(struct device *device, bool at_least, uint64_t us)
{
	uint64_t end = rte_rdtsc() + 10 * rte_get_tsc_hz();
	struct worker_info info = { 0 };

	do {
		if (rte_rdtsc() > end)
			return false;
		eventfd_write(device->fd, 1);
		usleep(1000);
		tables_lock();
		worker_info(0, &info);
		tables_unlock();
	} while ((info.longest_round_us >= us) != at_least);
	return true;
}

/* It is told for a second or two, and then forgotten. */
TEST_F(lane, the_longest_round_is_told) {
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);

	self->device.fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, start_worker(false));
	add(lane);
	ASSERT_TRUE(gets_to(lane, LANE_ARMED));
	self->device.stall_ms = 200;
	EXPECT_TRUE(longest_round_gets(&self->device, true, 200000));
	EXPECT_LE(1, worker_at(0)->slow_rounds);
	EXPECT_TRUE(longest_round_gets(&self->device, false, 200000));
	take(lane);
	lane_free(lane);
	workers_stop();
}

TEST_F(lane, tables_grow) {
	struct lane *lanes[100];
	struct worker_info info;

	ASSERT_EQ(0, start_worker(false));
	tables_lock();
	for (unsigned int i = 0; i < RTE_DIM(lanes); i++) {
		lanes[i] = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, NULL);
		lanes[i]->worker = worker_choose(-1);
	}
	EXPECT_EQ(0, tables_add(lanes, RTE_DIM(lanes)));
	ASSERT_TRUE(worker_info(0, &info));
	EXPECT_EQ(RTE_DIM(lanes), info.lanes);
	EXPECT_FALSE(worker_info(1, &info));
	tables_remove(lanes, RTE_DIM(lanes));
	for (unsigned int i = 0; i < RTE_DIM(lanes); i++)
		lane_free(lanes[i]);
	tables_unlock();
	workers_stop();
}

/* The busy share of the last second, as if the worker had just measured it. */
static void pretend_busy(struct worker *worker, uint32_t millionths)
{
	__atomic_store_n(&worker->window_share, millionths, __ATOMIC_RELAXED);
	__atomic_store_n(&worker->window_start, rte_rdtsc(), __ATOMIC_RELAXED);
}

/* Two of them; false: there is one CPU only. */
static bool start_two_workers(void)
{
	const struct worker_options options = { .max_sleep_us = 200 };
	struct cpuset cpus;
	struct err err;

	cpuset_clear(&cpus);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE && cpuset_count(&cpus) < 2; cpu++) {
		if (CPU_ISSET(cpu, &test_cpus))
			cpuset_add(&cpus, cpu);
	}
	return cpuset_count(&cpus) == 2 && workers_start(&cpus, &options, &err) == 0;
}

/* Timed lanes of another worker are woken, too: none is due within the test. */
TEST_F(lane, lanes_of_a_vm_wake_on_all_workers) {
	struct device timed = { .base.ops = &device_ops, .fd = -1 };
	struct lane *lane = make_lane(&self->device, &self->stats[0][0], LANE_VF_TO_VM, &self->vm);
	struct lane *other = make_lane(&timed, &self->stats[0][1], LANE_VF_TO_VM, &self->vm);

	self->device.fd = eventfd(0, EFD_NONBLOCK);
	if (!start_two_workers())
		SKIP(return, "needs two CPUs");
	worker_timed_cycles = rte_get_tsc_hz() * 3600;
	add(lane);
	worker_account(lane->worker, 1);
	add(other);
	ASSERT_NE(lane->worker, other->worker);
	for (unsigned int i = 1; i <= 20; i++) {
		ASSERT_TRUE(gets_to(lane, LANE_ARMED));
		ASSERT_TRUE(gets_to(other, LANE_TIMED));
		timed.waiting[0] = 5;
		eventfd_write(self->device.fd, 1);
		ASSERT_TRUE(reaches(&self->stats[0][1].in.packets, 5 * i));
	}
	take(lane);
	take(other);
	lane_free(lane);
	lane_free(other);
	workers_stop();
}

TEST_F(lane, least_loaded_worker) {
	struct worker *first, *second;

	if (!start_two_workers())
		SKIP(return, "needs two CPUs");
	tables_lock();
	first = worker_at(0);
	second = worker_at(1);
	EXPECT_NE(first, second);
	/* A CPU without a worker is no wish. */
	EXPECT_NE(NULL, worker_choose(CPUSET_MAX_CPU));
	/* Of two that are equal the one with fewer lanes. */
	worker_account(first, 1);
	EXPECT_EQ(second, worker_choose(-1));
	worker_account(second, 2);
	EXPECT_EQ(first, worker_choose(-1));
	/* What is measured counts more than how many lanes there are, but noise is none. */
	pretend_busy(first, 500000);
	EXPECT_EQ(second, worker_choose(-1));
	EXPECT_EQ(first, worker_choose(worker_cpu(first)));
	pretend_busy(first, 10000);
	EXPECT_EQ(first, worker_choose(-1));
	tables_unlock();
	workers_stop();
}

int main(int argc, char **argv)
{
	return relay_test_main(argc, argv, 2048, ROOM);
}
