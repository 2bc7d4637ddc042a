/* SPDX-License-Identifier: BSD-3-Clause */

/* The VM's memory, how it changes, and how a VM goes. */
#include "bridge_fixture.h"

/* The library has unmapped the old table and mapped the new one. */
static void change(FIXTURE_DATA(bridge) * self, void (*how)(struct guest *))
{
	bridge_memory_changing(self->bridge, &self->guest->vm);
	how(self->guest);
	bridge_memory_changed(self->bridge, &self->guest->vm);
}

static void move(struct guest *g)
{
	guest_move_memory(g);
}

static void add(struct guest *g)
{
	guest_add_region(g, 0x100000000, 8 * GUEST_PAGE, 0);
	guest_move_memory(g);
}

static void drop(struct guest *g)
{
	guest_drop_region(g, 2);
	guest_move_memory(g);
}

/* Other memory at the same address: only the file tells. */
static void replace(struct guest *g)
{
	guest_drop_region(g, 2);
	guest_add_region(g, 0x100000000, 8 * GUEST_PAGE, 0);
}

/* Overlaps what was there. */
static void grow(struct guest *g)
{
	guest_drop_region(g, 2);
	guest_add_region(g, 0x100000000, 16 * GUEST_PAGE, 0);
}

static int64_t frame(FIXTURE_DATA(bridge) * self, uint32_t number)
{
	guest_fill(self->guest, 0, number % GUEST_SHAPES);
	while (guest_reap(self->guest, 1))
		;
	guest_send(self->guest, 1, number, number % GUEST_SHAPES);
	return guest_receive(self->guest, 0);
}

/* Devices that pin pages go on with those that are the same. */
TEST_F(bridge, pinned_memory) {
	receives_from_0_only(self->fake);
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(1, frame(self, 1));
	/* The scripted one pins nothing, and would go on with addresses that are no more. */
	fake_vdpa_stop(self->fake);
	self->fake->log[0] = '\0';
	change(self, add);
	EXPECT_LOG("batch begin, map 0x100000000-0x100007fff, batch end");
	change(self, replace);
	EXPECT_LOG("batch begin, unmap 0x100000000-0x100007fff, map 0x100000000-0x100007fff, "
		   "batch end");
	change(self, grow);
	EXPECT_LOG("batch begin, unmap 0x100000000-0x100007fff, map 0x100000000-0x10000ffff, "
		   "batch end");
	change(self, drop);
	EXPECT_LOG("batch begin, unmap 0x100000000-0x10000ffff, batch end");
	EXPECT_SERVED(BRIDGE_DIRECT);
}

