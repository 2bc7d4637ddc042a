/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A word is a run of pieces, as in a shell: plain letters, '..', ".." and backslash escapes. Quotes
 * end on the line they begin on, so that one that was forgotten does not swallow the file.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_report.h"
#include "common/config_scan.h"

#define NAME_SHOWN 60 /* letters of a name in a message */

/* CR LF reads as LF. */
int scan_peek(const struct scanner *sc)
{
	if (sc->pos >= sc->size)
		return SCAN_END;
	if (sc->data[sc->pos] == '\r' && sc->pos + 1 < sc->size && sc->data[sc->pos + 1] == '\n')
		return '\n';
	return (unsigned char)sc->data[sc->pos];
}

int scan_take(struct scanner *sc)
{
	int c = scan_peek(sc);

	if (c == SCAN_END)
		return SCAN_END;
	sc->pos += c == '\n' && sc->data[sc->pos] == '\r' ? 2 : 1;
	sc->line += c == '\n';
	return c;
}

void scan_skip_blanks(struct scanner *sc)
{
	while (scan_peek(sc) == ' ' || scan_peek(sc) == '\t')
		scan_take(sc);
}

void scan_skip_line(struct scanner *sc)
{
	while (scan_peek(sc) != SCAN_END && scan_peek(sc) != '\n')
		scan_take(sc);
}

static void add_letter(struct scanner *sc, int c)
{
	if (sc->len + 1 >= sc->room) {
		size_t room = sc->room ? 2 * sc->room : 64;
		char *word = realloc(sc->word, room);

		if (!word) {
			sc->out_of_memory = true;
			return;
		}
		sc->word = word;
		sc->room = room;
	}
	sc->word[sc->len++] = (char)c;
}

int scan_complain(struct scanner *sc, unsigned int line, const char *what)
{
	config_report_error(sc->report, line, "%.*s: %s", NAME_SHOWN, sc->name, what);
	return -EINVAL;
}

int scan_bad_character(struct scanner *sc, int c, const char *where)
{
	if (isgraph(c))
		config_report_error(sc->report, sc->line,
				    "%.*s: found %c %s, where a shell would act on it; the file is "
				    "not executed: write '%c' in single quotes",
				    NAME_SHOWN, sc->name, c, where, c);
	else
		config_report_error(sc->report, sc->line,
				    "%.*s: found the control character 0x%02x; allowed: text",
				    NAME_SHOWN, sc->name, c);
	return -EINVAL;
}

bool scan_is_control(int c)
{
	return c != '\t' && (c < 0x20 || c == 0x7f);
}

/* Behind a backslash; quoted: between double quotes, where it stands for itself before most. */
static void read_escape(struct scanner *sc, bool quoted)
{
	int c = scan_peek(sc);

	if (c == '\n') { /* the line goes on in the next one */
		scan_take(sc);
		return;
	}
	if (quoted && !(c == '$' || c == '`' || c == '"' || c == '\\'))
		add_letter(sc, '\\');
	else if (c != SCAN_END && !scan_is_control(c))
		add_letter(sc, scan_take(sc));
}

static int read_quoted(struct scanner *sc)
{
	unsigned int line = sc->line;
	int quote = scan_take(sc);

	for (;;) {
		int c = scan_peek(sc);

		if (c == SCAN_END || c == '\n')
			return scan_complain(sc, line,
					     quote == '"'
						     ? "found \" without another \" on this line"
						     : "found ' without another ' on this line");
		if (scan_is_control(c))
			return scan_bad_character(sc, c, "");
		if (quote == '"' && (c == '$' || c == '`'))
			return scan_bad_character(sc, c, "between double quotes");
		scan_take(sc);
		if (c == quote)
			return 0;
		if (c == '\\' && quote == '"')
			read_escape(sc, true);
		else
			add_letter(sc, c);
	}
}

/* Whether a shell would do more with an unquoted letter than to take it. */
static bool is_special(const struct scanner *sc, int c, bool in_array)
{
	return strchr("$`;&|<>(", c) || (c == '~' && !sc->len) || (c == ')' && !in_array) ||
	       (in_array && strchr("*?[{", c));
}

int scan_word(struct scanner *sc, bool in_array)
{
	sc->len = 0;
	for (;;) {
		int c = scan_peek(sc), rc = 0;

		if (c == SCAN_END || c == ' ' || c == '\t' || c == '\n' || (c == ')' && in_array))
			return 0;
		if (c == '\'' || c == '"') {
			rc = read_quoted(sc);
		} else if (scan_is_control(c)) {
			rc = scan_bad_character(sc, c, "");
		} else if (is_special(sc, c, in_array)) {
			rc = scan_bad_character(sc, c, "outside quotes");
		} else {
			scan_take(sc);
			if (c == '\\')
				read_escape(sc, false);
			else
				add_letter(sc, c);
		}
		if (rc < 0)
			return rc;
	}
}
