/* SPDX-License-Identifier: BSD-3-Clause */

/* The character device of a vDPA device: opening, features, status, calls that fail. */
#include "vdpa_fixture.h"

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
	char config[8];
	uint16_t mtu = 0;

	ASSERT_EQ(0, open_device());
	EXPECT_EQ(0, vhost_vdpa_config(&self->dev, 0, config, 6, &self->err));
	EXPECT_EQ(0, memcmp("\x52\x54\x00\x00\x00\x02", config, 6));
	EXPECT_EQ(0, vhost_vdpa_config(&self->dev, offsetof(struct virtio_net_config, mtu), &mtu,
				       sizeof(mtu), &self->err));
	EXPECT_EQ(1500, mtu);
	EXPECT_EQ(-EINVAL, vhost_vdpa_config(&self->dev, 20, config, 6, &self->err));
	EXPECT_SAID("bytes 20 to 25 of its configuration cannot be read");
}

TEST_F(device, changes_of_its_configuration) {
	eventfd_t count;

	EXPECT_EQ(-EBADF, vhost_vdpa_set_config_call(&self->dev, -1, &self->err));
	ASSERT_EQ(0, open_device());
	ASSERT_EQ(0, negotiate(version_1 | FAKE_BIT(VIRTIO_NET_F_STATUS)));
	EXPECT_EQ(0, vhost_vdpa_set_config_call(&self->dev, self->eventfd, &self->err));
	ASSERT_EQ(0, vhost_vdpa_driver_ok(&self->dev, &self->err));
	fake_vdpa_link(self->fake, false);
	EXPECT_EQ(0, eventfd_read(self->eventfd, &count));
	EXPECT_EQ(0, vhost_vdpa_set_config_call(&self->dev, -1, &self->err));
	fake_vdpa_link(self->fake, true);
	EXPECT_EQ(-1, eventfd_read(self->eventfd, &count));
	EXPECT_EQ(-EINVAL, vhost_vdpa_set_config_call(&self->dev, self->dev.fd, &self->err));
	EXPECT_SAID("the eventfd for changes of its configuration is refused");
}

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
