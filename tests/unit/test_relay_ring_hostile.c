/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rings and memory that lie. The VM's file has a gap between its two regions, in pages that the
 * relay maps nevertheless: nothing is written there, and nothing of it is taken for a packet.
 */
#include "ring_fixture.h"

#include <pthread.h>
#include <sched.h>

#include "one_worker.h"

#define SIZE 64
#define GAP (FRONT_SIZE / 2 - 100) /* offset: the first region does not end with a page */
#define GAP_END (FRONT_SIZE / 2 + FRONT_PAGE)
#define MARK 0x5a
#define FRAME 60
#define BUFFER 256
#define SCRIBBLED 5000 /* rounds */

FIXTURE(hostile) {
	struct place *place, *neighbour;
	struct front *front;
};

static void set_gap(struct front *f)
{
	static const uint64_t cuts[] = { 0, GAP, FRONT_SIZE };

	front_cut(f, cuts, 2);
	f->regions[1] = (struct front_region){ .gpa = FRONT_BASE + GAP_END,
					       .size = FRONT_SIZE - GAP_END,
					       .user = FRONT_USER + FRONT_BASE + GAP_END,
					       .offset = GAP_END };
	memset(f->file + GAP, MARK, GAP_END - GAP);
}

static bool is_gap_untouched(const struct front *f)
{
	for (uint64_t at = GAP; at < GAP_END; at++) {
		if (f->file[at] != MARK)
			return false;
	}
	return true;
}

FIXTURE_SETUP(hostile)
{
	static struct place place, neighbour;

	ASSERT_EQ(0, places_init());
	ASSERT_EQ(0, place_make(&neighbour, 0, &device_ops));
	ASSERT_EQ(0, place_make(&place, 1, &device_ops));
	ASSERT_TRUE(place_connect(&neighbour, MODERN, SIZE, 0));
	set_gap(&place.front);
	ASSERT_TRUE(place_connect(&place, MODERN, SIZE, 0));
	ASSERT_TRUE(gets_fast(&place, TX));
	self->place = &place;
	self->neighbour = &neighbour;
	self->front = &place.front;
	guard_current = &place.vm->guard;
}

FIXTURE_TEARDOWN(hostile)
{
	EXPECT_TRUE(is_gap_untouched(self->front));
	place_end(self->place);
	place_end(self->neighbour);
	vhost_wake_fini();
}

/* --- one descriptor that lies --- */

enum outcome {
	STUCK,	/* the ring goes no further */
	NONE,	/* it is used, for nothing */
	PASSES, /* as if it were right */
};

struct harm {
	const char *name;
	enum outcome sent, received; /* in the transmit, in the receive ring */
	void (*apply)(struct front *f, unsigned int index, struct vring_desc *d, uint16_t *id);
};

/* d is right so far, with a buffer of BUFFER bytes for the receive ring. */
#define HARM(name) \
	static void name(struct front *f, unsigned int index, struct vring_desc *d, uint16_t *id)

/* What is there would be right. */
HARM(number_of_none)
{
	*id = 4096;
	f->rings[index].vring.desc[*id] = *d;
}

HARM(greatest_number)
{
	*id = 65535;
}

HARM(address_below)
{
	d->addr = FRONT_BASE - 1;
}

HARM(address_in_the_gap)
{
	d->addr = FRONT_BASE + GAP;
}

HARM(address_behind)
{
	d->addr = FRONT_BASE + FRONT_SIZE;
}

HARM(greatest_address)
{
	d->addr = ~UINT64_C(0);
}

HARM(across_the_first_end)
{
	d->addr = FRONT_BASE + GAP - d->len + 1;
}

HARM(across_the_last_end)
{
	d->addr = FRONT_BASE + FRONT_SIZE - d->len + 1;
}

HARM(no_length)
{
	d->len = 0;
}

HARM(less_than_a_header)
{
	d->len = 5;
}

HARM(just_a_header)
{
	d->len = 12;
}

HARM(length_of_4_gib)
{
	d->len = ~UINT32_C(0);
}

