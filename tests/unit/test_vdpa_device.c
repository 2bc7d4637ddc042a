/* SPDX-License-Identifier: BSD-3-Clause */

/* The character device of a vDPA device: the order of the calls, devices of several kinds, errors.
 */
#include <kselftest_harness.h>

#include "vdpa/vhost_vdpa.h"

#include "fake_vdpa.h"

#define PATH "/dev/vhost-vdpa-0"
#define PAGE 4096
#define AGREED "backend 0x17e"

FIXTURE(device) {
	struct fake_vdpa *fake;
	struct vhost_vdpa dev;
	struct err err;
	char *memory; /* 64 pages */
	int eventfd;
};

FIXTURE_SETUP(device)
{
	self->fake = fake_vdpa_make(PATH);
	self->dev = (struct vhost_vdpa)VHOST_VDPA_CLOSED;
	self->memory = aligned_alloc(PAGE, 64 * PAGE);
	self->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

FIXTURE_TEARDOWN(device)
{
	vhost_vdpa_close(&self->dev);
	EXPECT_STREQ("", self->fake->complaints);
	EXPECT_EQ(-1, self->fake->fd);
	free(self->memory);
	close(self->eventfd);
}

#define EXPECT_LOG(what)                             \
	do {                                         \
		EXPECT_STREQ(what, self->fake->log); \
		self->fake->log[0] = '\0';           \
	} while (0)
#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}
#define open_device() vhost_vdpa_open(&self->dev, PATH, &self->err)
#define negotiate(features) vhost_vdpa_negotiate(&self->dev, features, &self->err)
#define map(iova, pages) \
	vhost_vdpa_map(&self->dev, iova, (pages)*PAGE, self->memory, true, &self->err)
#define unmap(iova, pages) vhost_vdpa_unmap(&self->dev, iova, (pages)*PAGE, &self->err)
#define reset() vhost_vdpa_reset(&self->dev, &self->err)
#define set_vring(index, ring) vhost_vdpa_set_vring(&self->dev, index, ring, &self->err)

static const uint64_t version_1 = FAKE_BIT(VIRTIO_F_VERSION_1);

static uint64_t read_eventfd(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

/* --- opening --- */

TEST_F(device, what_it_is_like) {
	self->fake->iova_first = 0x1000;
	self->fake->iova_last = 0xffffffff;
	ASSERT_EQ(0, open_device());
	EXPECT_LOG("open, owner, " AGREED);
	EXPECT_STREQ(PATH, self->dev.path);
	EXPECT_EQ(1, self->dev.device_id);
	EXPECT_EQ(FAKE_FEATURES, self->dev.features);
	EXPECT_EQ(0x17e, self->dev.backend_features);
	EXPECT_EQ(3, self->dev.vrings);
	EXPECT_EQ(256, self->dev.vring_size);
	EXPECT_EQ(0x1000, self->dev.iova_first);
	EXPECT_EQ(0xffffffff, self->dev.iova_last);
	EXPECT_TRUE(vhost_vdpa_can_suspend(&self->dev));
	EXPECT_TRUE(vhost_vdpa_has_positions(&self->dev));
	EXPECT_TRUE(vhost_vdpa_keeps_maps(&self->dev));

	vhost_vdpa_close(&self->dev);
	EXPECT_EQ(-1, self->dev.fd);
	EXPECT_LOG("close");
	vhost_vdpa_close(&self->dev);
	EXPECT_LOG("");
}

/* What it is offered and has no use for is not taken. */
TEST_F(device, backend_features) {
	self->fake->backend_features = FAKE_BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) |
				       FAKE_BIT(VHOST_BACKEND_F_DESC_ASID) | FAKE_BIT(40);
	ASSERT_EQ(0, open_device());
	EXPECT_LOG("open, owner, backend 0x2");
	EXPECT_FALSE(vhost_vdpa_can_suspend(&self->dev));
	EXPECT_FALSE(vhost_vdpa_has_positions(&self->dev));
	EXPECT_FALSE(vhost_vdpa_keeps_maps(&self->dev));
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_suspend(&self->dev, &self->err));
	EXPECT_SAID(PATH " cannot be suspended");
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_resume(&self->dev, &self->err));
	EXPECT_SAID(PATH " cannot be resumed");
	EXPECT_LOG("");
	vhost_vdpa_close(&self->dev);

	self->fake->backend_features = 0;
	EXPECT_EQ(-ENOTSUP, open_device());
	EXPECT_SAID("6.1 is the oldest");
	EXPECT_EQ(-1, self->dev.fd);
	EXPECT_EQ(-1, self->fake->fd);
}

