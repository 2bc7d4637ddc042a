/* SPDX-License-Identifier: BSD-3-Clause */

/* Who serves the rings of a VM: that what was decided is carried out, what happens when it cannot
 * be, what may be wished, and what a VM is not offered. */
#include <poll.h>

#include "sw-relay/device_thread.h"

#include "one_worker.h"
#include "serve_fixture.h"

static bool is_readable(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, 0) == 1;
}

TEST_F(serve, hardware_serves_the_vm_that_is_there) {
	self->fake->config.status = VIRTIO_NET_S_LINK_UP;
	memcpy(self->fake->config.mac, "\x52\x54\0\1\2\3", 6);
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	EXPECT_SERVED(SERVING_DIRECT, "works on the VM's rings");
	EXPECT_EQ(BRIDGE_DIRECT, bridge_mode(&self->ep->bridge));
	EXPECT_EQ(ENDPOINT_DEVICE_HELD, self->ep->device);
	EXPECT_EQ(3, notified);
	EXPECT_EQ(1, self->ep->serving.switches);
	EXPECT_EQ(1, told);
	EXPECT_EQ(0, memcmp(self->ep->backend->mac.addr_bytes, "\x52\x54\0\1\2\3", 6));
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
	EXPECT_PORT("");
	EXPECT_EQ(1, self->ep->queues);
	ASSERT_EQ(0, detach());
	EXPECT_EQ(8, self->ep->queues);
	EXPECT_EQ(-1, self->fake->fd);
}

TEST_F(serve, device_that_cannot_be_opened) {
	self->fake->open_error = -EACCES;
	vm_comes(self->ep, self->guest);
	EXPECT_EQ(-EACCES, attach());
	EXPECT_EQ(NULL, self->ep->backend);
	EXPECT_EQ(8, self->ep->queues);
}

TEST_F(serve, vm_that_comes_and_goes) {
	ASSERT_EQ(0, attach());
	EXPECT_SERVED(SERVING_NOTHING, "no VM is connected");
	EXPECT_EQ(0, self->ep->serving.switches);
	vm_comes(self->ep, self->guest);
	EXPECT_TRUE(endpoint_needs_serve(self->ep));
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_DIRECT, "");
	vm_goes(self->ep, self->guest);
	EXPECT_TRUE(endpoint_needs_serve(self->ep));
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_NOTHING, "no VM is connected");
	EXPECT_EQ(1, self->ep->serving.switches);
	EXPECT_EQ(-1, self->fake->fd);
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
}

/* The next VM may be as it should: what did not work for the last one is tried again. */
TEST_F(serve, vm_that_was_replaced_between_two_looks) {
	self->fake->fails_to_start = true;
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	EXPECT_SERVED(SERVING_SOFTWARE, "");
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
	self->fake->fails_to_start = false;
	vm_goes(self->ep, self->guest);
	vm_comes(self->ep, self->guest);
	EXPECT_TRUE(endpoint_needs_serve(self->ep));
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_DIRECT, "");
	EXPECT_EQ(BRIDGE_DIRECT, bridge_mode(&self->ep->bridge));
}

/* The event thread has ended it. */
TEST_F(serve, bridge_that_ended_by_itself) {
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	vm_goes(self->ep, self->guest);
	self->ep->vm = &self->guest->vm;
	bridge_vm_came(&self->ep->bridge, &self->guest->vm);
	EXPECT_TRUE(endpoint_needs_serve(self->ep));
	endpoint_do_serve(self->ep);
	EXPECT_EQ(BRIDGE_DIRECT, bridge_mode(&self->ep->bridge));
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
}

/* The character device can be open once. */
TEST_F(serve, to_software_and_back) {
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	EXPECT_EQ(0, mode(SERVING_SOFTWARE));
	EXPECT_SERVED(SERVING_SOFTWARE, "asked for");
	EXPECT_FALSE(port.device_was_open);
	/* It takes long to make, and hardware served meanwhile. */
	EXPECT_TRUE(port.pool_was_there);
	EXPECT_PORT("open, start");
	EXPECT_EQ(1, pool_count());
	EXPECT_EQ(ENDPOINT_DEVICE_STARTED, self->ep->device);
	EXPECT_NE(NULL, self->ep->pool);
	EXPECT_NE(NULL, self->ep->lanes[LANE_VF_TO_VM][0]);
	/* Nobody has told the VM of what was returned meanwhile. */
	EXPECT_EQ(2, called);
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
	notified = 0;
	EXPECT_EQ(0, mode(SERVING_NOTHING));
	EXPECT_SERVED(SERVING_DIRECT, "");
	EXPECT_PORT("stop, close");
	EXPECT_EQ(NULL, self->ep->pool);
	EXPECT_EQ(NULL, self->ep->lanes[LANE_VF_TO_VM][0]);
	EXPECT_EQ(3, notified);
	EXPECT_EQ(3, self->ep->serving.switches);
}

