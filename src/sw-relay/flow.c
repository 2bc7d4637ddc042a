/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The Toeplitz hash is linear: the hash of a tuple is the XOR of what each of its bytes gives at
 * its position. So one table per byte position, filled once by rte_softrss itself, replaces the
 * loop over bits, and a TCP over IPv4 packet costs 12 look-ups.
 */
#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_thash.h>

#include "sw-relay/flow.h"
#include "sw-relay/headers.h"

#define TUPLE_MAX 36 /* two IPv6 addresses and two ports */

/* The key of Microsoft's RSS specification, which NIC drivers use by default. */
static const uint8_t flow_key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static uint32_t toeplitz[TUPLE_MAX][256];

void flow_init(void)
{
	for (unsigned int pos = 0; pos < TUPLE_MAX; pos++) {
		for (unsigned int value = 0; value < 256; value++) {
			uint32_t tuple[TUPLE_MAX / 4] = { 0 };

			/* rte_softrss takes words in the CPU's order: byte 0 is the highest. */
			tuple[pos / 4] = value << (24 - 8 * (pos % 4));
			toeplitz[pos][value] = rte_softrss(tuple, TUPLE_MAX / 4, flow_key);
		}
	}
}

static uint32_t hash_bytes(uint32_t hash, unsigned int pos, const uint8_t *data, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		hash ^= toeplitz[pos + i][data[i]];
	return hash;
}

uint32_t flow_hash_software(const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	unsigned int addresses;
	struct headers h;
	uint32_t hash;

	if (!headers_parse(data, rte_pktmbuf_data_len(m), &h) || !h.l3_len)
		return 0;
	if (h.ipv6) {
		addresses = 32;
		hash = hash_bytes(0, 0, data + h.l2_len + offsetof(struct rte_ipv6_hdr, src_addr),
				  addresses);
	} else {
		addresses = 8;
		hash = hash_bytes(0, 0, data + h.l2_len + offsetof(struct rte_ipv4_hdr, src_addr),
				  addresses);
	}
	/* Only the first fragment has ports: all of them go by the addresses. */
	if (h.l4_len && !h.fragment)
		hash = hash_bytes(hash, addresses, data + h.l2_len + h.l3_len, 4);
	return hash;
}
