/* SPDX-License-Identifier: BSD-3-Clause */

/* Packets through the scripted device, which is set up by the same calls as a real one. */
#include <sys/mman.h>

#include <kselftest_harness.h>

#include "vdpa/vhost_vdpa.h"

#include "fake_vdpa_net.h"

#define PATH "/dev/vhost-vdpa-0"
#define PAGE 4096
#define SIZE 8
#define RINGS 5
#define IOVA UINT64_C(0x40000000)
#define MEMORY (64 * PAGE)
#define BUFFER 2048
#define MRG FAKE_BIT(VIRTIO_NET_F_MRG_RXBUF)
#define EVENTS FAKE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define CONTROL                                                       \
	(FAKE_BIT(VIRTIO_NET_F_CTRL_VQ) | FAKE_BIT(VIRTIO_NET_F_MQ) | \
	 FAKE_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | FAKE_BIT(VIRTIO_NET_F_CTRL_RX))

/* A driver: each ring has two pages of the memory, each of its descriptors a buffer. */
FIXTURE(net) {
	struct fake_vdpa *fake;
	struct vhost_vdpa dev;
	struct err err;
	char *memory;
	struct vring rings[RINGS];
	int call[RINGS], kick[RINGS];
};

FIXTURE_SETUP(net)
{
	self->fake = fake_vdpa_make(PATH);
	self->fake->features |= MRG | EVENTS | CONTROL | FAKE_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	self->fake->vrings = RINGS;
	self->fake->config.max_virtqueue_pairs = 2;
	self->dev = (struct vhost_vdpa)VHOST_VDPA_CLOSED;
	self->memory =
		mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned int i = 0; i < RINGS; i++) {
		vring_init(&self->rings[i], SIZE, self->memory + 2 * i * PAGE, PAGE);
		self->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		self->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
}

FIXTURE_TEARDOWN(net)
{
	fake_vdpa_stop(self->fake);
	vhost_vdpa_close(&self->dev);
	for (unsigned int i = 0; i < RINGS; i++) {
		close(self->call[i]);
		close(self->kick[i]);
	}
	munmap(self->memory, MEMORY);
	EXPECT_STREQ("", self->fake->complaints);
	EXPECT_EQ(0, self->fake->faults);
}

#define run() fake_vdpa_run(self->fake)
#define driver_ok() vhost_vdpa_driver_ok(&self->dev, &self->err)

static uint64_t iova_of(FIXTURE_DATA(net) * self, const void *at)
{
	return IOVA + ((const char *)at - self->memory);
}

static char *buffer(FIXTURE_DATA(net) * self, unsigned int ring, unsigned int i)
{
	return self->memory + 16 * PAGE + (ring * SIZE + i) * BUFFER;
}

static int set_ring(FIXTURE_DATA(net) * self, unsigned int i, uint32_t base)
{
	const struct vring *ring = &self->rings[i];
	const struct vhost_vdpa_vring vring = { .size = SIZE,
						.base = base,
						.desc = iova_of(self, ring->desc),
						.driver = iova_of(self, ring->avail),
						.device = iova_of(self, ring->used),
						.call = self->call[i],
						.kick = self->kick[i] };

	return vhost_vdpa_set_vring(&self->dev, i, &vring, &self->err)
		       ?: vhost_vdpa_enable_vring(&self->dev, i, true, &self->err);
}

static int prepare(FIXTURE_DATA(net) * self, uint64_t features)
{
	int rc = vhost_vdpa_open(&self->dev, PATH, &self->err) ?:
		 vhost_vdpa_negotiate(&self->dev, features, &self->err) ?:
		 vhost_vdpa_map(&self->dev, IOVA, MEMORY, self->memory, true, &self->err);

	for (unsigned int i = 0; !rc && i < RINGS; i++)
		rc = set_ring(self, i, 0);
	return rc;
}

static int start(FIXTURE_DATA(net) * self, uint64_t features)
{
	return prepare(self, FAKE_BIT(VIRTIO_F_VERSION_1) | features) ?: driver_ok();
}

