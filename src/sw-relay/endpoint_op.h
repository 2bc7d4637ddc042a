/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The operations of an endpoint, one after another: what was asked for (endpoint.h), and what the
 * relay itself finds to be done with a device. Those that a slow device has to do with run in a
 * device thread.
 */
#ifndef VIO4WD_RELAY_ENDPOINT_OP_H
#define VIO4WD_RELAY_ENDPOINT_OP_H

#include <sys/queue.h>

struct endpoint;
struct endpoint_op;

STAILQ_HEAD(endpoint_ops, endpoint_op);

enum endpoint_op_kind {
	ENDPOINT_ADD,
	ENDPOINT_REMOVE,
	ENDPOINT_ATTACH,
	ENDPOINT_DETACH,
	ENDPOINT_MEMBERS, /* of a bond */
	ENDPOINT_MODE,	  /* who serves the VM's rings */
	/* The relay's own: */
	ENDPOINT_SERVE,	  /* the VM's rings by who is best */
	ENDPOINT_REFIT,	  /* for the VM's queues and memory */
	ENDPOINT_REGROUP, /* a member of a bond has an error: take it out */
	ENDPOINT_RESET,	  /* the device was reset by somebody else: set it up again */
	ENDPOINT_LOOK,	  /* at its link */
	ENDPOINT_GIVE_UP, /* it has an error: stop it */
	ENDPOINT_GONE,	  /* it was removed: let go of it */
};

/* Asks for one of the relay's own. Nothing when it is asked for already, or there is no memory
 * (what has to be done is found again). Control thread. */
void endpoint_ask(struct endpoint *ep, enum endpoint_op_kind kind);

#endif
