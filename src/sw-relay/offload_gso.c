/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Segmentation by copying. rte_gso knows neither TCP over IPv6 nor IPv6 fragments and leaves the
 * checksums open; a copy has to be made anyway by the receivers that get here (rte_vhost copies
 * into the guest, a port that wants no chains takes none), and it makes the same code serve all
 * protocols.
 *
 * A piece is the original's headers, a part of its payload, and the header fields that differ.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "sw-relay/offload_gso.h"

enum gso_kind { GSO_TCP, GSO_UDP, GSO_FRAGMENTS };

struct gso {
	enum gso_kind kind;
	bool ipv6;
	uint16_t l2_len;
	uint16_t l3_len;
	uint16_t header_len; /* what each piece starts with a copy of */
	uint16_t size;	     /* payload of each piece but the last */
	uint32_t payload;
	unsigned int pieces;
	uint16_t ip_id;
};

#define IPV6_FRAGMENT_LEN 8

struct cursor { /* the next byte of a chain */
	const struct rte_mbuf *seg;
	uint32_t off;
};

static void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static bool ip_header_ok(const struct rte_mbuf *m, const struct gso *g)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, g->l2_len);

	if (g->l2_len < sizeof(struct rte_ether_hdr) || g->header_len > rte_pktmbuf_data_len(m))
		return false;
	if (g->ipv6)
		return g->l3_len >= sizeof(struct rte_ipv6_hdr) && ip[0] >> 4 == 6;
	return g->l3_len >= sizeof(struct rte_ipv4_hdr) && ip[0] >> 4 == 4 &&
	       (ip[0] & 0xf) * 4 == g->l3_len &&
	       !(get_be16(ip + 6) & (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK));
}

/* extra: bytes that a piece has besides its headers and payload. */
static int plan(struct gso *g, const struct offload_ctx *ctx, const struct rte_mbuf *m,
		uint32_t extra)
{
	uint32_t around = g->header_len + extra;
	uint32_t pieces;

	if (g->header_len > rte_pktmbuf_data_len(m) || !ip_header_ok(m, g))
		return -EINVAL;
	if (ctx->max_frame && around + g->size > ctx->max_frame) {
		if (around >= ctx->max_frame)
			return -EINVAL;
		g->size = ctx->max_frame - around;
	}
	if (g->kind == GSO_FRAGMENTS)
		g->size &= ~7;
	if (g->size == 0 || around - g->l2_len + g->size > UINT16_MAX)
		return -EINVAL;
	g->payload = rte_pktmbuf_pkt_len(m) - g->header_len;
	pieces = g->payload ? (g->payload + g->size - 1) / g->size : 1;
	if (pieces > OFFLOAD_MAX_SEGMENTS)
		return -EINVAL;
	g->pieces = pieces;
	if (!g->ipv6)
		g->ip_id = get_be16(rte_pktmbuf_mtod_offset(m, const uint8_t *, g->l2_len + 4));
	return 0;
}

/* A chain with room for size bytes, its lengths set. */
static struct rte_mbuf *alloc_chain(struct rte_mempool *pool, bool chains, uint32_t size)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool);
	struct rte_mbuf *tail = head;

	if (!head)
		return NULL;
	for (;;) {
		uint32_t here = RTE_MIN(size, rte_pktmbuf_tailroom(tail));

		tail->data_len = here;
		head->pkt_len += here;
		size -= here;
		if (!size)
			return head;
		if (!chains)
			break;
		tail->next = rte_pktmbuf_alloc(pool);
		if (!tail->next)
			break;
		tail = tail->next;
		head->nb_segs++;
	}
	rte_pktmbuf_free(head);
	return NULL;
}

static void copy_payload(struct cursor *from, struct rte_mbuf *to, uint32_t to_off, uint32_t size)
{
	while (size) {
		uint32_t room = rte_pktmbuf_data_len(to) - to_off;
		uint32_t there = rte_pktmbuf_data_len(from->seg) - from->off;
		uint32_t len = RTE_MIN(room, there);

		len = RTE_MIN(len, size);
		memcpy(rte_pktmbuf_mtod_offset(to, uint8_t *, to_off),
		       rte_pktmbuf_mtod_offset(from->seg, const uint8_t *, from->off), len);
		size -= len;
		to_off += len;
		from->off += len;
		if (to_off == rte_pktmbuf_data_len(to)) {
			to = to->next;
			to_off = 0;
		}
		if (from->off == rte_pktmbuf_data_len(from->seg)) {
			from->seg = from->seg->next;
			from->off = 0;
		}
	}
}

