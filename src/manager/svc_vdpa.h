/* SPDX-License-Identifier: BSD-3-Clause */

/* The method vdpa-list of the control endpoint, and the devices' own counters in stats. */
#ifndef VIO4WD_MANAGER_SVC_VDPA_H
#define VIO4WD_MANAGER_SVC_VDPA_H

#include <json-c/json.h>

#include "common/err.h"

struct manager;
struct rpc_request;

int svc_vdpa_list(struct manager *m, struct rpc_request *req, json_object *params, struct err *err);

/* Answers with result, {"relays": [STATS...]}, after the counters of vDPA devices have been put
 * into it, or without them when the kernel does not tell them soon. */
void svc_vdpa_reply_stats(struct manager *m, struct rpc_request *req, json_object *result);

#endif
