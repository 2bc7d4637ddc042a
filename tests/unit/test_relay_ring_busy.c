/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Messages while workers are at the rings: the guest sends and receives numbered frames in threads
 * of its own, by kicks and interrupts, and the device makes and takes them. No frame may be lost,
 * doubled, changed or out of its turn; what only comes when something is looked at once more by
 * accident does not come here.
 */
#include "ring_fixture.h"

#include <pthread.h>
#include <sched.h>

#include "one_worker.h"

#define SIZE 64
#define UNDER_WAY 24 /* frames in one direction */
#define SLOT 2048    /* memory of a buffer */
#define SLOTS 32     /* of the ring that sends */
#define RX_BUFFERS (FRONT_BUFFERS + SLOTS * SLOT)
#define HEADER 12
#define FRAME(number) (60 + (number) % 900)
#define STEP 300 /* frames each way between two messages */

/* The device and the guest, and what they have seen. */
static struct {
	struct place place;
	struct rte_mempool *pool;
	pthread_t sender, receiver;
	_Atomic bool stop, pause, sender_rests, receiver_rests;
	_Atomic uint32_t taken; /* by the device, of the guest's */
	_Atomic uint32_t made;	/* by the device */
	_Atomic uint32_t received;
	_Atomic uint32_t skipped; /* by the guest's count: those that it never saw */
	_Atomic uint32_t rarps;
	_Atomic uint32_t wrong, silent; /* frames; interrupts that did not come */
} world;

static void frame_make(uint8_t *p, uint32_t number)
{
	frame_fill(p, number, 0, FRAME(number));
	memcpy(p, &number, sizeof(number));
}

static bool is_frame(const uint8_t *p, uint32_t len, uint32_t number)
{
	return len == FRAME(number) && memcmp(p, &number, sizeof(number)) == 0 &&
	       frame_is(p + 4, number, 4, len - 4);
}

/* --- the device --- */

static uint16_t busy_tx(struct backend *b, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

		if (pkts[i]->pkt_len >= 42 && p[0] == 0xff && p[12] == 0x80 && p[13] == 0x35)
			world.rarps++;
		else if (is_frame(p, pkts[i]->data_len, world.taken))
			world.taken++;
		else
			world.wrong++;
	}
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

/* By the lane to the guest. */
static uint32_t dropped(void)
{
	const struct lane_stats *stats = &world.place.ep->stats[LANE_VF_TO_VM][0];
	uint32_t n = 0;

	for (unsigned int i = 0; i < LANE_DROPS; i++)
		n += stat_read(&stats->drops[i].packets);
	return n;
}

static uint16_t busy_rx(struct backend *b, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t room = UNDER_WAY - (world.made - world.received - dropped());

	n = world.pause ? 0 : RTE_MIN(n, room);
	if (!n || rte_pktmbuf_alloc_bulk(world.pool, pkts, n))
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		frame_make((uint8_t *)rte_pktmbuf_append(pkts[i], FRAME(world.made)), world.made);
		world.made++;
	}
	return n;
}

static int busy_start(struct backend *backend, struct rte_mempool *pool, struct err *err)
{
	world.pool = pool;
	return 0;
}

static const struct backend_ops busy_ops = {
	.name = "busy",
	.start = busy_start,
	.stop = device_nothing,
	.detach = device_nothing,
	.rx_burst = busy_rx,
	.tx_burst = busy_tx,
};

/* --- the guest --- */

static void kick_if_wanted(struct front *f, unsigned int index, uint16_t old)
{
	struct front_ring *ring = &f->rings[index];

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (f->features & FRONT_BIT(VIRTIO_RING_F_EVENT_IDX)
		    ? vring_need_event(__atomic_load_n(&vring_avail_event(&ring->vring),
						       __ATOMIC_RELAXED),
				       ring->idx, old)
		    : !(__atomic_load_n(&ring->vring.used->flags, __ATOMIC_RELAXED) &
			VRING_USED_F_NO_NOTIFY))
		eventfd_write(ring->kick, 1);
}