/* The whole L4 part of a piece; 0 stands for "none" to UDP and is not used by it. */
static int l4_checksum(const struct rte_mbuf *m, const struct gso *g, uint8_t proto, uint16_t *out)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, g->l2_len);
	uint32_t off = g->l2_len + g->l3_len;
	uint32_t size = rte_pktmbuf_pkt_len(m) - off;
	uint8_t pseudo[40] = { 0 };
	uint32_t sum;
	uint16_t raw;

	/* Source and destination; then length and protocol, which sum up the same in both. */
	memcpy(pseudo, ip + (g->ipv6 ? 8 : 12), g->ipv6 ? 32 : 8);
	put_be16(pseudo + 34, size);
	pseudo[39] = proto;
	if (!offload_sum(m, off, size, &raw))
		return -EINVAL;
	sum = raw + rte_raw_cksum(pseudo, sizeof(pseudo));
	sum = (sum & 0xffff) + (sum >> 16);
	raw = ~sum;
	*out = raw == 0 && proto == IPPROTO_UDP ? 0xffff : raw;
	return 0;
}

static void finish_ip(struct rte_mbuf *m, const struct gso *g, unsigned int piece)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, g->l2_len);
	uint32_t size = rte_pktmbuf_pkt_len(m) - g->l2_len;

	if (g->ipv6) {
		put_be16(ip + 4, size - sizeof(struct rte_ipv6_hdr));
		return;
	}
	put_be16(ip + 2, size);
	if (g->kind != GSO_FRAGMENTS)
		put_be16(ip + 4, g->ip_id + piece);
	offload_finish_ip_checksum(m);
}

static int finish_tcp(struct rte_mbuf *m, const struct gso *g, unsigned int piece)
{
	struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, g->l2_len + g->l3_len);
	uint16_t sum;

	tcp->sent_seq =
		rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + (uint32_t)piece * g->size);
	if (piece + 1 < g->pieces)
		tcp->tcp_flags &= ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (piece > 0)
		tcp->tcp_flags &= ~RTE_TCP_CWR_FLAG;
	tcp->cksum = 0;
	if (l4_checksum(m, g, IPPROTO_TCP, &sum) < 0)
		return -EINVAL;
	tcp->cksum = sum;
	return 0;
}

static int finish_udp(struct rte_mbuf *m, const struct gso *g)
{
	struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, g->l2_len + g->l3_len);
	uint16_t sum;

	udp->dgram_len = rte_cpu_to_be_16(rte_pktmbuf_pkt_len(m) - g->l2_len - g->l3_len);
	udp->dgram_cksum = 0;
	if (l4_checksum(m, g, IPPROTO_UDP, &sum) < 0)
		return -EINVAL;
	udp->dgram_cksum = sum;
	return 0;
}

static void finish_fragment(struct rte_mbuf *m, const struct gso *g, unsigned int piece,
			    uint32_t id)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, g->l2_len);
	bool more = piece + 1 < g->pieces;
	uint32_t offset = piece * g->size; /* a multiple of 8 */
	uint8_t *frag;

	if (!g->ipv6) {
		put_be16(ip + 6, offset / 8 | (more ? RTE_IPV4_HDR_MF_FLAG : 0));
		return;
	}
	ip[6] = IPPROTO_FRAGMENT;
	frag = ip + sizeof(struct rte_ipv6_hdr);
	frag[0] = IPPROTO_UDP;
	frag[1] = 0;
	put_be16(frag + 2, offset | more);
	memcpy(frag + 4, &id, sizeof(id));
}

static int finish_piece(struct rte_mbuf *m, const struct gso *g, unsigned int piece, uint32_t id)
{
	int r = 0;

	switch (g->kind) {
	case GSO_TCP:
		r = finish_tcp(m, g, piece);
		break;
	case GSO_UDP:
		r = finish_udp(m, g);
		break;
	case GSO_FRAGMENTS:
		finish_fragment(m, g, piece, id);
		break;
	}
	finish_ip(m, g, piece);
	return r;
}

