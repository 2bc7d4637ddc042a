/* SPDX-License-Identifier: BSD-3-Clause */

/* fake_vdpa.h: what a device is like, how it behaves and how it is; the log of calls to it. */
#ifndef VIO4WD_TEST_FAKE_VDPA_STATE_H
#define VIO4WD_TEST_FAKE_VDPA_STATE_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "vdpa/chardev_calls.h"
#include "vdpa/uapi.h"

#define FAKE_VDPAS 4
#define FAKE_RINGS 33
#define FAKE_MAPS 64
#define FAKE_NEVER 1000000u
#define FAKE_BIT(n) (UINT64_C(1) << (n))

/* What vdpa_sim_net has of kernel 6.12. */
#define FAKE_FEATURES                                                                              \
	(FAKE_BIT(VIRTIO_NET_F_MTU) | FAKE_BIT(VIRTIO_NET_F_MAC) | FAKE_BIT(VIRTIO_NET_F_STATUS) | \
	 FAKE_BIT(VIRTIO_NET_F_CTRL_VQ) | FAKE_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |                   \
	 FAKE_BIT(VIRTIO_F_ANY_LAYOUT) | FAKE_BIT(VIRTIO_F_VERSION_1) |                            \
	 FAKE_BIT(VIRTIO_F_ACCESS_PLATFORM))
#define FAKE_BACKEND_FEATURES                                                                  \
	(FAKE_BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) | FAKE_BIT(VHOST_BACKEND_F_IOTLB_BATCH) |      \
	 FAKE_BIT(VHOST_BACKEND_F_IOTLB_ASID) | FAKE_BIT(VHOST_BACKEND_F_SUSPEND) |            \
	 FAKE_BIT(VHOST_BACKEND_F_RESUME) | FAKE_BIT(VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK) | \
	 FAKE_BIT(VHOST_BACKEND_F_IOTLB_PERSIST))

struct fake_map {
	uint32_t space;
	uint64_t first, last, addr;
	uint8_t perm;
	bool reachable; /* for the device; the kernel has it in any case */
};

struct fake_ring {
	uint16_t size;
	uint32_t base;
	uint64_t desc, avail, used;
	int call, kick; /* the kernel's own references */
	uint32_t group, space;
	bool has_call;	 /* the device was told of call since it was reset */
	bool interrupts; /* there is an interrupt for it */
	bool enabled, kicked, broken;
	uint16_t seen, done; /* split: the next available entry, the next used one */
};

struct fake_vdpa {
	char path[64];
	/* What it is like. */
	uint64_t features, backend_features;
	uint32_t vrings, groups, spaces;
	uint16_t vring_size;
	uint64_t iova_first, iova_last;
	struct virtio_net_config config;
	uint32_t config_size;
	/* How it behaves. */
	int open_error;
	unsigned int slow_reset; /* its status reads as before so many times after a reset */
	bool wants_platform;	 /* takes no features without ACCESS_PLATFORM */
	uint64_t dislikes;	 /* features with which FEATURES_OK does not stay */
	bool late_interrupts;	 /* none for rings that had no call at DRIVER_OK (vp_vdpa) */
	bool only_base_0;	 /* (vp_vdpa) */
	bool waits_for_kick;	 /* does not look at rings before they are kicked */
	bool fails_to_start;	 /* DRIVER_OK makes its status FAILED */
	bool deaf;		 /* answers every command with an error */
	bool plain_errors;	 /* writing fails with the errno that it means, not with EFAULT */
	uint64_t pin_limit, pinned_elsewhere;
	unsigned int fail_at; /* this call from now on fails (1: the next) */
	const char *fail_on;  /* calls whose entry in the log begins so fail */
	int fail_with;	      /* negative errno */
	bool gone;	      /* all calls fail but close */
	bool log_reads;
	/* How it is. */
	int fd, epoll;
	int config_call; /* the kernel's own reference */
	bool owned, suspended, in_batch;
	uint32_t batch_space;
	unsigned int resetting;
	uint8_t status, old_status;
	uint64_t driver_features, agreed;
	struct fake_ring rings[FAKE_RINGS];
	struct fake_map maps[FAKE_MAPS];
	unsigned int n_maps, calls;
	char log[8192], complaints[1024];
	/* fake_vdpa_net.h */
	unsigned int pairs; /* in use */
	unsigned int frames, dropped;
	unsigned int faults; /* what is not mapped was accessed */
	uint8_t mac[6];
	bool promiscuous;
	pthread_t thread;
	bool running;
};

