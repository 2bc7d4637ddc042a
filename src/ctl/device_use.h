/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Does a configuration use a device of this host? Looked up in the file and in sysfs only; called
 * by a udev rule for each VF that appears, so it is quick and waits for nobody.
 */
#ifndef VIO4WD_CTL_DEVICE_USE_H
#define VIO4WD_CTL_DEVICE_USE_H

#include "common/config.h"
#include "common/err.h"

struct device_use {
	enum config_use use;
	char address[PCI_ADDR_STRLEN]; /* "": an interface that belongs to no PCI function */
	char name[64];		       /* "ens3.vf0", an interface, or "" */
	char why[CONFIG_WHY_MAX];      /* in words, also when it is not used */
};

/*
 * text is a PCI address ($kernel of udev), an interface, PF.vfN or an alias; root is in front of
 * the paths of sysfs. A PF is used when one of its VFs is, a VF also by its interface. Returns 0,
 * -EINVAL (no name of a device) or -ENODEV (the host has no such device).
 */
int device_use_find(const struct config *cfg, const char *root, const char *text,
		    struct device_use *use, struct err *err);

#endif
