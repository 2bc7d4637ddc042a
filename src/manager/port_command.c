/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A command must not be lost when somebody writes while another one's command is taken out. So the
 * file is taken with a lease (fcntl(2), F_SETLEASE): it is granted when nobody else has the file
 * open, and who opens it then waits in open(2) for the few microseconds until it is empty again.
 */
#include "manager/port_command.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/text.h"

#define FILE_MODE 0660
#define WORDS_MAX 3

struct word {
	const char *at;
	int len;
};

/* Returns their number; what is more than WORDS_MAX is only counted. */
static unsigned int split(const char *line, struct word words[WORDS_MAX])
{
	unsigned int n = 0;

	for (const char *p = line; *p; n++) {
		const char *at;

		p += strspn(p, " \t\r");
		if (!*p)
			break;
		at = p;
		p += strcspn(p, " \t\r");
		if (n < WORDS_MAX)
			words[n] = (struct word){ at, (int)(p - at) };
	}
	return n;
}

static bool is_word(const struct word *word, const char *text)
{
	return word->len == (int)strlen(text) && !strncmp(word->at, text, (size_t)word->len);
}

static int take_id(struct port_command *command, const struct word *word, unsigned int max_relays,
		   struct err *err)
{
	unsigned long id = 0;
	int n = 0;

	while (n < word->len && n < 9 && isdigit((unsigned char)word->at[n]))
		id = id * 10 + (unsigned long)(word->at[n++] - '0');
	if (n != word->len || id >= max_relays)
		return err_set(err, -EINVAL, "relay id",
			       "'%.*s' is no relay id: allowed is 0 to %u",
			       word->len > 40 ? 40 : word->len, word->at, max_relays - 1);
	command->id = (int)id;
	return 0;
}

int port_command_parse(struct port_command *command, const char *line, unsigned int max_relays,
		       struct err *err)
{
	struct word words[WORDS_MAX];
	const unsigned int n = split(line, words);

	*command = (struct port_command){ .id = -1 };
	if (!n || *words[0].at == '#')
		return 0;
	if (is_word(&words[0], "add_port") && (n == 2 || n == 3))
		command->kind = PORT_COMMAND_ADD;
	else if (is_word(&words[0], "del_port") && n == 2)
		command->kind = PORT_COMMAND_DEL;
	else
		return err_set(err, -EINVAL, "command",
			       "'%.60s' is neither 'add_port INTERFACE [ID]' nor "
			       "'del_port INTERFACE'",
			       line);
	if (words[1].len >= (int)sizeof(command->name))
		return err_set(err, -EINVAL, "interface",
			       "the interface's name has %d bytes: allowed are %zu", words[1].len,
			       sizeof(command->name) - 1);
	snprintf(command->name, sizeof(command->name), "%.*s", words[1].len, words[1].at);
	if (!text_is_clean(command->name))
		return err_set(err, -EINVAL, "interface",
			       "the interface's name is no plain UTF-8 text");
	return n == 3 ? take_id(command, &words[2], max_relays, err) : 0;
}

static int failed(const char *path, const char *what, struct err *err)
{
	return err_set(err, -errno, "command file", "%s: %s: %s", path, what, strerror(errno));
}

/* Who could have written it? */
static int check(const char *path, const struct stat *st, gid_t group, struct err *err)
{
	if (!S_ISREG(st->st_mode))
		return err_set(err, -EPERM, "command file", "%s is no plain file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return err_set(err, -EPERM, "command file", "%s belongs to user %u and not to root",
			       path, st->st_uid);
	if ((st->st_mode & S_IWOTH) ||
	    ((st->st_mode & S_IWGRP) && st->st_gid != group && st->st_gid != getegid()))
		return err_set(err, -EPERM, "command file",
			       "%s may be written by others than root and group vio4wd (mode %o, "
			       "group %u)",
			       path, st->st_mode & 07777, st->st_gid);
	if (st->st_nlink != 1)
		return err_set(err, -EPERM, "command file", "%s has other names (hard links)",
			       path);
	if (st->st_size > PORT_COMMAND_FILE_MAX)
		return err_set(err, -EFBIG, "command file",
			       "%s has %lld bytes: allowed are %u at a time", path,
			       (long long)st->st_size, PORT_COMMAND_FILE_MAX);
	return 0;
}

static int set_access(int fd, gid_t group)
{
	return fchown(fd, (uid_t)-1, group) < 0 || fchmod(fd, FILE_MODE) < 0 ? -errno : 0;
}

int port_command_file_make(const char *path, gid_t group, struct err *err)
{
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || set_access(fd, group) < 0)
		return failed(path, "making it", err);
	return 0;
}

/* The break of a lease is told by a signal: by one that nobody minds. */
static int take_lease(int fd)
{
	return fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ? -errno : 0;
}

/* Reads and empties it; the lease ends with fd. */
static int take(int fd, const char *path, gid_t group, char **text, struct err *err)
{
	_cleanup_free_ char *buf = malloc(PORT_COMMAND_FILE_MAX + 1);
	ssize_t n;

	if (!buf)
		return err_set(err, -ENOMEM, "command file", "%s: out of memory", path);
	n = read(fd, buf, PORT_COMMAND_FILE_MAX);
	if (n < 0)
		return failed(path, "reading it", err);
	if (ftruncate(fd, 0) < 0 || set_access(fd, group) < 0)
		return failed(path, "emptying it", err);
	for (ssize_t i = 0; i < n; i++)
		buf[i] = buf[i] ? buf[i] : '?';
	buf[n] = '\0';
	*text = take_ptr(buf);
	return 0;
}

int port_command_file_take(const char *path, gid_t group, char **text, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int rc;

	*text = NULL;
	if (lstat(path, &st) < 0)
		return failed(path, "looking at it", err);
	rc = check(path, &st, group, err);
	/* Looking into an empty one would be told by inotify as its being closed, and so on. */
	if (rc || !st.st_size)
		return rc;
	fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return failed(path, "opening it", err);
	rc = take_lease(fd);
	if (rc == -EAGAIN)
		return err_set(err, rc, "command file", "%s is open elsewhere", path);
	if (rc) {
		errno = -rc;
		return failed(path, "taking a lease on it", err);
	}
	if (fstat(fd, &st) < 0)
		return failed(path, "looking at it", err);
	rc = check(path, &st, group, err);
	return rc ? rc : take(fd, path, group, text, err);
}
