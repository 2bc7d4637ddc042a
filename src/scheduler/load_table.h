/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The loads of all relays and workers, from the answers of 1.1's endpoints, and the assignment that
 * follows from them (balance.h). No input or output: what is put in decides what comes out.
 *
 * A load is CPU time: 1.0 is a whole CPU. vio4wd measures it for each direction; of a server that
 * does not tell, it is estimated from packets and bytes.
 */
#ifndef VIO4WD_SCHEDULER_LOAD_TABLE_H
#define VIO4WD_SCHEDULER_LOAD_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cpuset.h"
#include "wire/virtioforwarder.pb-c.h"

enum load_direction { LOAD_VF_TO_VM, LOAD_VM_TO_VF };
#define LOAD_DIRECTIONS 2

struct load_worker {
	unsigned int cpu;
	int node;    /* NUMA node */
	double load; /* of all relays */
};

struct load_flow { /* a direction of a relay */
	double load;
	struct cpuset cpus; /* that serve it, with several queues maybe several */
	unsigned int cpu;   /* that it is to be served by: at first the lowest of them */
};

struct load_relay {
	unsigned int id;
	int node;	   /* NUMA node of its packet memory */
	struct cpuset can; /* workers that can serve it */
	/* Both directions are on one worker each, and its CPUs are not configured. */
	bool movable;
	bool moved; /* by load_table_plan() */
	struct load_flow flows[LOAD_DIRECTIONS];
};

struct load_table {
	struct load_worker *workers; /* by CPU number */
	size_t n_workers;
	struct load_relay *relays;
	size_t n_relays;
};

/*
 * Of what endpoint stats has answered (status OK), and of the workers' CPU numbers; root is
 * prepended to the sysfs paths where their NUMA nodes are looked up. CPUs that no worker has, and
 * relays that none serves, are left out. NULL: no memory.
 */
struct load_table *load_table_new(const Virtioforwarder__StatsResponse *stats,
				  const uint32_t *cores, size_t n_cores, const char *root);
void load_table_free(struct load_table *table); /* NULL is allowed */

/* The relay's CPUs are configured: it stays where it is. */
void load_table_fix(struct load_table *table, unsigned int relay);

struct load_plan {
	size_t moves;	      /* directions that are to change their worker */
	double before, after; /* of the group of workers that gains most: see balance.h */
};

/*
 * Sets `cpu` of flows, and `moved` of their relays. A relay is served by workers of its memory's
 * NUMA node if it can be; with global any worker that can serve it will do.
 */
struct load_plan load_table_plan(struct load_table *table, double sensitivity, bool global);

#endif
