/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A vhost-user front end by hand: its messages, and its memory and split rings byte by byte. What
 * is at an offset of its file is at FRONT_BASE + offset in the guest, however the table of regions
 * cuts the file: a table may change while rings are in use.
 */
#ifndef VIO4WD_TEST_RING_FRONT_H
#define VIO4WD_TEST_RING_FRONT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "sw-relay/vm.h"

#define FRONT_BIT(n) (UINT64_C(1) << (n))
#define FRONT_PAGE UINT64_C(4096)
#define FRONT_BASE UINT64_C(0x40000000)	     /* address in the guest */
#define FRONT_USER UINT64_C(0x7000000000000) /* what is added to it in the front end's process */
#define FRONT_RINGS 2
#define FRONT_RING_SPACE (UINT64_C(1) << 20) /* one of 32768 descriptors fits */
#define FRONT_SIZE (UINT64_C(8) << 20)
#define FRONT_BUFFERS (FRONT_RINGS * FRONT_RING_SPACE) /* offset of the first */
#define FRONT_REGIONS 8

/* vhost-user (docs/interop/vhost-user.rst of QEMU) */
enum front_request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_LOG_BASE = 6,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
	SEND_RARP = 19,
};
#define FRONT_VERSION 1
#define FRONT_NEED_REPLY 8
#define FRONT_PROTOCOL_FEATURES 30				    /* bit of the features */
#define FRONT_PROTOCOL (FRONT_BIT(1) | FRONT_BIT(2) | FRONT_BIT(3)) /* log, RARP, REPLY_ACK */

struct front_region {
	uint64_t gpa, size, user, offset; /* as the message has them */
};

struct front_message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct {
			uint64_t size, offset;
		} log;
		struct {
			uint32_t n, padding;
			struct front_region regions[FRONT_REGIONS];
		} memory;
	} payload;
} __attribute__((packed));

struct front_ring {
	struct vring vring;
	uint16_t idx;  /* of the available ring, before it is shown */
	uint16_t seen; /* used entries that were taken */
	uint16_t next; /* descriptor */
	int kick, call;
};

struct front {
	int sock, fd;
	uint8_t *file;
	uint64_t features;
	unsigned int n_regions;
	struct front_region regions[FRONT_REGIONS];
	struct front_ring rings[FRONT_RINGS];
	uint64_t free; /* offset of memory for the next buffer */
};

static inline uint8_t *front_at(const struct front *f, uint64_t gpa)
{
	return f->file + (gpa - FRONT_BASE);
}

/* --- messages --- */

static inline bool front_send(struct front *f, struct front_message *m, const int *fds,
			      unsigned int n)
{
	struct iovec iov = { m, offsetof(struct front_message, payload) + m->size };
	char control[CMSG_SPACE(FRONT_REGIONS * sizeof(int))] = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	m->flags |= FRONT_VERSION;
	if (n) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(f->sock, &msg, MSG_NOSIGNAL) == (ssize_t)iov.iov_len;
}

/* False: the relay has closed the connection, or says nothing. */
static inline bool front_answer(struct front *f, struct front_message *m)
{
	const size_t head = offsetof(struct front_message, payload);

	return recv(f->sock, m, head, MSG_WAITALL) == (ssize_t)head &&
	       m->size <= sizeof(m->payload) &&
	       (!m->size || recv(f->sock, &m->payload, m->size, MSG_WAITALL) == m->size);
}

/* Returns when the relay has done what earlier messages ask for, and told those concerned. */
static inline bool front_sync(struct front *f)
{
	struct front_message m = { .request = GET_FEATURES };

	return front_send(f, &m, NULL, 0) && front_answer(f, &m) && m.request == GET_FEATURES;
}

static inline bool front_say(struct front *f, enum front_request request, uint64_t u64)
{
	struct front_message m = { .request = request, .size = 8, .payload.u64 = u64 };

	return front_send(f, &m, NULL, 0);
}

static inline bool front_say_state(struct front *f, enum front_request request, unsigned int ring,
				   unsigned int num)
{
	struct front_message m = { .request = request,
				   .size = sizeof(m.payload.state),
				   .payload.state = { ring, num } };

	return front_send(f, &m, NULL, 0);
}

static inline bool front_say_fd(struct front *f, enum front_request request, unsigned int ring,
				int fd)
{
	struct front_message m = { .request = request, .size = 8, .payload.u64 = ring };

	return front_send(f, &m, &fd, 1);
}

/* The table becomes what cuts tells: offsets at which regions begin, and the end of the last. */
static inline void front_cut(struct front *f, const uint64_t *cuts, unsigned int regions)
{
	f->n_regions = regions;
	for (unsigned int i = 0; i < regions; i++)
		f->regions[i] = (struct front_region){ .gpa = FRONT_BASE + cuts[i],
						       .size = cuts[i + 1] - cuts[i],
						       .user = FRONT_USER + FRONT_BASE + cuts[i],
						       .offset = cuts[i] };
}

