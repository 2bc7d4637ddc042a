/* SPDX-License-Identifier: BSD-3-Clause */

/* What somebody has told a PF of its VF, apart from what the VF's own driver made up. */
#ifndef VIO4WD_UDEV_VF_SETTINGS_H
#define VIO4WD_UDEV_VF_SETTINGS_H

#include "common/err.h"
#include "udev/sriov.h"
#include "udev/vf.h"

/*
 * sriov_get_attributes() of the VF, with no MAC address (all zero) where the PF only repeats the
 * one that the VF's interface has of the host's own choice. Waits for the kernel as that does, and
 * for a change of the number of VFs that is under way. Errors are its errors, -EOPNOTSUPP also for
 * a PF whose interface says that it has no VFs.
 */
int vf_settings(const char *root, const struct vf *vf, struct vf_attributes *attributes,
		struct err *err);

#endif
