/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A VM as the vhost library shows it, within the test: the functions of rte_vhost.h that the bridge
 * calls are replaced, the memory and the rings are made up, and a small driver works on them. It
 * has eight slots in each ring; a slot has two descriptors, a page for its buffer and a place for
 * an indirect table.
 */
#ifndef VIO4WD_TEST_FAKE_GUEST_H
#define VIO4WD_TEST_FAKE_GUEST_H

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_vhost.h>

#include "sw-relay/vm.h"

#define GUEST_PAGE 4096u
#define GUEST_RINGS 4
#define GUEST_SLOTS 8u
#define GUEST_SIZE (2 * GUEST_SLOTS)
#define GUEST_REGIONS 3
#define GUEST_LOW UINT64_C(0x40000000)	/* the rings */
#define GUEST_HIGH UINT64_C(0x80000000) /* the buffers */
#define GUEST_HEADER 12u
#define GUEST_TABLE 3072u /* in the page of a slot */
#define GUEST_FRAME 60u

/* How a buffer is described. */
enum guest_shape { PLAIN, CHAIN, TABLE, CHAIN_TO_TABLE, GUEST_SHAPES };

struct guest_region {
	uint64_t gpa, size, offset;
	int fd;
	char *file, *host; /* host: at offset */
};

struct guest_ring {
	struct vring vring;
	uint16_t base;	   /* the library's */
	uint16_t seen;	   /* used entries that the driver has taken */
	unsigned int busy; /* slots, as bits */
	int kick, call;
};

struct guest {
	struct vm vm;
	unsigned int n_regions, n_rings;
	struct guest_region regions[GUEST_REGIONS];
	struct guest_ring rings[GUEST_RINGS];
	bool event_idx;
	char log[2048]; /* of what was said to be written */
};

static struct guest the_guest;

static inline char *guest_at(const struct guest *g, uint64_t gpa)
{
	for (unsigned int i = 0; i < g->n_regions; i++) {
		if (gpa - g->regions[i].gpa < g->regions[i].size)
			return g->regions[i].host + (gpa - g->regions[i].gpa);
	}
	return NULL;
}

/* --- in the place of the vhost library --- */

uint16_t rte_vhost_get_vring_num(int vid)
{
	return the_guest.n_rings;
}

int rte_vhost_get_vhost_vring(int vid, uint16_t index, struct rte_vhost_vring *vring)
{
	const struct guest_ring *ring = &the_guest.rings[index];

	if (index >= the_guest.n_rings || index >= GUEST_RINGS)
		return -1;
	*vring = (struct rte_vhost_vring){ .desc = ring->vring.desc,
					   .avail = ring->vring.avail,
					   .used = ring->vring.used,
					   .callfd = ring->call,
					   .kickfd = ring->kick,
					   .size = GUEST_SIZE };
	return 0;
}

int rte_vhost_get_vring_base(int vid, uint16_t index, uint16_t *available, uint16_t *used)
{
	if (index >= the_guest.n_rings || index >= GUEST_RINGS)
		return -1;
	*available = *used = the_guest.rings[index].base;
	return 0;
}

int rte_vhost_set_vring_base(int vid, uint16_t index, uint16_t available, uint16_t used)
{
	if (index >= the_guest.n_rings || index >= GUEST_RINGS)
		return -1;
	the_guest.rings[index].base = available;
	return 0;
}

int rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **memory)
{
	struct rte_vhost_memory *m =
		calloc(1, sizeof(*m) + the_guest.n_regions * sizeof(m->regions[0]));

	for (unsigned int i = 0; i < the_guest.n_regions; i++) {
		const struct guest_region *region = &the_guest.regions[i];

		m->regions[m->nregions++] = (struct rte_vhost_mem_region){
			.guest_phys_addr = region->gpa,
			.host_user_addr = (uintptr_t)region->host,
			.size = region->size,
			.mmap_addr = region->file,
			.mmap_size = region->size + region->offset,
			.fd = region->fd,
		};
	}
	*memory = m;
	return 0;
}

static inline void guest_note(const char *entry)
{
	char *log = the_guest.log;
	const size_t len = strlen(log);

	snprintf(log + len, sizeof(the_guest.log) - len, "%s%s", len ? ", " : "", entry);
}

void rte_vhost_log_write(int vid, uint64_t addr, uint64_t len)
{
	char entry[64];

	snprintf(entry, sizeof(entry), "%#llx+%llu", (unsigned long long)addr,
		 (unsigned long long)len);
	guest_note(entry);
}

/* What is told before it is written may be copied before, too. */
void rte_vhost_log_used_vring(int vid, uint16_t index, uint64_t offset, uint64_t len)
{
	const struct vring_used *used = the_guest.rings[index].vring.used;
	char entry[64];

	snprintf(entry, sizeof(entry), "used %u %llu+%llu", index, (unsigned long long)offset,
		 (unsigned long long)len);
	if (len == sizeof(used->ring[0])) {
		const struct vring_used_elem *elem =
			(const struct vring_used_elem *)((const char *)used + offset);

		snprintf(entry + strlen(entry), sizeof(entry) - strlen(entry), " (%u)", elem->id);
	}
	guest_note(entry);
}

