/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Optimal string alignment: the usual dynamic programme over prefixes, with three rows because a
 * swap of neighbours looks two letters back.
 */
#include <ctype.h>
#include <string.h>

#include "common/suggest.h"

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

unsigned int edit_distance(const char *a, const char *b)
{
	size_t len_a = strnlen(a, SUGGEST_MAX_LEN + 1), len_b = strnlen(b, SUGGEST_MAX_LEN + 1);
	unsigned int rows[3][SUGGEST_MAX_LEN + 1];

	if (len_a > SUGGEST_MAX_LEN || len_b > SUGGEST_MAX_LEN)
		return UINT_MAX;
	for (size_t j = 0; j <= len_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		unsigned int *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const unsigned int *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			row[j] = min3(above[j] + 1, row[j - 1] + 1,
				      above[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) && above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	return rows[len_a % 3][len_b];
}

void suggestion_offer(struct suggestion *s, const char *name)
{
	unsigned int distance = edit_distance(s->word, name);

	if (distance < s->distance) {
		s->distance = distance;
		s->best = name;
	}
}

bool suggestion_is_close(const struct suggestion *s)
{
	return s->best && s->distance <= 1 + strlen(s->word) / 4;
}
