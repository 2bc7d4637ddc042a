/* SPDX-License-Identifier: BSD-3-Clause */

/* What both directions of lanes share; the moving itself is in lane_to_vm.c and lane_to_vf.c. */
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "sw-relay/flow.h"
#include "sw-relay/lane.h"

#define GATHER_US 12
#define QUIET_MS 2

uint64_t lane_patience;
uint64_t lane_gather;
uint64_t lane_quiet;

static const char *const drop_names[LANE_DROPS] = {
	[LANE_DROP_QUEUE_FULL] = "queue_full", [LANE_DROP_NOT_CONNECTED] = "not_connected",
	[LANE_DROP_TOO_LONG] = "too_long",     [LANE_DROP_MALFORMED] = "malformed",
	[LANE_DROP_NO_MEMORY] = "no_memory",
};

void lanes_init(void)
{
	lane_patience = rte_get_tsc_hz() / 1000;
	lane_gather = rte_get_tsc_hz() / 1000000 * GATHER_US;
	lane_quiet = rte_get_tsc_hz() / 1000 * QUIET_MS;
	flow_init();
}

struct lane *lane_new(const struct lane_config *cfg, struct lane_stats *stats)
{
	struct lane *lane = rte_zmalloc("lane", sizeof(*lane), RTE_CACHE_LINE_SIZE);

	if (!lane)
		return NULL;
	lane->cfg = *cfg;
	lane->stats = stats;
	lane->state = LANE_FRESH;
	lane->slot = -1;
	return lane;
}

void lane_free(struct lane *lane)
{
	if (!lane)
		return;
	if (lane_drains(lane))
		lane_set_dry(lane);
	lane_drop(lane, LANE_DROP_QUEUE_FULL, lane->out + lane->out_head,
		  lane->out_n - lane->out_head);
	lane_drop(lane, LANE_DROP_QUEUE_FULL, lane->pkts + lane->head, lane->n - lane->head);
	rte_free(lane);
}

bool lane_config_equal(const struct lane_config *a, const struct lane_config *b)
{
	return a->direction == b->direction && a->index == b->index && a->queues == b->queues &&
	       a->tx_queue == b->tx_queue && a->vm == b->vm && a->backend == b->backend &&
	       a->pool == b->pool && a->offloads == b->offloads && a->max_frame == b->max_frame &&
	       a->mergeable == b->mergeable && a->packed == b->packed && a->large == b->large;
}

const char *lane_direction_name(enum lane_direction direction)
{
	return direction == LANE_VF_TO_VM ? "vf_to_vm" : "vm_to_vf";
}

const char *lane_state_name(enum lane_state state)
{
	switch (state) {
	case LANE_ARMED:
		return "armed";
	case LANE_TIMED:
		return "timed";
	case LANE_OFF:
		return "off";
	case LANE_FRESH:
	case LANE_POLLED:
		break;
	}
	return "polled";
}

const char *lane_drop_name(enum lane_drop reason)
{
	return drop_names[reason];
}

void lane_drop(struct lane *lane, enum lane_drop reason, struct rte_mbuf **pkts, unsigned int n)
{
	uint64_t bytes = 0;

	if (!n)
		return;
	for (unsigned int i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	amount_add(&lane->stats->drops[reason], n, bytes);
	rte_pktmbuf_free_bulk(pkts, n);
}

void lane_drop_counted(struct lane *lane, const struct offload_drops *drops)
{
	if (drops->malformed_packets)
		amount_add(&lane->stats->drops[LANE_DROP_MALFORMED], drops->malformed_packets,
			   drops->malformed_bytes);
	if (drops->no_memory_packets)
		amount_add(&lane->stats->drops[LANE_DROP_NO_MEMORY], drops->no_memory_packets,
			   drops->no_memory_bytes);
}
