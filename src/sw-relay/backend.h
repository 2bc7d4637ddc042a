/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A backend is what stands behind an endpoint: the device side of a pairing. All of them are behind
 * one table of functions, so endpoints know nothing of devices and backends nothing of sockets.
 *
 *   port    any DPDK ethdev (virtual devices, VFs on vfio-pci)         backend_port.c
 *   vdpa    a kernel vDPA device: hardware that works on the VM's rings
 *           (endpoint_serve.h), and a port while it cannot               backend_vdpa.c
 *   dpdk-vdpa  a PCI function on vfio-pci that a vDPA driver of DPDK
 *           takes: the vhost library gives it the VM's rings         backend_dpdk_vdpa.c
 *   bond    several ports as one                                       backend_bond.c
 *   packet  a Linux network interface through packet sockets that the
 *           manager opened (the relay has no right to)                 backend_packet.c
 *
 * Control functions of a backend run one at a time: in a device thread when it is `slow`, else in
 * the control thread. rx_burst and tx_burst run in workers: one worker at a time for a given queue,
 * unless `tx_lockfree`.
 */
#ifndef VIO4WD_RELAY_BACKEND_H
#define VIO4WD_RELAY_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "common/devname_bond.h"
#include "common/err.h"
#include "sw-relay/endpoint_face.h"

struct backend;
struct rte_vdpa_device;

/* What the manager asks to be attached. */
struct backend_request {
	unsigned int id; /* of the endpoint; endpoint_attach sets it */
	struct devname device;
	uint16_t mtu;	     /* 1500, or 9000 with VIRTIOFWD_JUMBO */
	uint16_t max_queues; /* queue pairs the VM is offered: more queues are of no use */
	int *fds;	     /* packet sockets; those that are kept are set to -1 */
	unsigned int n_fds;
	char chardev[64];   /* "/dev/vhost-vdpa-N" when the device is hardware vDPA, else "" */
	char vdpa_args[32]; /* devargs of a vDPA driver of DPDK, which is to take it; else "" */
	struct hardware_face hardware;		  /* that may serve the VM later; pairs 0: none */
	struct devname members[BOND_MEMBERS_MAX]; /* of a bond: those that can be opened now */
	unsigned int n_members;
};

/* A member of a bond, as it is now. */
struct backend_member {
	char device[DEVNAME_MAX];
	bool in;	 /* it is open, and part of the bond */
	bool link;	 /* as far as is known */
	bool active;	 /* the bond uses it: for all packets or its share of them */
	char error[160]; /* why it is not in, or has to leave; "": nothing is wrong with it */
};

