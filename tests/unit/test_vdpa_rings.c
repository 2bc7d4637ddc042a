/* SPDX-License-Identifier: BSD-3-Clause */

/* The rings of a vDPA device, their interrupts, positions and address spaces. */
#include "vdpa_fixture.h"

static uint64_t read_eventfd(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

TEST_F(device, ring) {
	struct vhost_vdpa_vring ring = ring_0;

	ring.base = 77;
	ring.call = ring.kick = self->eventfd;
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	EXPECT_EQ(0, map(0, 8));
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, set_vring(1, &ring));
	EXPECT_EQ(0, vhost_vdpa_enable_vring(&self->dev, 1, true, &self->err));
	EXPECT_EQ(0, vhost_vdpa_driver_ok(&self->dev, &self->err));
	EXPECT_LOG("ring 1 size 256, ring 1 base 0x4d, ring 1 at 0x1000 0x2000 0x3000, ring 1 "
		   "call, ring 1 kick, ring 1 on, status 0xf");
	EXPECT_EQ(77, self->fake->rings[1].base);
	EXPECT_EQ(0, vhost_vdpa_enable_vring(&self->dev, 1, false, &self->err));
	EXPECT_LOG("ring 1 off");
	EXPECT_EQ(0, self->err.code);
}

/* Each ring has its own, which stays the same; one that is given takes its place at once. */
TEST_F(device, silent_interrupts) {
	int first;

	self->fake->late_interrupts = true;
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	EXPECT_EQ(0, map(0, 8));
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, set_vring(0, &ring_0));
	EXPECT_EQ(0, set_vring(1, &ring_0));
	EXPECT_LOG("ring 0 size 256, ring 0 base 0, ring 0 at 0x1000 0x2000 0x3000, ring 0 call, "
		   "ring 0 kick none, ring 1 size 256, ring 1 base 0, ring 1 at 0x1000 0x2000 "
		   "0x3000, ring 1 call, ring 1 kick none");
	EXPECT_LE(0, self->dev.silent[1]);
	EXPECT_NE(self->dev.silent[0], self->dev.silent[1]);
	EXPECT_EQ(0, vhost_vdpa_driver_ok(&self->dev, &self->err));
	EXPECT_TRUE(self->fake->rings[0].interrupts);
	EXPECT_EQ(0, eventfd_write(self->fake->rings[0].call, 5));
	EXPECT_EQ(5, read_eventfd(self->dev.silent[0]));

	EXPECT_EQ(0, vhost_vdpa_set_call(&self->dev, 0, self->eventfd, &self->err));
	EXPECT_TRUE(self->fake->rings[0].interrupts);
	EXPECT_EQ(0, eventfd_write(self->fake->rings[0].call, 3));
	EXPECT_EQ(3, read_eventfd(self->eventfd));
	first = self->dev.silent[0];
	EXPECT_EQ(0, vhost_vdpa_set_call(&self->dev, 0, -2, &self->err));
	EXPECT_EQ(first, self->dev.silent[0]);
	EXPECT_EQ(0, eventfd_write(self->fake->rings[0].call, 2));
	EXPECT_EQ(2, read_eventfd(first));

	EXPECT_EQ(0, vhost_vdpa_set_kick(&self->dev, 0, self->eventfd, &self->err));
	EXPECT_EQ(0, vhost_vdpa_set_kick(&self->dev, 0, -2, &self->err));
	EXPECT_EQ(-1, self->fake->rings[0].kick);
	vhost_vdpa_close(&self->dev);
	EXPECT_EQ(-1, fcntl(first, F_GETFD));
}

TEST_F(device, bad_rings) {
	struct vhost_vdpa_vring ring = ring_0;

	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	self->fake->log[0] = '\0';
	EXPECT_EQ(-EINVAL, set_vring(3, &ring));
	EXPECT_SAID(PATH " has 3 rings, there is no ring 3");
	EXPECT_EQ(-EINVAL, vhost_vdpa_set_call(&self->dev, 3, -1, &self->err));
	EXPECT_EQ(-EINVAL, vhost_vdpa_set_kick(&self->dev, 3, -1, &self->err));
	ring.size = 512;
	EXPECT_EQ(-EINVAL, set_vring(0, &ring));
	EXPECT_SAID("ring 0 is to have 512 descriptors; the device takes powers of two up to 256");
	ring.size = 100;
	EXPECT_EQ(-EINVAL, set_vring(0, &ring));
	ring.size = 0;
	EXPECT_EQ(-EINVAL, set_vring(0, &ring));
	EXPECT_LOG("");
	ring = ring_0;
	ring.device++;
	EXPECT_EQ(-EINVAL, set_vring(0, &ring));
	EXPECT_SAID("ring 0: its addresses are refused: Invalid argument");
	ring = ring_0;
	ring.call = 1000;
	EXPECT_EQ(-EBADF, set_vring(0, &ring));
	EXPECT_SAID("ring 0: the eventfd for its interrupts is refused: Bad file descriptor");
	ring = ring_0;
	ring.kick = self->fake->fd;
	EXPECT_EQ(-EINVAL, set_vring(0, &ring));
	EXPECT_SAID("ring 0: the eventfd for its notifications is refused");
	EXPECT_EQ(-ENOBUFS, vhost_vdpa_enable_vring(&self->dev, 3, true, &self->err));
	EXPECT_SAID("ring 3: it cannot be enabled");
}

