/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A lane moves the packets of one queue in one direction: (endpoint, VF to VM or VM to VF, index).
 * It is made and published to one worker by the control side (worker_table.h) and then belongs to
 * that worker until it is taken out of the worker's table.
 */
#ifndef VIO4WD_RELAY_LANE_H
#define VIO4WD_RELAY_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "sw-relay/backend.h"
#include "sw-relay/offload.h"
#include "sw-relay/vm.h"

#define LANE_BURST 64
/* Room for what one packet can become besides what already waits. */
#define LANE_OUT (2 * OFFLOAD_MAX_SEGMENTS)

enum lane_direction { LANE_VF_TO_VM, LANE_VM_TO_VF };
#define LANE_DIRECTIONS 2

enum lane_drop {
	LANE_DROP_QUEUE_FULL,	 /* the receiver has no room */
	LANE_DROP_NOT_CONNECTED, /* there is no receiver */
	LANE_DROP_TOO_LONG,	 /* the receiver can never take it */
	LANE_DROP_MALFORMED,	 /* offload requests that its headers do not bear out */
	LANE_DROP_NO_MEMORY,
};
#define LANE_DROPS 5

struct lane_amount {
	uint64_t packets;
	uint64_t bytes;
};

/* Written by one worker at a time with relaxed stores; it outlives the lanes that write it. */
struct lane_stats {
	struct lane_amount in;
	struct lane_amount out;
	struct lane_amount drops[LANE_DROPS];
	uint64_t polls;
	uint64_t empty_polls;
	uint64_t busy_cycles;
} __rte_cache_aligned;

static inline void stat_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline void amount_add(struct lane_amount *a, uint64_t packets, uint64_t bytes)
{
	stat_add(&a->packets, packets);
	stat_add(&a->bytes, bytes);
}

static inline uint64_t stat_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* What a lane does; fixed while it is published. Two lanes of the same index and equal
 * configuration are the same. */
struct lane_config {
	enum lane_direction direction;
	uint16_t index;		 /* RX queue of the device, resp. queue of the guest */
	uint16_t queues;	 /* VF to VM: RX queues in use */
	uint16_t tx_queue;	 /* VM to VF */
	struct vm *vm;		 /* NULL: no VM */
	struct backend *backend; /* NULL: no device */
	struct rte_mempool *pool;
	uint32_t offloads;  /* OFFLOAD_* that the receiver finishes */
	uint16_t max_frame; /* longest frame the device takes, without CRC */
	bool mergeable;	    /* the guest's buffers are */
	bool packed;	    /* so are its rings */
	bool large;	    /* packets of the guest may be up to 64 KiB */
};

/* Lanes that run dry together. It outlives them. */
struct lane_drain {
	int fd; /* eventfd: written when none is left */
	_Atomic unsigned int left[LANE_DIRECTIONS];
};

enum lane_state {
	LANE_FRESH,  /* not seen by its worker */
	LANE_POLLED, /* looked at in every round */
	LANE_ARMED,  /* an interrupt or a kick will tell */
	LANE_TIMED,  /* nothing can tell: looked at every max_sleep_us */
	LANE_OFF,    /* its ring is disabled; a change of its state will tell */
};

struct lane {
	struct lane_config cfg;
	struct lane_stats *stats;
	struct worker *worker; /* that it is published to, or will be; control side */
	bool in_use;	       /* carries traffic: counts for the worker's load; control side */

	_Atomic int state;	  /* enum lane_state; the worker's, shown to the control side */
	unsigned int place;	  /* in its worker's table */
	unsigned int timed_place; /* LANE_TIMED: in that table's timed ones */
	uint32_t stirs_seen;	  /* LANE_TIMED: the VM's count when it became so */
	bool arming; /* armed, but must be polled once more before it may be left alone */
	int slot;    /* of the worker's epoll set, -1: none */
	uint32_t slot_generation; /* of the ring when it was put there */
	uint32_t rarp_seen;	  /* VM to VF: the RARP requests for which its ring was looked at */
	uint32_t rarp_taken;	  /* those after which the library has given something */
	uint64_t stuck_since;	  /* TSC; VM to VF: what is in the ring cannot be taken */
	uint64_t last_work;	  /* TSC */

	/* VF to VM: the enabled receive rings of the guest */
	uint64_t rings_seen;
	uint8_t n_rings;
	uint8_t rings[ENDPOINT_MAX_QUEUES];

