/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The file is cut into assignments (config_lex.c), the last one of each variable counts, and its
 * words go to the parser that the table (config_table.c) names; a variable without an assignment
 * gets its default through the same parser. Variables that look at others are parsed after these.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <json-c/json.h>

#include "common/cleanup.h"
#include "common/config_report.h"
#include "common/config_table.h"
#include "common/suggest.h"
#include "common/text.h"

#define FILE_MAX (16u << 20) /* no configuration is that long */

static void warn_unknown(const struct config_assignment *a, struct config_report *report)
{
	struct suggestion near = SUGGESTION_FOR(a->name);

	for (size_t i = 0; i < config_n_vars; i++) {
		suggestion_offer(&near, config_vars[i].name);
		if (config_vars[i].other_name)
			suggestion_offer(&near, config_vars[i].other_name);
	}
	if (suggestion_is_close(&near))
		config_report_warning(report, a->line,
				      "%.80s: unknown variable, ignored; did you mean %s?", a->name,
				      near.best);
	else if (near.best)
		config_report_warning(
			report, a->line,
			"%.80s: unknown variable, ignored; the closest known one is %s", a->name,
			near.best);
	else
		config_report_warning(report, a->line, "%.80s: unknown variable, ignored", a->name);
}

/* The assignment that counts for each variable of the table; NULL where there is none. */
static void choose(const struct config_assignments *all, const struct config_assignment **chosen,
		   struct config_report *report)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct config_assignment *a = &all->items[i];
		const struct config_var *var = config_var_find(a->name);

		if (var) {
			const struct config_assignment **slot = &chosen[var - config_vars];

			if (*slot)
				config_report_warning(
					report, a->line,
					"%s: assigned again; the value of line %u does "
					"not count",
					a->name, (*slot)->line);
			*slot = a;
		} else if (config_is_our_name(a->name)) {
			warn_unknown(a, report);
		}
	}
}

/* Cuts words at the separator of a list; the pieces point into the words, which are changed. */
static struct config_word *split_words(const struct config_word *words, size_t n, char separator,
				       size_t *n_pieces)
{
	struct config_word *pieces;
	size_t room = n, found = 0;

	for (size_t i = 0; i < n; i++)
		for (const char *c = words[i].text; separator && *c; c++)
			room += *c == separator;
	pieces = calloc(room ? room : 1, sizeof(*pieces));
	for (size_t i = 0; pieces && i < n; i++) {
		char *rest = words[i].text;

		while (rest) {
			char *end = separator ? strchr(rest, separator) : NULL;
			char *piece = rest;

			rest = end ? end + 1 : NULL;
			if (end)
				*end = '\0';
			piece += strspn(piece, " \t");
			for (size_t len = strlen(piece); len && strchr(" \t", piece[len - 1]);)
				piece[--len] = '\0';
			if (*piece)
				pieces[found++] = (struct config_word){ piece, words[i].line };
		}
	}
	*n_pieces = found;
	return pieces;
}

static void parse_list(struct config_parser *p, const struct config_word *words, size_t n)
{
	_cleanup_free_ struct config_word *pieces = NULL;
	size_t n_pieces;

	pieces = split_words(words, n, p->var->type->separator, &n_pieces);
	if (!pieces)
		config_report_error(p->report, 0, "%s: out of memory", p->var->name);
	else if (n_pieces > CONFIG_LIST_MAX)
		config_report_error(p->report, words->line,
				    "%s: found %zu entries; allowed: at most %d", p->var->name,
				    n_pieces, CONFIG_LIST_MAX);
	else
		p->var->type->parse(p, pieces, n_pieces);
}

static void parse_default(struct config_parser *p)
{
	_cleanup_free_ char *text = strdup(p->var->fallback);
	const struct config_word word = { .text = text };

	p->is_default = true;
	if (!text)
		config_report_error(p->report, 0, "%s: out of memory", p->var->name);
	else if (p->var->type->is_list)
		parse_list(p, &word, 1);
	else if (*text || p->var->type->empty == CONFIG_EMPTY_IS_VALUE)
		p->var->type->parse(p, &word, 1);
}

static bool words_are_text(const struct config_parser *p, const struct config_assignment *a)
{
	bool good = true;

	for (size_t i = 0; i < a->n_words; i++)
		if (!text_is_clean(a->words[i].text)) {
			config_bad(p, &a->words[i], ", which is not plain UTF-8 text");
			good = false;
		}
	return good;
}

