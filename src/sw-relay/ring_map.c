/* SPDX-License-Identifier: BSD-3-Clause */

#include "sw-relay/ring_map.h"

#include <stdlib.h>

#include <rte_pause.h>
#include <rte_vhost.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "common/cleanup.h"

#define BIT(n) (1ull << (n))
/* Of rings that are none of ours. */
#define UNFIT (BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VHOST_F_LOG_ALL))
#define LONG_HEADER (BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_VERSION_1))
/* Without them the library does not look at a header either. */
#define OFFLOADS                                                                              \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO))

/* virtio 1.2, 2.7 */
static bool is_aligned(const struct rte_vhost_vring *v)
{
	return (uintptr_t)v->desc % VRING_DESC_ALIGN_SIZE == 0 &&
	       (uintptr_t)v->avail % VRING_AVAIL_ALIGN_SIZE == 0 &&
	       (uintptr_t)v->used % VRING_USED_ALIGN_SIZE == 0;
}

static bool is_complete(const struct rte_vhost_vring *v)
{
	return v->desc && v->avail && v->used && v->kickfd >= 0 && v->size &&
	       (v->size & (v->size - 1)) == 0 && is_aligned(v);
}

static bool is_inside(const struct rte_vhost_memory *memory, const void *part, uint64_t size)
{
	for (unsigned int i = 0; i < memory->nregions; i++) {
		const struct rte_vhost_mem_region *r = &memory->regions[i];
		uint64_t at = (uintptr_t)part - r->host_user_addr;

		if (at < r->size && r->size - at >= size)
			return true;
	}
	return false;
}

/* The library shows a ring also when it has found that part of it is outside of the VM's memory,
 * and does not touch it itself then. */
static bool is_mapped(const struct rte_vhost_vring *v, const struct rte_vhost_memory *memory)
{
	return is_inside(memory, v->desc, v->size * sizeof(v->desc[0])) &&
	       is_inside(memory, v->avail,
			 sizeof(*v->avail) + v->size * sizeof(v->avail->ring[0])) &&
	       is_inside(memory, v->used, sizeof(*v->used) + v->size * sizeof(v->used->ring[0]));
}

static struct ring_map *map_new(const struct rte_vhost_vring *v, uint64_t features,
				const struct rte_vhost_memory *memory)
{
	struct ring_map *map = malloc(sizeof(*map) + memory->nregions * sizeof(map->regions[0]));

	if (!map)
		return NULL;
	*map = (struct ring_map){
		.desc = v->desc,
		.avail = v->avail,
		.used = v->used,
		.mask = v->size - 1,
		.header = features & LONG_HEADER ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
						 : sizeof(struct virtio_net_hdr),
		.offloads = features & OFFLOADS,
		.count = memory->nregions,
	};
	for (unsigned int i = 0; i < memory->nregions; i++) {
		map->regions[i] = (struct ring_region){
			.guest = memory->regions[i].guest_phys_addr,
			.size = memory->regions[i].size,
			.host = memory->regions[i].host_user_addr,
		};
	}
	return map;
}

void ring_open(struct ring *ring, int vid, uint16_t index)
{
	struct rte_vhost_memory *memory = NULL;
	struct rte_vhost_vring v = { 0 };
	uint64_t features;

	if (atomic_load(&ring->map) || rte_vhost_get_negotiated_features(vid, &features) < 0 ||
	    (features & UNFIT) || rte_vhost_get_vhost_vring(vid, index, &v) < 0 ||
	    !is_complete(&v) || rte_vhost_get_mem_table(vid, &memory) < 0)
		return;
	if (is_mapped(&v, memory))
		atomic_store(&ring->map, map_new(&v, features, memory));
	free(memory);
}

void ring_close(struct ring *ring)
{
	struct ring_map *map = atomic_exchange(&ring->map, NULL);

	if (!map)
		return;
	/* It is in there for one burst, and waits for nobody. */
	while (atomic_load(&ring->inside))
		rte_pause();
	free(map);
}
