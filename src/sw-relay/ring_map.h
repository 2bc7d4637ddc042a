/* SPDX-License-Identifier: BSD-3-Clause */

/* Where a ring and what its descriptors point to are; shared by ring.c and ring_map.c only. */
#ifndef VIO4WD_RELAY_RING_MAP_H
#define VIO4WD_RELAY_RING_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include "sw-relay/ring.h"

struct ring_region {
	uint64_t guest; /* address in the guest */
	uint64_t size;
	uint64_t host; /* address here */
};

/* Never changed after it was made. */
struct ring_map {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t mask;	    /* size - 1 */
	uint16_t header;    /* bytes of the header before each packet (virtio 1.2, 5.1.6) */
	bool offloads;	    /* the guest may ask for some in the header */
	unsigned int count; /* of regions */
	struct ring_region regions[];
};

/* The region in which all of [addr, addr + len) is, or NULL. The last one that fitted is tried
 * first. */
static inline const struct ring_region *
ring_region(const struct ring_map *map, const struct ring_region *last, uint64_t addr, uint32_t len)
{
	if (last && addr - last->guest < last->size && last->size - (addr - last->guest) >= len)
		return last;
	for (unsigned int i = 0; i < map->count; i++) {
		const struct ring_region *r = &map->regions[i];

		if (addr - r->guest < r->size && r->size - (addr - r->guest) >= len)
			return r;
	}
	return NULL;
}

/* The map, which stays until ring_leave(); NULL: there is none. */
static inline const struct ring_map *ring_enter(struct ring *ring)
{
	const struct ring_map *map;

	/* ring_close() does it the other way round: one of both sees the other. */
	atomic_store(&ring->inside, true);
	map = atomic_load(&ring->map);
	if (!map)
		atomic_store_explicit(&ring->inside, false, memory_order_release);
	return map;
}

static inline void ring_leave(struct ring *ring)
{
	atomic_store_explicit(&ring->inside, false, memory_order_release);
}

#endif
