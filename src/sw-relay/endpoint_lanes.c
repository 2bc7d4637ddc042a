/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which lanes an endpoint has follows from three facts: its device (started or not, with how many
 * queues), its VM (running or not, with which rings) and its pins.
 *
 * VF to VM: one lane for each RX queue in use, with or without a VM: without one the lane drains
 * the device, so that nothing old is delivered later. VM to VF: one lane for each ring of the VM up
 * to the highest that is enabled, with or without a device, for the same reason. While the device
 * is held there are none.
 *
 * Lanes of rings that share a TX queue run on one worker, unless the device sorts that out.
 */
#include <errno.h>
#include <string.h>

#include <rte_ether.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/worker_table.h"

#define VLAN_TAGS 8 /* two of them */
#define BIT(n) (1ull << (n))
#define LARGE_FEATURES                                                                            \
	(BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_UFO) | \
	 BIT(VIRTIO_NET_F_GSO))

uint16_t endpoint_vm_queues(const struct endpoint *ep)
{
	uint64_t enabled;

	if (!ep->vm)
		return 1;
	enabled = atomic_load(&ep->vm->enabled) & VM_RX_RINGS_MASK;
	return RTE_MAX(__builtin_popcountll(enabled), 1);
}

/* Queues of the VM from 0 to the highest that has an enabled ring. */
static unsigned int vm_queues_seen(const struct endpoint *ep)
{
	uint64_t enabled = ep->vm ? atomic_load(&ep->vm->enabled) : 0;

	return enabled ? (63 - __builtin_clzll(enabled)) / 2 + 1 : 0;
}

/* The device, if it carries traffic. */
static struct backend *device_of(const struct endpoint *ep)
{
	return ep->device == ENDPOINT_DEVICE_STARTED ? ep->backend : NULL;
}

static uint16_t max_frame(const struct endpoint *ep)
{
	uint32_t mtu = device_of(ep) ? ep->backend->mtu : ep->options.mtu;

	return RTE_MIN((mtu ? mtu : RTE_ETHER_MTU) + RTE_ETHER_HDR_LEN + VLAN_TAGS,
		       (uint32_t)UINT16_MAX);
}

static struct lane_config wanted_config(const struct endpoint *ep, enum lane_direction direction,
					unsigned int index)
{
	struct backend *backend = device_of(ep);
	uint64_t features = ep->vm ? ep->vm->features : 0;
	struct lane_config cfg = {
		.direction = direction,
		.index = index,
		.vm = ep->vm,
		.backend = backend,
		.pool = ep->pool,
		.max_frame = max_frame(ep),
		.mergeable = features & BIT(VIRTIO_NET_F_MRG_RXBUF),
		.packed = features & BIT(VIRTIO_F_RING_PACKED),
		.large = features & LARGE_FEATURES,
	};

	if (direction == LANE_VF_TO_VM) {
		cfg.queues = backend->rx_queues;
		cfg.offloads = offload_of_guest(features);
	} else if (backend) {
		cfg.tx_queue = lane_tx_queue(index, backend->tx_queues);
		cfg.offloads = backend->tx_offloads;
	}
	return cfg;
}

static unsigned int wanted_count(const struct endpoint *ep, enum lane_direction direction)
{
	if (ep->device == ENDPOINT_DEVICE_HELD || !ep->pool)
		return 0;
	if (direction == LANE_VF_TO_VM)
		return device_of(ep) ? RTE_MIN(ep->backend->rx_queues, ENDPOINT_MAX_QUEUES) : 0;
	return RTE_MIN(vm_queues_seen(ep), ep->options.max_queues);
}

/* The lane that already sends on the TX queue this one would send on. */
static const struct lane *lane_with_queue(const struct endpoint *ep, const struct lane *lane)
{
	if (!lane->cfg.backend || lane->cfg.backend->tx_lockfree)
		return NULL;
	for (unsigned int i = 0; i < ENDPOINT_MAX_QUEUES; i++) {
		const struct lane *other = ep->lanes[LANE_VM_TO_VF][i];

		if (other && other != lane && other->worker &&
		    other->cfg.tx_queue == lane->cfg.tx_queue)
			return other;
	}
	return NULL;
}

static bool carries_traffic(const struct endpoint *ep, const struct lane *lane)
{
	if (lane->cfg.direction == LANE_VF_TO_VM)
		return true;
	return atomic_load(&ep->vm->enabled) & BIT(VM_TX_RING(lane->cfg.index));
}

static void assign(const struct endpoint *ep, struct lane *lane)
{
	enum lane_direction direction = lane->cfg.direction;
	const struct lane *other = direction == LANE_VM_TO_VF ? lane_with_queue(ep, lane) : NULL;

	lane->worker = other ? other->worker : worker_choose(ep->pins[direction]);
	lane->in_use = carries_traffic(ep, lane);
	if (lane->worker && lane->in_use)
		worker_account(lane->worker, 1);
}

static void unassign(struct lane *lane)
{
	if (lane->worker && lane->in_use)
		worker_account(lane->worker, -1);
	lane->worker = NULL;
	lane->in_use = false;
}

/* Its ring may have been switched on or off. */
static void reweigh(const struct endpoint *ep, struct lane *lane)
{
	bool in_use = carries_traffic(ep, lane);

	if (lane->worker && in_use != lane->in_use)
		worker_account(lane->worker, in_use ? 1 : -1);
	lane->in_use = in_use;
}

static void remove_lanes(struct endpoint *ep, struct lane **lanes, size_t n)
{
	if (!n)
		return;
	tables_remove(lanes, n);
	for (size_t i = 0; i < n; i++) {
		unassign(lanes[i]);
		ep->lanes[lanes[i]->cfg.direction][lanes[i]->cfg.index] = NULL;
		lane_free(lanes[i]);
	}
}

