/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A kernel vDPA device. The bridge (bridge.h) serves VMs with it, and this backend then does
 * nothing. While the packets have to pass through workers, the same device is a port: DPDK's
 * net_virtio_user opens it, through the port backend. The character device can be open once, so it
 * is one or the other; endpoint_serve.c decides.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include <rte_common.h>
#include <rte_memzone.h>

#include "sw-relay/backend_port.h"
#include "sw-relay/dpdk_compat.h"

/* Of the port's rings: descriptors, as its driver has them when it is told nothing, and where their
 * second half begins. */
#define RING_SIZE 256
#define RING_ALIGN 4096

struct vdpa_backend {
	struct backend base;
	struct backend *port;		  /* NULL: the bridge's */
	struct vring tx[PORT_MAX_QUEUES]; /* of the port that is started; num 0: unknown */
};

static struct vdpa_backend *vdpa_backend(struct backend *backend)
{
	return container_of(backend, struct vdpa_backend, base);
}

static bool vdpa_claims(const struct backend_request *req)
{
	return req->chardev[0];
}

static int vdpa_attach(const struct backend_request *req, struct backend **backend, struct err *err)
{
	struct vdpa_backend *v = calloc(1, sizeof(*v));

	if (!v)
		return err_set(err, -ENOMEM, "attach", "device %s: no memory", req->device.text);
	v->base = (struct backend){
		.ops = &backend_vdpa_ops,
		.id = req->id,
		.port = -1,
		.rx_queues = 1,
		.tx_queues = 1,
		.rx_ring = PORT_RING,
		.tx_ring = PORT_RING,
		.pairs = 1,
		.numa_node = -1,
		.mtu = req->mtu,
		.driver = "vhost_vdpa",
		.link_up = true,
	};
	snprintf(v->base.device, sizeof(v->base.device), "%s", req->device.text);
	snprintf(v->base.chardev, sizeof(v->base.chardev), "%s", req->chardev);
	*backend = &v->base;
	return 0;
}

/* What lanes and pools are made from is the port's. */
static void take_over(struct vdpa_backend *v)
{
	const struct backend *port = v->port;
	struct backend *b = &v->base;

	b->port = port->port;
	b->rx_queues = port->rx_queues;
	b->tx_queues = port->tx_queues;
	b->rx_queues_set = port->rx_queues_set;
	b->tx_queues_set = port->tx_queues_set;
	b->live_spread = port->live_spread;
	b->min_room = port->min_room;
	b->rx_ring = port->rx_ring;
	b->tx_ring = port->tx_ring;
	b->tx_offloads = port->tx_offloads;
	b->tx_lockfree = port->tx_lockfree;
	b->interrupts = port->interrupts;
	b->mtu = port->mtu;
}

static int open_port(struct vdpa_backend *v, struct err *err)
{
	struct backend_request req = {
		.id = v->base.id,
		.mtu = v->base.mtu,
		.max_queues = v->base.pairs,
	};
	struct devname *dev = &req.device;
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	int r;

	rte_ether_format_addr(mac, sizeof(mac), &v->base.mac);
	dev->kind = DEVNAME_VDEV;
	snprintf(dev->text, sizeof(dev->text), "%s", v->base.device);
	snprintf(dev->driver_name, sizeof(dev->driver_name), "net_virtio_user%u", v->base.id);
	/* Several queues are told of by the control queue, which is not used otherwise. */
	snprintf(dev->driver_args, sizeof(dev->driver_args),
		 "path=%s,mac=%s,queue_size=%u,queues=%u%s", v->base.chardev, mac, RING_SIZE,
		 req.max_queues, req.max_queues > 1 ? ",cq=1" : "");
	r = backend_port_ops.attach(&req, &v->port, err);
	if (r == 0)
		take_over(v);
	return r;
}

static void close_port(struct vdpa_backend *v)
{
	if (v->port)
		v->port->ops->detach(v->port);
	v->port = NULL;
	v->base.port = -1;
	v->base.interrupts = false;
}

