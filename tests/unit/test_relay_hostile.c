/* SPDX-License-Identifier: BSD-3-Clause */

/* Packets whose headers lie, and a pool that is empty. */
#include <string.h>

#include <kselftest_harness.h>

#include "relay_frame.h"

/* Breaks something in a packet that was right. */
struct harm {
	const char *name;
	uint64_t flags; /* besides the checksum's */
	void (*apply)(struct rte_mbuf *m);
};

static void harm_l2_long(struct rte_mbuf *m)
{
	m->l2_len = 127;
	m->l3_len = 511;
	m->l4_len = 255;
}

static void harm_l2_short(struct rte_mbuf *m)
{
	m->l2_len = 0;
}

static void harm_l3_short(struct rte_mbuf *m)
{
	m->l3_len = 4;
}

static void harm_l4_short(struct rte_mbuf *m)
{
	m->l4_len = 0;
}

static void harm_l4_long(struct rte_mbuf *m)
{
	m->l4_len = 255;
}

static void harm_version(struct rte_mbuf *m)
{
	*rte_pktmbuf_mtod_offset(m, uint8_t *, 14) = 0xf5;
}

static void harm_ihl(struct rte_mbuf *m)
{
	*rte_pktmbuf_mtod_offset(m, uint8_t *, 14) = 0x4f;
}

static void harm_total_length(struct rte_mbuf *m)
{
	put16(rte_pktmbuf_mtod_offset(m, uint8_t *, 16), 0xffff);
}

static void harm_total_length_short(struct rte_mbuf *m)
{
	put16(rte_pktmbuf_mtod_offset(m, uint8_t *, 16), 24);
}

static void harm_fragment(struct rte_mbuf *m)
{
	put16(rte_pktmbuf_mtod_offset(m, uint8_t *, 20), 0x2000);
}

static void harm_data_offset(struct rte_mbuf *m)
{
	*rte_pktmbuf_mtod_offset(m, uint8_t *, 14 + 20 + 12) = 0xf0;
}

static void harm_mss_zero(struct rte_mbuf *m)
{
	m->tso_segsz = 0;
}

static void harm_mss_tiny(struct rte_mbuf *m)
{
	m->tso_segsz = 1;
}

static void harm_cut_off(struct rte_mbuf *m)
{
	rte_pktmbuf_trim(m, rte_pktmbuf_pkt_len(m) - 30);
}

static void harm_ipv6(struct rte_mbuf *m)
{
	m->ol_flags ^= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6;
}

TEST_F(offload, malformed_packets_are_dropped) {
	static const struct harm harms[] = {
		{ "l2 long", 0, harm_l2_long },
		{ "l2 long, tso", RTE_MBUF_F_TX_TCP_SEG, harm_l2_long },
		{ "l2 long, ip", RTE_MBUF_F_TX_IP_CKSUM, harm_l2_long },
		{ "l2 short", 0, harm_l2_short },
		{ "l2 short, tso", RTE_MBUF_F_TX_TCP_SEG, harm_l2_short },
		{ "l3 short", 0, harm_l3_short },
		{ "l3 short, tso", RTE_MBUF_F_TX_TCP_SEG, harm_l3_short },
		{ "l4 short, tso", RTE_MBUF_F_TX_TCP_SEG, harm_l4_short },
		{ "l4 long, tso", RTE_MBUF_F_TX_TCP_SEG, harm_l4_long },
		{ "version", 0, harm_version },
		{ "version, tso", RTE_MBUF_F_TX_TCP_SEG, harm_version },
		{ "ihl", 0, harm_ihl },
		{ "ihl, tso", RTE_MBUF_F_TX_TCP_SEG, harm_ihl },
		{ "total length", 0, harm_total_length },
		{ "total length short", 0, harm_total_length_short },
		{ "fragment, tso", RTE_MBUF_F_TX_TCP_SEG, harm_fragment },
		{ "data offset, tso", RTE_MBUF_F_TX_TCP_SEG, harm_data_offset },
		{ "no mss", RTE_MBUF_F_TX_TCP_SEG, harm_mss_zero },
		{ "no mss, udp", RTE_MBUF_F_TX_UDP_SEG, harm_mss_zero },
		{ "tiny mss", RTE_MBUF_F_TX_TCP_SEG, harm_mss_tiny },
		{ "tiny mss, udp", RTE_MBUF_F_TX_UDP_SEG, harm_mss_tiny },
		{ "cut off", 0, harm_cut_off },
		{ "cut off, tso", RTE_MBUF_F_TX_TCP_SEG, harm_cut_off },
		{ "cut off, udp", RTE_MBUF_F_TX_UDP_SEG, harm_cut_off },
		{ "ipv6", 0, harm_ipv6 },
		{ "ipv6, tso", RTE_MBUF_F_TX_TCP_SEG, harm_ipv6 },
	};
	struct shape s = { .l4 = L4_TCP, .payload = 800 };

	for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
		struct rte_mbuf *m = build(&s);
		uint64_t bytes;

		m->ol_flags |= harms[i].flags;
		m->tso_segsz = 100;
		harms[i].apply(m);
		bytes = rte_pktmbuf_pkt_len(m);
		memset(&self->drops, 0, sizeof(self->drops));
		EXPECT_EQ(0, offload_finish(&self->ctx, 0, m, self->out, &self->drops))
		{
			TH_LOG("%s", harms[i].name);
		}
		EXPECT_EQ(1, self->drops.malformed_packets);
		EXPECT_EQ(bytes, self->drops.malformed_bytes);
	}
}

