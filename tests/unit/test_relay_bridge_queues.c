/* SPDX-License-Identifier: BSD-3-Clause */

/* The device's control queue, and several queue pairs. */
#include "bridge_fixture.h"

#define MQ FAKE_BIT(VIRTIO_NET_F_MQ)
#define CTRL_VQ FAKE_BIT(VIRTIO_NET_F_CTRL_VQ)
#define CTRL_RX FAKE_BIT(VIRTIO_NET_F_CTRL_RX)

/* Two pairs; the control queue is apart from them. The VM has set up both. */
static void two_pairs(FIXTURE_DATA(bridge) * self)
{
	self->fake->features |= MQ | CTRL_VQ;
	self->fake->config.max_virtqueue_pairs = 2;
	self->fake->vrings = 5;
	self->fake->rings[2].group = 0;
	self->fake->rings[4].group = 1;
	self->guest->vm.features |= MQ;
	self->guest->n_rings = 4;
	guest_find_rings(self->guest);
	guest_ring_on(self->guest, 2, true);
	guest_ring_on(self->guest, 3, true);
	fake_vdpa_start(self->fake);
}

static void second_pair(FIXTURE_DATA(bridge) * self, bool on)
{
	guest_ring_on(self->guest, 2, on);
	guest_ring_on(self->guest, 3, on);
}

/* Through the second pair and back. */
static int64_t second_frame(FIXTURE_DATA(bridge) * self, uint32_t number)
{
	guest_fill(self->guest, 2, number % GUEST_SHAPES);
	while (guest_reap(self->guest, 3))
		;
	guest_send(self->guest, 3, number, number % GUEST_SHAPES);
	return guest_receive(self->guest, 2);
}

static int64_t first_frame(FIXTURE_DATA(bridge) * self, uint32_t number)
{
	guest_fill(self->guest, 0, number % GUEST_SHAPES);
	while (guest_reap(self->guest, 1))
		;
	guest_send(self->guest, 1, number, number % GUEST_SHAPES);
	return guest_receive(self->guest, 0);
}

#define EXPECT_TOLD(what)                                      \
	do {                                                   \
		EXPECT_NE(NULL, strstr(self->fake->log, what)) \
		{                                              \
			TH_LOG("told: %s", self->fake->log);   \
		}                                              \
		self->fake->log[0] = '\0';                     \
	} while (0)

TEST_F(bridge, what_the_device_has) {
	struct bridge_device device;

	two_pairs(self);
	ASSERT_EQ(0, bridge_set_device(self->bridge, PATH, &self->err));
	bridge_get_device(self->bridge, &device);
	EXPECT_EQ(2, device.max_pairs);
	/* No queue to tell it how many it shall use, or none that could be it. */
	self->fake->vrings = 4;
	ASSERT_EQ(0, bridge_set_device(self->bridge, PATH, &self->err));
	bridge_get_device(self->bridge, &device);
	EXPECT_EQ(1, device.max_pairs);
	self->fake->vrings = 5;
	self->fake->features &= ~CTRL_VQ;
	ASSERT_EQ(0, bridge_set_device(self->bridge, PATH, &self->err));
	bridge_get_device(self->bridge, &device);
	EXPECT_EQ(1, device.max_pairs);
	self->fake->features = (self->fake->features | CTRL_VQ) & ~MQ;
	ASSERT_EQ(0, bridge_set_device(self->bridge, PATH, &self->err));
	bridge_get_device(self->bridge, &device);
	EXPECT_EQ(1, device.max_pairs);
}

TEST_F(bridge, two_pairs_direct) {
	two_pairs(self);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(MQ | CTRL_VQ, self->fake->driver_features & (MQ | CTRL_VQ | CTRL_RX));
	EXPECT_TOLD("group 1 in space 1, map 0x88200000-0x88202fff in 1");
	EXPECT_EQ(2, self->fake->pairs);
	EXPECT_EQ(1, first_frame(self, 1));
	EXPECT_EQ(2, second_frame(self, 2));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_POSITIONS(1, 1);
	EXPECT_EQ(1, self->guest->rings[2].base);
	EXPECT_EQ(1, self->guest->rings[3].base);
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_EQ(3, second_frame(self, 3));
}