static inline bool front_say_memory(struct front *f, uint32_t flags)
{
	struct front_message m = {
		.request = SET_MEM_TABLE,
		.flags = flags,
		.size = 8 + f->n_regions * sizeof(f->regions[0]),
		.payload.memory.n = f->n_regions,
	};
	int fds[FRONT_REGIONS];

	memcpy(m.payload.memory.regions, f->regions, sizeof(f->regions));
	for (unsigned int i = 0; i < f->n_regions; i++)
		fds[i] = f->fd;
	return front_send(f, &m, fds, f->n_regions);
}

static inline uint64_t front_ring_gpa(const struct front *f, const void *part)
{
	return (uint64_t)((const uint8_t *)part - f->file) + FRONT_BASE;
}

static inline bool front_say_addr(struct front *f, unsigned int index, bool log)
{
	const struct vring *v = &f->rings[index].vring;
	struct front_message m = {
		.request = SET_VRING_ADDR,
		.size = sizeof(m.payload.addr),
		.payload.addr = { .index = index,
				  .flags = log ? FRONT_BIT(VHOST_VRING_F_LOG) : 0,
				  .desc_user_addr = FRONT_USER + front_ring_gpa(f, v->desc),
				  .avail_user_addr = FRONT_USER + front_ring_gpa(f, v->avail),
				  .used_user_addr = FRONT_USER + front_ring_gpa(f, v->used),
				  .log_guest_addr = front_ring_gpa(f, v->used) },
	};

	return front_send(f, &m, NULL, 0);
}

/* --- setting up --- */

/* An empty ring of size descriptors, both indices at base. The relay is not told. */
static inline void front_make_ring(struct front *f, unsigned int index, unsigned int size,
				   uint16_t base)
{
	struct front_ring *ring = &f->rings[index];
	uint8_t *at = f->file + index * FRONT_RING_SPACE;

	memset(at, 0, FRONT_RING_SPACE);
	vring_init(&ring->vring, size, at, FRONT_PAGE);
	ring->vring.avail->idx = ring->vring.used->idx = base;
	ring->idx = ring->seen = base;
	ring->next = 0;
}

/* All about a ring, which goes on at base; it is off until it is enabled. */
static inline void front_tell_ring(struct front *f, unsigned int index, uint16_t base)
{
	const struct front_ring *ring = &f->rings[index];

	front_say_state(f, SET_VRING_NUM, index, ring->vring.num);
	front_say_state(f, SET_VRING_BASE, index, base);
	front_say_addr(f, index, false);
	front_say_fd(f, SET_VRING_KICK, index, ring->kick);
	front_say_fd(f, SET_VRING_CALL, index, ring->call);
}

/* Both rings anew, in service when it returns true. */
static inline bool front_start(struct front *f, unsigned int size, uint16_t base)
{
	for (unsigned int i = 0; i < FRONT_RINGS; i++) {
		front_make_ring(f, i, size, base);
		front_tell_ring(f, i, base);
	}
	for (unsigned int i = 0; i < FRONT_RINGS; i++)
		front_say_state(f, SET_VRING_ENABLE, i, 1);
	return front_sync(f);
}

/* Stops a ring. Returns the index that the relay tells, -1: none. */
static inline int front_stop(struct front *f, unsigned int index)
{
	struct front_message m = { .request = 0 };

	if (!front_say_state(f, GET_VRING_BASE, index, 0) || !front_answer(f, &m) ||
	    m.request != GET_VRING_BASE || m.payload.state.index != index)
		return -1;
	return m.payload.state.num;
}

static inline void front_make(struct front *f)
{
	static const uint64_t whole[] = { 0, FRONT_SIZE };

	*f = (struct front){ .sock = -1, .free = FRONT_BUFFERS };
	f->fd = memfd_create("front", MFD_CLOEXEC);
	if (f->fd < 0 || ftruncate(f->fd, FRONT_SIZE) < 0)
		abort();
	f->file = mmap(NULL, FRONT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->file == MAP_FAILED)
		abort();
	for (unsigned int i = 0; i < FRONT_RINGS; i++) {
		f->rings[i].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		f->rings[i].call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	front_cut(f, whole, 1);
}

/* Up to the memory's table. */
static inline bool front_connect(struct front *f, const char *path, uint64_t features)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 20 };
	struct front_message owner = { .request = SET_OWNER };

	memcpy(at.sun_path, path, strlen(path));
	f->features = features | FRONT_BIT(FRONT_PROTOCOL_FEATURES);
	f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(f->sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return connect(f->sock, (struct sockaddr *)&at, sizeof(at)) == 0 && front_sync(f) &&
	       front_say(f, SET_PROTOCOL_FEATURES, FRONT_PROTOCOL) &&
	       front_send(f, &owner, NULL, 0) && front_say(f, SET_FEATURES, f->features) &&
	       front_say_memory(f, 0);
}

