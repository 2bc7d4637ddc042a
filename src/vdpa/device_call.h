/* SPDX-License-Identifier: BSD-3-Clause */

/* A call to the character device that has words for its failure; for src/vdpa alone. */
#ifndef VIO4WD_VDPA_DEVICE_CALL_H
#define VIO4WD_VDPA_DEVICE_CALL_H

#include "common/err.h"
#include "vdpa/vhost_vdpa.h"

/* 0, or -EBADF. */
int device_is_open(const struct vhost_vdpa *dev, struct err *err);
/* "/dev/vhost-vdpa-0: <what>: Input/output error; <where to look>". Returns rc. */
int device_call_failed(const struct vhost_vdpa *dev, int rc, const char *what, struct err *err);
/* An ioctl; what it does goes into the error: "its status cannot be read". */
int device_call(const struct vhost_vdpa *dev, unsigned long request, void *argument,
		const char *what, struct err *err);

#endif
