/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Who serves the rings of a VM whose device is hardware vDPA. Decided (serving.h) anew whenever the
 * VM, the device or the administrator's wish changes; carried out as an operation of the endpoint.
 */
#ifndef VIO4WD_RELAY_ENDPOINT_SERVE_H
#define VIO4WD_RELAY_ENDPOINT_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "common/err.h"
#include "sw-relay/serving.h"

struct backend;
struct endpoint;

/* Part of struct endpoint; under the lock, changed by the operation that runs. */
struct endpoint_serving {
	enum serving wish; /* SERVING_NOTHING: the best there is */
	enum serving now;
	struct serving_decision decided; /* may differ from now: it did not work */
	uint64_t decided_for;		 /* the endpoint's connects then */
	char reason[200];
	uint64_t switches;
	uint64_t last_switch_us; /* for how long nobody served the rings */
};

/* Once, before there is an endpoint: makes endpoint_config_fd(). */
int endpoint_serve_init(struct err *err);

/* The device is new, and no lane uses it: learns what it is like and serves the VM, if there is
 * one. The backend is the endpoint's when it returns 0. -EOPNOTSUPP: it has fewer queue pairs than
 * min_pairs, or cannot serve the VM, and software could with the VF itself only; or the error that
 * the device or the kernel had for the VM. */
int endpoint_serve_attach(struct endpoint *ep, struct backend *backend, uint16_t min_pairs,
			  struct err *err);
/* The other way round, before the backend is detached. */
void endpoint_serve_detach(struct endpoint *ep);

/* Something has changed that endpoint_do_serve() has to look at. Control thread. */
bool endpoint_needs_serve(struct endpoint *ep);
void endpoint_do_serve(struct endpoint *ep);

/* Finds out whether the hardware still works, and its link. */
void endpoint_serve_look(struct endpoint *ep);

/* An operation: the administrator's wish, SERVING_NOTHING for the best there is. -EOPNOTSUPP: the
 * device is no hardware vDPA, or what is wished cannot be had; -EIO: nothing serves the VM any
 * more. err says why. */
int endpoint_do_mode(struct endpoint *ep, enum serving wish, struct err *err);

/* Adds mode, mode_reason, switches and last_switch_us (docs/protocol.md). Needs the lock.
 */
void endpoint_serve_json(const struct endpoint *ep, json_object *device);

#endif
