/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/placement.h"

static bool can_serve(const struct placement_process *p, const struct placement_request *request)
{
	return p->ports + request->ports <= p->max_ports || !request->ports;
}

/* Least ports first, then least endpoints, then the lowest number: the first fills up last only
 * when ports count. */
static bool better(const struct placement_process *a, const struct placement_process *b)
{
	if (a->ports != b->ports)
		return a->ports < b->ports;
	if (a->endpoints != b->endpoints)
		return a->endpoints < b->endpoints;
	return a->number < b->number;
}

static bool node_has_workers(const int *nodes, size_t n_nodes, int node)
{
	for (size_t i = 0; i < n_nodes; i++) {
		if (nodes[i] == node)
			return true;
	}
	return false;
}

static unsigned int free_number(const struct placement_process *processes, size_t n)
{
	for (unsigned int number = 0;; number++) {
		bool used = false;

		for (size_t i = 0; i < n; i++)
			used |= processes[i].number == number;
		if (!used)
			return number;
	}
}

/* A further process goes to the node that has the fewest. */
static int emptiest_node(const struct placement_process *processes, size_t n, const int *nodes,
			 size_t n_nodes)
{
	size_t best_count = n + 1;
	int best = nodes[0];

	for (size_t i = 0; i < n_nodes; i++) {
		size_t count = 0;

		for (size_t j = 0; j < n; j++)
			count += processes[j].numa_node == nodes[i];
		if (count < best_count) {
			best_count = count;
			best = nodes[i];
		}
	}
	return best;
}

void placement_choose(const struct placement_process *processes, size_t n_processes,
		      const int *nodes, size_t n_nodes, const struct placement_request *request,
		      struct placement *placement)
{
	const bool node_counts =
		request->numa_node >= 0 && node_has_workers(nodes, n_nodes, request->numa_node);
	const struct placement_process *best = NULL;

	for (size_t i = 0; i < n_processes; i++) {
		const struct placement_process *p = &processes[i];

		if (!can_serve(p, request))
			continue;
		if (request->current == (int)p->number) {
			placement->action = PLACEMENT_STAY;
			placement->number = p->number;
			placement->numa_node = p->numa_node;
			return;
		}
		if (node_counts && p->numa_node != request->numa_node)
			continue;
		if (!best || better(p, best))
			best = p;
	}
	if (best) {
		placement->action = PLACEMENT_USE;
		placement->number = best->number;
		placement->numa_node = best->numa_node;
		return;
	}
	placement->action = PLACEMENT_NEW;
	placement->number = free_number(processes, n_processes);
	placement->numa_node = node_counts ? request->numa_node
					   : emptiest_node(processes, n_processes, nodes, n_nodes);
}
