/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/json_util.h"

#include <errno.h>
#include <string.h>

json_object *json_get_member(json_object *object, const char *key, json_type type)
{
	json_object *value;

	if (!object || !json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

int64_t json_get_int(json_object *object, const char *key, int64_t otherwise)
{
	json_object *value = json_get_member(object, key, json_type_int);

	return value ? json_object_get_int64(value) : otherwise;
}

double json_get_number(json_object *object, const char *key, double otherwise)
{
	json_object *value = json_get_member(object, key, json_type_double);

	return value ? json_object_get_double(value) : json_get_int(object, key, otherwise);
}

bool json_get_bool(json_object *object, const char *key, bool otherwise)
{
	json_object *value = json_get_member(object, key, json_type_boolean);

	return value ? json_object_get_boolean(value) : otherwise;
}

const char *json_get_text(json_object *object, const char *key, const char *otherwise)
{
	json_object *value = json_get_member(object, key, json_type_string);

	return value ? json_object_get_string(value) : otherwise;
}

int param_uint(json_object *params, const char *key, unsigned int max, unsigned int *value,
	       struct err *err)
{
	json_object *member = json_get_member(params, key, json_type_int);
	const int64_t number = member ? json_object_get_int64(member) : -1;

	if (!member)
		return err_set(err, -EINVAL, "parameters", "'%s' (a number) is missing", key);
	if (number < 0 || number > max)
		return err_set(err, -EINVAL, "parameters", "%s %lld: allowed is 0 to %u", key,
			       (long long)number, max);
	*value = number;
	return 0;
}

int param_text(json_object *params, const char *key, const char **value, struct err *err)
{
	int rc;

	*value = NULL;
	rc = param_optional_text(params, key, value, err);
	if (rc)
		return rc;
	if (!*value || !**value)
		return err_set(err, -EINVAL, "parameters", "'%s' (a text) is missing", key);
	return 0;
}

int param_optional_text(json_object *params, const char *key, const char **value, struct err *err)
{
	json_object *member;
	const char *text;

	if (!json_object_object_get_ex(params, key, &member) || !member)
		return 0;
	if (!json_object_is_type(member, json_type_string))
		return err_set(err, -EINVAL, "parameters", "'%s' must be a text", key);
	text = json_object_get_string(member);
	if (strlen(text) != (size_t)json_object_get_string_len(member))
		return err_set(err, -EINVAL, "parameters", "'%s' has a NUL character", key);
	*value = text;
	return 0;
}

int param_optional_bool(json_object *params, const char *key, bool *value, struct err *err)
{
	json_object *member;

	if (!json_object_object_get_ex(params, key, &member) || !member)
		return 0;
	if (!json_object_is_type(member, json_type_boolean))
		return err_set(err, -EINVAL, "parameters", "'%s' must be true or false", key);
	*value = json_object_get_boolean(member);
	return 0;
}

void json_put_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

void json_put_int(json_object *object, const char *key, int64_t value)
{
	json_object_object_add(object, key, json_object_new_int64(value));
}

void json_put_bool(json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

void json_put_number(json_object *object, const char *key, double value)
{
	json_object_object_add(object, key, json_object_new_double(value));
}

void json_put_shared(json_object *object, const char *key, json_object *value)
{
	json_object_object_add(object, key, json_object_get(value));
}

json_object *json_id(unsigned int id)
{
	json_object *object = json_object_new_object();

	json_put_int(object, "id", id);
	return object;
}
