/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An endpoint of the relay with its socket, and a front end that is connected to it. Its device
 * keeps what it sends, and has received what is put there. Nobody runs its lanes but the test, or
 * workers that it starts. What the vhost library moves is counted.
 */
#ifndef VIO4WD_TEST_RING_FIXTURE_H
#define VIO4WD_TEST_RING_FIXTURE_H

#include <kselftest_harness.h>

#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>

#include <rte_vhost.h>

#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/vhost_wake.h"
#include "sw-relay/worker_table.h"

#include "relay_frame.h"
#include "ring_front.h"

#define RX 0 /* the first pair's rings */
#define TX 1
#define POOL 4095
#define ANY_FEATURES                                                               \
	(FRONT_BIT(VIRTIO_NET_F_CSUM) | FRONT_BIT(VIRTIO_NET_F_HOST_TSO4) |        \
	 FRONT_BIT(VIRTIO_NET_F_GUEST_CSUM) | FRONT_BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 FRONT_BIT(VIRTIO_RING_F_INDIRECT_DESC))
#define LEGACY ANY_FEATURES
#define MODERN (ANY_FEATURES | FRONT_BIT(VIRTIO_F_VERSION_1))
#define MERGING (MODERN | FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF))

struct test_device {
	struct backend base;
	struct rte_mbuf *received[LANE_BURST];
	unsigned int n_received;
	struct rte_mbuf *sent[LANE_BURST];
	unsigned int n_sent;
};

/* One endpoint and its VM. */
struct place {
	struct front front;
	struct test_device device;
	struct endpoint *ep;
	struct vm *vm;
};

static _Atomic unsigned int by_library; /* packets that it has moved */

/* --- in the place of others --- */

void service_vm_changed(unsigned int id, bool connected)
{
}

void service_device_changed(unsigned int id)
{
}

uint16_t rte_vhost_dequeue_burst(int vid, uint16_t ring, struct rte_mempool *pool,
				 struct rte_mbuf **pkts, uint16_t n)
{
	static __typeof__(&rte_vhost_dequeue_burst) real;

	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "rte_vhost_dequeue_burst");
	n = real(vid, ring, pool, pkts, n);
	by_library += n;
	return n;
}

uint16_t rte_vhost_enqueue_burst(int vid, uint16_t ring, struct rte_mbuf **pkts, uint16_t n)
{
	static __typeof__(&rte_vhost_enqueue_burst) real;

	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "rte_vhost_enqueue_burst");
	n = real(vid, ring, pkts, n);
	by_library += n;
	return n;
}

static uint16_t device_rx(struct backend *b, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct test_device *d = (struct test_device *)b;

	n = RTE_MIN(n, d->n_received);
	memcpy(pkts, d->received, n * sizeof(*pkts));
	d->n_received = 0;
	return n;
}

static uint16_t device_tx(struct backend *b, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct test_device *d = (struct test_device *)b;

	n = RTE_MIN(n, RTE_DIM(d->sent) - d->n_sent);
	memcpy(d->sent + d->n_sent, pkts, n * sizeof(*pkts));
	d->n_sent += n;
	return n;
}

static int device_start(struct backend *backend, struct rte_mempool *pool, struct err *err)
{
	return 0;
}

static void device_nothing(struct backend *backend)
{
}

static const struct backend_ops device_ops = {
	.name = "test",
	.start = device_start,
	.stop = device_nothing,
	.detach = device_nothing,
	.rx_burst = device_rx,
	.tx_burst = device_tx,
};

/* --- endpoints --- */

/* Once in each test. */
static inline int places_init(void)
{
	char path[64];
	struct err err;
	int r = endpoints_init(&err);

	/* Threads of the test, too, may run side by side. */
	sched_setaffinity(0, sizeof(test_cpus), &test_cpus);
	snprintf(path, sizeof(path), "/tmp/ring-%d", getpid());
	return r < 0 ? r : vhost_wake_init(path, &err);
}

