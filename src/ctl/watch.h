/* SPDX-License-Identifier: BSD-3-Clause */

/* Output that is drawn again and again until the user interrupts it. */
#ifndef VIO4WD_CTL_WATCH_H
#define VIO4WD_CTL_WATCH_H

#include "ctl/ctl.h"

struct watch;
/* From now on SIGINT and SIGTERM end the watching and not the program. */
int watch_new(struct watch **watch, unsigned int interval_ms);
/* Clears a terminal; on anything else output is appended. */
void watch_clear(struct watch *watch);
/* Waits for the next turn; false when it was interrupted. */
bool watch_next(struct watch *watch);
void watch_free(struct watch *watch);

#endif
