/* SPDX-License-Identifier: BSD-3-Clause */

/* A frame of ours in the first TX ring, of which the VM sees nothing. The device sends back what it
 * gets, so that the VM receives it. */
#include "bridge_fixture.h"

#include "sw-relay/rarp.h"

#define MAC UINT64_C(0x020000005452) /* 52:54:00:00:00:02 */
#define OTHER_MAC UINT64_C(0x030000005452)

static void ask(FIXTURE_DATA(bridge) * self, uint64_t mac)
{
	rarp_ask(&self->guest->vm.rarp, mac);
	bridge_rarp_asked(self->bridge, &self->guest->vm);
}

static bool is_owed(FIXTURE_DATA(bridge) * self)
{
	return atomic_load(&self->guest->vm.rarp.owed);
}

/* Is it what the VM receives next? */
static bool receives(FIXTURE_DATA(bridge) * self, uint64_t mac)
{
	struct pollfd nothing = { .fd = -1 };
	const struct vring_used_elem *used = guest_reap(self->guest, 0);
	struct rarp_frame frame;

	for (unsigned int ms = 0; ms < DEADLINE_MS && !used; ms++) {
		poll(&nothing, 1, 1);
		used = guest_reap(self->guest, 0);
	}
	rarp_make(&frame, mac);
	return used && used->len == GUEST_HEADER + sizeof(frame) &&
	       !memcmp(guest_at(self->guest, guest_buffer(0, used->id / 2)) + GUEST_HEADER, &frame,
		       sizeof(frame));
}

/* Of the first TX ring, as far as the device sees. */
static void wait_available(FIXTURE_DATA(bridge) * self, uint16_t idx)
{
	struct vring_avail *avail = fake_avail(self->fake, &self->fake->rings[1]);

	while (__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) != idx)
		sched_yield();
}

/* Until the device has some: it drops what comes before. */
static void wait_for_buffers(FIXTURE_DATA(bridge) * self)
{
	struct vring_avail *avail = fake_avail(self->fake, &self->fake->rings[0]);

	while (!__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE))
		sched_yield();
}

TEST(frame)
{
	const uint8_t wanted[60] =
		"\xff\xff\xff\xff\xff\xff\x52\x54\x00\x00\x00\x02\x80\x35\x00\x01\x08\x00\x06\x04"
		"\x00\x03\x52\x54\x00\x00\x00\x02\x00\x00\x00\x00\x52\x54\x00\x00\x00\x02";
	struct rarp_frame frame;

	rarp_make(&frame, MAC);
	EXPECT_EQ(60, sizeof(frame));
	EXPECT_EQ(0, memcmp(wanted, &frame, sizeof(frame)));
}

/* What the message has beside the address counts for nothing. */
TEST(asked_and_forgotten)
{
	struct rarp rarp = { 0 };

	EXPECT_FALSE(rarp_is_going_on(&rarp));
	rarp_ask(&rarp, MAC | UINT64_C(0xffff) << 48);
	EXPECT_EQ(MAC, rarp.owed);
	EXPECT_TRUE(rarp_is_going_on(&rarp));
	/* Others will follow. */
	rarp.owed = 0;
	EXPECT_TRUE(rarp_is_going_on(&rarp));
	rarp.asked -= 60;
	EXPECT_FALSE(rarp_is_going_on(&rarp));
	/* It is late, and owed all the same. */
	rarp.owed = MAC;
	EXPECT_TRUE(rarp_is_going_on(&rarp));
	rarp_forget(&rarp);
	EXPECT_FALSE(rarp_is_going_on(&rarp));
}

/* Before anything of the VM's, when it is owed as the shadow begins. */
TEST_F(bridge, first) {
	guest_send(self->guest, 1, 7, PLAIN);
	ask(self, MAC);
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	EXPECT_TRUE(receives(self, MAC));
	EXPECT_EQ(7, guest_receive(self->guest, 0));
	EXPECT_FALSE(is_owed(self));
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_POSITIONS(2, 1);
}

