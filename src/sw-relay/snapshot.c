/* SPDX-License-Identifier: BSD-3-Clause */

/* The relay's numbers as JSON: SNAPSHOT and DEVICE of docs/protocol.md. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_vhost.h>

#include "sw-relay/endpoint_internal.h"
#include "sw-relay/features.h"
#include "sw-relay/pool.h"
#include "sw-relay/worker_table.h"

static const struct {
	uint32_t offload;
	const char *name;
} offload_names[] = {
	{ OFFLOAD_IP_CKSUM, "tx-ip-checksum" },
	{ OFFLOAD_TCP_CKSUM, "tx-tcp-checksum" },
	{ OFFLOAD_UDP_CKSUM, "tx-udp-checksum" },
	{ OFFLOAD_SCTP_CKSUM, "tx-sctp-checksum" },
	{ OFFLOAD_TSO4, "tso" },
	{ OFFLOAD_TSO6, "tso6" },
	{ OFFLOAD_UFO, "ufo" },
	{ OFFLOAD_MULTI_SEGS, "multi-segment" },
};

static void add_uint(json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void add_bool(json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

static uint64_t monotonic_us(const struct timespec *ts)
{
	return ts->tv_sec * 1000000ull + ts->tv_nsec / 1000;
}

static json_object *offloads_json(uint32_t offloads)
{
	json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < RTE_DIM(offload_names); i++) {
		if (offloads & offload_names[i].offload)
			json_object_array_add(list, json_object_new_string(offload_names[i].name));
	}
	return list;
}

/* Of a bond; NULL: it is none. */
static json_object *members_json(const struct backend *b)
{
	struct backend_member member;
	json_object *list;

	if (!b->ops->member)
		return NULL;
	list = json_object_new_array();
	for (unsigned int i = 0; b->ops->member((struct backend *)b, i, &member); i++) {
		json_object *o = json_object_new_object();

		add_text(o, "device", member.device);
		add_bool(o, "in", member.in);
		add_bool(o, "link", member.link);
		add_bool(o, "active", member.active);
		add_text(o, "error", member.error);
		json_object_array_add(list, o);
	}
	return list;
}

static json_object *device_json(const struct endpoint *ep)
{
	const struct backend *b = ep->backend;
	json_object *d = json_object_new_object();
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(mac, sizeof(mac), &b->mac);
	add_text(d, "device", b->device);
	add_text(d, "driver", b->driver);
	add_text(d, "backend", b->ops->name);
	json_object_object_add(d, "port", b->port < 0 ? NULL : json_object_new_int(b->port));
	add_uint(d, "rx_queues", b->rx_queues);
	add_uint(d, "tx_queues", b->tx_queues);
	json_object_object_add(d, "numa_node", json_object_new_int(b->numa_node));
	add_text(d, "mac", mac);
	add_uint(d, "mtu", b->mtu);
	add_bool(d, "link", b->ops->link && b->ops->link((struct backend *)b));
	json_object_object_add(d, "offloads", offloads_json(b->tx_offloads));
	add_bool(d, "interrupts", b->interrupts);
	if (b->chardev[0] || b->vdpa)
		endpoint_serve_json(ep, d);
	endpoint_face_json(ep, d);
	if (b->ops->member)
		json_object_object_add(d, "members", members_json(b));
	return d;
}

json_object *endpoint_device_json(unsigned int id)
{
	struct endpoint *ep = endpoint_find(id);

	return ep && ep->backend ? device_json(ep) : NULL;
}

json_object *endpoint_members_json(unsigned int id)
{
	struct endpoint *ep = endpoint_find(id);
	json_object *list;

	tables_lock();
	list = ep && ep->backend ? members_json(ep->backend) : NULL;
	tables_unlock();
	return list;
}

static json_object *rings_json(const struct vm *vm)
{
	json_object *list = json_object_new_array();
	uint64_t enabled = atomic_load(&vm->enabled);
	unsigned int n = enabled ? (64 - __builtin_clzll(enabled) + 1) / 2 * 2 : 0;

	for (unsigned int i = 0; i < n; i++) {
		json_object *ring = json_object_new_object();

		add_uint(ring, "index", i);
		add_uint(ring, "size", atomic_load(&vm->rings[i].size));
		add_bool(ring, "enabled", enabled & (1ull << i));
		json_object_array_add(list, ring);
	}
	return list;
}

static json_object *vm_json(const struct endpoint *ep)
{
	json_object *o = json_object_new_object();
	struct vm *vm = ep->vm;
	uint64_t features = vm ? vm->features : 0;
	struct timespec now;
	double since = 0;
	char hex[24];

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (vm)
		since = (monotonic_us(&now) - monotonic_us(&ep->vm_since)) / 1e6;
	snprintf(hex, sizeof(hex), "0x%llx", (unsigned long long)features);
	add_bool(o, "connected", vm);
	add_uint(o, "queues", vm ? endpoint_vm_queues(ep) : 0);
	json_object_object_add(o, "rings", vm ? rings_json(vm) : json_object_new_array());
	add_text(o, "features", hex);
	json_object_object_add(o, "features_text", features_json(features));
	json_object_object_add(o, "numa_node",
			       json_object_new_int(vm ? rte_vhost_get_numa_node(vm->vid) : -1));
	add_uint(o, "connects", ep->connects);
	add_uint(o, "disconnects", ep->disconnects);
	json_object_object_add(o, "since_s", json_object_new_double(since));
	return o;
}

