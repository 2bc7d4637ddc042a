/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Tells that VFs, PFs or their interfaces came, went or changed drivers. An event says where to
 * look again, never what is there: sysfs is read when the owner acts (vf.h), so that events that
 * are late, doubled or lost cannot lead to a wrong picture.
 *
 * With udevd: its events, after all rules ran, of the subsystems pci, net and vdpa with the tag
 * "vio4wd" (rules/99-vio4wd.rules). Where the rules are not installed or have not seen all VFs yet,
 * without the tag; where no udevd runs, the kernel's own events.
 */
#ifndef VIO4WD_UDEV_MONITOR_H
#define VIO4WD_UDEV_MONITOR_H

#include <systemd/sd-event.h>

#include "common/err.h"
#include "common/pci_addr.h"

enum vf_event_kind {
	VF_EVENT_ADDED,	  /* a function or its interface came */
	VF_EVENT_CHANGED, /* driver bound or unbound, interface renamed */
	VF_EVENT_REMOVED, /* a function or its interface went */
	VF_EVENT_LOST,	  /* events were dropped: look at everything; addr is not set */
};

struct vf_event {
	enum vf_event_kind kind;
	struct pci_addr addr; /* of the PCI function; of an interface, the one it belongs to */
};

typedef void (*vf_event_fn)(const struct vf_event *event, void *userdata);

struct vf_monitor;

/* fn is called on the event loop. */
int vf_monitor_new(struct vf_monitor **monitor, sd_event *event, vf_event_fn fn, void *userdata,
		   struct err *err);
void vf_monitor_free(struct vf_monitor *monitor);

#endif
