/* SPDX-License-Identifier: BSD-3-Clause */

/* Access to the fields of struct config by the table's offsets, for the types of variables. */
#ifndef VIO4WD_CONFIG_FIELDS_H
#define VIO4WD_CONFIG_FIELDS_H

#include "common/config_table.h"

static inline void *config_field(const struct config_parser *p)
{
	return (char *)p->cfg + p->var->offset;
}

static inline const void *config_value(const struct config_var *var, const struct config *cfg)
{
	return (const char *)cfg + var->offset;
}

/* Fields of type char *. */
void config_set_string(struct config_parser *p, const char *text, size_t len);
struct json_object *config_string_to_json(const struct config_var *var, const struct config *cfg);
void config_string_clear(const struct config_var *var, struct config *cfg);

/* Room for n entries, zeroed; NULL for none, or when there is no memory, which is reported. */
void *config_new_list(struct config_parser *p, size_t n, size_t size);
/* Adds a string to a JSON array. */
void config_json_add(struct json_object *array, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void config_out_of_memory(struct config_parser *p);

#endif
