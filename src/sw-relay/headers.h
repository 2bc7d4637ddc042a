/* SPDX-License-Identifier: BSD-3-Clause */

/* Where the headers of a frame are. Reads bytes that a guest or the network wrote: nothing is
 * believed, nothing outside data is touched. */
#ifndef VIO4WD_RELAY_HEADERS_H
#define VIO4WD_RELAY_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct headers {
	uint16_t l2_len; /* Ethernet and up to two VLAN tags */
	uint16_t l3_len; /* IPv4 with options, IPv6 with extension headers */
	uint16_t l4_len; /* TCP with options, UDP, SCTP; 0 for other protocols and fragments */
	uint8_t proto;	 /* IPPROTO_* of the header after l3; 0 when the frame is not IP */
	bool ipv6;
	bool extension_headers; /* IPv6 */
	bool fragment;		/* not the whole datagram */
};

/* False when a header is cut off or contradicts itself. A frame that is not IP is fine. */
bool headers_parse(const uint8_t *data, size_t len, struct headers *h);

#endif