/* Rings as the port's driver makes them, with three frames that the device has not taken. */
static void make_ring(struct vring *ring)
{
	const struct rte_memzone *zone = rte_memzone_reserve_aligned(
		"port5_vq1", RTE_ALIGN(vring_size(256, 4096), 4096), SOCKET_ID_ANY, 0, 4096);

	memset(zone->addr, 0, zone->len);
	vring_init(ring, 256, zone->addr, 4096);
	ring->avail->idx = 3;
	port.ring = ring;
}

static void drop_ring(void)
{
	workers_stop();
	rte_memzone_free(rte_memzone_lookup("port5_vq1"));
}

/* The device gets what the VM has sent, and the VM what comes back, before the port is stopped. */
TEST_F(serve, nothing_under_way_is_lost) {
	struct vring ring;

	ASSERT_EQ(0, start_worker(100));
	make_ring(&ring);
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, mode(SERVING_SOFTWARE));
	EXPECT_EQ(3, self->ep->backend->ops->tx_left(self->ep->backend, 0));
	port.log[0] = '\0';
	port.rounds = 10;
	ASSERT_EQ(0, mode(SERVING_NOTHING));
	EXPECT_PORT("taken, delivered, stop, close");
	EXPECT_SERVED(SERVING_DIRECT, "");
	drop_ring();
}

TEST_F(serve, device_that_does_not_send_is_not_waited_for) {
	struct vring ring;

	ASSERT_EQ(0, start_worker(100));
	make_ring(&ring);
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, mode(SERVING_SOFTWARE));
	port.log[0] = '\0';
	ASSERT_EQ(0, mode(SERVING_NOTHING));
	EXPECT_PORT("stop, close");
	EXPECT_SERVED(SERVING_DIRECT, "");
	EXPECT_LE(200000, self->ep->serving.last_switch_us);
	drop_ring();
}

TEST_F(serve, device_that_goes_while_software_has_it) {
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, mode(SERVING_SOFTWARE));
	port.log[0] = '\0';
	ASSERT_EQ(0, detach());
	EXPECT_PORT("stop, close");
}

TEST_F(serve, modes_that_are_asked_for) {
	static const enum serving order[] = { SERVING_SHADOW, SERVING_DIRECT,	SERVING_SOFTWARE,
					      SERVING_SHADOW, SERVING_SOFTWARE, SERVING_DIRECT };

	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		EXPECT_EQ(0, mode(order[i]));
		EXPECT_EQ(order[i], self->ep->serving.now);
	}
}

TEST_F(serve, wish_before_a_vm_is_there) {
	ASSERT_EQ(0, attach());
	EXPECT_EQ(0, mode(SERVING_SHADOW));
	vm_comes(self->ep, self->guest);
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_SHADOW, "asked for");
}

TEST_F(serve, modes_of_no_vdpa_device) {
	EXPECT_EQ(-EOPNOTSUPP, mode(SERVING_DIRECT));
	EXPECT_SAID("there is one mode only");
}

/* It is refused before anything is changed, and is no wish that is remembered. */
TEST_F(serve, software_of_a_device_that_cannot_be_paused) {
	self->fake->backend_features &=
		~(FAKE_BIT(VHOST_BACKEND_F_SUSPEND) | FAKE_BIT(VHOST_BACKEND_F_RESUME));
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	self->fake->log[0] = '\0';
	EXPECT_EQ(-EOPNOTSUPP, mode(SERVING_SOFTWARE));
	EXPECT_SAID("cannot be paused");
	EXPECT_SAID("vfio-pci");
	EXPECT_LOG("");
	EXPECT_PORT("");
	EXPECT_SERVED(SERVING_DIRECT, "");
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
	EXPECT_EQ(SERVING_NOTHING, self->ep->serving.wish);
}

TEST_F(serve, direct_while_memory_is_watched) {
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	self->ep->bridge.logging = true;
	EXPECT_EQ(-EOPNOTSUPP, mode(SERVING_DIRECT));
	EXPECT_SAID("stays shadow");
	EXPECT_SAID("migrated");
	EXPECT_SERVED(SERVING_SHADOW, "migrated");
	self->ep->bridge.logging = false;
	EXPECT_TRUE(endpoint_needs_serve(self->ep));
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_DIRECT, "");
}

