/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The device behind a network interface, for those who name devices by interfaces: OVSDB and the
 * command file. A VF is found by its own interface or by its representor on the switch.
 */
#ifndef VIO4WD_MANAGER_PORT_DEVICE_H
#define VIO4WD_MANAGER_PORT_DEVICE_H

#include <stdbool.h>

#include "common/config.h"
#include "common/devname.h"
#include "common/err.h"

struct port_device {
	char text[DEVNAME_MAX]; /* a device name or an alias, for wishes_device() */
	int vf;			/* its number among the VFs of its PF; -1: it is no VF */
};

/*
 * root: of sysfs. internal: Open vSwitch itself makes the interface, which therefore has no device
 * and is served as it is. An alias of that name (VIO4WD_ALIASES) goes before everything else.
 * Returns 0; -EINVAL: no name of an interface; -ENODEV: there is no such interface now, or no VF
 * behind it; err says what to do about it.
 */
int port_device_find(const char *root, const struct config *cfg, const char *name, bool internal,
		     struct port_device *device, struct err *err);

#endif