static void parse_assigned(struct config_parser *p, const struct config_assignment *a)
{
	const struct config_type *type = p->var->type;

	p->is_default = false;
	if (!words_are_text(p, a) || (a->is_broken && !type->is_list))
		return; /* of a broken array, the good entries are still looked at */
	if (type->is_list) {
		parse_list(p, a->words, a->n_words);
	} else if (a->is_array) {
		struct config_word whole = { .text = (char *)"(..)", .line = a->line };

		config_bad(p, &whole, ", an array of %zu", a->n_words);
	} else if (!*a->words->text && type->empty == CONFIG_EMPTY_IS_DEFAULT) {
		parse_default(p);
	} else if (!*a->words->text && type->empty == CONFIG_EMPTY_IS_ERROR) {
		config_bad(p, a->words, ", which is empty");
	} else {
		type->parse(p, a->words, 1);
	}
}

static void parse_all(struct config_parser *p, const struct config_assignment **chosen, bool late)
{
	for (size_t i = 0; i < config_n_vars; i++) {
		p->var = &config_vars[i];
		if (p->var->late != late)
			continue;
		if (chosen[i])
			parse_assigned(p, chosen[i]);
		else
			parse_default(p);
	}
}

static int interpret(struct config *cfg, const struct config_assignments *all, const char *root,
		     struct config_report *report)
{
	_cleanup_free_ const struct config_assignment **chosen = NULL;
	_cleanup_free_ unsigned int *lines = NULL;
	struct config_parser p = { .cfg = cfg, .root = root, .report = report };
	struct cpuset online;
	struct err err;

	chosen = calloc(config_n_vars, sizeof(*chosen));
	lines = calloc(config_n_vars, sizeof(*lines));
	if (!chosen || !lines)
		return -ENOMEM;
	choose(all, chosen, report);
	for (size_t i = 0; i < config_n_vars; i++)
		lines[i] = chosen[i] ? chosen[i]->line : 0;
	p.lines = lines;
	if (cpuset_online(&online, root, &err) == 0)
		p.online = &online;
	else
		config_report_warning(report, 0, "whether the CPUs exist is not known: %s",
				      err.text);
	cfg->cpu_mask_is_default = !lines[config_var_find("VIRTIOFWD_CPU_MASK") - config_vars];
	parse_all(&p, chosen, false);
	parse_all(&p, chosen, true);
	config_check(&p);
	return 0;
}

int config_parse(const char *data, size_t size, const char *root, struct config **cfg,
		 struct config_report *report)
{
	struct config *found = calloc(1, sizeof(*found));
	struct config_assignments all = { 0 };
	int rc = -ENOMEM;

	if (found)
		rc = config_lex(data, size, &all, report);
	if (rc == 0)
		rc = interpret(found, &all, root, report);
	if (rc < 0)
		config_report_error(report, 0, "out of memory");
	if (report->n_errors && rc == 0)
		rc = -EINVAL;
	config_report_sort(report);
	config_lex_free(&all);
	if (rc < 0)
		config_free(found);
	else
		*cfg = found;
	return rc;
}

static int load_file(const char *file, char **data, size_t *size)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	buf = malloc(st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	while (len < (size_t)st.st_size) { /* what is appended meanwhile is of the next reading */
		ssize_t n = read(fd, buf + len, st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += n;
	}
	*data = take_ptr(buf);
	*size = len;
	return 0;
}

int config_read(const char *file, const char *root, struct config **cfg,
		struct config_report *report)
{
	_cleanup_free_ char *data = NULL;
	size_t size = 0;
	int rc;

	*cfg = NULL;
	memset(report, 0, sizeof(*report));
	rc = load_file(file, &data, &size);
	if (rc < 0) {
		config_report_error(report, 0,
				    "cannot be read: %s; allowed: a text file of at most %u "
				    "MiB",
				    rc == -EINVAL ? "it is no regular file" : strerror(-rc),
				    FILE_MAX >> 20);
		return rc;
	}
	rc = config_parse(data, size, root, cfg, report);
	if (rc < 0)
		return rc;
	(*cfg)->file = strdup(file);
	if (!(*cfg)->file) {
		config_report_error(report, 0, "out of memory");
		config_free(*cfg);
		*cfg = NULL;
		return -ENOMEM;
	}
	return 0;
}

void config_free(struct config *cfg)
{
	if (!cfg)
		return;
	for (size_t i = 0; i < config_n_vars; i++)
		if (config_vars[i].type->clear)
			config_vars[i].type->clear(&config_vars[i], cfg);
	free(cfg->file);
	free(cfg);
}

struct json_object *config_to_json(const struct config *cfg)
{
	struct json_object *json = json_object_new_object();

	for (size_t i = 0; json && i < config_n_vars; i++) {
		const struct config_var *var = &config_vars[i];

		if (var->type != &config_type_unused)
			json_object_object_add(json, var->name, var->type->to_json(var, cfg));
	}
	return json;
}
