/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a VM could do to the threads that serve others, taken away: memory that vanishes under them,
 * sockets that block them, rings that cannot be followed. A VM that does such a thing is dropped.
 */
#ifndef VIO4WD_RELAY_GUARD_H
#define VIO4WD_RELAY_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

enum guard_fault {
	GUARD_MEMORY = 1, /* its memory is smaller than it said */
	GUARD_RING = 2,	  /* a descriptor chain that has no end or leads out of its memory */
};

/* The part of struct vm that is the guard's. */
struct guard {
	_Atomic uint32_t faults; /* enum guard_fault */
	int socket;		 /* a duplicate of the connection's, or -1 */
};

int guard_init(struct err *err);

/*
 * The thread is about to touch what this VM shares with us; NULL: nothing any more. Costs a store,
 * so it is done before every use.
 */
extern __thread struct guard *guard_current;

/* A new connection to the socket path; the caller is in the callback that announces it. others are
 * told apart by their sockets. */
void guard_connected(struct guard *guard, const char *path,
		     bool (*is_known)(unsigned long socket_inode));
unsigned long guard_socket_inode(const struct guard *guard); /* 0: none */
void guard_disconnected(struct guard *guard);

/* The eventfd by which the VM wants to be told: writing to it must not block. */
void guard_call_fd(int fd);

/* From any thread: the VM is to be dropped by endpoint_work(). */
void guard_report(struct guard *guard, enum guard_fault fault);
/* Something was reported since the last time this was called. */
bool guard_reported(void);
/* Ends the connection if there were faults, and returns them. */
uint32_t guard_enforce(struct guard *guard);

#endif
