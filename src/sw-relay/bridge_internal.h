/* SPDX-License-Identifier: BSD-3-Clause */

/* Inside of the bridge: bridge.c (device, VM, modes), bridge_rings.c (what the device is told of
 * rings), bridge_memory.c (what it may reach), bridge_shadow.c, bridge_ctrl.c. All of it needs the
 * lock. */
#ifndef VIO4WD_RELAY_BRIDGE_INTERNAL_H
#define VIO4WD_RELAY_BRIDGE_INTERNAL_H

#include <rte_vhost.h>

#include "sw-relay/bridge.h"

#define BRIDGE_BIT(n) (1ull << (n))

/* bridge_memory.c */
/* Maps the VM's memory where the VM sees it (iova is its physical address), and unmaps what is not
 * there any more. What is the same file at the same place is left alone. */
int bridge_memory_update(struct bridge *b, struct err *err);
void bridge_memory_unmap(struct bridge *b);
/* The VM's physical address of what we have at addr; UINT64_MAX: it is none of its memory. */
uint64_t bridge_guest_address(const struct bridge *b, const void *addr);
/* The other way: size bytes at the VM's address, NULL when they are not all in one region. */
void *bridge_host_address(const struct bridge *b, uint64_t addr, uint64_t size);
/* The first address above the VM's memory that is a multiple of align; UINT64_MAX: there is none.
 */
uint64_t bridge_above_memory(const struct bridge *b, uint64_t align);

/* Above the rings of a shadow, of which each has so much room. */
#define BRIDGE_SHADOW_SPACING (2ull << 20)
uint64_t bridge_above_shadows(const struct bridge *b);

/* bridge_rings.c */
/* How many rings, from 0 on, the VM has set up and the device can have: whole pairs. */
unsigned int bridge_rings_set_up(const struct bridge *b);
/* Queue pairs that the VM uses, of those. */
unsigned int bridge_rings_pairs(const struct bridge *b);
/* Duplicates the VM's descriptors of all rings in use; closes those of before. */
int bridge_rings_take(struct bridge *b, struct err *err);
void bridge_rings_drop(struct bridge *b);
/* Tells the running device the descriptors that have changed. */
int bridge_rings_refresh(struct bridge *b, struct err *err);
bool bridge_ring_is_stale(const struct bridge *b, unsigned int index);
/* The VM's own rings, beginning where the library says. -EOPNOTSUPP as bridge_serve(). */
int bridge_rings_direct(struct bridge *b, struct err *err);
/* Of a device that has stopped: the library learns where the rings are. */
void bridge_rings_settle(struct bridge *b);
/* An interrupt may have been lost while nobody served the ring, a kick as well. */
void bridge_rings_ring_all(struct bridge *b);
/* As which the library has it: last available. */
uint16_t bridge_ring_position(const struct bridge *b, unsigned int index);

#endif
