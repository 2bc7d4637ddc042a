/* SPDX-License-Identifier: BSD-3-Clause */

/* Reading members of JSON objects that came from outside: of the wrong type is as if not there. */
#ifndef VIO4WD_MANAGER_JSON_UTIL_H
#define VIO4WD_MANAGER_JSON_UTIL_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "common/err.h"

/* These take what they find, or the value given for otherwise; object may be NULL. */
int64_t json_get_int(json_object *object, const char *key, int64_t otherwise);
double json_get_number(json_object *object, const char *key, double otherwise);
bool json_get_bool(json_object *object, const char *key, bool otherwise);
const char *json_get_text(json_object *object, const char *key, const char *otherwise);
json_object *json_get_member(json_object *object, const char *key, json_type type); /* or NULL */

/* Parameters of a request: -EINVAL with words when one is missing or wrong. */
int param_uint(json_object *params, const char *key, unsigned int max, unsigned int *value,
	       struct err *err);
int param_text(json_object *params, const char *key, const char **value, struct err *err);
/* Parameters that may be left out, or null: *value is as it was then. */
int param_optional_text(json_object *params, const char *key, const char **value, struct err *err);
int param_optional_bool(json_object *params, const char *key, bool *value, struct err *err);

/* An object with one member, for calls. */
json_object *json_id(unsigned int id);

void json_put_text(json_object *object, const char *key, const char *text); /* NULL: null */
void json_put_int(json_object *object, const char *key, int64_t value);
void json_put_bool(json_object *object, const char *key, bool value);
void json_put_number(json_object *object, const char *key, double value);
/* Another reference to value, or null. */
void json_put_shared(json_object *object, const char *key, json_object *value);

#endif
