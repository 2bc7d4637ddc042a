/* SPDX-License-Identifier: BSD-3-Clause */

/* Can QEMU reach the vhost-user sockets? */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "common/cleanup.h"
#include "ctl/doctor/denials.h"
#include "ctl/doctor/doctor.h"

/* A name or a number of the configuration; false: the host has no such user, or none is named. */
static bool qemu_user(const struct doctor *d, struct doctor_user *user)
{
	const char *owner = d->cfg->socket_owner;
	gid_t gid;

	if (!doctor_user_find(d, owner, user))
		return false;
	if (doctor_group_find(d, d->cfg->socket_group, &gid) &&
	    user->n_groups < (int)(sizeof(user->groups) / sizeof(user->groups[0])))
		user->groups[user->n_groups++] = gid;
	return true;
}

static bool is_number(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

static void check_owner(struct doctor *d)
{
	const char *owner = d->cfg->socket_owner, *group = d->cfg->socket_group;
	struct doctor_user user;
	gid_t gid;
	const bool has_owner = !*owner || is_number(owner) || doctor_user_find(d, owner, &user);
	const bool has_group = !*group || is_number(group) || doctor_group_find(d, group, &gid);

	if (has_owner && has_group) {
		doctor_ok(d, "/etc/passwd, /etc/group", "owner and group of sockets exist: %s:%s",
			  *owner ? owner : "root", *group ? group : "root");
		return;
	}
	doctor_find(d, FINDING_WARNING, "/etc/passwd, /etc/group",
		    "this host has no %s %s: sockets get root's, and a QEMU that runs as another "
		    "user cannot open them",
		    has_owner ? "group" : "user", has_owner ? group : owner);
	doctor_expected(d, "VIRTIOFWD_SOCKET_OWNER and VIRTIOFWD_SOCKET_GROUP of QEMU's user");
	doctor_action(d,
		      "install libvirt's QEMU driver, which makes its user, or name the user and "
		      "the group that QEMU runs as");
}

/* user = "libvirt-qemu"; comments begin with #. */
static bool qemu_conf_user(const struct doctor *d, char *name, size_t size)
{
	_cleanup_free_ char *text = doctor_read(d, "/etc/libvirt/qemu.conf");
	bool found = false;
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char value[64];

		if (sscanf(line, " user = \"%63[^\"]\"", value) != 1)
			continue;
		snprintf(name, size, "%s", value + (*value == '+'));
		found = true;
	}
	return found;
}

static void check_qemu_conf(struct doctor *d)
{
	static const char file[] = "/etc/libvirt/qemu.conf";
	char name[64];
	struct doctor_user user;
	gid_t gid;
	bool member = false;

	if (!qemu_conf_user(d, name, sizeof(name)) || !doctor_user_find(d, name, &user) ||
	    user.uid == 0 || !strcmp(name, d->cfg->socket_owner)) {
		doctor_ok(d, file, "libvirt's QEMU may open the sockets of the configuration");
		return;
	}
	for (int i = 0; doctor_group_find(d, d->cfg->socket_group, &gid) && i < user.n_groups; i++)
		member |= user.groups[i] == gid;
	if (member) {
		doctor_ok(d, file, "libvirt's QEMU (%s) is in the group of sockets, %s", name,
			  d->cfg->socket_group);
		return;
	}
	doctor_find(d, FINDING_ERROR, file,
		    "libvirt runs QEMU as %s, sockets belong to %s:%s: QEMU cannot open them", name,
		    d->cfg->socket_owner, d->cfg->socket_group);
	doctor_expected(d, "one user or group in both");
	doctor_action(d, "VIRTIOFWD_SOCKET_OWNER=%s, then vio4wdctl reload", name);
}

/* The first folder on the way that the user may not enter; false: none. */
static bool find_barrier(const struct doctor *d, const struct doctor_user *user, char *folder,
			 size_t size, struct stat *st)
{
	const char *path = d->cfg->socket_dir;

	for (size_t len = 1; len <= strlen(path); len++) {
		char full[2 * PATH_MAX];

		if (path[len] && path[len] != '/')
			continue;
		snprintf(folder, size, "%.*s", (int)len, path);
		snprintf(full, sizeof(full), "%s%s", d->root, folder);
		if (stat(full, st) < 0)
			return false;
		/* An access control list says more than the mode: then it is not judged. */
		if (!doctor_user_may(user, st, S_IXOTH) &&
		    getxattr(full, "system.posix_acl_access", NULL, 0) < 0)
			return true;
	}
	return false;
}

