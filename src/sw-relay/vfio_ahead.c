/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A group can be opened only once, so it is opened by DPDK's own function, which remembers it. That
 * it is in DPDK's container already is what DPDK expects of the second device of a group.
 */
#include "sw-relay/vfio_ahead.h"

#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rte_vfio.h>

#include "common/cleanup.h"

#define SYSFS_DEVICES "/sys/bus/pci/devices"

static void leave(struct vfio_ahead *ahead)
{
	rte_vfio_clear_group(ahead->group);
	close(take_fd(ahead->group));
}

void vfio_ahead_join(struct vfio_ahead *ahead, const char *bdf)
{
	int container = rte_vfio_get_container_fd();

	snprintf(ahead->bdf, sizeof(ahead->bdf), "%s", bdf);
	if (container < 0 || rte_vfio_get_group_num(SYSFS_DEVICES, bdf, &ahead->number) <= 0)
		return;
	ahead->group = rte_vfio_get_group_fd(ahead->number);
	if (ahead->group >= 0 && ioctl(ahead->group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
		leave(ahead);
}

void vfio_ahead_open(struct vfio_ahead *ahead)
{
	if (ahead->group >= 0)
		ahead->device = ioctl(ahead->group, VFIO_GROUP_GET_DEVICE_FD, ahead->bdf);
}

/* DPDK has not closed it. */
static bool has_group(const struct vfio_ahead *ahead)
{
	char link[32], group[32], is[32];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", ahead->group);
	snprintf(group, sizeof(group), "/dev/vfio/%d", ahead->number);
	len = readlink(link, is, sizeof(is));
	return len == (ssize_t)strlen(group) && memcmp(is, group, len) == 0;
}

void vfio_ahead_end(struct vfio_ahead *ahead, bool opened)
{
	if (ahead->device >= 0)
		close(take_fd(ahead->device));
	if (!opened && ahead->group >= 0 && has_group(ahead))
		leave(ahead);
	ahead->group = -1; /* DPDK's now */
}
