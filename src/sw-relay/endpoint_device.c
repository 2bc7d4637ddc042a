/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Attaching a device to an endpoint and fitting it to the VM.
 *
 * Slow steps (probing, starting) run without the lock, on a device no lane uses yet or any more;
 * the lock is only held to swap what lanes are made from. A device starts with one queue pair, or
 * as many as a connected VM uses, and is refitted when that number changes: its queues hold memory,
 * and with as many queues as rings no packet needs to be hashed in software.
 *
 * All of it is an operation of the endpoint, or called by the control thread while none runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_vhost.h>

#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/pool.h"
#include "sw-relay/worker_table.h"

/* Ports that endpoints have, until nothing of them is left. */
static _Atomic unsigned int ports;

unsigned int endpoint_ports(void)
{
	return RTE_MAX(atomic_load(&ports), rte_eth_dev_count_total());
}

static int vm_numa_node(const struct endpoint *ep)
{
	return ep->vm ? rte_vhost_get_numa_node(ep->vm->vid) : -1;
}

/* Where workers run: for memory that nothing else ties to a node. Needs the lock. */
static int workers_numa_node(void)
{
	struct worker_info info;

	if (rte_socket_count() == 1)
		return rte_socket_id_by_idx(0);
	return worker_info(0, &info) ? cpu_numa_node("", info.cpu) : -1;
}

static struct pool_need pool_need(const struct endpoint *ep, const struct backend *backend,
				  uint16_t queues, int numa_node)
{
	struct pool_need need = {
		.lanes = 2 * queues,
		.workers = workers_count(),
		.mtu = ep->options.mtu,
		.tso = ep->options.tso,
		.numa_node = numa_node,
	};

	if (backend) {
		need.device =
			backend->rx_ring * RTE_MAX(backend->rx_queues, backend->rx_queues_set) +
			backend->tx_ring * RTE_MAX(backend->tx_queues, backend->tx_queues_set);
		need.mtu = RTE_MAX(backend->mtu, ep->options.mtu);
		need.min_room = backend->min_room;
	}
	return need;
}

void endpoint_drain_pool(struct endpoint *ep)
{
	struct pool_need need = pool_need(ep, NULL, endpoint_vm_queues(ep), vm_numa_node(ep));
	struct err err;

	ep->pool_node = need.numa_node;
	if (pool_create(&ep->pool, &need, &err) < 0) {
		ep->pool = NULL;
		log_error("relay %u: %s", ep->options.id, err.text);
	}
}

void endpoint_drop_pool(struct endpoint *ep)
{
	if (ep->vm || ep->backend)
		return;
	pool_put(ep->pool);
	ep->pool = NULL;
}

/* "vdev:net_null0" of "vdev:net_null0,copy=1", and "bond:net_bonding0" of all of a bond: a device
 * is the same whatever its arguments. */
static bool same_device(const char *a, const char *b)
{
	size_t len = strcspn(a, ",");

	return len == strcspn(b, ",") && memcmp(a, b, len) == 0;
}

static int check_free(const struct endpoint *ep, const struct backend_request *req, struct err *err)
{
	struct endpoint *other;
	int r = 0;

	if (ep->backend)
		return err_set(err, -EEXIST, "attach",
			       "relay %u has the device %s; it has to be detached first",
			       ep->options.id, ep->backend->device);
	tables_lock();
	TAILQ_FOREACH(other, &endpoints, next)
	{
		if (other->backend && same_device(other->backend->device, req->device.text)) {
			r = err_set(err, -EEXIST, "attach",
				    "device %s is attached to relay %u; it has to be removed "
				    "there first",
				    req->device.text, other->options.id);
			break;
		}
	}
	tables_unlock();
	return r;
}

static int fit(struct endpoint *ep, struct backend *backend, uint16_t queues, struct err *err)
{
	int r = backend->ops->spread ? backend->ops->spread(backend, queues) : 0;

	if (r < 0)
		return err_set(err, r, "queues", "device %s: cannot use %u queues: %s",
			       backend->device, queues, strerror(-r));
	ep->spread = queues;
	return 0;
}

/* What the VM asks for now; without one, the device and the workers decide about the node. */
static void wish(struct endpoint *ep, const struct backend *backend, uint16_t *queues,
		 int *numa_node)
{
	tables_lock();
	*queues = endpoint_vm_queues(ep);
	if (backend->chardev[0])
		*queues = RTE_MIN(*queues, backend->pairs);
	*numa_node = vm_numa_node(ep);
	if (*numa_node < 0)
		*numa_node = backend->numa_node;
	if (*numa_node < 0)
		*numa_node = workers_numa_node();
	tables_unlock();
}

