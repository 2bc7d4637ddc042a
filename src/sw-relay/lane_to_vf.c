/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VM to VF. A burst is taken from the guest's ring and handed to the device as it is; one pass over
 * the burst adds up lengths and finds out whether any packet needs more than that.
 *
 * If one does (an offload the device lacks, a frame too long), the burst takes the slow path:
 * packet by packet into `out`, which is sent whenever the next packet might not fit.
 *
 * A look at the guest's ring moves cache lines between two CPUs, which costs as much for one packet
 * as for a full burst, and costs the guest as well: it is the one who waits when it writes there
 * next. The ring of a guest that sends fast is therefore left alone for as long as a burst takes to
 * gather, and never longer than lane_gather.
 *
 * A device without room: what is left stays in the lane (`out`, and behind it the rest of `pkts`
 * that is not prepared yet), nothing more is taken from the guest until it has gone, and so the
 * guest's ring fills and the guest waits. After lane_patience without any progress it is dropped:
 * a device that is stuck must not stop the guest's ring for ever.
 */
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_ethdev.h>
#include <rte_vhost.h>

#include "sw-relay/lane.h"
#include "sw-relay/pool.h"

#define GATHER_LEAST 32 /* packets that make it worth while to wait */
#define GATHER_AGAIN 8	/* packets to wait for when none are there yet */
#define LARGE_BURST 32	/* of packets that are long chains */

#define FROM_GUEST_FLAGS (RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_LRO)
#define SEGMENTED (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)

/* Longest packet of a guest in mbufs. */
#define LARGE_SEGMENTS (65536 / 2048 + 1)

/* The library loses a packet when the pool runs dry in the middle of it: of packets that are long
 * chains only so many are taken as there is memory for. */
static unsigned int chains_allowed(const struct lane *lane)
{
	if (likely(!lane->cfg.large))
		return LANE_BURST;
	return RTE_MIN(pool_free(lane->cfg.pool) / LARGE_SEGMENTS, (unsigned int)LARGE_BURST);
}

/* The library sends the RARP request, so it is asked until it has given something since. */
static unsigned int with_rarp(struct lane *lane, uint32_t asked)
{
	unsigned int n = ring_dequeue_library(lane->cfg.vm->vid, VM_TX_RING(lane->cfg.index),
					      lane->cfg.pool, lane->pkts, chains_allowed(lane));

	if (n)
		lane->rarp_taken = asked;
	return n;
}

static unsigned int from_guest(struct lane *lane)
{
	uint16_t ring = VM_TX_RING(lane->cfg.index);
	struct vm *vm = lane->cfg.vm;
	uint32_t asked = atomic_load_explicit(&vm->rarp.count, memory_order_acquire);

	if (unlikely(asked != lane->rarp_taken))
		return with_rarp(lane, asked);
	return ring_dequeue(&vm->rings[ring].fast, vm->vid, ring, lane->cfg.pool, lane->pkts,
			    LANE_BURST, chains_allowed(lane));
}

static unsigned int to_device(struct lane *lane, struct rte_mbuf **pkts, unsigned int n)
{
	struct backend *backend = lane->cfg.backend;

	return backend->ops->tx_burst(backend, lane->cfg.tx_queue, pkts, n);
}

