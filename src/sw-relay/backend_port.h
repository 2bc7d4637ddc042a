/* SPDX-License-Identifier: BSD-3-Clause */

/* Inside of the port backend: backend_port.c (life and bursts), backend_port_start.c. */
#ifndef VIO4WD_RELAY_BACKEND_PORT_H
#define VIO4WD_RELAY_BACKEND_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_ethdev.h>

#include "sw-relay/backend.h"

#define PORT_MAX_QUEUES 64

struct port_backend {
	struct backend base;
	struct rte_eth_dev_info info;
	char bus[8];
	char name[64];
	uint16_t max_rx, max_tx; /* of use, and possible */
	uint16_t rx_configured;
	uint16_t tx_configured;
	uint64_t tx_port_offloads;
	bool started;
	bool prepare;	    /* packets go through rte_eth_tx_prepare */
	bool may_interrupt; /* worth trying */
	int silent_fd;	    /* >= 0: it never receives, and this never becomes readable */
	int rx_fds[PORT_MAX_QUEUES];
	uint64_t refused;
};

static inline struct port_backend *port_backend(struct backend *backend)
{
	return container_of(backend, struct port_backend, base);
}

/* Configures the device with its queues in use and starts it; see struct backend_ops. */
int port_start(struct backend *backend, struct rte_mempool *pool, struct err *err);

#endif
