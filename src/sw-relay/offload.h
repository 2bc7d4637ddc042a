/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Finishing in software what the sender left to an offload and the receiver cannot do: checksums
 * (rte_ip.h) and segmentation (librte_gso). Packets that need nothing pass untouched; the common
 * case costs one test of ol_flags.
 *
 * RTE_MBUF_F_TX_* flags with l2_len, l3_len, l4_len and tso_segsz say what is still to be done, and
 * as Linux and virtio have it, the checksum field of TCP and UDP holds the sum of the
 * pseudo-header. A backend's rx_burst delivers mbufs so. rte_vhost's dequeue does not: registered
 * with RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS it says the same with RX flags (L4_CKSUM_NONE, LRO)
 * and without lengths; offload_from_guest() translates. All header lengths are checked against the
 * packet before use: they may come from a guest.
 */
#ifndef VIO4WD_RELAY_OFFLOAD_H
#define VIO4WD_RELAY_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

/* What a receiver finishes by itself. */
#define OFFLOAD_IP_CKSUM (1u << 0)
#define OFFLOAD_TCP_CKSUM (1u << 1)
#define OFFLOAD_UDP_CKSUM (1u << 2)
#define OFFLOAD_SCTP_CKSUM (1u << 3)
#define OFFLOAD_TSO4 (1u << 4)
#define OFFLOAD_TSO6 (1u << 5)
#define OFFLOAD_UFO (1u << 6)
#define OFFLOAD_MULTI_SEGS (1u << 7)

/* What a VM takes, by the features it negotiated (virtio 1.2, 5.1.3: GUEST_CSUM, GUEST_TSO4, ...).
 * MULTI_SEGS is always there: the vhost library copies. */
uint32_t offload_of_guest(uint64_t virtio_features);

#define OFFLOAD_FLAGS                                                             \
	(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG | \
	 RTE_MBUF_F_TX_UDP_SEG)

/* See above; once for each packet out of rte_vhost_dequeue_burst. False: the packet asks for what
 * its headers do not allow (malformed), and is to be dropped by the caller. */
bool offload_from_guest_slow(struct rte_mbuf *m);

static inline bool offload_from_guest(struct rte_mbuf *m)
{
	if (likely(!(m->ol_flags & (RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO))))
		return true;
	return offload_from_guest_slow(m);
}

/* The packet asks for something that the receiver cannot do (no drop, only: it needs work). */
bool offload_unmet_slow(uint32_t offloads, const struct rte_mbuf *m);

static inline bool offload_unmet(uint32_t offloads, const struct rte_mbuf *m)
{
	if (likely(!(m->ol_flags & OFFLOAD_FLAGS) &&
		   (m->nb_segs == 1 || (offloads & OFFLOAD_MULTI_SEGS))))
		return false;
	return offload_unmet_slow(offloads, m);
}

struct offload_ctx {		  /* one per lane, used by one worker at a time */
	struct rte_mempool *pool; /* where segments come from; the endpoint's */
	uint16_t max_frame;	  /* longest frame the receiver takes, without CRC */
};

struct offload_drops {
	uint64_t malformed_packets, malformed_bytes; /* header lengths that lie */
	uint64_t no_memory_packets, no_memory_bytes;
};

/* The most packets one packet can become: 64 KiB at the smallest segment size that is accepted. */
#define OFFLOAD_MAX_SEGMENTS 128

/*
 * Turns one packet that offload_unmet() into packets the receiver can take: at most
 * OFFLOAD_MAX_SEGMENTS, written to out in order. m is consumed in every case. Returns how many; 0
 * when it was dropped (and counted).
 */
uint16_t offload_finish(const struct offload_ctx *ctx, uint32_t offloads, struct rte_mbuf *m,
			struct rte_mbuf **out, struct offload_drops *drops);

#endif
