/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A vDPA device of DPDK, joined to the socket of an endpoint. From then on the vhost library offers
 * what both the device and the relay have, and each connection that is made has the device: the
 * driver gets the VM's rings when the VM has set them up. So a VM that was connected before keeps
 * to rings that nobody serves, because one function of the hardware is either a vDPA device or a
 * port: it has to connect anew.
 *
 * For a connection that has the device the library calls the driver until it ends. So the device is
 * taken away in this order: no new connection gets it, those that have it are closed and waited
 * for, and only then it may be closed. QEMU connects anew by itself when its character device has
 * `reconnect`, or when it is the server.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_vhost.h>

#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/worker_table.h"

static void set_vdpa(struct endpoint *ep, struct rte_vdpa_device *vdpa)
{
	tables_lock();
	ep->vdpa = vdpa;
	memset(&ep->serving, 0, sizeof(ep->serving));
	tables_unlock();
}

static int join(struct endpoint *ep, struct backend *backend, struct err *err)
{
	const char *path = ep->options.socket;
	uint64_t before = 0, after = 0;

	if (rte_vhost_driver_get_features(path, &before) < 0 ||
	    rte_vhost_driver_attach_vdpa_device(path, backend->vdpa) < 0)
		return err_set(err, -EIO, "attach",
			       "device %s: the vhost library does not join it to the socket %s",
			       backend->device, path);
	if (rte_vhost_driver_get_features(path, &after) < 0) {
		rte_vhost_driver_detach_vdpa_device(path);
		return err_set(err, -EIO, "attach",
			       "device %s: its vDPA driver tells no features; its messages in the "
			       "log say more",
			       backend->device);
	}
	ep->face.masked = before & ~after;
	ep->face.hardware = (struct hardware_face){ after, backend->pairs };
	return 0;
}

int endpoint_dpdk_vdpa_attach(struct endpoint *ep, struct backend *backend, struct err *err)
{
	int r;

	set_vdpa(ep, backend->vdpa); /* before the first connection has it */
	r = join(ep, backend, err);
	if (r < 0) {
		set_vdpa(ep, NULL);
		return r;
	}
	ep->queues = RTE_MIN(ep->queues, backend->pairs);
	endpoint_hold_device(ep, backend);
	endpoint_dpdk_vdpa_look(ep);
	return 0;
}

void endpoint_dpdk_vdpa_detach(struct endpoint *ep)
{
	set_vdpa(ep, NULL);
	rte_vhost_driver_detach_vdpa_device(ep->options.socket);
	endpoint_vhost_drop_vdpa(ep);
}

/* Counts the VMs that came and went. */
static uint64_t moves(const struct endpoint *ep)
{
	return ep->connects + ep->disconnects;
}

bool endpoint_dpdk_vdpa_is_stale(const struct endpoint *ep)
{
	return ep->serving.decided_for != moves(ep);
}

void endpoint_dpdk_vdpa_look(struct endpoint *ep)
{
	struct endpoint_serving *s = &ep->serving;
	enum serving now = SERVING_NOTHING;
	bool changed;

	tables_lock();
	if (ep->vm && ep->vm->vdpa)
		now = SERVING_DIRECT;
	snprintf(s->reason, sizeof(s->reason), "%s",
		 !ep->vm ? "no VM is connected"
		 : now	 ? "a vDPA driver of DPDK has given the device the VM's rings"
			 : "the VM was connected before the device was attached: it is served when "
			   "it connects anew; restart the VM");
	changed = now != s->now;
	s->now = now;
	s->decided_for = moves(ep);
	tables_unlock();
	if (!changed)
		return;
	log_info("relay %u: %s: %s", ep->options.id, serving_name(now), s->reason);
	service_device_changed(ep->options.id);
}