TEST_F(bridge, two_pairs_by_shadow) {
	two_pairs(self);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	EXPECT_EQ(2, self->fake->pairs);
	for (unsigned int i = 0; i < 100; i++) {
		ASSERT_EQ(i, first_frame(self, i));
		ASSERT_EQ(i, second_frame(self, i));
		if (i % 10 == 0) {
			ASSERT_EQ(0, serve(i % 20 ? BRIDGE_SHADOW : BRIDGE_DIRECT));
		}
	}
}

/* The VM uses more of them or fewer. */
TEST_F(bridge, number_of_pairs_changes) {
	two_pairs(self);
	second_pair(self, false);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_TOLD("control pairs 1");
	EXPECT_EQ(1, first_frame(self, 1));
	EXPECT_FALSE(bridge_is_stale(self->bridge));
	second_pair(self, true);
	EXPECT_TRUE(bridge_is_stale(self->bridge));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_LOG("ring 2 call, ring 2 kick, ring 3 call, ring 3 kick, control pairs 2");
	EXPECT_FALSE(bridge_is_stale(self->bridge));
	EXPECT_EQ(2, second_frame(self, 2));
	second_pair(self, false);
	EXPECT_TRUE(bridge_is_stale(self->bridge));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_LOG("control pairs 1");
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_LOG("");
	EXPECT_EQ(3, first_frame(self, 3));
}

/* It sets rings up that it did not have when the device began. */
TEST_F(bridge, pair_that_comes_later) {
	two_pairs(self);
	second_pair(self, false);
	self->guest->n_rings = 2;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(2, self->bridge->n_rings);
	EXPECT_EQ(1, first_frame(self, 1));
	self->guest->n_rings = 4;
	second_pair(self, true);
	EXPECT_TRUE(bridge_is_stale(self->bridge));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_FALSE(bridge_is_stale(self->bridge));
	EXPECT_EQ(2, first_frame(self, 2));
	EXPECT_EQ(2, second_frame(self, 2));
}

TEST_F(bridge, pair_that_comes_too_late) {
	two_pairs(self);
	receives_from_0_only(self->fake);
	second_pair(self, false);
	self->guest->n_rings = 2;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(1, first_frame(self, 1));
	self->guest->n_rings = 4;
	second_pair(self, true);
	EXPECT_EQ(-EOPNOTSUPP, serve(BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_OFF);
	guest_fill(self->guest, 2, PLAIN);
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_EQ(2, first_frame(self, 2));
	EXPECT_EQ(2, second_frame(self, 2));
}

/* What the VM has not agreed on, or set up only in part. */
TEST_F(bridge, one_pair_of_two) {
	two_pairs(self);
	self->guest->vm.features &= ~MQ;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(0, self->fake->driver_features & (MQ | CTRL_VQ));
	EXPECT_EQ(2, self->bridge->n_rings);
	EXPECT_EQ(1, first_frame(self, 1));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	self->guest->vm.features |= MQ;
	self->guest->rings[3].vring.used = NULL;
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_EQ(2, self->bridge->n_rings);
	EXPECT_EQ(1, self->fake->pairs);
	EXPECT_EQ(2, first_frame(self, 2));
	guest_find_rings(self->guest);
}

TEST_F(bridge, memory_with_two_pairs) {
	two_pairs(self);
	self->fake->backend_features &= ~FAKE_BIT(VHOST_BACKEND_F_IOTLB_PERSIST);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	for (unsigned int i = 0; i < 4; i++) {
		bridge_memory_changing(self->bridge, &self->guest->vm);
		guest_move_memory(self->guest);
		bridge_memory_changed(self->bridge, &self->guest->vm);
		EXPECT_EQ(i, second_frame(self, i));
		EXPECT_EQ(0, serve(i % 2 ? BRIDGE_DIRECT : BRIDGE_SHADOW));
	}
}

/* Without a space of its own, and whatever the device interrupts by. */
TEST_F(bridge, one_address_space) {
	two_pairs(self);
	self->fake->spaces = self->fake->groups = 1;
	self->fake->rings[4].group = 0;
	self->fake->waits_for_kick = true;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_TOLD("map 0x88200000-0x88202fff, ring 4 size 64");
	EXPECT_EQ(2, self->fake->pairs);
	EXPECT_EQ(2, second_frame(self, 2));
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_EQ(3, second_frame(self, 3));
}

TEST_F(bridge, promiscuous) {
	self->fake->features |= CTRL_VQ | CTRL_RX;
	self->fake->vrings = 3;
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_DIRECT, PLAIN));
	EXPECT_TRUE(self->fake->promiscuous);
	EXPECT_TOLD("control promiscuous 1");
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_TRUE(self->fake->promiscuous);
	EXPECT_EQ(1, first_frame(self, 1));
	/* It says that it has one, but has not. */
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	self->fake->vrings = 2;
	bridge_drop_device(self->bridge);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(0, self->fake->driver_features & (CTRL_VQ | CTRL_RX));
}