/* --- memory and rings --- */

static inline void guest_add_region(struct guest *g, uint64_t gpa, uint64_t size, uint64_t offset)
{
	struct guest_region *region = &g->regions[g->n_regions++];

	*region = (struct guest_region){ .gpa = gpa, .size = size, .offset = offset };
	region->fd = memfd_create("guest", MFD_CLOEXEC);
	if (region->fd < 0 || ftruncate(region->fd, offset + size) < 0)
		abort();
	region->file = mmap(NULL, offset + size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
	region->host = region->file + offset;
}

static inline void guest_drop_region(struct guest *g, unsigned int i)
{
	struct guest_region *region = &g->regions[i];

	munmap(region->file, region->size + region->offset);
	close(region->fd);
	*region = g->regions[--g->n_regions];
}

static inline void guest_find_rings(struct guest *g)
{
	for (unsigned int i = 0; i < g->n_rings; i++)
		vring_init(&g->rings[i].vring, GUEST_SIZE,
			   guest_at(g, GUEST_LOW + 2 * i * GUEST_PAGE), GUEST_PAGE);
}

/* The library maps all of it anew, elsewhere. */
static inline void guest_move_memory(struct guest *g)
{
	for (unsigned int i = 0; i < g->n_regions; i++) {
		struct guest_region *region = &g->regions[i];
		const size_t size = region->size + region->offset;
		char *next = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);

		munmap(region->file, size);
		region->file = next;
		region->host = next + region->offset;
	}
	guest_find_rings(g);
}