static inline void front_end(struct front *f)
{
	close(f->sock);
	for (unsigned int i = 0; i < FRONT_RINGS; i++) {
		close(f->rings[i].kick);
		close(f->rings[i].call);
	}
	munmap(f->file, FRONT_SIZE);
	close(f->fd);
}

/* --- descriptors --- */

/* A part of a chain. */
struct front_piece {
	uint64_t gpa;
	uint32_t len;
};

/* Memory that is used in turn. odd: at an address that is aligned to nothing. */
static inline uint64_t front_memory(struct front *f, uint32_t len, bool odd)
{
	uint64_t at;

	if (f->free + len + 128 > FRONT_SIZE)
		f->free = FRONT_BUFFERS;
	at = f->free;
	f->free += (len + 127) & ~63u;
	return FRONT_BASE + at + (odd ? 3 : 0);
}

static inline uint16_t front_next(struct front_ring *ring)
{
	uint16_t id = ring->next;

	ring->next = (id + 1) & (ring->vring.num - 1);
	return id;
}

/* What a descriptor says is up to the caller; returns its number. */
static inline uint16_t front_describe(struct front *f, unsigned int index, uint64_t gpa,
				      uint32_t len, uint16_t flags)
{
	struct front_ring *ring = &f->rings[index];
	uint16_t id = front_next(ring);

	ring->vring.desc[id] = (struct vring_desc){ .addr = gpa, .len = len, .flags = flags };
	return id;
}

/* n descriptors one behind the other; returns the first one's number. */
static inline uint16_t front_chain(struct front *f, unsigned int index, uint16_t flags,
				   const struct front_piece *pieces, unsigned int n)
{
	struct front_ring *ring = &f->rings[index];
	const uint16_t head = ring->next;

	for (unsigned int i = 0; i < n; i++) {
		const bool last = i + 1 == n;
		uint16_t id = front_describe(f, index, pieces[i].gpa, pieces[i].len,
					     flags | (last ? 0 : VRING_DESC_F_NEXT));

		ring->vring.desc[id].next = last ? 0 : ring->next;
	}
	return head;
}

static inline uint16_t front_table(struct front *f, unsigned int index, uint16_t flags,
				   const struct front_piece *pieces, unsigned int n)
{
	const uint64_t at = front_memory(f, n * sizeof(struct vring_desc), false);
	struct vring_desc *table = (struct vring_desc *)front_at(f, at);

	for (unsigned int i = 0; i < n; i++)
		table[i] =
			(struct vring_desc){ .addr = pieces[i].gpa,
					     .len = pieces[i].len,
					     .flags = flags | (i + 1 < n ? VRING_DESC_F_NEXT : 0),
					     .next = i + 1 };
	return front_describe(f, index, at, n * sizeof(*table), VRING_DESC_F_INDIRECT);
}

static inline void front_avail(struct front *f, unsigned int index, uint16_t id)
{
	struct front_ring *ring = &f->rings[index];

	ring->vring.avail->ring[ring->idx++ & (ring->vring.num - 1)] = id;
}

static inline void front_show(struct front *f, unsigned int index)
{
	struct front_ring *ring = &f->rings[index];

	__atomic_store_n(&ring->vring.avail->idx, ring->idx, __ATOMIC_RELEASE);
}

/* The next used entry, NULL: there is none. */
static inline const struct vring_used_elem *front_used(struct front *f, unsigned int index)
{
	struct front_ring *ring = &f->rings[index];
	const struct vring_used *used = ring->vring.used;

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == ring->seen)
		return NULL;
	return &used->ring[ring->seen++ & (ring->vring.num - 1)];
}

static inline uint32_t front_gather_from(const struct front *f, const struct vring_desc *desc,
					 uint16_t id, uint32_t len, uint8_t *buf)
{
	uint32_t done = 0;

	for (;;) {
		const struct vring_desc *d = &desc[id];
		uint32_t n = d->len < len - done ? d->len : len - done;

		if (d->flags & VRING_DESC_F_INDIRECT)
			return front_gather_from(f, (struct vring_desc *)front_at(f, d->addr), 0,
						 len, buf);
		memcpy(buf + done, front_at(f, d->addr), n);
		done += n;
		if (!(d->flags & VRING_DESC_F_NEXT))
			return done;
		id = d->next;
	}
}

/* The first len bytes of a chain; returns how many there are. */
static inline uint32_t front_gather(const struct front *f, unsigned int index, uint16_t id,
				    uint32_t len, uint8_t *buf)
{
	return front_gather_from(f, f->rings[index].vring.desc, id, len, buf);
}

static inline bool front_called(const struct front *f, unsigned int index)
{
	eventfd_t count;

	return eventfd_read(f->rings[index].call, &count) == 0;
}

#endif
