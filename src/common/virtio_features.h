/* SPDX-License-Identifier: BSD-3-Clause */

/* Names of virtio's feature bits, those of network devices among them. */
#ifndef VIO4WD_VIRTIO_FEATURES_H
#define VIO4WD_VIRTIO_FEATURES_H

#include <stddef.h>
#include <stdint.h>

/* "MRG_RXBUF", or NULL for a bit without a name. */
const char *feature_name(unsigned int bit);

/* "CSUM, MRG_RXBUF, bit 50" in buf, which is returned; what does not fit is cut off. */
char *feature_names(uint64_t features, char *buf, size_t size);

#endif