HARM(length_of_4_gib_around)
{
	d->addr = FRONT_BASE + FRONT_SIZE - 1;
	d->len = ~UINT32_C(0);
}

HARM(other_direction)
{
	d->flags ^= VRING_DESC_F_WRITE;
}

HARM(unknown_flags)
{
	d->flags |= 0xfff8;
}

HARM(next_of_itself)
{
	d->flags |= VRING_DESC_F_NEXT;
	d->next = *id;
}

HARM(next_that_is_none)
{
	d->flags |= VRING_DESC_F_NEXT;
	d->next = SIZE;
}

HARM(table_in_the_gap)
{
	d->addr = FRONT_BASE + GAP;
	d->flags |= VRING_DESC_F_INDIRECT;
}

HARM(table_that_is_too_long)
{
	d->len = 65536 * sizeof(*d);
	d->flags |= VRING_DESC_F_INDIRECT;
}

static const struct harm harms[] = {
	{ "number of none", STUCK, STUCK, number_of_none },
	{ "greatest number", STUCK, STUCK, greatest_number },
	{ "address below", STUCK, STUCK, address_below },
	{ "address in the gap", STUCK, STUCK, address_in_the_gap },
	{ "address behind", STUCK, STUCK, address_behind },
	{ "greatest address", STUCK, STUCK, greatest_address },
	{ "across the first end", STUCK, STUCK, across_the_first_end },
	{ "across the last end", STUCK, STUCK, across_the_last_end },
	{ "no length", NONE, STUCK, no_length },
	{ "less than a header", NONE, STUCK, less_than_a_header },
	{ "just a header", NONE, STUCK, just_a_header },
	{ "length of 4 GiB", STUCK, STUCK, length_of_4_gib },
	{ "length of 4 GiB around", STUCK, STUCK, length_of_4_gib_around },
	{ "other direction", PASSES, PASSES, other_direction },
	{ "unknown flags", PASSES, PASSES, unknown_flags },
	{ "next of itself", STUCK, STUCK, next_of_itself },
	{ "next that is none", STUCK, STUCK, next_that_is_none },
	{ "table in the gap", STUCK, STUCK, table_in_the_gap },
	{ "table that is too long", STUCK, STUCK, table_that_is_too_long },
};

#define RIGHT 5 /* before it, and behind it */

/* A frame to be sent, or a buffer. */
static void put(struct front *f, unsigned int index, const struct harm *harm)
{
	struct vring_desc *desc = f->rings[index].vring.desc;
	const uint64_t gpa = front_memory(f, BUFFER, false);
	const bool to_vf = index == TX;
	uint16_t id = front_describe(f, index, gpa, to_vf ? 12 + FRAME : BUFFER,
				     to_vf ? 0 : VRING_DESC_F_WRITE);

	memset(front_at(f, gpa), 0, BUFFER);
	frame_fill(front_at(f, gpa) + 12, 1, 0, FRAME);
	if (harm)
		harm->apply(f, index, &desc[id], &id);
	front_avail(f, index, id);
}

static void put_around(struct front *f, unsigned int index, const struct harm *harm)
{
	for (unsigned int i = 0; i < 2 * RIGHT + 1; i++)
		put(f, index, i == RIGHT ? harm : NULL);
	front_show(f, index);
}

/* How many right frames come out. */
static unsigned int take_frames(struct place *p)
{
	struct rte_mbuf *pkts[RING_BURST];
	unsigned int n = 0;

	for (unsigned int round = 0; round < 8; round++) {
		unsigned int got = take(p, pkts, RING_BURST);

		for (unsigned int i = 0; i < got; i++)
			n += mbuf_is(pkts[i], 1, FRAME);
		rte_pktmbuf_free_bulk(pkts, got);
	}
	return n;
}

/* How many go in. */
static unsigned int give_frames(struct place *p)
{
	unsigned int n = 0;

	for (unsigned int round = 0; round < 2 * RIGHT + 1; round++) {
		struct rte_mbuf *m = mbuf_make(1, FRAME, ROOM);

		n += give(p, &m, 1);
		rte_pktmbuf_free(m);
	}
	return n;
}

