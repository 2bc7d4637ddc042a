/* SPDX-License-Identifier: BSD-3-Clause */

/* Messages to rings that are in use: what they ask for holds from the answer on, and packets go on
 * where they were. */
#include "ring_fixture.h"

#include <pthread.h>
#include <sched.h>

#define SIZE 64
#define FRAME 60
#define LOG_SIZE ((FRONT_BASE + FRONT_SIZE) / FRONT_PAGE / 8)

FIXTURE(messages) {
	struct place *place;
	struct front *front;
	uint32_t sent, taken, given;
	uint64_t now; /* the lanes' */
};

FIXTURE_SETUP(messages)
{
	static struct place place;

	ASSERT_EQ(0, places_init());
	lanes_init();
	ASSERT_EQ(0, place_make(&place, 0, &device_ops));
	ASSERT_TRUE(place_connect(&place, MERGING, SIZE, 0));
	ASSERT_TRUE(gets_fast(&place, TX));
	self->place = &place;
	self->front = &place.front;
	self->now = lane_gather;
}

FIXTURE_TEARDOWN(messages)
{
	place_end(self->place);
	vhost_wake_fini();
}

static void send_frames(FIXTURE_DATA(messages) * self, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const uint64_t gpa = front_memory(self->front, 12 + FRAME, false);

		memset(front_at(self->front, gpa), 0, 12);
		frame_fill(front_at(self->front, gpa) + 12, self->sent++, 0, FRAME);
		front_avail(self->front, TX, front_describe(self->front, TX, gpa, 12 + FRAME, 0));
	}
	front_show(self->front, TX);
}

/* Those that come next are right. */
static unsigned int take_frames(FIXTURE_DATA(messages) * self)
{
	struct rte_mbuf *pkts[RING_BURST];
	unsigned int n = take(self->place, pkts, RING_BURST), right = 0;

	while (right < n && mbuf_is(pkts[right], self->taken, FRAME)) {
		right++;
		self->taken++;
	}
	rte_pktmbuf_free_bulk(pkts, n);
	while (front_used(self->front, TX))
		;
	return right == n ? n : ~0u;
}

/* Buffers of 2048 bytes. Returns the address of the first; they are one behind the other. */
static uint64_t offer_buffers(FIXTURE_DATA(messages) * self, unsigned int n)
{
	uint64_t first = 0;

	for (unsigned int i = 0; i < n; i++) {
		const uint64_t gpa = front_memory(self->front, 2048, false);

		first = i ? first : gpa;
		front_avail(self->front, RX,
			    front_describe(self->front, RX, gpa, 2048, VRING_DESC_F_WRITE));
	}
	front_show(self->front, RX);
	return first;
}

static unsigned int give_frames(FIXTURE_DATA(messages) * self, unsigned int n, uint32_t len)
{
	struct rte_mbuf *pkts[RING_BURST];
	unsigned int given;

	for (unsigned int i = 0; i < n; i++)
		pkts[i] = mbuf_make(self->given + i, len, ROOM);
	given = give(self->place, pkts, n);
	rte_pktmbuf_free_bulk(pkts, n);
	for (unsigned int i = 0; i < given; i++) {
		static uint8_t got[2048];
		const struct vring_used_elem *used = front_used(self->front, RX);

		if (!used || used->len != 12 + len ||
		    front_gather(self->front, RX, used->id, used->len, got) != used->len ||
		    !frame_is(got + 12, self->given++, 0, len))
			return ~0u;
	}
	return given;
}

/* Frames go to and fro, and both rings are still where they should be. */
static void EXPECT_TRAFFIC(struct __test_metadata *_metadata, FIXTURE_DATA(messages) * self)
{
	send_frames(self, 10);
	EXPECT_EQ(10, take_frames(self));
	offer_buffers(self, 10);
	EXPECT_EQ(10, give_frames(self, 10, FRAME));
}

static bool is_logged(const uint8_t *log, uint64_t gpa)
{
	return log[gpa / FRONT_PAGE / 8] & 1 << gpa / FRONT_PAGE % 8;
}

/* Takes note of what was logged for len bytes at gpa; false: a page is missing. */
static bool forget_logged(uint8_t *log, uint64_t gpa, uint64_t len)
{
	for (uint64_t page = gpa / FRONT_PAGE; page <= (gpa + len - 1) / FRONT_PAGE; page++) {
		if (!is_logged(log, page * FRONT_PAGE))
			return false;
	}
	for (uint64_t page = gpa / FRONT_PAGE; page <= (gpa + len - 1) / FRONT_PAGE; page++)
		log[page / 8] &= ~(1 << page % 8);
	return true;
}

static bool is_empty(const uint8_t *log)
{
	for (uint64_t i = 0; i < LOG_SIZE; i++) {
		if (log[i])
			return false;
	}
	return true;
}