static int cut(const struct offload_ctx *ctx, const struct gso *g, bool chains,
	       const struct rte_mbuf *m, struct rte_mbuf **out)
{
	uint32_t extra = g->kind == GSO_FRAGMENTS && g->ipv6 ? IPV6_FRAGMENT_LEN : 0;
	struct cursor from = { .seg = m, .off = g->header_len };
	uint32_t left = g->payload;
	unsigned int piece;
	uint32_t id = 0;
	int r = -ENOMEM;

	if (extra) /* one number for one datagram: its UDP checksum and ports tell it from others */
		memcpy(&id, rte_pktmbuf_mtod_offset(m, const uint8_t *, g->header_len + 4), 4);
	if (from.off == rte_pktmbuf_data_len(m)) {
		from.seg = m->next;
		from.off = 0;
	}
	for (piece = 0; piece < g->pieces; piece++) {
		uint32_t size = RTE_MIN(left, g->size);
		struct rte_mbuf *p = alloc_chain(ctx->pool, chains, g->header_len + extra + size);

		if (!p)
			goto fail;
		out[piece] = p;
		if (rte_pktmbuf_data_len(p) < g->header_len + extra) {
			piece++;
			goto fail; /* mbufs too small for the headers */
		}
		memcpy(rte_pktmbuf_mtod(p, uint8_t *), rte_pktmbuf_mtod(m, const uint8_t *),
		       g->header_len);
		copy_payload(&from, p, g->header_len + extra, size);
		left -= size;
		p->port = m->port;
		p->l2_len = g->l2_len;
		p->l3_len = g->l3_len;
		r = finish_piece(p, g, piece, id);
		if (r < 0) {
			piece++;
			goto fail;
		}
		r = -ENOMEM;
	}
	return piece;

fail:
	rte_pktmbuf_free_bulk(out, piece);
	return r;
}

static int cut_tcp(const struct offload_ctx *ctx, bool chains, struct rte_mbuf *m,
		   struct rte_mbuf **out)
{
	struct gso g = {
		.kind = GSO_TCP,
		.ipv6 = m->ol_flags & RTE_MBUF_F_TX_IPV6,
		.l2_len = m->l2_len,
		.l3_len = m->l3_len,
		.header_len = m->l2_len + m->l3_len + m->l4_len,
		.size = m->tso_segsz,
	};
	const uint8_t *tcp = rte_pktmbuf_mtod_offset(m, const uint8_t *, g.l2_len + g.l3_len);
	int r;

	if (m->l4_len < sizeof(struct rte_tcp_hdr))
		return -EINVAL;
	r = plan(&g, ctx, m, 0);
	if (r < 0)
		return r;
	if ((tcp[12] >> 4) * 4 != m->l4_len)
		return -EINVAL;
	return cut(ctx, &g, chains, m, out);
}

static int cut_fragments(const struct offload_ctx *ctx, bool chains, struct rte_mbuf *m,
			 struct rte_mbuf **out)
{
	struct gso g = {
		.kind = GSO_FRAGMENTS,
		.ipv6 = m->ol_flags & RTE_MBUF_F_TX_IPV6,
		.l2_len = m->l2_len,
		.l3_len = m->l3_len,
		.header_len = m->l2_len + m->l3_len,
		.size = m->tso_segsz,
	};
	uint32_t l4_off = g.header_len;
	struct rte_udp_hdr *udp;
	uint16_t sum;
	int r;

	r = plan(&g, ctx, m, g.ipv6 ? IPV6_FRAGMENT_LEN : 0);
	if (r < 0)
		return r;
	if (l4_off + sizeof(*udp) > rte_pktmbuf_data_len(m) || g.payload > UINT16_MAX ||
	    (g.ipv6 && g.l3_len != sizeof(struct rte_ipv6_hdr)))
		return -EINVAL;
	udp = rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, l4_off);
	udp->dgram_len = rte_cpu_to_be_16(g.payload);
	udp->dgram_cksum = 0;
	r = l4_checksum(m, &g, IPPROTO_UDP, &sum);
	if (r < 0)
		return r;
	udp->dgram_cksum = sum;
	return cut(ctx, &g, chains, m, out);
}

int offload_segment(const struct offload_ctx *ctx, bool chains, struct rte_mbuf *m,
		    struct rte_mbuf **out)
{
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		return cut_tcp(ctx, chains, m, out);
	return cut_fragments(ctx, chains, m, out);
}

int offload_segment_udp(const struct offload_ctx *ctx, bool chains, struct rte_mbuf *m,
			uint16_t size, struct rte_mbuf **out)
{
	struct gso g = {
		.kind = GSO_UDP,
		.ipv6 = m->ol_flags & RTE_MBUF_F_TX_IPV6,
		.l2_len = m->l2_len,
		.l3_len = m->l3_len,
		.header_len = m->l2_len + m->l3_len + sizeof(struct rte_udp_hdr),
		.size = size,
	};
	int r = plan(&g, ctx, m, 0);

	if (r < 0)
		return r;
	return cut(ctx, &g, chains, m, out);
}
