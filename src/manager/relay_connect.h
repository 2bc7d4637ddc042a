/* SPDX-License-Identifier: BSD-3-Clause */

/* The connection to a relay process that runs: from the first try until relay->state is
 * RELAY_RUNNING, and again when it was lost. For relay_process.c, which owns the struct relay. */
#ifndef VIO4WD_MANAGER_RELAY_CONNECT_H
#define VIO4WD_MANAGER_RELAY_CONNECT_H

#include "manager/relay_process.h"

/* A process that has just been started: tries until it listens or the deadline is over. */
void relay_connect_fresh(struct relay *relay);
/* Is there one that listens at relay->socket? Then its pid is known from now on; else -errno. */
int relay_connect_adopt(struct relay *relay);
/* After that: asks who it is. */
void relay_connect_hello(struct relay *relay);
void relay_connect_drop(struct relay *relay);

/* relay_process.c */
void relay_set_timer(struct relay *relay, sd_event_source **source, uint64_t after_us,
		     sd_event_time_handler_t handler);
void relay_set_deadline(struct relay *relay, uint64_t after_us);
void relay_cancel_timers(struct relay *relay);
uint64_t relay_now_us(void); /* monotonic */

#define RELAY_ADOPT_DEADLINE_US 5000000ull /* hello and snapshot of one that runs already */

#endif
