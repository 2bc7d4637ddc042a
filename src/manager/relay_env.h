/* SPDX-License-Identifier: BSD-3-Clause */

/* The file that tells a unit vio4wd-relay@N.service the options of its process. */
#ifndef VIO4WD_MANAGER_RELAY_ENV_H
#define VIO4WD_MANAGER_RELAY_ENV_H

#include "manager/relay_process.h"

/* As in the unit, whatever VIO4WD_RUNTIME_DIR is. */
#define RELAY_UNIT_DIR "/run/virtio-forwarder"

int relay_env_write(const struct relay *relay, struct err *err);
void relay_env_remove(const struct relay *relay);

#endif
