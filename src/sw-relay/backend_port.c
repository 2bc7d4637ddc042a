/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Any DPDK ethdev. attach() hot-plugs the device and finds out what it can do; start() configures
 * it with all of that which is of use, and can be repeated after stop().
 *
 * Queues in use follow the guest's. A PCI device with a redirection table is configured once with
 * all queues it will ever need and only the table is rewritten (live_spread): restarting hardware
 * takes a link down. Virtual devices are restarted.
 *
 * What a device still holds when it is stopped, or in a queue that falls out of use, is taken out
 * and freed: packets of yesterday must not be delivered tomorrow, nor belong to a pool that went.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <rte_vfio.h>

#include "common/log.h"
#include "sw-relay/backend_port.h"
#include "sw-relay/endpoint.h"
#include "sw-relay/offload.h"
#include "sw-relay/pool.h"

#define RING_DEFAULT 512 /* descriptors of a queue */
#define RING_MANY 256	 /* when there are four queues or more */
#define DRAIN_BURST 64
#define VLAN_TAGS 8

static bool port_claims(const struct backend_request *req)
{
	return req->device.kind == DEVNAME_PCI || req->device.kind == DEVNAME_VDEV;
}

static uint16_t port_rx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			      uint16_t n)
{
	return rte_eth_rx_burst(backend->port, queue, pkts, n);
}

/* Drops what the driver says it can never send; counted by the caller as sent, which is as much as
 * is known of any packet in a device. */
static uint16_t send_prepared(struct port_backend *p, uint16_t queue, struct rte_mbuf **pkts,
			      uint16_t n)
{
	uint16_t done = 0;

	while (done < n) {
		uint16_t good = rte_eth_tx_prepare(p->base.port, queue, pkts + done, n - done);
		uint16_t sent = rte_eth_tx_burst(p->base.port, queue, pkts + done, good);

		done += sent;
		if (sent < good || done == n)
			break;
		rte_pktmbuf_free(pkts[done++]);
		__atomic_fetch_add(&p->refused, 1, __ATOMIC_RELAXED);
	}
	return done;
}

static uint16_t port_tx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			      uint16_t n)
{
	struct port_backend *p = port_backend(backend);

	if (p->prepare)
		return send_prepared(p, queue, pkts, n);
	return rte_eth_tx_burst(backend->port, queue, pkts, n);
}

static int port_rx_fd(struct backend *backend, uint16_t queue)
{
	struct port_backend *p = port_backend(backend);

	if (p->silent_fd >= 0)
		return p->silent_fd;
	return backend->interrupts ? p->rx_fds[queue] : -1;
}

static int port_rx_arm(struct backend *backend, uint16_t queue, bool on)
{
	if (port_backend(backend)->silent_fd >= 0)
		return 0;
	return on ? rte_eth_dev_rx_intr_enable(backend->port, queue)
		  : rte_eth_dev_rx_intr_disable(backend->port, queue);
}

static bool port_link(struct backend *backend)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(backend->port, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP;
}

static int on_event(uint16_t port, enum rte_eth_event_type event, void *arg, void *ret)
{
	struct port_backend *p = arg;

	if (event == RTE_ETH_EVENT_INTR_RMV)
		p->base.error = "the device was removed";
	service_device_changed(p->base.id);
	return 0;
}

static const enum rte_eth_event_type watched[] = { RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_INTR_RMV };

static void watch(struct port_backend *p)
{
	for (unsigned int i = 0; i < RTE_DIM(watched); i++)
		rte_eth_dev_callback_register(p->base.port, watched[i], on_event, p);
}

static void unwatch(struct port_backend *p)
{
	for (unsigned int i = 0; i < RTE_DIM(watched); i++) {
		/* -EAGAIN while it runs, and it never blocks */
		while (rte_eth_dev_callback_unregister(p->base.port, watched[i], on_event, p) ==
		       -EAGAIN)
			rte_pause();
	}
}

/* A device without end (net_null makes packets as they are asked for) is left after a ring. */
static void drain(struct port_backend *p, uint16_t first, uint16_t end)
{
	struct rte_mbuf *pkts[DRAIN_BURST];

	for (uint16_t queue = first; queue < end; queue++) {
		for (unsigned int done = 0; done < 4u * p->base.rx_ring + DRAIN_BURST;) {
			uint16_t n = rte_eth_rx_burst(p->base.port, queue, pkts, DRAIN_BURST);

			if (!n)
				break;
			rte_pktmbuf_free_bulk(pkts, n);
			done += n;
		}
	}
}

static void port_stop(struct backend *backend)
{
	struct port_backend *p = port_backend(backend);

	if (!p->started)
		return;
	p->started = false;
	backend->interrupts = false;
	if (!backend->error)
		drain(p, 0, p->rx_configured);
	rte_eth_dev_stop(backend->port);
}

