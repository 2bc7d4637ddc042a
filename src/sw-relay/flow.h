/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which of a guest's receive queues a flow goes to when the device has fewer queues than the guest
 * and software has to spread: by the NIC's RSS hash when the packet carries one, else by the same
 * Toeplitz function over addresses and ports. What is not IP has the hash 0 and so one fixed queue.
 */
#ifndef VIO4WD_RELAY_FLOW_H
#define VIO4WD_RELAY_FLOW_H

#include <stdint.h>

#include <rte_mbuf.h>

/* Computes the tables; before the first flow_hash. */
void flow_init(void);

uint32_t flow_hash_software(const struct rte_mbuf *m);

static inline uint32_t flow_hash(const struct rte_mbuf *m)
{
	if (m->ol_flags & RTE_MBUF_F_RX_RSS_HASH)
		return m->hash.rss;
	return flow_hash_software(m);
}

/* 0..n-1 with n >= 1: stable while n is. */
static inline unsigned int flow_queue(uint32_t hash, unsigned int n)
{
	return hash % n;
}

#endif
