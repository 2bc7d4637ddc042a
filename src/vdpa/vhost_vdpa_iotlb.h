/* SPDX-License-Identifier: BSD-3-Clause */

/* What else of the device's memory the rest of src/vdpa needs. */
#ifndef VIO4WD_VDPA_VHOST_VDPA_IOTLB_H
#define VIO4WD_VDPA_VHOST_VDPA_IOTLB_H

#include "common/err.h"
#include "vdpa/vhost_vdpa.h"

/* Takes away from the device all that is mapped, in every space. */
int vhost_vdpa_unmap_all(struct vhost_vdpa *dev, struct err *err);

#endif
