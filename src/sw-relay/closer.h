/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Closing descriptors in a thread of its own. Closing a packet socket waits for the network core
 * to have forgotten it, ten milliseconds and more for each; neither a worker nor the control thread
 * has that time.
 */
#ifndef VIO4WD_RELAY_CLOSER_H
#define VIO4WD_RELAY_CLOSER_H

#include "common/err.h"

int closer_start(struct err *err);
void closer_stop(void); /* when everything that was given to it is closed */
/* Takes fd over. From any thread, never waits; without a closer fd is closed at once. */
void closer_close(int fd);

#endif
