/* SPDX-License-Identifier: BSD-3-Clause */

/* Numbers of virtio (linux/virtio_ids.h, virtio_net.h, virtio_config.h) in words. */
#ifndef VIO4WD_MANAGER_VIRTIO_NAMES_H
#define VIO4WD_MANAGER_VIRTIO_NAMES_H

/* "VIRTIO_NET_F_MQ"; NULL: it has no name here. */
const char *virtio_net_feature_name(unsigned int bit);
/* "net"; NULL: it has no name here. */
const char *virtio_class_name(unsigned int device_id);

#endif
