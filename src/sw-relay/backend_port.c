/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Any DPDK ethdev. attach() hot-plugs the device and finds out what it can do
 * (backend_port_open.c); start() configures it with all of that which is of use, and can be
 * repeated after stop() (backend_port_start.c).
 *
 * Queues in use follow the guest's. A PCI device with a redirection table is configured once with
 * all queues it will ever need and only the table is rewritten (live_spread): restarting hardware
 * takes a link down. Virtual devices are restarted.
 *
 * What a device still holds when it is stopped, or in a queue that falls out of use, is taken out
 * and freed: packets of yesterday must not be delivered tomorrow, nor belong to a pool that went.
 */
#define ALLOW_EXPERIMENTAL_API /* rte_dev_event_callback_register() */

#include <errno.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_pause.h>

#include "sw-relay/backend_port.h"
#include "sw-relay/endpoint.h"
#include "sw-relay/pci_check.h"

#define DRAIN_BURST 64
#define SILENT_S 3
#define RESTLESS_S 10 /* after a start or a change of the link more is to be expected */

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

uint16_t port_tx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
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

bool port_link(struct backend *backend)
{
	return port_backend(backend)->link;
}

void port_update_link(struct port_backend *p)
{
	struct rte_eth_link link;

	p->link = rte_eth_link_get_nowait(p->base.port, &link) == 0 &&
		  link.link_status == RTE_ETH_LINK_UP &&
		  (p->tells_link || !p->pf.known || p->pf.up);
}

time_t port_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void port_gone(struct port_backend *p, const char *why)
{
	p->base.error = why;
	p->base.gone = true;
	service_device_changed(p->base.id);
}

/* Hardware that was pulled out, or hangs; one that is being reset comes back. */
static void look_for_life(struct port_backend *p)
{
	if (pci_answers("", &p->pci))
		p->answered = port_now();
	else if (port_now() - p->answered >= SILENT_S && !p->base.gone)
		port_gone(p, "the device does not answer any more");
}

/* The PF has got a carrier since the device was started. */
static void look_at_pf(struct port_backend *p)
{
	struct pf_state pf = pf_state_read("", &p->pci);

	if (pf.known && pf.up && p->pf.known && pf.ups != p->pf.ups)
		p->base.reset = true;
	p->pf = pf;
}

static bool port_look(struct backend *backend)
{
	struct port_backend *p = port_backend(backend);
	bool before = p->link;

	if (p->vfio)
		look_for_life(p);
	if (p->tells_link) /* and that its PF was reset, too */
		return false;
	if (p->vfio)
		look_at_pf(p);
	port_update_link(p);
	if (p->link != before)
		p->changed = port_now();
	if (p->link != before || backend->reset)
		service_device_changed(backend->id);
	return port_now() - p->changed < RESTLESS_S;
}

/* In DPDK's interrupt thread. */
static int on_event(uint16_t port, enum rte_eth_event_type event, void *arg, void *ret)
{
	struct port_backend *p = arg;

	switch (event) {
	case RTE_ETH_EVENT_INTR_RMV:
		port_gone(p, "the device was removed");
		return 0;
	case RTE_ETH_EVENT_INTR_RESET:
		p->base.reset = true;
		break;
	default:
		if (p->tells_link && p->started)
			port_update_link(p); /* as the driver has just found it, without asking */
		break;
	}
	service_device_changed(p->base.id);
	return 0;
}

/* The kernel wants to take the device away and waits until it is closed. Likewise. */
static void on_removal(const char *name, enum rte_dev_event_type event, void *arg)
{
	if (event == RTE_DEV_EVENT_REMOVE)
		port_gone(arg, "the device was removed");
}

static const enum rte_eth_event_type watched[] = { RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_INTR_RMV,
						   RTE_ETH_EVENT_INTR_RESET };

void port_watch_removal(struct port_backend *p)
{
	rte_dev_event_callback_register(p->name, on_removal, p);
}

void port_watch(struct port_backend *p)
{
	for (unsigned int i = 0; i < RTE_DIM(watched); i++)
		rte_eth_dev_callback_register(p->base.port, watched[i], on_event, p);
}

void port_unwatch(struct port_backend *p)
{
	/* -EAGAIN while they run, and they never block */
	for (unsigned int i = 0; p->base.port >= 0 && i < RTE_DIM(watched); i++) {
		while (rte_eth_dev_callback_unregister(p->base.port, watched[i], on_event, p) ==
		       -EAGAIN)
			rte_pause();
	}
	while (rte_dev_event_callback_unregister(p->name, on_removal, p) == -EAGAIN)
		rte_pause();
}

/* A device without end (net_null makes packets as they are asked for) is left after a ring. */
static void drain(struct port_backend *p, uint16_t first, uint16_t end)
{
	struct rte_mbuf *pkts[DRAIN_BURST];

	for (uint16_t queue = first; queue < end; queue++) {
		for (unsigned int done = 0; done < 4u * p->base.rx_ring + DRAIN_BURST;) {
			uint16_t n = p->base.ops->rx_burst(&p->base, queue, pkts, DRAIN_BURST);

			if (!n)
				break;
			rte_pktmbuf_free_bulk(pkts, n);
			done += n;
		}
	}
}

void port_stop(struct backend *backend)
{
	struct port_backend *p = port_backend(backend);

	if (!p->started)
		return;
	p->started = false;
	backend->interrupts = false;
	p->link = false;
	if (!backend->error)
		drain(p, 0, p->rx_configured);
	port_check_alive(p);
	rte_eth_dev_stop(backend->port);
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

int port_spread(struct backend *backend, uint16_t queues)
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

const struct backend_ops backend_port_ops = {
	.name = "port",
	.slow = true,
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
	.look = port_look,
	.link = port_link,
};
