/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/config_fields.h"
#include "common/config_report.h"

void config_set_string(struct config_parser *p, const char *text, size_t len)
{
	char **field = config_field(p), *copy = strndup(text, len);

	if (!copy) {
		config_out_of_memory(p);
		return;
	}
	free(*field);
	*field = copy;
}

struct json_object *config_string_to_json(const struct config_var *var, const struct config *cfg)
{
	const char *text = *(char *const *)config_value(var, cfg);

	return json_object_new_string(text ? text : "");
}

void config_string_clear(const struct config_var *var, struct config *cfg)
{
	char **field = (char **)((char *)cfg + var->offset);

	free(*field);
	*field = NULL;
}

void *config_new_list(struct config_parser *p, size_t n, size_t size)
{
	void *list = n ? calloc(n, size) : NULL;

	if (n && !list)
		config_out_of_memory(p);
	return list;
}

void config_json_add(struct json_object *array, const char *fmt, ...)
{
	char text[2 * DEVNAME_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_array_add(array, json_object_new_string(text));
}

void config_out_of_memory(struct config_parser *p)
{
	config_report_error(p->report, 0, "%s: out of memory", p->var->name);
}

static const char *list_choices(const char *const *choices, char *buf, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; choices[i] && len < size; i++)
		len += snprintf(buf + len, size - len, "%s%s",
				!i		 ? ""
				: choices[i + 1] ? ", "
						 : " or ",
				choices[i]);
	return buf;
}

const char *config_allowed(const struct config_var *var, char buf[CONFIG_ALLOWED_MAX])
{
	if (var->choices)
		return list_choices(var->choices, buf, CONFIG_ALLOWED_MAX);
	if (var->allowed || var->type->allowed)
		snprintf(buf, CONFIG_ALLOWED_MAX, "%s",
			 var->allowed ? var->allowed : var->type->allowed);
	else
		snprintf(buf, CONFIG_ALLOWED_MAX, "a number from %ld to %ld", var->min, var->max);
	return buf;
}

void config_bad(const struct config_parser *p, const struct config_word *word, const char *what,
		...)
{
	char reason[200] = "", allowed[CONFIG_ALLOWED_MAX];
	va_list ap;

	va_start(ap, what);
	if (what)
		vsnprintf(reason, sizeof(reason), what, ap);
	va_end(ap);
	config_report_error(p->report, word->line, "%s: found %s%s; allowed: %s", p->var->name,
			    QUOTE(word->text), reason, config_allowed(p->var, allowed));
}