static struct fake_vdpa fake_vdpas[FAKE_VDPAS];
static int64_t fake_clock; /* us */
static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

/* A device at path, closed, as vdpa_sim_net would be. */
static inline struct fake_vdpa *fake_vdpa_make(const char *path)
{
	struct fake_vdpa *dev = fake_vdpas;

	while (dev->path[0] && strcmp(dev->path, path) != 0 && dev < fake_vdpas + FAKE_VDPAS - 1)
		dev++;
	*dev = (struct fake_vdpa){
		.features = FAKE_FEATURES,
		.backend_features = FAKE_BACKEND_FEATURES,
		.vrings = 3,
		.groups = 2,
		.spaces = 2,
		.vring_size = 256,
		.iova_last = UINT64_MAX,
		.config = { .mac = { 0x52, 0x54, 0, 0, 0, 2 }, .status = 1, .mtu = 1500 },
		.config_size = 24,
		.pin_limit = UINT64_MAX,
		.fd = -1,
		.epoll = -1,
		.config_call = -1,
	};
	snprintf(dev->path, sizeof(dev->path), "%s", path);
	for (unsigned int i = 0; i < FAKE_RINGS; i++)
		dev->rings[i] = (struct fake_ring){ .call = -1, .kick = -1, .group = i == 2 };
	return dev;
}

static inline void fake_add_text(char *text, size_t size, const char *fmt, va_list ap)
{
	size_t len = strlen(text);

	if (len)
		len += snprintf(text + len, size - len, ", ");
	if (len < size)
		vsnprintf(text + len, size - len, fmt, ap);
}

__attribute__((format(printf, 2, 3))) static inline void fake_complain(struct fake_vdpa *dev,
								       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fake_add_text(dev->complaints, sizeof(dev->complaints), fmt, ap);
	va_end(ap);
}

/* Each call begins with this: an entry in the log, and maybe an errno in place of what it would
 * have done. An entry that ends in "?" only reads. */
__attribute__((format(printf, 2, 3))) static inline int fake_called(struct fake_vdpa *dev,
								    const char *fmt, ...)
{
	char entry[160] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(entry, sizeof(entry), fmt, ap);
	va_end(ap);
	if (dev->log_reads || !strchr(entry, '?')) {
		va_start(ap, fmt);
		fake_add_text(dev->log, sizeof(dev->log), fmt, ap);
		va_end(ap);
	}
	dev->calls++;
	if (dev->gone)
		return -ENODEV;
	if (dev->fail_at && !--dev->fail_at)
		return dev->fail_with;
	if (dev->fail_on && !strncmp(dev->fail_on, entry, strlen(dev->fail_on)))
		return dev->fail_with;
	return 0;
}

static inline struct fake_vdpa *fake_of_fd(int fd)
{
	for (unsigned int i = 0; fd >= 0 && i < FAKE_VDPAS; i++) {
		if (fake_vdpas[i].path[0] && fake_vdpas[i].fd == fd)
			return &fake_vdpas[i];
	}
	return NULL;
}

static inline bool fake_packed(const struct fake_vdpa *dev)
{
	return dev->driver_features & FAKE_BIT(VIRTIO_F_RING_PACKED);
}

static inline struct fake_map *fake_map_at(struct fake_vdpa *dev, uint32_t space, uint64_t iova)
{
	for (unsigned int i = 0; i < dev->n_maps; i++) {
		struct fake_map *map = &dev->maps[i];

		if (map->space == space && map->first <= iova && iova <= map->last)
			return map;
	}
	return NULL;
}

#endif