	/* VM to VF, TSC: when the guest's ring was last looked at and not empty, and before when it
	 * is not looked at again */
	uint64_t last_find;
	uint64_t next_look;
	uint64_t pace; /* cycles from packet to packet */
	/* VM to VF: packets the device had no room for: first out, then what is left of pkts */
	uint64_t deadline; /* TSC when they are given up */
	uint16_t head, n;
	uint16_t out_head, out_n;

	/* it runs dry (lane_drain.c), and is polled until it is taken away; NULL: it does not */
	struct lane_drain *drain;
	bool dry;
	uint64_t quiet_since; /* TSC: nothing has moved since */
	uint64_t sent_since;  /* TSC: VF to VM: all lanes from the VM have been dry since */

	struct rte_mbuf *pkts[LANE_BURST];
	struct rte_mbuf *out[LANE_OUT];
} __rte_cache_aligned;

/* NULL: no memory. stats outlives the lane. */
struct lane *lane_new(const struct lane_config *cfg, struct lane_stats *stats);
/* No worker has it. Packets that still wait are counted as queue_full. */
void lane_free(struct lane *lane);
bool lane_config_equal(const struct lane_config *a, const struct lane_config *b);
const char *lane_direction_name(enum lane_direction direction); /* "vf_to_vm", "vm_to_vf" */
const char *lane_state_name(enum lane_state state);
const char *lane_drop_name(enum lane_drop reason); /* "queue_full" */

/* One round by the worker that has the lane; now is the TSC. How many packets came in; for VM to VF
 * also > 0 when packets that waited went on. */
unsigned int lane_to_vm(struct lane *lane);
unsigned int lane_to_vf(struct lane *lane, uint64_t now);

/* What is left of a burst of the guest. > 0: some of it has gone. */
unsigned int lane_to_vf_rest(struct lane *lane, uint64_t now);

/*
 * From its next round on the lane takes nothing more from the guest, and delivers what comes from
 * the device; it counts in drain until it is dry, or freed. For good. No worker has the lane.
 */
void lane_drain(struct lane *lane, struct lane_drain *drain);
bool lane_drain_is_over(const struct lane_drain *drain);
void lane_set_dry(struct lane *lane);
unsigned int lane_run_dry(struct lane *lane, uint64_t now);

/* It is not dry yet. */
static inline bool lane_drains(const struct lane *lane)
{
	return lane->drain && !lane->dry;
}

static inline unsigned int lane_run(struct lane *lane, uint64_t now)
{
	guard_current = lane->cfg.vm ? &lane->cfg.vm->guard : NULL;
	if (unlikely(lane->drain != NULL))
		return lane_run_dry(lane, now);
	if (lane->cfg.direction == LANE_VM_TO_VF)
		return lane_to_vf(lane, now);
	return lane_to_vm(lane);
}

/* Packets wait for room in the device: the lane must be polled. */
static inline bool lane_waits(const struct lane *lane)
{
	return lane->head < lane->n || lane->out_head < lane->out_n;
}

/* The guest's enabled receive rings, by which lane_to_vm distributes. */
void lane_set_rings(struct lane *lane, uint64_t enabled);

/* Assignment rules, for the control side. */
/* The TX queue of the guest's queue. */
static inline uint16_t lane_tx_queue(uint16_t index, uint16_t tx_queues)
{
	return index % tx_queues;
}

void lane_drop(struct lane *lane, enum lane_drop reason, struct rte_mbuf **pkts, unsigned int n);
/* What offload_finish() dropped. */
void lane_drop_counted(struct lane *lane, const struct offload_drops *drops);

/* Cycles a packet waits for room in a device before it is given up: about a millisecond. */
extern uint64_t lane_patience;
/* Cycles that the ring of a busy guest is left alone at most. */
extern uint64_t lane_gather;
/* Cycles without a packet after which none is expected from a device: some milliseconds. */
extern uint64_t lane_quiet;

/*
 * n packets were in the ring, `since` cycles after the last look that found some: for how many
 * cycles to leave it alone, so that a burst gathers; at most lane_gather. pace is a moving average
 * of the cycles from packet to packet, kept for the caller. A guest so slow that few packets would
 * gather, or that has stopped, is not made to wait at all.
 */
uint64_t lane_gather_wait(uint64_t *pace, uint64_t since, unsigned int n);

/* Once, after rte_eal_init. */
void lanes_init(void);

#endif
