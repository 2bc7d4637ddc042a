/* SPDX-License-Identifier: BSD-3-Clause */

/* Rings of ours between the VM's and the device: what is copied, what is believed, what is told. */
#include "bridge_fixture.h"

static void without_events(FIXTURE_DATA(bridge) * self)
{
	self->guest->event_idx = false;
	self->guest->vm.features &= ~EVENTS;
}

TEST_F(bridge, order_of_bring_up) {
	self->guest->rings[0].base = 3;
	ASSERT_EQ(0, come(self));
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_LOG("open, owner, backend 0x17e, status 0, status 0x1, status 0x3, "
		   "features 0x310010000, status 0xb, batch begin, map 0x40000000-0x4000ffff, "
		   "map 0x80000000-0x8001ffff, batch end, map 0x80200000-0x80201fff, "
		   "ring 0 size 16, ring 0 base 0, ring 0 at 0x80200000 0x80200100 0x80201000, "
		   "ring 0 call, ring 0 kick, ring 0 on, map 0x80400000-0x80401fff, "
		   "ring 1 size 16, ring 1 base 0, ring 1 at 0x80400000 0x80400100 0x80401000, "
		   "ring 1 call, ring 1 kick, ring 1 on, config call, status 0xf");
	EXPECT_SERVED(BRIDGE_SHADOW);
}

/* All shapes of buffers, more of them than 16 bits count. */
TEST_F(bridge, traffic) {
	const uint32_t n = 70000;

	self->fake->waits_for_kick = true;
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	EXPECT_EQ(n, guest_traffic(self->guest, n));
	EXPECT_EQ(0, self->fake->dropped);
}

TEST_F(bridge, traffic_without_event_index) {
	without_events(self);
	self->fake->waits_for_kick = true;
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	EXPECT_EQ(3000, guest_traffic(self->guest, 3000));
	EXPECT_EQ(0, self->fake->dropped);
}

TEST_F(bridge, interrupts_that_are_not_wanted) {
	struct guest_ring *rings = self->guest->rings;

	without_events(self);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	guest_called(rings[0].call);
	guest_called(rings[1].call);
	rings[0].vring.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	fake_vdpa_start(self->fake);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_TRUE(wait_used(self->guest, 0, 1));
	EXPECT_TRUE(wait_used(self->guest, 1, 1));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_FALSE(guest_called(rings[0].call));
	EXPECT_TRUE(guest_called(rings[1].call));
}

TEST_F(bridge, event_index) {
	struct guest_ring *rings = self->guest->rings;

	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	guest_called(rings[0].call);
	vring_used_event(&rings[0].vring) = 1;
	fake_vdpa_start(self->fake);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_TRUE(wait_used(self->guest, 0, 1));
	EXPECT_TRUE(wait_used(self->guest, 1, 1));
	EXPECT_FALSE(guest_called(rings[0].call));
	guest_send(self->guest, 1, 1, PLAIN);
	EXPECT_TRUE(wait_used(self->guest, 0, 2));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_TRUE(guest_called(rings[0].call));
}

/* The device has done something, and is stopped before anybody has looked. */
TEST_F(bridge, last_completions) {
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, CHAIN));
	guest_send(self->guest, 1, 1, TABLE);
	guest_send(self->guest, 1, 2, PLAIN);
	while (run() == 0)
		;
	run();
	/* So that the thread sees nothing of it. */
	self->fake->rings[0].interrupts = self->fake->rings[1].interrupts = false;
	guest_send(self->guest, 1, 3, PLAIN);
	while (run() == 0)
		;
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_POSITIONS(3, 3);
	for (unsigned int i = 1; i <= 3; i++)
		EXPECT_EQ(i, guest_receive(self->guest, 0));
}

/* The reset fails: then the file is closed, and what the device has done counts all the same. */
TEST_F(bridge, last_completions_of_a_device_that_fails) {
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, TABLE));
	guest_called(self->guest->rings[0].call);
	self->fake->rings[0].interrupts = self->fake->rings[1].interrupts = false;
	self->bridge->logging = true;
	guest_send(self->guest, 1, 3, PLAIN);
	while (run() == 0)
		;
	self->fake->gone = true;
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_EQ(-1, self->fake->fd);
	EXPECT_POSITIONS(1, 1);
	EXPECT_TRUE(guest_called(self->guest->rings[0].call));
	EXPECT_NE(NULL, strstr(self->guest->log, "0x80000000+12, 0x8000000c+60"));
}

