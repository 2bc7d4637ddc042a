/* SPDX-License-Identifier: BSD-3-Clause */

/* Packets of all sorts through a split ring, in both directions, between the relay's own code and
 * the vhost library's; and when the guest is told. */
#include "ring_fixture.h"

FIXTURE(ring) {
	struct place *place;
	struct front *front;
	unsigned int header;
	unsigned int before; /* packets in the pool */
};

FIXTURE_VARIANT(ring)
{
	uint64_t features;
	unsigned int size;
	uint16_t base;
};

FIXTURE_VARIANT_ADD(ring, legacy){ .features = LEGACY, .size = 256 };
FIXTURE_VARIANT_ADD(ring, modern){ .features = MODERN, .size = 256, .base = 65500 };
FIXTURE_VARIANT_ADD(ring, merging){ .features = MERGING | FRONT_BIT(VIRTIO_RING_F_EVENT_IDX),
				    .size = 64,
				    .base = 65500 };

FIXTURE_SETUP(ring)
{
	static struct place place;

	ASSERT_EQ(0, places_init());
	ASSERT_EQ(0, place_make(&place, 0, &device_ops));
	ASSERT_TRUE(place_connect(&place, variant->features, variant->size, variant->base));
	ASSERT_TRUE(gets_fast(&place, RX));
	ASSERT_TRUE(gets_fast(&place, TX));
	self->place = &place;
	self->front = &place.front;
	self->header = header_size(self->front);
	self->before = rte_mempool_avail_count(test_pool);
}

FIXTURE_TEARDOWN(ring)
{
	EXPECT_EQ(self->before, rte_mempool_avail_count(test_pool));
	place_end(self->place);
	vhost_wake_fini();
}

/* --- VM to VF --- */

enum kind { PLAIN, CHAIN, TABLE, SUM, TSO, LONG, EMPTY, KINDS };

struct sent {
	enum kind kind;
	uint32_t number, len; /* without the header */
	uint16_t id;
};

#define MSS 100

/* A TCP segment, which differs from others by its length. */
static void make_segment(uint32_t number)
{
	build_frame(&(struct shape){ .l4 = L4_TCP, .payload = 200 + number % 600 });
}

static uint32_t write_frame(uint8_t *p, const struct sent *s)
{
	if (s->kind != SUM && s->kind != TSO) {
		frame_fill(p, s->number, 0, s->len);
		return s->len;
	}
	make_segment(s->number);
	memcpy(p, frame, frame_len);
	return frame_len;
}

static void write_header(struct virtio_net_hdr *h, enum kind kind)
{
	if (kind != SUM && kind != TSO)
		return;
	*h = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .csum_start = l2_len + l3_len,
				      .csum_offset = 16 };
	if (kind == TSO) {
		h->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		h->gso_size = MSS;
	}
}

static uint32_t choose_len(enum kind kind)
{
	switch (kind) {
	case EMPTY:
		return 0;
	case LONG:
		return ROOM + 1 + random_below(2 * ROOM);
	default:
		return random_below(8) ? 1 + random_below(ROOM) : ROOM;
	}
}

/* Cuts what is to be sent into so many pieces. */
static uint16_t put_pieces(FIXTURE_DATA(ring) * self, const uint8_t *all, uint32_t len,
			   unsigned int n, bool table)
{
	struct front_piece pieces[3];

	for (unsigned int i = 0; i < n; i++) {
		uint32_t part = i + 1 == n ? len : RTE_MIN(len - 1, 5 + random_below(20));

		pieces[i] = (struct front_piece){ front_memory(self->front, part, random_below(2)),
						  part };
		memcpy(front_at(self->front, pieces[i].gpa), all, part);
		all += part;
		len -= part;
	}
	return (table ? front_table : front_chain)(self->front, TX, 0, pieces, n);
}

static void send_frame(FIXTURE_DATA(ring) * self, struct sent *s)
{
	static uint8_t all[4 * ROOM];

	memset(all, 0, self->header);
	s->len = choose_len(s->kind);
	s->len = write_frame(all + self->header, s);
	write_header((struct virtio_net_hdr *)all, s->kind);
	s->id = put_pieces(self, all, self->header + s->len,
			   s->kind == CHAIN   ? 2
			   : s->kind == TABLE ? 3
					      : 1,
			   s->kind == TABLE);
	front_avail(self->front, TX, s->id);
}

