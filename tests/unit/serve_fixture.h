/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An endpoint between the made-up VM and the scripted device. The port that software uses is the
 * test's, and notes what it is told; nobody polls its lanes unless the test starts a worker.
 */
#ifndef VIO4WD_TEST_SERVE_FIXTURE_H
#define VIO4WD_TEST_SERVE_FIXTURE_H

#include <kselftest_harness.h>

#include <sched.h>

#include <rte_memzone.h>

#include "sw-relay/endpoint_internal.h"
#include "sw-relay/pool.h"
#include "sw-relay/worker.h"
#include "sw-relay/worker_table.h"

#include "fake_guest.h"
#include "fake_vdpa_net.h"
#include "relay_eal.h"
#include "vdpa_expect.h"

#define BDF "0000:05:08.1"
#define OFFERED                                                          \
	(FAKE_BIT(VIRTIO_F_VERSION_1) | FAKE_BIT(VIRTIO_F_RING_PACKED) | \
	 FAKE_BIT(VIRTIO_NET_F_MQ) | FAKE_BIT(VIRTIO_NET_F_MRG_RXBUF) |  \
	 FAKE_BIT(VIRTIO_NET_F_CTRL_VQ))
#define CONTROL (FAKE_BIT(VIRTIO_NET_F_CTRL_VQ) | FAKE_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))

struct fake_port {
	char log[256], args[256], name[64];
	int attach_error, start_error;
	bool device_was_open; /* when the port was opened */
	bool pool_was_there;  /* likewise */
	uint16_t queues;      /* that the VM uses, as it was told */
	struct vring *ring;   /* that it sends by, NULL: unknown */
	unsigned int rounds;  /* until it takes what is there, and sends it back; 0: never */
	struct backend base;
};

static struct fake_port port;
static struct endpoint the_endpoint;
static uint64_t withheld;	      /* from the socket */
static unsigned int notified, called; /* rings whose notifications are on; interrupts */
static unsigned int told;	      /* device changes */

static void port_note(const char *what)
{
	const size_t len = strlen(port.log);

	snprintf(port.log + len, sizeof(port.log) - len, "%s%s", len ? ", " : "", what);
}

static int port_open(const struct backend_request *req, struct backend **backend, struct err *err)
{
	port_note("open");
	port.device_was_open = fake_vdpas[0].fd >= 0;
	port.pool_was_there = the_endpoint.pool;
	snprintf(port.name, sizeof(port.name), "%s", req->device.driver_name);
	snprintf(port.args, sizeof(port.args), "%s", req->device.driver_args);
	if (port.attach_error)
		return err_set(err, port.attach_error, "attach", "the port is not to be had");
	port.base = (struct backend){ .ops = &backend_port_ops,
				      .port = 5,
				      .rx_queues = 1,
				      .tx_queues = 1,
				      .rx_ring = 64,
				      .tx_ring = 32,
				      .tx_offloads = 3,
				      .mtu = 1400,
				      .interrupts = true };
	*backend = &port.base;
	return 0;
}

static void port_close(struct backend *backend)
{
	port_note("close");
}

static int port_begin(struct backend *backend, struct rte_mempool *pool, struct err *err)
{
	port_note("start");
	return port.start_error ? err_set(err, port.start_error, "start", "it does not start") : 0;
}

static void port_end(struct backend *backend)
{
	port_note("stop");
}

static uint16_t port_rx(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	if (queue == 1)
		return n;
	if (!port.rounds || --port.rounds)
		return 0;
	port_note("taken");
	port.ring->used->idx = port.ring->avail->idx;
	pkts[0] = rte_pktmbuf_alloc(test_pool);
	return pkts[0] ? 1 : 0;
}

static uint16_t port_tx(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return queue == 1 ? n - 1 : 0;
}

static int port_spread_to(struct backend *backend, uint16_t queues)
{
	port.queues = queues;
	backend->rx_queues = backend->tx_queues = queues;
	return 0;
}

static bool port_claims(const struct backend_request *req)
{
	return !req->chardev[0];
}

const struct backend_ops backend_port_ops = {
	.name = "port",
	.claims = port_claims,
	.attach = port_open,
	.detach = port_close,
	.start = port_begin,
	.stop = port_end,
	.rx_burst = port_rx,
	.tx_burst = port_tx,
	.spread = port_spread_to,
};

static bool never(const struct backend_request *req)
{
	return false;
}

