/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The memory that the device reaches. The kernel says EFAULT to every message that it does not
 * like, so what it would refuse is found out here, from a list of what is mapped. Memory that is to
 * be unmapped must be in it: the kernel lets go of whatever piece the range touches, and its pieces
 * are those that the memory happens to consist of; and it refuses to unmap where nothing is.
 */
#include "vdpa/vhost_vdpa_iotlb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vdpa/chardev_calls.h"
#include "vdpa/device_call.h"
#include "vdpa/uapi.h"

struct vhost_vdpa_map {
	uint32_t space;
	uint64_t first, last; /* iova */
};

#define RANGE "%#" PRIx64 "-%#" PRIx64
#define STEP "vDPA memory"

static int send_message(struct vhost_vdpa *dev, uint32_t space, const struct vhost_iotlb_msg *iotlb)
{
	struct vhost_msg_v2 msg = { .type = VHOST_IOTLB_MSG_V2, .asid = space, .iotlb = *iotlb };

	return chardev_write(dev->fd, &msg, sizeof(msg));
}

static int send_type(struct vhost_vdpa *dev, uint32_t space, uint8_t type)
{
	return send_message(dev, space, &(struct vhost_iotlb_msg){ .type = type });
}

static int end_batch(struct vhost_vdpa *dev, struct err *err)
{
	const bool begun = dev->batch == VHOST_VDPA_IN_BATCH;
	int rc = 0;

	dev->batch = VHOST_VDPA_NO_BATCH;
	if (begun)
		rc = send_type(dev, dev->batch_space, VHOST_IOTLB_BATCH_END);
	return rc < 0 ? device_call_failed(dev, rc, "what it may reach cannot be changed", err) : 0;
}

/* A batch is for one space only: it begins with the first change, and anew for another space. */
static int continue_batch(struct vhost_vdpa *dev, uint32_t space, struct err *err)
{
	int rc;

	if (dev->batch == VHOST_VDPA_NO_BATCH ||
	    (dev->batch == VHOST_VDPA_IN_BATCH && dev->batch_space == space) ||
	    !(dev->backend_features & (UINT64_C(1) << VHOST_BACKEND_F_IOTLB_BATCH)))
		return 0;
	rc = end_batch(dev, err);
	if (rc)
		return rc;
	rc = send_type(dev, space, VHOST_IOTLB_BATCH_BEGIN);
	if (rc)
		return device_call_failed(dev, rc, "changing what it may reach cannot begin", err);
	dev->batch = VHOST_VDPA_IN_BATCH;
	dev->batch_space = space;
	return 0;
}

int vhost_vdpa_map_begin(struct vhost_vdpa *dev, struct err *err)
{
	dev->batch = VHOST_VDPA_BATCH_WANTED;
	return 0;
}

int vhost_vdpa_map_end(struct vhost_vdpa *dev, struct err *err)
{
	return end_batch(dev, err);
}

/* The first map after *at that has something of the range, or NULL. */
static struct vhost_vdpa_map *next_in(struct vhost_vdpa *dev, const struct vhost_vdpa_map *range,
				      size_t *at)
{
	while (*at < dev->n_maps) {
		struct vhost_vdpa_map *map = &dev->maps[(*at)++];

		if (map->space == range->space && map->first <= range->last &&
		    range->first <= map->last)
			return map;
	}
	return NULL;
}

static int check_range(struct vhost_vdpa *dev, const struct vhost_vdpa_map *range, const void *addr,
		       struct err *err)
{
	const uint64_t mask = sysconf(_SC_PAGESIZE) - 1;
	const struct vhost_vdpa_map *other;
	size_t at = 0;

	if ((range->first | (range->last + 1) | (uintptr_t)addr) & mask ||
	    range->last < range->first)
		return err_set(err, -EINVAL, STEP,
			       "%s: memory at " RANGE " (%p) is not made of whole pages", dev->path,
			       range->first, range->last, addr);
	if (range->first < dev->iova_first || range->last > dev->iova_last)
		return err_set(err, -ERANGE, STEP,
			       "%s: memory at " RANGE " is out of its reach, which is " RANGE,
			       dev->path, range->first, range->last, dev->iova_first,
			       dev->iova_last);
	other = next_in(dev, range, &at);
	if (other)
		return err_set(err, -EEXIST, STEP,
			       "%s: memory at " RANGE " overlaps what is mapped at " RANGE
			       "; that must be unmapped first",
			       dev->path, range->first, range->last, other->first, other->last);
	return 0;
}

static int cannot_map(struct vhost_vdpa *dev, const struct vhost_vdpa_map *range, int rc,
		      struct err *err)
{
	const uint64_t size = range->last - range->first + 1;
	const uint64_t needed = chardev_pinned() + size, allowed = chardev_pin_limit();

