/* SPDX-License-Identifier: BSD-3-Clause */

/* Virtio feature bits: what an endpoint offers, and their names as JSON. */
#ifndef VIO4WD_RELAY_FEATURES_H
#define VIO4WD_RELAY_FEATURES_H

#include <stdint.h>

#include <json-c/json.h>

#include "sw-relay/endpoint.h"

/* The bits of the vhost library's own set that this endpoint must not offer. */
uint64_t features_withheld(const struct endpoint_options *options);

/* Protocol features (of those the library has) that must not be offered. */
uint64_t features_protocol_withheld(void);

/* The names of all bits set ("bit 57" where there is none); owned by the caller. */
json_object *features_json(uint64_t features);

#endif
