/* SPDX-License-Identifier: BSD-3-Clause */

/* 1.1's config endpoint: the configured pins. */
#include <stdlib.h>

#include "manager/manager.h"
#include "manager/svc_zmq.h"

typedef Virtioforwarder__ConfigResponse Response;
typedef Virtioforwarder__ConfigResponse__RelayCPU Entry;

void svc_config_request(struct zmq_request *req, const uint8_t *data, size_t size, void *userdata)
{
	const struct config *cfg = ((struct manager *)userdata)->cfg;
	Virtioforwarder__ConfigRequest *request;
	Response response = VIRTIOFORWARDER__CONFIG_RESPONSE__INIT;
	Entry *entries = calloc(cfg->n_cpu_pins + 1, sizeof(*entries));
	Entry **pointers = calloc(cfg->n_cpu_pins + 1, sizeof(*pointers));

	request = virtioforwarder__config_request__unpack(NULL, size, data);
	response.status = request && entries && pointers
				  ? VIRTIOFORWARDER__CONFIG_RESPONSE__STATUS__OK
				  : VIRTIOFORWARDER__CONFIG_RESPONSE__STATUS__EBADR;
	for (size_t i = 0; request && entries && pointers && i < cfg->n_cpu_pins; i++) {
		virtioforwarder__config_response__relay_cpu__init(&entries[i]);
		entries[i].relay_number = cfg->cpu_pins[i].id;
		entries[i].vf2virtio_cpu = cfg->cpu_pins[i].vf_to_vm;
		entries[i].virtio2vf_cpu = cfg->cpu_pins[i].vm_to_vf;
		pointers[response.n_relay_cpu_map++] = &entries[i];
	}
	response.relay_cpu_map = pointers;
	svc_zmq_reply(req, &response.base);
	if (request)
		virtioforwarder__config_request__free_unpacked(request, NULL);
	free(entries);
	free(pointers);
}
