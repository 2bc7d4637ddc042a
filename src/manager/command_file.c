/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * 1.1 looked for /tmp/vio_cmd a thousand times a second, did what anybody had written there and
 * removed it. Here the file is in a folder of root's, root and the control group may write to it,
 * and it stays: commands are taken out of it.
 */
#include "manager/command_file.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"
#include "manager/manager.h"
#include "manager/port_command.h"
#include "manager/port_control.h"
#include "manager/port_device.h"

#define NAME "vio_cmd"
/* A close without having written is of interest when it is the last one of several. */
#define EVENTS (IN_CLOSE_WRITE | IN_CLOSE_NOWRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)

struct command_file {
	struct manager *m;
	char path[4096];
	gid_t group; /* -1: there is no control group */
	sd_event_source *watch, *first;
};

static void done(struct pairing *p, const struct err *err, void *userdata)
{
	_cleanup_free_ char *line = userdata;

	if (err->code)
		log_error(NAME ": %s: relay %u: %s", line, p->id, err->text);
	else
		log_notice(NAME ": %s: done, relay %u", line, p->id);
}

/* line: for the answer; ownership passes. */
static int submit(struct manager *m, unsigned int id, struct pairing_op *op, char *line,
		  struct err *err)
{
	int rc;

	op->conditional = true;
	op->deadline_us = manager_now_us(m) + MANAGER_CONTROL_TIMEOUT_US;
	op->done = done;
	op->userdata = line;
	rc = pairing_submit(&m->pairings[id], op, err);
	if (rc < 0)
		free(line);
	return rc;
}

/* Without an id it is the VF's number, as in 1.1. */
static int add(struct manager *m, const struct port_command *command, const char *line,
	       struct err *err)
{
	struct pairing_op op = { .kind = OP_ADD, .make_socket = true, .accept_slow = true };
	struct port_device device;
	int id = command->id, rc;
	char *copy;

	rc = port_device_find(m->root, m->cfg, command->name, false, &device, err);
	if (rc)
		return rc;
	id = id < 0 ? device.vf : id;
	if (id < 0 || id >= (int)m->max_relays)
		return err_set(err, -EINVAL, "relay id",
			       "%s has no VF number that is a relay id (0 to %u); write the id "
			       "behind it",
			       command->name, m->max_relays - 1);
	rc = port_control_wish(m, (unsigned int)id, command->name, &device, &op.wish, err);
	if (rc)
		return rc;
	op.wish.origin = PAIRING_ORIGIN_PORT_CONTROL;
	copy = strdup(line);
	return copy ? submit(m, (unsigned int)id, &op, copy, err)
		    : err_set(err, -ENOMEM, "command file", "out of memory");
}

/* By the name it was added with; its interface may be gone since then. */
static struct pairing *find(struct manager *m, const char *name, struct pairing_op *op,
			    struct err *err)
{
	struct port_device device;
	int rc;

	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (m->pairings[id].wish.has_device && !strcmp(m->pairings[id].wish.port, name)) {
			op->wish = m->pairings[id].wish;
			return &m->pairings[id];
		}
	}
	rc = port_device_find(m->root, m->cfg, name, false, &device, err);
	if (!rc)
		rc = wishes_device(m, device.text, &op->wish, err);
	for (unsigned int id = 0; !rc && id < m->max_relays; id++) {
		if (m->pairings[id].wish.has_device &&
		    device_is_same(m, &m->pairings[id].wish.device, &op->wish.device)) {
			op->wish = m->pairings[id].wish;
			return &m->pairings[id];
		}
	}
	if (!rc)
		err_set(err, -ENOENT, "interface", "no relay has the device behind %s", name);
	return NULL;
}

static int del(struct manager *m, const struct port_command *command, const char *line,
	       struct err *err)
{
	struct pairing_op op = { .kind = OP_REMOVE, .check_name = true };
	struct pairing *p = find(m, command->name, &op, err);
	char *copy;

	if (!p)
		return err->code;
	copy = strdup(line);
	return copy ? submit(m, p->id, &op, copy, err)
		    : err_set(err, -ENOMEM, "command file", "out of memory");
}

static void run_line(struct manager *m, char *line)
{
	struct port_command command;
	struct err err = { 0 };
	int rc = port_command_parse(&command, line, m->max_relays, &err);

	text_clean(line);
	text_clean(err.text);
	if (!rc && command.kind == PORT_COMMAND_ADD)
		rc = add(m, &command, line, &err);
	else if (!rc && command.kind == PORT_COMMAND_DEL)
		rc = del(m, &command, line, &err);
	if (rc < 0)
		log_error(NAME ": %.80s: refused: %s", line, err.text);
}

static void make(struct command_file *file)
{
	struct err err;

	if (port_command_file_make(file->path, file->group, &err) < 0)
		log_error("%s", err.text);
}

static void look(struct command_file *file)
{
	_cleanup_free_ char *text = NULL;
	struct err err;
	const int rc = port_command_file_take(file->path, file->group, &text, &err);
	char *rest;

	if (rc == -EAGAIN) {
		log_info("%s; its commands are done when it is closed", err.text);
		return;
	}
	if (rc < 0) {
		if (rc != -ENOENT)
			log_error("%s: its commands are refused; it is made anew", err.text);
		if (unlink(file->path) < 0 && errno != ENOENT)
			log_error("%s cannot be removed: %s", file->path, strerror(errno));
		else
			make(file);
		return;
	}
	rest = text;
	for (char *line; (line = strsep(&rest, "\n"));)
		run_line(file->m, line);
}

static int on_event(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct command_file *file = userdata;

	if (file->m->phase != MANAGER_STOPPING &&
	    ((event->mask & IN_Q_OVERFLOW) || (event->len && !strcmp(event->name, NAME))))
		look(file);
	return 0;
}

/* When there are relays that could do it. */
static int on_first(sd_event_source *source, void *userdata)
{
	look(userdata);
	return 0;
}

int command_file_new(struct command_file **result, struct manager *m, struct err *err)
{
	const struct group *group = getgrnam("vio4wd");
	struct command_file *file = calloc(1, sizeof(*file));
	int rc;

	if (!file)
		return err_set(err, -ENOMEM, "start", "out of memory");
	file->m = m;
	file->group = group ? group->gr_gid : (gid_t)-1;
	manager_path(m, file->path, sizeof(file->path), NAME);
	rc = port_command_file_make(file->path, file->group, err);
	if (rc < 0 && rc != -EEXIST) {
		free(file);
		return rc;
	}
	rc = sd_event_add_inotify(m->event, &file->watch, m->cfg->runtime_dir, EVENTS | IN_ONLYDIR,
				  on_event, file);
	if (rc >= 0)
		rc = sd_event_add_defer(m->event, &file->first, on_first, file);
	if (rc < 0) {
		err_set(err, rc, "start", "%s cannot be watched: %s", file->path, strerror(-rc));
		sd_event_source_disable_unref(file->watch);
		free(file);
		return rc;
	}
	*result = file;
	return 0;
}

void command_file_free(struct command_file *file)
{
	if (!file)
		return;
	sd_event_source_disable_unref(file->watch);
	sd_event_source_disable_unref(file->first);
	unlink(file->path);
	free(file);
}

const char *command_file_path(const struct command_file *file)
{
	return file->path;
}
