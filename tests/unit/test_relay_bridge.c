/* SPDX-License-Identifier: BSD-3-Clause */

/* The device on the VM's own rings: what it is told, in which order, and where the rings are
 * afterwards. */
#include "bridge_fixture.h"

/* What the bridge wants of the device, whatever the VM has agreed on. */
#define OURS (FAKE_BIT(VIRTIO_F_ACCESS_PLATFORM) | FAKE_BIT(VIRTIO_NET_F_STATUS))

TEST_F(bridge, order_of_bring_up) {
	ASSERT_EQ(0, come(self));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_LOG("open, owner, backend 0x17e, status 0, status 0x1, status 0x3, "
		   "features 0x330010000, status 0xb, batch begin, map 0x40000000-0x4000ffff, "
		   "map 0x80000000-0x8001ffff, batch end, "
		   "ring 0 size 16, ring 0 base 0, ring 0 at 0x40000000 0x40000100 0x40001000, "
		   "ring 0 call, ring 0 kick, ring 0 on, "
		   "ring 1 size 16, ring 1 base 0, ring 1 at 0x40002000 0x40002100 0x40003000, "
		   "ring 1 call, ring 1 kick, ring 1 on, config call, status 0xf");
	EXPECT_SERVED(BRIDGE_DIRECT);
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 5, PLAIN);
	EXPECT_EQ(1, run());
	EXPECT_EQ(5, guest_receive(self->guest, 0));
}

/* Front ends never negotiate ACCESS_PLATFORM, and devices insist on it. */
TEST_F(bridge, access_platform) {
	self->fake->wants_platform = true;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_TRUE(fake_has(self->fake, VIRTIO_F_ACCESS_PLATFORM));
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_TRUE(fake_has(self->fake, VIRTIO_F_ACCESS_PLATFORM));
}

TEST_F(bridge, features_that_are_not_for_it) {
	self->guest->vm.features |= NOT_FOR_DEVICE | CONTROL | FAKE_BIT(VIRTIO_NET_F_MQ);
	self->fake->features |= NOT_FOR_DEVICE;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(GUEST_FEATURES | OURS, self->fake->driver_features);
	/* When it interrupts, a shadow decides itself. */
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_EQ((GUEST_FEATURES & ~EVENTS) | OURS, self->fake->driver_features);
}

TEST_F(bridge, slow_reset) {
	self->fake->slow_reset = 5;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
}

TEST_F(bridge, reset_that_does_not_end) {
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 0, PLAIN);
	run();
	self->fake->slow_reset = FAKE_NEVER;
	EXPECT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-1, self->fake->fd);
	EXPECT_POSITIONS(1, 1);
}

/* The file is closed, which stops the device for certain, and opened anew. */
TEST_F(bridge, reset_that_fails) {
	static const char end[] = "suspend, status 0, close, open, owner";

	for (unsigned int mode = BRIDGE_DIRECT; mode <= BRIDGE_SHADOW; mode++) {
		ASSERT_EQ(0, mode == BRIDGE_DIRECT ? begin(self, mode) : serve(mode));
		self->fake->log[0] = '\0';
		self->fake->fail_at = 2;
		self->fake->fail_with = -EIO;
		EXPECT_EQ(0, serve(mode == BRIDGE_DIRECT ? BRIDGE_SHADOW : BRIDGE_DIRECT));
		EXPECT_EQ(0, strncmp(end, self->fake->log, sizeof(end) - 1));
	}
}

/* vp_vdpa allocates interrupts only for rings that have an eventfd at DRIVER_OK. */
TEST_F(bridge, ring_without_call) {
	struct guest_ring *rx = &self->guest->rings[0];
	const int call = rx->call;

	self->fake->late_interrupts = true;
	rx->call = -1;
	guest_ring_on(self->guest, 0, true);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	rx->call = call;
	guest_ring_on(self->guest, 0, false);
	guest_ring_on(self->guest, 0, true);
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	guest_called(call);
	guest_fill(self->guest, 0, PLAIN);
	guest_wants_call(self->guest, 0);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_EQ(1, run());
	EXPECT_TRUE(guest_called(call));
}

