/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Bits are taken from what the library offers by rte_vhost_driver_disable_features, never set with
 * rte_vhost_driver_set_features: that one switches the library's network code off for good.
 */
#include <stdio.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_common.h>
#include <rte_vhost.h>

#include "sw-relay/features.h"

#define BIT(n) (1ull << (n))

/* Large packets in either direction. */
#define FEATURES_TSO                                                                              \
	(BIT(VIRTIO_NET_F_GSO) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |      \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO))

static const struct {
	unsigned int bit;
	const char *name;
} feature_names[] = {
	{ VIRTIO_NET_F_CSUM, "CSUM" },
	{ VIRTIO_NET_F_GUEST_CSUM, "GUEST_CSUM" },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, "CTRL_GUEST_OFFLOADS" },
	{ VIRTIO_NET_F_MTU, "MTU" },
	{ VIRTIO_NET_F_MAC, "MAC" },
	{ VIRTIO_NET_F_GSO, "GSO" },
	{ VIRTIO_NET_F_GUEST_TSO4, "GUEST_TSO4" },
	{ VIRTIO_NET_F_GUEST_TSO6, "GUEST_TSO6" },
	{ VIRTIO_NET_F_GUEST_ECN, "GUEST_ECN" },
	{ VIRTIO_NET_F_GUEST_UFO, "GUEST_UFO" },
	{ VIRTIO_NET_F_HOST_TSO4, "HOST_TSO4" },
	{ VIRTIO_NET_F_HOST_TSO6, "HOST_TSO6" },
	{ VIRTIO_NET_F_HOST_ECN, "HOST_ECN" },
	{ VIRTIO_NET_F_HOST_UFO, "HOST_UFO" },
	{ VIRTIO_NET_F_MRG_RXBUF, "MRG_RXBUF" },
	{ VIRTIO_NET_F_STATUS, "STATUS" },
	{ VIRTIO_NET_F_CTRL_VQ, "CTRL_VQ" },
	{ VIRTIO_NET_F_CTRL_RX, "CTRL_RX" },
	{ VIRTIO_NET_F_CTRL_VLAN, "CTRL_VLAN" },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, "GUEST_ANNOUNCE" },
	{ VIRTIO_NET_F_MQ, "MQ" },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, "CTRL_MAC_ADDR" },
	{ VIRTIO_F_NOTIFY_ON_EMPTY, "NOTIFY_ON_EMPTY" },
	{ VHOST_F_LOG_ALL, "LOG_ALL" },
	{ VIRTIO_F_ANY_LAYOUT, "ANY_LAYOUT" },
	{ VIRTIO_RING_F_INDIRECT_DESC, "INDIRECT_DESC" },
	{ VIRTIO_RING_F_EVENT_IDX, "EVENT_IDX" },
	{ VHOST_USER_F_PROTOCOL_FEATURES, "PROTOCOL_FEATURES" },
	{ VIRTIO_F_VERSION_1, "VERSION_1" },
	{ 33, "ACCESS_PLATFORM" },
	{ 34, "RING_PACKED" },
	{ 35, "IN_ORDER" },
	{ 36, "ORDER_PLATFORM" },
};

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
	       BIT(VHOST_USER_PROTOCOL_F_SLAVE_SEND_FD) | BIT(VHOST_USER_PROTOCOL_F_HOST_NOTIFIER);
}

const char *feature_name(unsigned int bit)
{
	for (unsigned int i = 0; i < RTE_DIM(feature_names); i++) {
		if (feature_names[i].bit == bit)
			return feature_names[i].name;
	}
	return NULL;
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