static inline int place_make(struct place *p, unsigned int id, const struct backend_ops *ops)
{
	struct endpoint_options options = {
		.id = id, .max_queues = 2, .mtu = 9000, .mrg_rxbuf = true, .tso = true
	};
	struct err err;
	int r;

	snprintf(options.socket, sizeof(options.socket), "/tmp/ring-%d-%u.sock", getpid(), id);
	p->device.base = (struct backend){ .ops = ops,
					   .port = -1,
					   .rx_queues = 1,
					   .tx_queues = 1,
					   .rx_ring = 64,
					   .tx_ring = 64,
					   .tx_offloads = OFFLOAD_MULTI_SEGS | OFFLOAD_TCP_CKSUM |
							  OFFLOAD_UDP_CKSUM | OFFLOAD_TSO4,
					   .numa_node = -1,
					   .mtu = 9000 };
	front_make(&p->front);
	r = endpoint_make(&options, &err);
	if (r < 0)
		return r;
	p->ep = endpoint_find(id);
	p->ep->backend = &p->device.base;
	return endpoint_start_device(p->ep, &err);
}

/* The VM is in service when it returns true; gets_fast() tells more. */
static inline bool place_connect(struct place *p, uint64_t features, unsigned int size,
				 uint16_t base)
{
	if (!front_connect(&p->front, p->ep->options.socket, features) ||
	    !front_start(&p->front, size, base))
		return false;
	tables_lock();
	p->vm = p->ep->vm;
	tables_unlock();
	return p->vm;
}

static inline void place_end(struct place *p)
{
	struct err err;

	front_end(&p->front);
	endpoint_do_detach(p->ep, &err);
	endpoint_unmake(p->ep);
}

static inline struct ring *place_ring(struct place *p, unsigned int index)
{
	return &p->vm->rings[index].fast;
}

static inline bool is_fast(struct place *p, unsigned int index)
{
	return atomic_load(&place_ring(p, index)->map);
}

/* After each message, the answer to which may be here before: the ring is the relay's own to serve.
 * False: it has not become that. */
static inline bool gets_fast(struct place *p, unsigned int index)
{
	for (unsigned int ms = 0; ms < 5000 && !is_fast(p, index); ms++)
		poll(NULL, 0, 1);
	return is_fast(p, index);
}

static inline unsigned int take(struct place *p, struct rte_mbuf **pkts, unsigned int n)
{
	return ring_dequeue(place_ring(p, TX), p->vm->vid, TX, test_pool, pkts, n, n);
}

static inline unsigned int give(struct place *p, struct rte_mbuf **pkts, unsigned int n)
{
	return ring_enqueue(place_ring(p, RX), p->vm->vid, RX, pkts, n);
}

/* --- frames --- */

static inline uint8_t frame_byte(uint32_t number, uint32_t at)
{
	return number * 37 + at * 11 + (at >> 8);
}

static inline void frame_fill(uint8_t *p, uint32_t number, uint32_t from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = frame_byte(number, from + i);
}

static inline bool frame_is(const uint8_t *p, uint32_t number, uint32_t from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (p[i] != frame_byte(number, from + i))
			return false;
	}
	return true;
}

/* All of the packet, whatever it is cut into. */
static inline bool mbuf_is(const struct rte_mbuf *m, uint32_t number, uint32_t len)
{
	uint32_t at = 0;

	if (m->pkt_len != len)
		return false;
	for (; m; at += m->data_len, m = m->next) {
		if (!frame_is(rte_pktmbuf_mtod(m, const uint8_t *), number, at, m->data_len))
			return false;
	}
	return at == len;
}

/* A packet in segments of `segment` bytes at most. */
static inline struct rte_mbuf *mbuf_make(uint32_t number, uint32_t len, uint32_t segment)
{
	struct rte_mbuf *head = NULL;

	for (uint32_t at = 0; at < len; at += segment) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(test_pool);
		uint32_t n = RTE_MIN(segment, len - at);

		frame_fill((uint8_t *)rte_pktmbuf_append(m, n), number, at, n);
		if (!head)
			head = m;
		else
			rte_pktmbuf_chain(head, m);
	}
	return head;
}

static inline uint32_t random_below(uint32_t n)
{
	static uint32_t seed = 1;

	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static inline unsigned int header_size(const struct front *f)
{
	return f->features & (FRONT_BIT(VIRTIO_F_VERSION_1) | FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF))
		       ? 12
		       : 10;
}

#endif