static void port_detach(struct backend *backend)
{
	struct port_backend *p = port_backend(backend);
	int r;

	if (backend->port >= 0) {
		unwatch(p);
		port_stop(backend);
		rte_eth_dev_close(backend->port);
	}
	if (p->refused)
		log_warning("device %s: its driver refused to send %llu packets", backend->device,
			    (unsigned long long)p->refused);
	r = rte_eal_hotplug_remove(p->bus, p->name);
	if (r < 0 && r != -ENODEV && r != -ENOENT)
		log_warning("device %s: removing it from DPDK: %s", backend->device, strerror(-r));
	if (p->silent_fd >= 0)
		close(p->silent_fd);
	free(p);
}

/* RETA: entry i goes to queue i mod n. */
static int write_reta(struct port_backend *p, uint16_t n)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE];
	unsigned int size = p->info.reta_size;

	memset(reta, 0, sizeof(reta));
	for (unsigned int i = 0; i < size; i++) {
		reta[i / RTE_ETH_RETA_GROUP_SIZE].mask |= 1ull << (i % RTE_ETH_RETA_GROUP_SIZE);
		reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] = i % n;
	}
	return rte_eth_dev_rss_reta_update(p->base.port, reta, size);
}

static int port_spread(struct backend *backend, uint16_t queues)
{
	struct port_backend *p = port_backend(backend);
	uint16_t rx;
	int r;

	queues = RTE_MAX(queues, 1);
	rx = RTE_MIN(queues, p->max_rx);
	if (!backend->live_spread) {
		backend->rx_queues = rx;
		backend->tx_queues = RTE_MIN(queues, p->max_tx);
		return 0;
	}
	if (p->started) {
		r = write_reta(p, rx);
		if (r < 0)
			return r;
		drain(p, RTE_MIN(rx, backend->rx_queues), p->rx_configured);
	}
	backend->rx_queues = rx;
	return 0;
}

static uint16_t ring_size(uint16_t preferred, const struct rte_eth_desc_lim *lim, uint16_t queues)
{
	uint16_t n = preferred ? preferred : queues >= 4 ? RING_MANY : RING_DEFAULT;

	n = RTE_MIN(n, RING_DEFAULT * 2);
	if (lim->nb_max)
		n = RTE_MIN(n, lim->nb_max);
	return RTE_MAX(n, lim->nb_min);
}

static uint64_t tx_offloads_wanted(const struct port_backend *p)
{
	uint64_t wanted = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			  RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO |
			  RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	uint64_t offloads = p->info.tx_offload_capa & wanted;

	/* A segmented packet needs its checksums and is a chain. */
	if ((offloads & wanted & ~RTE_ETH_TX_OFFLOAD_UDP_CKSUM) !=
	    (wanted & ~RTE_ETH_TX_OFFLOAD_UDP_CKSUM))
		offloads &= ~RTE_ETH_TX_OFFLOAD_TCP_TSO;
	/* Frames of one mbuf each, all of one pool: the driver may free them in bulk. */
	if (!(offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO) &&
	    p->base.mtu + RTE_ETHER_HDR_LEN + VLAN_TAGS <= POOL_DATA_ROOM &&
	    (p->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE)) {
		offloads |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
		offloads &= ~RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	}
	return offloads;
}

static uint32_t finishes(uint64_t tx_offloads)
{
	static const struct {
		uint64_t port;
		uint32_t offload;
	} map[] = {
		{ RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, OFFLOAD_IP_CKSUM },
		{ RTE_ETH_TX_OFFLOAD_TCP_CKSUM, OFFLOAD_TCP_CKSUM },
		{ RTE_ETH_TX_OFFLOAD_UDP_CKSUM, OFFLOAD_UDP_CKSUM },
		{ RTE_ETH_TX_OFFLOAD_TCP_TSO, OFFLOAD_TSO4 | OFFLOAD_TSO6 },
		{ RTE_ETH_TX_OFFLOAD_MULTI_SEGS, OFFLOAD_MULTI_SEGS },
	};
	uint32_t offloads = 0;

	for (unsigned int i = 0; i < RTE_DIM(map); i++) {
		if (tx_offloads & map[i].port)
			offloads |= map[i].offload;
	}
	return offloads;
}

/* What can be known before the device is configured. */
static void find_limits(struct port_backend *p, const struct backend_request *req)
{
	const struct rte_eth_dev_info *info = &p->info;
	struct backend *b = &p->base;
	uint32_t frame;

	p->max_rx = RTE_MIN(info->max_rx_queues, req->max_queues);
	p->max_tx = RTE_MIN(info->max_tx_queues, req->max_queues);
	b->mtu = req->mtu;
	if (info->max_mtu && b->mtu > info->max_mtu) {
		log_warning("device %s takes an MTU of %u at most, less than the %u wanted",
			    b->device, info->max_mtu, req->mtu);
		b->mtu = info->max_mtu;
	}
	frame = b->mtu + RTE_ETHER_HDR_LEN + VLAN_TAGS;
	if (frame > POOL_DATA_ROOM && !(info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER))
		b->min_room = RTE_ALIGN(frame, 64);
	b->live_spread = req->device.kind == DEVNAME_PCI && p->max_rx > 1 && info->reta_size &&
			 info->reta_size <= RTE_ETH_RSS_RETA_SIZE_512;
	b->rx_queues = b->tx_queues = 1;
	if (b->live_spread) {
		b->rx_queues_set = p->max_rx;
		b->tx_queues_set = b->tx_queues = p->max_tx;
	}
	b->rx_ring =
		ring_size(info->default_rxportconf.ring_size, &info->rx_desc_lim, b->rx_queues_set);
	b->tx_ring =
		ring_size(info->default_txportconf.ring_size, &info->tx_desc_lim, b->tx_queues_set);
	p->tx_port_offloads = tx_offloads_wanted(p);
	b->tx_offloads = finishes(p->tx_port_offloads);
	/* Pseudo-header sums and the like are the driver's to ask for. */
	p->prepare = b->tx_offloads & ~OFFLOAD_MULTI_SEGS;
}