TEST_F(device, cannot_be_opened) {
	static const struct {
		int error, rc;
		const char *words;
	} cases[] = {
		{ -EBUSY, -EBUSY, "another program has it open" },
		{ -ENOENT, -ENOENT, "does not exist" },
		{ -ENXIO, -ENXIO, "no device behind it" },
		{ -ENODEV, -ENODEV, "no device behind it" },
		{ -EACCES, -EACCES, "may not be opened by this user" },
		{ -EPERM, -EPERM, "DeviceAllow=" },
		{ -524, -EOPNOTSUPP, "intel_iommu=on" },
		{ -EMFILE, -EMFILE, "Too many open files" },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		self->fake->open_error = cases[i].error;
		EXPECT_EQ(cases[i].rc, open_device());
		EXPECT_EQ(cases[i].rc, self->err.code);
		EXPECT_EQ(0, strncmp(PATH, self->err.text, strlen(PATH)));
		EXPECT_SAID(cases[i].words);
		EXPECT_EQ(-1, self->dev.fd);
	}
	EXPECT_EQ(-ENOENT, vhost_vdpa_open(&self->dev, "/dev/vhost-vdpa-9", &self->err));
	EXPECT_EQ(-ENAMETOOLONG,
		  vhost_vdpa_open(&self->dev,
				  "/dev/of/a/name/that/is/longer/than/any/device/of/this/kind/ever/"
				  "had",
				  &self->err));
}

TEST_F(device, one_at_a_time) {
	struct vhost_vdpa second;

	ASSERT_EQ(0, open_device());
	EXPECT_EQ(-EBUSY, vhost_vdpa_open(&second, PATH, &self->err));
	EXPECT_EQ(-1, second.fd);
	/* Nothing of the first one is lost by that. */
	EXPECT_EQ(0, negotiate(version_1));
}

TEST_F(device, another_kind_of_file) {
	self->fake->fail_on = "owner";
	self->fake->fail_with = -ENOTTY;
	EXPECT_EQ(-ENOTTY, open_device());
	EXPECT_SAID("no vhost-vdpa device");
	EXPECT_EQ(-1, self->dev.fd);
}

TEST_F(device, closed) {
	uint8_t status;
	uint32_t base;

	self->dev = (struct vhost_vdpa)VHOST_VDPA_CLOSED;
	EXPECT_EQ(-EBADF, reset());
	EXPECT_EQ(-EBADF, vhost_vdpa_get_status(&self->dev, &status, &self->err));
	EXPECT_SAID("not open");
	EXPECT_EQ(-EBADF, vhost_vdpa_set_call(&self->dev, 0, -1, &self->err));
	EXPECT_EQ(-EBADF, vhost_vdpa_get_base(&self->dev, 0, &base, &self->err));
	self->dev.iova_last = UINT64_MAX;
	EXPECT_EQ(-EBADF, map(0, 1));
	EXPECT_EQ(0, unmap(0, 1));
	vhost_vdpa_close(&self->dev);
	EXPECT_EQ(0, self->fake->calls);
}

/* --- features and status --- */

TEST_F(device, negotiation_in_order) {
	uint8_t status = 0;

	self->fake->log_reads = true;
	ASSERT_EQ(0, open_device());
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, negotiate(version_1 | FAKE_BIT(VIRTIO_NET_F_MTU)));
	EXPECT_LOG("status 0, status?, status 0x1, status 0x3, features 0x300000008, status 0xb, "
		   "status?");
	EXPECT_EQ(0, vhost_vdpa_driver_ok(&self->dev, &self->err));
	EXPECT_LOG("status 0xf, status?");
	EXPECT_EQ(0, vhost_vdpa_get_status(&self->dev, &status, &self->err));
	EXPECT_EQ(0xf, status);
	EXPECT_EQ(0, self->err.code);
}