static bool is_right(struct rte_mbuf *m, const struct sent *s)
{
	static uint8_t got[4 * ROOM];

	if (s->kind != SUM && s->kind != TSO)
		return !m->ol_flags && mbuf_is(m, s->number, s->len);
	make_segment(s->number);
	if (m->pkt_len != frame_len || flatten(m, got) != frame_len ||
	    memcmp(got, frame, frame_len) != 0)
		return false;
	if (s->kind == SUM)
		return m->ol_flags == RTE_MBUF_F_RX_L4_CKSUM_NONE;
	return m->ol_flags == (RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO) &&
	       m->tso_segsz == MSS;
}

/* Returns how many of them came, each in its turn. */
static unsigned int take_all(FIXTURE_DATA(ring) * self, const struct sent *sent, unsigned int n)
{
	struct rte_mbuf *pkts[RING_BURST];
	unsigned int done = 0, idle = 0;

	while (idle < 4 * n) {
		unsigned int got = take(self->place, pkts, 1 + random_below(RING_BURST));

		idle = got ? 0 : idle + 1;
		for (unsigned int i = 0; i < got; i++) {
			while (done < n && sent[done].kind == EMPTY)
				done++;
			if (done == n || !is_right(pkts[i], &sent[done]))
				idle = ~0u;
			else
				done++;
		}
		rte_pktmbuf_free_bulk(pkts, got);
	}
	while (done < n && sent[done].kind == EMPTY)
		done++;
	return done;
}

static void send_and_take(struct __test_metadata *_metadata, FIXTURE_DATA(ring) * self,
			  struct sent *sent, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		send_frame(self, &sent[i]);
	front_show(self->front, TX);
	ASSERT_EQ(n, take_all(self, sent, n));
	for (unsigned int i = 0; i < n; i++) {
		const struct vring_used_elem *used = front_used(self->front, TX);

		ASSERT_NE(NULL, used);
		EXPECT_EQ(sent[i].id, used->id);
		EXPECT_EQ(0, used->len);
	}
	EXPECT_EQ(NULL, front_used(self->front, TX));
}

TEST_F(ring, plain_packets_pass_the_library_by) {
	struct sent sent[16];

	by_library = 0;
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < RTE_DIM(sent); i++)
			sent[i] = (struct sent){ PLAIN, 16 * round + i };
		send_and_take(_metadata, self, sent, RTE_DIM(sent));
	}
	EXPECT_EQ(0, by_library);
}

/* Every neighbour of every sort. */
TEST_F(ring, packets_of_all_sorts_come_in_order) {
	struct sent sent[16];
	uint32_t number = 0;

	by_library = 0;
	for (unsigned int round = 0; round < 400; round++) {
		unsigned int n = 1 + random_below(RTE_DIM(sent));

		for (unsigned int i = 0; i < n; i++)
			sent[i] = (struct sent){ random_below(2) ? random_below(KINDS) : PLAIN,
						 number++ };
		send_and_take(_metadata, self, sent, n);
	}
	EXPECT_LT(0, by_library);
	EXPECT_GT(number, by_library);
}

/* The first packet of a burst, and one in its middle, find no memory: they come later. */
TEST_F(ring, packets_wait_for_memory) {
	struct rte_mbuf *taken[POOL + 1], *pkts[RING_BURST];
	unsigned int n = 0;
	struct sent sent[16];

	for (unsigned int i = 0; i < RTE_DIM(sent); i++) {
		sent[i] = (struct sent){ PLAIN, i };
		send_frame(self, &sent[i]);
	}
	front_show(self->front, TX);
	while ((taken[n] = rte_pktmbuf_alloc(test_pool)))
		n++;
	EXPECT_EQ(0, take(self->place, pkts, RING_BURST));
	rte_pktmbuf_free_bulk(taken, 8);
	EXPECT_EQ(0, take(self->place, pkts, RING_BURST));
	EXPECT_EQ(NULL, front_used(self->front, TX));
	rte_pktmbuf_free_bulk(taken + 8, n - 8);
	EXPECT_EQ(RTE_DIM(sent), take_all(self, sent, RTE_DIM(sent)));
}

/* --- VF to VM --- */

struct offer {
	uint16_t id;
	uint32_t room; /* header included */
};

/* What was offered and is not used yet. */
static struct offer offers[256];
static unsigned int first_offer, n_offers;

static struct offer *offer_at(unsigned int i)
{
	return &offers[(first_offer + i) % RTE_DIM(offers)];
}

