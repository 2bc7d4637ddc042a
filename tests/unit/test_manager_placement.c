/* SPDX-License-Identifier: BSD-3-Clause */

#include <kselftest_harness.h>

#include "manager/placement.h"

#define MAX 4

struct row {
	const char *what;
	struct placement_process processes[MAX];
	size_t n;
	int nodes[2];
	size_t n_nodes;
	struct placement_request request;
	enum placement_action action;
	unsigned int number;
	int numa_node; /* with PLACEMENT_NEW */
};

/* number, node, ports, max ports, endpoints */
static const struct row table[] = {
	{ "an endpoint without a device goes to the only process",
	  { { 0, 0, 32, 32, 40 } },
	  1,
	  { 0 },
	  1,
	  { -1, false, -1 },
	  PLACEMENT_USE,
	  0,
	  0 },
	{ "of two the one with fewer ports",
	  { { 0, 0, 5, 32, 5 }, { 1, 0, 3, 32, 9 } },
	  2,
	  { 0 },
	  1,
	  { -1, false, -1 },
	  PLACEMENT_USE,
	  1,
	  0 },
	{ "with equal ports the one with fewer endpoints",
	  { { 0, 0, 3, 32, 9 }, { 1, 1, 3, 32, 5 } },
	  2,
	  { 0, 1 },
	  2,
	  { -1, true, -1 },
	  PLACEMENT_USE,
	  1,
	  1 },
	{ "a device's node counts",
	  { { 0, 0, 0, 32, 0 }, { 1, 1, 20, 32, 20 } },
	  2,
	  { 0, 1 },
	  2,
	  { 1, true, -1 },
	  PLACEMENT_USE,
	  1,
	  1 },
	{ "a node without workers does not",
	  { { 0, 0, 0, 32, 0 } },
	  1,
	  { 0 },
	  1,
	  { 3, true, -1 },
	  PLACEMENT_USE,
	  0,
	  0 },
	{ "the 33rd port needs a further process",
	  { { 0, 0, 32, 32, 64 } },
	  1,
	  { 0 },
	  1,
	  { -1, true, -1 },
	  PLACEMENT_NEW,
	  1,
	  0 },
	{ "on the device's node",
	  { { 0, 0, 0, 32, 0 }, { 1, 1, 32, 32, 32 } },
	  2,
	  { 0, 1 },
	  2,
	  { 1, true, -1 },
	  PLACEMENT_NEW,
	  2,
	  1 },
	{ "an endpoint stays where a port is left",
	  { { 0, 0, 31, 32, 64 }, { 1, 0, 0, 32, 0 } },
	  2,
	  { 0 },
	  1,
	  { -1, true, 0 },
	  PLACEMENT_STAY,
	  0,
	  0 },
	{ "even on another node than the device's",
	  { { 0, 0, 3, 32, 3 }, { 1, 1, 0, 32, 0 } },
	  2,
	  { 0, 1 },
	  2,
	  { 1, true, 0 },
	  PLACEMENT_STAY,
	  0,
	  0 },
	{ "it moves when none is left",
	  { { 0, 0, 32, 32, 64 }, { 1, 0, 7, 32, 7 } },
	  2,
	  { 0 },
	  1,
	  { -1, true, 0 },
	  PLACEMENT_USE,
	  1,
	  0 },
	{ "to a new process when all are full",
	  { { 0, 0, 32, 32, 64 }, { 1, 0, 32, 32, 32 } },
	  2,
	  { 0 },
	  1,
	  { -1, true, 0 },
	  PLACEMENT_NEW,
	  2,
	  0 },
	{ "a network interface takes no port and stays",
	  { { 0, 0, 32, 32, 64 } },
	  1,
	  { 0 },
	  1,
	  { -1, false, 0 },
	  PLACEMENT_STAY,
	  0,
	  0 },
	{ "free numbers are used again",
	  { { 0, 0, 32, 32, 64 }, { 2, 0, 32, 32, 32 } },
	  2,
	  { 0 },
	  1,
	  { -1, true, -1 },
	  PLACEMENT_NEW,
	  1,
	  0 },
	{ "the first process of all",
	  { { 0 } },
	  0,
	  { 1 },
	  1,
	  { -1, false, -1 },
	  PLACEMENT_NEW,
	  0,
	  1 },
	{ "a device without a node goes to the node with fewer processes",
	  { { 0, 0, 32, 32, 32 }, { 1, 1, 32, 32, 32 }, { 2, 0, 32, 32, 32 } },
	  3,
	  { 0, 1 },
	  2,
	  { -1, true, -1 },
	  PLACEMENT_NEW,
	  3,
	  1 },
};

TEST(every_row)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct row *row = &table[i];
		struct placement placement = { 0 };

		placement_choose(row->processes, row->n, row->nodes, row->n_nodes, &row->request,
				 &placement);
		EXPECT_EQ(row->action, placement.action)
		TH_LOG("%s", row->what);
		EXPECT_EQ(row->number, placement.number)
		TH_LOG("%s", row->what);
		if (row->action == PLACEMENT_NEW) {
			EXPECT_EQ(row->numa_node, placement.numa_node)
			TH_LOG("%s", row->what);
		}
	}
}

/* Devices one after the other, as 64 static pairings come. */
TEST(sixty_four_ports_need_two_processes)
{
	struct placement_process processes[MAX] = { { .number = 0, .max_ports = 32 } };
	const int nodes[] = { 0 };
	size_t n = 1;

	for (int i = 0; i < 64; i++) {
		const struct placement_request request = { .numa_node = -1,
							   .ports = 1,
							   .current = -1 };
		struct placement placement;

		placement_choose(processes, n, nodes, 1, &request, &placement);
		if (placement.action == PLACEMENT_NEW) {
			ASSERT_LT(n, MAX);
			processes[n++] = (struct placement_process){ .number = placement.number,
								     .max_ports = 32 };
		}
		processes[placement.number].ports++;
		processes[placement.number].endpoints++;
	}
	EXPECT_EQ(2, n);
	EXPECT_EQ(32, processes[0].ports);
	EXPECT_EQ(32, processes[1].ports);
}

/* A bond goes where all its ports are free, and what needs none goes anywhere. */
TEST(bond_needs_several_ports)
{
	struct placement_process processes[] = {
		{ .number = 0, .ports = 30, .max_ports = 32 },
		{ .number = 1, .ports = 31, .max_ports = 32 },
	};
	struct placement_request request = { .numa_node = -1, .ports = 3, .current = -1 };
	const int nodes[] = { 0 };
	struct placement placement;

	placement_choose(processes, 2, nodes, 1, &request, &placement);
	EXPECT_EQ(PLACEMENT_NEW, placement.action);
	request.ports = 2;
	placement_choose(processes, 2, nodes, 1, &request, &placement);
	EXPECT_EQ(PLACEMENT_USE, placement.action);
	EXPECT_EQ(0, placement.number);
	processes[0].ports = processes[1].ports = 33;
	request.ports = 0;
	placement_choose(processes, 2, nodes, 1, &request, &placement);
	EXPECT_EQ(PLACEMENT_USE, placement.action);
}

TEST_HARNESS_MAIN
