/* SPDX-License-Identifier: BSD-3-Clause */

/* May a VF be taken? Each refusal has its own words; the codes are binding_inspect()'s. */
#ifndef VIO4WD_UDEV_BINDING_CHECKS_H
#define VIO4WD_UDEV_BINDING_CHECKS_H

#include "common/err.h"
#include "udev/binding.h"
#include "udev/vf.h"

/* A relay could use it when it is on plan->driver: IOMMU, its group, interrupts. */
int binding_check_possible(const struct binding_plan *plan, const struct vf *vf, struct err *err);

/* Nobody else uses it: its interface, a vDPA device on it (but one called own; NULL: any), a driver
 * that sets it aside. Whether a program has it open is device_claim()'s to tell. */
int binding_check_unused(const char *root, const struct vf *vf, const char *own, struct err *err);
/* The part of it that is about vDPA devices. */
int binding_check_vdpa(const char *root, const struct vf *vf, const char *own, struct err *err);

/* A device that works beside its kernel driver is on that, or on none. */
int binding_check_kernel_driver(const struct vf *vf, struct err *err);

#endif
