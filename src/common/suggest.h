/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * "Did you mean ...?": the known name that is closest to what somebody wrote. Names are offered one
 * by one, so that any table can be asked:
 *
 *	struct suggestion s = SUGGESTION_FOR(word);
 *	for (...)
 *		suggestion_offer(&s, table[i].name);
 *	if (suggestion_is_close(&s))
 *		... s.best ...
 */
#ifndef VIO4WD_SUGGEST_H
#define VIO4WD_SUGGEST_H

#include <limits.h>
#include <stdbool.h>

#define SUGGEST_MAX_LEN 64 /* longer words are near to nothing */

struct suggestion {
	const char *word;
	const char *best;      /* NULL until a name was offered; not owned */
	unsigned int distance; /* of best */
};

#define SUGGESTION_FOR(w)                         \
	{                                         \
		.word = (w), .distance = UINT_MAX \
	}

/* How many letters must be put in, left out, changed or swapped with their neighbour to make a out
 * of b; upper and lower case are the same. UINT_MAX when one is longer than SUGGEST_MAX_LEN. */
unsigned int edit_distance(const char *a, const char *b);

void suggestion_offer(struct suggestion *s, const char *name);
/* True when the best name is so near that it was probably meant. */
bool suggestion_is_close(const struct suggestion *s);

#endif
