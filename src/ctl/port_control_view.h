/* SPDX-License-Identifier: BSD-3-Clause */

/* Port control (docs/protocol.md) for people. */
#ifndef VIO4WD_CTL_PORT_CONTROL_VIEW_H
#define VIO4WD_CTL_PORT_CONTROL_VIEW_H

#include "ctl/output.h"

/* Which way is in force, and how it is. NULL (an older vio4wd) prints nothing. */
void print_port_control(json_object *control);
/* A line for each interface that has not the relay it asks for. */
void print_port_control_troubles(json_object *control);

#endif
