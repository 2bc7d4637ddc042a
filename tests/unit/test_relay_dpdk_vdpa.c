/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An endpoint with a vDPA device of DPDK. In the place of EAL, of the driver and of the vhost
 * library are functions of the test, which note in which order they are called; connections are
 * real, and end when the library's thread reads their end.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include <linux/virtio_net.h>

#include <rte_dev.h>
#include <rte_vdpa.h>
#include <rte_vhost.h>

#include "sw-relay/endpoint_internal.h"
#include "sw-relay/pci_check.h"

#include "relay_eal.h"

#define BDF "0000:05:08.1"
#define BIT(n) (1ull << (n))
#define OFFERED (BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM))

static struct rte_vdpa_device *const the_device = (struct rte_vdpa_device *)&the_device;

static struct {
	char log[512];
	int add_error, queue_error, join_error;
	bool no_device; /* the driver makes none */
	uint32_t pairs;
	uint64_t features;			   /* of the device */
	struct rte_vdpa_device *joined, *given[4]; /* to the socket; to connections, by vid */
	rte_dev_event_cb_fn on_event;
	void *on_event_arg;
	unsigned int told, off; /* device changes; notifications that were switched off */
} world;

static struct endpoint the_endpoint;

static void note(const char *what)
{
	const size_t len = strlen(world.log);

	snprintf(world.log + len, sizeof(world.log) - len, "%s%s", len ? ", " : "", what);
}

/* --- in the place of others --- */

int pci_check(const char *root, const struct pci_addr *addr, struct pci_facts *facts,
	      struct err *err)
{
	*facts = (struct pci_facts){ .vendor = 0x10ee, .device = 0x1100, .numa_node = -1 };
	return 0;
}

bool pci_answers(const char *root, const struct pci_addr *addr)
{
	return true;
}

void service_device_changed(unsigned int id)
{
	world.told++;
}

void service_vm_changed(unsigned int id, bool connected)
{
}

int rte_eal_hotplug_add(const char *bus, const char *name, const char *args)
{
	char entry[96];

	snprintf(entry, sizeof(entry), "plug %s %s %s", bus, name, args);
	note(entry);
	return world.add_error;
}

int rte_eal_hotplug_remove(const char *bus, const char *name)
{
	note("unplug");
	return 0;
}

int rte_dev_event_callback_register(const char *name, rte_dev_event_cb_fn fn, void *arg)
{
	world.on_event = fn;
	world.on_event_arg = arg;
	return 0;
}

int rte_dev_event_callback_unregister(const char *name, rte_dev_event_cb_fn fn, void *arg)
{
	world.on_event = NULL;
	return 1;
}

struct rte_vdpa_device *rte_vdpa_find_device_by_name(const char *name)
{
	return world.no_device || strcmp(name, BDF) ? NULL : the_device;
}

int rte_vdpa_get_queue_num(struct rte_vdpa_device *dev, uint32_t *pairs)
{
	*pairs = world.pairs;
	return world.queue_error;
}

int rte_vhost_driver_get_features(const char *path, uint64_t *features)
{
	*features = world.joined ? OFFERED & world.features : OFFERED;
	return 0;
}

int rte_vhost_driver_attach_vdpa_device(const char *path, struct rte_vdpa_device *dev)
{
	note("join");
	if (world.join_error)
		return -1;
	world.joined = dev;
	return 0;
}

int rte_vhost_driver_detach_vdpa_device(const char *path)
{
	note("part");
	world.joined = NULL;
	return 0;
}

struct rte_vdpa_device *rte_vhost_get_vdpa_device(int vid)
{
	return world.given[vid];
}

int rte_vhost_get_ifname(int vid, char *buf, size_t len)
{
	snprintf(buf, len, "%s", the_endpoint.options.socket);
	return 0;
}

int rte_vhost_extern_callback_register(int vid, struct rte_vhost_user_extern_ops const *const ops,
				       void *ctx)
{
	return 0;
}

uint16_t rte_vhost_get_vring_num(int vid)
{
	return 2;
}

int rte_vhost_enable_guest_notification(int vid, uint16_t queue, int enable)
{
	world.off += !enable;
	return 0;
}

int rte_vhost_get_negotiated_features(int vid, uint64_t *features)
{
	*features = 0;
	return 0;
}

int rte_vhost_get_numa_node(int vid)
{
	return -1;
}

/* --- VMs --- */

struct link {
	int vid, ours, theirs;
	pthread_t thread;
};

/* Up to its rings. */
static int vm_connect(struct link *link, int vid)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(at.sun_path, the_endpoint.options.socket);
	unlink(at.sun_path);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 1) < 0)
		abort();
	link->vid = vid;
	link->theirs = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(link->theirs, (struct sockaddr *)&at, sizeof(at)) < 0)
		abort();
	link->ours = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	unlink(at.sun_path);
	world.given[vid] = world.joined;
	if (endpoint_vhost_ops.new_connection(vid) < 0)
		return -1;
	return endpoint_vhost_ops.new_device(vid);
}