static inline void guest_bells(struct guest_ring *ring)
{
	ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* As vring_state_changed() of endpoint_vhost.c tells. */
static inline void guest_ring_on(struct guest *g, unsigned int i, bool on)
{
	struct vm_ring *ring = &g->vm.rings[i];

	ring->kick_fd = on ? g->rings[i].kick : -1;
	ring->call_fd = on ? g->rings[i].call : -1;
	if (on)
		g->vm.enabled |= 1ull << i;
	else
		g->vm.enabled &= ~(1ull << i);
	ring->generation++;
}

static inline struct guest *guest_make(uint64_t features, unsigned int rings)
{
	struct guest *g = &the_guest;

	g->vm.features = features;
	g->vm.guard.socket = -1;
	g->event_idx = features & (1ull << VIRTIO_RING_F_EVENT_IDX);
	g->n_rings = rings;
	guest_add_region(g, GUEST_LOW, 16 * GUEST_PAGE, 2 * GUEST_PAGE);
	guest_add_region(g, GUEST_HIGH, GUEST_RINGS * GUEST_SLOTS * GUEST_PAGE, 0);
	guest_find_rings(g);
	for (unsigned int i = 0; i < GUEST_RINGS; i++) {
		guest_bells(&g->rings[i]);
		if (i < rings)
			guest_ring_on(g, i, true);
	}
	return g;
}

static inline void guest_end(struct guest *g)
{
	while (g->n_regions)
		guest_drop_region(g, 0);
	for (unsigned int i = 0; i < GUEST_RINGS; i++) {
		close(g->rings[i].kick);
		close(g->rings[i].call);
	}
}

/* --- the driver --- */

static inline uint64_t guest_buffer(unsigned int ring, unsigned int slot)
{
	return GUEST_HIGH + (ring * GUEST_SLOTS + slot) * GUEST_PAGE;
}

static inline struct vring_desc *guest_table(struct guest *g, unsigned int ring, unsigned int slot)
{
	return (struct vring_desc *)guest_at(g, guest_buffer(ring, slot) + GUEST_TABLE);
}

/* len bytes of the slot's buffer: the header and the rest, which are apart but in PLAIN. */
static inline void guest_describe(struct guest *g, unsigned int index, unsigned int slot,
				  uint32_t len, uint16_t flags, enum guest_shape shape)
{
	const uint64_t at = guest_buffer(index, slot);
	const uint16_t head = 2 * slot;
	const struct vring_desc all = { .addr = at, .len = len, .flags = flags };
	const struct vring_desc first = { .addr = at,
					  .len = GUEST_HEADER,
					  .flags = flags | VRING_DESC_F_NEXT };
	const struct vring_desc rest = { .addr = at + GUEST_HEADER,
					 .len = len - GUEST_HEADER,
					 .flags = flags };
	const struct vring_desc table = { .addr = at + GUEST_TABLE,
					  .len = sizeof(struct vring_desc),
					  .flags = VRING_DESC_F_INDIRECT };
	struct vring_desc *desc = g->rings[index].vring.desc;
	struct vring_desc *inner = guest_table(g, index, slot);

	desc[head] = shape == PLAIN ? all : shape == TABLE ? table : first;
	desc[head].next = head + 1;
	desc[head + 1] = shape == CHAIN_TO_TABLE ? table : rest;
	inner[0] = shape == TABLE ? first : rest;
	inner[0].next = 1;
	inner[1] = rest;
	if (shape == TABLE)
		desc[head].len = 2 * sizeof(*inner);
}

static inline void guest_publish(struct guest *g, unsigned int index, uint16_t head)
{
	struct guest_ring *ring = &g->rings[index];
	struct vring *v = &ring->vring;
	const uint16_t old = v->avail->idx, now = old + 1;
	bool kick;

	v->avail->ring[old % GUEST_SIZE] = head;
	__atomic_store_n(&v->avail->idx, now, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	kick = g->event_idx
		       ? vring_need_event(__atomic_load_n(&vring_avail_event(v), __ATOMIC_RELAXED),
					  now, old)
		       : !(__atomic_load_n(&v->used->flags, __ATOMIC_RELAXED) &
			   VRING_USED_F_NO_NOTIFY);
	if (kick)
		eventfd_write(ring->kick, 1);
}

/* Returns the slot; -1: there is none that is free. */
static inline int guest_offer(struct guest *g, unsigned int index, uint32_t len,
			      enum guest_shape shape)
{
	struct guest_ring *ring = &g->rings[index];
	const uint16_t flags = index % 2 ? 0 : VRING_DESC_F_WRITE;
	const int slot = ring->busy == (1u << GUEST_SLOTS) - 1 ? -1 : __builtin_ctz(~ring->busy);

	if (slot < 0)
		return -1;
	ring->busy |= 1u << slot;
	guest_describe(g, index, slot, len, flags, shape);
	guest_publish(g, index, 2 * slot);
	return slot;
}

/* Takes the next used entry, NULL: there is none. */
static inline const struct vring_used_elem *guest_reap(struct guest *g, unsigned int index)
{
	struct guest_ring *ring = &g->rings[index];
	struct vring *v = &ring->vring;
	const struct vring_used_elem *used;

	if (__atomic_load_n(&v->used->idx, __ATOMIC_ACQUIRE) == ring->seen)
		return NULL;
	used = &v->used->ring[ring->seen++ % GUEST_SIZE];
	if (used->id >= GUEST_SIZE || used->id % 2 || !(ring->busy & (1u << used->id / 2)))
		return NULL;
	ring->busy &= ~(1u << used->id / 2);
	return used;
}

/* Every buffer that is free. */
static inline void guest_fill(struct guest *g, unsigned int index, enum guest_shape shape)
{
	while (guest_offer(g, index, 2048, shape) >= 0)
		;
}

/* A frame of GUEST_FRAME bytes that begins with number. */
static inline int guest_send(struct guest *g, unsigned int index, uint32_t number,
			     enum guest_shape shape)
{
	struct guest_ring *ring = &g->rings[index];
	const int slot = ring->busy == (1u << GUEST_SLOTS) - 1 ? -1 : __builtin_ctz(~ring->busy);
	char *at;

	if (slot < 0)
		return -1;
	at = guest_at(g, guest_buffer(index, slot));
	memset(at, 0, GUEST_HEADER + GUEST_FRAME);
	memcpy(at + GUEST_HEADER, &number, sizeof(number));
	return guest_offer(g, index, GUEST_HEADER + GUEST_FRAME, shape);
}

/* Tells the device when to interrupt; false: there is something already. */
static inline bool guest_wants_call(struct guest *g, unsigned int index)
{
	struct guest_ring *ring = &g->rings[index];
	struct vring *v = &ring->vring;

	if (g->event_idx)
		__atomic_store_n(&vring_used_event(v), ring->seen, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&v->used->idx, __ATOMIC_ACQUIRE) == ring->seen;
}

/* Has an interrupt come? Takes it. */
static inline bool guest_called(int fd)
{
	eventfd_t count;

	return eventfd_read(fd, &count) == 0;
}

/* Waits for the next received frame by its interrupt. Returns its number, -1: none has come. */
static inline int64_t guest_receive(struct guest *g, unsigned int index)
{
	struct pollfd call = { .fd = g->rings[index].call, .events = POLLIN };
	const struct vring_used_elem *used;
	uint32_t number;

	while (!(used = guest_reap(g, index))) {
		if (!guest_wants_call(g, index))
			continue;
		if (poll(&call, 1, 20000) != 1)
			return -1;
		guest_called(call.fd);
	}
	memcpy(&number, guest_at(g, guest_buffer(index, used->id / 2)) + GUEST_HEADER,
	       sizeof(number));
	return number;
}

/*
 * Sends and receives n frames, four at most under way. Returns how many came, each of them in its
 * turn: n, or less when one was lost, doubled or not announced.
 */
static inline uint32_t guest_traffic(struct guest *g, uint32_t n)
{
	uint32_t sent = 0, received = 0;

	while (received < n) {
		guest_fill(g, 0, received % GUEST_SHAPES);
		while (guest_reap(g, 1))
			;
		while (sent < n && sent - received < 4 &&
		       guest_send(g, 1, sent, sent % GUEST_SHAPES) >= 0)
			sent++;
		/* The slot of a frame that has come may be returned a moment later. */
		if (sent == received)
			continue;
		if (guest_receive(g, 0) != received)
			return received;
		received++;
	}
	return received;
}

#endif
