/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shadow rings. Each ring of the VM has one of the same size in our memory, which the device works
 * on from position 0. A descriptor of the VM is copied to the same index, so that a used entry
 * needs no translation; addresses in it are the VM's, which the device can reach. The copy is
 * looked at and not the VM's own once more, as the VM may change that at any time.
 *
 *   VM: avail ring --copy chain--> shadow: avail ring --kick--> device
 *   VM: used ring <--copy entry--- shadow: used ring <--call--- device
 *
 * The shadow is mapped above the VM's memory. A VM that names such an address in a descriptor makes
 * its own device write to its own shadow: what is read there is therefore believed as little as
 * what is read from the VM.
 *
 * A used entry says which buffers were written, and how much: that is what a VM that is being
 * migrated is told (vhost-user: VHOST_F_LOG_ALL).
 *
 * A frame of ours (rarp.h) waits until the device has none of the VM's buffers of the first TX
 * ring, which are not copied meanwhile: then all descriptors are free, the next used entry is ours,
 * and the VM sees nothing of it.
 */
#include "sw-relay/bridge_shadow.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_common.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sw-relay/bridge_internal.h"

#define PAGE 4096
#define SPACING BRIDGE_SHADOW_SPACING
#define EVENTS 64
#define STOP UINT64_MAX

/* Behind a ring. A device takes a header of zeros, of which older ones have two bytes less. */
struct own_frame {
	struct virtio_net_hdr_v1 header;
	struct rarp_frame rarp;
};

struct shadow_ring {
	unsigned int index;
	uint16_t mask;
	bool broken; /* the VM's ring cannot be followed */
	struct vring vm, ours;
	uint16_t vm_avail, vm_used; /* next to copy from, resp. to */
	uint16_t our_avail, our_used;
	uint64_t rarp; /* owed, and with the device; 0: the device has buffers of the VM's */
	struct own_frame *frame;
	void *memory;
	size_t size;
	uint64_t iova;
	int to_device, from_device; /* eventfds: kick, call */
};

struct bridge_shadow {
	struct bridge *bridge;
	bool event_idx;
	int epoll, stop;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* the VM's descriptors, bridge->rings[].kick and call */
	unsigned int n;
	struct shadow_ring rings[];
};

static void report(struct shadow_ring *ring, struct bridge *b)
{
	ring->broken = true;
	guard_report(&b->vm->guard, GUARD_RING);
}

/* Copies the chain at head; false: it cannot be followed. */
static bool copy_chain(struct shadow_ring *ring, uint16_t head)
{
	uint16_t i = head;

	for (unsigned int n = 0; n <= ring->mask; n++) {
		struct vring_desc desc;

		if (i > ring->mask)
			return false;
		desc = *(volatile struct vring_desc *)&ring->vm.desc[i];
		ring->ours.desc[i] = desc;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return true;
		i = desc.next;
	}
	return false;
}

static void give(struct shadow_ring *ring, uint16_t head)
{
	ring->ours.avail->ring[ring->our_avail++ & ring->mask] = head;
}

