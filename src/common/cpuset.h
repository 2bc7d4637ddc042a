/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A set of CPU numbers without an upper bound other than CPUSET_MAX_CPU: "1,2", "2-5,9" or the
 * hexadecimal bitmap "0x6" (which may be longer than 64 bits).
 */
#ifndef VIO4WD_CPUSET_H
#define VIO4WD_CPUSET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define CPUSET_MAX_CPU 8191

struct cpuset {
	unsigned long bits[(CPUSET_MAX_CPU + 1) / (8 * sizeof(unsigned long))];
};

int cpuset_parse(struct cpuset *set, const char *text, struct err *err);
/* Writes the shortest list form ("1-3,7"), as snprintf does; an empty set gives "". */
int cpuset_format(const struct cpuset *set, char *buf, size_t size);
void cpuset_clear(struct cpuset *set);
void cpuset_add(struct cpuset *set, unsigned int cpu);
bool cpuset_has(const struct cpuset *set, unsigned int cpu);
unsigned int cpuset_count(const struct cpuset *set);
/* The lowest CPU of the set that is >= from, or -1. */
int cpuset_next(const struct cpuset *set, unsigned int from);
/* The CPUs the host has online (/sys/devices/system/cpu/online under root), resp. those of a node.
 */
int cpuset_online(struct cpuset *set, const char *root, struct err *err);
int cpuset_of_node(struct cpuset *set, const char *root, int numa_node, struct err *err);
/* The NUMA node a CPU belongs to; 0 on a host without NUMA information. */
int cpu_numa_node(const char *root, unsigned int cpu);

#endif
