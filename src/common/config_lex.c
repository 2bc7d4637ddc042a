/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One pass over the file. After an error the rest of the line is skipped and the next line is read
 * as if nothing had happened; an array that lacks its ')' ends where the next assignment of ours
 * begins.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_lex.h"
#include "common/config_report.h"
#include "common/config_scan.h"

static bool is_name_start(int c)
{
	return c == '_' || (c < 128 && isalpha(c));
}

static bool is_name_letter(int c)
{
	return c == '_' || (c < 128 && c >= 0 && isalnum(c));
}

bool config_is_our_name(const char *name)
{
	return !strncmp(name, "VIRTIOFWD_", 10) || !strncmp(name, "VIO4WD_", 7);
}

/* The length of "NAME" when "NAME=" is at the current position, else 0. */
static size_t assignment_ahead(const struct scanner *sc)
{
	size_t end = sc->pos;

	if (end >= sc->size || !is_name_start((unsigned char)sc->data[end]))
		return 0;
	while (end < sc->size && is_name_letter((unsigned char)sc->data[end]))
		end++;
	return end < sc->size && sc->data[end] == '=' ? end - sc->pos : 0;
}

/* Room for one more of n items, in steps that double: NULL when there is no memory. */
static void *make_room(void *items, size_t n, size_t size)
{
	if (n & (n - 1))
		return items;
	return reallocarray(items, n ? 2 * n : 1, size);
}

static int keep_word(struct scanner *sc, struct config_assignment *a, unsigned int line)
{
	struct config_word *words;

	words = make_room(a->words, a->n_words, sizeof(*words));
	if (!words)
		return -ENOMEM;
	a->words = words;
	words[a->n_words].text = strndup(sc->len ? sc->word : "", sc->len);
	words[a->n_words].line = line;
	if (!words[a->n_words].text)
		return -ENOMEM;
	a->n_words++;
	return sc->out_of_memory ? -ENOMEM : 0;
}

/* Behind an error inside an array: the next words may still be good. */
static void skip_broken_word(struct scanner *sc)
{
	while (scan_peek(sc) != SCAN_END && !strchr(" \t\n)", scan_peek(sc)))
		scan_take(sc);
}

static int read_array_word(struct scanner *sc, struct config_assignment *a)
{
	unsigned int line = sc->line;
	int rc = scan_word(sc, true);

	if (rc == 0)
		return keep_word(sc, a, line);
	a->is_broken = true;
	skip_broken_word(sc);
	return 0;
}

static bool our_assignment_ahead(const struct scanner *sc)
{
	return assignment_ahead(sc) >= strlen("VIO4WD_") && config_is_our_name(sc->data + sc->pos);
}

/* Returns -ENODATA when its ')' is missing; the position is then where the array ends. */
static int read_array(struct scanner *sc, struct config_assignment *a)
{
	unsigned int begin = sc->line;
	bool at_line_start = false;

	scan_take(sc); /* ( */
	for (;;) {
		int c, rc = 0;

		scan_skip_blanks(sc);
		c = scan_peek(sc);
		if (c == SCAN_END || (at_line_start && our_assignment_ahead(sc))) {
			if (!a->is_broken)
				scan_complain(sc, begin, "found ( without a ) after it");
			return -ENODATA;
		}
		if (c == '#')
			scan_skip_line(sc);
		else if (c == ')' || c == '\n')
			scan_take(sc);
		else
			rc = read_array_word(sc, a);
		if (rc < 0 || c == ')')
			return rc;
		at_line_start = c == '\n';
	}
}

static int read_value(struct scanner *sc, struct config_assignment *a)
{
	unsigned int line = sc->line;
	int rc;

	if (scan_peek(sc) == '(') {
		a->is_array = true;
		return read_array(sc, a);
	}
	rc = scan_word(sc, false);
	return rc < 0 ? rc : keep_word(sc, a, line);
}

/* What may stand behind a value: nothing, a comment, or another assignment. */
static int check_rest(struct scanner *sc)
{
	size_t blanks = sc->pos;
	int c;

	scan_skip_blanks(sc);
	blanks = sc->pos - blanks;
	c = scan_peek(sc);
	if (c == SCAN_END || c == '\n' || (c == '#' && blanks) || (blanks && assignment_ahead(sc)))
		return 0;
	if (scan_is_control(c))
		return scan_bad_character(sc, c, "");
	return scan_complain(
		sc, sc->line,
		"found text behind the value; a value with blanks needs quotes, several "
		"values need an array (a b c)");
}

