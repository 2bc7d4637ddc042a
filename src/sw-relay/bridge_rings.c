/* SPDX-License-Identifier: BSD-3-Clause */

#include "sw-relay/bridge_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_common.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sw-relay/bridge_shadow.h"

static bool is_set_up(const struct bridge *b, unsigned int index)
{
	struct rte_vhost_vring ring;

	return rte_vhost_get_vhost_vring(b->vm->vid, index, &ring) == 0 && ring.desc &&
	       ring.avail && ring.used;
}

/* The first pair always: without it nothing can be served, and whoever looks says why. */
unsigned int bridge_rings_set_up(const struct bridge *b)
{
	const unsigned int known = rte_vhost_get_vring_num(b->vm->vid);
	const unsigned int most =
		b->vm->features & BRIDGE_BIT(VIRTIO_NET_F_MQ) ? 2u * b->device.max_pairs : 2;
	unsigned int n = 2;

	while (n + 2 <= RTE_MIN(known, most) && is_set_up(b, n) && is_set_up(b, n + 1))
		n += 2;
	return n;
}

unsigned int bridge_rings_pairs(const struct bridge *b)
{
	const uint64_t enabled = atomic_load(&b->vm->enabled);
	const unsigned int pairs = enabled ? (63 - __builtin_clzll(enabled)) / 2 + 1 : 1;

	return RTE_MIN(pairs, bridge_rings_set_up(b) / 2);
}

static void ring_drop(struct bridge_ring *ring)
{
	if (ring->kick >= 0)
		close(ring->kick);
	if (ring->call >= 0)
		close(ring->call);
	ring->kick = ring->call = -1;
}

void bridge_rings_drop(struct bridge *b)
{
	for (unsigned int i = 0; i < VM_RINGS; i++)
		ring_drop(&b->rings[i]);
}

/* A number that was closed and given out again meanwhile belongs to something else: then the
 * generation has changed, and it is done anew. */
static int ring_take(struct bridge *b, unsigned int index, struct err *err)
{
	struct vm_ring *vm_ring = &b->vm->rings[index];
	struct bridge_ring *ring = &b->rings[index];
	uint32_t generation;

	do {
		int kick, call;

		generation = atomic_load(&vm_ring->generation);
		kick = atomic_load(&vm_ring->kick_fd);
		call = atomic_load(&vm_ring->call_fd);
		ring_drop(ring);
		ring->kick = kick >= 0 ? fcntl(kick, F_DUPFD_CLOEXEC, 3) : -1;
		ring->call = call >= 0 ? fcntl(call, F_DUPFD_CLOEXEC, 3) : -1;
		if ((kick >= 0 && ring->kick < 0) || (call >= 0 && ring->call < 0)) {
			if (errno == EBADF)
				continue;
			return err_set(err, -errno, "rings", "relay %u: ring %u: %s", b->id, index,
				       strerror(errno));
		}
	} while (atomic_load(&vm_ring->generation) != generation);
	ring->generation = generation;
	return 0;
}

int bridge_rings_take(struct bridge *b, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; i < b->n_rings && r == 0; i++)
		r = ring_take(b, i, err);
	return r;
}

static void ring_bell(int fd)
{
	if (fd >= 0)
		eventfd_write(fd, 1);
}

/* An interrupt may have gone to the old descriptor, a kick to the one before. */
static int ring_refresh(struct bridge *b, unsigned int index, struct err *err)
{
	struct bridge_ring *ring = &b->rings[index];
	int r;

	bridge_shadow_hold(b);
	bridge_shadow_unwatch(b, index);
	r = ring_take(b, index, err);
	if (r == 0)
		r = bridge_shadow_watch(b, index, err);
	bridge_shadow_release(b);
	if (r == 0 && b->mode == BRIDGE_DIRECT)
		r = vhost_vdpa_set_call(&b->dev, index, ring->call, err);
	if (r == 0 && b->mode == BRIDGE_DIRECT)
		r = vhost_vdpa_set_kick(&b->dev, index, ring->kick, err);
	ring_bell(ring->call);
	ring_bell(ring->kick);
	return r;
}

/* A ring that is off is about to get other descriptors, or is not used any more: either way the
 * device keeps what it has. */
bool bridge_ring_is_stale(const struct bridge *b, unsigned int index)
{
	return atomic_load(&b->vm->enabled) & BRIDGE_BIT(index) &&
	       b->rings[index].generation != atomic_load(&b->vm->rings[index].generation);
}

int bridge_rings_refresh(struct bridge *b, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; i < b->n_rings && r == 0; i++) {
		if (bridge_ring_is_stale(b, i))
			r = ring_refresh(b, i, err);
	}
	return r;
}

void bridge_rings_ring_all(struct bridge *b)
{
	for (unsigned int i = 0; i < b->n_rings; i++) {
		ring_bell(b->rings[i].call);
		ring_bell(b->rings[i].kick);
	}
}

uint16_t bridge_ring_position(const struct bridge *b, unsigned int index)
{
	uint16_t available = 0, used = 0;

	rte_vhost_get_vring_base(b->vm->vid, index, &available, &used);
	return available;
}

/* virtio 1.2, 2.7: the three parts of a split ring. */
static int ring_addresses(const struct bridge *b, unsigned int index,
			  struct vhost_vdpa_vring *vring, struct err *err)
{
	struct rte_vhost_vring ring;

	if (rte_vhost_get_vhost_vring(b->vm->vid, index, &ring) < 0 || !ring.desc)
		return err_set(err, -EINVAL, "rings", "relay %u: the VM has not set up ring %u",
			       b->id, index);
	vring->size = ring.size;
	vring->desc = bridge_guest_address(b, ring.desc);
	vring->driver = bridge_guest_address(b, ring.avail);
	vring->device = bridge_guest_address(b, ring.used);
	if (vring->desc == UINT64_MAX || vring->driver == UINT64_MAX || vring->device == UINT64_MAX)
		return err_set(err, -EFAULT, "rings", "relay %u: ring %u is not in the VM's memory",
			       b->id, index);
	return 0;
}

static int ring_direct(struct bridge *b, unsigned int index, struct err *err)
{
	struct vhost_vdpa_vring vring = {
		.base = bridge_ring_position(b, index),
		.kick = b->rings[index].kick,
		.call = b->rings[index].call,
	};
	int r = ring_addresses(b, index, &vring, err);

	if (r < 0)
		return r;
	if (vring.base && !b->device.has_positions)
		return err_set(err, -EOPNOTSUPP, "rings",
			       "%s begins at the start of a ring only, and ring %u of the VM is at "
			       "%u",
			       b->device.path, index, vring.base);
	r = vhost_vdpa_set_vring(&b->dev, index, &vring, err);
	return r < 0 ? r : vhost_vdpa_enable_vring(&b->dev, index, true, err);
}

int bridge_rings_direct(struct bridge *b, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; i < b->n_rings && r == 0; i++)
		r = ring_direct(b, i, err);
	return r;
}

/*
 * The library's own positions are those of before the device began. Whoever serves the ring next
 * goes on behind the last buffer that the VM got back: those that the device had taken and not
 * returned are done again.
 */
void bridge_rings_settle(struct bridge *b)
{
	for (unsigned int i = 0; i < b->n_rings; i++) {
		struct rte_vhost_vring ring;
		uint16_t position;

		if (rte_vhost_get_vhost_vring(b->vm->vid, i, &ring) < 0 || !ring.used)
			continue;
		position = __atomic_load_n(&ring.used->idx, __ATOMIC_ACQUIRE);
		rte_vhost_set_vring_base(b->vm->vid, i, position, position);
	}
}
