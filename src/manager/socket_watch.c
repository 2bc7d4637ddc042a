/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/socket_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "common/config.h"
#include "common/log.h"
#include "manager/socket_access.h"

struct watched {
	char path[CONFIG_SOCKET_PATH_MAX + 1];
	struct directory *dir;
	struct watched *next;
};

struct directory {
	char path[CONFIG_SOCKET_PATH_MAX + 1];
	unsigned int users;
	sd_event_source *source;
	struct socket_watch *watch;
	struct directory *next;
};

struct socket_watch {
	sd_event *event;
	const struct relay_user *user;
	struct watched *paths;
	struct directory *directories;
};

int socket_watch_new(struct socket_watch **watch, sd_event *event, const struct relay_user *user)
{
	*watch = calloc(1, sizeof(**watch));
	if (!*watch)
		return -ENOMEM;
	(*watch)->event = event;
	(*watch)->user = user;
	return 0;
}

static void look_at(struct socket_watch *watch, const char *path)
{
	struct err err;
	const int rc = socket_open_for_relay(path, watch->user, &err);

	if (rc < 0)
		log_warning("%s", err.text);
	else if (rc > 0)
		log_info("%s: opened for the relays", path);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct directory *dir = userdata;
	char path[CONFIG_SOCKET_PATH_MAX + 1];

	if (event->mask & IN_Q_OVERFLOW) {
		for (struct watched *w = dir->watch->paths; w; w = w->next)
			look_at(dir->watch, w->path);
		return 0;
	}
	if (!event->len ||
	    snprintf(path, sizeof(path), "%s/%s", strcmp(dir->path, "/") ? dir->path : "",
		     event->name) >= (int)sizeof(path))
		return 0;
	for (struct watched *w = dir->watch->paths; w; w = w->next) {
		if (!strcmp(w->path, path))
			look_at(dir->watch, path);
	}
	return 0;
}

static struct directory *directory_get(struct socket_watch *watch, const char *path)
{
	const char *slash = strrchr(path, '/');
	const int len = slash == path ? 1 : (int)(slash - path);
	struct directory *dir;
	int rc;

	for (dir = watch->directories; dir; dir = dir->next) {
		if ((int)strlen(dir->path) == len && !strncmp(dir->path, path, len)) {
			dir->users++;
			return dir;
		}
	}
	dir = calloc(1, sizeof(*dir));
	if (!dir)
		return NULL;
	snprintf(dir->path, sizeof(dir->path), "%.*s", len, path);
	dir->watch = watch;
	dir->users = 1;
	rc = sd_event_add_inotify(watch->event, &dir->source, dir->path,
				  IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR, on_inotify,
				  dir);
	if (rc < 0) {
		log_warning("%s cannot be watched for sockets: %s", dir->path, strerror(-rc));
		free(dir);
		return NULL;
	}
	dir->next = watch->directories;
	watch->directories = dir;
	return dir;
}

static void directory_put(struct socket_watch *watch, struct directory *dir)
{
	struct directory **link = &watch->directories;

	if (--dir->users)
		return;
	while (*link != dir)
		link = &(*link)->next;
	*link = dir->next;
	sd_event_source_disable_unref(dir->source);
	free(dir);
}

int socket_watch_add(struct socket_watch *watch, const char *path)
{
	struct watched *w;

	for (w = watch->paths; w; w = w->next) {
		if (!strcmp(w->path, path))
			break;
	}
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return -ENOMEM;
		snprintf(w->path, sizeof(w->path), "%s", path);
		w->dir = directory_get(watch, path);
		if (!w->dir) {
			free(w);
			return -EIO;
		}
		w->next = watch->paths;
		watch->paths = w;
	}
	look_at(watch, path);
	return 0;
}

void socket_watch_remove(struct socket_watch *watch, const char *path)
{
	for (struct watched **link = &watch->paths; *link; link = &(*link)->next) {
		struct watched *w = *link;

		if (strcmp(w->path, path))
			continue;
		*link = w->next;
		directory_put(watch, w->dir);
		free(w);
		return;
	}
}

void socket_watch_free(struct socket_watch *watch)
{
	if (!watch)
		return;
	while (watch->paths)
		socket_watch_remove(watch, watch->paths->path);
	free(watch);
}
