/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Everything that offload_finish() makes is checked against sums that are computed here byte by
 * byte, and against the packet it was made from.
 */
#include <netinet/in.h>
#include <string.h>

#include <kselftest_harness.h>

#include <linux/virtio_net.h>

#include "relay_frame.h"
#include "sw-relay/offload_gso.h"

TEST_F(offload, plain_packets_need_nothing) {
	struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_TCP, .payload = 100 });

	m->ol_flags = 0;
	EXPECT_FALSE(offload_unmet(0, m));
	m->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM;
	EXPECT_TRUE(offload_unmet(0, m));
	EXPECT_FALSE(offload_unmet(OFFLOAD_TCP_CKSUM, m));
	rte_pktmbuf_free(m);
}

TEST_F(offload, guest_features) {
	EXPECT_EQ(OFFLOAD_IP_CKSUM | OFFLOAD_MULTI_SEGS, offload_of_guest(0));
	/* segmentation without checksums is not a thing */
	EXPECT_EQ(OFFLOAD_IP_CKSUM | OFFLOAD_MULTI_SEGS,
		  offload_of_guest(1ull << VIRTIO_NET_F_GUEST_TSO4));
	EXPECT_EQ(OFFLOAD_IP_CKSUM | OFFLOAD_MULTI_SEGS | OFFLOAD_TCP_CKSUM | OFFLOAD_UDP_CKSUM |
			  OFFLOAD_TSO6,
		  offload_of_guest(1ull << VIRTIO_NET_F_GUEST_CSUM |
				   1ull << VIRTIO_NET_F_GUEST_TSO6));
}

static void check_checksum(struct __test_metadata *_metadata, FIXTURE_DATA(offload) * self,
			   const struct shape *s)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	struct rte_mbuf *m = build(s);
	uint32_t off = l2_len + l3_len, size = l4_len + s->payload;
	uint8_t *field = frame + off + (s->l4 == L4_TCP ? 16 : s->l4 == L4_UDP ? 6 : 8);

	if (!s->ipv6)
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	ASSERT_EQ(1, offload_finish(&self->ctx, OFFLOAD_MULTI_SEGS, m, self->out, &self->drops));
	EXPECT_EQ(0, self->out[0]->ol_flags & OFFLOAD_FLAGS);
	EXPECT_EQ(frame_len, flatten(self->out[0], self->got));
	if (s->l4 == L4_SCTP) {
		uint32_t crc;

		memset(field, 0, 4);
		crc = crc32c(frame + off, size);
		for (int i = 0; i < 4; i++)
			field[i] = crc >> 8 * i;
		EXPECT_EQ(0, memcmp(self->got + off + 8, field, 4));
	} else {
		EXPECT_EQ(0xffff, l4_sum(self->got, s->ipv6, protos[s->l4], l2_len, l3_len, size));
		memcpy(field, self->got + (field - frame), 2);
	}
	if (!s->ipv6) {
		EXPECT_EQ(0xffff, add_bytes(0, self->got + l2_len, l3_len));
		memcpy(frame + l2_len + 10, self->got + l2_len + 10, 2);
	}
	/* nothing else was touched */
	EXPECT_EQ(0, memcmp(frame, self->got, frame_len));
	rte_pktmbuf_free(self->out[0]);
}

TEST_F(offload, checksums) {
	for (int l4 = L4_TCP; l4 <= L4_SCTP; l4++) {
		for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
			for (unsigned int vlans = 0; vlans < 3; vlans++) {
				struct shape s = { .l4 = l4, .ipv6 = ipv6, .vlans = vlans };

				s.payload = 99; /* odd */
				check_checksum(_metadata, self, &s);
				s.payload = 3001; /* a chain with odd parts */
				s.first = 201;
				check_checksum(_metadata, self, &s);
				s.payload = 0;
				s.first = 0;
				s.padding = 6;
				check_checksum(_metadata, self, &s);
			}
		}
	}
	check_checksum(_metadata, self,
		       &(struct shape){ .l4 = L4_TCP, .options = 12, .payload = 9 });
	check_checksum(
		_metadata, self,
		&(struct shape){ .l4 = L4_UDP, .ipv6 = true, .extension = true, .payload = 9 });
}