/* EAL looks for VFIO when it starts; its modules may have been loaded for this very device. */
static void enable_vfio(void)
{
	if (!rte_vfio_is_enabled("vfio"))
		rte_vfio_enable("vfio");
}

static int plug(struct port_backend *p, const struct backend_request *req, struct err *err)
{
	const struct devname *dev = &req->device;
	const char *args = "";
	uint16_t port;
	int r;

	if (rte_eth_dev_count_total() >= RTE_MAX_ETHPORTS)
		return err_set(err, -ENOSPC, "attach",
			       "device %s: this relay process has %d ports, the most DPDK was "
			       "built for; another process has to take it",
			       dev->text, RTE_MAX_ETHPORTS);
	if (dev->kind == DEVNAME_PCI) {
		enable_vfio();
		snprintf(p->bus, sizeof(p->bus), "pci");
		pci_addr_format(&dev->pci, p->name);
	} else {
		snprintf(p->bus, sizeof(p->bus), "vdev");
		snprintf(p->name, sizeof(p->name), "%s", dev->driver_name);
		args = dev->driver_args;
	}
	if (rte_eth_dev_get_port_by_name(p->name, &port) == 0)
		return err_set(err, -EEXIST, "attach",
			       "device %s: this relay process has a port of that name already",
			       dev->text);
	r = rte_eal_hotplug_add(p->bus, p->name, args);
	if (r < 0)
		return err_set(err, r, "attach", "device %s: DPDK cannot take it: %s%s", dev->text,
			       strerror(-r),
			       dev->kind == DEVNAME_PCI
				       ? "; is it bound to vfio-pci and has the relay access to it?"
				       : "; is the name of the driver right?");
	if (rte_eth_dev_get_port_by_name(p->name, &port) < 0) {
		rte_eal_hotplug_remove(p->bus, p->name);
		return err_set(err, -ENODEV, "attach",
			       "device %s: DPDK found it but made no network port of it",
			       dev->text);
	}
	p->base.port = port;
	return 0;
}

/* A device that never receives can wait for an interrupt that never comes. */
static bool never_receives(const struct devname *dev)
{
	return dev->kind == DEVNAME_VDEV && strncmp(dev->driver_name, "net_null", 8) == 0 &&
	       strstr(dev->driver_args, "no-rx=1");
}

static int port_attach(const struct backend_request *req, struct backend **backend, struct err *err)
{
	struct port_backend *p = calloc(1, sizeof(*p));
	struct backend *b;
	int r;

	if (!p)
		return err_set(err, -ENOMEM, "attach", "device %s: no memory", req->device.text);
	b = &p->base;
	b->ops = &backend_port_ops;
	b->id = req->id;
	b->port = -1;
	p->silent_fd = -1;
	snprintf(b->device, sizeof(b->device), "%s", req->device.text);
	r = plug(p, req, err);
	if (r < 0) {
		free(p);
		return r;
	}
	r = rte_eth_dev_info_get(b->port, &p->info);
	if (r < 0) {
		err_set(err, r, "attach", "device %s: cannot read its limits: %s", b->device,
			strerror(-r));
		goto fail;
	}
	snprintf(b->driver, sizeof(b->driver), "%s", p->info.driver_name);
	b->numa_node = rte_eth_dev_socket_id(b->port);
	rte_eth_macaddr_get(b->port, &b->mac);
	if (!p->info.max_rx_queues || !p->info.max_tx_queues) {
		r = err_set(err, -ENOTSUP, "attach", "device %s has no queues in one direction",
			    b->device);
		goto fail;
	}
	find_limits(p, req);
	if (never_receives(&req->device))
		p->silent_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->may_interrupt = req->device.kind == DEVNAME_PCI || strncmp(p->name, "net_tap", 7) == 0;
	watch(p);
	*backend = b;
	return 0;

fail:
	port_detach(b);
	return r;
}

const struct backend_ops backend_port_ops = {
	.name = "port",
	.claims = port_claims,
	.attach = port_attach,
	.detach = port_detach,
	.start = port_start,
	.stop = port_stop,
	.rx_burst = port_rx_burst,
	.tx_burst = port_tx_burst,
	.rx_fd = port_rx_fd,
	.rx_arm = port_rx_arm,
	.spread = port_spread,
	.link = port_link,
};