/* It says that it begins anywhere, and does not. */
TEST_F(serve, shadow_when_direct_fails) {
	self->fake->only_base_0 = true;
	self->guest->rings[0].base = 3;
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	EXPECT_SERVED(SERVING_SHADOW, "");
	EXPECT_EQ(BRIDGE_SHADOW, bridge_mode(&self->ep->bridge));
	EXPECT_PORT("");
	EXPECT_EQ(1, self->ep->serving.switches);
	EXPECT_EQ(NULL, self->ep->backend->error);
}

TEST_F(serve, software_when_the_hardware_fails) {
	self->fake->fails_to_start = true;
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	EXPECT_SERVED(SERVING_SOFTWARE, "direct: ");
	EXPECT_PORT("open, start");
	EXPECT_FALSE(port.device_was_open);
	EXPECT_EQ(NULL, self->ep->backend->error);
	/* It is not tried again for this VM. */
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
}

TEST_F(serve, device_that_serves_nobody_is_refused) {
	self->fake->fails_to_start = true;
	port.attach_error = -ENODEV;
	vm_comes(self->ep, self->guest);
	EXPECT_EQ(-EIO, attach());
	EXPECT_NE(NULL, strstr(self->err.text, "does not start"));
	EXPECT_EQ(NULL, self->ep->backend);
	EXPECT_PORT("open");
	EXPECT_EQ(0, withheld);
}

TEST_F(serve, nothing_serves) {
	self->fake->fails_to_start = true;
	port.attach_error = -ENODEV;
	ASSERT_EQ(0, attach());
	vm_comes(self->ep, self->guest);
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_NOTHING, "direct: ");
	EXPECT_NE(NULL,
		  strstr(self->ep->backend->error ?: "", "neither the hardware nor software"));
	EXPECT_FALSE(self->ep->backend->gone);
	EXPECT_PORT("open");
	EXPECT_EQ(0, self->ep->serving.switches);
	/* An error is the manager's: nothing is tried until the device was detached. */
	self->fake->fails_to_start = false;
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_NOTHING, "");
}

TEST_F(serve, port_that_does_not_start) {
	port.start_error = -EIO;
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	EXPECT_EQ(-EIO, mode(SERVING_SOFTWARE));
	EXPECT_SAID("neither the hardware nor software");
	EXPECT_SAID("it does not start");
	EXPECT_SERVED(SERVING_NOTHING, "it does not start");
	EXPECT_PORT("open, start, close");
	EXPECT_NE(NULL, self->ep->backend->error);
	EXPECT_EQ(NULL, self->ep->pool);
}

TEST_F(serve, vm_that_uses_more_than_the_device_has) {
	self->guest->vm.features |= FAKE_BIT(VIRTIO_NET_F_MRG_RXBUF);
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	EXPECT_SERVED(SERVING_SOFTWARE, "agreed on MRG_RXBUF");
	EXPECT_PORT("open, start");
}

TEST_F(serve, vm_that_no_software_is_for) {
	self->fake->backend_features &=
		~(FAKE_BIT(VHOST_BACKEND_F_SUSPEND) | FAKE_BIT(VHOST_BACKEND_F_RESUME));
	self->guest->vm.features |= FAKE_BIT(VIRTIO_NET_F_MRG_RXBUF);
	vm_comes(self->ep, self->guest);
	EXPECT_EQ(-EOPNOTSUPP, attach());
	EXPECT_NE(NULL, strstr(self->err.text, "vio4wdctl backend ID sw"));
	EXPECT_EQ(NULL, self->ep->backend);
	EXPECT_PORT("");
}

/* Queue pairs are counted up to the highest that is in use. */
TEST_F(serve, vm_with_more_queue_pairs) {
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	self->guest->n_rings = 4;
	guest_ring_on(self->guest, 3, true);
	EXPECT_TRUE(endpoint_needs_serve(self->ep));
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_SOFTWARE, "uses 2 queue pairs, the device has 1");
}

TEST_F(serve, device_that_is_gone) {
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	told = 0;
	endpoint_serve_look(self->ep);
	EXPECT_EQ(NULL, self->ep->backend->error);
	self->fake->gone = true;
	endpoint_serve_look(self->ep);
	endpoint_serve_look(self->ep);
	EXPECT_NE(NULL, self->ep->backend->error);
	EXPECT_TRUE(self->ep->backend->gone);
	EXPECT_EQ(1, told);
}

