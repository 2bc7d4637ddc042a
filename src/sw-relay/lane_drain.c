/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Before a device is stopped, its lanes run dry: what is under way reaches the other side, and what
 * the guest makes available meanwhile stays in its ring, for whoever serves it next.
 *
 * VM to VF a lane is dry when nothing waits in it and the device has taken all that it was given.
 * VF to VM nobody knows what is still to come: there a lane is dry when nothing has come for a
 * while since the last lane from the VM was (a device may send back what it gets), or when things
 * have not stopped coming for longer.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include <rte_cycles.h>

#include "sw-relay/lane.h"

#define ENDLESS 4 /* times lane_quiet */

void lane_drain(struct lane *lane, struct lane_drain *drain)
{
	lane->drain = drain;
	lane->dry = false;
	lane->quiet_since = lane->sent_since = rte_rdtsc();
	atomic_fetch_add(&drain->left[lane->cfg.direction], 1);
}

bool lane_drain_is_over(const struct lane_drain *drain)
{
	return !atomic_load(&drain->left[LANE_VM_TO_VF]) &&
	       !atomic_load(&drain->left[LANE_VF_TO_VM]);
}

void lane_set_dry(struct lane *lane)
{
	lane->dry = true;
	atomic_fetch_sub(&lane->drain->left[lane->cfg.direction], 1);
	if (lane_drain_is_over(lane->drain))
		eventfd_write(lane->drain->fd, 1);
}

/* A round may have begun before the lane was told. */
static bool has_passed(uint64_t since, uint64_t cycles, uint64_t now)
{
	return now >= since + cycles;
}

static bool has_sent(const struct lane *lane, uint64_t now)
{
	struct backend *backend = lane->cfg.backend;
	int left;

	if (lane_waits(lane))
		return false;
	left = backend && backend->ops->tx_left ? backend->ops->tx_left(backend, lane->cfg.tx_queue)
						: -ENOTSUP;
	return left < 0 ? has_passed(lane->quiet_since, lane_quiet, now) : !left;
}

static bool has_received(struct lane *lane, uint64_t now)
{
	if (atomic_load(&lane->drain->left[LANE_VM_TO_VF])) {
		lane->quiet_since = lane->sent_since = now;
		return false;
	}
	return has_passed(lane->quiet_since, lane_quiet, now) ||
	       has_passed(lane->sent_since, ENDLESS * lane_quiet, now);
}

unsigned int lane_run_dry(struct lane *lane, uint64_t now)
{
	const bool to_vm = lane->cfg.direction == LANE_VF_TO_VM;
	unsigned int n = to_vm ? lane_to_vm(lane) : lane_to_vf_rest(lane, now);

	if (n)
		lane->quiet_since = now;
	if (lane_drains(lane) && (to_vm ? has_received(lane, now) : has_sent(lane, now)))
		lane_set_dry(lane);
	return n;
}
