/* SPDX-License-Identifier: BSD-3-Clause */

/* NUMA nodes and their worker CPUs: what relay processes are started by. */
#ifndef VIO4WD_MANAGER_NODES_H
#define VIO4WD_MANAGER_NODES_H

#include <stddef.h>

#include "common/cpuset.h"

/* The nodes that the CPUs of mask are on, by the order of their first CPU; at most max. Returns how
 * many. */
size_t nodes_find(const char *root, const struct cpuset *mask, int *nodes, size_t max);

/* Those of mask that are on the node. */
void nodes_cpus(const char *root, const struct cpuset *mask, int node, struct cpuset *cpus);

/* The node of pinned CPUs (those below 0 are none), on whose relay process they have to be served;
 * -1 when there is none, or when they are on several. */
int nodes_of_pins(const char *root, const int *cpus, size_t n);

#endif