/* Exactly what was written, and not before it was. */
TEST_F(bridge, logging) {
	self->guest->vm.features |= FAKE_BIT(VHOST_F_LOG_ALL);
	for (enum guest_shape shape = PLAIN; shape < GUEST_SHAPES; shape++)
		guest_offer(self->guest, 0, 2048, shape);
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	EXPECT_TRUE((bool)self->bridge->logging);
	fake_vdpa_start(self->fake);
	for (unsigned int i = 0; i < GUEST_SHAPES; i++) {
		guest_send(self->guest, 1, i, PLAIN);
		EXPECT_TRUE(wait_used(self->guest, 0, i + 1));
		EXPECT_TRUE(wait_used(self->guest, 1, i + 1));
	}
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_NE(NULL, strstr(self->guest->log, "0x80000000+72, used 0 4+8 (0), used 0 2+2"));
	EXPECT_NE(NULL, strstr(self->guest->log,
			       "0x80001000+12, 0x8000100c+60, used 0 12+8 (2), used 0 2+2"));
	EXPECT_NE(NULL, strstr(self->guest->log,
			       "0x80002000+12, 0x8000200c+60, used 0 20+8 (4), used 0 2+2"));
	EXPECT_NE(NULL, strstr(self->guest->log,
			       "0x80003000+12, 0x8000300c+60, used 0 28+8 (6), used 0 2+2"));
	/* What was sent was not written. */
	EXPECT_NE(NULL, strstr(self->guest->log, "used 1 4+8 (0), used 1 2+2"));
	EXPECT_EQ(NULL, strstr(self->guest->log, "0x80008"));
	/* By what the VM is asked to kick. */
	EXPECT_NE(NULL, strstr(self->guest->log, "used 0 132+2"));
}

/* A part of a buffer that the device may not write. */
TEST_F(bridge, logging_of_what_is_read) {
	fake_vdpa_start(self->fake);
	guest_describe(self->guest, 0, 0, 2048, VRING_DESC_F_WRITE, CHAIN);
	self->guest->rings[0].vring.desc[0].flags = VRING_DESC_F_NEXT;
	guest_publish(self->guest, 0, 0);
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	self->bridge->logging = true;
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_TRUE(wait_used(self->guest, 0, 1));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_NE(NULL, strstr(self->guest->log, "0x8000000c+72, used 0 4+8 (0)"));
	EXPECT_EQ(NULL, strstr(self->guest->log, "0x80000000+"));
}

TEST_F(bridge, no_logging) {
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	EXPECT_EQ(100, guest_traffic(self->guest, 100));
	EXPECT_STREQ("", self->guest->log);
}

/* From the moment on at which the VM says so. */
TEST_F(bridge, logging_begins) {
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	guest_fill(self->guest, 0, CHAIN);
	EXPECT_TRUE(bridge_set_logging(self->bridge, &self->guest->vm, true));
	EXPECT_SERVED(BRIDGE_SHADOW);
	EXPECT_FALSE(bridge_set_logging(self->bridge, &self->guest->vm, true));
	guest_send(self->guest, 1, 7, PLAIN);
	EXPECT_EQ(7, guest_receive(self->guest, 0));
	EXPECT_TRUE(bridge_set_logging(self->bridge, &self->guest->vm, false));
	EXPECT_SERVED(BRIDGE_SHADOW);
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_NE(NULL, strstr(self->guest->log, "+60, used 0 "));
}

/* A second VM that waits for its turn. */
TEST_F(bridge, logging_of_somebody_else) {
	static struct vm other;

	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_FALSE(bridge_set_logging(self->bridge, &other, true));
	EXPECT_SERVED(BRIDGE_DIRECT);
	EXPECT_FALSE((bool)self->bridge->logging);
}

/* --- VMs that do what no driver does --- */

static bool wait_reported(FIXTURE_DATA(bridge) * self)
{
	struct pollfd nothing = { .fd = -1 };

	for (unsigned int ms = 0; ms < DEADLINE_MS && !self->guest->vm.guard.faults; ms++)
		poll(&nothing, 1, 1);
	return self->guest->vm.guard.faults == GUARD_RING;
}

TEST_F(bridge, head_that_is_none) {
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	guest_publish(self->guest, 1, GUEST_SIZE);
	EXPECT_TRUE(wait_reported(self));
	EXPECT_EQ(0, run());
}

TEST_F(bridge, chain_that_leads_out) {
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	guest_describe(self->guest, 1, 0, 60, 0, CHAIN);
	self->guest->rings[1].vring.desc[0].next = 0xffff;
	guest_publish(self->guest, 1, 0);
	EXPECT_TRUE(wait_reported(self));
	EXPECT_EQ(0, run());
}