static void publish(struct shadow_ring *ring)
{
	__atomic_store_n(&ring->ours.avail->idx, ring->our_avail, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	eventfd_write(ring->to_device, 1);
}

static uint64_t iova_of(const struct shadow_ring *ring, const void *part)
{
	return ring->iova + ((const char *)part - (const char *)ring->memory);
}

static size_t header_size(const struct vm *vm)
{
	return vm->features & (BRIDGE_BIT(VIRTIO_F_VERSION_1) | BRIDGE_BIT(VIRTIO_NET_F_MRG_RXBUF))
		       ? sizeof(struct virtio_net_hdr_v1)
		       : sizeof(struct virtio_net_hdr);
}

/* True: a frame of ours is to be sent, before anything of the VM's. */
static bool send_rarp(struct bridge_shadow *s, struct shadow_ring *ring)
{
	struct vm *vm = s->bridge->vm;
	const uint64_t owed = ring->index == VM_TX_RING(0) ? atomic_load(&vm->rarp.owed) : 0;

	if (!owed || ring->our_avail != ring->our_used)
		return owed || ring->rarp;
	rarp_make(&ring->frame->rarp, owed);
	ring->ours.desc[0] = (struct vring_desc){
		.addr = iova_of(ring, &ring->frame->rarp) - header_size(vm),
		.len = header_size(vm) + sizeof(ring->frame->rarp),
	};
	ring->rarp = owed;
	give(ring, 0);
	publish(ring);
	return true;
}

/* The device has used it. Another VM's address may be owed by now. */
static void rarp_was_sent(struct bridge_shadow *s, struct shadow_ring *ring)
{
	ring->our_used++;
	atomic_compare_exchange_strong(&s->bridge->vm->rarp.owed, &ring->rarp, 0);
	ring->rarp = 0;
}

/* What the VM made available; true when there was something. */
static bool copy_available(struct bridge_shadow *s, struct shadow_ring *ring)
{
	const uint16_t end = __atomic_load_n(&ring->vm.avail->idx, __ATOMIC_ACQUIRE);
	const uint16_t begin = ring->vm_avail;
	const unsigned int taken = (uint16_t)(ring->our_avail - ring->our_used);

	if (send_rarp(s, ring))
		return false;
	if ((uint16_t)(end - begin) + taken > ring->mask + 1u) {
		report(ring, s->bridge);
		return false;
	}
	while (ring->vm_avail != end) {
		const uint16_t head =
			*(volatile uint16_t *)&ring->vm.avail->ring[ring->vm_avail & ring->mask];

		if (!copy_chain(ring, head)) {
			report(ring, s->bridge);
			break;
		}
		give(ring, head);
		ring->vm_avail++;
	}
	if (ring->vm_avail == begin)
		return false;
	publish(ring);
	return true;
}

/* The buffers that the device has written, from the first on: those of a chain, whose last
 * descriptor may be a table of more (virtio 1.2, 2.7.5.3). */
static void log_buffers(struct bridge *b, const struct shadow_ring *ring, uint16_t head,
			uint32_t len)
{
	const struct vring_desc *table = ring->ours.desc;
	unsigned int size = ring->mask + 1u, left = size;
	uint16_t i = head;

	while (left-- && len && i < size) {
		const struct vring_desc desc = *(const volatile struct vring_desc *)&table[i];

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (table != ring->ours.desc)
				return;
			table = bridge_host_address(b, desc.addr, desc.len);
			size = left = table ? RTE_MIN(desc.len / sizeof(desc), 1ul << 16) : 0;
			i = 0;
			continue;
		}
		if (desc.flags & VRING_DESC_F_WRITE) {
			const uint32_t part = RTE_MIN(desc.len, len);

			rte_vhost_log_write(b->vm->vid, desc.addr, part);
			len -= part;
		}
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return;
		i = desc.next;
	}
}

/* After it was written: what is told before may be copied before, too. */
static void log_ring(const struct bridge_shadow *s, const struct shadow_ring *ring, size_t offset,
		     size_t size)
{
	if (atomic_load_explicit(&s->bridge->logging, memory_order_relaxed))
		rte_vhost_log_used_vring(s->bridge->vm->vid, ring->index, offset, size);
}

static bool wants_interrupt(const struct bridge_shadow *s, const struct shadow_ring *ring,
			    uint16_t before)
{
	if (!s->event_idx)
		return !(*(volatile uint16_t *)&ring->vm.avail->flags & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(*(volatile uint16_t *)&vring_used_event(&ring->vm), ring->vm_used,
				before);
}

/* What the device has done; true when there was something. */
static bool copy_used(struct bridge_shadow *s, struct shadow_ring *ring)
{
	const uint16_t end = __atomic_load_n(&ring->ours.used->idx, __ATOMIC_ACQUIRE);
	const bool logging = atomic_load_explicit(&s->bridge->logging, memory_order_relaxed);
	const int call = s->bridge->rings[ring->index].call;
	const uint16_t before = ring->vm_used;
	uint16_t at;

	if ((uint16_t)(end - ring->our_used) > (uint16_t)(ring->our_avail - ring->our_used)) {
		report(ring, s->bridge);
		return false;
	}
	if (ring->rarp && ring->our_used != end) {
		rarp_was_sent(s, ring);
		return true;
	}
	while (ring->our_used != end) {
		const struct vring_used_elem used =
			*(volatile struct vring_used_elem *)&ring->ours.used
				 ->ring[ring->our_used++ & ring->mask];

		if (used.id > ring->mask) {
			report(ring, s->bridge);
			return false;
		}
		if (logging)
			log_buffers(s->bridge, ring, used.id, used.len);
		at = ring->vm_used++ & ring->mask;
		ring->vm.used->ring[at] = used;
		log_ring(s, ring, offsetof(struct vring_used, ring[at]), sizeof(used));
	}
	if (ring->vm_used == before)
		return false;
	__atomic_store_n(&ring->vm.used->idx, ring->vm_used, __ATOMIC_RELEASE);
	log_ring(s, ring, offsetof(struct vring_used, idx), sizeof(uint16_t));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (wants_interrupt(s, ring, before) && call >= 0)
		eventfd_write(call, 1);
	return true;
}

/* Asks the VM to kick at the next buffer; what came before it was asked is seen by the caller. */
static void want_kick(const struct bridge_shadow *s, struct shadow_ring *ring)
{
	size_t offset = offsetof(struct vring_used, flags);

	if (s->event_idx) {
		offset = offsetof(struct vring_used, ring[ring->vm.num]);
		__atomic_store_n(&vring_avail_event(&ring->vm), ring->vm_avail, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&ring->vm.used->flags, 0, __ATOMIC_RELAXED);
	}
	log_ring(s, ring, offset, sizeof(uint16_t));
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* False: nothing is to be done before the next kick or call. */
static bool copy_ring(struct bridge_shadow *s, struct shadow_ring *ring)
{
	bool more = !ring->broken && copy_available(s, ring);

	more |= !ring->broken && copy_used(s, ring);
	if (more || ring->broken)
		return more;
	want_kick(s, ring);
	return copy_available(s, ring);
}

/* Once, and not as long as there is something: a VM can make that last for ever. */
static bool copy_all(struct bridge_shadow *s)
{
	bool more = false;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->n; i++)
		more |= copy_ring(s, &s->rings[i]);
	pthread_mutex_unlock(&s->lock);
	return more;
}

/* Only what the device has done: it does nothing any more. */
static void copy_last(struct bridge_shadow *s)
{
	for (unsigned int i = 0; i < s->n; i++) {
		if (!s->rings[i].broken)
			copy_used(s, &s->rings[i]);
	}
}

static void *shadow_main(void *arg)
{
	struct bridge_shadow *s = arg;
	struct epoll_event events[EVENTS];
	eventfd_t count;

	pthread_setname_np(pthread_self(), "shadow");
	guard_current = &s->bridge->vm->guard;
	for (;;) {
		const bool more = copy_all(s);
		const int n = epoll_wait(s->epoll, events, EVENTS, more ? 0 : -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == STOP)
				return NULL;
		}
		for (unsigned int i = 0; i < s->n; i++)
			eventfd_read(s->rings[i].from_device, &count);
	}
}