/* Makes the descriptor available that is next. */
static struct vring_desc *offer(FIXTURE_DATA(net) * self, unsigned int index, uint32_t len,
				uint16_t flags)
{
	struct vring *ring = &self->rings[index];
	const uint16_t i = ring->avail->idx % SIZE;

	ring->desc[i] = (struct vring_desc){ .addr = iova_of(self, buffer(self, index, i)),
					     .len = len,
					     .flags = flags };
	ring->avail->ring[i] = i;
	__atomic_store_n(&ring->avail->idx, ring->avail->idx + 1, __ATOMIC_RELEASE);
	return &ring->desc[i];
}

static void offer_receive(FIXTURE_DATA(net) * self, unsigned int n)
{
	while (n--)
		offer(self, 0, BUFFER, VRING_DESC_F_WRITE);
}

/* len bytes of fill after the header. */
static struct vring_desc *send_frame(FIXTURE_DATA(net) * self, char fill, unsigned int len)
{
	char *at = buffer(self, 1, self->rings[1].avail->idx % SIZE);

	memset(at, 0, 12);
	memset(at + 12, fill, len);
	return offer(self, 1, 12 + len, 0);
}

static bool called(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value);
}

TEST_F(net, comes_back) {
	ASSERT_EQ(0, start(self, 0));
	offer_receive(self, 2);
	send_frame(self, 'a', 60);
	send_frame(self, 'b', 61);
	EXPECT_EQ(2, run());
	EXPECT_EQ(2, self->rings[0].used->idx);
	EXPECT_EQ(2, self->rings[1].used->idx);
	EXPECT_EQ(72, self->rings[0].used->ring[0].len);
	EXPECT_EQ(73, self->rings[0].used->ring[1].len);
	EXPECT_EQ(1, ((struct virtio_net_hdr_v1 *)buffer(self, 0, 0))->num_buffers);
	EXPECT_EQ('a', buffer(self, 0, 0)[12]);
	EXPECT_EQ('a', buffer(self, 0, 0)[71]);
	EXPECT_EQ('b', buffer(self, 0, 1)[72]);
	EXPECT_TRUE(called(self->call[0]));
	EXPECT_TRUE(called(self->call[1]));
	EXPECT_EQ(0, run());
	EXPECT_FALSE(called(self->call[0]));
}

TEST_F(net, no_interrupts_wanted) {
	ASSERT_EQ(0, start(self, 0));
	self->rings[0].avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	offer_receive(self, 1);
	send_frame(self, 'a', 60);
	EXPECT_EQ(1, run());
	EXPECT_FALSE(called(self->call[0]));
	EXPECT_TRUE(called(self->call[1]));
}

TEST_F(net, event_index) {
	ASSERT_EQ(0, start(self, EVENTS));
	vring_used_event(&self->rings[0]) = 1;
	vring_used_event(&self->rings[1]) = 0;
	offer_receive(self, 4);
	send_frame(self, 'a', 60);
	EXPECT_EQ(1, run());
	EXPECT_FALSE(called(self->call[0]));
	EXPECT_TRUE(called(self->call[1]));
	/* It wants to be told of the next one. */
	EXPECT_EQ(1, vring_avail_event(&self->rings[1]));
	send_frame(self, 'b', 60);
	send_frame(self, 'c', 60);
	EXPECT_EQ(2, run());
	EXPECT_TRUE(called(self->call[0]));
	EXPECT_FALSE(called(self->call[1]));
	EXPECT_EQ(3, vring_avail_event(&self->rings[1]));
}

TEST_F(net, more_than_the_rings_hold) {
	ASSERT_EQ(0, start(self, EVENTS));
	for (unsigned int i = 0; i < 70000; i++) {
		offer_receive(self, 1);
		send_frame(self, 'a' + i % 26, 60);
		ASSERT_EQ(1, run());
		ASSERT_EQ((uint16_t)(i + 1), self->rings[0].used->idx);
		ASSERT_EQ('a' + i % 26, buffer(self, 0, i % SIZE)[12]);
	}
	EXPECT_EQ(0, self->fake->dropped);
}

