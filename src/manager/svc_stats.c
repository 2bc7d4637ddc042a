/* SPDX-License-Identifier: BSD-3-Clause */

/* 1.1's stats endpoint. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/sampler.h"
#include "manager/svc_zmq.h"

typedef Virtioforwarder__StatsRequest Request;
typedef Virtioforwarder__StatsResponse Response;
typedef Virtioforwarder__RelayState State;

struct cpus {
	size_t n;
	uint32_t *list; /* CPU numbers, or NULL */
};

/* All parts of a RelayState, but for lists of CPUs in one piece of memory. */
struct state {
	State state;
	Virtioforwarder__RelayState__CPU cpu;
	Virtioforwarder__RelayState__VHOST vhost;
	Virtioforwarder__RelayState__VF vf;
	Virtioforwarder__RelayState__VFtoVM up;
	Virtioforwarder__RelayState__VMtoVF down;
	char device[DEVNAME_MAX];
};

struct asked {
	struct manager *m;
	struct zmq_request *req;
	bool include_inactive;
	bool *wanted; /* by relay id */
};

static void reply_status(struct zmq_request *req, Virtioforwarder__StatsResponse__Status status)
{
	Response response = VIRTIOFORWARDER__STATS_RESPONSE__INIT;

	response.status = status;
	svc_zmq_reply(req, &response.base);
}

#define SET(message, field, value)             \
	do {                                   \
		(message)->has_##field = true; \
		(message)->field = (value);    \
	} while (0)

static void fill_up(Virtioforwarder__RelayState__VFtoVM *up, const struct sampler_counts *c,
		    const struct sampler_rates *r)
{
	SET(up, pkts_rx_from_vf, c->packets_in);
	SET(up, bytes_rx_from_vf, c->bytes_in);
	SET(up, pkts_tx_to_vm, c->packets_out);
	SET(up, bytes_tx_to_vm, c->bytes_out);
	SET(up, pkts_dropped_vm_queue_full, c->drop_packets[DROP_QUEUE_FULL]);
	SET(up, bytes_dropped_vm_queue_full, c->drop_bytes[DROP_QUEUE_FULL]);
	SET(up, pkts_dropped_vm_not_connected, c->drop_packets[DROP_NOT_CONNECTED]);
	SET(up, bytes_dropped_vm_not_connected, c->drop_bytes[DROP_NOT_CONNECTED]);
	up->pkt_rate_rx_from_vf = r->packets_in;
	up->byte_rate_rx_from_vf = r->bytes_in;
	up->pkt_rate_tx_to_vm = r->packets_out;
	up->byte_rate_tx_to_vm = r->bytes_out;
	SET(up, load, r->load);
}

static void fill_down(Virtioforwarder__RelayState__VMtoVF *down, const struct sampler_counts *c,
		      const struct sampler_rates *r)
{
	SET(down, pkts_rx_from_vm, c->packets_in);
	SET(down, bytes_rx_from_vm, c->bytes_in);
	SET(down, pkts_tx_to_vf, c->packets_out);
	SET(down, bytes_tx_to_vf, c->bytes_out);
	SET(down, pkts_dropped_vf_queue_full, c->drop_packets[DROP_QUEUE_FULL]);
	SET(down, bytes_dropped_vf_queue_full, c->drop_bytes[DROP_QUEUE_FULL]);
	SET(down, pkts_dropped_vf_not_connected, c->drop_packets[DROP_NOT_CONNECTED]);
	SET(down, bytes_dropped_vf_not_connected, c->drop_bytes[DROP_NOT_CONNECTED]);
	down->pkt_rate_rx_from_vm = r->packets_in;
	down->byte_rate_rx_from_vm = r->bytes_in;
	down->pkt_rate_tx_to_vf = r->packets_out;
	down->byte_rate_tx_to_vf = r->bytes_out;
	SET(down, load, r->load);
}

/* Those of a JSON array of numbers, or of objects that have one as "cpu". */
static struct cpus read_cpus(json_object *array)
{
	struct cpus cpus = { 0 };
	const size_t n = array ? json_object_array_length(array) : 0;

