/* SPDX-License-Identifier: BSD-3-Clause */

/* The memory that a vDPA device reaches. */
#include "vdpa_fixture.h"

TEST_F(device, maps_in_one_batch) {
	ASSERT_EQ(0, open_device());
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, vhost_vdpa_map_begin(&self->dev, &self->err));
	EXPECT_EQ(0, map(0, 2));
	EXPECT_EQ(0, vhost_vdpa_map(&self->dev, 0x100000, PAGE, self->memory, false, &self->err));
	EXPECT_EQ(0, unmap(0, 2));
	EXPECT_FALSE(fake_map_at(self->fake, 0, 0x100000)->reachable);
	EXPECT_EQ(0, vhost_vdpa_map_end(&self->dev, &self->err));
	EXPECT_LOG(
		"batch begin, map 0-0x1fff, map 0x100000-0x100fff ro, unmap 0-0x1fff, batch end");
	EXPECT_TRUE(fake_map_at(self->fake, 0, 0x100000)->reachable);
	EXPECT_EQ((uintptr_t)self->memory, fake_map_at(self->fake, 0, 0x100000)->addr);
	EXPECT_EQ(NULL, fake_map_at(self->fake, 0, 0));
	/* One without changes, and changes without one. */
	EXPECT_EQ(0, vhost_vdpa_map_begin(&self->dev, &self->err));
	EXPECT_EQ(0, vhost_vdpa_map_end(&self->dev, &self->err));
	EXPECT_EQ(0, map(0, 1));
	EXPECT_LOG("map 0-0xfff");
}

TEST_F(device, no_batches) {
	self->fake->backend_features &= ~FAKE_BIT(VHOST_BACKEND_F_IOTLB_BATCH);
	ASSERT_EQ(0, open_device());
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, vhost_vdpa_map_begin(&self->dev, &self->err));
	EXPECT_EQ(0, map(0, 2));
	EXPECT_EQ(0, vhost_vdpa_map_end(&self->dev, &self->err));
	EXPECT_LOG("map 0-0x1fff");
}

TEST_F(device, memory_that_overlaps) {
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, map(0x10000, 4));
	self->fake->log[0] = '\0';
	EXPECT_EQ(-EEXIST, map(0x13000, 1));
	EXPECT_SAID("memory at 0x13000-0x13fff overlaps what is mapped at 0x10000-0x13fff");
	EXPECT_EQ(-EEXIST, map(0xf000, 2));
	EXPECT_EQ(-EEXIST, map(0xf000, 10));
	EXPECT_EQ(-EEXIST, map(0x11000, 1));
	EXPECT_LOG("");
	EXPECT_EQ(0, map(0x14000, 1));
	EXPECT_EQ(0, map(0xf000, 1));
	EXPECT_LOG("map 0x14000-0x14fff, map 0xf000-0xffff");
}

TEST_F(device, memory_that_cannot_be) {
	self->fake->iova_first = 0x1000;
	self->fake->iova_last = 0xffffff;
	ASSERT_EQ(0, open_device());
	self->fake->log[0] = '\0';
	EXPECT_EQ(-ERANGE, map(0, 2));
	EXPECT_EQ(-ERANGE, map(0xfff000, 2));
	EXPECT_SAID("memory at 0xfff000-0x1000fff is out of its reach, which is 0x1000-0xffffff");
	EXPECT_EQ(-EINVAL, map(0x1800, 1));
	EXPECT_EQ(-EINVAL, map(0x1000, 0));
	EXPECT_EQ(-EINVAL, map(0, 0));
	EXPECT_EQ(-EINVAL, map(UINT64_MAX - PAGE + 1, 2));
	EXPECT_EQ(-EINVAL, vhost_vdpa_map(&self->dev, 0x1000, 100, self->memory, true, &self->err));
	EXPECT_EQ(-EINVAL,
		  vhost_vdpa_map(&self->dev, 0x1000, PAGE, self->memory + 8, true, &self->err));
	EXPECT_SAID("not made of whole pages");
	EXPECT_LOG("");
	EXPECT_EQ(0, map(0xfff000, 1));
}

TEST_F(device, highest_address) {
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, map(UINT64_MAX - PAGE + 1, 1));
	EXPECT_EQ(-EEXIST, map(UINT64_MAX - PAGE + 1, 1));
	EXPECT_EQ(-EINVAL, vhost_vdpa_unmap(&self->dev, 0, UINT64_MAX, &self->err));
	EXPECT_EQ(0, unmap(UINT64_MAX - PAGE + 1, 1));
	EXPECT_EQ(0, self->fake->n_maps);
}

