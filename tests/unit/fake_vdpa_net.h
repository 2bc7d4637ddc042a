/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The packets of fake_vdpa.h: what is sent on a queue pair comes back on it, and a control queue
 * takes the commands for queue pairs, MAC address and promiscuous mode. Split rings, indirect
 * descriptors, mergeable buffers, event index. Frames for which there is no buffer are dropped.
 */
#ifndef VIO4WD_TEST_FAKE_VDPA_NET_H
#define VIO4WD_TEST_FAKE_VDPA_NET_H

#include <poll.h>

#include "fake_vdpa.h"

#define FAKE_PARTS 256
#define FAKE_FRAME_MAX 65600

struct fake_chain {
	uint16_t head;
	unsigned int n;
	struct vring_desc parts[FAKE_PARTS];
};

static inline bool fake_has(const struct fake_vdpa *dev, unsigned int feature)
{
	return dev->driver_features & FAKE_BIT(feature);
}

static inline void fake_fault(struct fake_vdpa *dev, struct fake_ring *ring)
{
	dev->faults++;
	ring->broken = true;
}

/* As much as there is of len bytes at iova, in one piece; NULL: the device may not go there. */
static inline void *fake_at(struct fake_vdpa *dev, struct fake_ring *ring, uint64_t iova,
			    size_t *len, bool writes)
{
	struct fake_map *map = fake_map_at(dev, ring->space, iova);

	if (!map || !map->reachable ||
	    !(map->perm & (writes ? VHOST_ACCESS_WO : VHOST_ACCESS_RO))) {
		fake_fault(dev, ring);
		return NULL;
	}
	if (*len > map->last - iova + 1)
		*len = map->last - iova + 1;
	return (void *)(uintptr_t)(map->addr + (iova - map->first));
}

static inline void fake_copy(struct fake_vdpa *dev, struct fake_ring *ring, uint64_t iova,
			     void *buf, size_t size, bool writes)
{
	for (size_t done = 0, len; done < size; done += len) {
		void *at;

		len = size - done;
		at = fake_at(dev, ring, iova + done, &len, writes);
		if (!at)
			return;
		if (writes)
			memcpy(at, (char *)buf + done, len);
		else
			memcpy((char *)buf + done, at, len);
	}
}

static inline struct vring_avail *fake_avail(struct fake_vdpa *dev, struct fake_ring *ring)
{
	size_t len = sizeof(struct vring_avail) + 2 * ring->size + 2;

	return fake_at(dev, ring, ring->avail, &len, false);
}

static inline struct vring_used *fake_used(struct fake_vdpa *dev, struct fake_ring *ring)
{
	size_t len = sizeof(struct vring_used) + sizeof(struct vring_used_elem) * ring->size + 2;

	return fake_at(dev, ring, ring->used, &len, true);
}

/* --- what is available --- */

static inline bool fake_add_parts(struct fake_vdpa *dev, struct fake_ring *ring, uint64_t table,
				  unsigned int size, uint16_t at, struct fake_chain *chain)
{
	struct vring_desc desc;

	for (unsigned int i = 0; i <= size; i++, at = desc.next) {
		if (at >= size || i == size || chain->n == FAKE_PARTS) {
			fake_complain(dev, "a chain of descriptors does not end");
			ring->broken = true;
			return false;
		}
		fake_copy(dev, ring, table + at * sizeof(desc), &desc, sizeof(desc), false);
		if (ring->broken)
			return false;
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return fake_add_parts(dev, ring, desc.addr, desc.len / sizeof(desc), 0,
					      chain);
		chain->parts[chain->n++] = desc;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return true;
	}
	return false;
}

/* Asks for a notification of what will come; looks again, as something may have come meanwhile. */
static inline bool fake_is_empty(struct fake_vdpa *dev, struct fake_ring *ring,
				 struct vring_avail *avail)
{
	struct vring_used *used = fake_used(dev, ring);

	if (__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) != ring->seen)
		return false;
	if (used && fake_has(dev, VIRTIO_RING_F_EVENT_IDX))
		__atomic_store_n((uint16_t *)&used->ring[ring->size], ring->seen, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) == ring->seen;
}

static inline bool fake_pop(struct fake_vdpa *dev, struct fake_ring *ring, struct fake_chain *chain)
{
	struct vring_avail *avail;

	if (ring->broken || !ring->enabled || !ring->size)
		return false;
	if (dev->waits_for_kick && !ring->kicked)
		return false;
	avail = fake_avail(dev, ring);
	if (!avail || fake_is_empty(dev, ring, avail))
		return false;
	chain->n = 0;
	chain->head = avail->ring[ring->seen & (ring->size - 1)];
	if (!fake_add_parts(dev, ring, ring->desc, ring->size, chain->head, chain))
		return false;
	ring->seen++;
	return true;
}