/* As the library's event thread does when a connection has ended. */
static void *library(void *arg)
{
	struct link *link = arg;
	char byte;

	while (recv(link->ours, &byte, 1, 0) != 0)
		;
	note("close");
	endpoint_vhost_ops.destroy_device(link->vid);
	endpoint_vhost_ops.destroy_connection(link->vid);
	close(link->ours);
	return NULL;
}

static void vm_watch(struct link *link)
{
	if (pthread_create(&link->thread, NULL, library, link) != 0)
		abort();
}

static void vm_ended(struct link *link)
{
	pthread_join(link->thread, NULL);
	close(link->theirs);
}

FIXTURE(endpoint) {
	struct endpoint *ep;
	struct backend_request req;
	struct err err;
};

FIXTURE_SETUP(endpoint)
{
	struct endpoint *ep = &the_endpoint;

	world.pairs = 2;
	world.features = OFFERED & ~BIT(VIRTIO_NET_F_MRG_RXBUF);
	ep->options = (struct endpoint_options){ .id = 7, .max_queues = 8, .mtu = 1500 };
	snprintf(ep->options.socket, sizeof(ep->options.socket), "/tmp/dpdk-vdpa-%d.sock",
		 getpid());
	ep->queues = 8;
	STAILQ_INIT(&ep->ops);
	bridge_init(&ep->bridge, 7, -1);
	TAILQ_INSERT_TAIL(&endpoints, ep, next);
	ASSERT_EQ(0, endpoint_vhost_init(&self->err));
	self->ep = ep;
	self->req = (struct backend_request){ .id = 7, .mtu = 1500, .vdpa_args = "class=vdpa" };
	ASSERT_EQ(0, devname_parse(&self->req.device, BDF, &self->err));
}

FIXTURE_TEARDOWN(endpoint)
{
	struct err err;

	if (self->ep->backend)
		endpoint_do_detach(self->ep, &err);
	EXPECT_EQ(NULL, world.joined);
	EXPECT_EQ(NULL, world.on_event);
}

#define attach() endpoint_do_attach(self->ep, &self->req, &self->err)
#define detach() endpoint_do_detach(self->ep, &self->err)
#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}
#define EXPECT_SERVED(by, words)                                          \
	do {                                                              \
		EXPECT_EQ(by, self->ep->serving.now);                     \
		EXPECT_NE(NULL, strstr(self->ep->serving.reason, words)); \
	} while (0)

TEST_F(endpoint, device_is_joined) {
	ASSERT_EQ(0, attach());
	EXPECT_STREQ("plug pci " BDF " class=vdpa, join", world.log);
	EXPECT_STREQ("dpdk-vdpa", self->ep->backend->ops->name);
	EXPECT_EQ(ENDPOINT_DEVICE_HELD, self->ep->device);
	EXPECT_EQ(2, self->ep->queues);
	EXPECT_EQ(BIT(VIRTIO_NET_F_MRG_RXBUF), self->ep->face.masked);
	EXPECT_SERVED(SERVING_NOTHING, "no VM is connected");
	EXPECT_TRUE(self->ep->backend->ops->link(self->ep->backend));
	ASSERT_EQ(0, detach());
	EXPECT_STREQ("plug pci " BDF " class=vdpa, join, part, unplug", world.log);
	EXPECT_EQ(8, self->ep->queues);
}

TEST_F(endpoint, more_queues_than_are_offered) {
	world.pairs = 100;
	ASSERT_EQ(0, attach());
	EXPECT_EQ(8, self->ep->queues);
}

TEST_F(endpoint, function_without_arguments_is_a_port) {
	self->req.vdpa_args[0] = '\0';
	EXPECT_FALSE(backend_dpdk_vdpa_ops.claims(&self->req));
	EXPECT_TRUE(backend_port_ops.claims(&self->req));
}

TEST_F(endpoint, driver_that_is_missing) {
	world.add_error = -ENOTSUP;
	EXPECT_EQ(-ENOTSUP, attach());
	EXPECT_SAID("no vDPA driver that takes 10ee:1100");
	EXPECT_SAID("librte-vdpa-");
	EXPECT_EQ(NULL, self->ep->backend);
}

/* The network driver of the same function has taken it. */
TEST_F(endpoint, port_instead_of_a_vdpa_device) {
	world.no_device = true;
	EXPECT_EQ(-ENODEV, attach());
	EXPECT_SAID("made no vDPA device");
	EXPECT_STREQ("plug pci " BDF " class=vdpa, unplug", world.log);
}

TEST_F(endpoint, driver_without_queues) {
	world.queue_error = -1;
	EXPECT_EQ(-EIO, attach());
	EXPECT_STREQ("plug pci " BDF " class=vdpa, unplug", world.log);
	world.queue_error = 0;
	world.pairs = 0;
	EXPECT_EQ(-EIO, attach());
	EXPECT_SAID("no number of queue pairs");
}

TEST_F(endpoint, socket_that_does_not_take_it) {
	world.join_error = -1;
	EXPECT_EQ(-EIO, attach());
	EXPECT_SAID(self->ep->options.socket);
	EXPECT_EQ(NULL, self->ep->vdpa);
	EXPECT_EQ(8, self->ep->queues);
	EXPECT_STREQ("plug pci " BDF " class=vdpa, join, unplug", world.log);
}