	cpus.list = n ? calloc(n, sizeof(*cpus.list)) : NULL;
	for (size_t i = 0; cpus.list && i < n; i++) {
		json_object *entry = json_object_array_get_idx(array, i);

		if (json_object_is_type(entry, json_type_object))
			cpus.list[cpus.n++] = json_get_int(entry, "cpu", 0);
		else
			cpus.list[cpus.n++] = json_object_get_int(entry);
	}
	return cpus;
}

static struct cpus direction_cpus(json_object *endpoint, const char *direction)
{
	json_object *json = json_get_member(endpoint, direction, json_type_object);

	return read_cpus(json_get_member(json, "cpus", json_type_array));
}

/* The CPUs of its directions that are active, and those of its relay process. */
static void fill_cpus(struct state *s, const struct manager *m, unsigned int id, bool up, bool down)
{
	const struct relay *relay = m->pairings[id].seen.relay;
	json_object *endpoint = sampler_endpoint_json(m->sampler, id);
	const struct cpus none = { 0 };
	const struct cpus up_cpus = up ? direction_cpus(endpoint, "vf_to_vm") : none;
	const struct cpus down_cpus = down ? direction_cpus(endpoint, "vm_to_vf") : none;
	json_object *process = relay ? sampler_process_json(m->sampler, relay->number) : NULL;
	const struct cpus workers = read_cpus(json_get_member(process, "workers", json_type_array));

	virtioforwarder__relay_state__cpu__init(&s->cpu);
	if (up_cpus.n)
		SET(&s->cpu, vf_to_vm, up_cpus.list[0]);
	if (down_cpus.n)
		SET(&s->cpu, vm_to_vf, down_cpus.list[0]);
	if (up_cpus.n || down_cpus.n)
		s->state.cpu = &s->cpu;
	s->up.n_cpus = up_cpus.n;
	s->up.cpus = up_cpus.list;
	s->down.n_cpus = down_cpus.n;
	s->down.cpus = down_cpus.list;
	s->state.n_worker_cpus = workers.n;
	s->state.worker_cpus = workers.list;
}

static void free_cpus(const struct state *s)
{
	free(s->up.cpus);
	free(s->down.cpus);
	free(s->state.worker_cpus);
}

/* 1.1's words, by what is being done to the device and the VM. */
static char *device_word(const struct pairing *p)
{
	if (p->step == STEP_DETACH || p->step == STEP_ENDPOINT_REMOVE)
		return p->seen.device.text[0] ? "DPDK_REMOVING1" : "DPDK_UNINIT";
	if (!p->seen.device.text[0])
		return "DPDK_UNINIT";
	return p->seen.vm ? "DPDK_READY" : "DPDK_ADDED";
}

static char *vm_word(const struct pairing *p)
{
	if (p->seen.vm && p->step == STEP_ENDPOINT_REMOVE)
		return "VIRTIO_REMOVING1";
	return p->seen.vm ? "VIRTIO_READY" : "VIRTIO_UNINIT";
}

static uint32_t memory_node(json_object *endpoint)
{
	json_object *vm = json_get_member(endpoint, "vm", json_type_object);
	json_object *device = json_get_member(endpoint, "device", json_type_object);
	int64_t node = json_get_int(vm, "numa_node", -1);

	if (node < 0)
		node = json_get_int(device, "numa_node", -1);
	return node < 0 ? 0 : node;
}

