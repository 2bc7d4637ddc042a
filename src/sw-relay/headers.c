/* SPDX-License-Identifier: BSD-3-Clause */

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "sw-relay/headers.h"

#define MAX_VLAN_TAGS 2
#define MAX_L3_LEN 511 /* what rte_mbuf's l3_len can say */

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static bool parse_l2(const uint8_t *data, size_t len, struct headers *h, uint16_t *ether_type)
{
	size_t off = sizeof(struct rte_ether_hdr);

	if (len < off)
		return false;
	*ether_type = get_be16(data + off - 2);
	for (unsigned int i = 0; i < MAX_VLAN_TAGS; i++) {
		if (*ether_type != RTE_ETHER_TYPE_VLAN && *ether_type != RTE_ETHER_TYPE_QINQ)
			break;
		if (len < off + sizeof(struct rte_vlan_hdr))
			return false;
		*ether_type = get_be16(data + off + 2);
		off += sizeof(struct rte_vlan_hdr);
	}
	h->l2_len = off;
	return true;
}

static bool parse_ipv4(const uint8_t *data, size_t len, struct headers *h)
{
	size_t ihl;

	if (len < sizeof(struct rte_ipv4_hdr) || data[0] >> 4 != 4)
		return false;
	ihl = (data[0] & 0xf) * 4;
	if (ihl < sizeof(struct rte_ipv4_hdr) || ihl > len)
		return false;
	h->l3_len = ihl;
	h->proto = data[9];
	h->fragment = (get_be16(data + 6) & (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0;
	return true;
}

static bool parse_ipv6(const uint8_t *data, size_t len, struct headers *h)
{
	size_t off = sizeof(struct rte_ipv6_hdr);
	uint8_t proto;

	if (len < off || data[0] >> 4 != 6)
		return false;
	h->ipv6 = true;
	proto = data[6];
	for (;;) {
		size_t size;

		switch (proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (len < off + 8)
				return false;
			size = (data[off + 1] + 1u) * 8;
			break;
		case IPPROTO_AH:
			if (len < off + 8)
				return false;
			size = (data[off + 1] + 2u) * 4;
			break;
		case IPPROTO_FRAGMENT:
			if (len < off + 8)
				return false;
			size = 8;
			h->fragment = true;
			break;
		default:
			h->l3_len = off;
			h->proto = proto;
			return true;
		}
		if (len < off + size || off + size > MAX_L3_LEN)
			return false;
		h->extension_headers = true;
		proto = data[off];
		off += size;
	}
}

static bool parse_l4(const uint8_t *data, size_t len, struct headers *h)
{
	size_t l4_len;

	switch (h->proto) {
	case IPPROTO_TCP:
		if (len < sizeof(struct rte_tcp_hdr))
			return false;
		l4_len = (data[12] >> 4) * 4;
		if (l4_len < sizeof(struct rte_tcp_hdr))
			return false;
		break;
	case IPPROTO_UDP:
		l4_len = sizeof(struct rte_udp_hdr);
		break;
	case IPPROTO_SCTP:
		l4_len = sizeof(struct rte_sctp_hdr);
		break;
	default:
		return true;
	}
	if (len < l4_len)
		return false;
	h->l4_len = l4_len;
	return true;
}

bool headers_parse(const uint8_t *data, size_t len, struct headers *h)
{
	uint16_t ether_type;
	bool ok;

	memset(h, 0, sizeof(*h));
	if (!parse_l2(data, len, h, &ether_type))
		return false;
	data += h->l2_len;
	len -= h->l2_len;
	if (ether_type == RTE_ETHER_TYPE_IPV4)
		ok = parse_ipv4(data, len, h);
	else if (ether_type == RTE_ETHER_TYPE_IPV6)
		ok = parse_ipv6(data, len, h);
	else
		return true;
	if (!ok)
		return false;
	return h->fragment || parse_l4(data + h->l3_len, len - h->l3_len, h);
}
