/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdint.h>

#include "common/text.h"

unsigned int utf8_length(const char *p)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)p;
	unsigned int len;
	uint32_t code;

	if (s[0] < 0x80)
		return s[0] ? 1 : 0;
	if ((s[0] & 0xe0) == 0xc0)
		len = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		len = 3;
	else if ((s[0] & 0xf8) == 0xf0)
		len = 4;
	else
		return 0;
	code = s[0] & (0x7f >> len);
	for (unsigned int i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80) /* the NUL at the end, too */
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

/* The length of what may stay at p, or 0. */
static unsigned int clean_length(const char *p)
{
	unsigned char c = (unsigned char)*p;

	return c < 0x20 || c == 0x7f ? 0 : utf8_length(p);
}

bool text_is_clean(const char *text)
{
	while (*text) {
		unsigned int len = clean_length(text);

		if (!len)
			return false;
		text += len;
	}
	return true;
}

void text_clean(char *text)
{
	while (*text) {
		unsigned int len = clean_length(text);

		if (!len) {
			*text = '?';
			len = 1;
		}
		text += len;
	}
}