static int vdpa_software(struct backend *backend, bool on, struct err *err)
{
	struct vdpa_backend *v = vdpa_backend(backend);

	if (on)
		return v->port ? 0 : open_port(v, err);
	close_port(v);
	return 0;
}

static void vdpa_detach(struct backend *backend)
{
	struct vdpa_backend *v = vdpa_backend(backend);

	close_port(v);
	free(v);
}

/*
 * No function of ethdev tells what the device has taken of the rings of net_virtio_user, but they
 * are in memzones, by these names: split ones (virtio 1.2, 2.7), the second of a pair for sending.
 */
static void find_tx_rings(struct vdpa_backend *v)
{
	memset(v->tx, 0, sizeof(v->tx));
	for (uint16_t q = 0; q < v->base.tx_queues && q < PORT_MAX_QUEUES; q++) {
		const struct rte_memzone *zone;
		char name[RTE_MEMZONE_NAMESIZE];

		snprintf(name, sizeof(name), "port%d_vq%u", v->base.port, 2 * q + 1);
		zone = rte_memzone_lookup(name);
		if (zone && zone->len == RTE_ALIGN(vring_size(RING_SIZE, RING_ALIGN), RING_ALIGN))
			vring_init(&v->tx[q], RING_SIZE, zone->addr, RING_ALIGN);
	}
}

static int vdpa_tx_left(struct backend *backend, uint16_t queue)
{
	const struct vring *ring = &vdpa_backend(backend)->tx[queue];

	if (!ring->num)
		return -ENOTSUP;
	return (uint16_t)(ring->avail->idx - __atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE));
}

static int vdpa_start(struct backend *backend, struct rte_mempool *pool, struct err *err)
{
	struct vdpa_backend *v = vdpa_backend(backend);
	int r = v->port->ops->start(v->port, pool, err);

	if (r < 0)
		return r;
	take_over(v);
	find_tx_rings(v);
	return 0;
}

static void vdpa_stop(struct backend *backend)
{
	struct vdpa_backend *v = vdpa_backend(backend);

	if (v->port)
		v->port->ops->stop(v->port);
}

static uint16_t vdpa_rx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			      uint16_t n)
{
	struct backend *port = vdpa_backend(backend)->port;

	return port->ops->rx_burst(port, queue, pkts, n);
}

static uint16_t vdpa_tx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			      uint16_t n)
{
	struct backend *port = vdpa_backend(backend)->port;

	return port->ops->tx_burst(port, queue, pkts, n);
}

static int vdpa_rx_fd(struct backend *backend, uint16_t queue)
{
	struct backend *port = vdpa_backend(backend)->port;

	return port->ops->rx_fd ? port->ops->rx_fd(port, queue) : -1;
}

static int vdpa_rx_arm(struct backend *backend, uint16_t queue, bool on)
{
	struct backend *port = vdpa_backend(backend)->port;

	return port->ops->rx_arm(port, queue, on);
}

static int vdpa_spread(struct backend *backend, uint16_t queues)
{
	struct vdpa_backend *v = vdpa_backend(backend);
	int r = v->port->ops->spread ? v->port->ops->spread(v->port, queues) : 0;

	take_over(v);
	return r;
}

static bool vdpa_link(struct backend *backend)
{
	return backend->link_up;
}

uint16_t backend_vdpa_port_queues(uint16_t pairs)
{
	return RTE_MIN(pairs, DPDK_VDPA_PORT_PAIRS);
}

const struct backend_ops backend_vdpa_ops = {
	.name = "vdpa",
	.slow = true,
	.claims = vdpa_claims,
	.attach = vdpa_attach,
	.detach = vdpa_detach,
	.software = vdpa_software,
	.start = vdpa_start,
	.stop = vdpa_stop,
	.rx_burst = vdpa_rx_burst,
	.tx_burst = vdpa_tx_burst,
	.tx_left = vdpa_tx_left,
	.rx_fd = vdpa_rx_fd,
	.rx_arm = vdpa_rx_arm,
	.spread = vdpa_spread,
	.link = vdpa_link,
};