/* In one piece, or the header apart. */
static void send_frame(struct front *f, uint32_t number)
{
	const uint64_t gpa = FRONT_BASE + FRONT_BUFFERS + number % SLOTS * SLOT + number % 4;
	const struct front_piece all = { gpa, HEADER + FRAME(number) };
	const struct front_piece pieces[] = { { gpa, HEADER }, { gpa + HEADER, FRAME(number) } };
	const uint16_t old = f->rings[TX].idx;

	memset(front_at(f, gpa), 0, HEADER);
	frame_make(front_at(f, gpa) + HEADER, number);
	front_avail(f, TX,
		    number % 8 ? front_chain(f, TX, 0, &all, 1) : front_chain(f, TX, 0, pieces, 2));
	front_show(f, TX);
	kick_if_wanted(f, TX, old);
}

static void *sender(void *arg)
{
	struct front *f = &world.place.front;
	uint32_t sent = 0, returned = 0;

	while (!world.stop) {
		world.sender_rests = world.pause;
		while (front_used(f, TX))
			returned++;
		if (!world.sender_rests && sent - returned < UNDER_WAY)
			send_frame(f, sent++);
		else
			sched_yield();
	}
	return NULL;
}

/* False: nothing has come for a while. */
static bool wait_for_call(struct front *f, unsigned int index, int ms)
{
	struct pollfd call = { .fd = f->rings[index].call, .events = POLLIN };
	eventfd_t count;

	return poll(&call, 1, ms) == 1 && eventfd_read(call.fd, &count) == 0;
}