TEST_F(net, no_buffer) {
	ASSERT_EQ(0, start(self, 0));
	send_frame(self, 'a', 60);
	EXPECT_EQ(1, run());
	EXPECT_EQ(1, self->fake->dropped);
	EXPECT_EQ(1, self->rings[1].used->idx);
	/* Too small, and still there for the next frame. */
	offer(self, 0, 64, VRING_DESC_F_WRITE);
	send_frame(self, 'a', 60);
	EXPECT_EQ(1, run());
	EXPECT_EQ(2, self->fake->dropped);
	EXPECT_EQ(0, self->rings[0].used->idx);
	send_frame(self, 'b', 50);
	EXPECT_EQ(1, run());
	EXPECT_EQ(62, self->rings[0].used->ring[0].len);
	EXPECT_EQ(2, self->fake->dropped);
}

TEST_F(net, mergeable_buffers) {
	ASSERT_EQ(0, start(self, MRG));
	offer(self, 0, 100, VRING_DESC_F_WRITE);
	send_frame(self, 'a', 150);
	EXPECT_EQ(1, run());
	EXPECT_EQ(1, self->fake->dropped);
	offer(self, 0, 100, VRING_DESC_F_WRITE);
	send_frame(self, 'b', 150);
	EXPECT_EQ(1, run());
	EXPECT_EQ(1, self->fake->dropped);
	EXPECT_EQ(2, self->rings[0].used->idx);
	EXPECT_EQ(100, self->rings[0].used->ring[0].len);
	EXPECT_EQ(62, self->rings[0].used->ring[1].len);
	EXPECT_EQ(2, ((struct virtio_net_hdr_v1 *)buffer(self, 0, 0))->num_buffers);
	EXPECT_EQ('b', buffer(self, 0, 0)[99]);
	EXPECT_EQ('b', buffer(self, 0, 1)[61]);
	EXPECT_EQ(0, buffer(self, 0, 1)[62]);
}

TEST_F(net, chains_and_tables) {
	struct vring_desc *desc = self->rings[1].desc;

	ASSERT_EQ(0, start(self, FAKE_BIT(VIRTIO_RING_F_INDIRECT_DESC)));
	offer_receive(self, 2);
	/* The header apart, as many drivers have it. */
	*send_frame(self, 'a', 0) = (struct vring_desc){ .addr = iova_of(self, buffer(self, 1, 0)),
							 .len = 12,
							 .flags = VRING_DESC_F_NEXT,
							 .next = 5 };
	memset(buffer(self, 1, 5), 'c', 60);
	desc[5] = (struct vring_desc){ .addr = iova_of(self, buffer(self, 1, 5)), .len = 60 };
	EXPECT_EQ(1, run());
	EXPECT_EQ(72, self->rings[0].used->ring[0].len);
	EXPECT_EQ('c', buffer(self, 0, 0)[12]);
	EXPECT_EQ(0, self->rings[1].used->ring[0].id);
	/* The same in a table. */
	memcpy(buffer(self, 1, 6), desc, sizeof(*desc));
	memcpy(buffer(self, 1, 6) + sizeof(*desc), desc + 5, sizeof(*desc));
	((struct vring_desc *)buffer(self, 1, 6))->next = 1;
	*send_frame(self, 'a', 0) = (struct vring_desc){ .addr = iova_of(self, buffer(self, 1, 6)),
							 .len = 2 * sizeof(*desc),
							 .flags = VRING_DESC_F_INDIRECT };
	EXPECT_EQ(1, run());
	EXPECT_EQ(72, self->rings[0].used->ring[1].len);
	EXPECT_EQ(1, self->rings[1].used->ring[1].id);
}

