/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Errors that carry what was tried, on what, and why it failed.
 *
 * A function that can fail returns a negative errno and fills the struct err it was given, at the
 * place where the facts are known. The text is a sentence for an administrator: it names the thing,
 * the reason and the next step. The step is a word or two, and is what 1.1's protocol calls
 * error_code_source.
 */
#ifndef VIO4WD_ERR_H
#define VIO4WD_ERR_H

struct err {
	int code; /* negative errno, 0 when nothing failed */
	char step[32];
	char text[480];
};

/* Fills e (which may be NULL) and returns code, so that callers can write `return err_set(...)`. */
int err_set(struct err *e, int code, const char *step, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "what: " in front of the text of an error that a callee has set; returns e->code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
