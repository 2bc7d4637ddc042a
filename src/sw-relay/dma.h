/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The memory of devices that read and write it themselves (VFIO). All of DPDK's memory is mapped
 * for them and locked, and what is added later is as well; guests' memory is not.
 */
#ifndef VIO4WD_RELAY_DMA_H
#define VIO4WD_RELAY_DMA_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/*
 * Is there memory for a device on this NUMA node (-1: any)? *elsewhere is set when there is, but
 * only on other nodes. root as in common/sysfs.h.
 */
int dma_check_node(const char *root, const char *device, int node, bool *elsewhere,
		   struct err *err);

/* Around the time a device is open: before it is opened, when it is or when it cannot be, when it
 * is closed again. One device at a time. */
int dma_opening(const char *device, struct err *err);
int dma_opened(const char *device, struct err *err);
void dma_not_opened(void);
void dma_closed(void);
bool dma_any_open(void);

/* True once after memory was refused because it could not be locked. */
bool dma_was_refused(void);
/* Fills err with words about that limit. */
int dma_limit_err(const char *what, struct err *err);

/* Free hugepages by node, in words: "node 0: 12 of 2 MiB, node 1: none". root as above. */
char *dma_free_text(const char *root, char *buf, size_t size);

#endif
