/* SPDX-License-Identifier: BSD-3-Clause */

#include "vdpa/device_call.h"

#include <errno.h>
#include <string.h>

#include "vdpa/chardev_calls.h"

static const char *where_to_look(int rc)
{
	switch (rc) {
	case -ENODEV:
	case -ENXIO:
	case -EIO:
		return "the device has failed or is gone; dmesg and `vdpa dev show` say more";
	case -ENOTTY:
		return "it is no vhost-vdpa device, or the kernel is older than 6.1";
	default:
		return "dmesg may say more";
	}
}

int device_is_open(const struct vhost_vdpa *dev, struct err *err)
{
	return dev->fd >= 0 ? 0 : err_set(err, -EBADF, "vDPA device", "%s is not open", dev->path);
}

int device_call_failed(const struct vhost_vdpa *dev, int rc, const char *what, struct err *err)
{
	return err_set(err, rc, "vDPA device", "%s: %s: %s; %s", dev->path, what, strerror(-rc),
		       where_to_look(rc));
}

int device_call(const struct vhost_vdpa *dev, unsigned long request, void *argument,
		const char *what, struct err *err)
{
	int rc = device_is_open(dev, err);

	if (rc)
		return rc;
	rc = chardev_ioctl(dev->fd, request, argument);
	return rc < 0 ? device_call_failed(dev, rc, what, err) : 0;
}