static void fill(struct state *s, const struct manager *m, unsigned int id,
		 const struct sampler_view *view)
{
	const struct pairing *p = &m->pairings[id];
	json_object *endpoint = sampler_endpoint_json(m->sampler, id);
	const struct sampler_endpoint *counts = &view->endpoints[id];
	const bool up = p->seen.device.text[0], down = p->seen.vm;

	virtioforwarder__relay_state__init(&s->state);
	virtioforwarder__relay_state__vhost__init(&s->vhost);
	virtioforwarder__relay_state__vf__init(&s->vf);
	virtioforwarder__relay_state__vfto_vm__init(&s->up);
	virtioforwarder__relay_state__vmto_vf__init(&s->down);
	s->state.id = id;
	s->state.active = up && down;
	s->state.vhost = &s->vhost;
	s->vhost.vhost_socket_name = (char *)(p->seen.socket[0] ? p->seen.socket : p->wish.socket);
	s->state.vf_to_vm = &s->up;
	s->state.vm_to_vf = &s->down;
	s->state.socket_id = memory_node(endpoint);
	if (up) {
		s->state.vf = &s->vf;
		s->vf.pci_addr_str = (char *)(p->wish.has_device ? device_shown(m, p, s->device)
								 : p->seen.device.text);
		fill_up(&s->up, &counts->counts[VF_TO_VM], &view->rates[id][VF_TO_VM]);
	}
	if (down)
		fill_down(&s->down, &counts->counts[VM_TO_VF], &view->rates[id][VM_TO_VF]);
	s->up.active = up;
	s->up.internal_state = device_word(p);
	s->down.active = down;
	s->down.internal_state = vm_word(p);
	fill_cpus(s, m, id, up, down);
}

static void sampled(const struct sampler_view *view, void *userdata)
{
	struct asked *asked = userdata;
	const struct manager *m = asked->m;
	Response response = VIRTIOFORWARDER__STATS_RESPONSE__INIT;
	struct state *states = calloc(m->max_relays, sizeof(*states));
	State **pointers = calloc(m->max_relays, sizeof(*pointers));

	response.status = states && pointers ? VIRTIOFORWARDER__STATS_RESPONSE__STATUS__OK
					     : VIRTIOFORWARDER__STATS_RESPONSE__STATUS__ENOMEM;
	response.relay = pointers;
	for (unsigned int id = 0; states && pointers && id < m->max_relays; id++) {
		struct state *s = &states[id];

		if (!asked->wanted[id])
			continue;
		fill(s, m, id, view);
		if (s->state.active || asked->include_inactive)
			pointers[response.n_relay++] = &s->state;
	}
	svc_zmq_reply(asked->req, &response.base);
	for (unsigned int id = 0; states && id < m->max_relays; id++)
		free_cpus(&states[id]);
	free(states);
	free(pointers);
	free(asked->wanted);
	free(asked);
}

static struct asked *asked_new(struct manager *m, struct zmq_request *req, const Request *request)
{
	struct asked *asked = calloc(1, sizeof(*asked));

	if (!asked)
		return NULL;
	asked->wanted = calloc(m->max_relays, sizeof(*asked->wanted));
	if (!asked->wanted) {
		free(asked);
		return NULL;
	}
	asked->m = m;
	asked->req = req;
	asked->include_inactive = request->include_inactive;
	for (unsigned int id = 0; !request->n_relay && id < m->max_relays; id++)
		asked->wanted[id] = true;
	for (size_t i = 0; i < request->n_relay; i++) {
		if (request->relay[i] < m->max_relays)
			asked->wanted[request->relay[i]] = true;
	}
	return asked;
}

void svc_stats_request(struct zmq_request *req, const uint8_t *data, size_t size, void *userdata)
{
	struct manager *m = userdata;
	Request *request = virtioforwarder__stats_request__unpack(NULL, size, data);
	struct asked *asked = NULL;

	if (!request) {
		reply_status(req, VIRTIOFORWARDER__STATS_RESPONSE__STATUS__EBADR);
		return;
	}
	if (request->n_relay > m->max_relays) {
		reply_status(req, VIRTIOFORWARDER__STATS_RESPONSE__STATUS__E2BIG);
	} else {
		asked = asked_new(m, req, request);
		if (asked)
			sampler_ask(m->sampler, request->delay, sampled, asked);
		else
			reply_status(req, VIRTIOFORWARDER__STATS_RESPONSE__STATUS__ENOMEM);
	}
	virtioforwarder__stats_request__free_unpacked(request, NULL);
}
