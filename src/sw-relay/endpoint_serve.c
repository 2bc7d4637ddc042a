/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What does not work falls back to the next that may: direct, shadow, software.
 *
 * From one to the other the VM's rings are nobody's for a moment: lanes are gone before the device
 * begins, and the device has stopped and the library knows its positions before lanes are made.
 * Guest notifications are on whenever the device serves, because the library then never touches the
 * rings; lanes switch them as they like.
 */
#include "sw-relay/endpoint_serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <rte_vhost.h>

#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/pool.h"
#include "sw-relay/worker_table.h"

/* Why is in the answer when the device is attached again. */
#define NOBODY "neither the hardware nor software can serve the VM"

static int config_fd = -1;

int endpoint_serve_init(struct err *err)
{
	config_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return config_fd < 0 ? err_set(err, -errno, "start", "eventfd: %s", strerror(errno)) : 0;
}

int endpoint_config_fd(void)
{
	return config_fd;
}

void endpoint_config_changed(void)
{
	struct endpoint *ep;
	eventfd_t count;

	eventfd_read(config_fd, &count);
	TAILQ_FOREACH(ep, &endpoints, next)
	{
		if (ep->backend && ep->backend->chardev[0])
			endpoint_ask(ep, ENDPOINT_LOOK);
	}
}

static bool rings_have_begun(const struct vm *vm)
{
	uint16_t available = 0, used = 0;
	bool begun = false;

	for (uint16_t i = 0; i < rte_vhost_get_vring_num(vm->vid); i++) {
		if (rte_vhost_get_vring_base(vm->vid, i, &available, &used) == 0)
			begun |= available != 0;
	}
	return begun;
}

/* Up to the highest that is enabled. */
static unsigned int pairs_of(const struct vm *vm)
{
	const uint64_t enabled = atomic_load(&vm->enabled);

	return enabled ? (63 - __builtin_clzll(enabled)) / 2 + 1 : 1;
}

/* In software the library sends what is owed. */
static bool is_announcing(struct vm *vm, enum serving now)
{
	if (now == SERVING_SOFTWARE)
		rarp_forget(&vm->rarp);
	return rarp_is_going_on(&vm->rarp);
}

static struct vm *current_vm(struct endpoint *ep, uint64_t *connects)
{
	struct vm *vm;

	tables_lock();
	vm = ep->vm;
	*connects = ep->connects;
	tables_unlock();
	return vm;
}

static struct vm *decide(struct endpoint *ep, struct serving_decision *d, uint64_t *connects)
{
	struct vm *vm = current_vm(ep, connects);
	struct bridge_device device;
	struct serving_facts facts;

	bridge_get_device(&ep->bridge, &device);
	facts = (struct serving_facts){
		.wish = ep->serving.wish,
		.now = ep->serving.now,
		.vm = vm,
		.logging = atomic_load(&ep->bridge.logging),
		.features = device.features,
		.pairs = device.max_pairs,
		.has_positions = device.has_positions,
	};
	if (vm) {
		facts.vm_features = vm->features;
		facts.vm_pairs = pairs_of(vm);
		facts.vm_begun = rings_have_begun(vm);
		facts.announcing = is_announcing(vm, facts.now);
	}
	serving_decide(&facts, d);
	return vm;
}

static bool is_hardware(enum serving serving)
{
	return serving == SERVING_DIRECT || serving == SERVING_SHADOW;
}

static enum bridge_mode bridge_mode_of(enum serving serving)
{
	if (serving == SERVING_DIRECT)
		return BRIDGE_DIRECT;
	return serving == SERVING_SHADOW ? BRIDGE_SHADOW : BRIDGE_OFF;
}

static bool is_other(const struct serving_decision *a, const struct serving_decision *b)
{
	return a->serving != b->serving || strcmp(a->reason, b->reason) != 0;
}

/* The event thread may have ended it, or begun a shadow. */
static bool bridge_differs(struct endpoint *ep)
{
	return bridge_mode(&ep->bridge) != bridge_mode_of(ep->serving.now);
}

bool endpoint_needs_serve(struct endpoint *ep)
{
	struct serving_decision d;
	uint64_t connects;

	if (ep->backend && ep->backend->vdpa)
		return endpoint_dpdk_vdpa_is_stale(ep);
	if (!ep->backend || !ep->backend->chardev[0])
		return false;
	decide(ep, &d, &connects);
	return is_other(&d, &ep->serving.decided) || connects != ep->serving.decided_for ||
	       bridge_differs(ep) || bridge_is_stale(&ep->bridge);
}

static struct rte_mempool *take_pool(struct endpoint *ep)
{
	struct rte_mempool *pool;

	tables_lock();
	pool = ep->pool;
	ep->pool = NULL;
	tables_unlock();
	return pool;
}