/* A buffer of one to three pieces, full of ones. */
static void offer(FIXTURE_DATA(ring) * self)
{
	struct front_piece pieces[3];
	struct offer *o = offer_at(n_offers++);
	unsigned int n = random_below(2) ? 1 : 1 + random_below(3);
	bool table = !random_below(4);

	*o = (struct offer){ 0 };
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = random_below(3) ? 2048 : self->header + 1 + random_below(300);

		if (i == 0 && n > 1 && random_below(2))
			len = random_below(2) ? self->header : 4;
		pieces[i] = (struct front_piece){ front_memory(self->front, len, random_below(2)),
						  len };
		memset(front_at(self->front, pieces[i].gpa), 0xff, len);
		o->room += len;
	}
	o->id = (table ? front_table : front_chain)(self->front, RX, VRING_DESC_F_WRITE, pieces, n);
	front_avail(self->front, RX, o->id);
}

static struct rte_mbuf *make_packet(uint32_t number)
{
	switch (random_below(6)) {
	case 0:
		return mbuf_make(number, 100 + random_below(1500), 1 + random_below(ROOM));
	case 1:
		return build(&(struct shape){ .l4 = L4_TCP, .payload = random_below(900) });
	case 2:
		return mbuf_make(number, 1 + random_below(ROOM), ROOM);
	default:
		return mbuf_make(number, 1 + random_below(60), ROOM);
	}
}

static bool is_mergeable(const struct front *f)
{
	return f->features & FRONT_BIT(VIRTIO_NET_F_MRG_RXBUF);
}

/* How many buffers a packet takes, 0: there is no room for it. */
static unsigned int buffers_for(FIXTURE_DATA(ring) * self, uint32_t len)
{
	const unsigned int most = is_mergeable(self->front) ? n_offers : RTE_MIN(n_offers, 1u);
	uint32_t room = 0;

	for (unsigned int n = 0; n < most; n++) {
		room += offer_at(n)->room;
		if (room >= self->header + len)
			return n + 1;
	}
	return 0;
}

/* Is what the guest sees as it should be? Takes it. */
static bool arrives(FIXTURE_DATA(ring) * self, struct rte_mbuf *m)
{
	static uint8_t got[MAX_PACKET], wanted[MAX_PACKET];
	struct virtio_net_hdr_mrg_rxbuf *h = (struct virtio_net_hdr_mrg_rxbuf *)got;
	struct virtio_net_hdr hdr = { 0 };
	uint32_t len = self->header + m->pkt_len, at = 0;
	unsigned int n = buffers_for(self, m->pkt_len);

	for (unsigned int i = 0; i < n; i++) {
		const struct vring_used_elem *used = front_used(self->front, RX);
		const struct offer *o = offer_at(i);

		if (!used || used->id != o->id || used->len != RTE_MIN(o->room, len - at) ||
		    front_gather(self->front, RX, used->id, used->len, got + at) != used->len)
			return false;
		at += used->len;
	}
	first_offer = (first_offer + n) % RTE_DIM(offers);
	n_offers -= n;
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM)
		hdr = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					       .csum_start = m->l2_len + m->l3_len,
					       .csum_offset = 16 };
	/* The library leaves the number of buffers alone where nothing is merged. */
	if (self->header == sizeof(*h) && (!by_library || is_mergeable(self->front)) &&
	    h->num_buffers != n)
		return false;
	return at == len && memcmp(got, &hdr, sizeof(hdr)) == 0 &&
	       flatten(m, wanted) == m->pkt_len &&
	       memcmp(got + self->header, wanted, m->pkt_len) == 0;
}

/* Gives a burst, and compares how far it came with how far it should. */
static void give_and_look(struct __test_metadata *_metadata, FIXTURE_DATA(ring) * self,
			  struct rte_mbuf **pkts, unsigned int n)
{
	unsigned int given = give(self->place, pkts, n);

	for (unsigned int i = 0; i < given; i++)
		EXPECT_TRUE(arrives(self, pkts[i]));
	if (given < n)
		EXPECT_EQ(0, buffers_for(self, pkts[given]->pkt_len));
	EXPECT_EQ(NULL, front_used(self->front, RX));
}

