/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the kernel's messages of the generic netlink family "vdpa" say. Attributes that are not
 * known are passed over: newer kernels have more. All return -EBADMSG for a message that is cut
 * off, has an attribute of the wrong size, or lacks one that every kernel sends.
 */
#ifndef VIO4WD_VDPA_MESSAGE_H
#define VIO4WD_VDPA_MESSAGE_H

#include <stddef.h>

#include <netlink/msg.h>

#include "vdpa/mgmt.h"

/* -ENAMETOOLONG: it has a name of VDPA_NAME_MAX bytes or more, and cannot be addressed by us. */
int vdpa_message_mgmtdev(struct nlmsghdr *message, struct vdpa_mgmtdev *mgmt);
int vdpa_message_device(struct nlmsghdr *message, struct vdpa_device *device);
/* -EOPNOTSUPP: it is no network device. */
int vdpa_message_net_config(struct nlmsghdr *message, struct vdpa_net_config *config);
/* *counters is the caller's to free; NULL when there are none. -ENOMEM. */
int vdpa_message_counters(struct nlmsghdr *message, struct vdpa_counter **counters, size_t *n);

#endif