/* Sends what is in out. True when all of it has gone. */
static bool flush_out(struct lane *lane)
{
	unsigned int n = lane->out_n - lane->out_head;
	struct rte_mbuf **pkts = lane->out + lane->out_head;
	uint64_t bytes = 0;
	unsigned int sent;

	for (unsigned int i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	sent = n ? to_device(lane, pkts, n) : 0;
	for (unsigned int i = sent; i < n; i++)
		bytes -= pkts[i]->pkt_len;
	amount_add(&lane->stats->out, sent, bytes);
	if (sent < n) {
		lane->out_head += sent;
		return false;
	}
	lane->out_head = lane->out_n = 0;
	return true;
}

/* Puts what the device is to get for m at the end of out. */
static void prepare(struct lane *lane, struct rte_mbuf *m)
{
	const struct lane_config *cfg = &lane->cfg;
	struct offload_ctx ctx = { .pool = cfg->pool, .max_frame = cfg->max_frame };
	struct offload_drops drops = { 0 };

	if (!offload_from_guest(m)) {
		lane_drop(lane, LANE_DROP_MALFORMED, &m, 1);
		return;
	}
	if (m->pkt_len > cfg->max_frame && !(m->ol_flags & SEGMENTED)) {
		lane_drop(lane, LANE_DROP_TOO_LONG, &m, 1);
		return;
	}
	if (!offload_unmet(cfg->offloads, m)) {
		lane->out[lane->out_n++] = m;
		return;
	}
	lane->out_n += offload_finish(&ctx, cfg->offloads, m, lane->out + lane->out_n, &drops);
	lane_drop_counted(lane, &drops);
}

/* Goes on with the packets of pkts that are not prepared yet. */
static void slow_path(struct lane *lane)
{
	while (lane->head < lane->n) {
		if (lane->out_n + OFFLOAD_MAX_SEGMENTS > LANE_OUT && !flush_out(lane))
			return;
		prepare(lane, lane->pkts[lane->head++]);
	}
	flush_out(lane);
}

/* True when nothing waits any more. */
static bool retry(struct lane *lane, uint64_t now, unsigned int *progress)
{
	uint16_t left = lane->out_n - lane->out_head;

	if (flush_out(lane))
		slow_path(lane);
	if (!lane_waits(lane)) {
		*progress = 1;
		return true;
	}
	if (lane->out_n - lane->out_head != left) {
		*progress = 1;
		lane->deadline = now + lane_patience;
		return false;
	}
	if (now < lane->deadline)
		return false;
	lane_drop(lane, LANE_DROP_QUEUE_FULL, lane->out + lane->out_head, left);
	lane_drop(lane, LANE_DROP_QUEUE_FULL, lane->pkts + lane->head, lane->n - lane->head);
	lane->out_head = lane->out_n = lane->head = lane->n = 0;
	return true;
}

unsigned int lane_to_vf_rest(struct lane *lane, uint64_t now)
{
	unsigned int progress = 0;

	if (lane_waits(lane))
		retry(lane, now, &progress);
	return progress;
}

static void keep(struct lane *lane, struct rte_mbuf **pkts, unsigned int n, uint64_t now)
{
	memcpy(lane->out, pkts, n * sizeof(*pkts));
	lane->out_head = 0;
	lane->out_n = n;
	lane->deadline = now + lane_patience;
}

uint64_t lane_gather_wait(uint64_t *pace, uint64_t since, unsigned int n)
{
	uint64_t most;

	if (n)
		*pace = (*pace * 7 + RTE_MIN(since / n, lane_gather)) / 8;
	most = lane_gather / (*pace + 1);
	if (n >= LANE_BURST || most < GATHER_LEAST || (!n && since > lane_gather))
		return 0;
	return *pace * (n ? RTE_MIN(most, (uint64_t)LANE_BURST) : GATHER_AGAIN);
}

unsigned int lane_to_vf(struct lane *lane, uint64_t now)
{
	const struct lane_config *cfg = &lane->cfg;
	struct lane_stats *stats = lane->stats;
	struct rte_mbuf **pkts = lane->pkts;
	uint64_t flags = 0, bytes = 0;
	uint32_t longest = 0, segments = 0;
	unsigned int progress = 0;
	unsigned int n, sent;

	if (unlikely(lane_waits(lane)) && !retry(lane, now, &progress))
		return progress;
	if (now < lane->next_look)
		return progress;

	stat_add(&stats->polls, 1);
	n = from_guest(lane);
	lane->next_look = now + lane_gather_wait(&lane->pace, now - lane->last_find, n);
	if (!n) {
		stat_add(&stats->empty_polls, 1);
		return progress;
	}
	lane->last_find = now;
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = pkts[i]->pkt_len;

		bytes += len;
		longest = RTE_MAX(longest, len);
		flags |= pkts[i]->ol_flags;
		segments |= pkts[i]->nb_segs;
	}
	amount_add(&stats->in, n, bytes);

	if (unlikely(!cfg->backend)) {
		lane_drop(lane, LANE_DROP_NOT_CONNECTED, pkts, n);
		return n;
	}
	if (unlikely((flags & (FROM_GUEST_FLAGS | OFFLOAD_FLAGS)) || longest > cfg->max_frame ||
		     (segments != 1 && !(cfg->offloads & OFFLOAD_MULTI_SEGS)))) {
		lane->head = 0;
		lane->n = n;
		lane->deadline = now + lane_patience;
		slow_path(lane);
		return n;
	}
	sent = to_device(lane, pkts, n);
	if (unlikely(sent < n)) {
		for (unsigned int i = sent; i < n; i++)
			bytes -= pkts[i]->pkt_len;
		keep(lane, pkts + sent, n - sent, now);
	}
	amount_add(&stats->out, sent, bytes);
	return n;
}
