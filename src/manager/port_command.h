/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The command file of VIRTIOFWD_IPC_PORT_CONTROL: who may have written it, and what its lines say:
 *
 *   add_port INTERFACE [ID]
 *   del_port INTERFACE
 *
 * Blank lines and those that begin with # are nothing. What is done about it: command_file.h.
 */
#ifndef VIO4WD_MANAGER_PORT_COMMAND_H
#define VIO4WD_MANAGER_PORT_COMMAND_H

#include <sys/types.h>

#include "common/err.h"
#include "manager/pairing.h"

#define PORT_COMMAND_FILE_MAX 65536 /* bytes */

enum port_command_kind { PORT_COMMAND_NONE, PORT_COMMAND_ADD, PORT_COMMAND_DEL };

struct port_command {
	enum port_command_kind kind;
	char name[PAIRING_PORT_MAX]; /* of the interface */
	int id;			     /* -1: not given */
};

/* Returns 0 or -EINVAL with the reason. line: without the newline; may hold anything else. */
int port_command_parse(struct port_command *command, const char *line, unsigned int max_relays,
		       struct err *err);

/* Makes an empty command file that root and the group may write to; group -1: root alone. Returns 0
 * or a negative errno: -EEXIST when there is something at path. */
int port_command_file_make(const char *path, gid_t group, struct err *err);

/*
 * Takes what is in the command file out of it. Returns 0 with *text, which the caller frees, or
 * NULL when there is nothing; -EAGAIN while somebody has it open (inotify tells when he closes it);
 * -ENOENT; -EPERM when somebody else than root or the group could have written it, or it is no
 * plain file; -EFBIG; or what the kernel says. Never waits.
 */
int port_command_file_take(const char *path, gid_t group, char **text, struct err *err);

#endif
