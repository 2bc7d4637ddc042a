/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sw-relay/service_params.h"

static int bad(struct err *err, const char *key, const char *what)
{
	return err_set(err, -EINVAL, "params", "\"%s\" %s", key, what);
}

int param_int(json_object *params, const char *key, int64_t min, int64_t max, int64_t *value,
	      struct err *err)
{
	json_object *v;
	int64_t n;

	if (!json_object_object_get_ex(params, key, &v))
		return bad(err, key, "is missing");
	if (!json_object_is_type(v, json_type_int))
		return bad(err, key, "is not a whole number");
	errno = 0;
	n = json_object_get_int64(v);
	if (errno || n < min || n > max)
		return err_set(err, -EINVAL, "params",
			       "\"%s\" is %s: from %" PRId64 " to %" PRId64 " is allowed", key,
			       json_object_get_string(v), min, max);
	*value = n;
	return 0;
}

int param_bool(json_object *params, const char *key, bool *value, struct err *err)
{
	json_object *v;

	if (!json_object_object_get_ex(params, key, &v))
		return bad(err, key, "is missing");
	if (!json_object_is_type(v, json_type_boolean))
		return bad(err, key, "is neither true nor false");
	*value = json_object_get_boolean(v);
	return 0;
}

static int copy_string(json_object *v, const char *key, char *buf, size_t size, struct err *err)
{
	size_t len;

	if (!json_object_is_type(v, json_type_string))
		return bad(err, key, "is not a text");
	len = json_object_get_string_len(v);
	if (len >= size)
		return err_set(err, -ENAMETOOLONG, "params",
			       "\"%s\" has %zu bytes: at most %zu are allowed", key, len, size - 1);
	memcpy(buf, json_object_get_string(v), len);
	buf[len] = '\0';
	if (strlen(buf) != len)
		return bad(err, key, "has a NUL byte in it");
	return 0;
}

int param_string(json_object *params, const char *key, char *buf, size_t size, struct err *err)
{
	json_object *v;
	int r;

	if (!json_object_object_get_ex(params, key, &v))
		return bad(err, key, "is missing");
	r = copy_string(v, key, buf, size, err);
	if (r == 0 && !*buf)
		return bad(err, key, "is empty");
	return r;
}

int param_string_optional(json_object *params, const char *key, char *buf, size_t size,
			  struct err *err)
{
	json_object *v;

	buf[0] = '\0';
	if (!json_object_object_get_ex(params, key, &v) || !v)
		return 0;
	return copy_string(v, key, buf, size, err);
}

int param_cpus(json_object *params, const char *key, struct cpuset *cpus, struct err *err)
{
	json_object *list;

	if (!json_object_object_get_ex(params, key, &list))
		return bad(err, key, "is missing");
	if (!json_object_is_type(list, json_type_array) || !json_object_array_length(list))
		return bad(err, key, "is not a list of CPU numbers");
	cpuset_clear(cpus);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *v = json_object_array_get_idx(list, i);
		int64_t cpu = json_object_get_int64(v);

		if (!json_object_is_type(v, json_type_int) || cpu < 0 || cpu > CPUSET_MAX_CPU)
			return bad(err, key, "has something in it that is no CPU number");
		cpuset_add(cpus, cpu);
	}
	return 0;
}
