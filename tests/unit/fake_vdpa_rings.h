/* SPDX-License-Identifier: BSD-3-Clause */

/* fake_vdpa.h: status, features and rings. */
#ifndef VIO4WD_TEST_FAKE_VDPA_RINGS_H
#define VIO4WD_TEST_FAKE_VDPA_RINGS_H

#include "fake_vdpa_state.h"

static inline void fake_reset(struct fake_vdpa *dev)
{
	if (!dev->resetting)
		dev->old_status = dev->status;
	dev->resetting = dev->old_status ? dev->slow_reset : 0;
	dev->status = 0;
	dev->driver_features = 0;
	dev->suspended = dev->promiscuous = false;
	dev->pairs = 1;
	memcpy(dev->mac, dev->config.mac, sizeof(dev->mac));
	for (unsigned int i = 0; i < FAKE_RINGS; i++) {
		struct fake_ring *ring = &dev->rings[i];

		*ring = (struct fake_ring){ .call = ring->call,
					    .kick = ring->kick,
					    .group = ring->group };
	}
	for (unsigned int i = 0; i < dev->n_maps; i++)
		dev->maps[i].reachable &= !!(dev->agreed & FAKE_BIT(VHOST_BACKEND_F_IOTLB_PERSIST));
}

static inline void fake_start_ring(struct fake_vdpa *dev, unsigned int index)
{
	struct fake_ring *ring = &dev->rings[index];
	const uint64_t parts[] = { ring->desc, ring->avail, ring->used };

	ring->interrupts = ring->has_call;
	ring->seen = ring->done = ring->base;
	ring->kicked = ring->broken = false;
	if (!ring->enabled)
		return;
	if (!ring->size)
		fake_complain(dev, "ring %u has no size", index);
	for (unsigned int i = 0; i < 3; i++) {
		const struct fake_map *map = fake_map_at(dev, ring->space, parts[i]);

		if (!map || !map->reachable)
			fake_complain(dev, "ring %u at %#" PRIx64 " is not mapped", index,
				      parts[i]);
	}
}

/* A running device sees the rings that have been kicked; before, kicks are lost. */
static inline void fake_take_kicks(struct fake_vdpa *dev)
{
	struct epoll_event events[FAKE_RINGS];
	const int n = epoll_wait(dev->epoll, events, FAKE_RINGS, 0);

	for (int i = 0; i < n; i++)
		dev->rings[events[i].data.u32].kicked = true;
}

static inline void fake_start(struct fake_vdpa *dev)
{
	fake_take_kicks(dev);
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		fake_complain(dev, "DRIVER_OK without FEATURES_OK");
	if (dev->fails_to_start)
		dev->status |= VIRTIO_CONFIG_S_FAILED;
	for (unsigned int i = 0; i < dev->vrings; i++)
		fake_start_ring(dev, i);
}

static inline int fake_set_status(struct fake_vdpa *dev, uint8_t status)
{
	const uint8_t new = status & ~dev->status;

	if (status && dev->status & ~status)
		return -EINVAL;
	if (status && dev->resetting)
		fake_complain(dev, "status %#x before the reset is over", status);
	if (!status) {
		fake_reset(dev);
		return 0;
	}
	dev->status = status;
	if (new &VIRTIO_CONFIG_S_FEATURES_OK && dev->driver_features & dev->dislikes)
		dev->status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (new &VIRTIO_CONFIG_S_DRIVER_OK)
		fake_start(dev);
	return 0;
}

static inline uint8_t fake_get_status(struct fake_vdpa *dev)
{
	if (!dev->resetting)
		return dev->status;
	if (dev->resetting != FAKE_NEVER)
		dev->resetting--;
	return dev->old_status;
}

static inline int fake_set_features(struct fake_vdpa *dev, uint64_t features)
{
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return -EBUSY;
	if (!(dev->status & VIRTIO_CONFIG_S_DRIVER))
		fake_complain(dev, "features before DRIVER");
	if (features & ~dev->features)
		return -EINVAL;
	if (dev->wants_platform && !(features & FAKE_BIT(VIRTIO_F_ACCESS_PLATFORM)))
		return -EINVAL;
	dev->driver_features = features;
	return 0;
}

static inline bool fake_is_running(const struct fake_vdpa *dev)
{
	return dev->status & VIRTIO_CONFIG_S_DRIVER_OK && !dev->suspended;
}

static inline int fake_set_base(struct fake_vdpa *dev, struct fake_ring *ring, uint32_t base)
{
	const uint32_t initial = fake_packed(dev) ? 0x80008000 : 0;

	if (fake_is_running(dev) || (!fake_packed(dev) && base > UINT16_MAX))
		return -EINVAL;
	if (dev->only_base_0 &&
	    (base != initial || ring->enabled || !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK)))
		return -EOPNOTSUPP;
	ring->base = base;
	ring->seen = ring->done = base;
	return 0;
}

static inline int fake_set_addr(struct fake_vdpa *dev, struct fake_ring *ring,
				const struct vhost_vring_addr *addr)
{
	if (fake_is_running(dev) || addr->avail_user_addr & 1 || addr->used_user_addr & 3)
		return -EINVAL;
	ring->desc = addr->desc_user_addr;
	ring->avail = addr->avail_user_addr;
	ring->used = addr->used_user_addr;
	return 0;
}

