/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A burst in three passes: which descriptors, where their buffers are, the packets themselves. Each
 * pass asks the cache for what the next one needs. What the guest has written is read once and then
 * checked: it may change at any time.
 *
 * A packet that is not for us ends the burst; the library goes on with it.
 */
#include "sw-relay/ring.h"

#include <stddef.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>
#include <rte_vhost.h>

#include <linux/virtio_net.h>

#include "sw-relay/offload.h"
#include "sw-relay/ring_map.h"

#define VHOST_BURST 32 /* what the library takes or gives in one call */
#define LINE RTE_CACHE_LINE_SIZE

/* A burst of one ring. */
struct burst {
	const struct ring_map *map;
	const struct ring_region *region; /* of the last buffer */
	uint16_t avail;			  /* the ring's indices when it began */
	uint16_t used;
	unsigned int n;
	bool rest; /* there is more, for the library */
	uint16_t ids[RING_BURST];
	uint32_t lens[RING_BURST]; /* of buffers, header included */
	uint8_t *buffers[RING_BURST];
};

/* Which descriptors: up to n. */
static void begin(struct burst *b, int vid, uint16_t index, unsigned int n)
{
	const struct ring_map *map = b->map;
	uint16_t there;

	b->n = 0;
	b->region = NULL;
	rte_vhost_get_vring_base(vid, index, &b->avail, &b->used);
	there = __atomic_load_n(&map->avail->idx, __ATOMIC_ACQUIRE) - b->avail;
	b->rest = there > map->mask + 1; /* it lies */
	if (b->rest)
		return;
	n = RTE_MIN(n, there);
	for (; b->n < n; b->n++) {
		uint16_t id = __atomic_load_n(&map->avail->ring[(b->avail + b->n) & map->mask],
					      __ATOMIC_RELAXED);

		if (unlikely(id > map->mask)) {
			b->rest = true;
			return;
		}
		b->ids[b->n] = id;
		rte_prefetch0(&map->desc[id]);
	}
}

/* The buffer of the i-th packet, if its descriptor stands for itself with the given flags. */
static inline bool locate(struct burst *b, unsigned int i, uint16_t flags)
{
	const struct vring_desc *desc = &b->map->desc[b->ids[i]];
	uint64_t addr = __atomic_load_n(&desc->addr, __ATOMIC_RELAXED);
	uint32_t len = __atomic_load_n(&desc->len, __ATOMIC_RELAXED);

	if (unlikely(__atomic_load_n(&desc->flags, __ATOMIC_RELAXED) != flags))
		return false;
	b->region = ring_region(b->map, b->region, addr, len);
	if (unlikely(!b->region))
		return false;
	b->lens[i] = len;
	b->buffers[i] = (uint8_t *)(uintptr_t)(addr - b->region->guest + b->region->host);
	return true;
}

static void cut(struct burst *b, unsigned int n)
{
	b->n = n;
	b->rest = true;
}

/* Gives the buffers back; written tells how much is in each, NULL: nothing. */
static void finish(const struct burst *b, int vid, uint16_t index, struct rte_mbuf *const *written)
{
	struct vring_used *used = b->map->used;

	for (unsigned int i = 0; i < b->n; i++) {
		struct vring_used_elem *e = &used->ring[(b->used + i) & b->map->mask];

		e->id = b->ids[i];
		e->len = written ? written[i]->pkt_len + b->map->header : 0;
	}
	__atomic_store_n(&used->idx, (uint16_t)(b->used + b->n), __ATOMIC_RELEASE);
	rte_vhost_set_vring_base(vid, index, b->avail + b->n, b->used + b->n);
}

/* What is asked for in the header is for the library to find out. A buffer may begin anywhere, so
 * the header is read by bytes. */
static inline bool is_plain(const struct burst *b, unsigned int i)
{
	const uint8_t *h = b->buffers[i];

	return !b->map->offloads ||
	       !(__atomic_load_n(h + offsetof(struct virtio_net_hdr, flags), __ATOMIC_RELAXED) |
		 __atomic_load_n(h + offsetof(struct virtio_net_hdr, gso_type), __ATOMIC_RELAXED));
}

static void take(struct burst *b, struct rte_mempool *pool, struct rte_mbuf **pkts)
{
	const uint32_t room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	const uint16_t header = b->map->header;
	unsigned int n;

	for (unsigned int i = 0; i < b->n; i++) {
		if (unlikely(!locate(b, i, 0) || b->lens[i] <= header ||
			     b->lens[i] - header > room)) {
			cut(b, i);
			break;
		}
		rte_prefetch0(b->buffers[i]);
		rte_prefetch0(b->buffers[i] + LINE);
	}
	n = b->n;
	if (!n)
		return;
	if (unlikely(rte_pktmbuf_alloc_bulk(pool, pkts, n))) {
		cut(b, 0);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = b->lens[i] - header;

		if (unlikely(!is_plain(b, i))) {
			cut(b, i);
			rte_pktmbuf_free_bulk(pkts + i, n - i);
			return;
		}
		rte_memcpy(rte_pktmbuf_mtod(pkts[i], void *), b->buffers[i] + header, len);
		pkts[i]->pkt_len = len;
		pkts[i]->data_len = len;
	}
}

