/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the vhost library tells. Its callbacks come from its event thread, new_connection also from
 * its reconnect thread (with a lock held that rte_vhost_driver_unregister waits for) or from the
 * control thread, destroy_device also from the control thread within unregister. So:
 *
 *  - only library functions that take a vid are called here, never one that takes a path;
 *  - new_device and destroy_device run without ring locks: they take the tables' lock and change
 *    lanes. When destroy_device returns, no worker touches the VM, and the library may unmap it;
 *  - vring_state_changed runs with the locks of all rings held: it writes atomics and pokes the
 *    workers, no more. The ring's descriptor is fetched here, where it cannot change, and not by
 *    workers.
 *
 * Sockets take several connections. One VM is in service; another one waits until it has gone: a
 * QEMU that was killed and started again may be here before the end of the first was noticed.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/vhost.h>

#include <rte_vhost.h>

#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/worker_table.h"

#define LOG_ALL (1ull << VHOST_F_LOG_ALL)
#define SETTLE_NS 3000000l /* a front end sets up its rings one by one */

static struct vm vms[RTE_MAX_VHOST_DEVICE];
static int work_fd = -1;
static pthread_cond_t vdpa_ended = PTHREAD_COND_INITIALIZER;

struct vm *endpoint_vm(int vid)
{
	return vid >= 0 && vid < RTE_MAX_VHOST_DEVICE ? &vms[vid] : NULL;
}

void endpoint_work_later(void)
{
	struct itimerspec when = { .it_value.tv_nsec = SETTLE_NS };

	timerfd_settime(work_fd, 0, &when, NULL);
}

int endpoint_work_fd(void)
{
	return work_fd;
}

static struct endpoint *find_by_path(const char *path)
{
	struct endpoint *ep;

	TAILQ_FOREACH(ep, &endpoints, next)
	{
		if (strcmp(ep->options.socket, path) == 0)
			return ep;
	}
	return NULL;
}

/* Drops a VM that the guard has reported. Under the lock. */
static void enforce(struct vm *vm)
{
	unsigned int id = vm->endpoint->options.id;
	uint32_t faults = guard_enforce(&vm->guard);

	if (faults & GUARD_MEMORY)
		log_error("relay %u: the VM's memory is smaller than it said, or cannot be mapped; "
			  "its connection is closed",
			  id);
	if (faults & GUARD_RING)
		log_error("relay %u: the VM's ring has a descriptor chain that cannot be "
			  "followed; its connection is closed",
			  id);
	if (faults & GUARD_BELL)
		log_error("relay %u: the VM's kick or call descriptor is no eventfd, or blocks; "
			  "its connection is closed",
			  id);
}

static void forget(struct vm *vm)
{
	if (vm->endpoint) {
		enforce(vm);
		guard_disconnected(&vm->guard);
	}
	endpoint_close_rings(vm);
	vm->endpoint = NULL;
	vm->vdpa = NULL;
	vm->enabled = 0;
	pthread_cond_broadcast(&vdpa_ended);
}

/* The VM that has the endpoint's vDPA device of DPDK. Under the lock. */
static struct vm *vm_with_vdpa(const struct endpoint *ep)
{
	for (unsigned int i = 0; i < RTE_MAX_VHOST_DEVICE; i++) {
		if (vms[i].endpoint == ep && vms[i].vdpa)
			return &vms[i];
	}
	return NULL;
}

/* A driver of DPDK serves one VM, and only as long as the connection can be ended: what the library
 * gave this one may just be taken away. Under the lock. */
static bool may_have(const struct vm *vm, const struct rte_vdpa_device *vdpa)
{
	const struct endpoint *ep = vm->endpoint;

	if (!vdpa)
		return true;
	if (vm_with_vdpa(ep))
		log_warning("relay %u: a second VM is refused: a vDPA device of DPDK serves one",
			    ep->options.id);
	return vdpa == ep->vdpa && vm->guard.socket >= 0 && !vm_with_vdpa(ep);
}