static struct config_assignment *new_assignment(const struct scanner *sc, size_t name_len,
						struct config_assignments *out)
{
	struct config_assignment *items, *a;

	items = make_room(out->items, out->n, sizeof(*items));
	if (!items)
		return NULL;
	out->items = items;
	a = &items[out->n];
	*a = (struct config_assignment){ .line = sc->line };
	a->name = strndup(sc->data + sc->pos, name_len);
	if (!a->name)
		return NULL;
	out->n++;
	return a;
}

static int read_assignment(struct scanner *sc, size_t name_len, struct config_assignments *out)
{
	struct config_assignment *a = new_assignment(sc, name_len, out);
	int rc;

	if (!a)
		return -ENOMEM;
	sc->name = a->name;
	sc->pos += name_len + 1;
	rc = read_value(sc, a);
	if (rc == 0)
		rc = check_rest(sc);
	if (rc == 0 || rc == -ENOMEM)
		return rc;
	a->is_broken = true;
	if (rc != -ENODATA)
		scan_skip_line(sc);
	return 0;
}

/* A line that is no assignment: says what is wrong with it in the likely cases. */
static void bad_line(struct scanner *sc)
{
	const char *text = sc->data + sc->pos, *reason = "found no assignment";
	size_t len = 0, name_len = 0;
	char shown[41];

	while (sc->pos + len < sc->size && len < sizeof(shown) - 1 && text[len] != '\n' &&
	       text[len] != '\r' && text[len])
		len++;
	while (name_len < len && is_name_letter((unsigned char)text[name_len]))
		name_len++;
	memcpy(shown, text, len);
	shown[len] = '\0';
	if (!strncmp(shown + name_len, " =", 2) || !strncmp(shown + name_len, "\t=", 2))
		reason = "found a blank before =";
	else if (!strncmp(shown + name_len, "+=", 2))
		reason = "found +=, which is not supported";
	else if (shown[name_len] == '[' && name_len)
		reason = "found the assignment of one element, which is not supported";
	else if (!strncmp(shown, "export ", 7))
		reason = "found export, which is not needed";
	config_report_error(sc->report, sc->line, "'%s': %s; allowed: VARIABLE=value, # comment",
			    shown, reason);
	scan_skip_line(sc);
}

static int read_line(struct scanner *sc, struct config_assignments *out)
{
	size_t name_len;

	for (;;) {
		scan_skip_blanks(sc);
		if (scan_peek(sc) == '#')
			scan_skip_line(sc);
		if (scan_peek(sc) == SCAN_END || scan_peek(sc) == '\n')
			return 0;
		name_len = assignment_ahead(sc);
		if (name_len) {
			int rc = read_assignment(sc, name_len, out);

			if (rc < 0)
				return rc;
		} else {
			bad_line(sc);
		}
	}
}

int config_lex(const char *data, size_t size, struct config_assignments *out,
	       struct config_report *report)
{
	struct scanner sc = { .data = data, .size = size, .line = 1, .report = report };
	const char *nul = memchr(data, '\0', size);
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (nul) {
		unsigned int line = 1;

		for (const char *p = data; p < nul; p++)
			line += *p == '\n';
		config_report_error(report, line,
				    "found a NUL byte: this is no text file; allowed: text");
		return 0;
	}
	if (memmem(data, size, "\r\n", 2))
		config_report_warning(report, 0,
				      "found lines that end in CR LF; they are read as lines that "
				      "end in LF, a shell would read them otherwise");
	while (rc == 0 && scan_peek(&sc) != SCAN_END) {
		rc = read_line(&sc, out);
		scan_take(&sc);
	}
	free(sc.word);
	return rc;
}

void config_lex_free(struct config_assignments *assignments)
{
	for (size_t i = 0; i < assignments->n; i++) {
		struct config_assignment *a = &assignments->items[i];

		for (size_t w = 0; w < a->n_words; w++)
			free(a->words[w].text);
		free(a->words);
		free(a->name);
	}
	free(assignments->items);
	memset(assignments, 0, sizeof(*assignments));
}