static struct rte_mempool *prepared_pool(const struct endpoint *ep, const struct pool_need *need)
{
	if (ep->device != ENDPOINT_DEVICE_HELD || !ep->pool || ep->pool_node != need->numa_node)
		return NULL;
	return pool_fits(ep->pool, need) ? ep->pool : NULL;
}

void endpoint_prepare_pool(struct endpoint *ep)
{
	struct backend *backend = ep->backend;
	struct rte_mempool *pool;
	struct pool_need need;
	uint16_t queues;
	struct err err;
	int node;

	wish(ep, backend, &queues, &node);
	need = pool_need(ep, backend, queues, node);
	need.device = queues * (backend->rx_ring + backend->tx_ring);
	if (pool_create(&pool, &need, &err) < 0)
		return;
	tables_lock();
	ep->pool = pool;
	ep->pool_node = node;
	tables_unlock();
}

/* Configures the device for the VM there is, with a pool of its own, and starts it. */
static int set_up(struct endpoint *ep, struct backend *backend, struct rte_mempool **pool,
		  int *node, struct err *err)
{
	struct pool_need need;
	uint16_t queues;
	int r;

	wish(ep, backend, &queues, node);
	r = fit(ep, backend, queues, err);
	if (r < 0)
		return r;
	need = pool_need(ep, backend, queues, *node);
	*pool = prepared_pool(ep, &need);
	r = *pool ? 0 : pool_create(pool, &need, err);
	if (r < 0)
		return r;
	r = backend->ops->start(backend, *pool, err);
	if (r == 0 && backend->gone) {
		backend->ops->stop(backend);
		r = err_set(err, -ENODEV, "start", "device %s: %s while it was started",
			    backend->device, backend->error);
	}
	return r;
}

/* Makes backend the endpoint's, started and with lanes. */
static int take(struct endpoint *ep, struct backend *backend, struct err *err)
{
	struct rte_mempool *pool = NULL;
	struct rte_mempool *old;
	int node;
	int r;

	r = set_up(ep, backend, &pool, &node, err);
	if (r < 0) {
		if (pool != ep->pool)
			pool_put(pool);
		return r;
	}
	tables_lock();
	old = ep->pool;
	ep->pool = pool;
	ep->pool_node = node;
	ep->backend = backend;
	ep->device = ENDPOINT_DEVICE_STARTED;
	endpoint_update_lanes(ep);
	if (old != pool)
		pool_put(old);
	tables_unlock();
	return 0;
}

void endpoint_hold_device(struct endpoint *ep, struct backend *backend)
{
	struct rte_mempool *old;

	tables_lock();
	ep->backend = backend;
	ep->device = ENDPOINT_DEVICE_HELD;
	endpoint_update_lanes(ep);
	old = ep->pool;
	ep->pool = NULL;
	tables_unlock();
	pool_put(old);
}

int endpoint_start_device(struct endpoint *ep, struct err *err)
{
	return take(ep, ep->backend, err);
}

/* A port of DPDK as long as it is attached. */
static bool is_port(const struct backend *backend)
{
	return backend->port >= 0 && !backend->chardev[0];
}

static int open_for(struct endpoint *ep, struct backend *backend, uint16_t min_pairs,
		    struct err *err)
{
	if (backend->chardev[0])
		return endpoint_serve_attach(ep, backend, min_pairs, err);
	if (backend->vdpa)
		return endpoint_dpdk_vdpa_attach(ep, backend, err);
	return take(ep, backend, err);
}

int endpoint_do_attach(struct endpoint *ep, const struct backend_request *request, struct err *err)
{
	struct backend_request req = *request;
	struct backend *backend;
	int r;

	r = check_free(ep, &req, err);
	if (r < 0)
		return r;
	if (!req.max_queues || req.max_queues > ep->options.max_queues)
		req.max_queues = ep->options.max_queues;
	r = backend_attach(&req, &backend, err);
	if (r < 0)
		return r;
	ep->queues = req.max_queues;
	if (req.hardware.pairs)
		endpoint_face_set(ep, &req.hardware);
	r = open_for(ep, backend, request->max_queues, err);
	if (r < 0) {
		endpoint_face_clear(ep);
		backend->ops->detach(backend);
		return r;
	}
	if (is_port(backend))
		atomic_fetch_add(&ports, 1);
	log_info("relay %u: device %s attached", ep->options.id, backend->device);
	return 0;
}

