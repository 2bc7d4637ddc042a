/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Network interfaces that come and go (rtnetlink). Who is told looks for itself what is there now:
 * events are merged, and none is lost when the kernel drops some.
 */
#ifndef VIO4WD_MANAGER_NETLINKS_H
#define VIO4WD_MANAGER_NETLINKS_H

#include <systemd/sd-event.h>

#include "common/err.h"

struct netlinks;

/* changed: some interface was made, removed, renamed or changed its flags. */
int netlinks_new(struct netlinks **netlinks, sd_event *event, void (*changed)(void *userdata),
		 void *userdata, struct err *err);
void netlinks_free(struct netlinks *netlinks);

#endif
