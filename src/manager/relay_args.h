/* SPDX-License-Identifier: BSD-3-Clause */

/* The command line of a relay process. */
#ifndef VIO4WD_MANAGER_RELAY_ARGS_H
#define VIO4WD_MANAGER_RELAY_ARGS_H

#include <stdbool.h>

#include "manager/relay_process.h"

#define RELAY_ARGS_MAX 40

struct relay_args {
	char *argv[RELAY_ARGS_MAX + 1]; /* NULL at the end */
	unsigned int n;
	bool failed; /* out of memory or of room */
};

/* The program and its options; with_user: with whom it becomes. Freed by relay_args_free(). */
int relay_args_fill(struct relay_args *args, const struct relay *relay, bool with_user,
		    struct err *err);
void relay_args_free(struct relay_args *args);

/*
 * The options without the program, separated by spaces, as systemd splits them. *text is the
 * caller's. -EINVAL when one has a character that would have to be quoted (none has: numbers,
 * CPU lists, UUIDs, a path that is ours).
 */
int relay_args_text(const struct relay_args *args, char **text, struct err *err);

#endif