static void EXPECT_OUTCOME(struct __test_metadata *_metadata, const struct harm *harm,
			   enum outcome outcome, unsigned int n)
{
	static const unsigned int numbers[] = { RIGHT, 2 * RIGHT, 2 * RIGHT + 1 };

	EXPECT_EQ(numbers[outcome], n)
	{
		TH_LOG("%s", harm->name);
	}
}

static void begin_anew(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self)
{
	for (unsigned int i = 0; i < FRONT_RINGS; i++)
		EXPECT_LE(0, front_stop(self->front, i));
	self->front->free = FRONT_BUFFERS;
	ASSERT_TRUE(front_start(self->front, SIZE, 0));
	ASSERT_TRUE(gets_fast(self->place, TX));
	ASSERT_TRUE(gets_fast(self->place, RX));
}

TEST_F(hostile, a_descriptor_that_lies) {
	for (unsigned int i = 0; i < RTE_DIM(harms); i++) {
		begin_anew(_metadata, self);
		put_around(self->front, TX, &harms[i]);
		EXPECT_OUTCOME(_metadata, &harms[i], harms[i].sent, take_frames(self->place));
		put_around(self->front, RX, &harms[i]);
		EXPECT_OUTCOME(_metadata, &harms[i], harms[i].received, give_frames(self->place));
		EXPECT_TRUE(is_gap_untouched(self->front))
		{
			TH_LOG("%s", harms[i].name);
		}
	}
}

/* More than there is room for: no more is believed than what the library would believe. */
TEST_F(hostile, an_index_that_lies) {
	static const uint16_t ahead[] = { SIZE + 1, 32768, 65535 };

	for (unsigned int i = 0; i < RTE_DIM(ahead); i++) {
		struct rte_mbuf *pkts[RING_BURST];
		struct rte_mbuf *m = mbuf_make(1, FRAME, ROOM);

		begin_anew(_metadata, self);
		for (unsigned int index = 0; index < FRONT_RINGS; index++) {
			put_around(self->front, index, &harms[0]);
			self->front->rings[index].idx = ahead[i];
			front_show(self->front, index);
		}
		by_library = 0;
		EXPECT_EQ(RIGHT, take(self->place, pkts, RING_BURST));
		EXPECT_EQ(RIGHT, by_library);
		rte_pktmbuf_free_bulk(pkts, RIGHT);
		EXPECT_EQ(1, give(self->place, &m, 1));
		EXPECT_EQ(RIGHT + 1, by_library);
		rte_pktmbuf_free(m);
		EXPECT_TRUE(front_sync(self->front));
	}
}

/* --- a guest that writes while it is read --- */

struct scribbler {
	struct front *front;
	_Atomic bool stop;
};

static uint64_t noise(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *state >> 33;
}

static uint64_t wrong_address(uint64_t *state)
{
	static const uint64_t places[] = {
		0, GAP, GAP - 200, GAP_END, FRONT_SIZE - 1000, FRONT_SIZE
	};

	return FRONT_BASE + places[noise(state) % RTE_DIM(places)] + noise(state) % 2048;
}

/* Half of what is written is right. */
static void *scribble(void *arg)
{
	static const uint32_t lens[] = { 0, 11, 12, 13, 72, 1500, 4000, 70000, 0xffffffff };
	struct scribbler *s = arg;
	uint64_t state = 1;

	while (!s->stop) {
		const unsigned int index = noise(&state) % 2;
		volatile struct vring *v = &s->front->rings[index].vring;
		volatile struct vring_desc *d = &v->desc[noise(&state) % SIZE];
		volatile struct vring_avail *avail = v->avail;
		const bool right = noise(&state) % 4;

		d->len = right ? 1024 : lens[noise(&state) % RTE_DIM(lens)];
		d->addr = right ? FRONT_BASE + FRONT_BUFFERS : wrong_address(&state);
		d->flags = right ? (index == RX ? VRING_DESC_F_WRITE : 0) : noise(&state) % 8;
		d->next = noise(&state) % (SIZE + 1);
		avail->ring[noise(&state) % SIZE] = noise(&state) % (right ? SIZE : SIZE + 2);
		avail->idx += noise(&state) % 2;
	}
	return NULL;
}