/* --- what has been used --- */

static inline void fake_push(struct fake_vdpa *dev, struct fake_ring *ring,
			     const struct fake_chain *chain, uint32_t len)
{
	struct vring_used *used = fake_used(dev, ring);

	if (!used)
		return;
	used->ring[ring->done & (ring->size - 1)] = (struct vring_used_elem){ chain->head, len };
	__atomic_store_n(&used->idx, ++ring->done, __ATOMIC_RELEASE);
}

/* After what was pushed since old. */
static inline void fake_interrupt(struct fake_vdpa *dev, struct fake_ring *ring, uint16_t old)
{
	struct vring_avail *avail;
	bool wanted;

	if (ring->done == old || ring->broken)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	avail = fake_avail(dev, ring);
	if (!avail)
		return;
	if (fake_has(dev, VIRTIO_RING_F_EVENT_IDX))
		wanted = vring_need_event(avail->ring[ring->size], ring->done, old);
	else
		wanted = !(avail->flags & VRING_AVAIL_F_NO_INTERRUPT);
	if (wanted && ring->interrupts && ring->call >= 0)
		eventfd_write(ring->call, 1);
}

/* The parts of a chain that the device reads; returns their length. */
static inline size_t fake_gather(struct fake_vdpa *dev, struct fake_ring *ring,
				 const struct fake_chain *chain, char *buf, size_t size)
{
	size_t len = 0;

	for (unsigned int i = 0; i < chain->n; i++) {
		const struct vring_desc *part = &chain->parts[i];
		size_t n = part->len;

		if (part->flags & VRING_DESC_F_WRITE)
			continue;
		if (n > size - len)
			n = size - len;
		fake_copy(dev, ring, part->addr, buf + len, n, false);
		len += n;
	}
	return len;
}

/* Into those that it writes; returns how much has found room. */
static inline size_t fake_scatter(struct fake_vdpa *dev, struct fake_ring *ring,
				  const struct fake_chain *chain, char *buf, size_t size)
{
	size_t len = 0;

	for (unsigned int i = 0; i < chain->n && len < size; i++) {
		const struct vring_desc *part = &chain->parts[i];
		size_t n = part->len;

		if (!(part->flags & VRING_DESC_F_WRITE))
			continue;
		if (n > size - len)
			n = size - len;
		fake_copy(dev, ring, part->addr, buf + len, n, true);
		len += n;
	}
	return len;
}

/* --- frames --- */

static inline size_t fake_header(const struct fake_vdpa *dev)
{
	return fake_has(dev, VIRTIO_F_VERSION_1) || fake_has(dev, VIRTIO_NET_F_MRG_RXBUF)
		       ? sizeof(struct virtio_net_hdr_v1)
		       : sizeof(struct virtio_net_hdr);
}

/* With its header. Nothing of the ring has been used when there is no room for all of it. */
static inline bool fake_receive(struct fake_vdpa *dev, struct fake_ring *ring, char *frame,
				size_t size)
{
	const uint16_t seen = ring->seen;
	struct virtio_net_hdr_v1 *header = (struct virtio_net_hdr_v1 *)frame;
	static struct fake_chain chains[FAKE_PARTS];
	uint32_t lens[FAKE_PARTS];
	unsigned int n = 0;
	size_t len = 0;

	while (len < size && n < FAKE_PARTS && fake_pop(dev, ring, &chains[n])) {
		lens[n] = fake_scatter(dev, ring, &chains[n], frame + len, size - len);
		len += lens[n++];
		if (!fake_has(dev, VIRTIO_NET_F_MRG_RXBUF))
			break;
	}
	if (len < size || ring->broken) {
		ring->seen = seen;
		return false;
	}
	if (fake_header(dev) == sizeof(*header)) {
		header->num_buffers = n;
		fake_scatter(dev, ring, &chains[0], frame, sizeof(*header));
	}
	for (unsigned int i = 0; i < n; i++)
		fake_push(dev, ring, &chains[i], lens[i]);
	return true;
}

static inline void fake_loop(struct fake_vdpa *dev, struct fake_ring *rx, struct fake_ring *tx)
{
	const uint16_t received = rx->done, sent = tx->done;
	static char frame[FAKE_FRAME_MAX];
	static struct fake_chain chain;

	while (fake_pop(dev, tx, &chain)) {
		const size_t len = fake_gather(dev, tx, &chain, frame, sizeof(frame));

		if (tx->broken)
			return;
		/* A driver that did not ask for unfinished frames gets finished ones. */
		if (!fake_has(dev, VIRTIO_NET_F_GUEST_CSUM))
			memset(frame, 0, fake_header(dev));
		dev->frames++;
		if (!fake_receive(dev, rx, frame, len))
			dev->dropped++;
		fake_push(dev, tx, &chain, 0);
	}
	fake_interrupt(dev, rx, received);
	fake_interrupt(dev, tx, sent);
}

