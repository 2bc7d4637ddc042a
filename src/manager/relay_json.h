/* SPDX-License-Identifier: BSD-3-Clause */

/* RELAY, STATS and PROCESS of docs/protocol.md. Results are owned by the caller. */
#ifndef VIO4WD_MANAGER_RELAY_JSON_H
#define VIO4WD_MANAGER_RELAY_JSON_H

#include <json-c/json.h>

#include "manager/manager.h"
#include "manager/sampler.h"

/* view may be NULL: rates and drops are then 0. */
json_object *relay_json(const struct manager *m, unsigned int id, const struct sampler_view *view);
/* With vm_detail, device_detail, lanes, warnings and history. */
json_object *relay_show_json(const struct manager *m, unsigned int id,
			     const struct sampler_view *view);
json_object *stats_json(const struct manager *m, unsigned int id, const struct sampler_view *view);
json_object *process_json(const struct manager *m, unsigned int number);

#endif
