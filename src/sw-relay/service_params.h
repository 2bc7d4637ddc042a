/* SPDX-License-Identifier: BSD-3-Clause */

/* Strict reading of a request's params: a value that is missing, of another type or out of range
 * is -EINVAL with the key in err. Keys that nobody reads are ignored. */
#ifndef VIO4WD_RELAY_SERVICE_PARAMS_H
#define VIO4WD_RELAY_SERVICE_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "common/cpuset.h"
#include "common/err.h"

int param_int(json_object *params, const char *key, int64_t min, int64_t max, int64_t *value,
	      struct err *err);
int param_bool(json_object *params, const char *key, bool *value, struct err *err);
/* Copies; a text that does not fit, is empty or has a NUL in it is an error. */
int param_string(json_object *params, const char *key, char *buf, size_t size, struct err *err);
/* As param_string, but a missing key or an empty text gives "". */
int param_string_optional(json_object *params, const char *key, char *buf, size_t size,
			  struct err *err);
/* A list of CPU numbers with at least one. */
int param_cpus(json_object *params, const char *key, struct cpuset *cpus, struct err *err);

#endif
