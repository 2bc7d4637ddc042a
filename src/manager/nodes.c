/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/nodes.h"

size_t nodes_find(const char *root, const struct cpuset *mask, int *nodes, size_t max)
{
	size_t n = 0;

	for (int cpu = cpuset_next(mask, 0); cpu >= 0; cpu = cpuset_next(mask, cpu + 1)) {
		const int node = cpu_numa_node(root, cpu);
		bool known = false;

		for (size_t i = 0; i < n; i++)
			known |= nodes[i] == node;
		if (!known && n < max)
			nodes[n++] = node;
	}
	return n;
}

void nodes_cpus(const char *root, const struct cpuset *mask, int node, struct cpuset *cpus)
{
	cpuset_clear(cpus);
	for (int cpu = cpuset_next(mask, 0); cpu >= 0; cpu = cpuset_next(mask, cpu + 1)) {
		if (cpu_numa_node(root, cpu) == node)
			cpuset_add(cpus, cpu);
	}
}

int nodes_of_pins(const char *root, const int *cpus, size_t n)
{
	int node = -1;

	for (size_t i = 0; i < n; i++) {
		const int other = cpus[i] < 0 ? node : cpu_numa_node(root, cpus[i]);

		if (node >= 0 && other != node)
			return -1;
		node = other;
	}
	return node;
}