/* The CPUs of a direction, each once. */
static json_object *direction_json(const struct endpoint *ep, enum lane_direction direction)
{
	json_object *o = json_object_new_object();
	json_object *cpus = json_object_new_array();
	struct cpuset set;
	bool any = false;

	cpuset_clear(&set);
	for (unsigned int i = 0; i < ENDPOINT_MAX_QUEUES; i++) {
		const struct lane *lane = ep->lanes[direction][i];
		unsigned int cpu;

		if (!lane || !lane->worker)
			continue;
		any = true;
		cpu = worker_cpu(lane->worker);
		if (cpuset_has(&set, cpu))
			continue;
		cpuset_add(&set, cpu);
		json_object_array_add(cpus, json_object_new_int(cpu));
	}
	add_bool(o, "active",
		 ep->vm &&
			 ((any && ep->device == ENDPOINT_DEVICE_STARTED) ||
			  ep->serving.now == SERVING_DIRECT || ep->serving.now == SERVING_SHADOW));
	json_object_object_add(o, "cpus", cpus);
	return o;
}

static json_object *amount_json(const struct lane_amount *a)
{
	json_object *o = json_object_new_object();

	add_uint(o, "packets", stat_read(&a->packets));
	add_uint(o, "bytes", stat_read(&a->bytes));
	return o;
}

static json_object *lane_json(const struct endpoint *ep, enum lane_direction direction,
			      unsigned int index)
{
	const struct lane *lane = ep->lanes[direction][index];
	const struct lane_stats *s = &ep->stats[direction][index];
	json_object *o = json_object_new_object();
	json_object *drops = json_object_new_object();

	add_text(o, "direction", lane_direction_name(direction));
	add_uint(o, "index", index);
	json_object_object_add(
		o, "cpu",
		json_object_new_int(lane && lane->worker ? (int)worker_cpu(lane->worker) : -1));
	add_text(o, "state", lane_state_name(lane ? lane->state : LANE_OFF));
	add_uint(o, "packets_in", stat_read(&s->in.packets));
	add_uint(o, "bytes_in", stat_read(&s->in.bytes));
	add_uint(o, "packets_out", stat_read(&s->out.packets));
	add_uint(o, "bytes_out", stat_read(&s->out.bytes));
	for (unsigned int i = 0; i < LANE_DROPS; i++)
		json_object_object_add(drops, lane_drop_name(i), amount_json(&s->drops[i]));
	json_object_object_add(o, "drops", drops);
	add_uint(o, "polls", stat_read(&s->polls));
	add_uint(o, "empty_polls", stat_read(&s->empty_polls));
	add_uint(o, "busy_us", stat_read(&s->busy_cycles) * 1e6 / rte_get_tsc_hz());
	return o;
}

/* Lanes there are, and those that have counted something. */
static json_object *lanes_json(const struct endpoint *ep)
{
	json_object *list = json_object_new_array();

	for (unsigned int d = 0; d < LANE_DIRECTIONS; d++) {
		for (unsigned int i = 0; i < ENDPOINT_MAX_QUEUES; i++) {
			if (ep->lanes[d][i] || stat_read(&ep->stats[d][i].in.packets))
				json_object_array_add(list, lane_json(ep, d, i));
		}
	}
	return list;
}

static json_object *endpoint_json(const struct endpoint *ep)
{
	json_object *o = json_object_new_object();

	add_uint(o, "id", ep->options.id);
	add_text(o, "socket", ep->options.socket);
	add_text(o, "mode", ep->options.client ? "client" : "server");
	json_object_object_add(o, "device", ep->backend ? device_json(ep) : NULL);
	json_object_object_add(o, "vm", vm_json(ep));
	json_object_object_add(o, "vf_to_vm", direction_json(ep, LANE_VF_TO_VM));
	json_object_object_add(o, "vm_to_vf", direction_json(ep, LANE_VM_TO_VF));
	json_object_object_add(o, "lanes", lanes_json(ep));
	return o;
}

static json_object *workers_json(void)
{
	json_object *list = json_object_new_array();
	struct worker_info info;

	for (unsigned int i = 0; worker_info(i, &info); i++) {
		json_object *o = json_object_new_object();

		add_uint(o, "cpu", info.cpu);
		json_object_object_add(o, "tid", json_object_new_int(info.tid));
		json_object_object_add(o, "busy", json_object_new_double(info.busy));
		add_uint(o, "busy_us", info.busy_us);
		add_uint(o, "sleeps", info.sleeps);
		add_uint(o, "wakeups", info.wakeups);
		add_uint(o, "longest_round_us", info.longest_round_us);
		add_uint(o, "slow_rounds", info.slow_rounds);
		add_uint(o, "lanes", info.lanes);
		json_object_array_add(list, o);
	}
	return list;
}

/* Descriptors a leak would show in: not the directory itself, and not DPDK's memory, which comes
 * and goes with what is allocated. */
static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;
	struct dirent *entry;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		char target[16];
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));

		if (len > 0 && (len < 7 || memcmp(target, "/memfd:", 7)))
			n++;
	}
	closedir(dir);
	return n ? n - 1 : 0;
}

json_object *relay_snapshot_json(void)
{
	json_object *snapshot = json_object_new_object();
	json_object *resources = json_object_new_object();
	json_object *list = json_object_new_array();
	struct endpoint *ep;
	struct timespec now;
	unsigned int n = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	add_uint(snapshot, "time_us", monotonic_us(&now));
	tables_lock();
	json_object_object_add(snapshot, "workers", workers_json());
	TAILQ_FOREACH(ep, &endpoints, next)
	{
		json_object_array_add(list, endpoint_json(ep));
		n++;
	}
	tables_unlock();
	add_uint(resources, "ports", endpoint_ports());
	add_uint(resources, "mempools", pool_count());
	add_uint(resources, "fds", open_fds());
	add_uint(resources, "endpoints", n);
	json_object_object_add(snapshot, "resources", resources);
	json_object_object_add(snapshot, "endpoints", list);
	return snapshot;
}
