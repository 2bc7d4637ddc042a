/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A VM as the vhost library shows it: one connection to an endpoint's socket, identified by its
 * vid. What workers look at is atomic and written by the library's callbacks, which may run with
 * the rings' locks held and therefore take no lock (endpoint_vhost.c).
 */
#ifndef VIO4WD_RELAY_VM_H
#define VIO4WD_RELAY_VM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sw-relay/endpoint.h"
#include "sw-relay/guard.h"
#include "sw-relay/rarp.h"
#include "sw-relay/ring.h"

#define VM_WORKERS_MAX 128 /* worker threads there can be */
#define VM_RINGS (2 * ENDPOINT_MAX_QUEUES)
#define VM_RX_RING(queue) (2 * (queue))	    /* the guest receives: VF to VM */
#define VM_TX_RING(queue) (2 * (queue) + 1) /* the guest sends: VM to VF */
#define VM_RX_RINGS_MASK 0x5555555555555555ull

struct vm_ring {
	_Atomic uint32_t generation; /* counts the changes of state */
	_Atomic int kick_fd;	     /* the library's; may be closed after a change of generation */
	_Atomic int call_fd;	     /* likewise */
	_Atomic uint16_t size;
	struct ring fast; /* moves plain packets past the library */
};

struct vm {
	int vid;
	struct endpoint *endpoint;    /* NULL: nobody's; under the tables' lock */
	struct rte_vdpa_device *vdpa; /* of DPDK, which the library gives the rings; likewise */
	bool running;		      /* between new_device and destroy_device; likewise */
	bool memory_lost;	      /* its last table has failed; of the library's event thread */
	_Atomic uint64_t enabled;     /* a bit for each ring that may be used */
	uint64_t features;	      /* negotiated, from new_device on */
	struct vm_ring rings[VM_RINGS];
	/* Workers' business (worker_sleep.c): a bit for each worker that has timed lanes of this
	 * VM, and how often such were woken by another worker. */
	_Atomic uint64_t timed_on[VM_WORKERS_MAX / 64];
	_Atomic uint32_t stirs;
	struct rarp rarp;
	struct guard guard;
};

#endif