static int new_connection(int vid)
{
	char path[CONFIG_SOCKET_PATH_MAX + 1];
	struct vm *vm = endpoint_vm(vid);
	struct endpoint *ep;
	bool refused;

	if (!vm || rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return -1;
	tables_lock();
	ep = find_by_path(path);
	if (ep)
		guard_connected(&vm->guard, path, ep->options.client);
	vm->vid = vid;
	vm->endpoint = ep;
	vm->running = false;
	vm->memory_lost = false;
	vm->vdpa = NULL;
	vm->features = 0;
	rarp_forget(&vm->rarp);
	vm->enabled = 0;
	for (unsigned int i = 0; i < VM_RINGS; i++) {
		vm->rings[i].kick_fd = vm->rings[i].call_fd = -1;
		vm->rings[i].generation++;
		rte_spinlock_init(&vm->rings[i].fast.lock);
	}
	refused = !ep || !may_have(vm, rte_vhost_get_vdpa_device(vid));
	if (refused)
		forget(vm);
	else
		vm->vdpa = rte_vhost_get_vdpa_device(vid);
	tables_unlock();
	if (refused)
		return -1;
	return rte_vhost_extern_callback_register(vid, &endpoint_message_ops, NULL);
}

static void destroy_connection(int vid)
{
	struct vm *vm = endpoint_vm(vid);

	if (!vm)
		return;
	tables_lock();
	forget(vm);
	tables_unlock();
}

/* Lanes for this VM. */
static void serve(struct endpoint *ep, struct vm *vm)
{
	ep->vm = vm;
	ep->connects++;
	clock_gettime(CLOCK_MONOTONIC, &ep->vm_since);
	if (!ep->pool && ep->device != ENDPOINT_DEVICE_HELD)
		endpoint_drain_pool(ep);
	endpoint_update_lanes(ep);
}

static int new_device(int vid)
{
	struct vm *vm = endpoint_vm(vid);
	struct endpoint *ep;
	bool in_service = false;
	unsigned int id = 0;
	unsigned int other;

	if (!vm)
		return -1;
	/* Hardware wants them. */
	for (uint16_t i = 0; !vm->vdpa && i < rte_vhost_get_vring_num(vid); i++)
		rte_vhost_enable_guest_notification(vid, i, 0);
	tables_lock();
	ep = vm->endpoint;
	if (ep) {
		id = ep->options.id;
		vm->running = true;
		rte_vhost_get_negotiated_features(vid, &vm->features);
		in_service = !ep->vm;
		if (in_service)
			serve(ep, vm);
		other = ep->vm->vid;
	}
	tables_unlock();
	if (in_service) {
		bridge_vm_came(&ep->bridge, vm);
		service_vm_changed(id, true);
		endpoint_work_later();
	} else if (ep) {
		log_warning("relay %u: a second VM (connection %d) waits until the one that is "
			    "connected (%u) has gone",
			    id, vid, other);
	}
	return 0;
}

static struct vm *next_in_line(const struct endpoint *ep)
{
	for (unsigned int i = 0; i < RTE_MAX_VHOST_DEVICE; i++) {
		if (vms[i].endpoint == ep && vms[i].running)
			return &vms[i];
	}
	return NULL;
}

static void destroy_device(int vid)
{
	struct vm *vm = endpoint_vm(vid);
	struct vm *next = NULL;
	struct endpoint *ep;
	bool served = false;
	unsigned int id = 0;

	if (!vm)
		return;
	tables_lock();
	vm->running = false;
	ep = vm->endpoint;
	served = ep && ep->vm == vm;
	if (served) {
		id = ep->options.id;
		ep->vm = NULL;
		ep->disconnects++;
		endpoint_update_lanes(ep);
		next = next_in_line(ep);
		if (next)
			serve(ep, next);
		endpoint_drop_pool(ep);
	}
	endpoint_close_rings(vm);
	tables_unlock();
	if (served) {
		bridge_vm_gone(&ep->bridge, vm);
		service_vm_changed(id, false);
		endpoint_work_later();
	}
	if (next) {
		bridge_vm_came(&ep->bridge, next);
		service_vm_changed(id, true);
		endpoint_work_later();
	}
}

static int vring_state_changed(int vid, uint16_t index, int enable)
{
	struct rte_vhost_vring v;
	struct vm *vm = endpoint_vm(vid);
	struct vm_ring *ring;

	if (!vm || index >= VM_RINGS)
		return 0;
	ring = &vm->rings[index];
	if (enable && rte_vhost_get_vhost_vring(vid, index, &v) == 0) {
		guard_bells(&vm->guard, v.kickfd, v.callfd);
		atomic_store(&ring->kick_fd, v.kickfd);
		atomic_store(&ring->call_fd, v.callfd);
		atomic_store(&ring->size, v.size);
		atomic_fetch_or(&vm->enabled, 1ull << index);
		if (!vm->vdpa)
			ring_open(&ring->fast, vid, index);
	} else {
		ring_close(&ring->fast);
		atomic_fetch_and(&vm->enabled, ~(1ull << index));
		atomic_store(&ring->kick_fd, -1);
		atomic_store(&ring->call_fd, -1);
	}
	atomic_fetch_add(&ring->generation, 1);
	workers_poke();
	endpoint_work_later();
	return 0;
}

/* With ring locks held. Only VHOST_F_LOG_ALL can change while the VM runs. */
static int features_changed(int vid, uint64_t features)
{
	struct vm *vm = endpoint_vm(vid);

	if (vm && vm->endpoint && bridge_set_logging(&vm->endpoint->bridge, vm, features & LOG_ALL))
		endpoint_work_later();
	return 0;
}

const struct rte_vhost_device_ops endpoint_vhost_ops = {
	.features_changed = features_changed,
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};

void endpoint_vhost_drop_vdpa(struct endpoint *ep)
{
	struct vm *vm;

	tables_lock();
	vm = vm_with_vdpa(ep);
	if (vm) {
		log_notice("relay %u: the VM's connection is closed: its vDPA device goes",
			   ep->options.id);
		guard_drop(&vm->guard);
	}
	while (vm_with_vdpa(ep))
		tables_wait(&vdpa_ended);
	tables_unlock();
}

void endpoint_vhost_forget(struct endpoint *ep)
{
	for (unsigned int i = 0; i < RTE_MAX_VHOST_DEVICE; i++) {
		if (vms[i].endpoint == ep)
			forget(&vms[i]);
	}
}

void endpoint_vhost_enforce(void)
{
	if (!guard_reported())
		return;
	tables_lock();
	for (unsigned int i = 0; i < RTE_MAX_VHOST_DEVICE; i++) {
		if (vms[i].endpoint)
			enforce(&vms[i]);
	}
	tables_unlock();
}

int endpoint_vhost_init(struct err *err)
{
	work_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (work_fd < 0)
		return err_set(err, -errno, "start", "cannot make a timer: %s", strerror(errno));
	return 0;
}