unsigned int ring_dequeue_library(int vid, uint16_t index, struct rte_mempool *pool,
				  struct rte_mbuf **pkts, unsigned int n)
{
	unsigned int done = 0;

	while (done < n) {
		unsigned int want = RTE_MIN(n - done, (unsigned int)VHOST_BURST);
		unsigned int got = rte_vhost_dequeue_burst(vid, index, pool, pkts + done, want);

		done += got;
		if (got < want)
			break;
	}
	return done;
}

unsigned int ring_dequeue(struct ring *ring, int vid, uint16_t index, struct rte_mempool *pool,
			  struct rte_mbuf **pkts, unsigned int n, unsigned int chains)
{
	struct burst b;

	b.map = ring_enter(ring);
	if (unlikely(!b.map))
		return ring_dequeue_library(vid, index, pool, pkts, RTE_MIN(n, chains));
	begin(&b, vid, index, n);
	if (b.n)
		take(&b, pool, pkts);
	if (b.n)
		finish(&b, vid, index, NULL);
	ring_leave(ring);
	if (b.n)
		rte_vhost_vring_call(vid, index);
	if (unlikely(b.rest))
		b.n += ring_dequeue_library(vid, index, pool, pkts + b.n, RTE_MIN(n - b.n, chains));
	return b.n;
}

/* Asks for a line as one that will be written: the guest's copy goes at once. */
static inline void prefetch_write(const void *p)
{
#ifdef RTE_ARCH_X86
	/* The compiler's builtin gives a plain prefetch unless it is told of the instruction, which
	 * does nothing on a CPU that does not know it. */
	asm volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

static void give(struct burst *b, struct rte_mbuf **pkts)
{
	const uint16_t header = b->map->header;

	for (unsigned int i = 0; i < b->n; i++) {
		const struct rte_mbuf *m = pkts[i];

		if (unlikely(m->nb_segs != 1 || (m->ol_flags & OFFLOAD_FLAGS) ||
			     !locate(b, i, VRING_DESC_F_WRITE) ||
			     b->lens[i] < header + m->pkt_len)) {
			cut(b, i);
			break;
		}
		prefetch_write(b->buffers[i]);
		prefetch_write(b->buffers[i] + LINE);
	}
	for (unsigned int i = 0; i < b->n; i++) {
		/* virtio 1.2, 5.1.6.4: num_buffers is 1 also where nothing is merged. */
		static const struct virtio_net_hdr_mrg_rxbuf plain = { .num_buffers = 1 };

		memcpy(b->buffers[i], &plain, header);
		rte_memcpy(b->buffers[i] + header, rte_pktmbuf_mtod(pkts[i], const void *),
			   pkts[i]->pkt_len);
	}
}

static unsigned int enqueue_library(int vid, uint16_t index, struct rte_mbuf **pkts, unsigned int n)
{
	unsigned int done = 0;

	while (done < n) {
		unsigned int want = RTE_MIN(n - done, (unsigned int)VHOST_BURST);
		unsigned int got = rte_vhost_enqueue_burst(vid, index, pkts + done, want);

		done += got;
		if (got < want)
			break;
	}
	return done;
}

static unsigned int enqueue(struct ring *ring, int vid, uint16_t index, struct rte_mbuf **pkts,
			    unsigned int n)
{
	struct burst b;

	b.map = ring_enter(ring);
	if (unlikely(!b.map))
		return enqueue_library(vid, index, pkts, n);
	begin(&b, vid, index, n);
	if (b.n)
		give(&b, pkts);
	if (b.n)
		finish(&b, vid, index, pkts);
	ring_leave(ring);
	if (b.n)
		rte_vhost_vring_call(vid, index);
	if (unlikely(b.rest))
		b.n += enqueue_library(vid, index, pkts + b.n, n - b.n);
	return b.n;
}

unsigned int ring_enqueue(struct ring *ring, int vid, uint16_t index, struct rte_mbuf **pkts,
			  unsigned int n)
{
	unsigned int done = 0;

	rte_spinlock_lock(&ring->lock);
	while (done < n) {
		unsigned int want = RTE_MIN(n - done, (unsigned int)RING_BURST);
		unsigned int got = enqueue(ring, vid, index, pkts + done, want);

		done += got;
		if (got < want)
			break;
	}
	rte_spinlock_unlock(&ring->lock);
	return done;
}