TEST_F(device, positions) {
	struct vhost_vdpa_vring ring = ring_0;
	uint32_t base = 1;

	ring.base = 0xfffe;
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	EXPECT_EQ(0, map(0, 8));
	EXPECT_EQ(0, set_vring(0, &ring));
	EXPECT_EQ(0, vhost_vdpa_enable_vring(&self->dev, 0, true, &self->err));
	EXPECT_EQ(0, vhost_vdpa_driver_ok(&self->dev, &self->err));
	self->fake->rings[0].seen = 3;
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, vhost_vdpa_suspend(&self->dev, &self->err));
	EXPECT_LOG("suspend");
	EXPECT_TRUE(self->fake->suspended);
	EXPECT_EQ(0, vhost_vdpa_get_base(&self->dev, 0, &base, &self->err));
	EXPECT_EQ(3, base);
	EXPECT_EQ(0, vhost_vdpa_resume(&self->dev, &self->err));
	EXPECT_LOG("resume");
	EXPECT_FALSE(self->fake->suspended);
}

TEST_F(device, position_of_packed_rings) {
	struct vhost_vdpa_vring ring = ring_0;
	uint32_t base = 1;

	self->fake->features |= FAKE_BIT(VIRTIO_F_RING_PACKED);
	ring.base = 0x80118010;
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1 | FAKE_BIT(VIRTIO_F_RING_PACKED)));
	EXPECT_EQ(0, set_vring(0, &ring));
	EXPECT_EQ(0, vhost_vdpa_get_base(&self->dev, 0, &base, &self->err));
	EXPECT_EQ(0x80118010, base);
}

TEST_F(device, only_the_beginning) {
	struct vhost_vdpa_vring ring = ring_0;
	uint32_t base;

	self->fake->only_base_0 = true;
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	EXPECT_EQ(0, set_vring(0, &ring));
	EXPECT_TRUE(vhost_vdpa_has_positions(&self->dev));
	ring.base = 9;
	EXPECT_EQ(-EOPNOTSUPP, set_vring(0, &ring));
	EXPECT_SAID("ring 0 cannot go on at 0x9: the device starts rings only at their beginning");
	EXPECT_FALSE(vhost_vdpa_has_positions(&self->dev));
	vhost_vdpa_close(&self->dev);

	ASSERT_EQ(0, open_device());
	EXPECT_TRUE(vhost_vdpa_has_positions(&self->dev));
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_get_base(&self->dev, 0, &base, &self->err));
	EXPECT_SAID("ring 0: its position cannot be read");
	EXPECT_FALSE(vhost_vdpa_has_positions(&self->dev));
}

TEST_F(device, own_space) {
	uint32_t space = 0;

	ASSERT_EQ(0, open_device());
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, vhost_vdpa_own_space(&self->dev, 2, &space, &self->err));
	EXPECT_EQ(1, space);
	EXPECT_EQ(1, self->fake->rings[2].space);
	EXPECT_EQ(0, self->fake->rings[0].space);
	EXPECT_EQ(0, vhost_vdpa_map_begin(&self->dev, &self->err));
	EXPECT_EQ(0, map(0, 1));
	EXPECT_EQ(0, vhost_vdpa_map_in(&self->dev, 1, 0, PAGE, self->memory, true, &self->err));
	EXPECT_EQ(0, map(0x1000, 1));
	EXPECT_EQ(0, vhost_vdpa_map_end(&self->dev, &self->err));
	EXPECT_LOG("group 1 in space 1, batch begin, map 0-0xfff, batch end, batch begin in 1, map "
		   "0-0xfff in 1, batch end in 1, batch begin, map 0x1000-0x1fff, batch end");
	EXPECT_EQ(0, vhost_vdpa_unmap_in(&self->dev, 1, 0, PAGE, &self->err));
	EXPECT_LOG("unmap 0-0xfff in 1");
	EXPECT_NE(NULL, fake_map_at(self->fake, 0, 0));
	/* The same again. */
	EXPECT_EQ(0, vhost_vdpa_own_space(&self->dev, 2, &space, &self->err));
	EXPECT_EQ(1, space);
}

TEST_F(device, no_own_space) {
	uint32_t space;

	ASSERT_EQ(0, open_device());
	self->fake->log[0] = '\0';
	/* With the other one. */
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_own_space(&self->dev, 0, &space, &self->err));
	EXPECT_EQ(-EINVAL, vhost_vdpa_own_space(&self->dev, 3, &space, &self->err));
	self->fake->rings[1].group = 1;
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_own_space(&self->dev, 2, &space, &self->err));
	EXPECT_SAID("ring 1 is in the same group");
	/* What is not apart is mapped in the space of ring 0. */
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_own_space(&self->dev, 0, &space, &self->err));
	self->fake->rings[1].group = 0;
	self->fake->spaces = 1;
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_own_space(&self->dev, 2, &space, &self->err));
	EXPECT_SAID("it is in group 1, and the device has 1 spaces");
	EXPECT_LOG("");
	vhost_vdpa_close(&self->dev);

	self->fake->spaces = 2;
	self->fake->backend_features &= ~FAKE_BIT(VHOST_BACKEND_F_IOTLB_ASID);
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_own_space(&self->dev, 2, &space, &self->err));
	EXPECT_SAID("one address space only");
}

TEST_HARNESS_MAIN
