/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the manager sees of the relay: the methods and notifications of docs/protocol.md. The
 * manager may disconnect and come back at any time. One service per process, because VMs and
 * devices report to service_vm_changed() and service_device_changed() (endpoint.h) from anywhere.
 */
#ifndef VIO4WD_RELAY_SERVICE_H
#define VIO4WD_RELAY_SERVICE_H

#include <systemd/sd-event.h>

#include "common/err.h"
#include "sw-relay/options.h"

/* listen_fd: ownership passes. The endpoints' work is done on this loop, too. */
int service_start(sd_event *event, int listen_fd, const struct relay_options *options,
		  struct err *err);
void service_stop(void);

#endif