static void check_path(struct doctor *d)
{
	const char *path = d->cfg->socket_dir;
	char folder[PATH_MAX], full[2 * PATH_MAX];
	struct doctor_user user;
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", d->root, path);
	if (stat(full, &st) < 0 || !S_ISDIR(st.st_mode)) {
		doctor_find(d, FINDING_ERROR, path,
			    "the folder of sockets, %s (VIRTIOFWD_SOCKET_DIR), %s", path,
			    doctor_exists(d, "%s", path) ? "is no folder" : "is not there");
		doctor_expected(d, "a folder that QEMU's user may enter");
		doctor_action(d, "mkdir -p %s, or name another one", path);
	} else if (qemu_user(d, &user) && find_barrier(d, &user, folder, sizeof(folder), &st)) {
		doctor_find(d, FINDING_ERROR, folder,
			    "%s (QEMU's user) may not enter %s (mode %04o, uid %u, gid %u) on the "
			    "way to its sockets",
			    user.name, folder, st.st_mode & 07777, st.st_uid, st.st_gid);
		doctor_expected(d, "the right to enter (x) each folder of %s", path);
		doctor_action(d, "chmod o+x %s, or setfacl -m u:%s:x %s", folder, user.name,
			      folder);
	} else {
		doctor_ok(d, path, "the folder of sockets can be entered: %s", path);
	}
}

static void judge_socket(struct doctor *d, const char *path, const struct stat *st, size_t *found)
{
	struct doctor_user user;

	if (!S_ISSOCK(st->st_mode)) {
		*found += 1;
		doctor_find(d, FINDING_ERROR, path,
			    "%s is in the place of a relay's socket and is none: the relay fails",
			    path);
		doctor_expected(d, "nothing at the path, or a socket");
		doctor_action(d, "move it away, or change VIRTIOFWD_SOCKET_FNAME_PATTERN");
	} else if (qemu_user(d, &user) && !doctor_user_may(&user, st, S_IROTH | S_IWOTH)) {
		*found += 1;
		doctor_find(d, FINDING_ERROR, path,
			    "%s (QEMU's user) may not use the socket %s (mode %04o, uid %u, gid "
			    "%u)",
			    user.name, path, st->st_mode & 07777, st->st_uid, st->st_gid);
		doctor_expected(d, "read and write for QEMU's user");
		doctor_action(d, "set VIRTIOFWD_SOCKET_OWNER and VIRTIOFWD_SOCKET_GROUP and run "
				 "vio4wdctl reload; where nobody listens, remove the file");
	}
}

static void check_files(struct doctor *d)
{
	char path[CONFIG_SOCKET_PATH_MAX + 1], full[2 * PATH_MAX];
	size_t found = 0, n = 0;
	struct stat st;

	for (unsigned int id = 0; id < CONFIG_MAX_RELAYS; id++) {
		if (config_socket_path(d->cfg, id, path, NULL) < 0)
			continue;
		snprintf(full, sizeof(full), "%s%s", d->root, path);
		if (lstat(full, &st) < 0)
			continue;
		n++;
		judge_socket(d, path, &st, &found);
	}
	if (!found)
		doctor_ok(d, d->cfg->socket_dir, "%zu sockets are there, QEMU may use them", n);
}

static void check_denials(struct doctor *d)
{
	struct denials denials;

	denials_find(&denials, d->root, d->cfg);
	if (!denials.n) {
		doctor_ok(d, DENIALS_LOOKED_AT,
			  "neither SELinux nor AppArmor is known to have denied a socket");
		return;
	}
	doctor_find(d, FINDING_ERROR, DENIALS_LOOKED_AT,
		    "%zu times a socket or device of vio4wd's was denied, the last time: %.300s",
		    denials.n, denials.last);
	doctor_expected(d, "no denials by SELinux or AppArmor");
	doctor_action(
		d, "%s",
		denials.apparmor
			? "AppArmor: add the path with rw, to /etc/apparmor.d/local/"
			  "abstractions/libvirt-qemu for domains, and apparmor_parser -r the "
			  "profile"
			: "SELinux: ausearch -m avc -ts boot | audit2allow -M vio4wd, look at "
			  "the rule, semodule -i vio4wd.pp");
}

static const struct doctor_check checks[] = {
	{ "owner", check_owner }, { "qemu-conf", check_qemu_conf }, { "path", check_path },
	{ "files", check_files }, { "denials", check_denials },	    { 0 },
};

const struct doctor_area doctor_socket = {
	.name = "socket",
	.checks = checks,
};