TEST_F(offload, udp_never_sends_zero) {
	struct shape s = { .l4 = L4_UDP, .payload = 2 };
	struct rte_mbuf *m = build(&s);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t sum;

	/* a payload that makes the sum all ones, and so its complement 0 */
	put16(p + 42, 0);
	sum = add_bytes(0, p + 34, 10);
	put16(p + 42, 0xffff - sum);
	ASSERT_EQ(1, offload_finish(&self->ctx, 0, m, self->out, &self->drops));
	EXPECT_EQ(0xffff, get16(rte_pktmbuf_mtod(m, uint8_t *) + 40));
	rte_pktmbuf_free(m);
}

TEST_F(offload, receivers_without_chains_get_one_mbuf) {
	struct shape s = { .l4 = L4_UDP, .payload = 700, .first = 100 };
	struct rte_mbuf *m = build(&s);

	m->ol_flags = 0;
	ASSERT_TRUE(offload_unmet(0, m));
	ASSERT_EQ(1, offload_finish(&self->ctx, 0, m, self->out, &self->drops));
	EXPECT_EQ(1, self->out[0]->nb_segs);
	EXPECT_EQ(frame_len, flatten(self->out[0], self->got));
	EXPECT_EQ(0, memcmp(frame, self->got, frame_len));
	rte_pktmbuf_free(self->out[0]);

	/* longer than an mbuf */
	s.payload = 5000;
	m = build(&s);
	m->ol_flags = 0;
	EXPECT_EQ(0, offload_finish(&self->ctx, 0, m, self->out, &self->drops));
	EXPECT_EQ(1, self->drops.no_memory_packets);
	EXPECT_EQ(frame_len, self->drops.no_memory_bytes);
}

static void check_tcp_piece(struct __test_metadata *_metadata, const uint8_t *p, uint32_t len,
			    bool ipv6, uint16_t mss, uint32_t offset, unsigned int i, bool last)
{
	const uint8_t *ip = p + l2_len, *tcp = ip + l3_len;
	const uint8_t *orig_tcp = frame + l2_len + l3_len;
	uint32_t hdr = l2_len + l3_len + l4_len;
	uint8_t flags = 0x10 | (i == 0 ? 0x80 : 0) | (last ? 0x09 : 0);

	EXPECT_TRUE(len <= hdr + mss);
	EXPECT_TRUE(last || len == hdr + mss);
	EXPECT_EQ(0xffff, l4_sum(p, ipv6, IPPROTO_TCP, l2_len, l3_len, len - l2_len - l3_len));
	EXPECT_EQ(get32(orig_tcp + 4) + offset, get32(tcp + 4));
	EXPECT_EQ(flags, tcp[13]);
	EXPECT_EQ(0, memcmp(p, frame, l2_len));
	if (ipv6) {
		EXPECT_EQ(len - l2_len - 40, get16(ip + 4));
		EXPECT_EQ(0, memcmp(ip + 6, frame + l2_len + 6, l3_len - 6));
	} else {
		EXPECT_EQ(len - l2_len, get16(ip + 2));
		EXPECT_EQ((0xfffe + i) & 0xffff, get16(ip + 4));
		EXPECT_EQ(0xffff, add_bytes(0, ip, l3_len));
	}
	EXPECT_EQ(0, memcmp(tcp + 20, orig_tcp + 20, l4_len - 20));
	EXPECT_EQ(0, memcmp(p + hdr, frame + hdr + offset, len - hdr));
}

static void check_tso(struct __test_metadata *_metadata, FIXTURE_DATA(offload) * self,
		      const struct shape *s, uint16_t mss, uint32_t offloads)
{
	struct rte_mbuf *m = build(s);
	uint32_t offset = 0;
	uint16_t n;

	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz = mss;
	n = offload_finish(&self->ctx, offloads, m, self->out, &self->drops);
	ASSERT_EQ(s->payload ? (s->payload + mss - 1) / mss : 1, n);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = flatten(self->out[i], self->got);

		EXPECT_EQ(len, rte_pktmbuf_pkt_len(self->out[i]));
		EXPECT_EQ(0, self->out[i]->ol_flags & OFFLOAD_FLAGS);
		EXPECT_TRUE(offloads & OFFLOAD_MULTI_SEGS || self->out[i]->nb_segs == 1);
		check_tcp_piece(_metadata, self->got, len, s->ipv6, mss, offset, i, i + 1 == n);
		offset += len - l2_len - l3_len - l4_len;
		rte_pktmbuf_free(self->out[i]);
	}
	EXPECT_EQ(s->payload, offset);
}