TEST_F(bridge, chain_without_end) {
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	guest_describe(self->guest, 1, 0, 60, 0, CHAIN);
	self->guest->rings[1].vring.desc[0].next = 0;
	guest_publish(self->guest, 1, 0);
	EXPECT_TRUE(wait_reported(self));
	EXPECT_EQ(0, run());
}

TEST_F(bridge, more_than_the_ring_holds) {
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	guest_describe(self->guest, 1, 0, 60, 0, PLAIN);
	self->guest->rings[1].vring.avail->idx = GUEST_SIZE;
	guest_publish(self->guest, 1, 0);
	eventfd_write(self->guest->rings[1].kick, 1);
	EXPECT_TRUE(wait_reported(self));
}

/* The same a little at a time: buffers that nobody has returned are made available again. */
TEST_F(bridge, more_than_the_ring_holds_in_turn) {
	struct pollfd nothing = { .fd = -1 };

	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	guest_describe(self->guest, 1, 0, 60, 0, PLAIN);
	for (unsigned int i = 0; i < 3000 && !self->guest->vm.guard.faults; i++) {
		guest_publish(self->guest, 1, 0);
		eventfd_write(self->guest->rings[1].kick, 1);
		poll(&nothing, 1, 1);
	}
	EXPECT_TRUE(wait_reported(self));
}

static struct vring_used *shadow_used(FIXTURE_DATA(bridge) * self, unsigned int index)
{
	return fake_used(self->fake, &self->fake->rings[index]);
}

static uint16_t shadow_available(FIXTURE_DATA(bridge) * self, unsigned int index)
{
	struct vring_avail *avail = fake_avail(self->fake, &self->fake->rings[index]);

	return __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE);
}

/* The VM's own device can be made to write them. */
TEST_F(bridge, used_entry_that_is_none) {
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	self->bridge->logging = true;
	guest_offer(self->guest, 0, 2048, PLAIN);
	while (shadow_available(self, 0) != 1)
		;
	shadow_used(self, 0)->ring[0] = (struct vring_used_elem){ .id = 0x40000000, .len = 1 };
	shadow_used(self, 0)->idx = 1;
	eventfd_write(self->fake->rings[0].call, 1);
	EXPECT_TRUE(wait_reported(self));
	EXPECT_EQ(0, self->guest->rings[0].vring.used->idx);
}

TEST_F(bridge, more_used_entries_than_there_are) {
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	guest_offer(self->guest, 0, 2048, PLAIN);
	while (shadow_available(self, 0) != 1)
		;
	shadow_used(self, 0)->idx = 2;
	eventfd_write(self->fake->rings[0].call, 1);
	EXPECT_TRUE(wait_reported(self));
	EXPECT_EQ(0, self->guest->rings[0].vring.used->idx);
}

/* Chains without end in what is told to be written: in the ring, and in a table. */
TEST_F(bridge, loops_that_are_logged) {
	const uint64_t at = guest_buffer(0, 1) + GUEST_TABLE; /* the table itself */

	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	self->bridge->logging = true;
	guest_describe(self->guest, 0, 0, 2048, VRING_DESC_F_WRITE, TABLE);
	guest_table(self->guest, 0, 0)[1].flags |= VRING_DESC_F_NEXT;
	guest_publish(self->guest, 0, 0);
	guest_describe(self->guest, 0, 1, 2048, VRING_DESC_F_WRITE, TABLE);
	guest_table(self->guest, 0, 1)[0] = (struct vring_desc){
		.addr = at, .len = 2 * sizeof(struct vring_desc), .flags = VRING_DESC_F_INDIRECT
	};
	guest_publish(self->guest, 0, 2);
	guest_describe(self->guest, 0, 2, 2048, VRING_DESC_F_WRITE, TABLE);
	self->guest->rings[0].vring.desc[4].addr = 0x1000;
	guest_publish(self->guest, 0, 4);
	while (shadow_available(self, 0) != 3)
		;
	for (unsigned int i = 0; i < 3; i++)
		shadow_used(self, 0)->ring[i] =
			(struct vring_used_elem){ .id = 2 * i, .len = UINT32_MAX };
	shadow_used(self, 0)->idx = 3;
	eventfd_write(self->fake->rings[0].call, 1);
	EXPECT_TRUE(wait_used(self->guest, 0, 3));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
}

/* --- one mode after the other --- */

TEST_F(bridge, switches_under_traffic) {
	struct traffic traffic = { .guest = self->guest, .n = 20000 };
	unsigned int switches = 0;

	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	traffic_start(&traffic);
	while (!traffic.done || switches < 20) {
		EXPECT_EQ(0, serve(switches % 3 ? BRIDGE_SHADOW : BRIDGE_DIRECT));
		EXPECT_EQ(0, serve(switches % 2 ? BRIDGE_OFF : BRIDGE_SHADOW));
		EXPECT_EQ(0, serve(switches % 3 ? BRIDGE_DIRECT : BRIDGE_SHADOW));
		switches++;
		sched_yield();
	}
	EXPECT_EQ(traffic.n, traffic_end(&traffic));
	EXPECT_EQ(0, self->fake->dropped);
}