/* --- control --- */

static inline unsigned int fake_max_pairs(const struct fake_vdpa *dev)
{
	return fake_has(dev, VIRTIO_NET_F_MQ) ? dev->config.max_virtqueue_pairs : 1;
}

static inline bool fake_obey(struct fake_vdpa *dev, const uint8_t *command, size_t len)
{
	uint16_t pairs;

	if (dev->deaf)
		return false;
	if (len >= 4 && command[0] == VIRTIO_NET_CTRL_MQ && fake_has(dev, VIRTIO_NET_F_MQ) &&
	    command[1] == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET) {
		memcpy(&pairs, command + 2, sizeof(pairs));
		fake_called(dev, "control pairs %u", pairs);
		if (!pairs || pairs > fake_max_pairs(dev))
			return false;
		dev->pairs = pairs;
		return true;
	}
	if (len >= 8 && command[0] == VIRTIO_NET_CTRL_MAC &&
	    fake_has(dev, VIRTIO_NET_F_CTRL_MAC_ADDR) &&
	    command[1] == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
		memcpy(dev->mac, command + 2, sizeof(dev->mac));
		fake_called(dev, "control mac %02x:%02x:%02x:%02x:%02x:%02x", command[2],
			    command[3], command[4], command[5], command[6], command[7]);
		return true;
	}
	if (len >= 3 && command[0] == VIRTIO_NET_CTRL_RX && fake_has(dev, VIRTIO_NET_F_CTRL_RX) &&
	    command[1] == VIRTIO_NET_CTRL_RX_PROMISC) {
		dev->promiscuous = command[2];
		fake_called(dev, "control promiscuous %u", command[2]);
		return true;
	}
	return false;
}

static inline void fake_control(struct fake_vdpa *dev, struct fake_ring *ring)
{
	const uint16_t old = ring->done;
	static struct fake_chain chain;
	uint8_t command[256];

	while (fake_pop(dev, ring, &chain)) {
		const size_t len = fake_gather(dev, ring, &chain, (char *)command, sizeof(command));
		char answer = VIRTIO_NET_ERR;

		if (!ring->broken && fake_obey(dev, command, len))
			answer = VIRTIO_NET_OK;
		fake_push(dev, ring, &chain, fake_scatter(dev, ring, &chain, &answer, 1));
	}
	fake_interrupt(dev, ring, old);
}

/* --- running --- */

/* Lets the device do all that there is to be done. Returns the frames that it took. */
static inline unsigned int fake_vdpa_run(struct fake_vdpa *dev)
{
	unsigned int before, after, control;

	pthread_mutex_lock(&fake_lock);
	before = after = dev->frames;
	if (dev->fd >= 0 && fake_is_running(dev) && !fake_packed(dev)) {
		fake_take_kicks(dev);
		control = 2 * fake_max_pairs(dev);
		if (fake_has(dev, VIRTIO_NET_F_CTRL_VQ) && control < dev->vrings)
			fake_control(dev, &dev->rings[control]);
		for (unsigned int i = 0; i < dev->pairs && 2 * i + 1 < dev->vrings; i++)
			fake_loop(dev, &dev->rings[2 * i], &dev->rings[2 * i + 1]);
		after = dev->frames;
	}
	pthread_mutex_unlock(&fake_lock);
	return after - before;
}

static inline void *fake_thread(void *arg)
{
	struct fake_vdpa *dev = arg;
	struct pollfd kicks = { .events = POLLIN };

	while (__atomic_load_n(&dev->running, __ATOMIC_SEQ_CST)) {
		fake_vdpa_run(dev);
		/* A device that looks at its rings unasked does it every millisecond. */
		kicks.fd = __atomic_load_n(&dev->epoll, __ATOMIC_SEQ_CST);
		poll(&kicks, 1, 1);
	}
	return NULL;
}

/* Lets it run by itself, until it is told to stop. */
static inline void fake_vdpa_start(struct fake_vdpa *dev)
{
	dev->running = true;
	if (pthread_create(&dev->thread, NULL, fake_thread, dev) != 0)
		abort();
}

static inline void fake_vdpa_stop(struct fake_vdpa *dev)
{
	if (!dev->running)
		return;
	__atomic_store_n(&dev->running, false, __ATOMIC_SEQ_CST);
	pthread_join(dev->thread, NULL);
}

#endif
