/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which relay process serves an endpoint: a pure function, tested by table. There is one process
 * for each NUMA node with worker CPUs, and a further one on a node when the DPDK ports of those
 * that are there are in use. Endpoints without a device, and devices that are served without DPDK,
 * take no port; a bond takes one more than it has members.
 */
#ifndef VIO4WD_MANAGER_PLACEMENT_H
#define VIO4WD_MANAGER_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>

struct placement_process {
	unsigned int number;
	int numa_node;
	unsigned int ports; /* in use or promised, without the one that is asked for */
	unsigned int max_ports;
	unsigned int endpoints;
};

struct placement_request {
	int numa_node;	    /* of the CPUs it is pinned to, else of the device; -1: neither */
	unsigned int ports; /* of the process's DPDK ports that the device takes; 0: none */
	int current;	    /* number of the process that has the endpoint, -1: none */
};

enum placement_action { PLACEMENT_STAY, PLACEMENT_USE, PLACEMENT_NEW };

struct placement {
	enum placement_action action;
	unsigned int number; /* of the process; PLACEMENT_NEW: a number that is not in use */
	int numa_node;	     /* PLACEMENT_NEW: where it has to run */
};

/*
 * nodes: the NUMA nodes that have worker CPUs, at least one. An endpoint stays where it is as long
 * as its device can be served there: moving it costs the VM its connection.
 */
void placement_choose(const struct placement_process *processes, size_t n_processes,
		      const int *nodes, size_t n_nodes, const struct placement_request *request,
		      struct placement *placement);

#endif
