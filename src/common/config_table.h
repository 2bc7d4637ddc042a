/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The table of variables. It is the only list of them: the parser, the messages, config_to_json and
 * the reference section of virtioforwarder(5) are made from it.
 */
#ifndef VIO4WD_CONFIG_TABLE_H
#define VIO4WD_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"
#include "common/config_lex.h"

struct config_parser;
struct config_var;

enum config_empty { /* what VAR= means */
		    CONFIG_EMPTY_IS_DEFAULT,
		    CONFIG_EMPTY_IS_VALUE,
		    CONFIG_EMPTY_IS_ERROR,
};

struct config_type {
	const char *allowed; /* in words; see config_allowed */
	enum config_empty empty;
	bool is_list;	/* takes any number of words, else exactly one */
	char separator; /* of a list: also between entries in one word; 0: none */
	/* Sets the variable from its words, or complains by config_bad. */
	void (*parse)(struct config_parser *p, const struct config_word *words, size_t n);
	struct json_object *(*to_json)(const struct config_var *var, const struct config *cfg);
	void (*clear)(const struct config_var *var, struct config *cfg); /* NULL: owns nothing */
};

struct config_var {
	const char *name;
	const char *other_name; /* under which 1.1 knows it, too; or NULL */
	const char *group;	/* heading, at the first variable of a group */
	const struct config_type *type;
	const char *fallback;	    /* the default as it would be written; "" for none */
	const char *about;	    /* sentences for the manual */
	const char *allowed;	    /* NULL: the type's words */
	const char *implied;	    /* a second default; the type says when it applies */
	const char *const *choices; /* of the choice types, NULL-terminated */
	long min, max;		    /* of a number; max of a path: its length, 0 for any */
	size_t offset;		    /* of the field in struct config; lists know theirs */
	bool late;		    /* looks at other variables, so it is parsed after them */
};

extern const struct config_var config_vars[];
extern const size_t config_n_vars;

/* By either name; NULL when there is none. */
const struct config_var *config_var_find(const char *name);

/* The values a variable takes, in words; returns buf. */
#define CONFIG_ALLOWED_MAX 200
const char *config_allowed(const struct config_var *var, char buf[CONFIG_ALLOWED_MAX]);

/* What parsers work with. */
struct config_parser {
	struct config *cfg;
	const struct config_var *var;
	const char *root;	     /* of sysfs */
	const struct cpuset *online; /* NULL: not known */
	struct config_report *report;
	bool is_default;	   /* the words are var->fallback */
	const unsigned int *lines; /* where each variable of the table is assigned, or 0 */
};

/* The source of a configuration in memory: config_read without the file. */
int config_parse(const char *data, size_t size, const char *root, struct config **cfg,
		 struct config_report *report);

/* What must fit together; complains to the report. */
void config_check(struct config_parser *p);

/* Reports "VARIABLE: found 'word' <what>; allowed: ..."; what is printf-style, or NULL. */
void config_bad(const struct config_parser *p, const struct config_word *word, const char *what,
		...) __attribute__((format(printf, 3, 4)));

/* Reads a decimal number that is all of the text. Returns 0 or -EINVAL. */
int config_number(const char *text, long min, long max, long *value);

/* Reads a boolean in any of its spellings; the empty one is for variables only. Returns 0 or
 * -EINVAL. */
int config_boolean(const char *text, bool *value);

extern const struct config_type config_type_bool;
extern const struct config_type config_type_int;
extern const struct config_type config_type_real;
extern const struct config_type config_type_cpu;
extern const struct config_type config_type_cpus;
extern const struct config_type config_type_path;
extern const struct config_type config_type_ovsdb; /* implied: when the default is absent */
extern const struct config_type config_type_pattern;
extern const struct config_type config_type_user;
extern const struct config_type config_type_group;
extern const struct config_type config_type_uuid;     /* implied: for 0 */
extern const struct config_type config_type_endpoint; /* implied: when no path is named */
extern const struct config_type config_type_listen;
extern const struct config_type config_type_listen_unix;
extern const struct config_type config_type_choice;
extern const struct config_type config_type_choice_text;
extern const struct config_type config_type_unused;

extern const struct config_type config_type_static_vfs;
extern const struct config_type config_type_cpu_pins;
extern const struct config_type config_type_bind;
extern const struct config_type config_type_auto_vfs;
extern const struct config_type config_type_num_vfs;
extern const struct config_type config_type_vf_options;
extern const struct config_type config_type_nr_hugepages;
extern const struct config_type config_type_exclude;
extern const struct config_type config_type_spares;
extern const struct config_type config_type_aliases;

#endif
