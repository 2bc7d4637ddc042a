/* SPDX-License-Identifier: BSD-3-Clause */
#include "bed.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "sw-relay/vhost_wake.h"
#include "sw-relay/worker_table.h"

#define BUS "vdev"
#define PORT "net_virtio_user0"
#define MAC "02:00:00:00:00:01"
#define POOL_SIZE 4095
#define PATIENCE_MS 20000 /* ends what hangs; valgrind is slow */

static const char *sockets;

/* Who listens to the relay's service is not of interest here. */
void service_vm_changed(unsigned int id, bool connected)
{
}

void service_device_changed(unsigned int id)
{
}

static uint16_t device_rx(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			  uint16_t n)
{
	struct bed_device *d = (struct bed_device *)backend;

	n = RTE_MIN(n, d->n_received);
	memcpy(pkts, d->received, n * sizeof(*pkts));
	d->n_received = 0;
	return n;
}

static uint16_t device_tx(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			  uint16_t n)
{
	struct bed_device *d = (struct bed_device *)backend;

	n = RTE_MIN(n, RTE_DIM(d->sent) - d->n_sent);
	memcpy(d->sent + d->n_sent, pkts, n * sizeof(*pkts));
	d->n_sent += n;
	return n;
}

static int device_start(struct backend *backend, struct rte_mempool *pool, struct err *err)
{
	((struct bed_device *)backend)->pool = pool;
	return 0;
}

static void device_stop(struct backend *backend)
{
}

static void device_detach(struct backend *backend)
{
}

static const struct backend_ops device_ops = {
	.name = "perf",
	.start = device_start,
	.stop = device_stop,
	.detach = device_detach,
	.rx_burst = device_rx,
	.tx_burst = device_tx,
};

int beds_init(const char *folder, struct err *err)
{
	char wake[CONFIG_SOCKET_PATH_MAX + 1];
	int r;

	sockets = folder;
	snprintf(wake, sizeof(wake), "%s/wake", folder);
	r = endpoints_init(err);
	return r < 0 ? r : vhost_wake_init(wake, err);
}

void beds_fini(void)
{
	vhost_wake_fini();
}

static int start_port(struct bed *bed, struct err *err)
{
	const struct rte_eth_conf conf = { .txmode.offloads = RTE_ETH_TX_OFFLOAD_UDP_CKSUM };
	uint16_t queues = bed->guest->queues;
	int node = rte_socket_id();
	int r;

	r = rte_eth_dev_configure(bed->port, queues, queues, &conf);
	for (uint16_t q = 0; r == 0 && q < queues; q++) {
		r = rte_eth_rx_queue_setup(bed->port, q, BED_RING, node, NULL, bed->pool);
		if (r == 0)
			r = rte_eth_tx_queue_setup(bed->port, q, BED_RING, node, NULL);
	}
	if (r == 0)
		r = rte_eth_dev_start(bed->port);
	if (r < 0)
		return err_set(err, r, "guest", "%s: its port does not start: %s", bed->guest->name,
			       strerror(-r));
	return 0;
}

/* IN_ORDER is what virtio-user agrees on and the drivers of guests do not. */
static int plug(struct bed *bed, struct err *err)
{
	const struct guest *g = bed->guest;
	char args[CONFIG_SOCKET_PATH_MAX + 128];
	int r;

	snprintf(args, sizeof(args),
		 "path=%s,mac=" MAC ",queues=%u,queue_size=%u,in_order=0,mrg_rxbuf=%d,packed_vq=%d",
		 bed->ep->options.socket, g->queues, BED_RING, g->mergeable, g->packed);
	r = rte_eal_hotplug_add(BUS, PORT, args);
	if (r < 0)
		return err_set(err, r, "guest",
			       "%s: no virtio-user port (package librte-net-virtio): %s", g->name,
			       strerror(-r));
	bed->has_port = true;
	r = rte_eth_dev_get_port_by_name(PORT, &bed->port);
	if (r < 0)
		return err_set(err, r, "guest", "%s: its port is not there", g->name);
	return start_port(bed, err);
}

static bool is_in_service(const struct bed *bed)
{
	const uint64_t all = (1ull << 2 * bed->guest->queues) - 1;
	bool there;

	tables_lock();
	there = bed->ep->vm && (atomic_load(&bed->ep->vm->enabled) & all) == all;
	tables_unlock();
	return there;
}

/* As the control thread's loop does. */
static int wait_for_vm(struct bed *bed, struct err *err)
{
	struct pollfd pfd = { .fd = endpoint_work_fd(), .events = POLLIN };

	while (!is_in_service(bed)) {
		if (poll(&pfd, 1, PATIENCE_MS) < 1)
			return err_set(err, -ETIMEDOUT, "guest",
				       "%s: it has not set up its rings within %d s",
				       bed->guest->name, PATIENCE_MS / 1000);
		endpoint_work();
	}
	return 0;
}

