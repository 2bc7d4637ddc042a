/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The checks that a PortControlRequest of 1.1 has to pass before anything is done: a pure function
 * of the message and two facts, tested by table.
 */
#ifndef VIO4WD_MANAGER_PORT_REQUEST_H
#define VIO4WD_MANAGER_PORT_REQUEST_H

#include <stdbool.h>

#include "common/config.h"
#include "common/devname_bond.h"
#include "common/err.h"
#include "common/pci_addr.h"
#include "wire/virtioforwarder.pb-c.h"

struct port_request {
	Virtioforwarder__PortControlRequest__Op op;
	bool conditional;
	unsigned int id; /* ADD and REMOVE */
	bool has_device;
	char device[DEVNAME_MAX]; /* an address, a bond, or, to take it away, only its name */
	char path[CONFIG_SOCKET_PATH_MAX + 1]; /* "": not given */
};

struct port_request_facts {
	unsigned int max_relays;
	bool dynamic_sockets;
};

/* message may be NULL: what came in did not parse. Returns 0 or the error. */
int port_request_check(const Virtioforwarder__PortControlRequest *message,
		       const struct port_request_facts *facts, struct port_request *request,
		       struct err *err);

#endif
