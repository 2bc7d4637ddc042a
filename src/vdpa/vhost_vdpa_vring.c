/* SPDX-License-Identifier: BSD-3-Clause */

/* The device's rings. */
#include "vdpa/vhost_vdpa.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "vdpa/chardev_calls.h"
#include "vdpa/device_call.h"
#include "vdpa/uapi.h"

#define STEP "vDPA ring"

static int check_index(const struct vhost_vdpa *dev, uint32_t index, struct err *err)
{
	const int rc = device_is_open(dev, err);

	if (rc || index < dev->vrings)
		return rc;
	return err_set(err, -EINVAL, STEP, "%s has %u rings, there is no ring %u", dev->path,
		       dev->vrings, index);
}

static int ring_call(const struct vhost_vdpa *dev, unsigned long request, uint32_t index,
		     void *argument, const char *what, struct err *err)
{
	char text[80];

	snprintf(text, sizeof(text), "ring %u: %s", index, what);
	return device_call(dev, request, argument, text, err);
}

static int set_size(struct vhost_vdpa *dev, uint32_t index, uint16_t size, struct err *err)
{
	struct vhost_vring_state state = { .index = index, .num = size };

	if (!size || size > dev->vring_size || size & (size - 1))
		return err_set(err, -EINVAL, STEP,
			       "%s: ring %u is to have %u descriptors; the device takes powers of "
			       "two up to %u (rx_queue_size, tx_queue_size of the VM)",
			       dev->path, index, size, dev->vring_size);
	return ring_call(dev, VHOST_SET_VRING_NUM, index, &state, "its size is refused", err);
}

static int set_base(struct vhost_vdpa *dev, uint32_t index, uint32_t base, struct err *err)
{
	struct vhost_vring_state state = { .index = index, .num = base };
	const int rc = chardev_ioctl(dev->fd, VHOST_SET_VRING_BASE, &state);

	if (rc == -EOPNOTSUPP) {
		dev->only_base_0 = true;
		return err_set(err, rc, STEP,
			       "%s: ring %u cannot go on at %#x: the device starts rings only at "
			       "their beginning; the relay must stay between it and the VM",
			       dev->path, index, base);
	}
	return rc < 0 ? device_call_failed(dev, rc, "the position of a ring is refused", err) : 0;
}

/* Some devices set up interrupts only for rings that have an eventfd when they start. */
static int silent_call(struct vhost_vdpa *dev, uint32_t index, struct err *err)
{
	int *fd = &dev->silent[index];

	if (*fd < 0)
		*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd < 0 ? err_set(err, -errno, STEP, "%s: an eventfd cannot be made: %m", dev->path)
		       : *fd;
}

int vhost_vdpa_set_call(struct vhost_vdpa *dev, uint32_t index, int fd, struct err *err)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };
	const int rc = check_index(dev, index, err);

	if (rc)
		return rc;
	if (fd < 0)
		file.fd = silent_call(dev, index, err);
	if (file.fd < 0)
		return file.fd;
	return ring_call(dev, VHOST_SET_VRING_CALL, index, &file,
			 "the eventfd for its interrupts is refused", err);
}

int vhost_vdpa_set_kick(struct vhost_vdpa *dev, uint32_t index, int fd, struct err *err)
{
	struct vhost_vring_file file = { .index = index, .fd = fd < 0 ? VHOST_FILE_UNBIND : fd };
	const int rc = check_index(dev, index, err);

	return rc ? rc
		  : ring_call(dev, VHOST_SET_VRING_KICK, index, &file,
			      "the eventfd for its notifications is refused", err);
}

int vhost_vdpa_set_vring(struct vhost_vdpa *dev, uint32_t index,
			 const struct vhost_vdpa_vring *vring, struct err *err)
{
	struct vhost_vring_addr addr = { .index = index,
					 .desc_user_addr = vring->desc,
					 .avail_user_addr = vring->driver,
					 .used_user_addr = vring->device };
	int rc = check_index(dev, index, err);

	if (!rc)
		rc = set_size(dev, index, vring->size, err);
	if (!rc)
		rc = set_base(dev, index, vring->base, err);
	if (!rc)
		rc = ring_call(dev, VHOST_SET_VRING_ADDR, index, &addr, "its addresses are refused",
			       err);
	if (!rc)
		rc = vhost_vdpa_set_call(dev, index, vring->call, err);
	return rc ? rc : vhost_vdpa_set_kick(dev, index, vring->kick, err);
}

int vhost_vdpa_enable_vring(struct vhost_vdpa *dev, uint32_t index, bool on, struct err *err)
{
	struct vhost_vring_state state = { .index = index, .num = on };

	return ring_call(dev, VHOST_VDPA_SET_VRING_ENABLE, index, &state,
			 on ? "it cannot be enabled" : "it cannot be disabled", err);
}

int vhost_vdpa_get_base(struct vhost_vdpa *dev, uint32_t index, uint32_t *base, struct err *err)
{
	struct vhost_vring_state state = { .index = index };
	const int rc = ring_call(dev, VHOST_GET_VRING_BASE, index, &state,
				 "its position cannot be read", err);

	if (!rc)
		*base = state.num;
	else if (rc == -EOPNOTSUPP)
		dev->only_base_0 = true;
	return rc;
}

static int group_of(struct vhost_vdpa *dev, uint32_t index, uint32_t *group, struct err *err)
{
	struct vhost_vring_state state = { .index = index };
	const int rc = ring_call(dev, VHOST_VDPA_GET_VRING_GROUP, index, &state,
				 "its group cannot be read", err);

	*group = state.num;
	return rc;
}

/* Group 0 holds what is not apart, so that the number of a group will do for its space, too. */
static int find_own_space(struct vhost_vdpa *dev, uint32_t index, uint32_t *space, struct err *err)
{
	uint32_t spaces = 0, group;
	int rc;

	rc = device_call(dev, VHOST_VDPA_GET_AS_NUM, &spaces,
			 "the number of its address spaces cannot be read", err);
	if (!rc)
		rc = group_of(dev, index, space, err);
	if (rc)
		return rc;
	if (*space == 0 || *space >= spaces)
		return err_set(err, -EOPNOTSUPP, STEP,
			       "%s: ring %u can have no address space of its own: it is in group "
			       "%u, and the device has %u spaces",
			       dev->path, index, *space, spaces);
	for (uint32_t i = 0; i < dev->vrings; i++) {
		rc = group_of(dev, i, &group, err);
		if (rc)
			return rc;
		if (i != index && group == *space)
			return err_set(
				err, -EOPNOTSUPP, STEP,
				"%s: ring %u can have no address space of its own, ring %u is "
				"in the same group",
				dev->path, index, i);
	}
	return 0;
}

int vhost_vdpa_own_space(struct vhost_vdpa *dev, uint32_t index, uint32_t *space, struct err *err)
{
	struct vhost_vring_state state;
	int rc = check_index(dev, index, err);

	if (rc)
		return rc;
	if (!(dev->backend_features & (UINT64_C(1) << VHOST_BACKEND_F_IOTLB_ASID)))
		return err_set(err, -EOPNOTSUPP, STEP, "%s has one address space only", dev->path);
	rc = find_own_space(dev, index, space, err);
	if (rc)
		return rc;
	state = (struct vhost_vring_state){ .index = *space, .num = *space };
	return ring_call(dev, VHOST_VDPA_SET_GROUP_ASID, index, &state,
			 "it cannot be given an address space", err);
}
