/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Inside of endpoints, shared by endpoint.c (sockets), endpoint_op.c (what is done when),
 * endpoint_dpdk_vdpa.c (vDPA drivers of DPDK), endpoint_device.c (attach, detach, queues in use),
 * endpoint_lanes.c (which lanes there are), endpoint_vhost.c (callbacks of the vhost library) and
 * snapshot.c.
 *
 * What several threads touch is under the tables' lock: the event thread's, the control thread's
 * and that of an operation's. Of these an endpoint has at most one at a time (endpoint_op.c); it
 * may look at the device without the lock, and is the only one that changes it.
 */
#ifndef VIO4WD_RELAY_ENDPOINT_INTERNAL_H
#define VIO4WD_RELAY_ENDPOINT_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "sw-relay/bridge.h"
#include "sw-relay/endpoint.h"
#include "sw-relay/endpoint_op.h"
#include "sw-relay/endpoint_face.h"
#include "sw-relay/endpoint_serve.h"
#include "sw-relay/lane.h"
#include "sw-relay/vm.h"

enum endpoint_device {
	ENDPOINT_NO_DEVICE,
	ENDPOINT_DEVICE_STARTED,
	ENDPOINT_DEVICE_HELD,	/* no lane of the endpoint runs: it is restarted, or hardware serves
				 */
	ENDPOINT_DEVICE_FAILED, /* stopped; for the lanes as if there were none */
};

struct endpoint {
	TAILQ_ENTRY(endpoint) next;
	struct endpoint_options options;

	/* under the lock */
	struct vm *vm; /* in service, or NULL */
	enum endpoint_device device;
	struct backend *backend; /* NULL exactly in ENDPOINT_NO_DEVICE */
	struct rte_mempool *pool;
	int pool_node; /* NUMA node it was made for */
	int pins[LANE_DIRECTIONS];
	struct lane *lanes[LANE_DIRECTIONS][ENDPOINT_MAX_QUEUES];
	struct lane_drain *drain; /* its lanes run dry; else NULL */
	uint64_t connects;
	uint64_t disconnects;
	struct timespec vm_since; /* CLOCK_MONOTONIC */
	struct endpoint_serving serving;
	struct endpoint_face face;
	struct rte_vdpa_device *vdpa; /* of DPDK: that connections may have; else NULL */
	_Atomic uint16_t queues;      /* queue pairs that the next VM is offered */
	_Atomic uint64_t offered;     /* virtio features, likewise */

	/* of the operation that runs, else the control thread's */
	uint16_t spread; /* queue pairs the device was set up for */
	bool restless;	 /* the device is to be looked at again soon */

	/* the control thread's */
	struct endpoint_ops ops;
	uint32_t asked; /* bits of endpoint_op_kind: in ops, or being done */
	bool leaving;	/* it will be removed */
	bool unseen;	/* endpoint_work() has to look at it again after the operation that runs */

	struct bridge bridge; /* has a lock of its own */

	struct lane_stats stats[LANE_DIRECTIONS][ENDPOINT_MAX_QUEUES];
};

TAILQ_HEAD(endpoint_list, endpoint);
extern struct endpoint_list endpoints; /* changed by the control thread under the lock */

struct endpoint *endpoint_find(unsigned int id);

/* endpoint_lanes.c */
void endpoint_lanes_init(void);
/*
 * Makes the endpoint's lanes what its VM and device ask for. Lanes that stay as they are go on
 * undisturbed. Needs the lock. When memory runs out lanes are missing and it is logged.
 */
void endpoint_update_lanes(struct endpoint *ep);
/* Makes the lanes run dry, those that come later as well, until ep->drain is taken away. Needs the
 * lock. */
void endpoint_drain_lanes(struct endpoint *ep, struct lane_drain *drain);
/* Number of queue pairs the VM uses: at least 1. */
uint16_t endpoint_vm_queues(const struct endpoint *ep);

/* endpoint_device.c */
/* A pool for the packets of a VM without a device; needs the lock. Failing is logged: then the VM's
 * packets wait in its rings. */