/* As Linux: the event is set, and then it is looked once more. */
static const struct vring_used_elem *wait_for_used(struct front *f, unsigned int index)
{
	struct front_ring *ring = &f->rings[index];
	const struct vring_used_elem *used = front_used(f, index);

	if (used)
		return used;
	__atomic_store_n(&vring_used_event(&ring->vring), ring->seen, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	used = front_used(f, index);
	if (used || wait_for_call(f, index, 20))
		return used;
	used = front_used(f, index);
	if (used && !wait_for_call(f, index, 2000))
		world.silent++;
	return used;
}

static void receive(struct front *f, const struct vring_used_elem *used)
{
	const uint8_t *p = f->file + RX_BUFFERS + used->id * SLOT;
	uint32_t number;

	memcpy(&number, p + HEADER, sizeof(number));
	if (number < world.received + world.skipped ||
	    !is_frame(p + HEADER, used->len - HEADER, number)) {
		world.wrong++;
	} else {
		world.skipped = number - world.received;
		world.received++;
	}
	front_avail(f, RX, used->id);
	front_show(f, RX);
}

static void *receiver(void *arg)
{
	struct front *f = &world.place.front;

	while (!world.stop) {
		const struct vring_used_elem *used = wait_for_used(f, RX);

		world.receiver_rests = world.pause && !used;
		if (used)
			receive(f, used);
	}
	return NULL;
}

/* --- */

FIXTURE(busy) {
	struct front *front;
};

FIXTURE_VARIANT(busy)
{
	uint64_t features;
};

FIXTURE_VARIANT_ADD(busy, modern){ .features = MODERN };
FIXTURE_VARIANT_ADD(busy, events){ .features = MERGING | FRONT_BIT(VIRTIO_RING_F_EVENT_IDX) };

FIXTURE_SETUP(busy)
{
	struct front *f = &world.place.front;

	self->front = f;
	ASSERT_EQ(0, places_init());
	ASSERT_EQ(0, start_worker(200));
	ASSERT_EQ(0, place_make(&world.place, 0, &busy_ops));
	ASSERT_TRUE(place_connect(&world.place, variant->features, SIZE, 65500));
	for (unsigned int i = 0; i < SIZE; i++)
		front_avail(f, RX,
			    front_describe(f, RX, FRONT_BASE + RX_BUFFERS + i * SLOT, SLOT,
					   VRING_DESC_F_WRITE));
	front_show(f, RX);
	ASSERT_EQ(0, pthread_create(&world.sender, NULL, sender, NULL));
	ASSERT_EQ(0, pthread_create(&world.receiver, NULL, receiver, NULL));
}

FIXTURE_TEARDOWN(busy)
{
	world.stop = true;
	pthread_join(world.sender, NULL);
	pthread_join(world.receiver, NULL);
	EXPECT_EQ(0, world.wrong);
	EXPECT_EQ(0, world.silent);
	place_end(&world.place);
	workers_stop();
	vhost_wake_fini();
}

/* What the control thread does meanwhile. */
static void work(void)
{
	struct pollfd pfd = { .fd = endpoint_work_fd(), .events = POLLIN };

	if (poll(&pfd, 1, 1) == 1)
		endpoint_work();
}

/* Waits for more frames in both directions; false: they do not come. */
static bool goes_on(void)
{
	const uint32_t taken = world.taken, received = world.received;

	for (unsigned int ms = 0; ms < 20000 && !world.wrong; ms++) {
		if (world.taken - taken >= STEP && world.received - received >= STEP)
			return true;
		work();
	}
	return false;
}

/* The table is cut otherwise each time; regions are where they were not before. */
TEST_F(busy, memory_is_mapped_elsewhere) {
	uint64_t cuts[FRONT_REGIONS + 1] = { 0 };
	uint32_t skipped = 0;

	ASSERT_TRUE(goes_on());
	skipped = world.skipped;
	for (unsigned int round = 0; round < 30; round++) {
		const unsigned int regions = 1 + round % FRONT_REGIONS;

		for (unsigned int i = 1; i < regions; i++)
			cuts[i] = FRONT_BUFFERS + i * 5 * FRONT_PAGE;
		cuts[regions] = FRONT_SIZE;
		front_cut(self->front, cuts, regions);
		ASSERT_TRUE(front_say_memory(self->front, 0));
		ASSERT_TRUE(goes_on());
	}
	EXPECT_EQ(skipped, world.skipped);
}

TEST_F(busy, messages_that_change_nothing) {
	uint32_t skipped = 0;

	ASSERT_TRUE(goes_on());
	skipped = world.skipped;
	for (unsigned int round = 0; round < 300; round++) {
		front_say_addr(self->front, round % 2, false);
		front_say(self->front, SET_FEATURES, self->front->features);
		ASSERT_TRUE(front_sync(self->front));
	}
	ASSERT_TRUE(goes_on());
	EXPECT_EQ(skipped, world.skipped);
}

/* Every buffer that was used since the log was on is in it. */
TEST_F(busy, log_goes_on_and_off) {
	const uint64_t size = (FRONT_BASE + FRONT_SIZE) / FRONT_PAGE / 8;
	struct front_message base = { .request = SET_LOG_BASE,
				      .size = sizeof(base.payload.log),
				      .payload.log = { size, 0 } };
	const uint64_t first = (FRONT_BASE + RX_BUFFERS) / FRONT_PAGE;
	int fd = memfd_create("log", MFD_CLOEXEC);
	uint32_t skipped = 0;
	uint8_t *log;

	ASSERT_EQ(0, ftruncate(fd, size));
	log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_TRUE(front_send(self->front, &base, &fd, 1));
	ASSERT_TRUE(front_answer(self->front, &base));
	ASSERT_TRUE(goes_on());
	skipped = world.skipped;
	for (unsigned int round = 0; round < 10; round++) {
		front_say(self->front, SET_FEATURES,
			  self->front->features | FRONT_BIT(VHOST_F_LOG_ALL));
		ASSERT_TRUE(front_sync(self->front));
		memset(log, 0, size);
		/* Each buffer is used several times. */
		ASSERT_TRUE(goes_on());
		for (uint64_t page = first; page < first + SIZE * SLOT / FRONT_PAGE; page++)
			EXPECT_TRUE(log[page / 8] & 1 << page % 8);
		front_say(self->front, SET_FEATURES, self->front->features);
		ASSERT_TRUE(front_sync(self->front));
		ASSERT_TRUE(gets_fast(&world.place, RX));
		memset(log, 0, size);
		ASSERT_TRUE(goes_on());
		for (uint64_t i = 0; i < size; i++)
			EXPECT_EQ(0, log[i]);
	}
	EXPECT_EQ(skipped, world.skipped);
	munmap(log, size);
	close(fd);
}

TEST_F(busy, requests_to_announce_the_vm) {
	uint32_t skipped = 0;

	ASSERT_TRUE(goes_on());
	skipped = world.skipped;
	for (unsigned int round = 1; round <= 20; round++) {
		ASSERT_TRUE(front_say(self->front, SEND_RARP, 0x5452));
		ASSERT_TRUE(front_sync(self->front));
		ASSERT_TRUE(goes_on());
		EXPECT_EQ(round, world.rarps);
	}
	EXPECT_EQ(skipped, world.skipped);
}

/* The library has none then, and workers still have the rings. Nothing is said after it. */
TEST_F(busy, memory_that_cannot_be_mapped) {
	/* one that was there is not looked at */
	static const uint64_t cuts[] = { 0, FRONT_BUFFERS + FRONT_PAGE, FRONT_SIZE };
	const int right = self->front->fd;
	struct front_message m;

	ASSERT_TRUE(goes_on());
	front_cut(self->front, cuts, 2);
	self->front->fd = self->front->rings[0].kick;
	ASSERT_TRUE(front_say_memory(self->front, FRONT_NEED_REPLY));
	ASSERT_TRUE(front_answer(self->front, &m));
	EXPECT_NE(0, m.payload.u64);
	for (unsigned int ms = 0; world.place.ep->vm && ms < 20000; ms++)
		work();
	EXPECT_EQ(NULL, world.place.ep->vm);
	EXPECT_FALSE(front_sync(self->front));
	self->front->fd = right;
}

/* While the receive ring is off, its frames are lost. */
TEST_F(busy, rings_go_off_and_on) {
	ASSERT_TRUE(goes_on());
	for (unsigned int round = 0; round < 30; round++) {
		for (unsigned int on = 0; on < 2; on++) {
			for (unsigned int i = 0; i < FRONT_RINGS; i++)
				front_say_state(self->front, SET_VRING_ENABLE, i, on);
			ASSERT_TRUE(front_sync(self->front));
		}
		ASSERT_TRUE(goes_on());
	}
}

/* As a guest that is paused, and goes on with the same rings. */
TEST_F(busy, rings_are_stopped_and_started) {
	uint32_t skipped = 0;

	ASSERT_TRUE(goes_on());
	skipped = world.skipped;
	for (unsigned int round = 0; round < 10; round++) {
		world.pause = true;
		while (!world.sender_rests || !world.receiver_rests)
			work();
		for (unsigned int i = 0; i < FRONT_RINGS; i++) {
			int base = front_stop(self->front, i);

			ASSERT_EQ(self->front->rings[i].vring.used->idx, base);
			front_tell_ring(self->front, i, base);
		}
		for (unsigned int i = 0; i < FRONT_RINGS; i++)
			front_say_state(self->front, SET_VRING_ENABLE, i, 1);
		ASSERT_TRUE(front_sync(self->front));
		eventfd_write(self->front->rings[TX].kick, 1);
		world.pause = false;
		ASSERT_TRUE(goes_on());
	}
	EXPECT_EQ(skipped, world.skipped);
}

int main(int argc, char **argv)
{
	log_open("test_relay_ring_busy", LOG_WARNING);
	return relay_test_main(argc, argv, POOL, ROOM);
}
