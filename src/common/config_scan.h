/* SPDX-License-Identifier: BSD-3-Clause */

/* The letters and words of a configuration file, for config_lex.c only. */
#ifndef VIO4WD_CONFIG_SCAN_H
#define VIO4WD_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct config_report;

#define SCAN_END (-1)

struct scanner {
	const char *data;
	size_t size, pos;
	unsigned int line;
	struct config_report *report;
	const char *name; /* of the variable that is read, for messages */
	char *word;	  /* the word that was read, in a buffer that grows; not NUL-terminated */
	size_t len, room;
	bool out_of_memory;
};

/* The letter at the position, or SCAN_END; CR LF reads as LF. take also moves behind it. */
int scan_peek(const struct scanner *sc);
int scan_take(struct scanner *sc);
void scan_skip_blanks(struct scanner *sc);
void scan_skip_line(struct scanner *sc); /* up to its end, not behind it */
bool scan_is_control(int c);

/*
 * Reads a word up to the blank, end of line or, in an array, ')' behind it. Returns 0, or -EINVAL
 * when an error was reported; the position is then where the error was found.
 */
int scan_word(struct scanner *sc, bool in_array);

/* Both report an error about the variable and return -EINVAL. */
int scan_complain(struct scanner *sc, unsigned int line, const char *what);
int scan_bad_character(struct scanner *sc, int c, const char *where);

#endif