TEST_F(device, platform) {
	/* It insists. */
	self->fake->wants_platform = true;
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, negotiate(version_1));
	EXPECT_EQ(version_1 | FAKE_BIT(VIRTIO_F_ACCESS_PLATFORM), self->fake->driver_features);
	vhost_vdpa_close(&self->dev);
	/* It has none. */
	self->fake->wants_platform = false;
	self->fake->features &= ~FAKE_BIT(VIRTIO_F_ACCESS_PLATFORM);
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, negotiate(version_1));
	EXPECT_EQ(version_1, self->fake->driver_features);
}

TEST_F(device, features_that_it_lacks) {
	ASSERT_EQ(0, open_device());
	self->fake->log[0] = '\0';
	EXPECT_EQ(-ENOTSUP, negotiate(version_1 | FAKE_BIT(VIRTIO_NET_F_MRG_RXBUF) |
				      FAKE_BIT(VIRTIO_NET_F_MTU) | FAKE_BIT(50)));
	EXPECT_SAID("has not these features, which are wanted of it: MRG_RXBUF, bit 50");
	EXPECT_LOG("");
}

TEST_F(device, features_that_it_dislikes) {
	self->fake->dislikes = FAKE_BIT(VIRTIO_NET_F_MTU);
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(-ENOTSUP, negotiate(version_1 | FAKE_BIT(VIRTIO_NET_F_MTU)));
	EXPECT_SAID("does not accept this choice of its features: MTU, VERSION_1, ACCESS_PLATFORM");
	/* It is no worse for it. */
	EXPECT_EQ(0, negotiate(version_1));
	self->fake->fail_on = "features 0x";
	self->fake->fail_with = -EINVAL;
	EXPECT_EQ(-ENOTSUP, negotiate(version_1));
	EXPECT_SAID("does not accept this choice");
	self->fake->fail_with = -EBUSY;
	EXPECT_EQ(-EBUSY, negotiate(version_1));
	EXPECT_SAID("its features cannot be set: Device or resource busy");
}

TEST_F(device, slow_reset) {
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	self->fake->slow_reset = 30;
	fake_clock = 0;
	self->fake->log_reads = true;
	self->fake->log[0] = '\0';
	EXPECT_EQ(0, reset());
	EXPECT_EQ(0, self->fake->resetting);
	/* Often in the beginning, then a hundred times a second. */
	EXPECT_LT(200000, fake_clock);
	EXPECT_GT(300000, fake_clock);
	EXPECT_EQ(0, negotiate(version_1));
}

TEST_F(device, endless_reset) {
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	self->fake->slow_reset = FAKE_NEVER;
	fake_clock = 0;
	EXPECT_EQ(-ETIMEDOUT, reset());
	EXPECT_SAID(PATH " does not reset: its status is still 0xb after a second");
	EXPECT_LE(1000000, fake_clock);
	EXPECT_GT(1100000, fake_clock);
}

TEST_F(device, does_not_start) {
	self->fake->fails_to_start = true;
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	EXPECT_EQ(-EIO, vhost_vdpa_driver_ok(&self->dev, &self->err));
	EXPECT_SAID("does not start: its status is 0x8f");
}

TEST_F(device, configuration) {
	struct virtio_net_config config = { 0 };

	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, vhost_vdpa_config(&self->dev, 0, &config.mac, 6, &self->err));
	EXPECT_EQ(0, memcmp("\x52\x54\x00\x00\x00\x02", config.mac, 6));
	EXPECT_EQ(0, vhost_vdpa_config(&self->dev, offsetof(struct virtio_net_config, mtu),
				       &config.mtu, 2, &self->err));
	EXPECT_EQ(1500, config.mtu);
	EXPECT_EQ(-EINVAL, vhost_vdpa_config(&self->dev, 20, &config, 6, &self->err));
	EXPECT_SAID("bytes 20 to 25 of its configuration cannot be read");
}