TEST_F(ring, buffers_and_packets_of_all_sorts) {
	const unsigned int most = variant->size / 3;
	uint32_t number = 0, small = 0;

	by_library = 0;
	for (unsigned int round = 0; round < 600; round++) {
		struct rte_mbuf *pkts[16], *one = mbuf_make(number, 1, ROOM);
		unsigned int n = 1 + random_below(RTE_DIM(pkts));

		while (n_offers < most - 1 && random_below(8))
			offer(self);
		front_show(self->front, RX);
		for (unsigned int i = 0; i < n; i++)
			pkts[i] = make_packet(number++);
		give_and_look(_metadata, self, pkts, n);
		rte_pktmbuf_free_bulk(pkts, n);
		/* What stops there would stop all others. */
		small += n_offers;
		give_and_look(_metadata, self, &one, 1);
		rte_pktmbuf_free(one);
	}
	EXPECT_LT(100, small);
	EXPECT_LT(0, by_library);
	EXPECT_GT(number, by_library);
}

TEST_F(ring, plain_buffers_are_filled_without_the_library) {
	struct rte_mbuf *pkts[LANE_OUT / 2];

	by_library = 0;
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < RTE_DIM(pkts) && i < variant->size; i++) {
			struct front_piece piece = { front_memory(self->front, 2048, i % 2), 2048 };
			struct offer *o = offer_at(n_offers++);

			memset(front_at(self->front, piece.gpa), 0xff, piece.len);
			*o = (struct offer){ .room = 2048 };
			o->id = front_chain(self->front, RX, VRING_DESC_F_WRITE, &piece, 1);
			front_avail(self->front, RX, o->id);
		}
		front_show(self->front, RX);
		for (unsigned int i = 0; i < RTE_DIM(pkts); i++)
			pkts[i] = mbuf_make(i, 1 + random_below(ROOM), ROOM);
		give_and_look(_metadata, self, pkts, RTE_MIN(RTE_DIM(pkts), variant->size));
		EXPECT_EQ(0, n_offers);
		rte_pktmbuf_free_bulk(pkts, RTE_DIM(pkts));
	}
	EXPECT_EQ(0, by_library);
}

/* --- when the guest is told --- */

/* By turns the event is one of this burst's, before it or after it; without events, a flag. */
TEST_F(ring, the_guest_is_told_when_it_wants_to_be) {
	struct front_ring *ring = &self->front->rings[TX];
	const bool by_event = variant->features & FRONT_BIT(VIRTIO_RING_F_EVENT_IDX);
	struct sent sent[16];
	unsigned int told = 0, rounds = 600;

	for (unsigned int round = 0; round < rounds; round++) {
		unsigned int n = 1 + random_below(RTE_DIM(sent));
		uint16_t old = ring->seen, event = old - 3 + random_below(n + 6);
		bool quiet = random_below(2), expected;

		vring_used_event(&ring->vring) = event;
		ring->vring.avail->flags = quiet ? VRING_AVAIL_F_NO_INTERRUPT : 0;
		for (unsigned int i = 0; i < n; i++)
			sent[i] = (struct sent){ random_below(3) ? PLAIN : random_below(EMPTY),
						 round };
		send_and_take(_metadata, self, sent, n);
		/* The first time in any case. */
		expected = by_event ? !round || vring_need_event(event, ring->seen, old) : !quiet;
		EXPECT_EQ(expected, front_called(self->front, TX));
		told += expected;
	}
	EXPECT_LT(rounds / 5, told);
	EXPECT_GT(rounds - rounds / 5, told);
}

/* --- rings and memory --- */

static void stop_rings(struct __test_metadata *_metadata, FIXTURE_DATA(ring) * self)
{
	for (unsigned int i = 0; i < FRONT_RINGS; i++)
		EXPECT_EQ(self->front->rings[i].seen, front_stop(self->front, i));
	EXPECT_EQ(NULL, self->place->ep->vm);
}

