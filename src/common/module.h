/* SPDX-License-Identifier: BSD-3-Clause */

/* Kernel modules of drivers (libkmod, in this process). bus as in /sys/bus: "pci", "vdpa". */
#ifndef VIO4WD_MODULE_H
#define VIO4WD_MODULE_H

#include <stdbool.h>

#include "common/err.h"

/* The driver is there, or its module can be loaded: 0, else -ENOENT with what to install. Below
 * a root other than "" a driver that is not there is missing: modules are the host's. */
int module_find(const char *root, const char *bus, const char *driver, struct err *err);

/* Loads the driver's module, with what it needs, unless the driver is there. */
int module_load(const char *root, const char *bus, const char *driver, struct err *err);

/* The same for a module that brings no PCI driver (mlx5_vdpa). */
int module_load_other(const char *root, const char *module, struct err *err);

bool module_is_loaded(const char *root, const char *module);

/* A driver takes devices before it has all its files in sysfs: waits until its module, which
 * somebody else loads, is complete. */
void module_settle(const char *root, const char *driver);

#endif