/* --- memory --- */

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

/* --- rings --- */

static const struct vhost_vdpa_vring ring_0 = {
	.size = 256, .desc = 0x1000, .driver = 0x2000, .device = 0x3000, .call = -1, .kick = -1
};

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

/* --- address spaces --- */

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
	EXPECT_SAID("the device has 1");
	EXPECT_LOG("");
	vhost_vdpa_close(&self->dev);

	self->fake->spaces = 2;
	self->fake->backend_features &= ~FAKE_BIT(VHOST_BACKEND_F_IOTLB_ASID);
	ASSERT_EQ(0, open_device());
	EXPECT_EQ(-EOPNOTSUPP, vhost_vdpa_own_space(&self->dev, 2, &space, &self->err));
	EXPECT_SAID("one address space only");
}

/* --- errors anywhere --- */

static int whole_life(struct vhost_vdpa *dev, void *memory, struct err *err)
{
	uint32_t space, base;
	uint8_t mac[6];

	return vhost_vdpa_open(dev, PATH, err) ?:
	       vhost_vdpa_config(dev, 0, mac, sizeof(mac), err) ?:
	       vhost_vdpa_negotiate(dev, version_1, err) ?:
	       vhost_vdpa_own_space(dev, 2, &space, err) ?:
	       vhost_vdpa_map_begin(dev, err) ?:
	       vhost_vdpa_map(dev, 0, 4 * PAGE, memory, true, err) ?:
	       vhost_vdpa_map_in(dev, 1, 0, PAGE, memory, true, err) ?:
	       vhost_vdpa_map_end(dev, err) ?:
	       vhost_vdpa_set_vring(dev, 0, &ring_0, err) ?:
	       vhost_vdpa_enable_vring(dev, 0, true, err) ?:
	       vhost_vdpa_driver_ok(dev, err) ?:
	       vhost_vdpa_suspend(dev, err) ?:
	       vhost_vdpa_get_base(dev, 0, &base, err) ?:
	       vhost_vdpa_unmap_in(dev, 1, 0, PAGE, err) ?:
	       vhost_vdpa_reset(dev, err);
}

/* It goes away at any call, or one call fails. */
TEST_F(device, any_call_fails) {
	unsigned int calls;

	EXPECT_EQ(0, whole_life(&self->dev, self->memory, &self->err));
	EXPECT_EQ(0, self->err.code);
	calls = self->fake->calls;
	EXPECT_LT(30, calls);
	vhost_vdpa_close(&self->dev);
	for (unsigned int i = 1; i <= calls; i++) {
		self->err = (struct err){ 0 };
		self->fake->fail_at = i;
		self->fake->fail_with = -EIO;
		EXPECT_EQ(-EIO, whole_life(&self->dev, self->memory, &self->err))
		{
			TH_LOG("call %u of %s", i, self->fake->log);
		}
		EXPECT_EQ(-EIO, self->err.code);
		EXPECT_EQ(0, strncmp(PATH, self->err.text, strlen(PATH)));
		EXPECT_SAID("dmesg");
		vhost_vdpa_close(&self->dev);
		EXPECT_EQ(-1, self->fake->fd);
		self->fake->log[0] = '\0';
	}
	EXPECT_EQ(0, whole_life(&self->dev, self->memory, &self->err));
}

TEST_F(device, is_gone) {
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1));
	EXPECT_EQ(0, map(0, 1));
	self->fake->gone = true;
	EXPECT_EQ(-ENODEV, vhost_vdpa_suspend(&self->dev, &self->err));
	EXPECT_SAID(PATH ": it cannot be suspended: No such device; the device has failed or is "
			 "gone");
	EXPECT_EQ(-ENODEV, reset());
	EXPECT_EQ(-ENODEV, map(0x1000, 1));
	EXPECT_EQ(-ENODEV, unmap(0, 1));
	vhost_vdpa_close(&self->dev);
	EXPECT_EQ(-1, self->fake->fd);
}

TEST_HARNESS_MAIN
