/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Who may use a vhost-user socket. Nothing that is not a stale or our own socket is ever removed or
 * changed: all work is done on an O_PATH fd of the thing itself, so that nobody can put another
 * file in its place meanwhile.
 */
#ifndef VIO4WD_MANAGER_SOCKET_ACCESS_H
#define VIO4WD_MANAGER_SOCKET_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "manager/relay_user.h"

struct socket_identity { /* of the file; ino 0: not known */
	dev_t dev;
	ino_t ino;
};

struct socket_owner {
	uid_t uid;
	gid_t gid;
};

/* Names of the configuration; one that the host lacks is a warning, and our own id is taken. */
void socket_owner_find(struct socket_owner *owner, const char *user, const char *group);

/*
 * Before a relay makes (server mode) or connects to (client mode) a socket at path: removes a stale
 * one. Errors: -ENAMETOOLONG, -ENOENT and -EACCES (the directory), -EEXIST (something else is
 * there, which is left alone).
 */
int socket_prepare(const char *path, bool client, const struct relay_user *user, struct err *err);

/* After a relay has made it: owner, group, 0660; finds out its identity. */
int socket_give(const char *path, const struct socket_owner *owner,
		struct socket_identity *identity, struct err *err);
int socket_identify(const char *path, struct socket_identity *identity);

/* Unlinks the socket when it is the one with that identity. */
void socket_remove(const char *path, const struct socket_identity *identity);

/*
 * Client mode: a socket that somebody else made and the relay may not write to gets the relay's
 * group and g+rw. Its own group is not kept, even when that may write: a QEMU of libvirt makes the
 * socket with a group of its own, and nobody but the relay is to connect.
 * Returns 1 when it was changed, 0 when there was nothing to do, or a negative errno of chown(2) or
 * chmod(2).
 */
int socket_open_for_relay(const char *path, const struct relay_user *user, struct err *err);

#endif
