/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One command at a time, by three descriptors that stay where they are: what is to be done, with
 * what, and the device's answer (virtio 1.2, 5.1.6.5). The memory is a file's, as devices that work
 * in the CPU reach no other, and it is in an address space that the VM's rings do not reach, where
 * the device has one. Elsewhere the VM can overwrite it by its own device: nothing in it is
 * believed that matters to anybody else.
 */
#include "sw-relay/bridge_ctrl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_common.h>

#include "common/log.h"
#include "sw-relay/bridge_internal.h"

#define PAGE 4096
#define SIZE 64 /* descriptors, or what the device has */
#define MEMORY (3 * PAGE)
#define DEADLINE_MS 500
#define MQ BRIDGE_BIT(VIRTIO_NET_F_MQ)
#define CTRL_VQ BRIDGE_BIT(VIRTIO_NET_F_CTRL_VQ)
#define CTRL_RX BRIDGE_BIT(VIRTIO_NET_F_CTRL_RX)

/* In the last page. */
struct request {
	struct virtio_net_ctrl_hdr what;
	uint8_t with[62];
	uint8_t answer;
};

struct bridge_ctrl {
	uint64_t features;
	uint32_t index, space;
	uint64_t iova;
	char *memory;
	struct vring ring;
	struct request *request;
	uint16_t used;
	int kick, call;
	bool silent;	    /* a command was not answered */
	unsigned int pairs; /* in use; 0: not told yet */
};

/* virtio 1.2, 5.1.2: behind all the pairs that there can be, which without MQ is one. */
static uint32_t index_of(const struct bridge *b, uint64_t features)
{
	return features & MQ ? 2 * b->device.own_pairs : 2;
}

uint64_t bridge_ctrl_features(const struct bridge *b)
{
	uint64_t features = b->device.features & CTRL_RX;

	if (!(b->device.features & CTRL_VQ) || b->vm->features & BRIDGE_BIT(VIRTIO_F_RING_PACKED))
		return 0;
	if (b->device.max_pairs > 1)
		features |= b->vm->features & MQ;
	if (!features || index_of(b, features) >= b->device.vrings)
		return 0;
	return features | CTRL_VQ;
}

static int make_memory(struct bridge_ctrl *c, unsigned int size)
{
	const int fd = memfd_create("control queue", MFD_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, MEMORY) < 0)
		r = -errno;
	if (r == 0)
		c->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
				 fd, 0);
	if (r == 0 && c->memory == MAP_FAILED) {
		c->memory = NULL;
		r = -errno;
	}
	close(fd);
	if (r < 0)
		return r;
	vring_init(&c->ring, size, c->memory, PAGE);
	c->request = (struct request *)(c->memory + 2 * PAGE);
	return 0;
}

static int make(struct bridge *b, uint64_t features, struct err *err)
{
	struct bridge_ctrl *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(err, -ENOMEM, "control queue", "relay %u: no memory", b->id);
	b->ctrl = c;
	c->features = features;
	c->index = index_of(b, features);
	c->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	c->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = c->kick < 0 || c->call < 0 ? -errno
				       : make_memory(c, RTE_MIN(SIZE, (int)b->dev.vring_size));
	if (r < 0)
		return err_set(err, r, "control queue", "relay %u: %s", b->id, strerror(-r));
	/* What the rings of a shadow may take is left free. */
	c->iova = bridge_above_shadows(b);
	return 0;
}

static uint64_t iova_of(const struct bridge_ctrl *c, const void *part)
{
	return c->iova + ((const char *)part - c->memory);
}

/* In the space of all the others where it can have none of its own. */
static int map(struct bridge *b, struct bridge_ctrl *c, struct err *err)
{
	if (vhost_vdpa_own_space(&b->dev, c->index, &c->space, NULL) < 0)
		c->space = 0;
	return vhost_vdpa_map_in(&b->dev, c->space, c->iova, MEMORY, c->memory, true, err);
}

