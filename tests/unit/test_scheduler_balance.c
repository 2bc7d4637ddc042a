/* SPDX-License-Identifier: BSD-3-Clause */

/* Which worker serves which direction: the rules one by one, on tables that fit a line. */
#include <math.h>
#include <string.h>

#include <kselftest_harness.h>

#include "scheduler/balance.h"
#include "scheduler/load_table.h"

#define SENSITIVITY 0.25

/* Two relays with one direction each that is worth anything: the figures are known. */
TEST(figures)
{
	const struct balance_worker two[] = { { .cpu = 1 }, { .cpu = 2 } };
	struct balance_flow flows[] = { { 0.4, 0 }, { 0.4, 0 } };
	struct balance_result result = balance(two, 2, flows, 2, SENSITIVITY);

	EXPECT_EQ(1, result.moves);
	EXPECT_EQ(1, flows[0].worker + flows[1].worker);
	EXPECT_LT(fabs(result.before - 1), 1e-9);
	EXPECT_LT(fabs(result.after), 1e-9);
}

/* The variation falls from 0.2 to 0: that is more than 0.19, and not more than 0.2. */
TEST(sensitivity_is_a_limit)
{
	const struct balance_worker two[] = { { .cpu = 1 }, { .cpu = 2 } };
	struct balance_flow flows[] = { { 0.5, 0 }, { 0.1, 0 }, { 0.4, 1 } };

	EXPECT_EQ(0, balance(two, 2, flows, 3, 0.2 + 1e-9).moves);
	EXPECT_EQ(0, flows[1].worker);
	EXPECT_EQ(1, balance(two, 2, flows, 3, 0.19).moves);
	EXPECT_EQ(1, flows[1].worker);
}

/* No single move helps, an exchange does. */
TEST(two_change_places)
{
	const struct balance_worker two[] = { { .cpu = 1 }, { .cpu = 2 } };
	struct balance_flow flows[] = { { 0.6, 0 }, { 0.5, 0 }, { 0.3, 1 }, { 0.2, 1 } };

	EXPECT_EQ(2, balance(two, 2, flows, 4, 0.1).moves);
	EXPECT_NE(flows[0].worker, flows[1].worker);
	EXPECT_NE(flows[2].worker, flows[3].worker);
}

TEST(what_cannot_move_counts)
{
	const struct balance_worker two[] = { { .cpu = 1, .load = 0.6 }, { .cpu = 2 } };
	struct balance_flow flows[] = { { 0.3, 0 }, { 0.3, 0 } };

	EXPECT_EQ(2, balance(two, 2, flows, 2, SENSITIVITY).moves);
}

TEST(hardly_any_load_is_left_alone)
{
	const struct balance_worker two[] = { { .cpu = 1 }, { .cpu = 2 } };
	struct balance_flow flows[] = { { 0.02, 0 }, { 0.02, 0 } };

	EXPECT_EQ(0, balance(two, 2, flows, 2, SENSITIVITY).moves);
}

static Virtioforwarder__RelayState *one_relay(uint32_t *cpus, size_t n)
{
	static Virtioforwarder__RelayState state;
	static Virtioforwarder__RelayState__VFtoVM up;
	static Virtioforwarder__RelayState__VMtoVF down;
	static Virtioforwarder__RelayState__CPU cpu;

	virtioforwarder__relay_state__init(&state);
	virtioforwarder__relay_state__vfto_vm__init(&up);
	virtioforwarder__relay_state__vmto_vf__init(&down);
	virtioforwarder__relay_state__cpu__init(&cpu);
	state.vf_to_vm = &up;
	state.vm_to_vf = &down;
	state.cpu = &cpu;
	up.cpus = cpus;
	up.n_cpus = n;
	cpu.has_vf_to_vm = cpu.has_vm_to_vf = true;
	cpu.vf_to_vm = cpu.vm_to_vf = 1;
	return &state;
}

static struct load_table *table_of(Virtioforwarder__RelayState *state)
{
	static const uint32_t cores[] = { 2, 1, 2 };
	Virtioforwarder__StatsResponse stats = VIRTIOFORWARDER__STATS_RESPONSE__INIT;

	stats.relay = &state;
	stats.n_relay = 1;
	return load_table_new(&stats, cores, 3, "/nonexistent");
}

/* A server of 1.1 tells rates only. */
TEST(estimated_when_not_measured)
{
	Virtioforwarder__RelayState *state = one_relay(NULL, 0);
	struct load_table *table;

	state->vf_to_vm->pkt_rate_rx_from_vf = state->vf_to_vm->pkt_rate_tx_to_vm = 1e6;
	state->vf_to_vm->byte_rate_rx_from_vf = state->vf_to_vm->byte_rate_tx_to_vm = 1e9;
	table = table_of(state);
	ASSERT_EQ(2, table->n_workers);
	EXPECT_EQ(1, table->workers[0].cpu);
	EXPECT_LT(fabs(table->relays[0].flows[LOAD_VF_TO_VM].load - 0.17), 1e-6);
	EXPECT_LT(fabs(table->workers[0].load - 0.17), 1e-6);
	EXPECT_TRUE(table->relays[0].movable);
	load_table_free(table);
}

/* Moving it would put all of its queues on one worker. */
TEST(several_queues_stay_spread)
{
	uint32_t cpus[] = { 1, 2 };
	Virtioforwarder__RelayState *state = one_relay(cpus, 2);
	struct load_table *table;

	state->vf_to_vm->has_load = true;
	state->vf_to_vm->load = 0.8;
	table = table_of(state);
	EXPECT_FALSE(table->relays[0].movable);
	EXPECT_LT(fabs(table->workers[1].load - 0.4), 1e-6);
	EXPECT_EQ(0, load_table_plan(table, 0, true).moves);
	load_table_free(table);
}

TEST(nonsense_from_a_server)
{
	uint32_t cpus[] = { 4000000000u, 7 };
	Virtioforwarder__RelayState *state = one_relay(cpus, 2);
	struct load_table *table;

	state->vf_to_vm->has_load = state->vm_to_vf->has_load = true;
	state->vf_to_vm->load = NAN;
	state->vm_to_vf->load = -5;
	state->cpu->vm_to_vf = -7;
	table = table_of(state);
	EXPECT_EQ(0, table->n_relays);
	EXPECT_EQ(0, load_table_plan(table, SENSITIVITY, false).moves);
	load_table_free(table);
	state->cpu->vm_to_vf = 2;
	table = table_of(state);
	ASSERT_EQ(1, table->n_relays);
	EXPECT_FALSE(table->relays[0].movable);
	EXPECT_EQ(0, table->relays[0].flows[LOAD_VF_TO_VM].load);
	EXPECT_EQ(0, table->relays[0].flows[LOAD_VM_TO_VF].load);
	load_table_free(table);
}

TEST_HARNESS_MAIN
