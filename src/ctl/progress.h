/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * While the daemon works on a call that may take minutes: on a terminal, a line on stderr that says
 * what is waited for and for how long; elsewhere nothing.
 */
#ifndef VIO4WD_CTL_PROGRESS_H
#define VIO4WD_CTL_PROGRESS_H

struct progress;

/*
 * what: "ens3 to have 7 VFs". SIGINT and SIGTERM end the program as they always do, but not before
 * afterwards has been said, which tells what the daemon now does. Both texts are kept by the
 * caller. NULL when there is no memory or no thread: the call works without.
 */
struct progress *progress_begin(const char *what, const char *afterwards);
void progress_end(struct progress *progress);

#endif