TEST_F(device, unmapping) {
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, map(0x40000, 1));
	EXPECT_EQ(0, map(0x10000, 4));
	EXPECT_EQ(0, map(0x20000, 4));
	self->fake->log[0] = '\0';
	/* The kernel would take more away than it is told. */
	EXPECT_EQ(-EINVAL, unmap(0x11000, 1));
	EXPECT_SAID("memory at 0x11000-0x11fff cannot be unmapped: it is a part of what is mapped "
		    "at 0x10000-0x13fff");
	EXPECT_EQ(-EINVAL, unmap(0xf000, 2));
	EXPECT_EQ(-EINVAL, unmap(0x12000, 4));
	EXPECT_EQ(-EINVAL, vhost_vdpa_unmap(&self->dev, 0xf000, PAGE + 1, &self->err));
	EXPECT_EQ(-EINVAL, vhost_vdpa_unmap(&self->dev, 0x13fff, PAGE, &self->err));
	/* The kernel would complain. */
	EXPECT_EQ(0, unmap(0x30000, 1));
	EXPECT_EQ(0, vhost_vdpa_unmap(&self->dev, 0, 0, &self->err));
	EXPECT_LOG("");
	EXPECT_EQ(0, unmap(0x10000, 32));
	EXPECT_LOG("unmap 0x10000-0x2ffff");
	EXPECT_EQ(1, self->fake->n_maps);
	EXPECT_EQ(0, unmap(0x10000, 4));
	EXPECT_LOG("");
	EXPECT_EQ(0, map(0x10000, 1));
	EXPECT_EQ(0, map(0x20000, 1));
	EXPECT_EQ(0, unmap(0x40000, 1));
	EXPECT_LOG("map 0x10000-0x10fff, map 0x20000-0x20fff, unmap 0x40000-0x40fff");
}

TEST_F(device, locked_memory) {
	self->fake->pin_limit = 8 * PAGE;
	self->fake->pinned_elsewhere = 3 * PAGE;
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, map(0, 4));
	/* As the kernel says it, and as one might that says what it means. */
	for (int plain = 0; plain < 2; plain++) {
		self->fake->plain_errors = plain;
		EXPECT_EQ(-ENOMEM, map(0x10000, 2));
		EXPECT_STREQ("memlock", self->err.step);
		EXPECT_SAID("36864 bytes of memory have to be locked");
		EXPECT_SAID("and 32768 are allowed");
		EXPECT_SAID("LimitMEMLOCK=infinity");
	}
	/* What was refused is not taken for mapped. */
	EXPECT_EQ(0, map(0x10000, 1));
	EXPECT_EQ(2, self->fake->n_maps);
}

TEST_F(device, memory_that_is_refused) {
	ASSERT_EQ(0, open_device());
	self->fake->pin_limit = PAGE;
	self->fake->fail_on = "map";
	self->fake->fail_with = -EFAULT;
	EXPECT_EQ(-EFAULT, map(0, 1));
	EXPECT_SAID(PATH ": memory at 0-0xfff cannot be mapped for it: Bad address");
	self->fake->fail_on = NULL;
	EXPECT_EQ(0, map(0, 1));
	self->fake->fail_on = "unmap";
	EXPECT_EQ(-EFAULT, unmap(0, 1));
	EXPECT_SAID("cannot be taken away");
	/* It is still mapped, so that it can be tried again. */
	self->fake->fail_on = NULL;
	EXPECT_EQ(-EEXIST, map(0, 1));
	EXPECT_EQ(0, unmap(0, 1));
}

TEST_F(device, batch_that_fails) {
	ASSERT_EQ(0, open_device());
	self->fake->fail_with = -EFAULT;
	self->fake->fail_on = "batch begin";
	EXPECT_EQ(0, vhost_vdpa_map_begin(&self->dev, &self->err));
	EXPECT_EQ(-EFAULT, map(0, 1));
	EXPECT_EQ(0, vhost_vdpa_map_end(&self->dev, &self->err));
	self->fake->fail_on = "batch end";
	EXPECT_EQ(0, vhost_vdpa_map_begin(&self->dev, &self->err));
	EXPECT_EQ(0, map(0, 1));
	EXPECT_EQ(-EFAULT, vhost_vdpa_map_end(&self->dev, &self->err));
	EXPECT_SAID("what it may reach cannot be changed");
}

TEST_F(device, maps_over_a_reset) {
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, map(0, 1));
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, reset());
	EXPECT_LOG("status 0");
	EXPECT_TRUE(fake_map_at(self->fake, 0, 0)->reachable);
	EXPECT_EQ(-EEXIST, map(0, 1));
}

/* The device has lost them, the kernel not: it would refuse to map them again. */
TEST_F(device, maps_lost_in_a_reset) {
	uint32_t space;

	self->fake->backend_features &= ~FAKE_BIT(VHOST_BACKEND_F_IOTLB_PERSIST);
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, map(0, 1));
	EXPECT_EQ(0, map(0x1000, 1));
	EXPECT_EQ(0, vhost_vdpa_own_space(&self->dev, 2, &space, &self->err));
	EXPECT_EQ(0, vhost_vdpa_map_in(&self->dev, space, 0, PAGE, self->memory, true, &self->err));
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, reset());
	EXPECT_LOG("status 0, batch begin in 1, unmap 0-0xfff in 1, batch end in 1, batch begin, "
		   "unmap 0x1000-0x1fff, unmap 0-0xfff, batch end");
	EXPECT_EQ(0, map(0, 1));
	EXPECT_TRUE(fake_map_at(self->fake, 0, 0)->reachable);
	EXPECT_EQ(1, self->fake->n_maps);
}

TEST_HARNESS_MAIN