/* What the VM made available before is announced by nobody else. */
TEST_F(bridge, first_kick) {
	self->fake->waits_for_kick = true;
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 0, PLAIN);
	guest_called(self->guest->rings[0].kick);
	guest_called(self->guest->rings[1].kick);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(1, run());
	EXPECT_EQ(0, self->fake->dropped);
	guest_called(self->guest->rings[0].kick);
	guest_called(self->guest->rings[1].kick);
	guest_send(self->guest, 1, 1, PLAIN);
	guest_called(self->guest->rings[1].kick);
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_EQ(1, run());
	EXPECT_EQ(0, guest_receive(self->guest, 0));
	EXPECT_EQ(1, guest_receive(self->guest, 0));
}

/* An interrupt that the device owed when it was stopped, too. */
TEST_F(bridge, first_interrupt) {
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	for (unsigned int mode = BRIDGE_DIRECT; mode <= BRIDGE_SHADOW; mode++) {
		ASSERT_EQ(0, serve(BRIDGE_OFF));
		guest_called(self->guest->rings[0].call);
		guest_called(self->guest->rings[1].call);
		ASSERT_EQ(0, serve(mode));
		EXPECT_TRUE(guest_called(self->guest->rings[0].call));
		EXPECT_TRUE(guest_called(self->guest->rings[1].call));
	}
}

/* The library's own positions are those of before. */
TEST_F(bridge, positions_of_all_rings) {
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	guest_fill(self->guest, 0, PLAIN);
	for (unsigned int i = 0; i < 3; i++)
		guest_send(self->guest, 1, i, PLAIN);
	EXPECT_EQ(3, run());
	guest_send(self->guest, 1, 3, PLAIN);
	EXPECT_POSITIONS(0, 0);
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_POSITIONS(3, 3);
	EXPECT_EQ(-1, self->fake->fd);
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_EQ(3, self->fake->rings[0].base);
	EXPECT_EQ(3, self->fake->rings[1].base);
	EXPECT_EQ(1, run());
	bridge_vm_gone(self->bridge, &self->guest->vm);
	EXPECT_POSITIONS(4, 4);
	for (unsigned int i = 0; i < 4; i++)
		EXPECT_EQ(i, guest_receive(self->guest, 0));
}

TEST_F(bridge, device_that_begins_at_0) {
	receives_from_0_only(self->fake);
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_FALSE(self->bridge->device.has_positions);
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_EQ(1, run());
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_EQ(-EOPNOTSUPP, serve(BRIDGE_DIRECT));
	EXPECT_SAID("begins at the start of a ring only");
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-1, self->fake->fd);
	EXPECT_POSITIONS(1, 1);
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	guest_send(self->guest, 1, 1, PLAIN);
	EXPECT_EQ(0, guest_receive(self->guest, 0));
	EXPECT_EQ(1, guest_receive(self->guest, 0));
}

/* One that can be suspended and does not take its own positions back. */
TEST_F(bridge, device_that_refuses_a_position) {
	self->fake->only_base_0 = true;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_EQ(1, run());
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_EQ(-EOPNOTSUPP, serve(BRIDGE_DIRECT));
	EXPECT_POSITIONS(1, 1);
	/* It is not asked again. */
	EXPECT_FALSE(self->bridge->device.has_positions);
	EXPECT_EQ(0, serve(BRIDGE_SHADOW));
}

/* New eventfds get the numbers of those that were closed. */
TEST_F(bridge, other_descriptors_of_the_same_number) {
	struct guest_ring *rings = self->guest->rings;

	self->fake->waits_for_kick = true;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(0, run());
	self->fake->rings[0].kicked = self->fake->rings[1].kicked = false;
	for (unsigned int i = 0; i < 2; i++) {
		const int kick = rings[i].kick, call = rings[i].call;

		guest_ring_on(self->guest, i, false);
		dup3(eventfd(0, EFD_NONBLOCK), kick, O_CLOEXEC);
		dup3(eventfd(0, EFD_NONBLOCK), call, O_CLOEXEC);
		guest_ring_on(self->guest, i, true);
	}
	self->fds += 4; /* those that were duplicated */
	EXPECT_TRUE(bridge_is_stale(self->bridge));
	guest_fill(self->guest, 0, PLAIN);
	guest_wants_call(self->guest, 0);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_EQ(0, run());
	self->fake->log[0] = '\0';
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_LOG("ring 0 call, ring 0 kick, ring 1 call, ring 1 kick");
	EXPECT_FALSE(bridge_is_stale(self->bridge));
	/* Once each: for what may have gone to the old ones. */
	for (unsigned int i = 0; i < 2; i++) {
		eventfd_t count = 0;

		EXPECT_EQ(0, eventfd_read(rings[i].call, &count));
		EXPECT_EQ(1, count);
	}
	EXPECT_EQ(1, run());
	EXPECT_TRUE(guest_called(rings[0].call));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_LOG("");
}

