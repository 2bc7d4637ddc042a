/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The RARP request by which switches learn where the MAC address of a VM is that was migrated. Its
 * front end asks for it (VHOST_USER_SEND_RARP), several times within a second, when the guest does
 * not announce itself (VIRTIO_NET_F_GUEST_ANNOUNCE), which it does by its TX ring. In software the
 * vhost library sends it when it is asked for packets of the VM: a lane that waits for a kick is
 * made to look.
 */
#ifndef VIO4WD_RELAY_RARP_H
#define VIO4WD_RELAY_RARP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_arp.h>
#include <rte_ether.h>

/* Of a VM. Set by the event thread, and done with by whoever sends. */
struct rarp {
	_Atomic uint64_t owed;	/* for this MAC address, as in the message; 0: none is owed */
	_Atomic uint64_t asked; /* CLOCK_MONOTONIC in seconds; 0: never */
	_Atomic uint32_t count; /* of requests; workers look when it has changed */
};

/* As short as a frame may be. */
struct rarp_frame {
	struct rte_ether_hdr ether;
	struct rte_arp_hdr arp;
	uint8_t padding[18];
};

/* The message has come; payload is what is in it. */
void rarp_ask(struct rarp *rarp, uint64_t payload);
/* None is owed, and none was asked for. */
void rarp_forget(struct rarp *rarp);
/* One is owed, or was asked for so lately that others will follow. */
bool rarp_is_going_on(const struct rarp *rarp);
void rarp_make(struct rarp_frame *frame, uint64_t mac);

#endif
