/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/relay_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

int relay_user_find(struct relay_user *user, const char *socket_group, struct err *err)
{
	const struct passwd *pw = getpwnam("vio4wd");
	const struct group *gr;

	*user = (struct relay_user){ 0 };
	if (!pw) {
		pw = getpwnam("nobody");
		if (!pw)
			return err_set(
				err, -ENOENT, "user",
				"this host has neither a user vio4wd nor nobody: relays must "
				"not run as root; add a system user vio4wd");
		log_warning("this host has no user vio4wd: relays run as nobody (systemd-sysusers "
			    "makes it, or useradd --system)");
	}
	snprintf(user->name, sizeof(user->name), "%s", pw->pw_name);
	user->uid = pw->pw_uid;
	user->gid = pw->pw_gid;
	gr = getgrgid(user->gid);
	if (gr)
		snprintf(user->group_name, sizeof(user->group_name), "%s", gr->gr_name);
	else
		snprintf(user->group_name, sizeof(user->group_name), "%u", user->gid);
	gr = socket_group && *socket_group ? getgrnam(socket_group) : NULL;
	if (gr) {
		snprintf(user->groups, sizeof(user->groups), "%s", gr->gr_name);
		user->gids[user->n_gids++] = gr->gr_gid;
	}
	return 0;
}

/* The group that sockets are given stays the first one. */
static void take_groups(struct relay_user *user, gid_t first, const gid_t *gids, int n)
{
	size_t len = 0;

	user->gids[0] = first;
	user->n_gids = 1;
	user->groups[0] = '\0';
	for (int i = 0; i < n && user->n_gids < RELAY_USER_GROUPS_MAX; i++) {
		if (gids[i] != first && gids[i] != user->gid)
			user->gids[user->n_gids++] = gids[i];
	}
	for (unsigned int i = 0; i < user->n_gids; i++) {
		const struct group *gr = getgrgid(user->gids[i]);

		if (gr && len + strlen(gr->gr_name) + 2 < sizeof(user->groups))
			len += sprintf(user->groups + len, "%s%s", len ? "," : "", gr->gr_name);
	}
}

void relay_user_of_unit(struct relay_user *user)
{
	gid_t gids[RELAY_USER_GROUPS_MAX];
	gid_t first = user->n_gids ? user->gids[0] : user->gid;
	int n = RELAY_USER_GROUPS_MAX;
	bool member = first == user->gid;

	if (getgrouplist(user->name, user->gid, gids, &n) < 0)
		n = RELAY_USER_GROUPS_MAX; /* those that fit are there */
	for (int i = 0; i < n; i++)
		member |= gids[i] == first;
	if (!member && first != 0)
		log_notice("user %s of the relays is not in group %s (VIRTIOFWD_SOCKET_GROUP); "
			   "where they need it: usermod -aG %s %s",
			   user->name, user->groups, user->groups, user->name);
	take_groups(user, member ? first : user->gid, gids, n);
}

bool relay_user_may(const struct relay_user *user, const struct stat *st, mode_t want)
{
	if (st->st_uid == user->uid)
		return ((st->st_mode >> 6) & want) == want;
	if (st->st_gid == user->gid)
		return ((st->st_mode >> 3) & want) == want;
	for (unsigned int i = 0; i < user->n_gids; i++) {
		if (st->st_gid == user->gids[i])
			return ((st->st_mode >> 3) & want) == want;
	}
	return (st->st_mode & want) == want;
}