	if ((rc == -EFAULT || rc == -ENOMEM) && needed > allowed)
		return err_set(err, -ENOMEM, "memlock",
			       "%s: %" PRIu64 " bytes of memory have to be locked, those of this "
			       "VM and of others here, and %" PRIu64 " are allowed "
			       "(RLIMIT_MEMLOCK, for root too). Set LimitMEMLOCK=infinity in the "
			       "unit of the relays, or run `ulimit -l unlimited` before vio4wd is "
			       "started",
			       dev->path, needed, allowed);
	return err_set(err, rc, STEP,
		       "%s: memory at " RANGE " cannot be mapped for it: %s; is it there and "
		       "writable, has the IOMMU room for it? dmesg may say more",
		       dev->path, range->first, range->last, strerror(-rc));
}

int vhost_vdpa_map_in(struct vhost_vdpa *dev, uint32_t space, uint64_t iova, uint64_t size,
		      const void *addr, bool writable, struct err *err)
{
	const struct vhost_vdpa_map map = { .space = space,
					    .first = iova,
					    .last = iova + size - 1 };
	const struct vhost_iotlb_msg msg = { .type = VHOST_IOTLB_UPDATE,
					     .iova = iova,
					     .size = size,
					     .uaddr = (uintptr_t)addr,
					     .perm = writable ? VHOST_ACCESS_RW : VHOST_ACCESS_RO };
	struct vhost_vdpa_map *maps;
	int rc = device_is_open(dev, err);

	if (rc)
		return rc;
	if (!size)
		return err_set(err, -EINVAL, STEP, "%s: no memory at %#" PRIx64, dev->path, iova);
	rc = check_range(dev, &map, addr, err);
	if (rc)
		return rc;
	maps = realloc(dev->maps, (dev->n_maps + 1) * sizeof(*maps));
	if (!maps)
		return err_set(err, -ENOMEM, STEP, "%s: out of memory", dev->path);
	dev->maps = maps;
	rc = continue_batch(dev, space, err);
	if (rc)
		return rc;
	rc = send_message(dev, space, &msg);
	if (rc)
		return cannot_map(dev, &map, rc, err);
	dev->maps[dev->n_maps++] = map;
	return 0;
}

int vhost_vdpa_map(struct vhost_vdpa *dev, uint64_t iova, uint64_t size, const void *addr,
		   bool writable, struct err *err)
{
	return vhost_vdpa_map_in(dev, 0, iova, size, addr, writable, err);
}

static void forget(struct vhost_vdpa *dev, const struct vhost_vdpa_map *range)
{
	struct vhost_vdpa_map *map;
	size_t at = 0;

	while ((map = next_in(dev, range, &at))) {
		*map = dev->maps[--dev->n_maps];
		at--;
	}
}

int vhost_vdpa_unmap_in(struct vhost_vdpa *dev, uint32_t space, uint64_t iova, uint64_t size,
			struct err *err)
{
	const struct vhost_vdpa_map range = { .space = space,
					      .first = iova,
					      .last = iova + size - 1 };
	const struct vhost_iotlb_msg msg = { .type = VHOST_IOTLB_INVALIDATE,
					     .iova = iova,
					     .size = size };
	const struct vhost_vdpa_map *map;
	bool found = false;
	size_t at = 0;
	int rc;

	while (size && (map = next_in(dev, &range, &at))) {
		found = true;
		if (map->first < range.first || map->last > range.last)
			return err_set(err, -EINVAL, STEP,
				       "%s: memory at " RANGE
				       " cannot be unmapped: it is a part of "
				       "what is mapped at " RANGE,
				       dev->path, range.first, range.last, map->first, map->last);
	}
	if (!found)
		return 0;
	rc = continue_batch(dev, space, err);
	if (rc)
		return rc;
	rc = send_message(dev, space, &msg);
	if (rc)
		return device_call_failed(dev, rc, "memory cannot be taken away from it", err);
	forget(dev, &range);
	return 0;
}

int vhost_vdpa_unmap(struct vhost_vdpa *dev, uint64_t iova, uint64_t size, struct err *err)
{
	return vhost_vdpa_unmap_in(dev, 0, iova, size, err);
}

int vhost_vdpa_unmap_all(struct vhost_vdpa *dev, struct err *err)
{
	int rc = 0, end;

	vhost_vdpa_map_begin(dev, err);
	while (!rc && dev->n_maps) {
		const struct vhost_vdpa_map map = dev->maps[dev->n_maps - 1];

		rc = vhost_vdpa_unmap_in(dev, map.space, map.first, map.last - map.first + 1, err);
	}
	end = vhost_vdpa_map_end(dev, rc ? NULL : err);
	return rc ? rc : end;
}