struct backend_ops {
	const char *name;
	bool slow; /* attach, start, stop, detach, spread and look can take seconds */
	bool (*claims)(const struct backend_request *req);
	/*
	 * Opens the device and finds its limits (all fields below) without starting it. On success
	 * *backend is owned by the caller and ended by detach.
	 */
	int (*attach)(const struct backend_request *req, struct backend **backend, struct err *err);
	/* No worker uses the backend any more. Frees it, whatever happens. */
	void (*detach)(struct backend *backend);
	/* Hardware vDPA only: workers are to move the packets, or no longer. Before on, and after
	 * off, start and what follows may not be called. */
	int (*software)(struct backend *backend, bool on, struct err *err);
	/*
	 * Sets up and starts all queues; received packets come from pool. May be called again
	 * after stop, with another pool.
	 */
	int (*start)(struct backend *backend, struct rte_mempool *pool, struct err *err);
	void (*stop)(struct backend *backend);
	uint16_t (*rx_burst)(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			     uint16_t n);
	/*
	 * Sends as many of pkts as there is room for, in order, and owns those; returns how many.
	 * Packets ask for no offload but those of tx_offloads.
	 */
	uint16_t (*tx_burst)(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			     uint16_t n);
	/* How many packets of a queue the device has been given and not taken yet, as far as its
	 * ring tells; -ENOTSUP: unknown. Called by the worker that sends on the queue. NULL:
	 * unknown. */
	int (*tx_left)(struct backend *backend, uint16_t queue);
	/* An fd that polls readable when packets arrive on queue after rx_arm(true); -1: cannot
	 * interrupt, the queue must be polled. The backend keeps it. */
	int (*rx_fd)(struct backend *backend, uint16_t queue);
	/* Switches the interrupt of a queue; called by the worker that polls the queue. With on, a
	 * packet that is already there must make rx_fd readable or be found by the next rx_burst.
	 */
	int (*rx_arm)(struct backend *backend, uint16_t queue, bool on);
	/*
	 * The number of queue pairs the guest uses: sets rx_queues and tx_queues to what is of use
	 * then (at least 1, at most what the device has). Called while no worker uses the backend,
	 * and before start or after stop unless live_spread. NULL: the numbers are fixed.
	 */
	int (*spread)(struct backend *backend, uint16_t queues);
	/* Once a second while it is started, or soon again after it returned true: finds out about
	 * the link. NULL: link() does. */
	bool (*look)(struct backend *backend);
	/* True while the link is up, as far as is known. From any thread, never waits. */
	bool (*link)(struct backend *backend);
	/*
	 * Bonds only, else NULL. Makes the members those of req, or, with NULL, takes out those
	 * that have an error. pause(arg, true) is called before something is changed that workers
	 * use, and pause(arg, false) after it. A member that cannot be opened is no error of the
	 * bond: member() tells.
	 */
	void (*members)(struct backend *backend, const struct backend_request *req,
			void (*pause)(void *arg, bool on), void *arg);
	/* What the i-th member is like; false: there are not so many. From any thread, never
	 * waits for a device. */
	bool (*member)(struct backend *backend, unsigned int i, struct backend_member *member);
};

struct backend {
	const struct backend_ops *ops;
	unsigned int id; /* of the endpoint, for service_device_changed() */
	/* Set before service_device_changed() is called: */
	const char *_Atomic error;    /* NULL, or why the device no longer works: static text */
	_Atomic bool gone;	      /* with an error: nothing but detach is of use any more */
	_Atomic bool reset;	      /* has to be stopped and started to work again */
	char device[DEVNAME_MAX];     /* canonical */
	char chardev[64];	      /* of hardware vDPA: endpoint_serve.c is in charge; else "" */
	struct rte_vdpa_device *vdpa; /* of DPDK: endpoint_dpdk_vdpa.c is in charge; else NULL */
	uint16_t pairs; /* of hardware vDPA: queue pairs that its port gets; of DPDK's: it has */
	_Atomic bool link_up; /* of hardware vDPA, while it serves the VM itself */
	char driver[32];
	int port;		/* ethdev port number, or -1 */
	uint16_t rx_queues;	/* R, those in use */
	uint16_t tx_queues;	/* T */
	uint16_t rx_queues_set; /* set up in the device, when more than are in use */
	uint16_t tx_queues_set;
	bool live_spread;  /* spread works while it is started */
	uint32_t min_room; /* least data room of an mbuf, 0: any */
	uint16_t rx_ring;  /* descriptors per queue: how many mbufs the device may hold */
	uint16_t tx_ring;
	uint32_t tx_offloads; /* OFFLOAD_* of offload.h: what the device finishes */
	bool tx_lockfree;     /* any number of workers may send on one queue */
	bool interrupts;      /* rx_fd gives one for every queue */
	int numa_node;	      /* -1: none */
	uint16_t mtu;
	struct rte_ether_addr mac;
};

extern const struct backend_ops backend_vdpa_ops;
extern const struct backend_ops backend_dpdk_vdpa_ops;
extern const struct backend_ops backend_port_ops;
extern const struct backend_ops backend_bond_ops;
extern const struct backend_ops backend_packet_ops;

/* Of so many queue pairs that a vDPA device has, those that its port can use. */
uint16_t backend_vdpa_port_queues(uint16_t pairs);

/* The backend that claims the device is a slow one. */
bool backend_is_slow(const struct backend_request *req);
/* Finds the backend that claims the request and attaches it. */
int backend_attach(const struct backend_request *req, struct backend **backend, struct err *err);

#endif
