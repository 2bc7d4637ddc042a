/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The ways of port control, of which one is in force: ZeroMQ when VIRTIOFWD_ZMQ_PORT_CONTROL_EP is
 * set, else the command file with VIRTIOFWD_IPC_PORT_CONTROL, else OVSDB. The control endpoint of
 * vio4wdctl is always there beside it.
 */
#ifndef VIO4WD_MANAGER_PORT_CONTROL_H
#define VIO4WD_MANAGER_PORT_CONTROL_H

#include <stdbool.h>

#include <json-c/json.h>

#include "common/err.h"
#include "manager/port_device.h"

struct manager;
struct pairing_wish;
struct port_control;

/* The endpoint of ZeroMQ itself is svc_zmq.h's. Returns 0 or the error. */
int port_control_new(struct port_control **control, struct manager *m, struct err *err);
/* Operations that were asked for have been answered before. NULL is nothing. */
void port_control_free(struct port_control *control);
/* A pairing has changed; devices: interfaces or VFs may have come or gone. What waited for that is
 * looked at soon. NULL is nothing. */
void port_control_changed(struct port_control *control, bool devices);
/* For status and version (docs/protocol.md). */
json_object *port_control_json(const struct port_control *control);

/* The wish for a device that an interface or alias named; its origin is left to the caller. */
int port_control_wish(const struct manager *m, unsigned int id, const char *name,
		      const struct port_device *device, struct pairing_wish *wish, struct err *err);

#endif