/* A look follows at once when the device calls. */
TEST_F(serve, link) {
	STAILQ_INIT(&self->ep->ops);
	self->fake->config.status = 0;
	ASSERT_EQ(0, attach());
	EXPECT_FALSE(self->ep->backend->ops->link(self->ep->backend));
	vm_comes(self->ep, self->guest);
	endpoint_do_serve(self->ep);
	endpoint_serve_look(self->ep);
	told = 0;
	fake_vdpa_link(self->fake, true);
	ASSERT_TRUE(is_readable(endpoint_config_fd()));
	ASSERT_EQ(0, device_threads_start(&self->err));
	endpoint_config_changed();
	device_threads_wait();
	device_threads_reap();
	device_threads_stop();
	EXPECT_FALSE(is_readable(endpoint_config_fd()));
	EXPECT_EQ(1, told);
	EXPECT_TRUE(self->ep->backend->ops->link(self->ep->backend));
	endpoint_serve_look(self->ep);
	EXPECT_EQ(1, told);
	fake_vdpa_link(self->fake, false);
	endpoint_serve_look(self->ep);
	EXPECT_EQ(2, told);
	EXPECT_FALSE(self->ep->backend->ops->link(self->ep->backend));
	EXPECT_EQ(NULL, self->ep->backend->error);
}

/* By whom, too: the relay has no packed rings, and no second pair for a device of one. */
TEST_F(serve, features_that_are_not_offered) {
	static const struct {
		const char *feature, *by;
	} expected[] = { { "MRG_RXBUF", "device" }, { "MQ", "relay" }, { "RING_PACKED", "relay" } };
	json_object *device = json_object_new_object(), *masked, *value;

	self->fake->features |= FAKE_BIT(VIRTIO_F_RING_PACKED) | FAKE_BIT(VIRTIO_NET_F_MQ);
	ASSERT_EQ(0, attach());
	EXPECT_EQ(FAKE_BIT(VIRTIO_NET_F_MRG_RXBUF) | FAKE_BIT(VIRTIO_NET_F_MQ) |
			  FAKE_BIT(VIRTIO_F_RING_PACKED),
		  withheld);
	endpoint_face_json(self->ep, device);
	ASSERT_TRUE(json_object_object_get_ex(device, "masked", &masked));
	ASSERT_EQ(3, json_object_array_length(masked));
	for (size_t i = 0; i < 3; i++) {
		json_object *entry = json_object_array_get_idx(masked, i);

		json_object_object_get_ex(entry, "feature", &value);
		EXPECT_STREQ(expected[i].feature, json_object_get_string(value));
		json_object_object_get_ex(entry, "by", &value);
		EXPECT_STREQ(expected[i].by, json_object_get_string(value));
	}
	json_object_put(device);
	ASSERT_EQ(0, detach());
	EXPECT_EQ(0, withheld);
}

/* Software serves, and hardware may later. */
TEST_F(serve, software_has_the_face_of_hardware) {
	const struct hardware_face hardware = {
		FAKE_BIT(VIRTIO_F_VERSION_1) | FAKE_BIT(VIRTIO_NET_F_MQ), 2
	};
	const uint16_t pairs = self->ep->queues;

	endpoint_face_set(self->ep, &hardware);
	EXPECT_EQ(2, self->ep->queues);
	EXPECT_TRUE(withheld & FAKE_BIT(VIRTIO_NET_F_MRG_RXBUF));
	EXPECT_TRUE(withheld & FAKE_BIT(VIRTIO_F_RING_PACKED));
	EXPECT_FALSE(withheld & (FAKE_BIT(VIRTIO_F_VERSION_1) | FAKE_BIT(VIRTIO_NET_F_MQ)));
	endpoint_face_clear(self->ep);
	EXPECT_EQ(pairs, self->ep->queues);
	EXPECT_EQ(0, withheld);
}

/* A VF with queues=1: its hardware could have more, and will be made with one pair. */
TEST_F(serve, software_has_the_face_of_a_device_with_one_pair) {
	const struct hardware_face hardware = { OFFERED, 1 };

	endpoint_face_set(self->ep, &hardware);
	EXPECT_EQ(1, self->ep->queues);
	EXPECT_EQ(FAKE_BIT(VIRTIO_NET_F_MQ) | FAKE_BIT(VIRTIO_F_RING_PACKED), withheld);
	endpoint_face_clear(self->ep);
	EXPECT_EQ(8, self->ep->queues);
	EXPECT_EQ(0, withheld);
}

