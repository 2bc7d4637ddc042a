/* SPDX-License-Identifier: BSD-3-Clause */

/* Cutting one large packet into packets the receiver takes; behind offload_finish(). */
#ifndef VIO4WD_RELAY_OFFLOAD_GSO_H
#define VIO4WD_RELAY_OFFLOAD_GSO_H

#include <stdbool.h>
#include <stdint.h>

#include "sw-relay/offload.h"

/*
 * Cuts m as its flags ask: TCP_SEG into TCP segments, UDP_SEG into IP fragments of one datagram
 * (virtio's UFO). The pieces are complete, with all their checksums, and ask for nothing; with
 * chains a piece may be a chain of mbufs. m is left alone but for its UDP checksum.
 * Returns how many were written to out (at most OFFLOAD_MAX_SEGMENTS), -EINVAL when the headers
 * lie or the pieces would be too many, -ENOMEM when the pool has no more.
 */
int offload_segment(const struct offload_ctx *ctx, bool chains, struct rte_mbuf *m,
		    struct rte_mbuf **out);

/* The same for a train of UDP datagrams of size bytes each with one header (Linux's UDP_SEGMENT,
 * which no mbuf flag can name). l2_len, l3_len and TX_IPV4 or TX_IPV6 are set in m. */
int offload_segment_udp(const struct offload_ctx *ctx, bool chains, struct rte_mbuf *m,
			uint16_t size, struct rte_mbuf **out);

/* The ones' complement sum of size bytes from off on, not complemented; false when m is shorter.
 * (rte_raw_cksum_mbuf of DPDK 22.11 loses carries behind a segment of odd length.) */
bool offload_sum(const struct rte_mbuf *m, uint32_t off, uint32_t size, uint16_t *sum);

/* Fills in the IPv4 header checksum; false when m has no such header where it says. */
bool offload_finish_ip_checksum(struct rte_mbuf *m);

#endif