/* In the place of a worker: takes what is available, and returns it. */
static unsigned int consume(struct guest *g, unsigned int index, uint32_t *first)
{
	struct guest_ring *ring = &g->rings[index];
	struct vring *v = &ring->vring;
	unsigned int n = 0;

	while (ring->base != v->avail->idx) {
		const uint16_t head = v->avail->ring[ring->base % GUEST_SIZE];

		if (n++ == 0)
			memcpy(first, guest_at(g, v->desc[head].addr) + GUEST_HEADER,
			       sizeof(*first));
		v->used->ring[ring->base++ % GUEST_SIZE] = (struct vring_used_elem){ .id = head };
		v->used->idx = ring->base;
	}
	return n;
}

TEST_F(bridge, software_goes_on) {
	uint32_t first = 0;

	receives_from_0_only(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	guest_send(self->guest, 1, 0, PLAIN);
	while (run() == 0)
		;
	/* Taken by the shadow, not by the device. */
	guest_send(self->guest, 1, 1, PLAIN);
	guest_send(self->guest, 1, 2, PLAIN);
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_POSITIONS(1, 1);
	EXPECT_EQ(2, consume(self->guest, 1, &first));
	EXPECT_EQ(1, first);
	while (guest_reap(self->guest, 1))
		;
	EXPECT_EQ(0, guest_receive(self->guest, 0));
	/* And back. */
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	guest_send(self->guest, 1, 3, PLAIN);
	while (run() == 0)
		;
	EXPECT_EQ(3, guest_receive(self->guest, 0));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_POSITIONS(2, 4);
}

/* --- eventfds --- */

TEST_F(bridge, other_descriptors_of_the_same_number) {
	struct guest_ring *rings = self->guest->rings;

	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	EXPECT_EQ(100, guest_traffic(self->guest, 100));
	for (unsigned int i = 0; i < 2; i++) {
		const int kick = rings[i].kick, call = rings[i].call;

		guest_ring_on(self->guest, i, false);
		EXPECT_EQ(0, serve(BRIDGE_SHADOW));
		dup3(eventfd(0, EFD_NONBLOCK), kick, O_CLOEXEC);
		dup3(eventfd(0, EFD_NONBLOCK), call, O_CLOEXEC);
		guest_ring_on(self->guest, i, true);
		EXPECT_TRUE(bridge_is_stale(self->bridge));
	}
	self->fds += 4;
	EXPECT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_FALSE(bridge_is_stale(self->bridge));
	EXPECT_TRUE(guest_called(rings[0].call));
	EXPECT_TRUE(guest_called(rings[1].call));
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 5, PLAIN);
	EXPECT_EQ(5, guest_receive(self->guest, 0));
}

TEST_F(bridge, packed_rings) {
	self->guest->vm.features |= FAKE_BIT(VIRTIO_F_RING_PACKED);
	EXPECT_EQ(-EOPNOTSUPP, begin(self, BRIDGE_SHADOW));
	EXPECT_SAID("packed");
	EXPECT_SERVED(BRIDGE_OFF);
}

TEST_F(bridge, no_room_above_the_memory) {
	self->fake->iova_last = GUEST_HIGH + 0x1fffff;
	EXPECT_EQ(-ENOSPC, begin(self, BRIDGE_SHADOW));
	EXPECT_SAID("no room for shadow rings");
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-1, self->fake->fd);
}

/* As a VM may say that it has. */
TEST_F(bridge, memory_up_to_the_last_address) {
	guest_add_region(self->guest, UINT64_MAX - 4 * GUEST_PAGE + 1, 3 * GUEST_PAGE, 0);
	EXPECT_GT(0, begin(self, BRIDGE_SHADOW));
	EXPECT_SERVED(BRIDGE_OFF);
}

/* The library has found one part of it and not the others. */
TEST_F(bridge, ring_without_its_parts) {
	struct vring *vring = &self->guest->rings[1].vring, before = *vring;

	vring->used = NULL;
	EXPECT_EQ(-EINVAL, begin(self, BRIDGE_SHADOW));
	*vring = before;
	vring->avail = NULL;
	EXPECT_EQ(-EINVAL, serve(BRIDGE_SHADOW));
	*vring = before;
	EXPECT_EQ(0, serve(BRIDGE_SHADOW));
}

TEST_HARNESS_MAIN