TEST_F(serve, device_that_was_made_with_one_pair) {
	self->fake->features |= FAKE_BIT(VIRTIO_NET_F_MQ) | FAKE_BIT(VIRTIO_NET_F_CTRL_VQ);
	self->fake->config.max_virtqueue_pairs = 1;
	self->fake->vrings = 3;
	ASSERT_EQ(0, attach());
	EXPECT_EQ(1, self->ep->queues);
	EXPECT_TRUE(withheld & FAKE_BIT(VIRTIO_NET_F_MQ));
	ASSERT_EQ(0, detach());
	self->fake->config.max_virtqueue_pairs = 2;
	self->fake->vrings = 5;
	ASSERT_EQ(0, attach());
	EXPECT_EQ(2, self->ep->queues);
	EXPECT_FALSE(withheld & FAKE_BIT(VIRTIO_NET_F_MQ));
}

TEST_F(serve, port_has_the_address_and_the_pairs) {
	struct backend *backend;

	memcpy(self->fake->config.mac, "\x52\x54\0\1\2\3", 6);
	ASSERT_EQ(0, attach());
	backend = self->ep->backend;
	ASSERT_EQ(0, backend->ops->software(backend, true, &self->err));
	EXPECT_STREQ("net_virtio_user7", port.name);
	EXPECT_STREQ("path=" PATH ",mac=52:54:00:01:02:03,queue_size=256,queues=1", port.args);
	/* Once is enough. */
	ASSERT_EQ(0, backend->ops->software(backend, true, &self->err));
	EXPECT_PORT("open");
	ASSERT_EQ(0, backend->ops->software(backend, false, NULL));
	backend->pairs = 2;
	ASSERT_EQ(0, backend->ops->software(backend, true, &self->err));
	EXPECT_NE(NULL, strstr(port.args, ",queues=2,cq=1"));
}

/* What lanes are made from is the port's while there is one. */
TEST_F(serve, backend_is_its_port) {
	struct rte_mbuf *pkts[8];
	struct backend *backend;

	ASSERT_EQ(0, attach());
	backend = self->ep->backend;
	EXPECT_EQ(-1, backend->port);
	ASSERT_EQ(0, backend->ops->software(backend, true, &self->err));
	EXPECT_EQ(5, backend->port);
	EXPECT_EQ(64, backend->rx_ring);
	EXPECT_EQ(32, backend->tx_ring);
	EXPECT_EQ(3, backend->tx_offloads);
	EXPECT_EQ(1400, backend->mtu);
	EXPECT_TRUE(backend->interrupts);
	EXPECT_EQ(0, backend->ops->spread(backend, 2));
	EXPECT_EQ(2, port.queues);
	EXPECT_EQ(2, backend->rx_queues);
	EXPECT_EQ(8, backend->ops->rx_burst(backend, 1, pkts, 8));
	EXPECT_EQ(-ENOTSUP, backend->ops->tx_left(backend, 0));
	EXPECT_EQ(7, backend->ops->tx_burst(backend, 1, pkts, 8));
	EXPECT_EQ(-1, backend->ops->rx_fd(backend, 0));
	ASSERT_EQ(0, backend->ops->software(backend, false, NULL));
	EXPECT_EQ(-1, backend->port);
	EXPECT_FALSE(backend->interrupts);
}

/* The packets of a VM lie on the node of its memory, wherever the one before it was. */
TEST_F(serve, packet_memory_follows_the_vm) {
	const struct rte_mempool *first;

	self->req.chardev[0] = '\0';
	vm_node = 0;
	vm_comes(self->ep, self->guest);
	ASSERT_EQ(0, attach());
	EXPECT_EQ(0, self->ep->pool_node);
	EXPECT_FALSE(endpoint_needs_refit(self->ep));
	first = self->ep->pool;
	vm_goes(self->ep, self->guest);
	EXPECT_FALSE(endpoint_needs_refit(self->ep));
	vm_node = 1;
	vm_comes(self->ep, self->guest);
	EXPECT_TRUE(endpoint_needs_refit(self->ep));
	EXPECT_PORT("open, start");
	endpoint_do_refit(self->ep);
	EXPECT_PORT("stop, start");
	EXPECT_EQ(1, self->ep->pool_node);
	EXPECT_NE(first, self->ep->pool);
	EXPECT_FALSE(endpoint_needs_refit(self->ep));
}

int main(int argc, char **argv)
{
	return relay_test_main(argc, argv, 64, 256);
}
