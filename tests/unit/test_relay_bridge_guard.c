/* SPDX-License-Identifier: BSD-3-Clause */

/* A VM whose memory is smaller than it said: whoever of the bridge touches it goes on, and it is
 * told of that VM. Valgrind does not go on after such a signal with the registers of before. */
#include "bridge_fixture.h"

static void vanish(FIXTURE_DATA(bridge) * self)
{
	self->guest->vm.guard.faults = 0;
	if (ftruncate(self->guest->regions[0].fd, 0) < 0)
		abort();
}

TEST_F(bridge, before_a_shadow) {
	ASSERT_EQ(0, guard_init(&self->err));
	ASSERT_EQ(0, come(self));
	vanish(self);
	EXPECT_EQ(0, serve(BRIDGE_SHADOW));
	EXPECT_EQ(GUARD_MEMORY, self->guest->vm.guard.faults & GUARD_MEMORY);
	EXPECT_EQ(NULL, guard_current);
}

TEST_F(bridge, before_a_shadow_ends) {
	ASSERT_EQ(0, guard_init(&self->err));
	ASSERT_EQ(0, begin(self, BRIDGE_SHADOW));
	vanish(self);
	EXPECT_EQ(0, serve(BRIDGE_OFF));
	EXPECT_EQ(GUARD_MEMORY, self->guest->vm.guard.faults & GUARD_MEMORY);
}

TEST_F(bridge, before_the_device_stops) {
	ASSERT_EQ(0, guard_init(&self->err));
	ASSERT_EQ(0, begin(self, BRIDGE_DIRECT));
	vanish(self);
	bridge_vm_gone(self->bridge, &self->guest->vm);
	EXPECT_EQ(GUARD_MEMORY, self->guest->vm.guard.faults & GUARD_MEMORY);
	EXPECT_EQ(NULL, guard_current);
	EXPECT_POSITIONS(0, 0);
}

TEST_HARNESS_MAIN
