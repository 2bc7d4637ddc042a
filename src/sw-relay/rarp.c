/* SPDX-License-Identifier: BSD-3-Clause */

#include "sw-relay/rarp.h"

#include <string.h>
#include <time.h>

_Static_assert(sizeof(struct rarp_frame) == RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN, "no gaps");

#define LAST_SECONDS 2 /* QEMU asks 5 times, not more than 0.55 s apart */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void rarp_ask(struct rarp *rarp, uint64_t payload)
{
	uint64_t mac = 0;

	memcpy(&mac, &payload, RTE_ETHER_ADDR_LEN);
	atomic_store(&rarp->asked, now());
	atomic_store(&rarp->owed, mac);
	atomic_fetch_add(&rarp->count, 1);
}

void rarp_forget(struct rarp *rarp)
{
	atomic_store(&rarp->owed, 0);
	atomic_store(&rarp->asked, 0);
}

bool rarp_is_going_on(const struct rarp *rarp)
{
	const uint64_t asked = atomic_load(&rarp->asked);

	return atomic_load(&rarp->owed) || (asked && now() <= asked + LAST_SECONDS);
}

/* RFC 903: who asks for its own address has its MAC address in both places. */
void rarp_make(struct rarp_frame *frame, uint64_t mac)
{
	*frame = (struct rarp_frame){
		.ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_RARP),
		.arp.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp.arp_hlen = RTE_ETHER_ADDR_LEN,
		.arp.arp_plen = sizeof(uint32_t),
		.arp.arp_opcode = RTE_BE16(RTE_ARP_OP_REVREQUEST),
	};
	memset(&frame->ether.dst_addr, 0xff, RTE_ETHER_ADDR_LEN);
	memcpy(&frame->ether.src_addr, &mac, RTE_ETHER_ADDR_LEN);
	memcpy(&frame->arp.arp_data.arp_sha, &mac, RTE_ETHER_ADDR_LEN);
	memcpy(&frame->arp.arp_data.arp_tha, &mac, RTE_ETHER_ADDR_LEN);
}