/* Returns the pool that nobody needs any more. */
static struct rte_mempool *leave_software(struct endpoint *ep)
{
	endpoint_drain_device(ep);
	ep->backend->ops->stop(ep->backend);
	ep->backend->ops->software(ep->backend, false, NULL);
	return take_pool(ep);
}

static void notifications_on(const struct vm *vm)
{
	for (uint16_t i = 0; i < rte_vhost_get_vring_num(vm->vid); i++)
		rte_vhost_enable_guest_notification(vm->vid, i, 1);
}

/* Buffers that were returned meanwhile have told nobody. */
static void interrupt_all(const struct vm *vm)
{
	for (uint16_t i = 0; i < rte_vhost_get_vring_num(vm->vid); i++)
		rte_vhost_vring_call(vm->vid, i);
}

static int check_port(struct endpoint *ep, struct err *err)
{
	struct bridge_device device;

	bridge_get_device(&ep->bridge, &device);
	if (serving_has_software(device.has_positions))
		return 0;
	return err_set(err, -EOPNOTSUPP, "mode",
		       "relay %u: the vDPA device %s cannot be paused, so DPDK cannot drive it; "
		       "software needs its VF on vfio-pci",
		       ep->options.id, device.path);
}

static int enter_software(struct endpoint *ep, struct vm *vm, struct err *err)
{
	int r = bridge_serve(&ep->bridge, BRIDGE_OFF, err);

	if (r == 0)
		r = check_port(ep, err);
	if (r == 0)
		r = ep->backend->ops->software(ep->backend, true, err);
	if (r == 0)
		r = endpoint_start_device(ep, err);
	if (r < 0) {
		ep->backend->ops->software(ep->backend, false, NULL);
		pool_put(take_pool(ep));
		return r;
	}
	interrupt_all(vm);
	return 0;
}

static int enter(struct endpoint *ep, struct vm *vm, enum serving serving, struct err *err)
{
	if (serving == SERVING_NOTHING)
		return bridge_serve(&ep->bridge, BRIDGE_OFF, err);
	if (serving == SERVING_SOFTWARE)
		return enter_software(ep, vm, err);
	notifications_on(vm);
	return bridge_serve(&ep->bridge, bridge_mode_of(serving), err);
}

/* The next best. */
static enum serving fall_back(enum serving serving)
{
	return serving == SERVING_DIRECT   ? SERVING_SHADOW
	       : serving == SERVING_SHADOW ? SERVING_SOFTWARE
					   : SERVING_NOTHING;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static void tell(struct endpoint *ep, enum serving serving, const char *reason, uint64_t since)
{
	struct endpoint_serving *s = &ep->serving;
	uint64_t pause = now_us() - since;

	/* The bridge may have begun with the shadow by itself. */
	if (is_hardware(serving))
		pause = RTE_MAX(pause, bridge_pause_us(&ep->bridge));
	tables_lock();
	if (s->now != serving && serving != SERVING_NOTHING) {
		s->last_switch_us = pause;
		s->switches++;
		log_info("relay %u: %s: %s (%.1f ms)", ep->options.id, serving_name(serving),
			 reason, s->last_switch_us / 1e3);
	}
	s->now = serving;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	tables_unlock();
	service_device_changed(ep->options.id);
}

/* err: what the first choice has failed with, whether another has worked or none. */
static void switch_to(struct endpoint *ep, struct vm *vm, struct serving_decision *d,
		      struct err *err)
{
	struct rte_mempool *left = NULL;
	struct err why = { 0 };
	uint64_t since;

