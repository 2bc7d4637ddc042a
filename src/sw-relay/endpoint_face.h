/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a VM finds at the socket: features and queue pairs. A VM may move between hardware and
 * software, and both have to be able to serve it: the socket offers what both have, whichever of
 * them is behind it now.
 */
#ifndef VIO4WD_RELAY_ENDPOINT_FACE_H
#define VIO4WD_RELAY_ENDPOINT_FACE_H

#include <stdint.h>

#include <json-c/json.h>

struct endpoint;

/* What the hardware can serve, as the device of a VF or of another VF of the same PF has it. */
struct hardware_face {
	uint64_t features; /* virtio feature bits */
	uint16_t pairs;	   /* queue pairs; 0: there is no hardware to be considered */
};

/* Part of struct endpoint; changed by the operation that runs. */
struct endpoint_face {
	struct hardware_face hardware;
	uint64_t masked; /* features that the socket offers without it */
};

/* For VMs that connect from now on. Control thread, or the endpoint's operation. */
void endpoint_face_set(struct endpoint *ep, const struct hardware_face *hardware);
void endpoint_face_clear(struct endpoint *ep);

/* Adds hardware and masked to a DEVICE, nothing without hardware (docs/protocol.md). */
void endpoint_face_json(const struct endpoint *ep, json_object *device);

#endif
