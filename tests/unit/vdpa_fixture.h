/* SPDX-License-Identifier: BSD-3-Clause */

/* A scripted device, and a program that has it open. */
#ifndef VIO4WD_TEST_VDPA_FIXTURE_H
#define VIO4WD_TEST_VDPA_FIXTURE_H

#include <kselftest_harness.h>

#include "vdpa/vhost_vdpa.h"

#include "fake_vdpa.h"
#include "vdpa_expect.h"

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

#define open_device() vhost_vdpa_open(&self->dev, PATH, &self->err)
#define negotiate(features) vhost_vdpa_negotiate(&self->dev, features, &self->err)
#define map(iova, pages) \
	vhost_vdpa_map(&self->dev, iova, (pages)*PAGE, self->memory, true, &self->err)
#define unmap(iova, pages) vhost_vdpa_unmap(&self->dev, iova, (pages)*PAGE, &self->err)
#define reset() vhost_vdpa_reset(&self->dev, &self->err)
#define set_vring(index, ring) vhost_vdpa_set_vring(&self->dev, index, ring, &self->err)

static const uint64_t version_1 = FAKE_BIT(VIRTIO_F_VERSION_1);

static const struct vhost_vdpa_vring ring_0 = {
	.size = 256, .desc = 0x1000, .driver = 0x2000, .device = 0x3000, .call = -1, .kick = -1
};

#endif