/* Another VM's frames go there and back meanwhile. */
static bool is_well(struct place *p)
{
	struct rte_mbuf *pkts[RING_BURST];
	unsigned int n;
	bool same;

	put(&p->front, TX, NULL);
	put(&p->front, RX, NULL);
	front_show(&p->front, TX);
	front_show(&p->front, RX);
	n = take(p, pkts, RING_BURST);
	same = n == 1 && mbuf_is(pkts[0], 1, FRAME) && give(p, pkts, 1) == 1;
	rte_pktmbuf_free_bulk(pkts, n);
	return same && front_used(&p->front, TX) && front_used(&p->front, RX);
}

TEST_F(hostile, a_ring_that_changes_while_it_is_read) {
	struct scribbler scribbler = { .front = self->front };
	unsigned int taken = 0, given = 0, idle = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, scribble, &scribbler));
	for (unsigned int round = 0; round < SCRIBBLED; round++) {
		struct rte_mbuf *pkts[RING_BURST];
		unsigned int n = take(self->place, pkts, RING_BURST), in;

		rte_pktmbuf_free_bulk(pkts, n);
		pkts[0] = mbuf_make(1, 1 + random_below(ROOM), ROOM);
		in = give(self->place, pkts, 1);
		rte_pktmbuf_free(pkts[0]);
		EXPECT_TRUE(is_well(self->neighbour));
		taken += n;
		given += in;
		idle = n + in ? 0 : idle + 1;
		if (idle == 20) { /* stuck, until what is there is written again */
			begin_anew(_metadata, self);
			idle = 0;
		}
		if (round % 16 == 0)
			sched_yield();
	}
	scribbler.stop = true;
	pthread_join(thread, NULL);
	EXPECT_LT(SCRIBBLED / 20, taken);
	EXPECT_LT(SCRIBBLED / 20, given);
	EXPECT_TRUE(front_sync(self->front));
}

/* --- memory and rings --- */

/* Each part of a ring, cut by the end of a region. The library shows such a ring, and does not
 * touch it. */
TEST_F(hostile, rings_that_are_not_all_in_one_region) {
	const struct vring *v = &self->front->rings[TX].vring;
	const void *parts[] = { v->desc, v->avail, v->used };

	for (unsigned int i = 0; i < RTE_DIM(parts); i++) {
		const uint64_t cut = (const uint8_t *)parts[i] - self->front->file + 100;
		const uint64_t cuts[] = { 0, cut, FRONT_SIZE };

		begin_anew(_metadata, self);
		put_around(self->front, TX, &harms[0]);
		front_cut(self->front, cuts, 2);
		ASSERT_TRUE(front_say_memory(self->front, 0));
		ASSERT_TRUE(front_sync(self->front));
		EXPECT_TRUE(gets_fast(self->place, RX));
		EXPECT_FALSE(is_fast(self->place, TX));
		EXPECT_EQ(0, take_frames(self->place));
		EXPECT_EQ(0, v->used->idx);
		set_gap(self->front);
		ASSERT_TRUE(front_say_memory(self->front, 0));
	}
}

/* The library takes it nevertheless, where the CPU does. */
TEST_F(hostile, a_ring_that_is_not_aligned) {
	struct front_ring *ring = &self->front->rings[TX];

	for (unsigned int i = 0; i < FRONT_RINGS; i++)
		EXPECT_LE(0, front_stop(self->front, i));
	for (unsigned int i = 0; i < FRONT_RINGS; i++) {
		front_make_ring(self->front, i, SIZE, 0);
		if (i == TX)
			ring->vring.used = (void *)((uint8_t *)ring->vring.used + 2);
		front_tell_ring(self->front, i, 0);
		front_say_state(self->front, SET_VRING_ENABLE, i, 1);
	}
	ASSERT_TRUE(front_sync(self->front));
	EXPECT_TRUE(gets_fast(self->place, RX));
	EXPECT_FALSE(is_fast(self->place, TX));
}