/* What the device has goes before it, what the VM makes available then after it. */
TEST_F(bridge, in_between) {
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	guest_send(self->guest, 1, 0, CHAIN);
	wait_available(self, 1);
	ask(self, MAC);
	guest_send(self->guest, 1, 1, TABLE);
	fake_vdpa_start(self->fake);
	EXPECT_EQ(0, guest_receive(self->guest, 0));
	EXPECT_TRUE(receives(self, MAC));
	EXPECT_EQ(1, guest_receive(self->guest, 0));
	EXPECT_TRUE(wait_used(self->guest, 1, 2));
	EXPECT_NE(NULL, guest_reap(self->guest, 1));
	EXPECT_NE(NULL, guest_reap(self->guest, 1));
	EXPECT_EQ(0, self->guest->rings[1].busy);
	EXPECT_FALSE(is_owed(self));
}

/* The ring wraps over it. */
TEST_F(bridge, then_traffic) {
	struct traffic traffic = { .guest = self->guest, .n = 20000 };

	self->fake->waits_for_kick = true;
	fake_vdpa_start(self->fake);
	/* The driver takes every frame for its own. Without buffers it does not get this one. */
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	ask(self, MAC);
	while (is_owed(self))
		sched_yield();
	EXPECT_EQ(1, self->fake->dropped);
	guest_fill(self->guest, 0, 0);
	wait_for_buffers(self);
	traffic_start(&traffic);
	EXPECT_EQ(traffic.n, traffic_end(&traffic));
	EXPECT_EQ(1, self->fake->dropped);
}

/* Another address while the first one is with the device. */
TEST_F(bridge, two_addresses) {
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	ask(self, MAC);
	wait_available(self, 1);
	ask(self, OTHER_MAC);
	fake_vdpa_start(self->fake);
	EXPECT_TRUE(receives(self, MAC));
	EXPECT_TRUE(receives(self, OTHER_MAC));
	while (is_owed(self))
		sched_yield();
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_POSITIONS(2, 0);
	EXPECT_EQ(2, self->fake->frames);
}

/* The device was stopped and has not taken it: it is sent by the next shadow. */
TEST_F(bridge, still_owed) {
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	ask(self, MAC);
	wait_available(self, 1);
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_TRUE(is_owed(self));
	EXPECT_POSITIONS(0, 0);
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	fake_vdpa_start(self->fake);
	EXPECT_TRUE(receives(self, MAC));
	ASSERT_EQ(0, serve(BRIDGE_DIRECT));
	EXPECT_FALSE(is_owed(self));
	guest_send(self->guest, 1, 3, PLAIN);
	EXPECT_EQ(3, guest_receive(self->guest, 0));
}

/* It has taken it, and was stopped before anybody has looked. */
TEST_F(bridge, last_completion) {
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	self->fake->rings[0].interrupts = self->fake->rings[1].interrupts = false;
	ask(self, MAC);
	while (run() == 0)
		;
	ASSERT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_FALSE(is_owed(self));
	EXPECT_TRUE(receives(self, MAC));
	EXPECT_POSITIONS(1, 0);
}

/* Nothing is put into rings that are the VM's. */
TEST_F(bridge, direct) {
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, begin_full(self, BRIDGE_DIRECT, PLAIN));
	ask(self, MAC);
	guest_send(self->guest, 1, 5, PLAIN);
	EXPECT_EQ(5, guest_receive(self->guest, 0));
	EXPECT_TRUE(is_owed(self));
	ASSERT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_TRUE(receives(self, MAC));
}

/* Before virtio 1.0 the header is shorter. */
TEST_F(bridge, short_header) {
	struct vring_desc *desc;

	self->guest->vm.features &= ~FAKE_BIT(VIRTIO_F_VERSION_1);
	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	ask(self, MAC);
	wait_available(self, 1);
	desc = (struct vring_desc *)(uintptr_t)fake_map_at(self->fake, 0, self->fake->rings[1].desc)
		       ->addr;
	EXPECT_EQ(10 + sizeof(struct rarp_frame), desc[0].len);
}

/* A second VM that waits for its turn. */
TEST_F(bridge, somebody_else) {
	static struct vm other;

	ASSERT_EQ(0, begin_full(self, BRIDGE_SHADOW, PLAIN));
	rarp_ask(&other.rarp, OTHER_MAC);
	bridge_rarp_asked(self->bridge, &other);
	ask(self, MAC);
	fake_vdpa_start(self->fake);
	EXPECT_TRUE(receives(self, MAC));
	EXPECT_EQ(OTHER_MAC, other.rarp.owed);
	EXPECT_EQ(1, self->fake->frames);
}

TEST_HARNESS_MAIN
