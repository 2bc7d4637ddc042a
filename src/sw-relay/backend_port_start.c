/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * From an open device to a running one. Everything that is optional is left out when the device
 * refuses it: receive interrupts first (drivers that do not start with them), or when it has
 * started with them and then has none to give. MTU and promiscuous mode are asked for; what the
 * device makes of them is shown.
 */
#include <errno.h>
#include <string.h>

#include <rte_ethdev.h>

#include "common/log.h"
#include "sw-relay/backend_port.h"
#include "sw-relay/pool.h"

#define RSS_FUNCTIONS (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP)

static struct rte_eth_conf make_conf(struct port_backend *p, bool interrupts)
{
	const struct rte_eth_dev_info *info = &p->info;
	uint64_t rx = RTE_ETH_RX_OFFLOAD_CHECKSUM;
	struct rte_eth_conf conf = {
		.rxmode = { .mtu = p->base.mtu, .mq_mode = RTE_ETH_MQ_RX_NONE },
		.txmode = { .offloads = p->tx_port_offloads },
	};

	if (p->base.mtu > RTE_ETHER_MTU)
		rx |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (p->rx_configured > 1) {
		rx |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
		conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & RSS_FUNCTIONS;
		if (conf.rx_adv_conf.rss_conf.rss_hf)
			conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		else
			rx &= ~RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	conf.rxmode.offloads = rx & info->rx_offload_capa;
	if (info->dev_flags)
		conf.intr_conf.lsc = !!(*info->dev_flags & RTE_ETH_DEV_INTR_LSC);
	if (info->dev_flags)
		conf.intr_conf.rmv = !!(*info->dev_flags & RTE_ETH_DEV_INTR_RMV);
	conf.intr_conf.rxq = interrupts;
	p->tells_link = conf.intr_conf.lsc;
	return conf;
}

static int set_up_queues(struct port_backend *p, struct rte_mempool *pool)
{
	uint16_t port = p->base.port;
	int node = p->base.numa_node < 0 ? SOCKET_ID_ANY : p->base.numa_node;
	int r = 0;

	for (uint16_t q = 0; q < p->rx_configured && r == 0; q++)
		r = rte_eth_rx_queue_setup(port, q, p->base.rx_ring, node, NULL, pool);
	for (uint16_t q = 0; q < p->tx_configured && r == 0; q++)
		r = rte_eth_tx_queue_setup(port, q, p->base.tx_ring, node, NULL);
	return r;
}

static int configure(struct port_backend *p, struct rte_mempool *pool, bool interrupts)
{
	struct rte_eth_conf conf = make_conf(p, interrupts);
	uint16_t port = p->base.port;
	int r;

	r = rte_eth_dev_configure(port, p->rx_configured, p->tx_configured, &conf);
	if (r < 0)
		return r;
	r = rte_eth_dev_adjust_nb_rx_tx_desc(port, &p->base.rx_ring, &p->base.tx_ring);
	if (r < 0)
		return r;
	r = set_up_queues(p, pool);
	if (r < 0)
		return r;
	return rte_eth_dev_start(port);
}

/* All queues or none. */
static bool find_interrupts(struct port_backend *p)
{
	for (uint16_t q = 0; q < p->rx_configured; q++) {
		p->rx_fds[q] = rte_eth_dev_rx_intr_ctl_q_get_fd(p->base.port, q);
		if (p->rx_fds[q] < 0 || rte_eth_dev_rx_intr_disable(p->base.port, q) < 0)
			return false;
	}
	return true;
}

/* The PF decides, and few let an untrusted VF. */
static void be_promiscuous(struct port_backend *p)
{
	int r = rte_eth_promiscuous_enable(p->base.port);

	if (r == 0)
		return;
	rte_eth_allmulticast_enable(p->base.port);
	if (!p->said_promiscuous && r != -ENOTSUP)
		log_info("device %s: no promiscuous mode (%s): it receives frames to its own MAC "
			 "address and to groups",
			 p->base.device, strerror(-r));
	p->said_promiscuous = true;
}

int port_start(struct backend *backend, struct rte_mempool *pool, struct err *err)
{
	struct port_backend *p = port_backend(backend);
	uint16_t mtu;
	int r = -1;

	if (p->vfio) /* a reset after this is one that is noticed */
		p->pf = pf_state_read("", &p->pci);
	p->changed = p->answered = port_now();
	p->rx_configured = backend->live_spread ? p->max_rx : backend->rx_queues;
	p->tx_configured = backend->live_spread ? p->max_tx : backend->tx_queues;
	if (p->may_interrupt)
		r = configure(p, pool, true);
	if (r == 0)
		p->may_interrupt = find_interrupts(p);
	if (r < 0) {
		p->may_interrupt = false;
		r = configure(p, pool, false);
	}
	if (r < 0)
		return err_set(err, r, "start",
			       "device %s: cannot start it with %u receive and %u transmit queues: "
			       "%s",
			       backend->device, p->rx_configured, p->tx_configured, strerror(-r));
	backend->interrupts = p->may_interrupt || p->silent_fd >= 0;
	p->started = true;
	if (rte_eth_dev_get_mtu(backend->port, &mtu) == 0 && mtu)
		backend->mtu = mtu;
	be_promiscuous(p);
	port_update_link(p);
	if (!backend->live_spread)
		return 0;
	r = backend->ops->spread(backend, backend->rx_queues);
	if (r < 0) {
		/* then the table stays as the driver made it, over all queues */
		log_warning("device %s: its redirection table cannot be written: %s",
			    backend->device, strerror(-r));
		backend->live_spread = false;
		backend->rx_queues = p->rx_configured;
	}
	return 0;
}