/* Nobody asks for it where it is of no use. */
TEST_F(bridge, control_queue_of_no_use) {
	self->fake->features |= CTRL_VQ | FAKE_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);
	self->fake->vrings = 3;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(0, self->fake->driver_features & CTRL_VQ);
}

TEST_F(bridge, device_that_refuses_pairs) {
	two_pairs(self);
	ASSERT_EQ(0, come(self));
	self->fake->config.max_virtqueue_pairs = 1;
	self->fake->rings[4].size = 0;
	fake_vdpa_stop(self->fake);
	/* Its control queue is elsewhere: no answer. */
	EXPECT_EQ(-ETIMEDOUT, serve(BRIDGE_DIRECT));
	EXPECT_SAID("2 queue pairs: it does not answer");
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-1, self->fake->fd);
	EXPECT_POSITIONS(0, 0);
}

/* The answer is that of the device, and no more than an answer. */
TEST_F(bridge, device_that_says_no) {
	two_pairs(self);
	self->fake->deaf = true;
	EXPECT_EQ(-EIO, begin(self, BRIDGE_DIRECT));
	EXPECT_SAID("it refuses");
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-EIO, serve(BRIDGE_SHADOW));
	self->fake->deaf = false;
	EXPECT_EQ(0, serve(BRIDGE_DIRECT));
	self->fake->deaf = true;
	second_pair(self, false);
	EXPECT_EQ(-EIO, serve(BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_OFF);
}

TEST_F(bridge, device_that_stays_as_it_is) {
	self->fake->features |= CTRL_VQ | CTRL_RX;
	self->fake->vrings = 3;
	self->fake->deaf = true;
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_DIRECT);
	EXPECT_EQ(1, first_frame(self, 1));
}

TEST_F(bridge, errors_of_bring_up) {
	const int fds = count_fds();

	two_pairs(self);
	ASSERT_EQ(0, come(self));
	self->fake->fail_with = -EIO;
	for (unsigned int mode = BRIDGE_DIRECT; mode <= BRIDGE_SHADOW; mode++) {
		unsigned int i = 1;

		for (; i < 300; i++) {
			self->fake->fail_at = i;
			if (serve(mode) == 0 && self->fake->fail_at)
				break;
			/* What it reads about spaces, it can do without. */
			EXPECT_EQ(0, serve(BRIDGE_OFF));
			self->fake->fail_at = 0;
			EXPECT_EQ(-1, self->fake->fd);
			EXPECT_EQ(fds + 0, count_fds());
			EXPECT_POSITIONS(0, 0);
		}
		EXPECT_GT(300, i);
		self->fake->fail_at = 0;
		EXPECT_EQ(0, serve(BRIDGE_OFF));
	}
}

TEST_HARNESS_MAIN
