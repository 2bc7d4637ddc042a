/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VF to VM. A burst of one RX queue goes to the guest's receive rings: when there are as many
 * queues in use as rings, each queue to its own ring and nothing is looked at; with fewer queues,
 * flows are spread over all rings by their hash; with more, queues share rings in turn.
 *
 * The library copies: the mbufs are this side's again after the call. A ring without room drops;
 * waiting would only move the loss into the device and delay other rings of the burst.
 */
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_ether.h>
#include <rte_vhost.h>

#include "sw-relay/flow.h"
#include "sw-relay/lane.h"

void lane_set_rings(struct lane *lane, uint64_t enabled)
{
	unsigned int n = 0;

	for (unsigned int q = 0; q < ENDPOINT_MAX_QUEUES; q++) {
		if (!(enabled & (1ull << VM_RX_RING(q))))
			continue;
		lane->rings[n++] = VM_RX_RING(q);
	}
	lane->n_rings = n;
	lane->rings_seen = enabled;
}

/* The guest need not tell when it adds receive buffers. */
static void mute_rings(struct lane *lane)
{
	for (unsigned int i = 0; i < lane->n_rings; i++)
		rte_vhost_enable_guest_notification(lane->cfg.vm->vid, lane->rings[i], 0);
}

static unsigned int enqueue(struct lane *lane, uint16_t ring, struct rte_mbuf **pkts,
			    unsigned int n)
{
	struct vm *vm = lane->cfg.vm;

	return ring_enqueue(&vm->rings[ring].fast, vm->vid, ring, pkts, n);
}

/* The ring had no room for m: would it ever? The library stops at the first packet that does not
 * fit, whatever the reason. */
static bool never_fits(const struct lane *lane, uint16_t ring, const struct rte_mbuf *m)
{
	uint16_t available;

	if (m->pkt_len <= RTE_ETHER_MAX_LEN)
		return false; /* any buffer takes that */
	if (lane->cfg.packed) /* the library cannot count a packed ring's buffers */
		return !lane->cfg.mergeable;
	available = rte_vhost_avail_entries(lane->cfg.vm->vid, ring);
	if (!lane->cfg.mergeable)
		return available > 0;
	return available + 1 >= lane->cfg.vm->rings[ring].size;
}

struct loss {
	unsigned int packets;
	uint64_t bytes;
};

static void lose(struct lane *lane, enum lane_drop reason, struct rte_mbuf *const *pkts,
		 unsigned int n, struct loss *loss)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	amount_add(&lane->stats->drops[reason], n, bytes);
	loss->packets += n;
	loss->bytes += bytes;
}

static void ring_full(struct lane *lane, uint16_t ring, struct rte_mbuf **pkts, unsigned int n,
		      struct loss *loss)
{
	while (n) {
		unsigned int sent;

		if (!never_fits(lane, ring, pkts[0])) {
			lose(lane, LANE_DROP_QUEUE_FULL, pkts, n, loss);
			return;
		}
		lose(lane, LANE_DROP_TOO_LONG, pkts, 1, loss);
		pkts++;
		n--;
		sent = enqueue(lane, ring, pkts, n);
		pkts += sent;
		n -= sent;
	}
}

/* Flows stay in order: the packets of a ring keep theirs. */
static void spread(struct lane *lane, struct rte_mbuf **pkts, unsigned int n, struct loss *loss)
{
	struct rte_mbuf *part[LANE_OUT];
	uint8_t queue[LANE_OUT];
	uint32_t used = 0;

	for (unsigned int i = 0; i < n; i++) {
		queue[i] = flow_queue(flow_hash(pkts[i]), lane->n_rings);
		used |= 1u << queue[i];
	}
	while (used) {
		unsigned int q = __builtin_ctz(used);
		unsigned int len = 0;
		unsigned int sent;

		used &= used - 1;
		for (unsigned int i = 0; i < n; i++) {
			if (queue[i] == q)
				part[len++] = pkts[i];
		}
		sent = enqueue(lane, lane->rings[q], part, len);
		if (unlikely(sent < len))
			ring_full(lane, lane->rings[q], part + sent, len - sent, loss);
	}
}

/* Consumes pkts: at most LANE_OUT of them. */
static void deliver(struct lane *lane, struct rte_mbuf **pkts, unsigned int n, uint64_t bytes)
{
	struct loss loss = { 0 };

	if (unlikely(!lane->n_rings)) {
		lane_drop(lane, LANE_DROP_NOT_CONNECTED, pkts, n);
		return;
	}
	if (lane->cfg.queues >= lane->n_rings) {
		uint16_t ring = lane->rings[lane->cfg.index % lane->n_rings];
		unsigned int sent = enqueue(lane, ring, pkts, n);

		if (unlikely(sent < n))
			ring_full(lane, ring, pkts + sent, n - sent, &loss);
	} else {
		spread(lane, pkts, n, &loss);
	}
	amount_add(&lane->stats->out, n - loss.packets, bytes - loss.bytes);
	rte_pktmbuf_free_bulk(pkts, n);
}

static void deliver_out(struct lane *lane)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < lane->out_n; i++)
		bytes += lane->out[i]->pkt_len;
	if (lane->out_n)
		deliver(lane, lane->out, lane->out_n, bytes);
	lane->out_n = 0;
}

/* Packets that ask for what this guest has not negotiated. */
static void slow_path(struct lane *lane, struct rte_mbuf **pkts, unsigned int n)
{
	struct offload_ctx ctx = { .pool = lane->cfg.pool, .max_frame = lane->cfg.max_frame };
	struct offload_drops drops = { 0 };

	for (unsigned int i = 0; i < n; i++) {
		if (lane->out_n + OFFLOAD_MAX_SEGMENTS > LANE_OUT)
			deliver_out(lane);
		if (offload_unmet(lane->cfg.offloads, pkts[i]))
			lane->out_n += offload_finish(&ctx, lane->cfg.offloads, pkts[i],
						      lane->out + lane->out_n, &drops);
		else
			lane->out[lane->out_n++] = pkts[i];
	}
	deliver_out(lane);
	lane_drop_counted(lane, &drops);
}

unsigned int lane_to_vm(struct lane *lane)
{
	struct lane_stats *stats = lane->stats;
	struct rte_mbuf **pkts = lane->pkts;
	struct backend *backend = lane->cfg.backend;
	struct vm *vm = lane->cfg.vm;
	uint64_t bytes = 0, flags = 0;
	uint64_t enabled;
	unsigned int n;

	stat_add(&stats->polls, 1);
	n = backend->ops->rx_burst(backend, lane->cfg.index, pkts, LANE_BURST);
	if (!n) {
		stat_add(&stats->empty_polls, 1);
		return 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		bytes += pkts[i]->pkt_len;
		flags |= pkts[i]->ol_flags;
	}
	amount_add(&stats->in, n, bytes);

	if (unlikely(!vm)) {
		lane_drop(lane, LANE_DROP_NOT_CONNECTED, pkts, n);
		return n;
	}
	enabled = atomic_load_explicit(&vm->enabled, memory_order_relaxed) & VM_RX_RINGS_MASK;
	if (unlikely(enabled != lane->rings_seen)) {
		lane_set_rings(lane, enabled);
		mute_rings(lane);
	}
	if (unlikely(flags & OFFLOAD_FLAGS))
		slow_path(lane, pkts, n);
	else
		deliver(lane, pkts, n, bytes);
	return n;
}