TEST_F(hostile, a_ring_in_use_keeps_its_size) {
	front_say_state(self->front, SET_VRING_NUM, TX, SIZE);
	EXPECT_TRUE(front_sync(self->front));
	front_say_state(self->front, SET_VRING_NUM, TX, 32768);
	EXPECT_FALSE(front_sync(self->front));
}

TEST_F(hostile, a_ring_has_a_size) {
	for (unsigned int i = 0; i < FRONT_RINGS; i++)
		EXPECT_LE(0, front_stop(self->front, i));
	front_say_state(self->front, SET_VRING_NUM, TX, 0);
	EXPECT_FALSE(front_sync(self->front));
}

/* The library has no table then, and says so only to whom asked for an answer. */
TEST_F(hostile, memory_that_cannot_be_mapped) {
	static const uint64_t whole[] = { 0, FRONT_SIZE }; /* one that was there is not looked at */
	const int right = self->front->fd;
	struct front_message m;

	front_cut(self->front, whole, 1);
	self->front->fd = self->front->rings[0].kick;
	ASSERT_TRUE(front_say_memory(self->front, FRONT_NEED_REPLY));
	ASSERT_TRUE(front_answer(self->front, &m));
	EXPECT_EQ(SET_MEM_TABLE, m.request);
	EXPECT_NE(0, m.payload.u64);
	EXPECT_FALSE(front_sync(self->front));
	self->front->fd = right;
}

/* --- what the guard does --- */

/* In the middle of a burst. Nothing is held then: messages are handled as always. */
TEST_F(hostile, memory_that_vanishes) {
	struct rte_mbuf *pkts[RING_BURST];

	put_around(self->front, TX, &harms[0]);
	put_around(self->front, RX, &harms[0]);
	ASSERT_EQ(0, ftruncate(self->front->fd, FRONT_BUFFERS));
	EXPECT_EQ(RIGHT, take(self->place, pkts, RING_BURST));
	EXPECT_EQ(GUARD_MEMORY, self->place->vm->guard.faults);
	EXPECT_TRUE(mbuf_is(pkts[0], 0, 0) || pkts[0]->pkt_len == FRAME);
	EXPECT_EQ(RIGHT, give(self->place, pkts, RIGHT));
	rte_pktmbuf_free_bulk(pkts, RIGHT);
	EXPECT_TRUE(front_sync(self->front));
	endpoint_work();
	EXPECT_FALSE(front_sync(self->front));
	EXPECT_TRUE(is_well(self->neighbour));
	ASSERT_EQ(0, ftruncate(self->front->fd, FRONT_SIZE));
	memset(self->front->file + GAP, MARK, GAP_END - GAP);
}

TEST_F(hostile, a_ring_that_is_stuck) {
	struct pollfd work = { .fd = endpoint_work_fd(), .events = POLLIN };
	static struct place place;

	ASSERT_EQ(0, start_worker(100));
	ASSERT_EQ(0, place_make(&place, 2, &device_ops));
	ASSERT_TRUE(place_connect(&place, MODERN, SIZE, 0));
	put_around(&place.front, TX, &harms[0]);
	eventfd_write(place.front.rings[TX].kick, 1);
	while (place.ep->vm && poll(&work, 1, 5000) == 1)
		endpoint_work();
	EXPECT_FALSE(front_sync(&place.front));
	EXPECT_EQ(RIGHT, place.device.n_sent);
	place_end(&place);
	workers_stop();
}

int main(int argc, char **argv)
{
	log_open("test_relay_ring_hostile", LOG_CRIT);
	return relay_test_main(argc, argv, POOL, ROOM);
}
