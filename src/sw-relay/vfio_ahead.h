/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Opening a VFIO device resets it, which takes a tenth of a second, and DPDK opens one device at a
 * time. A device that is open is not reset when it is opened once more: so it is opened ahead of
 * DPDK, by any number of threads at the same time. Whatever goes wrong here DPDK finds, too.
 */
#ifndef VIO4WD_RELAY_VFIO_AHEAD_H
#define VIO4WD_RELAY_VFIO_AHEAD_H

#include <stdbool.h>

struct vfio_ahead {
	char bdf[32];
	int number; /* of its group */
	int group;  /* descriptors, -1: none */
	int device;
};

#define VFIO_AHEAD_NONE                   \
	{                                 \
		.group = -1, .device = -1 \
	}

/* One at a time, while another device is open: what they share exists then. Nobody has opened the
 * device's group (pci_check.h). */
void vfio_ahead_join(struct vfio_ahead *ahead, const char *bdf);
/* At the same time as anything else. Waits for the reset. */
void vfio_ahead_open(struct vfio_ahead *ahead);
/* One at a time, when DPDK has opened the device, or has failed to. */
void vfio_ahead_end(struct vfio_ahead *ahead, bool opened);

#endif
