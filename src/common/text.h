/* SPDX-License-Identifier: BSD-3-Clause */

/* Text that came from outside, before it goes into messages, logs and JSON. */
#ifndef VIO4WD_TEXT_H
#define VIO4WD_TEXT_H

#include <stdbool.h>

/* The length of the UTF-8 sequence at p (1 to 4), or 0 when there is none: malformed, overlong, a
 * surrogate, or the end of the text. p is NUL-terminated. */
unsigned int utf8_length(const char *p);
/* True when all of the text is UTF-8 without control characters. */
bool text_is_clean(const char *text);
/* Puts '?' in the place of control characters and of what is not UTF-8, so that nobody forges log
 * lines or moves the cursor of a terminal. */
void text_clean(char *text);

#endif
