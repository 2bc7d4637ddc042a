/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Relays that may be served by the same workers are a group, balanced by itself. Where groups share
 * workers (which needs a server whose relays are not all alike), what others have there is a load
 * that cannot be moved.
 */
#include "scheduler/load_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "scheduler/balance.h"

/* Seconds of CPU time that a packet and a byte take, of a server that does not measure. */
#define PACKET_COST 80e-9
#define BYTE_COST 0.09e-9

#define NO_WORKER ((size_t)-1)

typedef Virtioforwarder__RelayState State;

static size_t worker_of(const struct load_table *table, unsigned int cpu)
{
	for (size_t i = 0; i < table->n_workers; i++) {
		if (table->workers[i].cpu == cpu)
			return i;
	}
	return NO_WORKER;
}

static double sane(double load)
{
	return isfinite(load) && load > 0 ? load : 0;
}

static double estimate(double packets_in, double packets_out, double bytes_in, double bytes_out)
{
	return sane((packets_in + packets_out) / 2 * PACKET_COST +
		    (bytes_in + bytes_out) / 2 * BYTE_COST);
}

static void add_cpu(const struct load_table *table, struct cpuset *set, int64_t cpu)
{
	if (cpu >= 0 && cpu <= CPUSET_MAX_CPU && worker_of(table, cpu) != NO_WORKER)
		cpuset_add(set, cpu);
}

/* Of a server that knows one CPU only, cpus is empty and first is that one; -1: none. */
static void read_cpus(const struct load_table *table, struct cpuset *set, const uint32_t *cpus,
		      size_t n, int first)
{
	for (size_t i = 0; i < n; i++)
		add_cpu(table, set, cpus[i]);
	if (!n)
		add_cpu(table, set, first);
}

static void read_flows(const struct load_table *table, struct load_relay *relay, const State *state)
{
	const Virtioforwarder__RelayState__VFtoVM *up = state->vf_to_vm;
	const Virtioforwarder__RelayState__VMtoVF *down = state->vm_to_vf;
	const Virtioforwarder__RelayState__CPU *cpu = state->cpu;
	struct load_flow *flow = &relay->flows[LOAD_VF_TO_VM];

	flow->load = up->has_load ? sane(up->load)
				  : estimate(up->pkt_rate_rx_from_vf, up->pkt_rate_tx_to_vm,
					     up->byte_rate_rx_from_vf, up->byte_rate_tx_to_vm);
	read_cpus(table, &flow->cpus, up->cpus, up->n_cpus,
		  cpu && cpu->has_vf_to_vm ? cpu->vf_to_vm : -1);
	flow = &relay->flows[LOAD_VM_TO_VF];
	flow->load = down->has_load
			     ? sane(down->load)
			     : estimate(down->pkt_rate_rx_from_vm, down->pkt_rate_tx_to_vf,
					down->byte_rate_rx_from_vm, down->byte_rate_tx_to_vf);
	read_cpus(table, &flow->cpus, down->cpus, down->n_cpus,
		  cpu && cpu->has_vm_to_vf ? cpu->vm_to_vf : -1);
}

/* A direction on several workers puts the same on each. */
static void count_flow(struct load_table *table, const struct load_flow *flow)
{
	const unsigned int n = cpuset_count(&flow->cpus);

	for (int cpu = cpuset_next(&flow->cpus, 0); cpu >= 0;
	     cpu = cpuset_next(&flow->cpus, cpu + 1))
		table->workers[worker_of(table, cpu)].load += flow->load / n;
}

static void read_relay(struct load_table *table, const State *state)
{
	struct load_relay *relay = &table->relays[table->n_relays];

	relay->id = state->id;
	relay->node = state->socket_id;
	relay->movable = true;
	for (size_t i = 0; i < state->n_worker_cpus; i++)
		add_cpu(table, &relay->can, state->worker_cpus[i]);
	for (size_t i = 0; !state->n_worker_cpus && i < table->n_workers; i++)
		cpuset_add(&relay->can, table->workers[i].cpu);
	read_flows(table, relay, state);
	for (unsigned int d = 0; d < LOAD_DIRECTIONS; d++) {
		struct load_flow *flow = &relay->flows[d];
		const unsigned int n = cpuset_count(&flow->cpus);

		count_flow(table, flow);
		relay->movable &= n == 1;
		flow->cpu = n ? cpuset_next(&flow->cpus, 0) : 0;
	}
	if (cpuset_count(&relay->can) && (cpuset_count(&relay->flows[LOAD_VF_TO_VM].cpus) ||
					  cpuset_count(&relay->flows[LOAD_VM_TO_VF].cpus)))
		table->n_relays++;
	else
		memset(relay, 0, sizeof(*relay));
}

