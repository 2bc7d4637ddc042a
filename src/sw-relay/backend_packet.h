/* SPDX-License-Identifier: BSD-3-Clause */

/* The packet backend's parts: backend_packet.c (control), _rx.c and _tx.c (datapath). */
#ifndef VIO4WD_RELAY_BACKEND_PACKET_H
#define VIO4WD_RELAY_BACKEND_PACKET_H

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#include "sw-relay/backend.h"
#include "sw-relay/offload.h"

#define PACKET_BURST 64
/* The longest frame the kernel hands over: 64 KiB of GRO and its headers. What is longer (BIG TCP)
 * is cut off by the kernel and dropped here. */
#define PACKET_MAX_FRAME (65536 + 256)

struct packet_counters { /* any worker adds, anybody reads */
	atomic_uint_least64_t rx_too_long;
	atomic_uint_least64_t rx_malformed;
	atomic_uint_least64_t rx_no_memory;
	atomic_uint_least64_t rx_errors; /* of recvmmsg: frames the kernel could not describe */
	atomic_uint_least64_t tx_errors; /* of sendmmsg: EMSGSIZE, EINVAL, ENETDOWN ... */
};

struct packet_slot { /* what recvmmsg fills */
	struct virtio_net_hdr hdr;
	struct sockaddr_ll from;
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct iovec iov[3]; /* hdr, mbuf, overflow */
	struct rte_mbuf *mbuf;
};

struct packet_queue { /* receiving side, used by one worker at a time */
	int fd;
	struct mmsghdr msgs[PACKET_BURST];
	struct packet_slot slots[PACKET_BURST];
	uint8_t *overflow; /* PACKET_BURST times PACKET_MAX_FRAME, touched by large frames only */
	/* Pieces of frames that are cut here, and what came behind them; not yet handed out. */
	struct rte_mbuf *pending[PACKET_BURST * OFFLOAD_MAX_SEGMENTS];
	uint16_t pending_first;
	uint16_t pending_n;
};

struct packet_backend {
	struct backend base;
	int ifindex;
	struct rte_mempool *pool;
	struct packet_counters counters;
	struct packet_queue *queues; /* base.rx_queues of them */
};

static inline struct packet_backend *packet_backend(struct backend *backend)
{
	return (struct packet_backend *)backend;
}

static inline void packet_count(atomic_uint_least64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Called when a system call failed: finds out whether the interface has gone, and reports that. */
void packet_check_interface(struct packet_backend *b, int fd);

int packet_rx_start(struct packet_backend *b, struct packet_queue *q);
void packet_rx_stop(struct packet_queue *q);
uint16_t packet_rx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			 uint16_t n);
uint16_t packet_tx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			 uint16_t n);

#endif
