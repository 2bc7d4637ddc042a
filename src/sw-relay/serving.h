/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Who is to serve the rings of a VM whose device is hardware vDPA: a pure function of the facts, so
 * that it is tested by table.
 */
#ifndef VIO4WD_RELAY_SERVING_H
#define VIO4WD_RELAY_SERVING_H

#include <stdbool.h>
#include <stdint.h>

enum serving {
	SERVING_NOTHING,
	SERVING_DIRECT,	  /* the device, on the VM's rings */
	SERVING_SHADOW,	  /* the device, on shadow rings */
	SERVING_SOFTWARE, /* workers, with the device as their port */
};

struct serving_facts {
	enum serving wish; /* the administrator's; SERVING_NOTHING: the best there is */
	enum serving now;
	bool vm; /* there is one: */
	uint64_t vm_features;
	unsigned int vm_pairs; /* queue pairs in use */
	bool vm_begun;	       /* a ring of it is not at its start */
	bool logging;	       /* it wants to know what is written to its memory */
	bool announcing;       /* it has asked for RARP requests (rarp.h) */
	uint64_t features;     /* of the device */
	unsigned int pairs;    /* that the device has */
	bool has_positions;    /* it begins anywhere, can be paused, and tells where it was */
};

struct serving_decision {
	enum serving serving;
	char reason[200];
};

void serving_decide(const struct serving_facts *facts, struct serving_decision *decision);

/* Virtio features of an endpoint that a device with these features cannot serve: the library
 * finishes some itself. */
uint64_t serving_lacks(uint64_t wanted, uint64_t device);

/*
 * DPDK's net_virtio_user switches queues off and on again whenever the process gets other memory.
 * A device that cannot be paused breaks at that.
 */
static inline bool serving_has_software(bool has_positions)
{
	return has_positions;
}

const char *serving_name(enum serving serving); /* "direct"; "idle" for SERVING_NOTHING */
/* "auto", "direct", "shadow" or "software"; else -EINVAL. */
int serving_parse(const char *text, enum serving *wish);

#endif