static int watch(struct bridge_shadow *s, int fd, uint64_t what)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = what };

	return fd < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

void bridge_shadow_hold(struct bridge *b)
{
	if (b->shadow)
		pthread_mutex_lock(&b->shadow->lock);
}

void bridge_shadow_release(struct bridge *b)
{
	if (b->shadow)
		pthread_mutex_unlock(&b->shadow->lock);
}

void bridge_shadow_wake(struct bridge *b)
{
	if (b->shadow)
		eventfd_write(b->shadow->rings[0].from_device, 1);
}

void bridge_shadow_unwatch(struct bridge *b, unsigned int index)
{
	if (b->shadow && b->rings[index].kick >= 0)
		epoll_ctl(b->shadow->epoll, EPOLL_CTL_DEL, b->rings[index].kick, NULL);
}

int bridge_shadow_watch(struct bridge *b, unsigned int index, struct err *err)
{
	const int r = b->shadow ? watch(b->shadow, b->rings[index].kick, index) : 0;

	return r < 0 ? err_set(err, r, "rings", "relay %u: ring %u: %s", b->id, index, strerror(-r))
		     : 0;
}

/* virtio 1.2, 2.7: descriptors, available part, used part, each where it has to be aligned. Then
 * our own frame. */
static int ring_memory(struct shadow_ring *ring, unsigned int size)
{
	const size_t frame = RTE_ALIGN_CEIL(vring_size(size, PAGE), alignof(struct own_frame));
	const int fd = memfd_create("shadow ring", MFD_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	ring->size = RTE_ALIGN_CEIL(frame + sizeof(struct own_frame), (size_t)PAGE);
	if (ftruncate(fd, ring->size) < 0)
		r = -errno;
	if (r == 0)
		ring->memory = mmap(NULL, ring->size, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_POPULATE, fd, 0);
	if (r == 0 && ring->memory == MAP_FAILED) {
		ring->memory = NULL;
		r = -errno;
	}
	close(fd);
	if (r < 0)
		return r;
	vring_init(&ring->ours, size, ring->memory, PAGE);
	ring->frame = (struct own_frame *)((char *)ring->memory + frame);
	return 0;
}

static int give_ring(struct bridge *b, struct shadow_ring *ring, struct err *err)
{
	const struct vhost_vdpa_vring vring = {
		.size = ring->ours.num,
		.desc = iova_of(ring, ring->ours.desc),
		.driver = iova_of(ring, ring->ours.avail),
		.device = iova_of(ring, ring->ours.used),
		.kick = ring->to_device,
		.call = ring->from_device,
	};
	int r;

	if (ring->iova > b->dev.iova_last || ring->size - 1 > b->dev.iova_last - ring->iova)
		return err_set(err, -ENOSPC, "shadow",
			       "%s reaches addresses up to 0x%llx, all of which the VM's memory "
			       "takes: there is no room for shadow rings",
			       b->device.path, (unsigned long long)b->dev.iova_last);
	r = vhost_vdpa_map(&b->dev, ring->iova, ring->size, ring->memory, true, err);
	if (r == 0)
		r = vhost_vdpa_set_vring(&b->dev, ring->index, &vring, err);
	return r < 0 ? r : vhost_vdpa_enable_vring(&b->dev, ring->index, true, err);
}

/* Where the VM's ring is, and where it has come to. */
static int look_at_vm(struct bridge *b, struct shadow_ring *ring, struct err *err)
{
	struct rte_vhost_vring vring;

	if (rte_vhost_get_vhost_vring(b->vm->vid, ring->index, &vring) < 0 || !vring.desc ||
	    !vring.avail || !vring.used)
		return err_set(err, -EINVAL, "rings", "relay %u: the VM has not set up ring %u",
			       b->id, ring->index);
	ring->vm = (struct vring){
		.num = vring.size, .desc = vring.desc, .avail = vring.avail, .used = vring.used
	};
	ring->mask = vring.size - 1;
	ring->vm_avail = bridge_ring_position(b, ring->index);
	ring->vm_used = __atomic_load_n(&vring.used->idx, __ATOMIC_RELAXED);
	return 0;
}

static int make_ring(struct bridge *b, struct shadow_ring *ring, uint64_t iova, struct err *err)
{
	int r = look_at_vm(b, ring, err);

	if (r < 0)
		return r;
	ring->iova = iova;
	ring->to_device = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ring->from_device = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = ring->to_device < 0 || ring->from_device < 0 ? -errno : ring_memory(ring, ring->vm.num);
	if (r == 0)
		r = watch(b->shadow, ring->from_device, ring->index);
	if (r < 0)
		return err_set(err, r, "shadow", "relay %u: shadow ring %u: %s", b->id, ring->index,
			       strerror(-r));
	return give_ring(b, ring, err);
}

static int make_shadow(struct bridge *b, struct err *err)
{
	struct bridge_shadow *s = calloc(1, sizeof(*s) + b->n_rings * sizeof(s->rings[0]));

	if (!s)
		return err_set(err, -ENOMEM, "shadow", "relay %u: no memory", b->id);
	b->shadow = s;
	pthread_mutex_init(&s->lock, NULL);
	s->bridge = b;
	s->event_idx = b->vm->features & BRIDGE_BIT(VIRTIO_RING_F_EVENT_IDX);
	s->n = b->n_rings;
	for (unsigned int i = 0; i < s->n; i++) {
		s->rings[i].index = i;
		s->rings[i].to_device = s->rings[i].from_device = -1;
	}
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->epoll < 0 || s->stop < 0 || watch(s, s->stop, STOP) < 0)
		return err_set(err, -errno, "shadow", "relay %u: %s", b->id, strerror(errno));
	return 0;
}