	/* Getting and returning memory takes longer than all the rest: it is done while somebody
	 * serves. */
	if (d->serving == SERVING_SOFTWARE && ep->serving.now != SERVING_SOFTWARE)
		endpoint_prepare_pool(ep);
	since = now_us();
	if (ep->serving.now == SERVING_SOFTWARE)
		left = leave_software(ep);
	while (enter(ep, vm, d->serving, &why) < 0) {
		log_warning("relay %u: %s cannot serve it: %s", ep->options.id,
			    serving_name(d->serving), why.text);
		if (!err->code) {
			*err = why;
			snprintf(d->reason, sizeof(d->reason), "%s: %s", serving_name(d->serving),
				 why.text);
		}
		d->serving = fall_back(d->serving);
		if (d->serving == SERVING_NOTHING) {
			ep->backend->error = NOBODY;
			break;
		}
	}
	tell(ep, d->serving, d->reason, since);
	pool_put(left);
}

/* err says why, when nobody can serve the VM that there is: the backend has an error then. */
static void serve(struct endpoint *ep, struct err *err)
{
	struct serving_decision d;
	uint64_t connects;
	bool other;
	struct vm *vm;

	if (!ep->backend || ep->backend->error)
		return;
	if (ep->backend->vdpa)
		endpoint_dpdk_vdpa_look(ep);
	if (!ep->backend->chardev[0])
		return;
	vm = decide(ep, &d, &connects);
	other = is_other(&d, &ep->serving.decided);
	ep->serving.decided = d;
	ep->serving.decided_for = connects;
	if (d.serving != ep->serving.now || bridge_differs(ep))
		switch_to(ep, vm, &d, err);
	else if (is_hardware(d.serving) &&
		 bridge_serve(&ep->bridge, bridge_mode_of(d.serving), err) < 0)
		switch_to(ep, vm, &d, err);
	else if (other)
		tell(ep, d.serving, d.reason, now_us());
	if (vm && d.serving == SERVING_NOTHING && !ep->backend->error) {
		err_set(err, -EOPNOTSUPP, "serve", "%s: %s", ep->backend->device, d.reason);
		ep->backend->error = NOBODY;
		service_device_changed(ep->options.id);
	}
}

void endpoint_do_serve(struct endpoint *ep)
{
	struct err err = { 0 };

	serve(ep, &err);
}

/* It may have been made with fewer than it was asked for, or by somebody else. */
static int check_pairs(const struct backend *backend, const struct bridge_device *device,
		       uint16_t min_pairs, struct err *err)
{
	if (device->max_pairs >= min_pairs)
		return 0;
	return err_set(err, -EOPNOTSUPP, "queues",
		       "%s: its vDPA device %s has %u queue pair%s of %u, which VIO4WD_VF_OPTIONS "
		       "asks for; ask for fewer, or use the backend 'auto' or 'sw'",
		       backend->device, device->path, device->max_pairs,
		       device->max_pairs == 1 ? "" : "s", min_pairs);
}

static void let_go(struct endpoint *ep)
{
	endpoint_serve_detach(ep);
	tables_lock();
	ep->backend = NULL;
	ep->device = ENDPOINT_NO_DEVICE;
	endpoint_update_lanes(ep);
	tables_unlock();
}

int endpoint_serve_attach(struct endpoint *ep, struct backend *backend, uint16_t min_pairs,
			  struct err *err)
{
	struct err why = { 0 };
	struct bridge_device device;
	int r = bridge_set_device(&ep->bridge, backend->chardev, err);

	if (r < 0)
		return r;
	bridge_get_device(&ep->bridge, &device);
	r = check_pairs(backend, &device, min_pairs, err);
	if (r < 0) {
		bridge_drop_device(&ep->bridge);
		return r;
	}
	memcpy(backend->mac.addr_bytes, device.mac, sizeof(device.mac));
	backend->link_up = device.link;
	memset(&ep->serving, 0, sizeof(ep->serving));
	endpoint_face_set(ep, &(struct hardware_face){ device.features, device.max_pairs });
	backend->pairs = backend_vdpa_port_queues(ep->queues);
	endpoint_hold_device(ep, backend);
	serve(ep, &why);
	if (!backend->error)
		return 0;
	let_go(ep);
	return err_set(err, why.code, why.step, "%s", why.text);
}

void endpoint_serve_detach(struct endpoint *ep)
{
	bridge_drop_device(&ep->bridge);
	tables_lock();
	memset(&ep->serving, 0, sizeof(ep->serving));
	tables_unlock();
}

void endpoint_serve_look(struct endpoint *ep)
{
	const bool before = ep->backend->link_up;
	bool link = before;
	const char *why = bridge_look(&ep->bridge, &link);

	if (ep->backend->error)
		return;
	ep->backend->link_up = link;
	if (why) {
		ep->backend->error = why;
		ep->backend->gone = true;
	}
	if (why || link != before)
		service_device_changed(ep->options.id);
}

int endpoint_do_mode(struct endpoint *ep, enum serving wish, struct err *err)
{
	if (!ep->backend || !ep->backend->chardev[0])
		return err_set(
			err, -EOPNOTSUPP, "mode",
			"relay %u is not served by a vDPA device of the kernel: there is one "
			"mode only",
			ep->options.id);
	if (wish == SERVING_SOFTWARE && check_port(ep, err) < 0)
		return err->code;
	tables_lock();
	ep->serving.wish = wish;
	tables_unlock();
	endpoint_do_serve(ep);
	if (ep->backend->error)
		return err_set(err, -EIO, "mode", "relay %u: %s: %s", ep->options.id,
			       ep->backend->error, ep->serving.reason);
	if (wish == SERVING_NOTHING || ep->serving.now == SERVING_NOTHING ||
	    ep->serving.now == wish)
		return 0;
	return err_set(err, -EOPNOTSUPP, "mode", "relay %u stays %s: %s", ep->options.id,
		       serving_name(ep->serving.now), ep->serving.reason);
}

void endpoint_serve_json(const struct endpoint *ep, json_object *device)
{
	const struct endpoint_serving *s = &ep->serving;

	json_object_object_add(device, "mode", json_object_new_string(serving_name(s->now)));
	json_object_object_add(device, "mode_reason", json_object_new_string(s->reason));
	json_object_object_add(device, "switches", json_object_new_uint64(s->switches));
	json_object_object_add(device, "last_switch_us", json_object_new_uint64(s->last_switch_us));
}