/* The library maps the same file elsewhere: nothing for such a device, but where we find things. */
TEST_F(bridge, pinned_memory_that_moves) {
	receives_from_0_only(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	self->fake->log[0] = '\0';
	change(self, move);
	EXPECT_LOG("");
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_EQ((uintptr_t)guest_at(self->guest, self->bridge->regions[i].iova),
			  self->bridge->regions[i].host);
}

/* Simulators and VDUSE keep addresses of this process. */
TEST_F(bridge, memory_by_address) {
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_EQ(1, run());
	self->fake->log[0] = '\0';
	change(self, add);
	EXPECT_SERVED(BRIDGE_DIRECT);
	EXPECT_LOG("suspend, status 0, unmap 0x40000000-0x4000ffff, unmap 0x80000000-0x8001ffff, "
		   "status 0, status 0x1, status 0x3, features 0x330010000, status 0xb, "
		   "batch begin, map 0x40000000-0x4000ffff, map 0x80000000-0x8001ffff, "
		   "map 0x100000000-0x100007fff, batch end, "
		   "ring 0 size 16, ring 0 base 0x1, ring 0 at 0x40000000 0x40000100 0x40001000, "
		   "ring 0 call, ring 0 kick, ring 0 on, "
		   "ring 1 size 16, ring 1 base 0x1, ring 1 at 0x40002000 0x40002100 0x40003000, "
		   "ring 1 call, ring 1 kick, ring 1 on, config call, status 0xf");
	guest_send(self->guest, 1, 1, PLAIN);
	EXPECT_EQ(1, run());
	EXPECT_EQ(0, guest_receive(self->guest, 0));
	EXPECT_EQ(1, guest_receive(self->guest, 0));
}

/* A device that keeps nothing over a reset. */
TEST_F(bridge, memory_that_is_not_kept) {
	self->fake->backend_features &= ~FAKE_BIT(VHOST_BACKEND_F_IOTLB_PERSIST);
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(1, frame(self, 1));
	change(self, add);
	EXPECT_EQ(2, frame(self, 2));
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_EQ(3, frame(self, 3));
	change(self, drop);
	EXPECT_EQ(4, frame(self, 4));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_EQ(5, frame(self, 5));
}

TEST_F(bridge, memory_of_a_shadow) {
	receives_from_0_only(self->fake);
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	EXPECT_EQ(1, frame(self, 1));
	change(self, move);
	EXPECT_SERVED(BRIDGE_SHADOW);
	EXPECT_EQ(2, frame(self, 2));
	/* Where the shadow was. */
	change(self, add);
	EXPECT_EQ(3, frame(self, 3));
	change(self, drop);
	EXPECT_SERVED(BRIDGE_SHADOW);
	EXPECT_EQ(4, frame(self, 4));
}

static void add_above(struct guest *g)
{
	guest_add_region(g, 0x80200000, 8 * GUEST_PAGE, 0);
	guest_move_memory(g);
}

TEST_F(bridge, memory_where_the_shadow_was) {
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	EXPECT_EQ(1, frame(self, 1));
	change(self, add_above);
	EXPECT_EQ(2, frame(self, 2));
	EXPECT_SERVED(BRIDGE_SHADOW);
	change(self, drop);
	EXPECT_EQ(3, frame(self, 3));
}

TEST_F(bridge, memory_changes_often) {
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	for (unsigned int i = 0; i < 60; i++) {
		change(self, i % 2 ? drop : add);
		ASSERT_EQ(i, frame(self, i));
		ASSERT_EQ(0, serve(i % 3 ? BRIDGE_DIRECT : BRIDGE_SHADOW));
	}
}

TEST_F(bridge, memory_that_cannot_be_changed) {
	receives_from_0_only(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_EQ(1, run());
	self->fake->fail_on = "map 0x100000000";
	self->fake->fail_with = -EFAULT;
	self->fake->log[0] = '\0';
	change(self, add);
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_POSITIONS(1, 1);
	/* To each begin belongs an end. */
	EXPECT_LOG("batch begin, map 0x100000000-0x100007fff, batch end, status 0, close");
}

TEST_F(bridge, memory_of_nobody) {
	ASSERT_EQ(0, come(self));
	change(self, add);
	EXPECT_LOG("");
	EXPECT_SERVED(BRIDGE_OFF);
}

/* A second VM that waits for its turn. */
TEST_F(bridge, memory_of_somebody_else) {
	static struct vm other;

	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	self->fake->log[0] = '\0';
	bridge_memory_changing(self->bridge, &other);
	bridge_memory_changed(self->bridge, &other);
	EXPECT_LOG("");
	EXPECT_SERVED(BRIDGE_DIRECT);
	bridge_vm_gone(self->bridge, &other);
	EXPECT_SERVED(BRIDGE_DIRECT);
}

TEST_F(bridge, memlock) {
	self->fake->pin_limit = 40 * GUEST_PAGE;
	EXPECT_EQ(-ENOMEM, begin(self, BRIDGE_DIRECT));
	EXPECT_STREQ("memlock", self->err.step);
	EXPECT_SAID("196608 bytes");
	EXPECT_SAID("163840 are allowed");
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-1, self->fake->fd);
	self->fake->pin_limit = 48 * GUEST_PAGE;
	EXPECT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_EQ(-ENOMEM, serve(BRIDGE_SHADOW));
}

TEST_F(bridge, memory_out_of_reach) {
	self->fake->iova_first = GUEST_LOW + GUEST_PAGE;
	EXPECT_EQ(-ERANGE, begin(self, BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_OFF);
}

TEST_F(bridge, ring_that_is_not_in_it) {
	struct vring *vring = &self->guest->rings[1].vring;
	static struct vring_used used;
	struct vring_used *before = vring->used;

	vring->used = &used;
	EXPECT_EQ(-EFAULT, begin(self, BRIDGE_DIRECT));
	vring->used = before;
	vring->desc = NULL;
	EXPECT_EQ(-EINVAL, serve(BRIDGE_DIRECT));
	EXPECT_EQ(-EINVAL, serve(BRIDGE_SHADOW));
}

/* --- the VM goes --- */

/* The device moves frames, the shadow copies, and the VM's memory is gone the moment after. */
TEST_F(bridge, gone_during_traffic) {
	fake_vdpa_start(self->fake);
	for (unsigned int i = 0; i < 20; i++) {
		const enum bridge_mode mode = i % 2 ? BRIDGE_SHADOW : BRIDGE_DIRECT;
		const unsigned int faults = self->fake->faults;

		ASSERT_EQ(0, i ? serve(mode) : begin(self, mode));
		guest_fill(self->guest, 0, i % GUEST_SHAPES);
		while (guest_reap(self->guest, 1))
			;
		for (unsigned int n = 0; n < 4; n++)
			guest_send(self->guest, 1, n, i % GUEST_SHAPES);
		bridge_vm_gone(self->bridge, &self->guest->vm);
		EXPECT_SERVED(BRIDGE_OFF);
		EXPECT_EQ(-1, self->fake->fd);
		EXPECT_EQ(self->fds, count_fds());
		EXPECT_EQ(faults, self->fake->faults);
		for (unsigned int ring = 0; ring < 2; ring++)
			EXPECT_EQ(self->guest->rings[ring].vring.used->idx,
				  self->guest->rings[ring].base);
		guest_move_memory(self->guest);
		while (guest_reap(self->guest, 0))
			;
		bridge_vm_came(self->bridge, &self->guest->vm);
	}
}

TEST_F(bridge, comes_again) {
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	bridge_vm_gone(self->bridge, &self->guest->vm);
	bridge_vm_gone(self->bridge, &self->guest->vm);
	EXPECT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_OFF);
	self->guest->vm.features |= FAKE_BIT(VHOST_F_LOG_ALL);
	bridge_vm_came(self->bridge, &self->guest->vm);
	EXPECT_TRUE((bool)self->bridge->logging);
	EXPECT_EQ(0, serve(BRIDGE_SHADOW));
	bridge_vm_gone(self->bridge, &self->guest->vm);
	self->guest->vm.features &= ~FAKE_BIT(VHOST_F_LOG_ALL);
	bridge_vm_came(self->bridge, &self->guest->vm);
	EXPECT_FALSE((bool)self->bridge->logging);
	EXPECT_EQ(0, serve(BRIDGE_DIRECT));
}

TEST_HARNESS_MAIN
