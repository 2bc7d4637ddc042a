/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A PCI function of which a vDPA driver of DPDK makes a device. The vhost library gives the device
 * the rings of VMs by itself once it is joined to a socket (endpoint_dpdk_vdpa.c): this backend
 * opens the device and closes it, and there is nothing to start and no packet to move.
 *
 * The driver claims the function only with its devargs (ifc: vdpa=1, sfc: class=vdpa); without
 * them a function of the same IDs is a network port.
 */
#define ALLOW_EXPERIMENTAL_API /* rte_dev_event_callback_register() */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_dev.h>
#include <rte_pause.h>
#include <rte_vdpa.h>

#include "common/log.h"
#include "sw-relay/backend.h"
#include "sw-relay/backend_port.h"
#include "sw-relay/endpoint.h"
#include "sw-relay/pci_check.h"

struct dpdk_vdpa_backend {
	struct backend base;
	char bdf[PCI_ADDR_STRLEN];
};

static struct dpdk_vdpa_backend *dpdk_vdpa_backend(struct backend *backend)
{
	return container_of(backend, struct dpdk_vdpa_backend, base);
}

static bool dpdk_vdpa_claims(const struct backend_request *req)
{
	return req->device.kind == DEVNAME_PCI && req->vdpa_args[0];
}

/* The kernel wants to take the function away and waits until it is closed. */
static void on_removal(const char *name, enum rte_dev_event_type event, void *arg)
{
	struct dpdk_vdpa_backend *d = arg;

	if (event != RTE_DEV_EVENT_REMOVE)
		return;
	d->base.error = "the device was removed";
	d->base.gone = true;
	service_device_changed(d->base.id);
}

static void unwatch(struct dpdk_vdpa_backend *d)
{
	while (rte_dev_event_callback_unregister(d->bdf, on_removal, d) == -EAGAIN)
		rte_pause();
}

static void unplug(struct dpdk_vdpa_backend *d)
{
	int r;

	pthread_mutex_lock(&port_bus_lock);
	r = rte_eal_hotplug_remove("pci", d->bdf);
	pthread_mutex_unlock(&port_bus_lock);
	if (r < 0 && r != -ENODEV && r != -ENOENT)
		log_warning("device %s: removing it from DPDK: %s", d->base.device, strerror(-r));
}

static int plug(struct dpdk_vdpa_backend *d, const struct backend_request *req, struct err *err)
{
	struct pci_facts facts;
	int r = pci_check("", &req->device.pci, &facts, err);

	if (r < 0)
		return r;
	d->base.numa_node = facts.numa_node;
	pthread_mutex_lock(&port_bus_lock);
	if (facts.vfio)
		port_enable_vfio();
	r = rte_eal_hotplug_add("pci", d->bdf, req->vdpa_args);
	pthread_mutex_unlock(&port_bus_lock);
	if (r < 0)
		return err_set(err, r, "attach",
			       "device %s: DPDK has no vDPA driver that takes %04x:%04x with "
			       "\"%s\": %s; is the package of it (librte-vdpa-*) installed? "
			       "DPDK's messages in the log say more",
			       d->base.device, facts.vendor, facts.device, req->vdpa_args,
			       strerror(-r));
	return 0;
}

/* What the device can do, and that it is one. */
static int look_at(struct dpdk_vdpa_backend *d, struct err *err)
{
	struct rte_vdpa_device *vdpa = rte_vdpa_find_device_by_name(d->bdf);
	uint32_t pairs = 0;

	if (!vdpa)
		return err_set(
			err, -ENODEV, "attach",
			"device %s: a driver of DPDK has taken it, but made no vDPA device "
			"of it; is the package of its vDPA driver (librte-vdpa-*) installed?",
			d->base.device);
	if (rte_vdpa_get_queue_num(vdpa, &pairs) < 0 || !pairs)
		return err_set(err, -EIO, "attach",
			       "device %s: its vDPA driver tells no number of queue pairs; its "
			       "messages in the log say more",
			       d->base.device);
	d->base.vdpa = vdpa;
	d->base.pairs = RTE_MIN(pairs, (uint32_t)UINT16_MAX);
	return 0;
}

static void dpdk_vdpa_detach(struct backend *backend)
{
	struct dpdk_vdpa_backend *d = dpdk_vdpa_backend(backend);

	unwatch(d);
	unplug(d);
	free(d);
}

static int dpdk_vdpa_attach(const struct backend_request *req, struct backend **backend,
			    struct err *err)
{
	struct dpdk_vdpa_backend *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_set(err, -ENOMEM, "attach", "device %s: no memory", req->device.text);
	d->base = (struct backend){
		.ops = &backend_dpdk_vdpa_ops,
		.id = req->id,
		.port = -1,
		.mtu = req->mtu,
		.driver = "dpdk-vdpa",
	};
	snprintf(d->base.device, sizeof(d->base.device), "%s", req->device.text);
	pci_addr_format(&req->device.pci, d->bdf);
	rte_dev_event_callback_register(d->bdf, on_removal, d);
	r = plug(d, req, err);
	if (r < 0) {
		unwatch(d);
		free(d);
		return r;
	}
	r = look_at(d, err);
	if (r < 0) {
		dpdk_vdpa_detach(&d->base);
		return r;
	}
	*backend = &d->base;
	return 0;
}

/* The drivers do not tell, and the VM asks the device itself. */
static bool dpdk_vdpa_link(struct backend *backend)
{
	return !backend->error;
}

const struct backend_ops backend_dpdk_vdpa_ops = {
	.name = "dpdk-vdpa",
	.slow = true,
	.claims = dpdk_vdpa_claims,
	.attach = dpdk_vdpa_attach,
	.detach = dpdk_vdpa_detach,
	.link = dpdk_vdpa_link,
};
