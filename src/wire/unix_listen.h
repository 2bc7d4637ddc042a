/* SPDX-License-Identifier: BSD-3-Clause */

/* Unix stream sockets by path: the rules that every listening socket of the project follows. */
#ifndef VIO4WD_UNIX_LISTEN_H
#define VIO4WD_UNIX_LISTEN_H

#include <sys/types.h>

#include "common/err.h"

/*
 * Listens on path with the given mode. A stale socket that nobody listens on is replaced; anything
 * else at that path is -EEXIST and left alone. Returns the fd (close-on-exec, non-blocking).
 */
int unix_listen(const char *path, mode_t mode, struct err *err);

/* Connects within timeout_ms (the backlog of the server may be full). Returns the fd, close-on-exec
 * and non-blocking, or the negative errno that is in err. */
int unix_connect(const char *path, unsigned int timeout_ms, struct err *err);

#endif