/* They would bring the real port with them. */
const struct backend_ops backend_dpdk_vdpa_ops = { .claims = never };
const struct backend_ops backend_bond_ops = { .claims = never };

void service_device_changed(unsigned int id)
{
	told++;
}

void service_vm_changed(unsigned int id, bool connected)
{
}

int rte_vhost_driver_get_features(const char *path, uint64_t *features)
{
	*features = OFFERED & ~withheld;
	return 0;
}

int rte_vhost_driver_disable_features(const char *path, uint64_t features)
{
	withheld |= features;
	return 0;
}

int rte_vhost_driver_enable_features(const char *path, uint64_t features)
{
	withheld &= ~features;
	return 0;
}

int rte_vhost_enable_guest_notification(int vid, uint16_t ring, int enable)
{
	notified = enable ? notified | 1u << ring : notified & ~(1u << ring);
	return 0;
}

int rte_vhost_vring_call(int vid, uint16_t ring)
{
	called++;
	return 0;
}

uint16_t rte_vhost_enqueue_burst(int vid, uint16_t ring, struct rte_mbuf **pkts, uint16_t n)
{
	port_note("delivered");
	return n;
}

uint16_t rte_vhost_dequeue_burst(int vid, uint16_t ring, struct rte_mempool *pool,
				 struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static int vm_node = -1; /* NUMA node of the VM's memory */

int rte_vhost_get_numa_node(int vid)
{
	return vm_node;
}

FIXTURE(serve) {
	struct endpoint *ep;
	struct fake_vdpa *fake;
	struct guest *guest;
	struct backend_request req;
	struct err err;
};

FIXTURE_SETUP(serve)
{
	struct endpoint *ep = &the_endpoint;

	self->guest = guest_make(FAKE_BIT(VIRTIO_F_VERSION_1), 2);
	self->fake = fake_vdpa_make(PATH);
	self->fake->features &= ~CONTROL;
	self->fake->vrings = 2;
	ep->options = (struct endpoint_options){
		.id = 7, .max_queues = 8, .mtu = 1500, .socket = "/tmp/serve.sock"
	};
	ep->queues = 8;
	STAILQ_INIT(&ep->ops);
	ASSERT_EQ(0, endpoint_serve_init(&self->err));
	bridge_init(&ep->bridge, 7, endpoint_config_fd());
	TAILQ_INSERT_TAIL(&endpoints, ep, next);
	self->ep = ep;
	self->guest->vm.endpoint = ep;
	self->req = (struct backend_request){ .id = 7, .mtu = 1500, .chardev = PATH };
	ASSERT_EQ(0, devname_parse(&self->req.device, BDF, &self->err));
}

FIXTURE_TEARDOWN(serve)
{
	struct err err;

	if (self->ep->backend)
		endpoint_do_detach(self->ep, &err);
	EXPECT_EQ(-1, self->fake->fd);
	EXPECT_STREQ("", self->fake->complaints);
	EXPECT_EQ(0, self->fake->faults);
	EXPECT_EQ(0, withheld);
	close(endpoint_config_fd());
}

#define attach() endpoint_do_attach(self->ep, &self->req, &self->err)
#define detach() endpoint_do_detach(self->ep, &self->err)
#define mode(wish) endpoint_do_mode(self->ep, wish, &self->err)
#define EXPECT_SERVED(by, words)                                         \
	do {                                                             \
		EXPECT_EQ(by, self->ep->serving.now);                    \
		EXPECT_NE(NULL, strstr(self->ep->serving.reason, words)) \
		{                                                        \
			TH_LOG("reason: %s", self->ep->serving.reason);  \
		}                                                        \
	} while (0)
/* The port was told exactly this since the last time. */
#define EXPECT_PORT(what)                     \
	do {                                  \
		EXPECT_STREQ(what, port.log); \
		port.log[0] = '\0';           \
	} while (0)

/* As new_device() and destroy_device() of endpoint_vhost.c tell. */
static inline void vm_comes(struct endpoint *ep, struct guest *guest)
{
	ep->vm = &guest->vm;
	ep->connects++;
	bridge_vm_came(&ep->bridge, &guest->vm);
}

static inline void vm_goes(struct endpoint *ep, struct guest *guest)
{
	ep->vm = NULL;
	ep->disconnects++;
	tables_lock();
	endpoint_update_lanes(ep);
	tables_unlock();
	bridge_vm_gone(&ep->bridge, &guest->vm);
}

#endif