/* As QEMU does when a migration begins and ends. */
static void say_log(FIXTURE_DATA(messages) * self, bool on)
{
	front_say(self->front, SET_FEATURES,
		  self->front->features | (on ? FRONT_BIT(VHOST_F_LOG_ALL) : 0));
	for (unsigned int i = 0; i < FRONT_RINGS; i++)
		front_say_addr(self->front, i, on);
}

TEST_F(messages, what_is_written_is_logged_while_it_is_asked_for) {
	const struct front_ring *rings = self->front->rings;
	struct front_message base = { .request = SET_LOG_BASE,
				      .size = sizeof(base.payload.log),
				      .payload.log = { LOG_SIZE, 0 } };
	int fd = memfd_create("log", MFD_CLOEXEC);
	uint8_t *log;

	ASSERT_EQ(0, ftruncate(fd, LOG_SIZE));
	log = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_TRUE(front_send(self->front, &base, &fd, 1));
	ASSERT_TRUE(front_answer(self->front, &base));
	ASSERT_TRUE(front_sync(self->front));
	EXPECT_TRUE(gets_fast(self->place, RX));
	EXPECT_TRUE(gets_fast(self->place, TX));
	for (unsigned int round = 0; round < 20; round++) {
		uint64_t first;

		EXPECT_TRAFFIC(_metadata, self);
		EXPECT_TRUE(is_empty(log));
		say_log(self, true);
		ASSERT_TRUE(front_sync(self->front));
		EXPECT_FALSE(is_fast(self->place, RX));
		EXPECT_FALSE(is_fast(self->place, TX));
		first = offer_buffers(self, 16);
		EXPECT_EQ(16, give_frames(self, 16, ROOM));
		for (unsigned int i = 0; i < 16; i += 2) /* two in a page, or a bit more */
			EXPECT_TRUE(is_logged(log, first + i * 2112));
		EXPECT_TRUE(forget_logged(log, first, 15 * 2112 + ROOM));
		EXPECT_TRUE(
			forget_logged(log, front_ring_gpa(self->front, rings[RX].vring.used), 4));
		EXPECT_TRUE(is_empty(log));
		send_frames(self, 10);
		EXPECT_EQ(10, take_frames(self));
		EXPECT_TRUE(
			forget_logged(log, front_ring_gpa(self->front, rings[TX].vring.used), 4));
		EXPECT_TRUE(is_empty(log));
		say_log(self, false);
		ASSERT_TRUE(front_sync(self->front));
		EXPECT_TRUE(gets_fast(self->place, RX));
		EXPECT_TRUE(gets_fast(self->place, TX));
		by_library = 0;
		EXPECT_TRAFFIC(_metadata, self);
		EXPECT_EQ(0, by_library);
	}
	munmap(log, LOG_SIZE);
	close(fd);
}

TEST_F(messages, rings_are_off_and_on_again) {
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < FRONT_RINGS; i++)
			front_say_state(self->front, SET_VRING_ENABLE, i, 0);
		ASSERT_TRUE(front_sync(self->front));
		EXPECT_FALSE(is_fast(self->place, RX));
		EXPECT_FALSE(is_fast(self->place, TX));
		send_frames(self, 10);
		EXPECT_EQ(0, take_frames(self));
		offer_buffers(self, 10);
		EXPECT_EQ(0, give_frames(self, 10, FRAME));
		for (unsigned int i = 0; i < FRONT_RINGS; i++)
			front_say_state(self->front, SET_VRING_ENABLE, i, 1);
		ASSERT_TRUE(front_sync(self->front));
		EXPECT_TRUE(gets_fast(self->place, RX));
		EXPECT_TRUE(gets_fast(self->place, TX));
		EXPECT_EQ(10, take_frames(self));
		EXPECT_EQ(10, give_frames(self, 10, FRAME));
	}
}

/* One ring's state is nothing to the other's. */
TEST_F(messages, one_ring_is_off) {
	for (unsigned int off = 0; off < FRONT_RINGS; off++) {
		front_say_state(self->front, SET_VRING_ENABLE, off, 0);
		ASSERT_TRUE(front_sync(self->front));
		EXPECT_TRUE(gets_fast(self->place, !off));
		EXPECT_FALSE(is_fast(self->place, off));
		front_say_state(self->front, SET_VRING_ENABLE, off, 1);
		ASSERT_TRUE(front_sync(self->front));
		EXPECT_TRUE(gets_fast(self->place, off));
	}
	EXPECT_TRAFFIC(_metadata, self);
}

TEST_F(messages, interrupts_go_to_the_new_descriptor) {
	struct front_ring *ring = &self->front->rings[TX];
	const int old = ring->call;

	EXPECT_TRAFFIC(_metadata, self);
	EXPECT_TRUE(front_called(self->front, TX));
	ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_TRUE(front_say_fd(self->front, SET_VRING_CALL, TX, ring->call));
	ASSERT_TRUE(front_sync(self->front));
	EXPECT_TRUE(gets_fast(self->place, TX));
	EXPECT_TRAFFIC(_metadata, self);
	EXPECT_TRUE(front_called(self->front, TX));
	close(ring->call);
	ring->call = old;
	EXPECT_FALSE(front_called(self->front, TX));
}