int bridge_shadow_prepare(struct bridge *b, struct err *err)
{
	uint64_t iova = bridge_above_memory(b, SPACING);
	int r;

	if (b->vm->features & BRIDGE_BIT(VIRTIO_F_RING_PACKED))
		return err_set(err, -EOPNOTSUPP, "shadow",
			       "relay %u: the VM's rings are packed, of which there is no shadow",
			       b->id);
	r = make_shadow(b, err);
	for (unsigned int i = 0; i < b->n_rings && r == 0; i++) {
		const uint64_t at = iova;

		r = make_ring(b, &b->shadow->rings[i], at, err);
		iova += RTE_ALIGN_CEIL((uint64_t)b->shadow->rings[i].size, SPACING);
	}
	for (unsigned int i = 0; i < b->n_rings && r == 0; i++)
		r = bridge_shadow_watch(b, i, err);
	return r;
}

int bridge_shadow_start(struct bridge *b, struct err *err)
{
	const int r = pthread_create(&b->shadow->thread, NULL, shadow_main, b->shadow);

	if (r)
		return err_set(err, -r, "shadow", "relay %u: cannot start a thread: %s", b->id,
			       strerror(r));
	b->shadow->running = true;
	return 0;
}

static void free_ring(struct bridge *b, struct shadow_ring *ring)
{
	if (ring->memory && b->dev.fd >= 0)
		vhost_vdpa_unmap(&b->dev, ring->iova, ring->size, NULL);
	if (ring->memory)
		munmap(ring->memory, ring->size);
	if (ring->to_device >= 0)
		close(ring->to_device);
	if (ring->from_device >= 0)
		close(ring->from_device);
}

void bridge_shadow_stop(struct bridge *b)
{
	struct bridge_shadow *s = b->shadow;

	if (!s)
		return;
	if (s->running) {
		eventfd_write(s->stop, 1);
		pthread_join(s->thread, NULL);
		copy_last(s);
	}
	for (unsigned int i = 0; i < s->n; i++) {
		bridge_shadow_unwatch(b, i);
		free_ring(b, &s->rings[i]);
	}
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->stop >= 0)
		close(s->stop);
	pthread_mutex_destroy(&s->lock);
	free(s);
	b->shadow = NULL;
}
