/* SPDX-License-Identifier: BSD-3-Clause */

/* The types of variables that hold one plain value; addresses and lists have files of their own. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/config_fields.h"
#include "common/config_report.h"
#include "common/config_table.h"

int config_boolean(const char *text, bool *value)
{
	static const char *const yes[] = { "true", "yes", "y", "on", "1" };
	static const char *const no[] = { "false", "no", "n", "off", "0" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!strcasecmp(text, yes[i])) {
			*value = true;
			return 0;
		}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (!strcasecmp(text, no[i])) {
			*value = false;
			return 0;
		}
	return -EINVAL;
}

static void bool_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	bool *field = config_field(p);

	if (!*words->text)
		*field = false;
	else if (config_boolean(words->text, field) < 0)
		config_bad(p, words, NULL);
}

static struct json_object *bool_to_json(const struct config_var *var, const struct config *cfg)
{
	return json_object_new_boolean(*(const bool *)config_value(var, cfg));
}

const struct config_type config_type_bool = {
	.allowed = "true, yes, y, on, 1 or false, no, n, off, 0, empty",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.parse = bool_parse,
	.to_json = bool_to_json,
};

int config_number(const char *text, long min, long max, long *value)
{
	long found = 0;

	if (!*text || strlen(text) > 10)
		return -EINVAL;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		found = found * 10 + (*text - '0');
	}
	if (found < min || found > max)
		return -EINVAL;
	*value = found;
	return 0;
}

static void int_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	int *field = config_field(p);
	long value;

	if (config_number(words->text, p->var->min, p->var->max, &value) < 0)
		config_bad(p, words, NULL);
	else
		*field = (int)value;
}

static struct json_object *int_to_json(const struct config_var *var, const struct config *cfg)
{
	return json_object_new_int(*(const int *)config_value(var, cfg));
}

const struct config_type config_type_int = {
	.parse = int_parse,
	.to_json = int_to_json,
};

/* Digits with at most one point, whatever the locale says. */
static void real_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	double *field = config_field(p), value = 0, unit = 0;
	const char *c = words->text;
	bool digits = false;

	for (; *c; c++) {
		if (*c == '.' && unit == 0) {
			unit = 1;
		} else if (isdigit((unsigned char)*c) && c - words->text < 16) {
			digits = true;
			unit /= 10;
			if (unit == 0)
				value = value * 10 + (*c - '0');
			else
				value += (*c - '0') * unit;
		} else {
			break;
		}
	}
	if (*c || !digits || value < (double)p->var->min || value > (double)p->var->max)
		config_bad(p, words, NULL);
	else
		*field = value;
}

static struct json_object *real_to_json(const struct config_var *var, const struct config *cfg)
{
	double value = *(const double *)config_value(var, cfg);
	char text[32];

	snprintf(text, sizeof(text), "%g", value);
	return json_object_new_double_s(value, text);
}

const struct config_type config_type_real = {
	.parse = real_parse,
	.to_json = real_to_json,
};

static void path_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	const char *text = words->text;
	size_t len = strlen(text), max = p->var->max ? (size_t)p->var->max : PATH_MAX - 1;

	while (len > 1 && text[len - 1] == '/')
		len--;
	if (text[0] != '/')
		config_bad(p, words, ", which does not begin with /");
	else if (len > max)
		config_bad(p, words, ", which has %zu bytes; %zu fit", len, max);
	else
		config_set_string(p, text, len);
}

const struct config_type config_type_path = {
	.allowed = "an absolute path",
	.parse = path_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static void ovsdb_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	char path[PATH_MAX];

	path_parse(p, words, n);
	if (p->is_default) {
		snprintf(path, sizeof(path), "%s%s", p->root, words->text);
		if (access(path, F_OK) < 0)
			config_set_string(p, p->var->implied, strlen(p->var->implied));
	}
}