/* --- two lanes with one ring --- */

#define EACH 50000

struct source {
	struct place *place;
	unsigned int id;
	pthread_t thread;
};

/* Their numbers are in the frames. What finds no room is given again. */
static void *give_numbered(void *arg)
{
	struct source *s = arg;
	struct rte_mbuf *pkts[16];
	uint32_t number = 0, given;

	for (unsigned int i = 0; i < RTE_DIM(pkts); i++)
		pkts[i] = mbuf_make(0, FRAME, ROOM);
	while (number < EACH) {
		for (unsigned int i = 0; i < RTE_DIM(pkts); i++) {
			uint32_t *p = rte_pktmbuf_mtod(pkts[i], uint32_t *);

			p[0] = s->id;
			p[1] = number + i;
		}
		given = give(s->place, pkts, RTE_MIN(RTE_DIM(pkts), EACH - number));
		number += given;
		if (!given)
			sched_yield();
	}
	rte_pktmbuf_free_bulk(pkts, RTE_DIM(pkts));
	return NULL;
}

TEST_F(messages, two_lanes_share_a_ring) {
	struct source sources[2];
	uint32_t next[2] = { 0 };
	unsigned int wrong = 0;

	offer_buffers(self, SIZE);
	for (unsigned int i = 0; i < RTE_DIM(sources); i++) {
		sources[i] = (struct source){ .place = self->place, .id = i };
		ASSERT_EQ(0, pthread_create(&sources[i].thread, NULL, give_numbered, &sources[i]));
	}
	while (next[0] + next[1] < 2 * EACH && !wrong) {
		const struct vring_used_elem *used = front_used(self->front, RX);
		uint32_t head[2];
		uint8_t got[12 + 8];

		if (!used) {
			sched_yield();
			continue;
		}
		front_gather(self->front, RX, used->id, sizeof(got), got);
		memcpy(head, got + 12, sizeof(head));
		wrong += head[0] > 1 || head[1] != next[head[0] & 1]++;
		front_avail(self->front, RX, used->id);
		front_show(self->front, RX);
	}
	EXPECT_EQ(0, wrong);
	for (unsigned int i = 0; i < RTE_DIM(sources); i++)
		pthread_join(sources[i].thread, NULL);
	EXPECT_EQ(EACH, next[0]);
	EXPECT_EQ(EACH, next[1]);
}

/* --- RARP, by the lane: the first ring has packets, or none --- */

static void run_lane(FIXTURE_DATA(messages) * self)
{
	self->now += 2 * lane_gather;
	lane_run(self->place->ep->lanes[LANE_VM_TO_VF][0], self->now);
}

static bool is_rarp(const struct rte_mbuf *m, uint64_t mac)
{
	struct rarp_frame wanted;

	rarp_make(&wanted, mac);
	return m->pkt_len >= 42 &&
	       !memcmp(rte_pktmbuf_mtod(m, const void *), &wanted, 42); /* without padding */
}

TEST_F(messages, requests_to_announce_the_vm) {
	const uint64_t mac = UINT64_C(0x020000005452);
	struct test_device *d = &self->place->device;

	for (unsigned int round = 0; round < 10; round++) {
		const unsigned int waiting = round % 2 ? 5 : 0;

		ASSERT_TRUE(front_say(self->front, SEND_RARP, mac + ((uint64_t)round << 40)));
		ASSERT_TRUE(front_sync(self->front));
		EXPECT_TRUE(gets_fast(self->place, TX));
		send_frames(self, waiting);
		run_lane(self);
		ASSERT_EQ(1 + waiting, d->n_sent);
		EXPECT_TRUE(is_rarp(d->sent[0], mac + ((uint64_t)round << 40)));
		for (unsigned int i = 0; i < waiting; i++)
			EXPECT_TRUE(mbuf_is(d->sent[1 + i], self->taken++, FRAME));
		rte_pktmbuf_free_bulk(d->sent, d->n_sent);
		d->n_sent = 0;
		/* Once, and then all is as before. */
		by_library = 0;
		send_frames(self, 5);
		run_lane(self);
		ASSERT_EQ(5, d->n_sent);
		EXPECT_EQ(0, by_library);
		for (unsigned int i = 0; i < 5; i++)
			EXPECT_TRUE(mbuf_is(d->sent[i], self->taken++, FRAME));
		rte_pktmbuf_free_bulk(d->sent, d->n_sent);
		d->n_sent = 0;
	}
}

int main(int argc, char **argv)
{
	log_open("test_relay_ring_messages", LOG_WARNING);
	return relay_test_main(argc, argv, POOL, ROOM);
}