TEST_F(endpoint, vm_that_connects_later) {
	struct link link;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, vm_connect(&link, 1));
	vm_watch(&link);
	EXPECT_EQ(0, world.off);
	EXPECT_TRUE(endpoint_needs_serve(self->ep));
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_DIRECT, "has given the device the VM's rings");
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
	EXPECT_EQ(1, world.told);
	shutdown(link.theirs, SHUT_RDWR);
	vm_ended(&link);
	EXPECT_TRUE(endpoint_needs_serve(self->ep));
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_NOTHING, "no VM is connected");
	EXPECT_EQ(2, world.told);
}

/* Nobody serves it, and it is not asked for again and again. */
TEST_F(endpoint, vm_that_was_connected_before) {
	struct link before, anew;

	ASSERT_EQ(0, vm_connect(&before, 0));
	vm_watch(&before);
	EXPECT_EQ(2, world.off);
	ASSERT_EQ(0, attach());
	EXPECT_SERVED(SERVING_NOTHING, "connected before the device was attached");
	EXPECT_SERVED(SERVING_NOTHING, "restart the VM");
	EXPECT_FALSE(endpoint_needs_serve(self->ep));
	EXPECT_FALSE(endpoint_needs_refit(self->ep));
	EXPECT_EQ(NULL, self->ep->lanes[LANE_VM_TO_VF][0]);
	shutdown(before.theirs, SHUT_RDWR);
	vm_ended(&before);
	ASSERT_EQ(0, vm_connect(&anew, 1));
	vm_watch(&anew);
	endpoint_do_serve(self->ep);
	EXPECT_SERVED(SERVING_DIRECT, "");
	shutdown(anew.theirs, SHUT_RDWR);
	vm_ended(&anew);
}

/* It does not have the device: it stays, and is served by software. */
TEST_F(endpoint, vm_that_never_had_it_is_not_closed) {
	struct link link;

	ASSERT_EQ(0, vm_connect(&link, 0));
	vm_watch(&link);
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, detach());
	EXPECT_EQ(NULL, strstr(world.log, "close"));
	EXPECT_NE(NULL, self->ep->vm);
	shutdown(link.theirs, SHUT_RDWR);
	vm_ended(&link);
}

/* The driver is called for a connection until that has ended. */
TEST_F(endpoint, connection_ends_before_the_device_goes) {
	struct link link;
	char byte;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, vm_connect(&link, 1));
	vm_watch(&link);
	world.log[0] = '\0';
	ASSERT_EQ(0, detach());
	EXPECT_STREQ("part, close, unplug", world.log);
	EXPECT_EQ(0, recv(link.theirs, &byte, 1, 0));
	EXPECT_EQ(NULL, self->ep->vm);
	vm_ended(&link);
}

TEST_F(endpoint, second_vm_is_refused) {
	struct link first, second;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, vm_connect(&first, 1));
	vm_watch(&first);
	EXPECT_EQ(-1, vm_connect(&second, 2));
	ASSERT_EQ(0, detach());
	vm_ended(&first);
}

/* The library had looked at the socket just before the device was taken away. */
TEST_F(endpoint, connection_with_a_device_that_has_gone) {
	struct link link;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, detach());
	world.joined = the_device;
	EXPECT_EQ(-1, vm_connect(&link, 1));
	world.joined = NULL;
	EXPECT_EQ(0, vm_connect(&link, 2));
}

TEST_F(endpoint, function_that_is_taken_away) {
	ASSERT_EQ(0, attach());
	world.on_event(BDF, RTE_DEV_EVENT_ADD, world.on_event_arg);
	EXPECT_FALSE(self->ep->backend->gone);
	world.on_event(BDF, RTE_DEV_EVENT_REMOVE, world.on_event_arg);
	EXPECT_TRUE(self->ep->backend->gone);
	EXPECT_EQ(1, world.told);
	EXPECT_FALSE(self->ep->backend->ops->link(self->ep->backend));
}

TEST_F(endpoint, what_is_shown) {
	json_object *device, *masked, *value;

	ASSERT_EQ(0, attach());
	device = endpoint_device_json(7);
	ASSERT_NE(NULL, device);
	ASSERT_TRUE(json_object_object_get_ex(device, "backend", &value));
	EXPECT_STREQ("dpdk-vdpa", json_object_get_string(value));
	ASSERT_TRUE(json_object_object_get_ex(device, "mode", &value));
	EXPECT_STREQ("idle", json_object_get_string(value));
	ASSERT_TRUE(json_object_object_get_ex(device, "masked", &masked));
	ASSERT_EQ(1, json_object_array_length(masked));
	ASSERT_TRUE(
		json_object_object_get_ex(json_object_array_get_idx(masked, 0), "feature", &value));
	EXPECT_STREQ("MRG_RXBUF", json_object_get_string(value));
	json_object_put(device);
}

int main(int argc, char **argv)
{
	return relay_test_main(argc, argv, 64, 256);
}