void endpoint_drain_pool(struct endpoint *ep);
/* Takes the pool away when neither VM nor device needs it; needs the lock. */
void endpoint_drop_pool(struct endpoint *ep);
/* How many DPDK ports there are, those that are being closed included. From any thread. */
unsigned int endpoint_ports(void);
/* The device's queues or memory are no longer what the VM asks for. Control thread. */
bool endpoint_needs_refit(struct endpoint *ep);
/* Operations, without the lock; the device's own words are in err. */
/* Sets the endpoint's device up for the VM there is and starts it, with lanes. */
int endpoint_start_device(struct endpoint *ep, struct err *err);
/* Makes backend the endpoint's, with hardware in charge of the rings: no lanes, no pool. */
void endpoint_hold_device(struct endpoint *ep, struct backend *backend);
int endpoint_do_attach(struct endpoint *ep, const struct backend_request *req, struct err *err);
int endpoint_do_detach(struct endpoint *ep, struct err *err);
void endpoint_do_refit(struct endpoint *ep);
void endpoint_do_reset(struct endpoint *ep);
/* The members of a bond: as they are asked for, or without those that have an error. */
int endpoint_do_members(struct endpoint *ep, const struct backend_request *req, struct err *err);
void endpoint_do_regroup(struct endpoint *ep);
void endpoint_do_look(struct endpoint *ep);
/* Stops a device that has an error; the VM's packets are drained until it is detached. */
void endpoint_do_give_up(struct endpoint *ep);

/* A pool for the start of the device, made ahead as far as can be known of it. Where it cannot be
 * made, the start tells. Needs a held device without one. */
void endpoint_prepare_pool(struct endpoint *ep);

/* endpoint_drain.c */
/*
 * Holds the device that is started, once nothing is under way: some milliseconds, or a fifth of a
 * second when the device does not take what it was given. On return there are no lanes. An
 * operation, without the lock.
 */
void endpoint_drain_device(struct endpoint *ep);

/* endpoint_dpdk_vdpa.c */
/* Joins a vDPA device of DPDK to the socket; the backend is the endpoint's when it returns 0. VMs
 * that connect from now on are served. */
int endpoint_dpdk_vdpa_attach(struct endpoint *ep, struct backend *backend, struct err *err);
/* The other way round, before the backend is detached: closes the connections of VMs that have the
 * device, and waits until the library has let go of it. */
void endpoint_dpdk_vdpa_detach(struct endpoint *ep);
/* A VM has come or gone since endpoint_dpdk_vdpa_look(), which tells who is served. */
bool endpoint_dpdk_vdpa_is_stale(const struct endpoint *ep);
void endpoint_dpdk_vdpa_look(struct endpoint *ep);

/* endpoint.c */
int endpoint_make(const struct endpoint_options *options, struct err *err);
/* The device is detached. Frees it. */
void endpoint_unmake(struct endpoint *ep);

/* endpoint_vhost.c */
struct rte_vhost_device_ops;
extern const struct rte_vhost_device_ops endpoint_vhost_ops;
int endpoint_vhost_init(struct err *err);
/* Forgets the connections of an endpoint that goes; needs the lock. */
void endpoint_vhost_forget(struct endpoint *ep);
/* Closes the connections that have a vDPA device of DPDK, and waits until they have ended. Without
 * the lock, and not in a callback of the library. */
void endpoint_vhost_drop_vdpa(struct endpoint *ep);
/* Drops the VMs that the guard has reported. Control thread, without the lock. */
void endpoint_vhost_enforce(void);
/* Asks for endpoint_work() soon. From any thread. */
void endpoint_work_later(void);
/* The VM of a connection; NULL: there can be none of that number. */
struct vm *endpoint_vm(int vid);

/* endpoint_messages.c */
struct rte_vhost_user_extern_ops;
extern const struct rte_vhost_user_extern_ops endpoint_message_ops;
/* Workers leave the VM's rings to the library and its locks, until the next message has been
 * handled. In the library's event thread, or when the VM has gone. */
void endpoint_close_rings(struct vm *vm);

#endif