TEST_F(offload, an_empty_pool_drops) {
	struct shape s = { .l4 = L4_TCP, .payload = 8000 };
	struct rte_mbuf *m = build(&s), *taken = NULL, *t;

	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz = 500;
	while ((t = rte_pktmbuf_alloc(test_pool))) {
		t->next = taken;
		taken = t;
	}
	for (int i = 0; i < 3; i++) { /* so many segments, then no more */
		t = taken->next;
		taken->next = NULL;
		rte_pktmbuf_free(taken);
		taken = t;
	}
	EXPECT_EQ(0, offload_finish(&self->ctx, 0, m, self->out, &self->drops));
	EXPECT_EQ(1, self->drops.no_memory_packets);
	EXPECT_EQ(0, self->drops.malformed_packets);
	while (taken) {
		t = taken->next;
		taken->next = NULL;
		rte_pktmbuf_free(taken);
		taken = t;
	}
}

static uint32_t random_below(uint32_t n)
{
	static uint32_t seed = 1;

	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Random header lengths and bytes: nothing is read or written outside, which the sanitizers see,
 * and nothing leaks. */
TEST_F(offload, noise) {
	for (unsigned int round = 0; round < 50000; round++) {
		struct shape s = { .l4 = random_below(3),
				   .ipv6 = random_below(2),
				   .vlans = random_below(3),
				   .extension = random_below(2),
				   .payload = random_below(300),
				   .first = random_below(2) ? 14 + random_below(100) : 0 };
		struct rte_mbuf *m = build(&s);
		uint32_t offloads = random_below(256);
		uint16_t n = 1;

		for (unsigned int i = random_below(4); i > 0; i--)
			*rte_pktmbuf_mtod_offset(m, uint8_t *, random_below(m->data_len)) =
				random_below(256);
		if (random_below(2)) {
			m->l2_len = random_below(128);
			m->l3_len = random_below(512);
			m->l4_len = random_below(256);
		}
		m->tso_segsz = random_below(400);
		switch (random_below(4)) {
		case 0:
			m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
			break;
		case 1:
			m->ol_flags |= RTE_MBUF_F_TX_UDP_SEG;
			break;
		case 2:
			m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
			break;
		default:
			m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_NONE |
				      (random_below(2) ? RTE_MBUF_F_RX_LRO : 0);
			if (!offload_from_guest(m)) {
				rte_pktmbuf_free(m);
				continue;
			}
		}
		if (offload_unmet(offloads, m))
			n = offload_finish(&self->ctx, offloads, m, self->out, &self->drops);
		else
			self->out[0] = m;
		rte_pktmbuf_free_bulk(self->out, n);
	}
}

int main(int argc, char **argv)
{
	return relay_test_main(argc, argv, 2047, ROOM);
}
