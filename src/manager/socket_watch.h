/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Client mode: QEMU makes the sockets, whenever it starts. The directories of the paths that are
 * watched are watched for that; a socket there is opened for the relays (socket_access.h).
 */
#ifndef VIO4WD_MANAGER_SOCKET_WATCH_H
#define VIO4WD_MANAGER_SOCKET_WATCH_H

#include <systemd/sd-event.h>

#include "manager/relay_user.h"

struct socket_watch;

int socket_watch_new(struct socket_watch **watch, sd_event *event, const struct relay_user *user);
void socket_watch_free(struct socket_watch *watch);

/* A socket that is there already is looked at at once. Adding a path twice is fine. */
int socket_watch_add(struct socket_watch *watch, const char *path);
void socket_watch_remove(struct socket_watch *watch, const char *path);

#endif