TEST_F(bridge, ring_that_is_switched_off) {
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	self->fake->log[0] = '\0';
	guest_ring_on(self->guest, 0, false);
	EXPECT_FALSE(bridge_is_stale(self->bridge));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_LOG("");
	guest_fill(self->guest, 0, PLAIN);
	guest_send(self->guest, 1, 0, PLAIN);
	EXPECT_EQ(1, run());
	guest_ring_on(self->guest, 0, true);
	EXPECT_TRUE(bridge_is_stale(self->bridge));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_LOG("ring 0 call, ring 0 kick");
}

TEST_F(bridge, descriptors_that_are_refused) {
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	guest_ring_on(self->guest, 1, true);
	self->fake->fail_on = "ring 1 kick";
	self->fake->fail_with = -EINVAL;
	EXPECT_EQ(-EINVAL, serve(BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-1, self->fake->fd);
}

/* Every call of bring-up fails once. */
TEST_F(bridge, errors_of_bring_up) {
	const int fds = count_fds();

	for (unsigned int mode = BRIDGE_DIRECT; mode <= BRIDGE_SHADOW; mode++) {
		unsigned int calls;

		self->guest->rings[0].base = self->guest->rings[1].base = 3;
		self->guest->rings[0].vring.used->idx = self->guest->rings[1].vring.used->idx = 3;
		self->guest->rings[0].vring.avail->idx = self->guest->rings[1].vring.avail->idx = 3;
		ASSERT_EQ(0, come(self));
		self->fake->fail_with = -EIO;
		self->fake->calls = 0;
		ASSERT_EQ(0, serve(mode));
		calls = self->fake->calls;
		ASSERT_EQ(0, serve(BRIDGE_OFF));
		EXPECT_EQ(fds, count_fds());
		EXPECT_LT(20, calls);
		for (unsigned int i = 1; i <= calls; i++) {
			self->fake->fail_at = i;
			EXPECT_GT(0, serve(mode))
			{
				TH_LOG("call %u", i);
			}
			EXPECT_SERVED(BRIDGE_OFF);
			EXPECT_EQ(-1, self->fake->fd);
			EXPECT_EQ(fds, count_fds());
			EXPECT_POSITIONS(3, 3);
			self->fake->fail_at = 0;
		}
		ASSERT_EQ(0, serve(mode));
		ASSERT_EQ(0, serve(BRIDGE_OFF));
	}
}

TEST_F(bridge, device_that_does_not_start) {
	ASSERT_EQ(0, come(self));
	self->fake->fails_to_start = true;
	EXPECT_EQ(-EIO, serve(BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-1, self->fake->fd);
}

/* It has begun, but its status cannot be read any more. */
TEST_F(bridge, error_after_it_began) {
	unsigned int calls;

	ASSERT_EQ(0, come(self));
	self->fake->calls = 0;
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	calls = self->fake->calls;
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	self->guest->rings[0].vring.used->idx = 2;
	self->fake->fail_at = calls;
	self->fake->fail_with = -EIO;
	EXPECT_EQ(-EIO, serve(BRIDGE_DIRECT));
	EXPECT_POSITIONS(2, 0);
}

/* There is room for so many; a front end may name what it was not offered. */
TEST_F(bridge, more_rings_than_there_is_room_for) {
	struct bridge_device device;

	self->fake->features |= FAKE_BIT(VIRTIO_NET_F_MQ) | FAKE_BIT(VIRTIO_NET_F_CTRL_VQ);
	self->fake->config.max_virtqueue_pairs = 200;
	self->fake->vrings = 401;
	ASSERT_EQ(0, bridge_set_device(self->bridge, PATH, &self->err));
	bridge_get_device(self->bridge, &device);
	EXPECT_EQ(VM_RINGS, 2 * device.max_pairs);
	self->fake->vrings = 3;
	self->guest->n_rings = 100;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(2, self->bridge->n_rings);
	self->guest->n_rings = 2;
}

TEST_F(bridge, wishes_without_vm_or_device) {
	EXPECT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(0, bridge_set_device(self->bridge, PATH, &self->err));
	EXPECT_EQ(-1, self->fake->fd);
	EXPECT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_OFF);
	bridge_vm_came(self->bridge, &self->guest->vm);
	EXPECT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_SERVED(BRIDGE_DIRECT);
	bridge_drop_device(self->bridge);
	EXPECT_SERVED(BRIDGE_OFF);
	EXPECT_EQ(-1, self->fake->fd);
	EXPECT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_SERVED(BRIDGE_OFF);
}

TEST_F(bridge, devices_that_will_not_do) {
	self->fake->features &= ~FAKE_BIT(VIRTIO_F_VERSION_1);
	EXPECT_EQ(-ENOTSUP, bridge_set_device(self->bridge, PATH, &self->err));
	EXPECT_SAID("VERSION_1");
	self->fake->features |= FAKE_BIT(VIRTIO_F_VERSION_1);
	self->fake->vrings = 1;
	EXPECT_EQ(-ENOTSUP, bridge_set_device(self->bridge, PATH, &self->err));
	EXPECT_EQ(-1, self->fake->fd);
	self->fake->open_error = -ENOENT;
	EXPECT_EQ(-ENOENT, bridge_set_device(self->bridge, PATH, &self->err));
	self->fake->open_error = 0;
}

/* QEMU's have as much of it as their features need. */
TEST_F(bridge, short_configuration) {
	struct bridge_device device;

	self->fake->features &= ~FAKE_BIT(VIRTIO_NET_F_MTU);
	self->fake->config_size = 8;
	ASSERT_EQ(0, bridge_set_device(self->bridge, PATH, &self->err));
	bridge_get_device(self->bridge, &device);
	EXPECT_TRUE(device.has_mac);
	EXPECT_EQ(0x52, device.mac[0]);
	EXPECT_EQ(2, device.mac[5]);
	EXPECT_TRUE(device.link);
	EXPECT_EQ(0, device.mtu);
	self->fake->config.status = 0;
	ASSERT_EQ(0, bridge_set_device(self->bridge, PATH, &self->err));
	bridge_get_device(self->bridge, &device);
	EXPECT_FALSE(device.link);
}

TEST_F(bridge, device_that_fails) {
	bool link = true;

	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_EQ(NULL, bridge_look(self->bridge, &link));
	self->fake->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	EXPECT_NE(NULL, bridge_look(self->bridge, &link));
	self->fake->status &= ~VIRTIO_CONFIG_S_NEEDS_RESET;
	self->fake->gone = true;
	EXPECT_NE(NULL, bridge_look(self->bridge, &link));
	EXPECT_TRUE(link);
	EXPECT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_EQ(-1, self->fake->fd);
}

/* Since it was asked last. */
static bool was_called(const struct bridge *b)
{
	eventfd_t count;

	return eventfd_read(b->config_call, &count) == 0;
}

/* Also what has changed before the device began. */
TEST_F(bridge, link) {
	static const enum bridge_mode modes[] = { BRIDGE_DIRECT, BRIDGE_SHADOW };
	struct bridge_device device;
	bool link = true;

	ASSERT_EQ(0, come(self));
	EXPECT_FALSE(was_called(self->bridge));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		fake_vdpa_link(self->fake, false);
		ASSERT_EQ(0, serve(modes[i]));
		EXPECT_TRUE(was_called(self->bridge));
		EXPECT_EQ(NULL, bridge_look(self->bridge, &link));
		EXPECT_FALSE(link);
		bridge_get_device(self->bridge, &device);
		EXPECT_FALSE(device.link);
		EXPECT_FALSE(was_called(self->bridge));
		fake_vdpa_link(self->fake, true);
		EXPECT_TRUE(was_called(self->bridge));
		EXPECT_EQ(NULL, bridge_look(self->bridge, &link));
		EXPECT_TRUE(link);
	}
	/* Of a device that is closed nothing new is known. */
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	self->fake->config.status = 0;
	EXPECT_EQ(NULL, bridge_look(self->bridge, &link));
	EXPECT_TRUE(link);
}

TEST_F(bridge, link_of_a_device_that_does_not_tell) {
	bool link = false;

	self->fake->features &= ~FAKE_BIT(VIRTIO_NET_F_STATUS);
	self->fake->config.status = 0;
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	EXPECT_FALSE(fake_has(self->fake, VIRTIO_NET_F_STATUS));
	EXPECT_EQ(NULL, bridge_look(self->bridge, &link));
	EXPECT_TRUE(link);
}

TEST_HARNESS_MAIN