static void out_of_memory(const struct endpoint *ep)
{
	log_error("relay %u: no memory for its queues, some carry no traffic", ep->options.id);
}

static void add_lanes(struct endpoint *ep, struct lane **lanes, size_t n)
{
	if (!n || tables_add(lanes, n) == 0)
		return;
	out_of_memory(ep);
	for (size_t i = 0; i < n; i++) {
		unassign(lanes[i]);
		ep->lanes[lanes[i]->cfg.direction][lanes[i]->cfg.index] = NULL;
		lane_free(lanes[i]);
	}
}

void endpoint_update_lanes(struct endpoint *ep)
{
	struct lane *lanes[LANE_DIRECTIONS * ENDPOINT_MAX_QUEUES];
	size_t n = 0;

	for (unsigned int d = 0; d < LANE_DIRECTIONS; d++) {
		unsigned int count = wanted_count(ep, d);

		for (unsigned int i = 0; i < ENDPOINT_MAX_QUEUES; i++) {
			struct lane *lane = ep->lanes[d][i];
			struct lane_config cfg;

			if (!lane)
				continue;
			if (i < count) {
				cfg = wanted_config(ep, d, i);
				if (lane_config_equal(&cfg, &lane->cfg)) {
					reweigh(ep, lane);
					continue;
				}
			}
			lanes[n++] = lane;
		}
	}
	remove_lanes(ep, lanes, n);

	n = 0;
	for (unsigned int d = 0; d < LANE_DIRECTIONS; d++) {
		unsigned int count = wanted_count(ep, d);

		for (unsigned int i = 0; i < count; i++) {
			struct lane_config cfg;
			struct lane *lane;

			if (ep->lanes[d][i])
				continue;
			cfg = wanted_config(ep, d, i);
			lane = lane_new(&cfg, &ep->stats[d][i]);
			if (!lane) {
				out_of_memory(ep);
				break;
			}
			ep->lanes[d][i] = lane;
			assign(ep, lane);
			if (ep->drain)
				lane_drain(lane, ep->drain);
			lanes[n++] = lane;
		}
	}
	add_lanes(ep, lanes, n);
}

void endpoint_drain_lanes(struct endpoint *ep, struct lane_drain *drain)
{
	struct lane *lanes[LANE_DIRECTIONS * ENDPOINT_MAX_QUEUES];
	size_t n = 0;

	ep->drain = drain;
	for (unsigned int d = 0; d < LANE_DIRECTIONS; d++) {
		for (unsigned int i = 0; i < ENDPOINT_MAX_QUEUES; i++) {
			/* One that nobody runs would never be dry. */
			if (ep->lanes[d][i] && ep->lanes[d][i]->worker)
				lanes[n++] = ep->lanes[d][i];
		}
	}
	tables_remove(lanes, n);
	for (size_t i = 0; i < n; i++)
		lane_drain(lanes[i], drain);
	add_lanes(ep, lanes, n);
}

/* Gives the lanes that `moves` picks new workers. Nothing is lost or reordered: a lane keeps what
 * it has in hand, and is nowhere while it moves. */
static void move_lanes(struct endpoint *ep, bool (*moves)(const struct lane *, const void *),
		       const void *arg)
{
	struct lane *lanes[LANE_DIRECTIONS * ENDPOINT_MAX_QUEUES];
	size_t n = 0;

	for (unsigned int d = 0; d < LANE_DIRECTIONS; d++) {
		for (unsigned int i = 0; i < ENDPOINT_MAX_QUEUES; i++) {
			if (ep->lanes[d][i] && moves(ep->lanes[d][i], arg))
				lanes[n++] = ep->lanes[d][i];
		}
	}
	if (!n)
		return;
	tables_remove(lanes, n);
	for (size_t i = 0; i < n; i++)
		unassign(lanes[i]);
	for (size_t i = 0; i < n; i++)
		assign(ep, lanes[i]);
	add_lanes(ep, lanes, n);
}

static bool on_worker(const struct lane *lane, const void *worker)
{
	return lane->worker == worker;
}

static void worker_leaves(struct worker *worker)
{
	struct endpoint *ep;

	TAILQ_FOREACH(ep, &endpoints, next)
	move_lanes(ep, on_worker, worker);
}

static bool not_as_pinned(const struct lane *lane, const void *pins)
{
	const int *cpus = pins;
	struct worker *pinned = worker_on_cpu(cpus[lane->cfg.direction]);

	return pinned && lane->worker != pinned;
}

int endpoint_pin(unsigned int id, int vf_to_vm, int vm_to_vf, struct err *err)
{
	int pins[LANE_DIRECTIONS] = { [LANE_VF_TO_VM] = vf_to_vm, [LANE_VM_TO_VF] = vm_to_vf };
	struct endpoint *ep = endpoint_find(id);
	int r = 0;

	if (!ep)
		return err_set(err, -ENOENT, "pin", "relay %u: there is no such endpoint", id);
	tables_lock();
	for (unsigned int d = 0; d < LANE_DIRECTIONS && r == 0; d++) {
		if (pins[d] < -1 || (pins[d] >= 0 && !worker_on_cpu(pins[d])))
			r = err_set(err, -EINVAL, "pin",
				    "relay %u: CPU %d is no worker of this relay process; "
				    "VIRTIOFWD_CPU_MASK says which are",
				    id, pins[d]);
	}
	if (r == 0) {
		memcpy(ep->pins, pins, sizeof(pins));
		move_lanes(ep, not_as_pinned, pins);
	}
	tables_unlock();
	return r;
}

void endpoint_lanes_init(void)
{
	lanes_init();
	workers_on_leave(worker_leaves);
}