/* vp_vdpa: an eventfd that comes later gets interrupts only when there was one before. */
TEST_F(net, late_interrupts) {
	struct vhost_vring_file none = { .index = 1, .fd = VHOST_FILE_UNBIND };

	self->fake->late_interrupts = true;
	ASSERT_EQ(0, prepare(self, FAKE_BIT(VIRTIO_F_VERSION_1)));
	EXPECT_EQ(0, vhost_vdpa_set_call(&self->dev, 0, -1, &self->err));
	EXPECT_EQ(0, chardev_ioctl(self->dev.fd, VHOST_SET_VRING_CALL, &none));
	EXPECT_EQ(0, driver_ok());
	EXPECT_EQ(0, vhost_vdpa_set_call(&self->dev, 0, self->call[0], &self->err));
	EXPECT_EQ(0, vhost_vdpa_set_call(&self->dev, 1, self->call[1], &self->err));
	offer_receive(self, 1);
	send_frame(self, 'a', 60);
	EXPECT_EQ(1, run());
	EXPECT_TRUE(called(self->call[0]));
	EXPECT_FALSE(called(self->call[1]));
}

TEST_F(net, waits_for_kick) {
	self->fake->waits_for_kick = true;
	ASSERT_EQ(0, prepare(self, FAKE_BIT(VIRTIO_F_VERSION_1)));
	offer_receive(self, 4);
	send_frame(self, 'a', 60);
	/* Before it runs, nobody listens. */
	eventfd_write(self->kick[0], 1);
	eventfd_write(self->kick[1], 1);
	EXPECT_EQ(0, driver_ok());
	EXPECT_EQ(0, run());
	eventfd_write(self->kick[1], 1);
	EXPECT_EQ(1, run());
	EXPECT_EQ(1, self->fake->dropped);
	eventfd_write(self->kick[0], 1);
	send_frame(self, 'b', 60);
	EXPECT_EQ(1, run());
	EXPECT_EQ(1, self->rings[0].used->idx);
	/* The kernel does not read what it is kicked with. */
	EXPECT_TRUE(called(self->kick[0]));
	/* An eventfd that has a count when it is given is a kick. */
	EXPECT_EQ(0, vhost_vdpa_negotiate(&self->dev, FAKE_BIT(VIRTIO_F_VERSION_1), &self->err));
	EXPECT_EQ(0, set_ring(self, 0, 1));
	EXPECT_EQ(0, set_ring(self, 1, 2));
	EXPECT_EQ(0, driver_ok());
	send_frame(self, 'c', 60);
	EXPECT_EQ(0, run());
	EXPECT_EQ(0, vhost_vdpa_set_kick(&self->dev, 1, self->kick[1], &self->err));
	EXPECT_EQ(1, run());
}

TEST_F(net, goes_on_where_it_was) {
	uint32_t base[2];

	ASSERT_EQ(0, start(self, 0));
	offer_receive(self, 4);
	send_frame(self, 'a', 60);
	EXPECT_EQ(1, run());
	EXPECT_EQ(0, vhost_vdpa_suspend(&self->dev, &self->err));
	send_frame(self, 'b', 60);
	EXPECT_EQ(0, run());
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT_EQ(0, vhost_vdpa_get_base(&self->dev, i, &base[i], &self->err));
		EXPECT_EQ(1, base[i]);
	}
	EXPECT_EQ(0, vhost_vdpa_resume(&self->dev, &self->err));
	EXPECT_EQ(1, run());
	EXPECT_EQ(0, vhost_vdpa_suspend(&self->dev, &self->err));
	EXPECT_EQ(0, vhost_vdpa_get_base(&self->dev, 0, &base[0], &self->err));
	EXPECT_EQ(2, base[0]);
	send_frame(self, 'c', 60);
	EXPECT_EQ(0, vhost_vdpa_negotiate(&self->dev, FAKE_BIT(VIRTIO_F_VERSION_1), &self->err));
	EXPECT_EQ(0, run());
	/* The kernel keeps the eventfds over a reset, the device does not know them any more. */
	EXPECT_LE(0, self->fake->rings[0].call);
	EXPECT_FALSE(self->fake->rings[0].has_call);
	EXPECT_EQ(0, set_ring(self, 0, 2));
	EXPECT_EQ(0, set_ring(self, 1, 2));
	EXPECT_EQ(0, driver_ok());
	EXPECT_EQ(1, run());
	EXPECT_EQ(3, self->rings[0].used->idx);
	EXPECT_EQ(3, self->rings[1].used->idx);
	EXPECT_EQ('c', buffer(self, 0, 2)[12]);
	EXPECT_EQ(0, self->fake->dropped);
}

