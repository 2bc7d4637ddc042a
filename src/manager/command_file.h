/* SPDX-License-Identifier: BSD-3-Clause */

/* Port control by the file vio_cmd in VIO4WD_RUNTIME_DIR: commands (port_command.h) are done when
 * the file is closed or moved there, and answered in the log. */
#ifndef VIO4WD_MANAGER_COMMAND_FILE_H
#define VIO4WD_MANAGER_COMMAND_FILE_H

#include "common/err.h"

struct command_file;
struct manager;

/* Makes the file; what it holds already is done soon. Returns 0 or the error. */
int command_file_new(struct command_file **file, struct manager *m, struct err *err);
void command_file_free(struct command_file *file); /* the file is removed; NULL is nothing */
const char *command_file_path(const struct command_file *file);

#endif
