/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Bits are taken from what the library offers by rte_vhost_driver_disable_features, never set with
 * rte_vhost_driver_set_features: that one switches the library's network code off for good.
 */
#include <stdio.h>

#include <linux/virtio_net.h>

#include <rte_vhost.h>

#include "common/virtio_features.h"
#include "sw-relay/dpdk_compat.h"
#include "sw-relay/features.h"

#define BIT(n) (1ull << (n))

/* Large packets in either direction. */
#define FEATURES_TSO                                                                              \
	(BIT(VIRTIO_NET_F_GSO) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |      \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO))

uint64_t features_withheld(const struct endpoint_options *options)
{
	uint64_t withheld = 0;

	if (!options->tso)
		withheld |= FEATURES_TSO;
	if (!options->mrg_rxbuf)
		withheld |= BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (!options->mtu)
		withheld |= BIT(VIRTIO_NET_F_MTU);
	if (options->max_queues == 1)
		withheld |= BIT(VIRTIO_NET_F_MQ);
	return withheld;
}

uint64_t features_protocol_withheld(void)
{
	/* No crypto, no page of a device to hand out; and nothing here sends a descriptor. */
	return BIT(VHOST_USER_PROTOCOL_F_CRYPTO_SESSION) |
	       BIT(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) |
	       BIT(VHOST_USER_PROTOCOL_F_HOST_NOTIFIER);
}

json_object *features_json(uint64_t features)
{
	json_object *list = json_object_new_array();

	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = feature_name(bit);
		char number[16];

		if (!(features & BIT(bit)))
			continue;
		if (!name) {
			snprintf(number, sizeof(number), "bit %u", bit);
			name = number;
		}
		json_object_array_add(list, json_object_new_string(name));
	}
	return list;
}