/* A device that loses its memory in a reset, and a driver that does not map it again. */
TEST_F(net, lost_memory) {
	self->fake->backend_features &= ~FAKE_BIT(VHOST_BACKEND_F_IOTLB_PERSIST);
	ASSERT_EQ(0, start(self, 0));
	EXPECT_EQ(0, vhost_vdpa_negotiate(&self->dev, FAKE_BIT(VIRTIO_F_VERSION_1), &self->err));
	EXPECT_EQ(0, set_ring(self, 1, 0));
	EXPECT_EQ(0, driver_ok());
	EXPECT_STREQ("ring 1 at 0x40002000 is not mapped, ring 1 at 0x40002080 is not mapped, ring "
		     "1 at 0x40003000 is not mapped",
		     self->fake->complaints);
	send_frame(self, 'a', 60);
	EXPECT_EQ(0, run());
	EXPECT_LE(1, self->fake->faults);
	self->fake->complaints[0] = '\0';
	self->fake->faults = 0;
}

TEST_F(net, memory_that_it_may_not_reach) {
	ASSERT_EQ(0, start(self, 0));
	offer_receive(self, 2);
	send_frame(self, 'a', 60)->addr = IOVA - PAGE;
	EXPECT_EQ(0, run());
	EXPECT_EQ(1, self->fake->faults);
	EXPECT_TRUE(self->fake->rings[1].broken);
	self->fake->rings[1].broken = false;
	self->rings[1].avail->idx = 0;
	/* Some only for reading. */
	EXPECT_EQ(0, vhost_vdpa_map(&self->dev, 0, PAGE, self->memory, false, &self->err));
	self->rings[0].desc[0].addr = 0;
	self->fake->rings[1].seen = 0;
	send_frame(self, 'b', 60);
	EXPECT_EQ(1, run());
	EXPECT_EQ(2, self->fake->faults);
	EXPECT_TRUE(self->fake->rings[0].broken);
	self->fake->faults = 0;
}

TEST_F(net, memory_of_a_batch_that_goes_on) {
	ASSERT_EQ(0, start(self, 0));
	EXPECT_EQ(0, vhost_vdpa_map_begin(&self->dev, &self->err));
	EXPECT_EQ(0,
		  vhost_vdpa_map(&self->dev, 0, PAGE, self->memory + 60 * PAGE, true, &self->err));
	offer(self, 0, BUFFER, VRING_DESC_F_WRITE)->addr = 0;
	send_frame(self, 'a', 60);
	EXPECT_EQ(1, run());
	EXPECT_EQ(1, self->fake->faults);
	self->fake->faults = 0;
	self->fake->rings[0].broken = false;
	EXPECT_EQ(0, vhost_vdpa_map_end(&self->dev, &self->err));
	send_frame(self, 'b', 60);
	EXPECT_EQ(1, run());
	EXPECT_EQ('b', self->memory[60 * PAGE + 12]);
}

/* Across two maps. */
TEST_F(net, memory_in_pieces) {
	ASSERT_EQ(0, start(self, 0));
	EXPECT_EQ(0, vhost_vdpa_map(&self->dev, 0x10000, PAGE, self->memory + 62 * PAGE, true,
				    &self->err));
	EXPECT_EQ(0, vhost_vdpa_map(&self->dev, 0x11000, PAGE, self->memory + 60 * PAGE, true,
				    &self->err));
	offer(self, 0, BUFFER, VRING_DESC_F_WRITE)->addr = 0x11000 - 20;
	send_frame(self, 'a', 60);
	EXPECT_EQ(1, run());
	EXPECT_EQ('a', self->memory[63 * PAGE - 1]);
	EXPECT_EQ('a', self->memory[60 * PAGE + 51]);
	EXPECT_EQ(0, self->memory[60 * PAGE + 52]);
}

