/* SPDX-License-Identifier: BSD-3-Clause */

/* Stands in for mgmt.c and sysfs.c until they are there: this kernel has no vDPA. */
#include <errno.h>

#include "vdpa/mgmt.h"
#include "vdpa/sysfs.h"

#define WEAK __attribute__((weak))

static int none(struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "vDPA", "this build drives no vDPA");
}

WEAK int vdpa_mgmtdev_list(struct vdpa_mgmtdev **list, size_t *n, struct err *err)
{
	*list = NULL;
	*n = 0;
	return none(err);
}

WEAK int vdpa_device_list(struct vdpa_device **list, size_t *n, struct err *err)
{
	*list = NULL;
	*n = 0;
	return none(err);
}

WEAK int vdpa_device_add(const struct vdpa_spec *spec, struct err *err)
{
	return none(err);
}

WEAK int vdpa_device_del(const char *name, struct err *err)
{
	return none(err);
}

WEAK int vdpa_device_config(const char *name, struct vdpa_net_config *config, struct err *err)
{
	return none(err);
}

WEAK int vdpa_device_vstats(const char *name, uint32_t virtqueue, struct vdpa_counter **counters,
			    size_t *n, struct err *err)
{
	return none(err);
}

WEAK bool vdpa_mgmtdev_is_of(const char *root, const struct vdpa_mgmtdev *mgmt,
			     const struct pci_addr *function)
{
	return false;
}

WEAK int vdpa_chardev(const char *root, const char *name, char *path, size_t size, struct err *err)
{
	return err_set(err, -ENODEV, "vDPA", "this build drives no vDPA");
}

WEAK int vdpa_use_vhost(const char *root, const char *name, struct err *err)
{
	return none(err);
}
