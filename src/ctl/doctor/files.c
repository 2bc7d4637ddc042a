/* SPDX-License-Identifier: BSD-3-Clause */

/* Reading the host below the root: files, users, programs and what processes have open. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/sysfs.h"
#include "ctl/doctor/doctor.h"

#define FILE_MAX (4u << 20)

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* printf-style arguments as a path below /. */
#define FORMAT_PATH(path, fmt)                                 \
	do {                                                   \
		va_list format_ap;                             \
		va_start(format_ap, fmt);                      \
		vsnprintf(path, sizeof(path), fmt, format_ap); \
		va_end(format_ap);                             \
	} while (0)

bool doctor_exists(const struct doctor *d, const char *fmt, ...)
{
	char path[PATH_MAX], full[2 * PATH_MAX];

	FORMAT_PATH(path, fmt);
	snprintf(full, sizeof(full), "%s%s", d->root, path);
	return access(full, F_OK) == 0;
}

char *doctor_read(const struct doctor *d, const char *path)
{
	_cleanup_free_ char *text = NULL;
	int len = -EFBIG;

	/* Files of /proc have no size to be asked for. */
	for (size_t size = 16384; len == -EFBIG && size <= FILE_MAX; size *= 4) {
		char *more = realloc(text, size);

		if (!more) {
			errno = ENOMEM;
			return NULL;
		}
		text = more;
		len = sysfs_read(d->root, text, size, "%s", path);
	}
	if (len >= 0)
		return take_ptr(text);
	errno = -len;
	return NULL;
}

long doctor_number(const struct doctor *d, const char *fmt, ...)
{
	char path[PATH_MAX], text[64], *end;
	long value;

	FORMAT_PATH(path, fmt);
	if (sysfs_read(d->root, text, sizeof(text), "%s", path) < 0)
		return -1;
	value = strtol(text, &end, 10);
	return end == text || *end ? -1 : value;
}

void doctor_cpus(const struct doctor *d, struct cpuset *set, const char *fmt, ...)
{
	char path[PATH_MAX], text[4096];

	FORMAT_PATH(path, fmt);
	if (sysfs_read(d->root, text, sizeof(text), "%s", path) < 0 ||
	    cpuset_parse(set, text, NULL) < 0)
		cpuset_clear(set);
}

bool doctor_has_word(const char *text, const char *word)
{
	static const char blanks[] = " \t\n";
	const size_t len = strlen(word);

	for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
		const size_t n = strcspn(text, blanks);

		if (n == len && !strncmp(text, word, len))
			return true;
		text += n;
	}
	return false;
}

static FILE *open_database(const struct doctor *d, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/etc/%s", d->root, name);
	return fopen(path, "re");
}

static void take_user(struct doctor_user *user, const struct passwd *pw)
{
	*user = (struct doctor_user){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	snprintf(user->name, sizeof(user->name), "%s", pw->pw_name);
	user->groups[user->n_groups++] = pw->pw_gid;
}

/* getgrouplist() of another root. */
static void take_groups(const struct doctor *d, struct doctor_user *user)
{
	_cleanup_(cleanup_file) FILE *file = open_database(d, "group");
	const int max = sizeof(user->groups) / sizeof(user->groups[0]);
	const struct group *gr;

	while (file && (gr = fgetgrent(file))) {
		for (char **member = gr->gr_mem; *member; member++) {
			if (!strcmp(*member, user->name) && user->n_groups < max)
				user->groups[user->n_groups++] = gr->gr_gid;
		}
	}
}

bool doctor_user_find(const struct doctor *d, const char *name, struct doctor_user *user)
{
	_cleanup_(cleanup_file) FILE *file = NULL;
	const struct passwd *pw = NULL;
	int max = sizeof(user->groups) / sizeof(user->groups[0]);

	if (!*d->root) {
		pw = getpwnam(name);
		if (!pw)
			return false;
		take_user(user, pw);
		if (getgrouplist(name, pw->pw_gid, user->groups, &max) >= 0)
			user->n_groups = max;
		return true;
	}
	file = open_database(d, "passwd");
	while (file && (pw = fgetpwent(file)) && strcmp(pw->pw_name, name))
		;
	if (!pw)
		return false;
	take_user(user, pw);
	take_groups(d, user);
	return true;
}

bool doctor_user_may(const struct doctor_user *user, const struct stat *st, mode_t want)
{
	if (user->uid == 0)
		return true;
	if (st->st_uid == user->uid)
		return ((st->st_mode >> 6) & want) == want;
	for (int i = 0; i < user->n_groups; i++) {
		if (st->st_gid == user->groups[i])
			return ((st->st_mode >> 3) & want) == want;
	}
	return (st->st_mode & want) == want;
}

bool doctor_group_find(const struct doctor *d, const char *name, gid_t *gid)
{
	_cleanup_(cleanup_file) FILE *file = NULL;
	const struct group *gr = NULL;

	if (!*d->root) {
		gr = getgrnam(name);
	} else {
		file = open_database(d, "group");
		while (file && (gr = fgetgrent(file)) && strcmp(gr->gr_name, name))
			;
	}
	if (gr)
		*gid = gr->gr_gid;
	return gr;
}

static void open_files_of(struct doctor *d, const char *pid, const char *prefix, doctor_open_fn fn,
			  void *userdata)
{
	char path[PATH_MAX], target[PATH_MAX], program[64];
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "%s/proc/%s/fd", d->root, pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		if (strncmp(target, prefix, strlen(prefix)) != 0)
			continue;
		if (sysfs_read(d->root, program, sizeof(program), "/proc/%s/comm", pid) < 0)
			strcpy(program, "a program");
		fn(d, pid, program, target, userdata);
	}
}

void doctor_open_files(struct doctor *d, const char *prefix, doctor_open_fn fn, void *userdata)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc", d->root);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (isdigit((unsigned char)entry->d_name[0]))
			open_files_of(d, entry->d_name, prefix, fn, userdata);
	}
}

bool doctor_program(const struct doctor *d, const char *name, char *path, size_t size)
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					       "/usr/bin",	  "/sbin",	    "/bin",
					       "/usr/libexec" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, size, "%s/%s", folders[i], name);
		if (doctor_exists(d, "%s", path))
			return true;
	}
	return false;
}
