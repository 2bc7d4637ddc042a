/* SPDX-License-Identifier: BSD-3-Clause */

/* Reading a configuration that a test has in memory, on a host that has the CPUs 0-7 and 100. */
#ifndef VIO4WD_TEST_CONFIG_CASE_H
#define VIO4WD_TEST_CONFIG_CASE_H

#include <json-c/json.h>

#include "common/config_table.h"
#include "config_root.h"

struct config_case {
	char root[CONFIG_ROOT_MAX];
	struct config *cfg; /* of the last reading; NULL when it failed */
	struct config_report report;
};

static inline void config_case_setup(struct config_case *c)
{
	config_root_make(c->root);
	config_root_write(c->root, "cpu/online", "0-7,100\n");
	c->cfg = NULL;
	memset(&c->report, 0, sizeof(c->report));
}

static inline void config_case_reset(struct config_case *c)
{
	config_free(c->cfg);
	c->cfg = NULL;
	config_report_free(&c->report);
}

static inline void config_case_teardown(struct config_case *c)
{
	config_case_reset(c);
	config_root_remove(c->root);
}

static inline int config_case_read_bytes(struct config_case *c, const char *data, size_t size)
{
	config_case_reset(c);
	return config_parse(data, size, c->root, &c->cfg, &c->report);
}

static inline int config_case_read(struct config_case *c, const char *text)
{
	return config_case_read_bytes(c, text, strlen(text));
}

static inline const char *config_case_first(const struct config_case *c)
{
	return c->report.n_issues ? c->report.issues[0].text : "";
}

/* A variable as config_to_json shows it, written on one line into buf. */
static inline const char *config_case_value(const struct config_case *c, const char *name,
					    char *buf, size_t size)
{
	struct json_object *all = config_to_json(c->cfg), *value = NULL;
	bool found = json_object_object_get_ex(all, name, &value);
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;

	snprintf(buf, size, "%s", found ? json_object_to_json_string_ext(value, flags) : "(none)");
	json_object_put(all);
	return buf;
}

#endif