static void set_device(struct endpoint *ep, enum endpoint_device device)
{
	tables_lock();
	ep->device = device;
	endpoint_update_lanes(ep);
	tables_unlock();
}

int endpoint_do_detach(struct endpoint *ep, struct err *err)
{
	struct backend *backend = ep->backend;
	enum endpoint_device was;
	struct rte_mempool *pool;
	bool counted;

	if (!backend)
		return err_set(err, -ENODEV, "detach", "relay %u has no device", ep->options.id);
	counted = is_port(backend);
	/* The hardware lets go of the VM's rings before a lane drains them. */
	if (backend->chardev[0])
		endpoint_serve_detach(ep);
	else if (backend->vdpa)
		endpoint_dpdk_vdpa_detach(ep);
	endpoint_face_clear(ep);
	tables_lock();
	was = ep->device;
	pool = ep->pool;
	ep->backend = NULL;
	ep->device = ENDPOINT_NO_DEVICE;
	ep->pool = NULL;
	if (ep->vm)
		endpoint_drain_pool(ep);
	endpoint_update_lanes(ep);
	tables_unlock();
	if (was == ENDPOINT_DEVICE_STARTED)
		backend->ops->stop(backend);
	log_info("relay %u: device %s detached", ep->options.id, backend->device);
	backend->ops->detach(backend);
	pool_put(pool);
	if (counted)
		atomic_fetch_sub(&ports, 1);
	return 0;
}

void endpoint_do_give_up(struct endpoint *ep)
{
	if (ep->device != ENDPOINT_DEVICE_STARTED || !ep->backend->error)
		return;
	set_device(ep, ENDPOINT_DEVICE_FAILED);
	ep->backend->ops->stop(ep->backend);
}

/* The device is stopped, and stays so. */
static void restart_failed(struct endpoint *ep, const char *why, const struct err *err)
{
	log_error("relay %u: %s", ep->options.id, err->text);
	if (!ep->backend->error)
		ep->backend->error = why;
	set_device(ep, ENDPOINT_DEVICE_FAILED);
	service_device_changed(ep->options.id);
}

/* Stops the device and starts it anew for so many queues, with memory of the node. */
static int restart(struct endpoint *ep, uint16_t queues, int node, struct err *err)
{
	struct backend *backend = ep->backend;
	struct rte_mempool *old = ep->pool;
	struct rte_mempool *pool = old;
	struct pool_need need;
	int r;

	backend->ops->stop(backend);
	r = fit(ep, backend, queues, err);
	if (r < 0)
		return r;
	need = pool_need(ep, backend, queues, node);
	if (node != ep->pool_node || pool_size(&need) > old->size) {
		r = pool_create(&pool, &need, err);
		if (r < 0)
			return r;
	}
	r = backend->ops->start(backend, pool, err);
	if (r < 0) {
		if (pool != old)
			pool_put(pool);
		return r;
	}
	if (pool != old) {
		tables_lock();
		ep->pool = pool;
		ep->pool_node = node;
		tables_unlock();
		pool_put(old);
	}
	return 0;
}

bool endpoint_needs_refit(struct endpoint *ep)
{
	uint16_t queues;
	int node;

	if (ep->device != ENDPOINT_DEVICE_STARTED || !ep->vm)
		return false;
	wish(ep, ep->backend, &queues, &node);
	return node != ep->pool_node || (ep->backend->ops->spread && queues != ep->spread);
}

void endpoint_do_refit(struct endpoint *ep)
{
	struct backend *backend = ep->backend;
	struct err err = { 0 };
	uint16_t queues;
	int node;
	int r;

	if (!endpoint_needs_refit(ep))
		return;
	wish(ep, backend, &queues, &node);
	set_device(ep, ENDPOINT_DEVICE_HELD);
	if (backend->live_spread && node == ep->pool_node)
		r = fit(ep, backend, queues, &err);
	else
		r = restart(ep, queues, node, &err);
	if (r < 0) {
		restart_failed(ep, "it could not be set up again for the VM's queues", &err);
		return;
	}
	set_device(ep, ENDPOINT_DEVICE_STARTED);
	log_debug("relay %u: device %s uses %u receive and %u transmit queues", ep->options.id,
		  backend->device, backend->rx_queues, backend->tx_queues);
}

