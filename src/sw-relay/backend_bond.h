/* SPDX-License-Identifier: BSD-3-Clause */

/* Inside of bonds: backend_bond.c (the bond as a backend), backend_bond_member.c (one member). */
#ifndef VIO4WD_RELAY_BACKEND_BOND_H
#define VIO4WD_RELAY_BACKEND_BOND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_spinlock.h>

#include "sw-relay/backend_port.h"

struct bond_member {
	char device[DEVNAME_MAX]; /* "": the place is free */
	struct backend *dev;	  /* open; NULL: it could not be opened, or had to leave */
	uint16_t port;		  /* of DPDK */
	bool in;		  /* the bond has the port */
	bool leaving;
	char error[160];
};

struct bond_backend {
	struct port_backend port; /* the bond itself */
	unsigned int mode;
	uint16_t mtu; /* for members that come later */
	uint16_t max_queues;
	/* Changed by operations only, which look at it without the lock. */
	pthread_mutex_t lock;
	struct bond_member members[BOND_MEMBERS_MAX];
	unsigned int n_in; /* members; changed while no worker uses the bond */
	/* Workers: */
	rte_spinlock_t tx_lock;	 /* transmit queue 0 */
	uint64_t next_keepalive; /* in cycles; with LACP */
};

static inline struct bond_backend *bond_backend(struct backend *backend)
{
	return container_of(port_backend(backend), struct bond_backend, port);
}

/* Opens the member's device by req, which is a port of DPDK. After an error its text is in
 * m->error, and nothing is open. */
int bond_member_open(struct bond_backend *b, struct bond_member *m,
		     const struct backend_request *req, struct err *err);
/* It is not in the bond any more. */
void bond_member_close(struct bond_member *m);
/* Puts its port into the bond, which may be running, or takes it out. No worker uses the bond. */
int bond_member_join(struct bond_backend *b, struct bond_member *m, struct err *err);
void bond_member_leave(struct bond_backend *b, struct bond_member *m);

#endif
