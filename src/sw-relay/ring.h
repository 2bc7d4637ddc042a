/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Packets out of and into a VM's ring. They mean what rte_vhost_dequeue_burst and
 * rte_vhost_enqueue_burst mean, and cost a half to a third: plain packets in a split ring
 * (virtio 1.2, 2.7), each in one descriptor, are moved by code of our own, which looks at a whole
 * burst before it touches the first packet, so that the cache lines of all of them are on their way
 * at the same time. Everything else is left to the library: packed and translated rings, chains and
 * indirect tables, requests for offloads, merged buffers, memory whose changes are logged.
 *
 * The library keeps the indices, so it can go on at any packet, and a front end gets the right base
 * when it asks. What is mapped where is copied into the ring's map while the library handles
 * no message of the VM: ring_close() before each message and ring_open() after it.
 */
#ifndef VIO4WD_RELAY_RING_H
#define VIO4WD_RELAY_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_spinlock.h>

struct ring_map;

struct ring {
	struct ring_map *_Atomic map; /* NULL: everything is left to the library */
	atomic_bool inside;	      /* a worker uses the map */
	rte_spinlock_t lock;	      /* several lanes may give packets to one ring */
};

/*
 * In the thread that handles the VM's messages, when the library's view of ring `index` is right.
 * Makes the map if the ring is one for us, and there is none.
 */
void ring_open(struct ring *ring, int vid, uint16_t index);
/* In the same thread. Returns when no worker uses the map; the library's locks may be held. */
void ring_close(struct ring *ring);

/* Takes up to n packets (at most RING_BURST) of the guest, up to `chains` of them by the library.
 * They are like those of rte_vhost_dequeue_burst. One worker at a time for a ring. */
unsigned int ring_dequeue(struct ring *ring, int vid, uint16_t index, struct rte_mempool *pool,
			  struct rte_mbuf **pkts, unsigned int n, unsigned int chains);
/* The same by the library alone, which then also sends the RARP request that it was asked for. */
unsigned int ring_dequeue_library(int vid, uint16_t index, struct rte_mempool *pool,
				  struct rte_mbuf **pkts, unsigned int n);

/* Copies packets into the guest's buffers, in order, and stops at the first for which there is no
 * room. Returns how many; they stay the caller's. */
unsigned int ring_enqueue(struct ring *ring, int vid, uint16_t index, struct rte_mbuf **pkts,
			  unsigned int n);

#define RING_BURST 64

#endif
