/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The relay processes as a whole: one for each NUMA node with worker CPUs from the start, further
 * ones as placement.h says. What happens to a process is passed on to the pairings it serves.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/nodes.h"
#include "manager/placement.h"
#include "manager/sampler.h"
#include "manager/vdpas.h"

unsigned int relays_ports_of(const struct devname *dev)
{
	struct devname members[BOND_MEMBERS_MAX];

	if (dev->kind == DEVNAME_BOND)
		return 1 + (unsigned int)devname_bond_members(dev, members);
	return dev->kind != DEVNAME_NETDEV;
}

static unsigned int takes_ports(const struct pairing *p)
{
	unsigned int seen = p->seen.device.text[0] ? relays_ports_of(&p->seen.device) : 0;
	unsigned int wished =
		p->wish.has_device && !p->wish.handed_out ? relays_ports_of(&p->wish.device) : 0;

	return seen > wished ? seen : wished;
}

unsigned int relays_ports(const struct manager *m, const struct relay *relay,
			  const struct pairing *except)
{
	unsigned int n = 0;

	for (unsigned int id = 0; id < m->max_relays; id++) {
		const struct pairing *p = &m->pairings[id];

		if (p != except && p->seen.relay == relay)
			n += takes_ports(p);
	}
	return n;
}

unsigned int relays_endpoints(const struct manager *m, const struct relay *relay)
{
	unsigned int n = 0;

	for (unsigned int id = 0; id < m->max_relays; id++)
		n += m->pairings[id].seen.relay == relay;
	return n;
}

bool relays_unknown(const struct manager *m)
{
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		const struct relay *relay = m->processes[i];

		if (relay && relay->state == RELAY_STARTING && relay->adopted)
			return true;
	}
	return false;
}

static struct relay *new_process(struct manager *m, unsigned int number, int node, struct err *err)
{
	struct cpuset cpus;
	struct relay *relay;

	if (number >= MANAGER_MAX_PROCESSES) {
		err_set(err, -ENOSPC, "relay", "all ports of %u relay processes are in use",
			MANAGER_MAX_PROCESSES);
		return NULL;
	}
	nodes_cpus(m->root, &m->cfg->cpu_mask, node, &cpus);
	if (relay_new(&relay, &m->setup, number, node, &cpus, err) < 0)
		return NULL;
	m->processes[number] = relay;
	return relay;
}

/* Relays that an earlier manager has left, beyond those that every start has. */
static void adopt_others(struct manager *m)
{
	for (unsigned int number = m->n_nodes; number < MANAGER_MAX_PROCESSES; number++) {
		struct err err;

		if (relay_left(&m->setup, number) &&
		    !new_process(m, number, m->nodes[number % m->n_nodes], &err))
			log_error("%s", err.text);
	}
}

int relays_start(struct manager *m, struct err *err)
{
	m->n_nodes = nodes_find(m->root, &m->cfg->cpu_mask, m->nodes, MANAGER_MAX_PROCESSES);
	if (!m->n_nodes)
		return err_set(err, -EINVAL, "configuration",
			       "VIRTIOFWD_CPU_MASK names no CPU that this host has");
	for (size_t i = 0; i < m->n_nodes; i++) {
		if (!new_process(m, i, m->nodes[i], err))
			return err->code;
	}
	adopt_others(m);
	return 0;
}

struct relay *relays_place(struct manager *m, struct pairing *p, unsigned int ports, int numa_node,
			   struct err *err)
{
	struct placement_process processes[MANAGER_MAX_PROCESSES];
	const int pin_node = nodes_of_pins(m->root, p->wish.pin, N_DIRECTIONS);
	const struct placement_request request = {
		.numa_node = pin_node >= 0 ? pin_node : numa_node,
		.ports = ports,
		.current = p->seen.relay ? (int)p->seen.relay->number : -1,
	};
	struct placement placement;
	size_t n = 0;

	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		const struct relay *relay = m->processes[i];

		if (!relay || relay->state == RELAY_STOPPING)
			continue;
		processes[n++] = (struct placement_process){
			.number = i,
			.numa_node = relay->numa_node,
			.ports = relays_ports(m, relay, p),
			.max_ports = relay->max_ports,
			.endpoints = relays_endpoints(m, relay),
		};
	}
	placement_choose(processes, n, m->nodes, m->n_nodes, &request, &placement);
	if (placement.action != PLACEMENT_STAY && p->seen.socket[0]) {
		log_notice(
			"relay %u: every port of relay process %u is in use; the socket moves to "
			"another process",
			p->id, p->seen.relay->number);
		p->move = true;
		return p->seen.relay;
	}
	if (placement.action == PLACEMENT_NEW)
		return new_process(m, placement.number, placement.numa_node, err);
	return m->processes[placement.number];
}

static struct manager *manager_of(const struct relay *relay)
{
	return relay->setup->userdata;
}

static void lose(struct manager *m, struct pairing *p, const char *why)
{
	memcpy(p->step_socket, p->seen.socket, sizeof(p->step_socket));
	if (p->seen.socket[0])
		manager_socket_gone(m, p);
	pairing_relay_lost(p, why);
}

/* By the relay's own name of it. */
static enum policy_backend backend_of(const char *name)
{
	if (!strcmp(name, policy_backend_name(POLICY_DPDK_VDPA)))
		return POLICY_DPDK_VDPA;
	return strcmp(name, policy_backend_name(POLICY_VDPA)) ? POLICY_SOFTWARE : POLICY_VDPA;
}