static int check_features(const struct bed *bed, struct err *err)
{
	const struct lane_config *cfg = &bed_lane(bed, LANE_VF_TO_VM)->cfg;
	const struct guest *g = bed->guest;

	if (cfg->mergeable == g->mergeable && cfg->packed == g->packed)
		return 0;
	return err_set(err, -EPROTO, "guest", "%s: it has not agreed on what it is to have",
		       g->name);
}

static int make_endpoint(struct bed *bed, struct err *err)
{
	struct endpoint_options options = {
		.max_queues = bed->guest->queues,
		.mtu = 1500,
		.mrg_rxbuf = true,
	};
	int r;

	snprintf(options.socket, sizeof(options.socket), "%s/%s", sockets, bed->guest->name);
	r = endpoint_make(&options, err);
	if (r == 0)
		bed->ep = endpoint_find(options.id);
	return r;
}

int bed_make(struct bed *bed, const struct guest *guest, struct err *err)
{
	int r;

	*bed = (struct bed){
		.guest = guest,
		.device.base = { .ops = &device_ops,
				 .port = -1,
				 .rx_queues = 1,
				 .tx_queues = 1,
				 .rx_ring = BED_RING,
				 .tx_ring = BED_RING,
				 .tx_offloads = OFFLOAD_MULTI_SEGS,
				 .numa_node = -1,
				 .mtu = 1500 },
	};
	bed->pool = rte_pktmbuf_pool_create("guest", POOL_SIZE, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					    rte_socket_id());
	if (!bed->pool)
		return err_set(err, -ENOMEM, "memory", "no memory for the guest's packets");
	r = make_endpoint(bed, err);
	if (r == 0)
		r = plug(bed, err);
	if (r == 0)
		r = wait_for_vm(bed, err);
	if (r < 0)
		return r;
	bed->ep->backend = &bed->device.base;
	r = endpoint_start_device(bed->ep, err);
	return r < 0 ? r : check_features(bed, err);
}

void bed_end(struct bed *bed)
{
	struct err err;

	if (bed->has_port) {
		rte_eth_dev_stop(bed->port);
		rte_eal_hotplug_remove(BUS, PORT);
	}
	if (bed->ep && bed->ep->backend)
		endpoint_do_detach(bed->ep, &err);
	if (bed->ep)
		endpoint_unmake(bed->ep);
	rte_mempool_free(bed->pool);
}

struct lane *bed_lane(const struct bed *bed, enum lane_direction direction)
{
	return bed->ep->lanes[direction][0];
}

static void fill(struct rte_mbuf *m, const struct frames *f, unsigned int flow)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, f->size);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memset(eth, 0x02, f->size);
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(f->size - sizeof(*eth)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 1)),
		.dst_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 2)),
	};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr){
		.src_port = rte_cpu_to_be_16(1000 + flow),
		.dst_port = RTE_BE16(2000),
		.dgram_len = rte_cpu_to_be_16(f->size - sizeof(*eth) - sizeof(*ip)),
	};
	if (!f->unfinished)
		return;
	m->l2_len = sizeof(*eth);
	m->l3_len = sizeof(*ip);
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
}

static unsigned int guest_sends(struct bed *bed, struct rte_mbuf **pkts, unsigned int n)
{
	n = rte_eth_tx_prepare(bed->port, 0, pkts, n);
	return rte_eth_tx_burst(bed->port, 0, pkts, n);
}

static unsigned int device_gets(struct bed *bed, struct rte_mbuf **pkts, unsigned int n)
{
	memcpy(bed->device.received, pkts, n * sizeof(*pkts));
	bed->device.n_received = n;
	return n;
}

int bed_offer(struct bed *bed, enum lane_direction direction, const struct frames *frames,
	      struct err *err)
{
	bool to_vf = direction == LANE_VM_TO_VF;
	struct rte_mempool *pool = to_vf ? bed->pool : bed->device.pool;
	struct rte_mbuf *pkts[LANE_BURST];
	unsigned int n = frames->n;

	if (rte_pktmbuf_alloc_bulk(pool, pkts, n))
		return err_set(err, -ENOMEM, "offer", "%s: no packets are left", bed->guest->name);
	for (unsigned int i = 0; i < n; i++)
		fill(pkts[i], frames, i);
	if ((to_vf ? guest_sends : device_gets)(bed, pkts, n) < n)
		return err_set(err, -ENOBUFS, "offer", "%s: no room for a burst", bed->guest->name);
	return 0;
}

unsigned int bed_collect(struct bed *bed, enum lane_direction direction)
{
	struct rte_mbuf *pkts[LANE_BURST];
	unsigned int n = bed->device.n_sent;
	unsigned int total = 0;

	if (direction == LANE_VM_TO_VF) {
		rte_pktmbuf_free_bulk(bed->device.sent, n);
		bed->device.n_sent = 0;
		return n;
	}
	for (uint16_t q = 0; q < bed->guest->queues; q++) {
		n = rte_eth_rx_burst(bed->port, q, pkts, RTE_DIM(pkts));
		rte_pktmbuf_free_bulk(pkts, n);
		total += n;
	}
	return total;
}
