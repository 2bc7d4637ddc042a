/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a packet asks for is compared with what its receiver can do; the difference is done here
 * (checksums) or in offload_gso.c (segmentation). A TCP or UDP checksum is finished as virtio
 * defines it: the field holds the pseudo-header's sum, so the sum over the whole L4 part is the
 * result, whatever addresses (routing headers) and extension headers there are.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <linux/virtio_net.h>

#include "sw-relay/headers.h"
#include "sw-relay/offload.h"
#include "sw-relay/offload_gso.h"

uint32_t offload_of_guest(uint64_t virtio_features)
{
	/* The vhost library fills in IPv4 header checksums by itself. SCTP is never there: virtio
	 * knows no CRC32c. */
	uint32_t offloads = OFFLOAD_MULTI_SEGS | OFFLOAD_IP_CKSUM;

	if (!(virtio_features & (1ull << VIRTIO_NET_F_GUEST_CSUM)))
		return offloads;
	offloads |= OFFLOAD_TCP_CKSUM | OFFLOAD_UDP_CKSUM;
	if (virtio_features & (1ull << VIRTIO_NET_F_GUEST_TSO4))
		offloads |= OFFLOAD_TSO4;
	if (virtio_features & (1ull << VIRTIO_NET_F_GUEST_TSO6))
		offloads |= OFFLOAD_TSO6;
	if (virtio_features & (1ull << VIRTIO_NET_F_GUEST_UFO))
		offloads |= OFFLOAD_UFO;
	return offloads;
}

bool offload_from_guest_slow(struct rte_mbuf *m)
{
	bool checksum = (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
	bool segment = m->ol_flags & RTE_MBUF_F_RX_LRO;
	struct headers h;

	m->ol_flags &= ~(RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO);
	if (!checksum && !segment)
		return true;
	if (!headers_parse(rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m), &h) ||
	    !h.l4_len)
		return false;
	switch (h.proto) {
	case IPPROTO_TCP:
		m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
		if (segment)
			m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		break;
	case IPPROTO_UDP:
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
		if (segment)
			m->ol_flags |= RTE_MBUF_F_TX_UDP_SEG;
		break;
	default:
		if (segment)
			return false;
		m->ol_flags |= RTE_MBUF_F_TX_SCTP_CKSUM;
		break;
	}
	m->l2_len = h.l2_len;
	m->l3_len = h.l3_len;
	m->l4_len = h.l4_len;
	m->ol_flags |= h.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	if (segment && !h.ipv6) /* every segment gets a header of its own */
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	return true;
}

static uint32_t l4_checksum_wanted(const struct rte_mbuf *m)
{
	switch (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) {
	case RTE_MBUF_F_TX_TCP_CKSUM:
		return OFFLOAD_TCP_CKSUM;
	case RTE_MBUF_F_TX_UDP_CKSUM:
		return OFFLOAD_UDP_CKSUM;
	case RTE_MBUF_F_TX_SCTP_CKSUM:
		return OFFLOAD_SCTP_CKSUM;
	}
	return 0;
}

static uint32_t offloads_wanted(const struct rte_mbuf *m)
{
	uint32_t wanted = l4_checksum_wanted(m);

	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM)
		wanted |= OFFLOAD_IP_CKSUM;
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		wanted |= OFFLOAD_TCP_CKSUM |
			  (m->ol_flags & RTE_MBUF_F_TX_IPV6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4);
	if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		wanted |= OFFLOAD_UDP_CKSUM | OFFLOAD_UFO;
	if (m->nb_segs > 1)
		wanted |= OFFLOAD_MULTI_SEGS;
	return wanted;
}

bool offload_unmet_slow(uint32_t offloads, const struct rte_mbuf *m)
{
	return offloads_wanted(m) & ~offloads;
}

/* The IP header and the field of the L4 checksum are in the first segment, and the header agrees
 * with itself; *l4_size is what the IP header says about the rest, at most what there is. */