/* Both indices go past 65535 with every size; and the relay tells where a ring was stopped. */
TEST_F(ring, rings_of_all_sizes_wrap) {
	for (unsigned int size = 1; size <= 32768; size *= 2) {
		const unsigned int n = 2 * size + 64;
		struct rte_mbuf *pkts[RING_BURST];
		uint32_t sent = 0, taken = 0, given = 0;

		stop_rings(_metadata, self);
		ASSERT_TRUE(front_start(self->front, size, 65536 - size));
		ASSERT_TRUE(gets_fast(self->place, RX));
		ASSERT_TRUE(gets_fast(self->place, TX));
		by_library = 0;
		while (taken < n) {
			unsigned int batch = RTE_MIN(1 + random_below(100), size);
			const uint64_t at = front_memory(self->front, 80, false);

			frame_fill(front_at(self->front, at) + self->header, size, 0, 60);
			memset(front_at(self->front, at), 0, self->header);
			for (unsigned int i = 0; i < batch; i++, sent++) {
				front_avail(self->front, TX,
					    front_describe(self->front, TX, at, self->header + 60,
							   0));
				front_avail(self->front, RX,
					    front_describe(self->front, RX,
							   front_memory(self->front, 128, false),
							   128, VRING_DESC_F_WRITE));
			}
			front_show(self->front, TX);
			front_show(self->front, RX);
			while (taken < sent) {
				unsigned int got = take(self->place, pkts, RING_BURST);

				ASSERT_LT(0, got);
				for (unsigned int i = 0; i < got; i++)
					ASSERT_TRUE(mbuf_is(pkts[i], size, 60));
				ASSERT_EQ(got, give(self->place, pkts, got));
				rte_pktmbuf_free_bulk(pkts, got);
				taken += got;
			}
			for (; given < sent; given++) {
				ASSERT_NE(NULL, front_used(self->front, TX));
				ASSERT_NE(NULL, front_used(self->front, RX));
			}
		}
		EXPECT_EQ(0, by_library);
	}
	stop_rings(_metadata, self);
	ASSERT_TRUE(front_start(self->front, 64, 0));
}

/* Buffers within each of eight regions, and across the border of two: these are neighbours in the
 * guest's memory and not in the relay's. */
TEST_F(ring, a_buffer_may_lie_in_two_regions) {
	static const uint64_t begin = FRONT_BUFFERS + 64 * FRONT_PAGE;
	uint64_t cuts[FRONT_REGIONS + 1] = { 0 };
	struct rte_mbuf *pkts[RING_BURST];
	uint32_t crossing = 0;

	for (unsigned int i = 1; i < FRONT_REGIONS; i++)
		cuts[i] = begin + i * FRONT_PAGE;
	cuts[FRONT_REGIONS] = FRONT_SIZE;
	front_cut(self->front, cuts, FRONT_REGIONS);
	ASSERT_TRUE(front_say_memory(self->front, 0));
	ASSERT_TRUE(front_sync(self->front));
	ASSERT_TRUE(gets_fast(self->place, RX));
	ASSERT_TRUE(gets_fast(self->place, TX));
	by_library = 0;
	for (unsigned int round = 0; round < 300; round++) {
		const uint32_t len = 200 + random_below(ROOM - 200);
		const uint64_t at = begin + random_below(8 * FRONT_PAGE);
		const uint64_t gpa = FRONT_BASE + at, to = gpa + 16 * FRONT_PAGE;
		const struct vring_used_elem *used;
		unsigned int got = 0;

		frame_fill(front_at(self->front, gpa) + self->header, round, 0, len);
		memset(front_at(self->front, gpa), 0, self->header);
		front_avail(self->front, TX,
			    front_describe(self->front, TX, gpa, self->header + len, 0));
		front_avail(self->front, RX,
			    front_describe(self->front, RX, round % 2 ? gpa : to,
					   self->header + len, VRING_DESC_F_WRITE));
		front_show(self->front, TX);
		front_show(self->front, RX);
		got = take(self->place, pkts, 1);
		ASSERT_EQ(1, got);
		EXPECT_TRUE(mbuf_is(pkts[0], round, len));
		memset(front_at(self->front, gpa), 0xff, self->header + len);
		ASSERT_EQ(1, give(self->place, pkts, 1));
		ASSERT_NE(NULL, front_used(self->front, TX));
		used = front_used(self->front, RX);
		ASSERT_NE(NULL, used);
		EXPECT_EQ(self->header + len, used->len);
		EXPECT_TRUE(frame_is(front_at(self->front, round % 2 ? gpa : to) + self->header,
				     round, 0, len));
		rte_pktmbuf_free(pkts[0]);
		crossing += at / FRONT_PAGE != (at + self->header + len - 1) / FRONT_PAGE &&
			    at + self->header + len > begin + FRONT_PAGE;
	}
	EXPECT_LT(20, by_library);
	EXPECT_LE(by_library, 2 * crossing);
}

int main(int argc, char **argv)
{
	log_open("test_relay_ring", LOG_WARNING);
	return relay_test_main(argc, argv, POOL, ROOM);
}
