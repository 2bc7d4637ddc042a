/* SPDX-License-Identifier: BSD-3-Clause */

/* Inside of the port backend: backend_port.c (bursts, events, queues in use), backend_port_open.c,
 * backend_port_start.c. */
#ifndef VIO4WD_RELAY_BACKEND_PORT_H
#define VIO4WD_RELAY_BACKEND_PORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <rte_common.h>
#include <rte_ethdev.h>

#include "common/pci_addr.h"
#include "sw-relay/backend.h"
#include "sw-relay/pf_state.h"

#define PORT_MAX_QUEUES 64
#define PORT_RING 512 /* descriptors of a queue, where the driver has no wish */

struct port_backend {
	struct backend base;
	struct rte_eth_dev_info info;
	char bus[8];
	char name[64];
	struct pci_addr pci; /* when it is opened through VFIO: */
	bool vfio;
	bool no_node;	    /* its NUMA node has no memory */
	struct pf_state pf; /* when it was looked at last, or started */
	time_t changed;	    /* CLOCK_MONOTONIC: started, or the link changed */
	time_t answered;    /* likewise: when it was there */
	_Atomic bool link;
	bool tells_link;	 /* by an interrupt */
	uint16_t max_rx, max_tx; /* of use, and possible */
	uint16_t rx_configured;
	uint16_t tx_configured;
	uint64_t tx_port_offloads;
	_Atomic bool started;
	bool said_promiscuous;
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

/* Held while a device is plugged into DPDK or unplugged, by whichever backend. */
extern pthread_mutex_t port_bus_lock;
/* EAL looks for VFIO when it starts; its modules may have been loaded for a device since. With the
 * lock held. */
void port_enable_vfio(void);

/* backend_port_open.c; see struct backend_ops. */
int port_attach(const struct backend_request *req, struct backend **backend, struct err *err);
/*
 * The same for a port that is part of something larger: opens req->device in p, which is zeroed
 * and the caller's. fill, unless NULL, is called when DPDK has the device and before its limits are
 * read. After an error nothing is open.
 */
int port_open(struct port_backend *p, const struct backend_request *req,
	      int (*fill)(struct port_backend *p, struct err *err), struct err *err);
void port_close(struct port_backend *p);
void port_detach(struct backend *backend);
/* Before the driver is called for something that reads registers until they change: one that does
 * not answer gets others. */
void port_check_alive(struct port_backend *p);

/* backend_port.c; see struct backend_ops. */
uint16_t port_tx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
int port_spread(struct backend *backend, uint16_t queues);
bool port_link(struct backend *backend);
void port_stop(struct backend *backend);
/* Asks the driver, which does not wait for anything. */
void port_update_link(struct port_backend *p);
time_t port_now(void);
/* Events of the device; its removal also while it is being opened. */
void port_watch_removal(struct port_backend *p);
void port_watch(struct port_backend *p);
void port_unwatch(struct port_backend *p);

/* Configures the device with its queues in use and starts it; see struct backend_ops. */
int port_start(struct backend *backend, struct rte_mempool *pool, struct err *err);

#endif
