/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What an endpoint's lanes need around them to move packets, in one process and without workers:
 * the endpoint as the relay makes it, with its socket; DPDK's virtio-user port connected to that as
 * the guest; and a device that costs next to nothing. Who has a bed runs the lanes itself.
 *
 * Functions return 0 or a negative errno, with the reason in err.
 */
#ifndef VIO4WD_PERF_BED_H
#define VIO4WD_PERF_BED_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "common/err.h"
#include "sw-relay/backend.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/lane.h"

#define BED_RING 256 /* descriptors of each ring of the guest */

/* What is special about a guest; all of them have VIRTIO_F_VERSION_1. */
struct guest {
	const char *name;
	uint16_t queues; /* queue pairs; the device has one */
	bool mergeable;	 /* VIRTIO_NET_F_MRG_RXBUF */
	bool packed;	 /* VIRTIO_F_RING_PACKED */
};

/* Frames are UDP over IPv4, each of a flow of its own. */
struct frames {
	unsigned int n;	 /* in a burst: LANE_BURST at most */
	uint16_t size;	 /* bytes, without CRC */
	bool unfinished; /* their checksum is left to the receiver */
};

/* The device: what it is to receive lies ready, what it sends is kept until bed_sent(). */
struct bed_device {
	struct backend base;
	struct rte_mempool *pool; /* received packets come from */
	struct rte_mbuf *received[LANE_BURST];
	unsigned int n_received;
	struct rte_mbuf *sent[LANE_BURST];
	unsigned int n_sent;
};

struct bed {
	struct bed_device device;
	struct endpoint *ep;
	const struct guest *guest;
	struct rte_mempool *pool; /* the guest's */
	uint16_t port;		  /* the guest's, an ethdev */
	bool has_port;
};

/* Once, after rte_eal_init. folder: where sockets are made. */
int beds_init(const char *folder, struct err *err);
void beds_fini(void);

/* On return the VM is in service and both lanes of queue 0 are there. */
int bed_make(struct bed *bed, const struct guest *guest, struct err *err);
void bed_end(struct bed *bed); /* also after bed_make() has failed */

struct lane *bed_lane(const struct bed *bed, enum lane_direction direction);

/* Puts a burst before the lane: into the guest's transmit ring, or into the device. */
int bed_offer(struct bed *bed, enum lane_direction direction, const struct frames *frames,
	      struct err *err);
/* Takes away what has come out behind the lane; returns how many packets. */
unsigned int bed_collect(struct bed *bed, enum lane_direction direction);

#endif
