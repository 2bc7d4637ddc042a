/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Any bytes as a request of 1.1's protocol: what is accepted has its required fields and can be
 * written again. (It need not be the same: unknown fields may carry tags that no message has.)
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/virtioforwarder.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void use(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size)
{
	ProtobufCMessage *msg = protobuf_c_message_unpack(type, NULL, size, data);
	uint8_t *packed;
	size_t len;

	if (!msg)
		return;
	must(protobuf_c_message_check(msg));
	len = protobuf_c_message_get_packed_size(msg);
	packed = malloc(len + 1);
	must(packed && protobuf_c_message_pack(msg, packed) == len);
	free(packed);
	protobuf_c_message_free_unpacked(msg, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	use(&virtioforwarder__port_control_request__descriptor, data, size);
	use(&virtioforwarder__stats_request__descriptor, data, size);
	use(&virtioforwarder__config_request__descriptor, data, size);
	use(&virtioforwarder__core_sched_request__descriptor, data, size);
	return 0;
}