int bridge_ctrl_prepare(struct bridge *b, struct err *err)
{
	const uint64_t features = bridge_ctrl_features(b);
	struct vhost_vdpa_vring vring = { 0 };
	struct bridge_ctrl *c;
	int r;

	if (!features)
		return 0;
	r = make(b, features, err);
	c = b->ctrl;
	if (r == 0)
		r = map(b, c, err);
	if (r < 0)
		return r;
	vring = (struct vhost_vdpa_vring){
		.size = c->ring.num,
		.desc = iova_of(c, c->ring.desc),
		.driver = iova_of(c, c->ring.avail),
		.device = iova_of(c, c->ring.used),
		.kick = c->kick,
		.call = c->call,
	};
	r = vhost_vdpa_set_vring(&b->dev, c->index, &vring, err);
	return r < 0 ? r : vhost_vdpa_enable_vring(&b->dev, c->index, true, err);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static bool is_answered(const struct bridge_ctrl *c)
{
	return __atomic_load_n(&c->ring.used->idx, __ATOMIC_ACQUIRE) != c->used;
}

static int wait_for_answer(struct bridge_ctrl *c)
{
	const int64_t until = now_ms() + DEADLINE_MS;
	struct pollfd call = { .fd = c->call, .events = POLLIN };
	eventfd_t count;
	int64_t left;

	while (!is_answered(c)) {
		left = until - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&call, 1, left) > 0)
			eventfd_read(c->call, &count);
	}
	return 0;
}

static void describe(struct bridge_ctrl *c, size_t size)
{
	struct request *request = c->request;
	struct vring_desc *desc = c->ring.desc;

	desc[0] = (struct vring_desc){ .addr = iova_of(c, &request->what),
				       .len = sizeof(request->what),
				       .flags = VRING_DESC_F_NEXT,
				       .next = 1 };
	desc[1] = (struct vring_desc){ .addr = iova_of(c, request->with),
				       .len = size,
				       .flags = VRING_DESC_F_NEXT,
				       .next = 2 };
	desc[2] = (struct vring_desc){ .addr = iova_of(c, &request->answer),
				       .len = sizeof(request->answer),
				       .flags = VRING_DESC_F_WRITE };
}

/* A device that has not answered once may do so at any time: it gets no other command. */
static int command(struct bridge_ctrl *c, uint8_t class, uint8_t cmd, const void *with, size_t size)
{
	struct vring_avail *avail = c->ring.avail;
	int r;

	if (c->silent)
		return -ETIMEDOUT;
	c->request->what = (struct virtio_net_ctrl_hdr){ .class = class, .cmd = cmd };
	memcpy(c->request->with, with, size);
	c->request->answer = (uint8_t)~VIRTIO_NET_OK;
	describe(c, size);
	avail->ring[c->used % c->ring.num] = 0;
	vring_used_event(&c->ring) = c->used;
	__atomic_store_n(&avail->idx, c->used + 1, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	eventfd_write(c->kick, 1);
	r = wait_for_answer(c);
	c->silent = r < 0;
	c->used++;
	if (r == 0 && *(volatile uint8_t *)&c->request->answer != VIRTIO_NET_OK)
		r = -EIO;
	return r;
}

int bridge_ctrl_set_pairs(struct bridge *b, unsigned int pairs, struct err *err)
{
	const struct virtio_net_ctrl_mq mq = { .virtqueue_pairs = pairs };
	struct bridge_ctrl *c = b->ctrl;
	int r;

	if (!c || !(c->features & MQ) || c->pairs == pairs)
		return 0;
	r = command(c, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &mq, sizeof(mq));
	if (r < 0)
		return err_set(err, r, "queues", "%s does not begin to use %u queue pairs: %s",
			       b->device.path, pairs,
			       r == -EIO ? "it refuses" : "it does not answer");
	c->pairs = pairs;
	return 0;
}

int bridge_ctrl_start(struct bridge *b, unsigned int pairs, struct err *err)
{
	const uint8_t on = 1;
	struct bridge_ctrl *c = b->ctrl;

	if (c && c->features & CTRL_RX &&
	    command(c, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &on, sizeof(on)) < 0)
		log_warning("relay %u: %s does not become promiscuous: the VM receives what is for "
			    "the device's MAC address only",
			    b->id, b->device.path);
	return bridge_ctrl_set_pairs(b, pairs, err);
}

bool bridge_ctrl_is_stale(const struct bridge *b)
{
	return b->ctrl && b->ctrl->features & MQ && b->ctrl->pairs != bridge_rings_pairs(b);
}

void bridge_ctrl_drop(struct bridge *b)
{
	struct bridge_ctrl *c = b->ctrl;

	if (!c)
		return;
	if (c->memory && b->dev.fd >= 0)
		vhost_vdpa_unmap_in(&b->dev, c->space, c->iova, MEMORY, NULL);
	if (c->memory)
		munmap(c->memory, MEMORY);
	if (c->kick >= 0)
		close(c->kick);
	if (c->call >= 0)
		close(c->call);
	free(c);
	b->ctrl = NULL;
}
