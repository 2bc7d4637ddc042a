/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Opening and closing a port. DPDK's buses and its VFIO code are not made for several threads, so
 * one device is plugged or unplugged at a time, under a lock.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_eth_bond.h>
#include <rte_ethdev.h>
#include <rte_vfio.h>

#include "common/log.h"
#include "sw-relay/backend_port.h"
#include "sw-relay/bars.h"
#include "sw-relay/dma.h"
#include "sw-relay/offload.h"
#include "sw-relay/pci_check.h"
#include "sw-relay/pool.h"
#include "sw-relay/vfio_ahead.h"

#define RING_MANY 256 /* when there are four queues or more */
#define VLAN_TAGS 8

pthread_mutex_t port_bus_lock = PTHREAD_MUTEX_INITIALIZER;

static uint16_t ring_size(uint16_t preferred, const struct rte_eth_desc_lim *lim, uint16_t queues)
{
	uint16_t n = preferred ? preferred : queues >= 4 ? RING_MANY : PORT_RING;

	n = RTE_MIN(n, PORT_RING * 2);
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

void port_check_alive(struct port_backend *p)
{
	if (p->vfio && !pci_answers("", &p->pci))
		bars_blind(&p->base);
}

void port_enable_vfio(void)
{
	if (!rte_vfio_is_enabled("vfio"))
		rte_vfio_enable("vfio");
}

/* What has to be right with a PCI function before DPDK gets it. */
static int check_pci(struct port_backend *p, const struct devname *dev, struct pci_facts *facts,
		     struct err *err)
{
	int r = pci_check("", &dev->pci, facts, err);

	if (r < 0)
		return r;
	p->pci = dev->pci;
	p->vfio = facts->vfio;
	if (!p->vfio)
		return 0;
	p->pf = pf_state_read("", &p->pci);
	if (p->pf.known && !p->pf.up)
		log_warning("device %s: the interface %s of its PF has no link, and so has it; `ip "
			    "link set %s up`?",
			    dev->text, p->pf.name, p->pf.name);
	r = dma_check_node("", dev->text, facts->numa_node, &p->no_node, err);
	if (r < 0)
		return r;
	if (p->no_node)
		log_warning("device %s: no memory is free on its NUMA node %d, it gets that of "
			    "another node and is slower; reserve hugepages on node %d",
			    dev->text, facts->numa_node, facts->numa_node);
	return dma_opening(dev->text, err);
}

static int plug_err(const struct devname *dev, const struct pci_facts *facts, int r,
		    struct err *err)
{
	char what[64];

	if (dma_was_refused()) {
		snprintf(what, sizeof(what), "device %s", dev->text);
		return dma_limit_err(what, err);
	}
	if (dev->kind == DEVNAME_PCI && r == -ENOTSUP)
		return err_set(err, r, "attach",
			       "device %s: DPDK has no driver for network functions with the IDs "
			       "%04x:%04x (or not the package of it: librte-net-*)",
			       dev->text, facts->vendor, facts->device);
	return err_set(err, r, "attach", "device %s: DPDK cannot take it: %s%s", dev->text,
		       strerror(-r),
		       dev->kind == DEVNAME_PCI ? "; its messages in the log say more"
						: "; is the name of the driver right?");
}

/* A bond is made by its driver's own function: that from devargs wants its members among them. */
static int probe(struct port_backend *p, const struct devname *dev, const char *args)
{
	int r;

	if (dev->kind != DEVNAME_BOND)
		return rte_eal_hotplug_add(p->bus, p->name, args);
	r = rte_eth_bond_create(p->name, (uint8_t)dev->mode,
				(uint8_t)RTE_MAX(p->base.numa_node, 0));
	return RTE_MIN(r, 0);
}

static int hotplug(struct port_backend *p, const struct devname *dev, const char *args,
		   const struct pci_facts *facts, struct err *err)
{
	uint16_t port;
	int r;

	r = probe(p, dev, args);
	if (r < 0) {
		if (p->vfio)
			dma_not_opened();
		return plug_err(dev, facts, r, err);
	}
	r = 0;
	if (rte_eth_dev_get_port_by_name(p->name, &port) < 0)
		r = err_set(err, -ENODEV, "attach",
			    "device %s: DPDK found it but made no network port of it", dev->text);
	if (r == 0 && p->vfio)
		r = dma_opened(dev->text, err);
	if (r < 0) {
		rte_eal_hotplug_remove(p->bus, p->name);
		return r;
	}
	p->base.port = port;
	if (p->vfio)
		bars_add(&p->base);
	return 0;
}

static void name_port(struct port_backend *p, const struct devname *dev)
{
	if (dev->kind == DEVNAME_PCI) {
		snprintf(p->bus, sizeof(p->bus), "pci");
		pci_addr_format(&dev->pci, p->name);
	} else {
		snprintf(p->bus, sizeof(p->bus), "vdev");
		snprintf(p->name, sizeof(p->name), "%s", dev->driver_name);
	}
}

static int check(struct port_backend *p, const struct devname *dev, struct pci_facts *facts,
		 struct err *err)
{
	uint16_t port;

	if (rte_eth_dev_count_total() >= RTE_MAX_ETHPORTS)
		return err_set(err, -ENOSPC, "attach",
			       "device %s: this relay process has %d ports, the most DPDK was "
			       "built for; another process has to take it",
			       dev->text, RTE_MAX_ETHPORTS);
	if (rte_eth_dev_get_port_by_name(p->name, &port) == 0)
		return err_set(err, -EEXIST, "attach",
			       "device %s: this relay process has a port of that name already",
			       dev->text);
	return dev->kind == DEVNAME_PCI ? check_pci(p, dev, facts, err) : 0;
}

static int plug(struct port_backend *p, const struct devname *dev, struct err *err)
{
	const char *args = dev->kind == DEVNAME_PCI ? "" : dev->driver_args;
	struct pci_facts facts = { .numa_node = -1 };
	struct vfio_ahead ahead = VFIO_AHEAD_NONE;
	int r;

	r = check(p, dev, &facts, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&port_bus_lock);
	if (p->vfio)
		port_enable_vfio();
	if (p->vfio && dma_any_open()) {
		vfio_ahead_join(&ahead, p->name);
		pthread_mutex_unlock(&port_bus_lock);
		vfio_ahead_open(&ahead);
		pthread_mutex_lock(&port_bus_lock);
	}
	r = hotplug(p, dev, args, &facts, err);
	vfio_ahead_end(&ahead, r == 0);
	pthread_mutex_unlock(&port_bus_lock);
	return r;
}

static void unplug(struct port_backend *p)
{
	int r;

	pthread_mutex_lock(&port_bus_lock);
	r = rte_eal_hotplug_remove(p->bus, p->name);
	if (p->vfio) {
		bars_forget(&p->base);
		dma_closed();
	}
	pthread_mutex_unlock(&port_bus_lock);
	if (r < 0 && r != -ENODEV && r != -ENOENT)
		log_warning("device %s: removing it from DPDK: %s", p->base.device, strerror(-r));
}

void port_close(struct port_backend *p)
{
	struct backend *backend = &p->base;

	port_unwatch(p);
	port_stop(backend);
	port_check_alive(p);
	rte_eth_dev_close(backend->port);
	if (p->refused)
		log_warning("device %s: its driver refused to send %llu packets", backend->device,
			    (unsigned long long)p->refused);
	unplug(p);
	if (p->silent_fd >= 0)
		close(p->silent_fd);
}

void port_detach(struct backend *backend)
{
	port_close(port_backend(backend));
	free(port_backend(backend));
}

/* A device that never receives can wait for an interrupt that never comes. */
static bool never_receives(const struct devname *dev)
{
	return dev->kind == DEVNAME_VDEV && strncmp(dev->driver_name, "net_null", 8) == 0 &&
	       strstr(dev->driver_args, "no-rx=1");
}

static int read_limits(struct port_backend *p, const struct backend_request *req, struct err *err)
{
	struct backend *b = &p->base;
	int r = rte_eth_dev_info_get(b->port, &p->info);

	if (r < 0)
		return err_set(err, r, "attach", "device %s: cannot read its limits: %s", b->device,
			       strerror(-r));
	snprintf(b->driver, sizeof(b->driver), "%s", p->info.driver_name);
	b->numa_node = p->no_node ? -1 : rte_eth_dev_socket_id(b->port);
	rte_eth_macaddr_get(b->port, &b->mac);
	if (!p->info.max_rx_queues || !p->info.max_tx_queues)
		return err_set(err, -ENOTSUP, "attach", "device %s has no queues in one direction",
			       b->device);
	find_limits(p, req);
	return 0;
}

int port_open(struct port_backend *p, const struct backend_request *req,
	      int (*fill)(struct port_backend *p, struct err *err), struct err *err)
{
	struct backend *b = &p->base;
	int r;

	b->id = req->id;
	b->port = -1;
	snprintf(b->device, sizeof(b->device), "%s", req->device.text);
	p->silent_fd = -1;
	name_port(p, &req->device);
	port_watch_removal(p);
	r = plug(p, &req->device, err);
	if (r < 0) {
		port_unwatch(p);
		return r;
	}
	port_watch(p);
	r = fill ? fill(p, err) : 0;
	if (r == 0)
		r = read_limits(p, req, err);
	if (r < 0) {
		port_close(p);
		return r;
	}
	if (never_receives(&req->device))
		p->silent_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->may_interrupt = req->device.kind == DEVNAME_PCI || strncmp(p->name, "net_tap", 7) == 0;
	return 0;
}

int port_attach(const struct backend_request *req, struct backend **backend, struct err *err)
{
	struct port_backend *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(err, -ENOMEM, "attach", "device %s: no memory", req->device.text);
	p->base.ops = &backend_port_ops;
	r = port_open(p, req, NULL, err);
	if (r < 0) {
		free(p);
		return r;
	}
	*backend = &p->base;
	return 0;
}