static int by_cpu(const void *a, const void *b)
{
	const struct load_worker *x = a, *y = b;

	return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

struct load_table *load_table_new(const Virtioforwarder__StatsResponse *stats,
				  const uint32_t *cores, size_t n_cores, const char *root)
{
	struct load_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->workers = calloc(n_cores + 1, sizeof(*table->workers));
	table->relays = calloc(stats->n_relay + 1, sizeof(*table->relays));
	if (!table->workers || !table->relays) {
		load_table_free(table);
		return NULL;
	}
	for (size_t i = 0; i < n_cores; i++) {
		if (cores[i] > CPUSET_MAX_CPU || worker_of(table, cores[i]) != NO_WORKER)
			continue;
		table->workers[table->n_workers++] = (struct load_worker){
			.cpu = cores[i],
			.node = cpu_numa_node(root, cores[i]),
		};
	}
	qsort(table->workers, table->n_workers, sizeof(*table->workers), by_cpu);
	for (size_t i = 0; i < stats->n_relay; i++)
		read_relay(table, stats->relay[i]);
	return table;
}

void load_table_free(struct load_table *table)
{
	if (!table)
		return;
	free(table->workers);
	free(table->relays);
	free(table);
}

void load_table_fix(struct load_table *table, unsigned int id)
{
	for (size_t i = 0; i < table->n_relays; i++) {
		if (table->relays[i].id == id)
			table->relays[i].movable = false;
	}
}

/* The workers that a relay is to be served by. */
static void choose_from(const struct load_table *table, const struct load_relay *relay, bool global,
			struct cpuset *set)
{
	cpuset_clear(set);
	for (size_t i = 0; i < table->n_workers && !global; i++) {
		const struct load_worker *worker = &table->workers[i];

		if (worker->node == relay->node && cpuset_has(&relay->can, worker->cpu))
			cpuset_add(set, worker->cpu);
	}
	if (!cpuset_count(set))
		*set = relay->can;
}

struct group {
	struct cpuset set;
	struct balance_worker *workers;
	size_t n_workers;
	struct balance_flow *flows;
	struct load_flow **origin; /* of each of them */
	size_t n_flows;
};

static size_t least_loaded(const struct group *group)
{
	size_t best = 0;

	for (size_t i = 1; i < group->n_workers; i++) {
		if (group->workers[i].load < group->workers[best].load)
			best = i;
	}
	return best;
}

static size_t group_worker(const struct group *group, unsigned int cpu)
{
	for (size_t i = 0; i < group->n_workers; i++) {
		if (group->workers[i].cpu == cpu)
			return i;
	}
	return NO_WORKER;
}

/* Its load is no longer one that cannot be moved. One that is on none of the group's workers is
 * brought there in any case. */
static void add_flow(struct group *group, struct load_flow *flow)
{
	size_t worker = group_worker(group, flow->cpu);

	if (worker == NO_WORKER)
		worker = least_loaded(group);
	else
		group->workers[worker].load = fmax(group->workers[worker].load - flow->load, 0);
	group->flows[group->n_flows] = (struct balance_flow){ flow->load, worker };
	group->origin[group->n_flows++] = flow;
}

/* Those that stay, and those that were planned before, are where they are to be. */
static void take_workers(const struct load_table *table, struct group *group)
{
	for (size_t i = 0; i < table->n_workers; i++) {
		if (cpuset_has(&group->set, table->workers[i].cpu))
			group->workers[group->n_workers++] =
				(struct balance_worker){ table->workers[i].cpu,
							 table->workers[i].load };
	}
}

static void take_over(struct load_table *table, const struct group *group)
{
	for (size_t i = 0; i < group->n_flows; i++) {
		struct load_flow *flow = group->origin[i];

		table->workers[worker_of(table, flow->cpu)].load -= flow->load;
		flow->cpu = group->workers[group->flows[i].worker].cpu;
		table->workers[worker_of(table, flow->cpu)].load += flow->load;
	}
}

static void plan_group(struct load_table *table, struct group *group, double sensitivity,
		       struct load_plan *plan)
{
	const struct balance_result result = balance(group->workers, group->n_workers, group->flows,
						     group->n_flows, sensitivity);

	if (result.before - result.after >= plan->before - plan->after) {
		plan->before = result.before;
		plan->after = result.after;
	}
	take_over(table, group);
}

/* The group of the first relay that has none yet; false: all have. */
static bool next_group(struct load_table *table, struct group *group, bool *done, bool global)
{
	struct cpuset set;
	size_t first = 0;

	while (first < table->n_relays && done[first])
		first++;
	if (first == table->n_relays)
		return false;
	choose_from(table, &table->relays[first], global, &group->set);
	group->n_workers = group->n_flows = 0;
	take_workers(table, group);
	for (size_t i = first; i < table->n_relays; i++) {
		choose_from(table, &table->relays[i], global, &set);
		if (done[i] || memcmp(&set, &group->set, sizeof(set)))
			continue;
		done[i] = true;
		for (unsigned int d = 0; d < LOAD_DIRECTIONS; d++)
			add_flow(group, &table->relays[i].flows[d]);
	}
	return true;
}

static void count_moves(struct load_table *table, struct load_plan *plan)
{
	for (size_t i = 0; i < table->n_relays; i++) {
		struct load_relay *relay = &table->relays[i];

		for (unsigned int d = 0; d < LOAD_DIRECTIONS; d++) {
			if (!relay->movable ||
			    cpuset_has(&relay->flows[d].cpus, relay->flows[d].cpu))
				continue;
			relay->moved = true;
			plan->moves++;
		}
	}
}

struct load_plan load_table_plan(struct load_table *table, double sensitivity, bool global)
{
	const size_t n_flows = table->n_relays * LOAD_DIRECTIONS + 1;
	struct group group = {
		.workers = calloc(table->n_workers + 1, sizeof(*group.workers)),
		.flows = calloc(n_flows, sizeof(*group.flows)),
		.origin = calloc(n_flows, sizeof(*group.origin)),
	};
	bool *done = calloc(table->n_relays + 1, sizeof(*done));
	struct load_plan plan = { 0 };

	if (group.workers && group.flows && group.origin && done) {
		for (size_t i = 0; i < table->n_relays; i++)
			done[i] = !table->relays[i].movable;
		while (next_group(table, &group, done, global))
			plan_group(table, &group, sensitivity, &plan);
		count_moves(table, &plan);
	}
	free(group.workers);
	free(group.flows);
	free(group.origin);
	free(done);
	return plan;
}
