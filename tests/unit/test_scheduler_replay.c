/* SPDX-License-Identifier: BSD-3-Clause */

/* Which worker serves which direction: loads replayed look by look, as the scheduler sees them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <kselftest_harness.h>

#include "scheduler/balance.h"
#include "scheduler/load_table.h"

#include "config_root.h"

#define SENSITIVITY 0.25
#define RELAYS_MAX 64
#define WORKERS_MAX 16
#define LOOKS 20

/* A made-up vio4wd: what its endpoints answer. */
FIXTURE(world) {
	char root[CONFIG_ROOT_MAX];
	unsigned int n_relays, n_workers;
	bool tells_workers; /* to which each relay can move: those of its node */
	double loads[RELAYS_MAX][LOAD_DIRECTIONS];
	unsigned int nodes[RELAYS_MAX]; /* of the relays' memory */
	uint32_t cpus[RELAYS_MAX][LOAD_DIRECTIONS];
	uint32_t cores[WORKERS_MAX];
	unsigned int core_nodes[WORKERS_MAX];
	double noise;
	unsigned int random;
	Virtioforwarder__RelayState states[RELAYS_MAX];
	Virtioforwarder__RelayState__VFtoVM up[RELAYS_MAX];
	Virtioforwarder__RelayState__VMtoVF down[RELAYS_MAX];
	uint32_t node_cpus[2][WORKERS_MAX];
	size_t n_node_cpus[2];
};

typedef FIXTURE_DATA(world) world_t;

FIXTURE_SETUP(world)
{
	config_root_make(self->root);
	self->random = 1;
}

FIXTURE_TEARDOWN(world)
{
	config_root_remove(self->root);
}

static double random_share(world_t *w)
{
	w->random = w->random * 1103515245 + 12345;
	return (w->random >> 8 & 0xffff) / 65535.0;
}

/* Workers on CPUs 100, 101, ...; the second half of them on node 1 when there are two. Every relay
 * begins on the first worker of its node. */
static void make(world_t *w, unsigned int n_relays, unsigned int n_workers, unsigned int n_nodes)
{
	char path[64];

	w->n_relays = n_relays;
	w->n_workers = n_workers;
	for (unsigned int i = 0; i < n_workers; i++) {
		const unsigned int node = n_nodes == 2 && i >= n_workers / 2;

		w->cores[i] = 100 + i;
		w->core_nodes[i] = node;
		w->node_cpus[node][w->n_node_cpus[node]++] = w->cores[i];
		snprintf(path, sizeof(path), "cpu/cpu%u/node%u/empty", w->cores[i], node);
		config_root_write(w->root, path, "");
	}
	for (unsigned int id = 0; id < n_relays; id++) {
		w->nodes[id] = id % n_nodes;
		for (unsigned int d = 0; d < LOAD_DIRECTIONS; d++) {
			w->cpus[id][d] = w->node_cpus[w->nodes[id]][0];
			w->loads[id][d] = 0.02 + random_share(w) * n_workers / n_relays / 2;
		}
	}
}

static struct load_table *look(world_t *w)
{
	Virtioforwarder__StatsResponse stats = VIRTIOFORWARDER__STATS_RESPONSE__INIT;
	Virtioforwarder__RelayState *pointers[RELAYS_MAX];

	for (unsigned int id = 0; id < w->n_relays; id++) {
		Virtioforwarder__RelayState *state = &w->states[id];

		virtioforwarder__relay_state__init(state);
		virtioforwarder__relay_state__vfto_vm__init(&w->up[id]);
		virtioforwarder__relay_state__vmto_vf__init(&w->down[id]);
		state->id = id;
		state->socket_id = w->nodes[id];
		state->vf_to_vm = &w->up[id];
		state->vm_to_vf = &w->down[id];
		w->up[id].has_load = w->down[id].has_load = true;
		w->up[id].load =
			w->loads[id][LOAD_VF_TO_VM] * (1 + w->noise * (2 * random_share(w) - 1));
		w->down[id].load =
			w->loads[id][LOAD_VM_TO_VF] * (1 + w->noise * (2 * random_share(w) - 1));
		w->up[id].n_cpus = w->down[id].n_cpus = 1;
		w->up[id].cpus = &w->cpus[id][LOAD_VF_TO_VM];
		w->down[id].cpus = &w->cpus[id][LOAD_VM_TO_VF];
		if (w->tells_workers) {
			state->worker_cpus = w->node_cpus[w->nodes[id]];
			state->n_worker_cpus = w->n_node_cpus[w->nodes[id]];
		}
		pointers[id] = state;
	}
	stats.relay = pointers;
	stats.n_relay = w->n_relays;
	return load_table_new(&stats, w->cores, w->n_workers, w->root);
}