void endpoint_do_reset(struct endpoint *ep)
{
	struct backend *backend = ep->backend;
	struct err err = { 0 };

	if (ep->device != ENDPOINT_DEVICE_STARTED || !atomic_exchange(&backend->reset, false))
		return;
	log_notice("relay %u: device %s was reset by its PF, and is set up again", ep->options.id,
		   backend->device);
	set_device(ep, ENDPOINT_DEVICE_HELD);
	if (restart(ep, ep->spread, ep->pool_node, &err) < 0) {
		restart_failed(ep, "it could not be set up again after a reset", &err);
		return;
	}
	set_device(ep, ENDPOINT_DEVICE_STARTED);
}

/* No lane uses the bond while its members change. */
static void pause_lanes(void *arg, bool on)
{
	struct endpoint *ep = arg;

	if (on && ep->device == ENDPOINT_DEVICE_STARTED)
		set_device(ep, ENDPOINT_DEVICE_HELD);
	else if (!on && ep->device == ENDPOINT_DEVICE_HELD)
		set_device(ep, ENDPOINT_DEVICE_STARTED);
}

int endpoint_do_members(struct endpoint *ep, const struct backend_request *req, struct err *err)
{
	struct backend *backend = ep->backend;

	if (!backend || !backend->ops->members)
		return err_set(err, -EOPNOTSUPP, "members", "relay %u has no bond", ep->options.id);
	backend->ops->members(backend, req, pause_lanes, ep);
	return 0;
}

void endpoint_do_regroup(struct endpoint *ep)
{
	if (ep->backend && ep->backend->ops->members)
		ep->backend->ops->members(ep->backend, NULL, pause_lanes, ep);
}

void endpoint_do_look(struct endpoint *ep)
{
	if (ep->backend && ep->backend->chardev[0])
		endpoint_serve_look(ep);
	else if (ep->device == ENDPOINT_DEVICE_STARTED)
		ep->restless = ep->backend->ops->look(ep->backend);
}

static bool wants_look(const struct endpoint *ep)
{
	if (ep->backend && ep->backend->chardev[0])
		return true;
	return ep->device == ENDPOINT_DEVICE_STARTED && ep->backend->ops->look;
}

bool endpoint_look_at_devices(void)
{
	struct endpoint *ep;
	bool soon = false;

	TAILQ_FOREACH(ep, &endpoints, next)
	{
		if (!STAILQ_EMPTY(&ep->ops)) {
			soon = true;
			continue;
		}
		if (!wants_look(ep))
			continue;
		soon |= ep->restless;
		/* What was in the way of another mode may have passed. */
		if (endpoint_needs_serve(ep))
			endpoint_ask(ep, ENDPOINT_SERVE);
		endpoint_ask(ep, ENDPOINT_LOOK);
	}
	return soon;
}

/* A member has an error and is in the bond still. */
static bool wants_regroup(const struct backend *backend)
{
	struct backend_member member;

	for (unsigned int i = 0;
	     backend->ops->member && backend->ops->member((struct backend *)backend, i, &member);
	     i++) {
		if (member.in && member.error[0])
			return true;
	}
	return false;
}

/* What the device asks for; ENDPOINT_LOOK stands for nothing. Needs the lock. */
static enum endpoint_op_kind asks_for(const struct endpoint *ep)
{
	const struct backend *backend = ep->backend;

	if (backend->gone)
		return ENDPOINT_GONE;
	if (ep->device != ENDPOINT_DEVICE_STARTED)
		return ENDPOINT_LOOK;
	if (backend->error)
		return ENDPOINT_GIVE_UP;
	if (wants_regroup(backend))
		return ENDPOINT_REGROUP;
	return backend->reset ? ENDPOINT_RESET : ENDPOINT_LOOK;
}

int endpoint_device_state(unsigned int id, bool *link, char *error, size_t size)
{
	struct endpoint *ep = endpoint_find(id);
	enum endpoint_op_kind asks;
	const char *text;

	if (!ep)
		return -ENOENT;
	tables_lock();
	if (!ep->backend) {
		tables_unlock();
		return -ENOENT;
	}
	text = ep->backend->error;
	*link = !text && ep->backend->ops->link && ep->backend->ops->link(ep->backend);
	asks = asks_for(ep);
	tables_unlock();
	snprintf(error, size, "%s", text ? text : "");
	if (asks != ENDPOINT_LOOK)
		endpoint_ask(ep, asks);
	return 0;
}
