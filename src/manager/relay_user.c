/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/relay_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
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
		log_warning("this host has no user vio4wd: relays run as nobody (useradd --system "
			    "vio4wd makes it)");
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