static void follow(world_t *w, const struct load_table *table)
{
	for (size_t i = 0; i < table->n_relays; i++) {
		for (unsigned int d = 0; d < LOAD_DIRECTIONS && table->relays[i].moved; d++)
			w->cpus[table->relays[i].id][d] = table->relays[i].flows[d].cpu;
	}
}

/* One turn of the scheduler; how many directions moved. */
static size_t turn(world_t *w, bool global)
{
	struct load_table *table = look(w);
	const struct load_plan plan = load_table_plan(table, SENSITIVITY, global);

	follow(w, table);
	load_table_free(table);
	return plan.moves;
}

static double load_of_cpu(const world_t *w, unsigned int cpu)
{
	double sum = 0;

	for (unsigned int id = 0; id < w->n_relays; id++) {
		for (unsigned int d = 0; d < LOAD_DIRECTIONS; d++)
			sum += w->cpus[id][d] == cpu ? w->loads[id][d] : 0;
	}
	return sum;
}

static unsigned int node_of_cpu(const world_t *w, unsigned int cpu)
{
	return w->core_nodes[cpu - 100];
}

static double largest_load(const world_t *w, unsigned int node)
{
	double largest = 0;

	for (unsigned int id = 0; id < w->n_relays; id++) {
		for (unsigned int d = 0; d < LOAD_DIRECTIONS && w->nodes[id] == node; d++)
			largest = fmax(largest, w->loads[id][d]);
	}
	return largest;
}

/* No worker of the node has more than the average and one load, as far as noise lets that be seen.
 */
static bool is_even(const world_t *w, unsigned int node)
{
	const size_t n = w->n_node_cpus[node];
	double most = 0, sum = 0;

	for (size_t i = 0; i < n; i++) {
		const double load = load_of_cpu(w, w->node_cpus[node][i]);

		sum += load;
		most = fmax(most, load);
	}
	return most <= sum / n * (1 + w->noise) + largest_load(w, node) + 1e-9;
}

FIXTURE_VARIANT(world)
{
	unsigned int relays, workers, nodes;
};

