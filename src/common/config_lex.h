/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The form of the configuration file: shell-style assignments, cut into words. What a shell would
 * expand or execute is an error here, so that a file means the same to both.
 */
#ifndef VIO4WD_CONFIG_LEX_H
#define VIO4WD_CONFIG_LEX_H

#include <stdbool.h>
#include <stddef.h>

struct config_report;

struct config_word {
	char *text; /* without quotes */
	unsigned int line;
};

struct config_assignment {
	char *name;
	unsigned int line;
	bool is_array;		   /* VAR=(..): any number of words; else exactly one */
	bool is_broken;		   /* an error in its value has been reported */
	struct config_word *words; /* in the order of the file */
	size_t n_words;
};

struct config_assignments {
	struct config_assignment *items;
	size_t n;
};

/*
 * Cuts a file into its assignments, in order. Errors go to the report, and what follows them is
 * read on, so that one broken line does not hide another. Returns 0 or -ENOMEM; out is freed with
 * config_lex_free in both cases.
 */
int config_lex(const char *data, size_t size, struct config_assignments *out,
	       struct config_report *report);
void config_lex_free(struct config_assignments *assignments);

/* True for the variables of this project: VIRTIOFWD_..., VIO4WD_... */
bool config_is_our_name(const char *name);

#endif
