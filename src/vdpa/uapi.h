/* SPDX-License-Identifier: BSD-3-Clause */

/* What the kernel has of vDPA, and not in the headers of each release: Debian 12's are of 6.1. */
#ifndef VIO4WD_VDPA_UAPI_H
#define VIO4WD_VDPA_UAPI_H

#include <linux/vdpa.h>
#include <linux/vhost.h>
#include <linux/vhost_types.h>

/* Features of a device in kernel 6.0 to 6.2. Later headers have a block device's capacity there: of
 * a network device no kernel sends that. */
#define VDPA_ATTR_VDPA_DEV_SUPPORTED_FEATURES (VDPA_ATTR_DEV_FEATURES + 1)

/* A suspended device can go on (6.3). */
#ifndef VHOST_VDPA_RESUME
#define VHOST_VDPA_RESUME _IO(VHOST_VIRTIO, 0x7E)
#endif
#ifndef VHOST_BACKEND_F_RESUME
#define VHOST_BACKEND_F_RESUME 5
#endif
/* Rings may be enabled after DRIVER_OK (6.6). */
#ifndef VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK
#define VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK 6
#endif
/* Descriptors may be in another address space than what they point to (6.7). */
#ifndef VHOST_BACKEND_F_DESC_ASID
#define VHOST_BACKEND_F_DESC_ASID 7
#endif
/* What is mapped stays mapped over a reset (6.7). */
#ifndef VHOST_BACKEND_F_IOTLB_PERSIST
#define VHOST_BACKEND_F_IOTLB_PERSIST 8
#endif

#endif
