/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a VM could do to the threads that serve others, taken away: memory that vanishes under them,
 * sockets that block them, rings that cannot be followed. A VM that does such a thing is dropped.
 */
#ifndef VIO4WD_RELAY_GUARD_H
#define VIO4WD_RELAY_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum guard_fault {
	GUARD_MEMORY = 1, /* its memory is smaller than it said, or is no longer mapped */
	GUARD_RING = 2,	  /* a descriptor chain that has no end or leads out of its memory */
	GUARD_BELL = 4,	  /* a kick or call descriptor that is no eventfd, or blocks */
};

#define GUARD_RANGES 8 /* regions of memory that a VM may have */
#define GUARD_PAGES 64

struct guard_range {
	_Atomic uintptr_t start;
	_Atomic size_t size;
};

/* The part of struct vm that is the guard's. */
struct guard {
	struct guard_range ranges[GUARD_RANGES]; /* where its memory is mapped, or was last */
	_Atomic uintptr_t pages[GUARD_PAGES];	 /* of zeros, in place of memory that has gone */
	_Atomic unsigned int n_pages;
	_Atomic uint32_t faults;  /* enum guard_fault */
	_Atomic uint32_t blocked; /* how often it has stopped a worker */
	int socket;		  /* a duplicate of the connection's, or -1 */
};

int guard_init(struct err *err);

/*
 * The thread is about to touch what this VM shares with us; NULL: nothing any more. Costs a store,
 * so it is done before every use.
 */
extern __thread struct guard *guard_current;

/* A new connection to the socket path, which the relay has as server or client; the caller is in
 * the callback that announces it. */
void guard_connected(struct guard *guard, const char *path, bool client);
void guard_disconnected(struct guard *guard);

/* The VM's memory is mapped here from now on; called when it has changed. */
struct rte_vhost_memory;
void guard_memory(struct guard *guard, const struct rte_vhost_memory *memory);

/* False: answers wait unread, and one more could block. */
bool guard_may_answer(const struct guard *guard);

/* The descriptors by which a VM and the relay tell each other, or -1: using them must not block,
 * and they must not be sockets: one could be the other end of the VM's connection, which would then
 * never end. */
void guard_bells(struct guard *guard, int kick_fd, int call_fd);

/* From any thread: the VM is to be dropped by endpoint_work(). */
void guard_report(struct guard *guard, enum guard_fault fault);
/* A thread that worked for the VM had to be freed from a system call: once may be bad luck. */
void guard_blocked(struct guard *guard);
/* Something was reported since the last time this was called. */
bool guard_reported(void);
/* Ends the connection: the library notices by itself. */
void guard_drop(struct guard *guard);
/* Ends the connection if there were faults, and returns them. */
uint32_t guard_enforce(struct guard *guard);

#endif