static bool ip_header_checked(const struct rte_mbuf *m, uint32_t *l4_size)
{
	uint32_t l4_off = m->l2_len + m->l3_len;
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->l2_len);
	uint32_t ip_size = rte_pktmbuf_pkt_len(m) - m->l2_len;
	uint32_t said;

	if (m->l2_len < sizeof(struct rte_ether_hdr) || l4_off > rte_pktmbuf_data_len(m))
		return false;
	if (m->ol_flags & RTE_MBUF_F_TX_IPV6) {
		if (m->l3_len < sizeof(struct rte_ipv6_hdr) || ip[0] >> 4 != 6)
			return false;
		said = sizeof(struct rte_ipv6_hdr) + (ip[4] << 8 | ip[5]);
	} else {
		if (m->l3_len < sizeof(struct rte_ipv4_hdr) || ip[0] >> 4 != 4 ||
		    (ip[0] & 0xf) * 4 != m->l3_len)
			return false;
		said = ip[2] << 8 | ip[3];
	}
	if (said < m->l3_len || said > ip_size)
		return false;
	*l4_size = said - m->l3_len;
	return true;
}

/* As rte_hash_crc(), which does not mind where data lies only because x86 does not. */
static uint32_t crc32c(const uint8_t *data, uint32_t size, uint32_t crc)
{
	for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), data += sizeof(uint64_t)) {
		uint64_t v;

		memcpy(&v, data, sizeof(v));
		crc = rte_hash_crc_8byte(v, crc);
	}
	while (size--)
		crc = rte_hash_crc_1byte(*data++, crc);
	return crc;
}

static bool finish_sctp(struct rte_mbuf *m, uint32_t off, uint32_t size)
{
	struct rte_sctp_hdr *sctp = rte_pktmbuf_mtod_offset(m, struct rte_sctp_hdr *, off);
	uint32_t crc = 0xffffffff;

	sctp->cksum = 0;
	for (const struct rte_mbuf *seg = m; seg && size; seg = seg->next) {
		uint32_t here = rte_pktmbuf_data_len(seg);
		uint32_t len;

		if (off >= here) {
			off -= here;
			continue;
		}
		len = RTE_MIN(here - off, size);
		crc = crc32c(rte_pktmbuf_mtod_offset(seg, const uint8_t *, off), len, crc);
		size -= len;
		off = 0;
	}
	/* RFC 9260: the CRC goes out with its least significant byte first. */
	sctp->cksum = rte_cpu_to_le_32(~crc);
	return size == 0;
}

bool offload_sum(const struct rte_mbuf *m, uint32_t off, uint32_t size, uint16_t *sum)
{
	uint32_t total = 0;
	bool odd = false;

	for (; m && size; m = m->next) {
		uint32_t here = rte_pktmbuf_data_len(m);
		uint32_t len;
		uint16_t part;

		if (off >= here) {
			off -= here;
			continue;
		}
		len = RTE_MIN(here - off, size);
		part = rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, off), len);
		total += odd ? rte_bswap16(part) : part;
		odd ^= len & 1;
		size -= len;
		off = 0;
	}
	total = (total & 0xffff) + (total >> 16);
	*sum = (total & 0xffff) + (total >> 16);
	return size == 0;
}

static bool finish_l4(struct rte_mbuf *m, uint32_t wanted, uint32_t size)
{
	uint32_t off = m->l2_len + m->l3_len;
	uint32_t header, field_off;
	uint16_t sum;

	if (wanted & OFFLOAD_TCP_CKSUM) {
		header = sizeof(struct rte_tcp_hdr);
		field_off = offsetof(struct rte_tcp_hdr, cksum);
	} else if (wanted & OFFLOAD_UDP_CKSUM) {
		header = sizeof(struct rte_udp_hdr);
		field_off = offsetof(struct rte_udp_hdr, dgram_cksum);
	} else {
		header = sizeof(struct rte_sctp_hdr);
		field_off = 0;
	}
	if (size < header || off + header > rte_pktmbuf_data_len(m))
		return false;
	if (wanted & OFFLOAD_SCTP_CKSUM)
		return finish_sctp(m, off, size);
	if (!offload_sum(m, off, size, &sum))
		return false;
	sum = ~sum;
	if (sum == 0 && (wanted & OFFLOAD_UDP_CKSUM))
		sum = 0xffff; /* 0 means "none" to UDP */
	memcpy(rte_pktmbuf_mtod_offset(m, void *, off + field_off), &sum, sizeof(sum));
	return true;
}

