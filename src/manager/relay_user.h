/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * As whom relay processes run: user vio4wd where the host has it, else nobody; with the group of
 * the vhost-user sockets as a supplementary one, so that client mode can connect to QEMU's sockets.
 */
#ifndef VIO4WD_MANAGER_RELAY_USER_H
#define VIO4WD_MANAGER_RELAY_USER_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/err.h"

#define RELAY_USER_GROUPS_MAX 32

struct relay_user {
	char name[64];	     /* of the user */
	char group_name[64]; /* or the number, where it has no name */
	char groups[256];    /* "kvm", comma-separated names of the supplementary ones; or "" */
	uid_t uid;
	gid_t gid;
	gid_t gids[RELAY_USER_GROUPS_MAX]; /* the first: what QEMU's sockets are given */
	unsigned int n_gids;
};

int relay_user_find(struct relay_user *user, const char *socket_group, struct err *err);
/* Started by systemd it has the groups that the user database gives it, and no others. */
void relay_user_of_unit(struct relay_user *user);
/* Do the mode bits let it? want: S_IROTH, S_IWOTH, S_IXOTH or'ed. */
bool relay_user_may(const struct relay_user *user, const struct stat *st, mode_t want);

#endif