TEST_F(net, chain_without_end) {
	ASSERT_EQ(0, start(self, 0));
	send_frame(self, 'a', 60)->flags = VRING_DESC_F_NEXT;
	EXPECT_EQ(0, run());
	EXPECT_STREQ("a chain of descriptors does not end", self->fake->complaints);
	self->fake->complaints[0] = '\0';
}

/* Returns the device's answer. */
static int command(FIXTURE_DATA(net) * self, const void *what, uint32_t len)
{
	const unsigned int index = RINGS - 1;
	struct vring *ring = &self->rings[index];
	const uint16_t at = ring->used->idx;
	struct vring_desc *desc = offer(self, index, len, VRING_DESC_F_NEXT);
	char *answer = buffer(self, index, SIZE - 1);

	memcpy(self->memory + (desc->addr - IOVA), what, len);
	*answer = 77;
	desc->next = SIZE - 1;
	ring->desc[SIZE - 1] = (struct vring_desc){ .addr = iova_of(self, answer),
						    .len = 1,
						    .flags = VRING_DESC_F_WRITE };
	fake_vdpa_run(self->fake);
	if (ring->used->idx != (uint16_t)(at + 1) || ring->used->ring[at % SIZE].len != 1)
		return -1;
	return *answer;
}

TEST_F(net, control) {
	ASSERT_EQ(0, start(self, CONTROL));
	EXPECT_EQ(1, self->fake->pairs);
	self->fake->log[0] = '\0';
	EXPECT_EQ(VIRTIO_NET_OK, command(self, "\x04\x00\x02\x00", 4));
	EXPECT_EQ(2, self->fake->pairs);
	EXPECT_EQ(VIRTIO_NET_ERR, command(self, "\x04\x00\x03\x00", 4));
	EXPECT_EQ(VIRTIO_NET_OK, command(self, "\x00\x00\x01", 3));
	EXPECT_TRUE(self->fake->promiscuous);
	EXPECT_EQ(VIRTIO_NET_OK, command(self, "\x01\x01\x52\x54\x00\x00\x00\x77", 8));
	EXPECT_EQ(0x77, self->fake->mac[5]);
	EXPECT_EQ(VIRTIO_NET_ERR, command(self, "\x09\x00", 2));
	EXPECT_TRUE(called(self->call[RINGS - 1]));
	EXPECT_STREQ("control pairs 2, control pairs 3, control promiscuous 1, control mac "
		     "52:54:00:00:00:77",
		     self->fake->log);
}

TEST_F(net, second_pair) {
	char *at = buffer(self, 3, 0);

	ASSERT_EQ(0, start(self, CONTROL));
	offer(self, 2, BUFFER, VRING_DESC_F_WRITE);
	memset(at, 'z', 72);
	offer(self, 3, 72, 0);
	EXPECT_EQ(0, run());
	EXPECT_EQ(VIRTIO_NET_OK, command(self, "\x04\x00\x02\x00", 4));
	EXPECT_EQ(1, self->rings[2].used->idx);
	EXPECT_EQ('z', buffer(self, 2, 0)[71]);
	/* A reset goes back to one. */
	EXPECT_EQ(0, vhost_vdpa_negotiate(&self->dev, FAKE_BIT(VIRTIO_NET_F_CTRL_VQ), &self->err));
	EXPECT_EQ(1, self->fake->pairs);
}

TEST_F(net, by_itself) {
	struct pollfd answer = { .fd = self->call[0], .events = POLLIN };

	self->fake->waits_for_kick = true;
	fake_vdpa_start(self->fake);
	ASSERT_EQ(0, start(self, EVENTS));
	for (unsigned int i = 0; i < 100; i++) {
		vring_used_event(&self->rings[0]) = i;
		offer_receive(self, 1);
		send_frame(self, 'a', 60);
		if (!i)
			eventfd_write(self->kick[0], 1);
		eventfd_write(self->kick[1], 1);
		ASSERT_EQ(1, poll(&answer, 1, 10000));
		EXPECT_TRUE(called(self->call[0]));
	}
	fake_vdpa_stop(self->fake);
	EXPECT_EQ(100, self->fake->frames);
}

TEST_HARNESS_MAIN