TEST_F(offload, tcp_segments) {
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		for (unsigned int vlans = 0; vlans < 3; vlans++) {
			struct shape s = {
				.l4 = L4_TCP, .ipv6 = ipv6, .vlans = vlans, .options = 12
			};

			s.payload = 64000;
			check_tso(_metadata, self, &s, 1448, OFFLOAD_MULTI_SEGS);
			s.first = 129; /* all headers, and cut within the payload */
			check_tso(_metadata, self, &s, 511, 0);
			s.payload = 4000;
			check_tso(_metadata, self, &s, 2000, OFFLOAD_MULTI_SEGS);
			s.payload = 700;
			check_tso(_metadata, self, &s, 700, 0);
			s.payload = 0;
			check_tso(_metadata, self, &s, 700, 0);
		}
	}
	check_tso(_metadata, self,
		  &(struct shape){ .l4 = L4_TCP, .ipv6 = true, .extension = true, .payload = 5000 },
		  1000, OFFLOAD_MULTI_SEGS);
}

TEST_F(offload, headers_end_with_the_first_mbuf) {
	struct shape s = { .l4 = L4_TCP, .payload = 3000, .first = 54 };

	check_tso(_metadata, self, &s, 900, 0);
}

TEST_F(offload, segments_fit_the_receiver) {
	struct shape s = { .l4 = L4_TCP, .payload = 3000 };
	struct rte_mbuf *m = build(&s);
	uint16_t n;

	self->ctx.max_frame = 500;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz = 1448;
	n = offload_finish(&self->ctx, OFFLOAD_MULTI_SEGS, m, self->out, &self->drops);
	ASSERT_EQ(7, n);
	for (unsigned int i = 0; i < n; i++)
		EXPECT_TRUE(rte_pktmbuf_pkt_len(self->out[i]) <= 500);
	rte_pktmbuf_free_bulk(self->out, n);
}

TEST_F(offload, a_port_that_segments_gets_the_packet_whole) {
	struct shape s = { .l4 = L4_TCP, .payload = 3000 };
	struct rte_mbuf *m = build(&s);

	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM;
	m->tso_segsz = 1448;
	EXPECT_FALSE(offload_unmet(
		OFFLOAD_TSO4 | OFFLOAD_TCP_CKSUM | OFFLOAD_IP_CKSUM | OFFLOAD_MULTI_SEGS, m));
	/* only the IP checksum is missing */
	ASSERT_EQ(1,
		  offload_finish(&self->ctx, OFFLOAD_TSO4 | OFFLOAD_TCP_CKSUM | OFFLOAD_MULTI_SEGS,
				 m, self->out, &self->drops));
	flatten(self->out[0], self->got);
	EXPECT_EQ(0xffff, add_bytes(0, self->got + l2_len, l3_len));
	EXPECT_NE(0, m->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
	rte_pktmbuf_free(m);
}

static void check_fragments(struct __test_metadata *_metadata, FIXTURE_DATA(offload) * self,
			    const struct shape *s, uint16_t size)
{
	static uint8_t whole[MAX_PACKET];
	unsigned int extra = s->ipv6 ? 8 : 0;
	struct rte_mbuf *m = build(s);
	uint32_t total = 8 + s->payload, done = 0;
	uint16_t n;

	m->ol_flags |= RTE_MBUF_F_TX_UDP_SEG;
	m->tso_segsz = size;
	n = offload_finish(&self->ctx, OFFLOAD_MULTI_SEGS, m, self->out, &self->drops);
	ASSERT_EQ((total + (size & ~7) - 1) / (size & ~7), n);
	memcpy(whole, frame, l2_len + l3_len);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = flatten(self->out[i], self->got);
		const uint8_t *ip = self->got + l2_len;
		uint32_t part = len - l2_len - l3_len - extra;
		uint16_t frag = s->ipv6 ? get16(ip + 42) : get16(ip + 6);
		bool more = s->ipv6 ? frag & 1 : (frag & 0x2000) != 0;

		EXPECT_EQ(i + 1 < n, more);
		EXPECT_EQ(done, s->ipv6 ? frag & ~7u : (frag & 0x1fffu) * 8);
		EXPECT_EQ(len - l2_len - (s->ipv6 ? 40 : 0), get16(ip + (s->ipv6 ? 4 : 2)));
		if (!s->ipv6) {
			EXPECT_EQ(0xffff, add_bytes(0, ip, l3_len));
			EXPECT_EQ(0xfffe, get16(ip + 4));
		}
		memcpy(whole + l2_len + l3_len + done, self->got + len - part, part);
		done += part;
		rte_pktmbuf_free(self->out[i]);
	}
	ASSERT_EQ(total, done);
	EXPECT_EQ(0xffff, l4_sum(whole, s->ipv6, IPPROTO_UDP, l2_len, l3_len, total));
	EXPECT_EQ(0, memcmp(whole + l2_len + l3_len + 8, frame + l2_len + l3_len + 8, s->payload));
}

