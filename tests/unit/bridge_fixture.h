/* SPDX-License-Identifier: BSD-3-Clause */

/* A bridge between the scripted device and the made-up VM. */
#ifndef VIO4WD_TEST_BRIDGE_FIXTURE_H
#define VIO4WD_TEST_BRIDGE_FIXTURE_H

#include <dirent.h>

#include <kselftest_harness.h>

#include <linux/vhost.h>

#include "sw-relay/bridge.h"

#include "fake_guest.h"
#include "fake_vdpa_net.h"
#include "vdpa_expect.h"

#define EVENTS FAKE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define GUEST_FEATURES \
	(FAKE_BIT(VIRTIO_F_VERSION_1) | EVENTS | FAKE_BIT(VIRTIO_RING_F_INDIRECT_DESC))
/* What the library or the front end add, and what is about queues that the VM does not have. */
#define NOT_FOR_DEVICE \
	(FAKE_BIT(30) | FAKE_BIT(VHOST_F_LOG_ALL) | FAKE_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE))
#define CONTROL                                                            \
	(FAKE_BIT(VIRTIO_NET_F_CTRL_VQ) | FAKE_BIT(VIRTIO_NET_F_CTRL_RX) | \
	 FAKE_BIT(VIRTIO_NET_F_CTRL_VLAN) | FAKE_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))
#define DEADLINE_MS 20000

FIXTURE(bridge) {
	struct fake_vdpa *fake;
	struct guest *guest;
	struct bridge *bridge;
	struct err err;
	int config_call;
	int fds;
};

static struct bridge the_bridge;

static inline int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

FIXTURE_SETUP(bridge)
{
	self->guest = guest_make(GUEST_FEATURES, 2);
	self->fake = fake_vdpa_make(PATH);
	self->fake->features &= ~CONTROL;
	self->fake->features |= EVENTS | FAKE_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	self->fake->vrings = 2;
	self->bridge = &the_bridge;
	self->config_call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bridge_init(self->bridge, 7, self->config_call);
	self->fds = count_fds();
}

FIXTURE_TEARDOWN(bridge)
{
	bridge_vm_gone(self->bridge, &self->guest->vm);
	EXPECT_EQ(-1, self->fake->fd);
	bridge_fini(self->bridge);
	fake_vdpa_stop(self->fake);
	while (self->guest->n_regions > 2)
		guest_drop_region(self->guest, 2);
	EXPECT_EQ(self->fds, count_fds());
	EXPECT_STREQ("", self->fake->complaints);
	EXPECT_EQ(0, self->fake->faults);
	guest_end(self->guest);
	close(self->config_call);
}

#define EXPECT_SERVED(by) EXPECT_EQ(by, bridge_mode(self->bridge))
#define EXPECT_POSITIONS(rx, tx)                           \
	do {                                               \
		EXPECT_EQ(rx, self->guest->rings[0].base); \
		EXPECT_EQ(tx, self->guest->rings[1].base); \
	} while (0)
#define serve(how) bridge_serve(self->bridge, how, &self->err)
#define run() fake_vdpa_run(self->fake)

/* vp_vdpa. */
static inline void receives_from_0_only(struct fake_vdpa *fake)
{
	fake->only_base_0 = true;
	fake->backend_features &=
		~(FAKE_BIT(VHOST_BACKEND_F_SUSPEND) | FAKE_BIT(VHOST_BACKEND_F_RESUME));
}

/* The device is attached and the VM is there. */
static inline int come(FIXTURE_DATA(bridge) * self)
{
	int r = bridge_set_device(self->bridge, PATH, &self->err);

	self->fake->log[0] = '\0';
	bridge_vm_came(self->bridge, &self->guest->vm);
	return r;
}

static inline int begin(FIXTURE_DATA(bridge) * self, enum bridge_mode mode)
{
	const int r = come(self);

	return r < 0 ? r : serve(mode);
}

/* With room for what is received: a shadow copies that first, and what is sent later on cannot
 * overtake it. */
static inline int begin_full(FIXTURE_DATA(bridge) * self, enum bridge_mode mode,
			     enum guest_shape shape)
{
	for (unsigned int i = 0; i < self->guest->n_rings; i += 2)
		guest_fill(self->guest, i, shape);
	return begin(self, mode);
}

/* The thread of a shadow has copied what the VM sees as used. */
static inline bool wait_used(const struct guest *g, unsigned int ring, uint16_t idx)
{
	struct pollfd nothing = { .fd = -1 };

	for (unsigned int ms = 0; ms < DEADLINE_MS; ms++) {
		if (__atomic_load_n(&g->rings[ring].vring.used->idx, __ATOMIC_ACQUIRE) == idx)
			return true;
		poll(&nothing, 1, 1);
	}
	return false;
}

/* Traffic in a thread of its own. */
struct traffic {
	struct guest *guest;
	uint32_t n, received;
	pthread_t thread;
	_Atomic bool done;
};

static inline void *traffic_main(void *arg)
{
	struct traffic *traffic = arg;

	traffic->received = guest_traffic(traffic->guest, traffic->n);
	traffic->done = true;
	return NULL;
}

static inline void traffic_start(struct traffic *traffic)
{
	if (pthread_create(&traffic->thread, NULL, traffic_main, traffic) != 0)
		abort();
}

static inline uint32_t traffic_end(struct traffic *traffic)
{
	pthread_join(traffic->thread, NULL);
	return traffic->received;
}

#endif
