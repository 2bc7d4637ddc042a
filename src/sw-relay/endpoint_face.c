/* SPDX-License-Identifier: BSD-3-Clause */

#include "sw-relay/endpoint_face.h"

#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <rte_common.h>
#include <rte_vhost.h>

#include "common/virtio_features.h"
#include "sw-relay/endpoint_internal.h"

#define BIT(n) (1ull << (n))

void endpoint_face_set(struct endpoint *ep, const struct hardware_face *hardware)
{
	struct endpoint_face *face = &ep->face;
	uint64_t offered = 0;

	if (rte_vhost_driver_get_features(ep->options.socket, &offered) < 0)
		return;
	face->hardware = *hardware;
	ep->queues = RTE_MIN(ep->queues, hardware->pairs);
	/* Where a device is in a packed ring when it has been stopped is not known. */
	face->masked =
		serving_lacks(offered, hardware->features) | (offered & BIT(VIRTIO_F_RING_PACKED));
	if (ep->queues == 1)
		face->masked |= offered & BIT(VIRTIO_NET_F_MQ);
	rte_vhost_driver_disable_features(ep->options.socket, face->masked);
	atomic_fetch_and(&ep->offered, ~face->masked);
}

void endpoint_face_clear(struct endpoint *ep)
{
	ep->queues = ep->options.max_queues;
	if (!ep->face.hardware.pairs)
		return;
	rte_vhost_driver_enable_features(ep->options.socket, ep->face.masked);
	atomic_fetch_or(&ep->offered, ep->face.masked);
	memset(&ep->face, 0, sizeof(ep->face));
}

static json_object *masked_json(uint64_t masked)
{
	json_object *list = json_object_new_array();

	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = feature_name(bit);
		json_object *o;

		if (!(masked & BIT(bit)) || !name)
			continue;
		o = json_object_new_object();
		json_object_object_add(o, "feature", json_object_new_string(name));
		json_object_object_add(o, "by",
				       json_object_new_string(bit == VIRTIO_F_RING_PACKED ||
									      bit == VIRTIO_NET_F_MQ
								      ? "relay"
								      : "device"));
		json_object_array_add(list, o);
	}
	return list;
}

void endpoint_face_json(const struct endpoint *ep, json_object *device)
{
	const struct endpoint_face *face = &ep->face;
	json_object *hardware;

	if (!face->hardware.pairs)
		return;
	hardware = json_object_new_object();
	json_object_object_add(hardware, "features",
			       json_object_new_int64((int64_t)face->hardware.features));
	json_object_object_add(hardware, "pairs", json_object_new_int(face->hardware.pairs));
	json_object_object_add(device, "hardware", hardware);
	json_object_object_add(device, "masked", masked_json(face->masked));
}
