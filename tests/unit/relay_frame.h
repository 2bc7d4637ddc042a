/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Frames for the tests of offloads, and their sums computed byte by byte, apart from the code that
 * is tested. Included after kselftest_harness.h.
 */
#ifndef VIO4WD_TEST_RELAY_FRAME_H
#define VIO4WD_TEST_RELAY_FRAME_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "relay_eal.h"
#include "sw-relay/offload.h"

#define ROOM 1024
#define MAX_PACKET 66000

enum { L4_TCP, L4_UDP, L4_SCTP };

struct shape {
	unsigned int vlans;
	bool ipv6;
	bool extension; /* IPv6 destination options, 16 bytes */
	int l4;
	unsigned int options; /* bytes of TCP or IPv4 options each */
	uint32_t payload;
	uint32_t first;	  /* bytes in the first mbuf; 0: as many as fit */
	uint32_t padding; /* Ethernet's, behind the datagram */
};

static uint8_t frame[MAX_PACKET];
static uint32_t frame_len;
static uint16_t l2_len, l3_len, l4_len;

static inline void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static inline uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline uint32_t add_bytes(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		sum += i & 1 ? p[i] : p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline uint32_t pseudo_sum(const uint8_t *ip, bool ipv6, uint8_t proto, uint32_t len)
{
	uint32_t sum = ipv6 ? add_bytes(0, ip + 8, 32) : add_bytes(0, ip + 12, 8);

	sum += proto + len;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* 0xffff: the sum over a right packet, its checksum included, is all ones. */
static inline uint32_t l4_sum(const uint8_t *p, bool ipv6, uint8_t proto, uint32_t l2, uint32_t l3,
			      uint32_t len)
{
	uint32_t sum = pseudo_sum(p + l2, ipv6, proto, len);

	sum += add_bytes(0, p + l2 + l3, len);
	return (sum & 0xffff) + (sum >> 16);
}

static inline uint32_t crc32c(const uint8_t *p, uint32_t len)
{
	uint32_t crc = ~0u;

	for (uint32_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static inline uint8_t *put_l2(uint8_t *p, const struct shape *s)
{
	memset(p, 0x02, 12);
	p += 12;
	for (unsigned int i = 0; i < s->vlans; i++, p += 4) {
		put16(p, i + 1 < s->vlans ? 0x88a8 : 0x8100);
		put16(p + 2, 100 + i);
	}
	put16(p, s->ipv6 ? 0x86dd : 0x0800);
	return p + 2;
}

static inline uint8_t *put_l3(uint8_t *p, const struct shape *s, uint8_t proto, uint32_t l4_size)
{
	if (s->ipv6) {
		unsigned int ext = s->extension ? 16 : 0;

		memset(p, 0, 40 + ext);
		p[0] = 0x60;
		put16(p + 4, ext + l4_size);
		p[6] = ext ? IPPROTO_DSTOPTS : proto;
		p[7] = 64;
		for (int i = 8; i < 40; i++)
			p[i] = i * 7;
		if (ext) {
			p[40] = proto;
			p[41] = 1;
		}
		return p + 40 + ext;
	}
	memset(p, 1, 20 + s->options); /* options: no operation */
	p[0] = 0x40 | (20 + s->options) / 4;
	p[1] = 0;
	put16(p + 2, 20 + s->options + l4_size);
	put16(p + 4, 0xfffe); /* the id wraps within a train */
	put16(p + 6, 0x4000);
	p[8] = 64;
	p[9] = proto;
	put16(p + 10, 0xdead);
	memcpy(p + 12, "\x0a\x00\x00\x01\xc0\xa8\xff\xfe", 8);
	return p + 20 + s->options;
}

static inline void put_l4(uint8_t *p, const struct shape *s, uint32_t size)
{
	memset(p, 0, l4_len);
	put16(p, 1234);
	put16(p + 2, 80);
	switch (s->l4) {
	case L4_TCP:
		put16(p + 4, 0xffff);
		put16(p + 6, 0xff00); /* the sequence number wraps */
		p[12] = l4_len / 4 << 4;
		p[13] = 0x99; /* CWR ACK PSH FIN */
		memset(p + 20, 1, l4_len - 20);
		break;
	case L4_UDP:
		put16(p + 4, size);
		break;
	}
}

/* Writes frame[] with the pseudo-header's sum where virtio wants it. */
static inline void build_frame(const struct shape *s)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	uint8_t *p = put_l2(frame, s), *ip = p;
	uint32_t size;

	l4_len = s->l4 == L4_TCP ? 20 + s->options : s->l4 == L4_UDP ? 8 : 12;
	size = l4_len + s->payload;
	l2_len = p - frame;
	p = put_l3(p, s, protos[s->l4], size);
	l3_len = p - ip;
	put_l4(p, s, size);
	if (s->l4 != L4_SCTP)
		put16(p + (s->l4 == L4_TCP ? 16 : 6), pseudo_sum(ip, s->ipv6, protos[s->l4], size));
	for (uint32_t i = 0; i < s->payload; i++)
		p[l4_len + i] = i * 31 + (i >> 8);
	memset(p + size, 0x55, s->padding);
	frame_len = l2_len + l3_len + size + s->padding;
}

static inline struct rte_mbuf *to_mbufs(uint32_t first)
{
	struct rte_mbuf *head = NULL, *tail = NULL;
	uint32_t done = 0;

	while (done < frame_len || !head) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(test_pool);
		uint32_t room = head || !first ? ROOM : first;
		uint32_t len = frame_len - done < room ? frame_len - done : room;

		memcpy(rte_pktmbuf_append(m, len), frame + done, len);
		done += len;
		if (head) {
			tail->next = m;
			head->nb_segs++;
			head->pkt_len += len;
		} else {
			head = m;
		}
		tail = m;
	}
	return head;
}

static inline struct rte_mbuf *build(const struct shape *s)
{
	static const uint64_t flags[] = { RTE_MBUF_F_TX_TCP_CKSUM, RTE_MBUF_F_TX_UDP_CKSUM,
					  RTE_MBUF_F_TX_SCTP_CKSUM };
	struct rte_mbuf *m;

	build_frame(s);
	m = to_mbufs(s->first);
	m->ol_flags |= flags[s->l4] | (s->ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	m->l2_len = l2_len;
	m->l3_len = l3_len;
	m->l4_len = l4_len;
	return m;
}

static inline uint32_t flatten(struct rte_mbuf *m, uint8_t *buf)
{
	uint32_t len = 0;

	for (; m; m = m->next) {
		memcpy(buf + len, rte_pktmbuf_mtod(m, void *), m->data_len);
		len += m->data_len;
	}
	return len;
}

FIXTURE(offload) {
	struct offload_ctx ctx;
	struct offload_drops drops;
	struct rte_mbuf *out[OFFLOAD_MAX_SEGMENTS];
	uint8_t got[MAX_PACKET];
	unsigned int before;
};

FIXTURE_SETUP(offload)
{
	self->ctx = (struct offload_ctx){ .pool = test_pool };
	memset(&self->drops, 0, sizeof(self->drops));
	self->before = rte_mempool_avail_count(test_pool);
}

FIXTURE_TEARDOWN(offload)
{
	EXPECT_EQ(self->before, rte_mempool_avail_count(test_pool));
}

#endif