static void adopt_endpoint(struct manager *m, struct relay *relay, json_object *endpoint)
{
	const int64_t id = json_get_int(endpoint, "id", -1);
	const char *socket = json_get_text(endpoint, "socket", "");
	const char *mode = json_get_text(endpoint, "mode", "server");
	json_object *device = json_get_member(endpoint, "device", json_type_object);
	json_object *vm = json_get_member(endpoint, "vm", json_type_object);
	const char *name = json_get_text(device, "device", NULL);
	enum policy_backend backend;
	struct devname dev;
	struct err err;

	if (id < 0 || id >= m->max_relays || !*socket)
		return;
	if (name && (devname_is_bond(name) ? devname_bond_parse(&dev, name, NULL, &err)
					   : devname_parse(&dev, name, &err)) < 0) {
		log_warning("relay %lld: %s", (long long)id, err.text);
		name = NULL;
	}
	backend = backend_of(json_get_text(device, "backend", ""));
	if (name)
		spares_keep_mac(&m->pairings[id], dev.text, json_get_text(device, "mac", NULL));
	pairing_adopt(&m->pairings[id], relay, socket, name ? &dev : NULL, backend,
		      json_get_bool(vm, "connected", false));
	bonds_look(&m->pairings[id]);
	bonds_told(&m->pairings[id], json_get_member(device, "members", json_type_array), false);
	if (name && devname_is_bond(name))
		bonds_keep_mac(&m->pairings[id], json_get_text(device, "mac", NULL));
	manager_take_mode(&m->pairings[id], json_get_text(device, "mode", NULL),
			  json_get_text(device, "mode_reason", NULL));
	if (name)
		vdpas_learn(m->vdpas, (unsigned int)id, &dev, device);
	/* The configuration was changed meanwhile: the socket has to be made anew. */
	m->pairings[id].move = !strcmp(mode, "client") != m->cfg->vhost_client;
	if (m->cfg->vhost_client)
		socket_watch_add(m->watch, socket);
	else
		socket_identify(socket, &m->extra[id].socket);
}

/* Whatever the pairings knew of it before, this is what it has. */
static void resync(struct manager *m, struct relay *relay, json_object *snapshot)
{
	json_object *endpoints = json_get_member(snapshot, "endpoints", json_type_array);
	const size_t n = endpoints ? json_object_array_length(endpoints) : 0;

	for (unsigned int id = 0; id < m->max_relays; id++) {
		struct pairing *p = &m->pairings[id];

		if (p->seen.relay == relay) {
			p->running = true; /* not before all is known */
			pairing_relay_lost(p, "connection to the relay process lost");
			p->running = false;
		}
	}
	for (size_t i = 0; i < n; i++)
		adopt_endpoint(m, relay, json_object_array_get_idx(endpoints, i));
	log_info("relay process %u: has %zu sockets", relay->number, n);
}

static void on_up(struct relay *relay, json_object *snapshot)
{
	struct manager *m = manager_of(relay);

	if (snapshot) {
		resync(m, relay, snapshot);
		/* It may have been started with other CPUs. */
		relays_set_cpus(m);
	}
	for (unsigned int id = 0; id < m->max_relays; id++)
		pairing_run(&m->pairings[id]);
}

static void on_down(struct relay *relay, const char *why)
{
	struct manager *m = manager_of(relay);

	sampler_forget_process(m->sampler, relay->number);
	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (m->pairings[id].seen.relay == relay)
			lose(m, &m->pairings[id], why);
	}
}

static void on_vm(struct relay *relay, unsigned int id, bool connected)
{
	struct manager *m = manager_of(relay);

	if (id < m->max_relays && m->pairings[id].seen.relay == relay)
		pairing_vm(&m->pairings[id], connected);
}

static void on_device(struct relay *relay, unsigned int id, bool link, const char *error,
		      const char *mode, json_object *members)
{
	struct manager *m = manager_of(relay);

	if (id >= m->max_relays || m->pairings[id].seen.relay != relay)
		return;
	manager_take_mode(&m->pairings[id], mode, NULL);
	if (members)
		bonds_told(&m->pairings[id], members, false);
	pairing_device(&m->pairings[id], link, error);
}

static void on_stopped(struct relay *relay)
{
	struct manager *m = manager_of(relay);

	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		if (m->processes[i] && m->processes[i]->state != RELAY_GONE)
			return;
	}
	if (m->phase == MANAGER_STOPPING)
		sd_event_exit(m->event, 0);
}

void relays_abandon(struct manager *m)
{
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		if (m->processes[i])
			relay_abandon(m->processes[i]);
	}
}

const struct relay_events manager_relay_events = {
	.up = on_up,
	.down = on_down,
	.vm = on_vm,
	.device = on_device,
	.stopped = on_stopped,
};

static void told(json_object *result, const struct err *err, void *userdata)
{
	if (err->code)
		log_warning("%s", err->text);
}

static json_object *cpu_array(const struct cpuset *cpus)
{
	json_object *params = json_object_new_object();
	json_object *array = json_object_new_array();

	for (int cpu = cpuset_next(cpus, 0); cpu >= 0; cpu = cpuset_next(cpus, cpu + 1))
		json_object_array_add(array, json_object_new_int(cpu));
	json_object_object_add(params, "cpus", array);
	return params;
}

void relays_set_cpus(struct manager *m)
{
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		struct relay *relay = m->processes[i];

		if (!relay)
			continue;
		nodes_cpus(m->root, &m->cfg->cpu_mask, relay->numa_node, &relay->cpus);
		relay_call(relay, "workers", cpu_array(&relay->cpus), NULL, 0,
			   RELAY_CALL_TIMEOUT_MS, told, m);
	}
}

void relays_set_log_level(struct manager *m, int level)
{
	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		json_object *params = json_object_new_object();

		json_put_int(params, "level", level);
		if (m->processes[i])
			relay_call(m->processes[i], "log_level", params, NULL, 0,
				   RELAY_CALL_TIMEOUT_MS, told, m);
		else
			json_object_put(params);
	}
}