TEST_F(offload, udp_fragments) {
	check_fragments(_metadata, self, &(struct shape){ .l4 = L4_UDP, .payload = 9001 }, 1480);
	check_fragments(_metadata, self,
			&(struct shape){ .l4 = L4_UDP, .ipv6 = true, .vlans = 1, .payload = 9001 },
			1451);
}

TEST_F(offload, udp_trains) {
	struct shape s = { .l4 = L4_UDP, .payload = 5050 };

	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct rte_mbuf *m;
		uint32_t done = 0;
		int n;

		s.ipv6 = ipv6;
		m = build(&s);
		n = offload_segment_udp(&self->ctx, true, m, 1000, self->out);
		ASSERT_EQ(6, n);
		for (int i = 0; i < n; i++) {
			uint32_t len = flatten(self->out[i], self->got);
			uint32_t hdr = l2_len + l3_len + 8;

			EXPECT_EQ(0xffff, l4_sum(self->got, ipv6, IPPROTO_UDP, l2_len, l3_len,
						 len - l2_len - l3_len));
			EXPECT_EQ(len - l2_len - l3_len, get16(self->got + l2_len + l3_len + 4));
			EXPECT_EQ(0, memcmp(self->got + hdr, frame + hdr + done, len - hdr));
			done += len - hdr;
			rte_pktmbuf_free(self->out[i]);
		}
		EXPECT_EQ(5050, done);
		rte_pktmbuf_free(m);
	}
}

/* Flags as the vhost library's compliant dequeue leaves them. */
TEST_F(offload, flags_of_guests) {
	struct shape s = { .l4 = L4_TCP, .ipv6 = true, .vlans = 1, .options = 8, .payload = 900 };
	struct rte_mbuf *m = build(&s);

	m->ol_flags = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_RX_L4_CKSUM_NONE;
	m->tx_offload = 0;
	m->tso_segsz = 100;
	ASSERT_TRUE(offload_from_guest(m));
	EXPECT_EQ(RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6,
		  m->ol_flags);
	EXPECT_EQ(18, (int)m->l2_len);
	EXPECT_EQ(40, (int)m->l3_len);
	EXPECT_EQ(28, (int)m->l4_len);
	rte_pktmbuf_free(m);

	s = (struct shape){ .l4 = L4_UDP, .payload = 10 };
	m = build(&s);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
	ASSERT_TRUE(offload_from_guest(m));
	EXPECT_EQ(RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4, m->ol_flags);
	/* headers that are cut off */
	rte_pktmbuf_trim(m, 15);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE;
	EXPECT_FALSE(offload_from_guest(m));
	rte_pktmbuf_free(m);
}

int main(int argc, char **argv)
{
	return relay_test_main(argc, argv, 2047, ROOM);
}