bool offload_finish_ip_checksum(struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, m->l2_len);
	uint16_t sum;

	if (m->l2_len < sizeof(struct rte_ether_hdr) || m->l3_len < sizeof(struct rte_ipv4_hdr) ||
	    m->l2_len + m->l3_len > rte_pktmbuf_data_len(m) || ip[0] >> 4 != 4 ||
	    (ip[0] & 0xf) * 4 != m->l3_len)
		return false;
	memset(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), 0, sizeof(sum));
	sum = ~rte_raw_cksum(ip, m->l3_len);
	memcpy(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), &sum, sizeof(sum));
	return true;
}

static bool finish_checksums(struct rte_mbuf *m, uint32_t unmet)
{
	const uint32_t l4 = OFFLOAD_TCP_CKSUM | OFFLOAD_UDP_CKSUM | OFFLOAD_SCTP_CKSUM;
	uint32_t size;

	if (unmet & l4) {
		if (!ip_header_checked(m, &size) || !finish_l4(m, unmet & l4, size))
			return false;
		m->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
	}
	if (unmet & OFFLOAD_IP_CKSUM) {
		if (!offload_finish_ip_checksum(m))
			return false;
		m->ol_flags &= ~RTE_MBUF_F_TX_IP_CKSUM;
	}
	return true;
}

/* One mbuf for a receiver that takes no chain. */
static struct rte_mbuf *make_linear(const struct offload_ctx *ctx, struct rte_mbuf *m)
{
	struct rte_mbuf *flat;
	char *data;

	if (rte_pktmbuf_linearize(m) == 0)
		return m;
	if (rte_pktmbuf_pkt_len(m) > UINT16_MAX)
		return NULL;
	flat = rte_pktmbuf_alloc(ctx->pool);
	if (!flat)
		return NULL;
	data = rte_pktmbuf_append(flat, rte_pktmbuf_pkt_len(m));
	if (!data) {
		rte_pktmbuf_free(flat);
		return NULL;
	}
	/* m is a chain, so this always copies */
	(void)rte_pktmbuf_read(m, 0, rte_pktmbuf_pkt_len(m), data);
	flat->ol_flags |= m->ol_flags & (OFFLOAD_FLAGS | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
	flat->tx_offload = m->tx_offload;
	flat->port = m->port;
	rte_pktmbuf_free(m);
	return flat;
}

static uint16_t drop(struct rte_mbuf *m, uint64_t *packets, uint64_t *bytes)
{
	*packets += 1;
	*bytes += rte_pktmbuf_pkt_len(m);
	rte_pktmbuf_free(m);
	return 0;
}

uint16_t offload_finish(const struct offload_ctx *ctx, uint32_t offloads, struct rte_mbuf *m,
			struct rte_mbuf **out, struct offload_drops *drops)
{
	uint32_t unmet = offloads_wanted(m) & ~offloads;
	bool segmented = m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG);

	/* A receiver that segments but cannot do the checksum is of no use: the checksum of each
	 * segment is only known after cutting. */
	if (segmented && unmet & ~(OFFLOAD_IP_CKSUM | OFFLOAD_MULTI_SEGS)) {
		int n = offload_segment(ctx, offloads & OFFLOAD_MULTI_SEGS, m, out);

		if (n == -ENOMEM)
			return drop(m, &drops->no_memory_packets, &drops->no_memory_bytes);
		if (n < 0)
			return drop(m, &drops->malformed_packets, &drops->malformed_bytes);
		rte_pktmbuf_free(m);
		return n;
	}
	if (!finish_checksums(m, unmet))
		return drop(m, &drops->malformed_packets, &drops->malformed_bytes);
	if (unmet & OFFLOAD_MULTI_SEGS) {
		struct rte_mbuf *flat = make_linear(ctx, m);

		if (!flat)
			return drop(m, &drops->no_memory_packets, &drops->no_memory_bytes);
		m = flat;
	}
	out[0] = m;
	return 1;
}