const struct config_type config_type_ovsdb = {
	.allowed = "an absolute path",
	.parse = ovsdb_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static void pattern_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	const char *text = words->text, *percent = strchr(text, '%');

	if (strchr(text, '/'))
		config_bad(p, words, ", which has a /");
	else if (!percent || percent[1] != 'u')
		config_bad(p, words, percent ? ", which has a %% without u" : ", which has no %%u");
	else if (strchr(percent + 1, '%'))
		config_bad(p, words, ", which has a second %%");
	else if (isdigit((unsigned char)percent[2]))
		config_bad(p, words, ", where a digit follows %%u: ids would be ambiguous");
	else
		config_set_string(p, text, strlen(text));
}

const struct config_type config_type_pattern = {
	.allowed =
		"a file name with exactly one %u for the relay id, no other %, no /, and no digit "
		"right after %u",
	.parse = pattern_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static bool account_name_valid(const char *text)
{
	return strlen(text) <= 255 && !strpbrk(text, "/: \t") && text[0] != '-';
}

/* A host may lack the default names, and nobody wants to read that at every start. */
static void account_parse(struct config_parser *p, const struct config_word *word, const char *what,
			  bool exists)
{
	if (!account_name_valid(word->text)) {
		config_bad(p, word, NULL);
		return;
	}
	if (!p->is_default && !exists)
		config_report_warning(p->report, word->line,
				      "%s: found %s, a %s this host does not have; sockets get the "
				      "daemon's own",
				      p->var->name, QUOTE(word->text), what);
	config_set_string(p, word->text, strlen(word->text));
}

static bool is_id_or_empty(const char *text)
{
	return !text[strspn(text, "0123456789")];
}

static void user_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	bool exists = is_id_or_empty(words->text) || p->is_default || getpwnam(words->text);

	account_parse(p, words, "user", exists);
}

const struct config_type config_type_user = {
	.allowed = "the name or number of a user, or empty: the daemon's own",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.parse = user_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static void group_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	bool exists = is_id_or_empty(words->text) || p->is_default || getgrnam(words->text);

	account_parse(p, words, "group", exists);
}

const struct config_type config_type_group = {
	.allowed = "the name or number of a group, or empty: the daemon's own",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.parse = group_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static int choice_find(struct config_parser *p, const struct config_word *word)
{
	for (int i = 0; p->var->choices[i]; i++)
		if (!strcmp(word->text, p->var->choices[i]))
			return i;
	config_bad(p, word, NULL);
	return -EINVAL;
}

static void choice_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	unsigned int *field = config_field(p);
	int choice = choice_find(p, words);

	if (choice >= 0)
		*field = choice;
}

static struct json_object *choice_to_json(const struct config_var *var, const struct config *cfg)
{
	return json_object_new_string(var->choices[*(const unsigned int *)config_value(var, cfg)]);
}

_Static_assert(sizeof(enum config_backend) == sizeof(unsigned int), "choices are unsigned");
_Static_assert(sizeof(enum config_poll_mode) == sizeof(unsigned int), "choices are unsigned");

const struct config_type config_type_choice = {
	.parse = choice_parse,
	.to_json = choice_to_json,
};

static void choice_text_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	if (choice_find(p, words) >= 0)
		config_set_string(p, words->text, strlen(words->text));
}

const struct config_type config_type_choice_text = {
	.parse = choice_text_parse,
	.to_json = config_string_to_json,
	.clear = config_string_clear,
};

static void unused_parse(struct config_parser *p, const struct config_word *words, size_t n)
{
	if (!p->is_default && *words->text)
		config_report_warning(p->report, words->line, "%s: is not used any more; ignored",
				      p->var->name);
}

static struct json_object *unused_to_json(const struct config_var *var, const struct config *cfg)
{
	return NULL;
}

const struct config_type config_type_unused = {
	.allowed = "anything; it is ignored",
	.empty = CONFIG_EMPTY_IS_VALUE,
	.parse = unused_parse,
	.to_json = unused_to_json,
};
