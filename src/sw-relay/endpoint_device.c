/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Attaching a device to an endpoint and fitting it to the VM.
 *
 * Slow steps (probing, starting) run without the lock, on a device no lane uses yet or any more;
 * the lock is only held to swap what lanes are made from. A device starts with one queue pair, or
 * as many as a connected VM uses, and is refitted when that number changes: its queues hold memory,
 * and with as many queues as rings no packet needs to be hashed in software.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>
#include <rte_vhost.h>

#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/pool.h"
#include "sw-relay/worker_table.h"

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

/* "vdev:net_null0" of "vdev:net_null0,copy=1": a device is the same whatever its arguments. */
static bool same_device(const char *a, const char *b)
{
	size_t len = strcspn(a, ",");

	return len == strcspn(b, ",") && memcmp(a, b, len) == 0;
}

static int check_free(const struct endpoint *ep, const struct backend_request *req, struct err *err)
{
	struct endpoint *other;

	if (ep->backend)
		return err_set(err, -EEXIST, "attach",
			       "relay %u has the device %s; it has to be detached first",
			       ep->options.id, ep->backend->device);
	TAILQ_FOREACH(other, &endpoints, next)
	{
		if (other->backend && same_device(other->backend->device, req->device.text))
			return err_set(err, -EEXIST, "attach",
				       "device %s is attached to relay %u; it has to be removed "
				       "there first",
				       req->device.text, other->options.id);
	}
	return 0;
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
	*numa_node = vm_numa_node(ep);
	if (*numa_node < 0)
		*numa_node = backend->numa_node;
	if (*numa_node < 0)
		*numa_node = workers_numa_node();
	tables_unlock();
}

int endpoint_attach(unsigned int id, const struct backend_request *request, struct err *err)
{
	struct endpoint *ep = endpoint_find(id);
	struct backend_request req = *request;
	struct rte_mempool *pool = NULL;
	struct rte_mempool *old;
	struct backend *backend;
	struct pool_need need;
	uint16_t queues;
	int node;
	int r;

	if (!ep)
		return err_set(err, -ENOENT, "attach", "relay %u: there is no such endpoint", id);
	r = check_free(ep, &req, err);
	if (r < 0)
		return r;
	req.id = id;
	req.max_queues = ep->options.max_queues;
	r = backend_attach(&req, &backend, err);
	if (r < 0)
		return r;

	wish(ep, backend, &queues, &node);
	r = fit(ep, backend, queues, err);
	if (r < 0)
		goto fail;
	need = pool_need(ep, backend, queues, node);
	r = pool_create(&pool, &need, err);
	if (r < 0)
		goto fail;
	r = backend->ops->start(backend, pool, err);
	if (r < 0)
		goto fail;

	tables_lock();
	old = ep->pool;
	ep->pool = pool;
	ep->pool_node = node;
	ep->backend = backend;
	ep->device = ENDPOINT_DEVICE_STARTED;
	endpoint_update_lanes(ep);
	pool_put(old);
	tables_unlock();
	endpoint_work_later(); /* the VM may have changed its mind meanwhile */
	log_info("relay %u: device %s attached", id, backend->device);
	return 0;

fail:
	backend->ops->detach(backend);
	pool_put(pool);
	return r;
}

int endpoint_detach(unsigned int id, struct err *err)
{
	struct endpoint *ep = endpoint_find(id);
	enum endpoint_device was;
	struct backend *backend;
	struct rte_mempool *pool;

	if (!ep)
		return err_set(err, -ENOENT, "detach", "relay %u: there is no such endpoint", id);
	if (!ep->backend)
		return err_set(err, -ENODEV, "detach", "relay %u has no device", id);
	tables_lock();
	backend = ep->backend;
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
	log_info("relay %u: device %s detached", id, backend->device);
	backend->ops->detach(backend);
	pool_put(pool);
	return 0;
}

static void set_device(struct endpoint *ep, enum endpoint_device device)
{
	tables_lock();
	ep->device = device;
	endpoint_update_lanes(ep);
	tables_unlock();
}

/* The device is stopped, and the VM's packets are drained until it is detached. */
static void give_up(struct endpoint *ep)
{
	bool started = ep->device == ENDPOINT_DEVICE_STARTED;

	set_device(ep, ENDPOINT_DEVICE_FAILED);
	if (started)
		ep->backend->ops->stop(ep->backend);
}

static void restart_failed(struct endpoint *ep, const struct err *err)
{
	log_error("relay %u: %s", ep->options.id, err->text);
	ep->backend->error = "it could not be set up again for the VM's queues";
	give_up(ep);
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

void endpoint_refit(struct endpoint *ep)
{
	struct backend *backend = ep->backend;
	struct err err = { 0 };
	bool other_queues;
	uint16_t queues;
	bool other_node;
	int node;
	int r;

	tables_lock();
	endpoint_update_lanes(ep);
	tables_unlock();
	if (!backend || ep->device != ENDPOINT_DEVICE_STARTED || !ep->vm)
		return;
	wish(ep, backend, &queues, &node);
	other_queues = backend->ops->spread && queues != ep->spread;
	other_node = node != ep->pool_node;
	if (!other_queues && !other_node)
		return;
	set_device(ep, ENDPOINT_DEVICE_HELD);
	if (backend->live_spread && !other_node)
		r = fit(ep, backend, queues, &err);
	else
		r = restart(ep, queues, node, &err);
	if (r < 0) {
		restart_failed(ep, &err);
		return;
	}
	set_device(ep, ENDPOINT_DEVICE_STARTED);
	log_debug("relay %u: device %s uses %u receive and %u transmit queues", ep->options.id,
		  backend->device, backend->rx_queues, backend->tx_queues);
}

int endpoint_device_state(unsigned int id, bool *link, char *error, size_t size)
{
	struct endpoint *ep = endpoint_find(id);
	const char *text;

	if (!ep || !ep->backend)
		return -ENOENT;
	text = ep->backend->error;
	if (text && ep->device == ENDPOINT_DEVICE_STARTED)
		give_up(ep);
	*link = !text && ep->backend->ops->link && ep->backend->ops->link(ep->backend);
	strncpy(error, text ? text : "", size - 1);
	error[size - 1] = '\0';
	return 0;
}
