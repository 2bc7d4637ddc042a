/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Packet memory. An endpoint has one pool at a time, sized by what can hold its packets: the
 * device's rings, the lanes and the caches of the workers.
 *
 * Callable from any control-side thread.
 */
#ifndef VIO4WD_RELAY_POOL_H
#define VIO4WD_RELAY_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mempool.h>
#include <rte_ring.h>

#include "common/err.h"

#define POOL_OPS "ring_mp_mc"
#define POOL_DATA_ROOM 2048 /* bytes of a packet that fit one mbuf */

struct pool_need {
	uint32_t device;   /* mbufs the device's rings can hold */
	uint16_t lanes;	   /* both directions */
	uint16_t workers;  /* that may use it: each has a cache */
	uint16_t mtu;	   /* longest packet */
	bool tso;	   /* packets of 64 KiB come in, and are cut to pieces */
	uint16_t min_room; /* least data room of an mbuf, 0: POOL_DATA_ROOM */
	int numa_node;	   /* -1: any */
};

/* At least so many are free: those in caches are not counted. Cheap. */
static inline unsigned int pool_free(const struct rte_mempool *pool)
{
	return rte_ring_count(pool->pool_data); /* POOL_OPS */
}

/* Number of mbufs for the need. */
uint32_t pool_size(const struct pool_need *need);

/* The pool would do for it, wherever it is. */
bool pool_fits(const struct rte_mempool *pool, const struct pool_need *need);

int pool_create(struct rte_mempool **pool, const struct pool_need *need, struct err *err);

/* Frees the pool, at once or as soon as the last packet is back in it. pool may be NULL. */
void pool_put(struct rte_mempool *pool);

/* How many there are, those that wait for packets included. Frees what has become complete. */
unsigned int pool_count(void);

#endif
