/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Fixed work for lanes, to be run under `valgrind --tool=callgrind --collect-atstart=no
 * --instr-atstart=no` (tests/perf/run): only lane_run() is collected, and each case has a dump that
 * is named after it. Ends with an error when a lane has not done what its case says.
 *
 *   lane_work FOLDER    where the sockets are made
 *
 * Prints what has made the instructions, then for each case its name and by how many they are to be
 * divided: packets, or polls when there are none.
 *
 * The time is made up, so that what a lane does depends on no clock: it finds the guest's ring due
 * at each call.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_version.h>
#include <valgrind/callgrind.h>

#include "bed.h"
#include "common/log.h"

#define WARM_UP 32 /* rounds: caches of pools fill, symbols are bound */
#define ROUNDS 64  /* the guest's rings are gone through 16 times by full bursts */
#define SPREAD 4   /* rings */

static const struct guest guests[] = {
	{ .name = "mergeable", .queues = 1, .mergeable = true },
	{ .name = "unmergeable", .queues = 1 },
	{ .name = "queues", .queues = SPREAD, .mergeable = true },
	{ .name = "packed", .queues = 1, .mergeable = true, .packed = true },
};
enum { MERGEABLE, UNMERGEABLE, QUEUES, PACKED, GUESTS };

struct work {
	const char *name;
	unsigned int guest;
	enum lane_direction direction;
	struct frames frames; /* of each round; n 0: the poll finds nothing */
};

static const struct work works[] = {
	{ "vm_to_vf_64", MERGEABLE, LANE_VM_TO_VF, { LANE_BURST, 64 } },
	{ "vm_to_vf_1500", MERGEABLE, LANE_VM_TO_VF, { LANE_BURST, 1500 } },
	{ "vm_to_vf_64_bursts_of_4", MERGEABLE, LANE_VM_TO_VF, { 4, 64 } },
	{ "vm_to_vf_64_checksums", MERGEABLE, LANE_VM_TO_VF, { LANE_BURST, 64, true } },
	{ "vm_to_vf_1500_checksums", MERGEABLE, LANE_VM_TO_VF, { LANE_BURST, 1500, true } },
	{ "vm_to_vf_64_packed", PACKED, LANE_VM_TO_VF, { LANE_BURST, 64 } },
	{ "vm_to_vf_empty_poll", MERGEABLE, LANE_VM_TO_VF, { 0 } },
	{ "vf_to_vm_64", MERGEABLE, LANE_VF_TO_VM, { LANE_BURST, 64 } },
	{ "vf_to_vm_1500", MERGEABLE, LANE_VF_TO_VM, { LANE_BURST, 1500 } },
	{ "vf_to_vm_64_bursts_of_4", MERGEABLE, LANE_VF_TO_VM, { 4, 64 } },
	{ "vf_to_vm_64_checksums", MERGEABLE, LANE_VF_TO_VM, { LANE_BURST, 64, true } },
	{ "vf_to_vm_64_unmergeable", UNMERGEABLE, LANE_VF_TO_VM, { LANE_BURST, 64 } },
	{ "vf_to_vm_1500_unmergeable", UNMERGEABLE, LANE_VF_TO_VM, { LANE_BURST, 1500 } },
	{ "vf_to_vm_64_over_4_rings", QUEUES, LANE_VF_TO_VM, { LANE_BURST, 64 } },
	{ "vf_to_vm_64_packed", PACKED, LANE_VF_TO_VM, { LANE_BURST, 64 } },
	{ "vf_to_vm_empty_poll", MERGEABLE, LANE_VF_TO_VM, { 0 } },
};

static int go_round(struct bed *bed, const struct work *w, struct err *err)
{
	static uint64_t now;
	struct lane *lane = bed_lane(bed, w->direction);
	unsigned int came, left;
	int r;

	now += 2 * lane_gather;
	r = w->frames.n ? bed_offer(bed, w->direction, &w->frames, err) : 0;
	if (r < 0)
		return r;
	CALLGRIND_TOGGLE_COLLECT;
	came = lane_run(lane, now);
	CALLGRIND_TOGGLE_COLLECT;
	left = bed_collect(bed, w->direction);
	if (came == w->frames.n && left == w->frames.n)
		return 0;
	return err_set(err, -EIO, "work", "%s: of %u packets the lane took %u and passed on %u",
		       w->name, w->frames.n, came, left);
}

static int do_work(struct bed *bed, const struct work *w, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < WARM_UP; i++)
		r = go_round(bed, w, err);
	CALLGRIND_START_INSTRUMENTATION;
	for (unsigned int i = 0; r == 0 && i < ROUNDS; i++)
		r = go_round(bed, w, err);
	CALLGRIND_DUMP_STATS_AT(w->name);
	CALLGRIND_STOP_INSTRUMENTATION; /* the rest is done in a quarter of the time without */
	if (r == 0)
		printf("%s %u\n", w->name, ROUNDS * RTE_MAX(w->frames.n, 1u));
	return r;
}

static int visit(unsigned int guest, struct err *err)
{
	struct bed bed;
	int r = bed_make(&bed, &guests[guest], err);

	for (unsigned int i = 0; r == 0 && i < RTE_DIM(works); i++) {
		if (works[i].guest == guest)
			r = do_work(&bed, &works[i], err);
	}
	bed_end(&bed);
	return r;
}

static int work_through(const char *folder, struct err *err)
{
	int r = beds_init(folder, err);

	for (unsigned int guest = 0; r == 0 && guest < GUESTS; guest++)
		r = visit(guest, err);
	beds_fini();
	return r;
}

int main(int argc, char **argv)
{
	static char *eal[] = {
		"lane_work",	  "--no-huge",	    "--no-pci",	     "-m", "256", "--no-shconf",
		"--no-telemetry", "--iova-mode=va", "--log-level=4", "-c", "1",	  NULL
	};
	struct err err = { 0 };
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: lane_work FOLDER\n");
		return EXIT_FAILURE;
	}
	log_open("lane_work", LOG_WARNING);
	if (rte_eal_init(RTE_DIM(eal) - 1, eal) < 0) {
		fprintf(stderr, "lane_work: DPDK does not start\n");
		return EXIT_FAILURE;
	}
	printf("gcc %s, %s\n", __VERSION__, rte_version());
	r = work_through(argv[1], &err);
	rte_eal_cleanup();
	if (r < 0)
		fprintf(stderr, "lane_work: %s\n", err.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