#define VARIANT(r, w, n)                                                 \
	FIXTURE_VARIANT_ADD(world, relays_##r##_workers_##w##_nodes_##n) \
	{                                                                \
		.relays = r, .workers = w, .nodes = n                    \
	}

VARIANT(2, 2, 1);
VARIANT(2, 4, 1);
VARIANT(2, 16, 1);
VARIANT(8, 2, 1);
VARIANT(8, 4, 1);
VARIANT(8, 16, 1);
VARIANT(64, 2, 1);
VARIANT(64, 4, 1);
VARIANT(64, 16, 1);
VARIANT(2, 4, 2);
VARIANT(8, 4, 2);
VARIANT(8, 16, 2);
VARIANT(64, 4, 2);
VARIANT(64, 16, 2);

/* The first look spreads the load, and what comes later is the same load with noise. */
TEST_F(world, a_stable_load_moves_once) {
	make(self, variant->relays, variant->workers, variant->nodes);
	self->noise = 0.1;
	EXPECT_LT(0, turn(self, false));
	for (unsigned int node = 0; node < variant->nodes; node++)
		EXPECT_TRUE(is_even(self, node));
	for (unsigned int id = 0; id < self->n_relays; id++) {
		for (unsigned int d = 0; d < LOAD_DIRECTIONS; d++)
			EXPECT_EQ(self->nodes[id], node_of_cpu(self, self->cpus[id][d]));
	}
	for (unsigned int i = 0; i < LOOKS; i++)
		EXPECT_EQ(0, turn(self, false));
}

/* Another load on the same relays: it is followed, at once and once. */
TEST_F(world, a_changed_load_is_followed) {
	double sum;

	make(self, variant->relays, variant->workers, variant->nodes);
	self->noise = 0.1;
	turn(self, false);
	/* Of those on the first worker of node 0, and of nobody else. */
	for (unsigned int id = 0; id < self->n_relays; id++) {
		for (unsigned int d = 0; d < LOAD_DIRECTIONS; d++)
			self->loads[id][d] = self->cpus[id][d] == self->cores[0] ? 0.2 : 0;
	}
	sum = load_of_cpu(self, self->cores[0]);
	/* Unless there is nothing to divide. */
	EXPECT_EQ(sum > largest_load(self, 0), turn(self, false) > 0);
	EXPECT_TRUE(is_even(self, 0));
	for (unsigned int i = 0; i < LOOKS; i++)
		EXPECT_EQ(0, turn(self, false));
}

/* All relays have their memory on node 0, and the server lets them move anywhere. */
TEST_F(world, numa_nodes_count_unless_global) {
	unsigned int others = 0;

	make(self, variant->relays, variant->workers, variant->nodes);
	for (unsigned int id = 0; id < self->n_relays; id++) {
		self->nodes[id] = 0;
		self->cpus[id][0] = self->cpus[id][1] = self->cores[0];
		self->loads[id][0] = self->loads[id][1] = 0.3;
	}
	EXPECT_LT(0, turn(self, false) + (self->n_node_cpus[0] < 2));
	for (unsigned int id = 0; id < self->n_relays; id++)
		others += node_of_cpu(self, self->cpus[id][0]) ||
			  node_of_cpu(self, self->cpus[id][1]);
	EXPECT_EQ(0, others);
	if (variant->nodes == 1)
		return;
	EXPECT_LT(0, turn(self, true));
	for (unsigned int id = 0; id < self->n_relays; id++)
		others += node_of_cpu(self, self->cpus[id][0]) ||
			  node_of_cpu(self, self->cpus[id][1]);
	EXPECT_LT(0, others);
	EXPECT_EQ(0, turn(self, true));
	/* And home again. */
	EXPECT_LT(0, turn(self, false));
	for (unsigned int id = 0; id < self->n_relays; id++)
		EXPECT_EQ(0, node_of_cpu(self, self->cpus[id][0]));
}

/* A relay process has workers on its own node only. */
TEST_F(world, where_a_relay_cannot_go_it_does_not) {
	make(self, variant->relays, variant->workers, variant->nodes);
	self->tells_workers = true;
	turn(self, true);
	for (unsigned int id = 0; id < self->n_relays; id++) {
		for (unsigned int d = 0; d < LOAD_DIRECTIONS; d++)
			EXPECT_EQ(self->nodes[id], node_of_cpu(self, self->cpus[id][d]));
	}
}

TEST_F(world, pinned_relays_stay) {
	struct load_table *table;
	uint32_t cpu;

	make(self, variant->relays, variant->workers, variant->nodes);
	cpu = self->cpus[0][0];
	self->loads[0][0] = self->loads[0][1] = 0.4;
	table = look(self);
	load_table_fix(table, 0);
	load_table_plan(table, SENSITIVITY, false);
	EXPECT_FALSE(table->relays[0].moved);
	follow(self, table);
	load_table_free(table);
	EXPECT_EQ(cpu, self->cpus[0][0]);
	EXPECT_EQ(cpu, self->cpus[0][1]);
	/* Its load counts: nobody stays with it who has somewhere else to go. */
	if (variant->relays == 8 && variant->workers == 16)
		EXPECT_LT(fabs(load_of_cpu(self, cpu) - 0.8), 1e-9);
}

TEST_HARNESS_MAIN