/* The kernel takes a reference to an eventfd, and nothing else. */
static inline int fake_take_fd(int *to, int fd)
{
	char target[64] = "", path[32];
	int copy = -1;

	if (fd != VHOST_FILE_UNBIND) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) < 0)
			return -EBADF;
		if (!strstr(target, "eventfd"))
			return -EINVAL;
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	if (*to >= 0)
		close(*to);
	*to = copy;
	return 0;
}

/* Watched as the kernel does it: nothing is read, each write counts, so does what was written
 * before. */
static inline int fake_set_kick(struct fake_vdpa *dev, unsigned int index, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u32 = index };
	int *kick = &dev->rings[index].kick, rc;

	if (*kick >= 0)
		epoll_ctl(dev->epoll, EPOLL_CTL_DEL, *kick, NULL);
	rc = fake_take_fd(kick, fd);
	if (*kick >= 0)
		epoll_ctl(dev->epoll, EPOLL_CTL_ADD, *kick, &event);
	return rc;
}

static inline int fake_vring_file(struct fake_vdpa *dev, unsigned long request,
				  const struct vhost_vring_file *file)
{
	struct fake_ring *ring = &dev->rings[file->index];
	const bool call = request == VHOST_SET_VRING_CALL;
	int rc = fake_called(dev, "ring %u %s%s", file->index, call ? "call" : "kick",
			     file->fd < 0 ? " none" : "");

	if (!rc)
		rc = call ? fake_take_fd(&ring->call, file->fd)
			  : fake_set_kick(dev, file->index, file->fd);
	if (call)
		ring->has_call = ring->call >= 0;
	if (call && !dev->late_interrupts)
		ring->interrupts = ring->has_call;
	return rc;
}

static inline int fake_set_group(struct fake_vdpa *dev, uint32_t group, uint32_t space)
{
	if (space >= dev->spaces || group >= dev->groups)
		return -EINVAL;
	if (fake_is_running(dev))
		fake_complain(dev, "space of group %u while it runs", group);
	for (unsigned int i = 0; i < dev->vrings; i++) {
		if (dev->rings[i].group == group)
			dev->rings[i].space = space;
	}
	return 0;
}

static inline void fake_expect_features_ok(struct fake_vdpa *dev, unsigned int index)
{
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		fake_complain(dev, "ring %u before FEATURES_OK", index);
}

static inline int fake_set_size(struct fake_vdpa *dev, const struct vhost_vring_state *state)
{
	fake_expect_features_ok(dev, state->index);
	if (!state->num || state->num > UINT16_MAX || state->num & (state->num - 1))
		return -EINVAL;
	if (state->num > dev->vring_size)
		fake_complain(dev, "ring %u is too large", state->index);
	dev->rings[state->index].size = state->num;
	return 0;
}

static inline int fake_enable(struct fake_vdpa *dev, const struct vhost_vring_state *state)
{
	struct fake_ring *ring = &dev->rings[state->index];

	fake_expect_features_ok(dev, state->index);
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	    !(dev->agreed & FAKE_BIT(VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK)))
		fake_complain(dev, "ring %u is enabled while it runs", state->index);
	ring->enabled = state->num;
	return 0;
}

static inline int fake_get_base(struct fake_vdpa *dev, struct vhost_vring_state *state)
{
	const struct fake_ring *ring = &dev->rings[state->index];

	if (dev->only_base_0)
		return -EOPNOTSUPP;
	if (fake_is_running(dev))
		fake_complain(dev, "position of ring %u while it runs", state->index);
	state->num = fake_packed(dev) ? ring->base : ring->seen;
	return 0;
}

static inline int fake_vring_state(struct fake_vdpa *dev, unsigned long request,
				   struct vhost_vring_state *state)
{
	struct fake_ring *ring = &dev->rings[state->index];
	const unsigned int i = state->index;

	switch (request) {
	case VHOST_SET_VRING_NUM:
		return fake_called(dev, "ring %u size %u", i, state->num)
			       ?: fake_set_size(dev, state);
	case VHOST_SET_VRING_BASE:
		return fake_called(dev, "ring %u base %#x", i, state->num)
			       ?: fake_set_base(dev, ring, state->num);
	case VHOST_GET_VRING_BASE:
		return fake_called(dev, "ring %u base?", i) ?: fake_get_base(dev, state);
	case VHOST_VDPA_SET_VRING_ENABLE:
		return fake_called(dev, "ring %u %s", i, state->num ? "on" : "off")
			       ?: fake_enable(dev, state);
	default:
		state->num = ring->group;
		return fake_called(dev, "ring %u group?", i);
	}
}

static inline int fake_vring(struct fake_vdpa *dev, unsigned long request, void *argument)
{
	const uint32_t index = *(const uint32_t *)argument;
	const struct vhost_vring_addr *addr = argument;

	if (!dev->owned && request != VHOST_VDPA_SET_VRING_ENABLE &&
	    request != VHOST_VDPA_GET_VRING_GROUP)
		return -EPERM;
	if (index >= dev->vrings)
		return -ENOBUFS;
	switch (request) {
	case VHOST_SET_VRING_ADDR:
		return fake_called(dev, "ring %u at %#llx %#llx %#llx", index, addr->desc_user_addr,
				   addr->avail_user_addr, addr->used_user_addr)
			       ?: fake_set_addr(dev, &dev->rings[index], addr);
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_KICK:
		return fake_vring_file(dev, request, argument);
	default:
		return fake_vring_state(dev, request, argument);
	}
}

#endif
