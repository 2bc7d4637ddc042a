/* SPDX-License-Identifier: BSD-3-Clause */

/* fake_vdpa.h: the memory that a device reaches. */
#ifndef VIO4WD_TEST_FAKE_VDPA_IOTLB_H
#define VIO4WD_TEST_FAKE_VDPA_IOTLB_H

#include "fake_vdpa_state.h"

static inline uint64_t fake_pinned(const struct fake_vdpa *dev)
{
	uint64_t bytes = dev->pinned_elsewhere;

	for (unsigned int i = 0; i < dev->n_maps; i++)
		bytes += dev->maps[i].last - dev->maps[i].first + 1;
	return bytes;
}

static inline int fake_update(struct fake_vdpa *dev, uint32_t space,
			      const struct vhost_iotlb_msg *msg)
{
	const uint64_t last = msg->iova + msg->size - 1;

	if (last < msg->iova || msg->iova < dev->iova_first || last > dev->iova_last)
		return -EINVAL;
	for (unsigned int i = 0; i < dev->n_maps; i++) {
		if (dev->maps[i].space == space && dev->maps[i].first <= last &&
		    msg->iova <= dev->maps[i].last)
			return -EEXIST;
	}
	if (fake_pinned(dev) + msg->size > dev->pin_limit)
		return -ENOMEM;
	if (dev->n_maps == FAKE_MAPS)
		return -ENOSPC;
	dev->maps[dev->n_maps++] = (struct fake_map){ .space = space,
						      .first = msg->iova,
						      .last = last,
						      .addr = msg->uaddr,
						      .perm = msg->perm,
						      .reachable = !dev->in_batch };
	return 0;
}

/* Whatever the range touches. */
static inline void fake_invalidate(struct fake_vdpa *dev, uint32_t space, uint64_t first,
				   uint64_t last)
{
	for (unsigned int i = 0; i < dev->n_maps; i++) {
		if (dev->maps[i].space == space && dev->maps[i].first <= last &&
		    first <= dev->maps[i].last)
			dev->maps[i--] = dev->maps[--dev->n_maps];
	}
}

static inline bool fake_has_space(const struct fake_vdpa *dev, uint32_t space)
{
	for (unsigned int i = 0; i < dev->n_maps; i++) {
		if (dev->maps[i].space == space)
			return true;
	}
	return dev->in_batch && dev->batch_space == space;
}

static inline int fake_iotlb(struct fake_vdpa *dev, uint32_t space,
			     const struct vhost_iotlb_msg *msg)
{
	const bool makes = msg->type == VHOST_IOTLB_UPDATE || msg->type == VHOST_IOTLB_BATCH_BEGIN;

	if (!dev->owned)
		return -EPERM;
	if (space >= dev->spaces || (dev->in_batch && dev->batch_space != space) ||
	    (!makes && !fake_has_space(dev, space)))
		return -EINVAL;
	switch (msg->type) {
	case VHOST_IOTLB_UPDATE:
		return fake_update(dev, space, msg);
	case VHOST_IOTLB_INVALIDATE:
		fake_invalidate(dev, space, msg->iova, msg->iova + msg->size - 1);
		return 0;
	case VHOST_IOTLB_BATCH_BEGIN:
		dev->in_batch = true;
		dev->batch_space = space;
		return 0;
	case VHOST_IOTLB_BATCH_END:
		dev->in_batch = false;
		for (unsigned int i = 0; i < dev->n_maps; i++)
			dev->maps[i].reachable |= dev->maps[i].space == space;
		return 0;
	default:
		return -EINVAL;
	}
}

static inline int fake_log_message(struct fake_vdpa *dev, uint32_t space,
				   const struct vhost_iotlb_msg *msg)
{
	const uint64_t last = msg->iova + msg->size - 1;
	char in[16] = "";

	if (space)
		snprintf(in, sizeof(in), " in %u", space);
	switch (msg->type) {
	case VHOST_IOTLB_UPDATE:
		return fake_called(dev, "map %#llx-%#" PRIx64 "%s%s", msg->iova, last,
				   msg->perm == VHOST_ACCESS_RO ? " ro" : "", in);
	case VHOST_IOTLB_INVALIDATE:
		return fake_called(dev, "unmap %#llx-%#" PRIx64 "%s", msg->iova, last, in);
	default:
		return fake_called(dev, "batch %s%s",
				   msg->type == VHOST_IOTLB_BATCH_BEGIN ? "begin" : "end", in);
	}
}

static inline int fake_write(struct fake_vdpa *dev, const struct vhost_msg_v2 *msg)
{
	const bool has_spaces = dev->agreed & FAKE_BIT(VHOST_BACKEND_F_IOTLB_ASID);
	const bool batches = dev->agreed & FAKE_BIT(VHOST_BACKEND_F_IOTLB_BATCH);
	int rc = fake_log_message(dev, msg->asid, &msg->iotlb);

	if (rc)
		return rc;
	if (msg->type != VHOST_IOTLB_MSG_V2)
		return -EINVAL;
	if (msg->iotlb.type >= VHOST_IOTLB_BATCH_BEGIN && !batches)
		fake_complain(dev, "a batch that was not agreed on");
	if (msg->iotlb.type < VHOST_IOTLB_BATCH_BEGIN && !msg->iotlb.size)
		return -EINVAL;
	rc = fake_iotlb(dev, has_spaces ? msg->asid : 0, &msg->iotlb);
	return rc && !dev->plain_errors ? -EFAULT : rc;
}

#endif
