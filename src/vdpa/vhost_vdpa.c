/* SPDX-License-Identifier: BSD-3-Clause */

/* The device as a whole: opening, features, status, configuration. Memory and rings have files of
 * their own. */
#include "vdpa/vhost_vdpa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "common/cleanup.h"
#include "common/virtio_features.h"
#include "vdpa/chardev_calls.h"
#include "vdpa/device_call.h"
#include "vdpa/uapi.h"
#include "vdpa/vhost_vdpa_iotlb.h"

#define BIT(n) (UINT64_C(1) << (n))

#define BACKEND_FEATURES                                                             \
	(BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) | BIT(VHOST_BACKEND_F_IOTLB_BATCH) |      \
	 BIT(VHOST_BACKEND_F_IOTLB_ASID) | BIT(VHOST_BACKEND_F_SUSPEND) |            \
	 BIT(VHOST_BACKEND_F_RESUME) | BIT(VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK) | \
	 BIT(VHOST_BACKEND_F_IOTLB_PERSIST))

#define RESET_US 1000000
#define FIRST_LOOK_US 50
#define LONGEST_WAIT_US 10000

#define KERNEL_ENOTSUPP 524 /* the kernel's own number, which open(2) lets through */

#define STATUS_FEATURES_OK \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define STATUS_DRIVER_OK (STATUS_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

static int cannot_open(const char *path, int rc, struct err *err)
{
	static const char step[] = "vDPA device";

	switch (rc) {
	case -EBUSY:
		return err_set(err, rc, step,
			       "%s is in use: another program has it open (a VM with vhost-vdpa?); "
			       "end that first, `fuser %s` finds it",
			       path, path);
	case -ENOENT:
		return err_set(err, rc, step,
			       "%s does not exist: its vDPA device is gone, or not on the driver "
			       "vhost_vdpa; `vdpa dev show` and /sys/bus/vdpa/devices tell",
			       path);
	case -ENXIO:
	case -ENODEV:
		return err_set(err, rc, step,
			       "%s: there is no device behind it (any more), or the IOMMU is off; "
			       "`vdpa dev show` and dmesg tell",
			       path);
	case -EACCES:
		return err_set(err, rc, step,
			       "%s may not be opened by this user; the manager gives it to the "
			       "relays' user when it makes the pairing: remove that and add it "
			       "again",
			       path);
	case -EPERM:
		return err_set(
			err, rc, step,
			"%s may not be opened, whatever its permissions say: see DeviceAllow= "
			"of the unit, or the device rules of the container",
			path);
	case -KERNEL_ENOTSUPP:
		return err_set(
			err, -EOPNOTSUPP, step,
			"%s: its device is not behind an IOMMU that keeps caches coherent; is "
			"the IOMMU on (intel_iommu=on)?",
			path);
	default:
		return err_set(err, rc, step, "%s cannot be opened: %s; see dmesg", path,
			       strerror(-rc));
	}
}

static int agree_with_backend(struct vhost_vdpa *dev, struct err *err)
{
	uint64_t offered = 0;
	int rc;

	rc = device_call(dev, VHOST_GET_BACKEND_FEATURES, &offered,
			 "what the kernel can do with it cannot be read", err);
	if (rc)
		return rc;
	if (!(offered & BIT(VHOST_BACKEND_F_IOTLB_MSG_V2)))
		return err_set(err, -ENOTSUP, "vDPA device",
			       "%s: the kernel has no messages of version 2 for its memory; 6.1 is "
			       "the oldest that will do",
			       dev->path);
	dev->backend_features = offered & BACKEND_FEATURES;
	return device_call(dev, VHOST_SET_BACKEND_FEATURES, &dev->backend_features,
			   "what the kernel offered to do with it cannot be used", err);
}

static int read_properties(struct vhost_vdpa *dev, struct err *err)
{
	struct vhost_vdpa_iova_range range = { 0 };
	const struct {
		unsigned long request;
		void *answer;
		const char *what;
	} questions[] = {
		{ VHOST_VDPA_GET_DEVICE_ID, &dev->device_id, "its type cannot be read" },
		{ VHOST_GET_FEATURES, &dev->features, "its features cannot be read" },
		{ VHOST_VDPA_GET_VQS_COUNT, &dev->vrings,
		  "the number of its rings cannot be read" },
		{ VHOST_VDPA_GET_VRING_NUM, &dev->vring_size,
		  "the size of its rings cannot be read" },
		{ VHOST_VDPA_GET_IOVA_RANGE, &range, "its range of addresses cannot be read" },
	};

	for (unsigned int i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		const int rc = device_call(dev, questions[i].request, questions[i].answer,
					   questions[i].what, err);

		if (rc)
			return rc;
	}
	dev->iova_first = range.first;
	dev->iova_last = range.last;
	return 0;
}

static int make_room(struct vhost_vdpa *dev, struct err *err)
{
	dev->silent = malloc(dev->vrings * sizeof(*dev->silent));
	if (!dev->silent && dev->vrings)
		return err_set(err, -ENOMEM, "vDPA device", "%s: out of memory", dev->path);
	for (uint32_t i = 0; i < dev->vrings; i++)
		dev->silent[i] = -1;
	return 0;
}

int vhost_vdpa_open(struct vhost_vdpa *dev, const char *path, struct err *err)
{
	int rc;

	*dev = (struct vhost_vdpa)VHOST_VDPA_CLOSED;
	if ((size_t)snprintf(dev->path, sizeof(dev->path), "%s", path) >= sizeof(dev->path))
		return err_set(err, -ENAMETOOLONG, "vDPA device", "%s: the name is too long", path);
	rc = chardev_open(path);
	if (rc < 0)
		return cannot_open(path, rc, err);
	dev->fd = rc;
	/* Without it the kernel does not know whose memory will be mapped, and refuses the rest. */
	rc = device_call(dev, VHOST_SET_OWNER, NULL, "it cannot be taken", err);
	if (!rc)
		rc = agree_with_backend(dev, err);
	if (!rc)
		rc = read_properties(dev, err);
	if (!rc)
		rc = make_room(dev, err);
	if (rc)
		vhost_vdpa_close(dev);
	return rc;
}

void vhost_vdpa_close(struct vhost_vdpa *dev)
{
	if (dev->fd < 0)
		return;
	/* The kernel resets the device and unpins the memory. */
	chardev_close(take_fd(dev->fd));
	for (uint32_t i = 0; dev->silent && i < dev->vrings; i++)
		cleanup_close(&dev->silent[i]);
	free(take_ptr(dev->silent));
	free(take_ptr(dev->maps));
	dev->n_maps = 0;
	dev->batch = VHOST_VDPA_NO_BATCH;
}

static bool backend_has(const struct vhost_vdpa *dev, unsigned int bit)
{
	return dev->backend_features & BIT(bit);
}

bool vhost_vdpa_can_suspend(const struct vhost_vdpa *dev)
{
	return backend_has(dev, VHOST_BACKEND_F_SUSPEND);
}

bool vhost_vdpa_has_positions(const struct vhost_vdpa *dev)
{
	return vhost_vdpa_can_suspend(dev) && !dev->only_base_0;
}

bool vhost_vdpa_keeps_maps(const struct vhost_vdpa *dev)
{
	return backend_has(dev, VHOST_BACKEND_F_IOTLB_PERSIST);
}

int vhost_vdpa_get_status(struct vhost_vdpa *dev, uint8_t *status, struct err *err)
{
	return device_call(dev, VHOST_VDPA_GET_STATUS, status, "its status cannot be read", err);
}

static int set_status(struct vhost_vdpa *dev, uint8_t status, struct err *err)
{
	char what[48];

	snprintf(what, sizeof(what), "its status cannot be set to %#x", status);
	return device_call(dev, VHOST_VDPA_SET_STATUS, &status, what, err);
}

/* Most devices are through at once, some need tens of milliseconds. */
static int wait_for_reset(struct vhost_vdpa *dev, struct err *err)
{
	const int64_t until = chardev_now() + RESET_US;
	unsigned int wait = FIRST_LOOK_US;
	uint8_t status;

	for (;;) {
		const int rc = vhost_vdpa_get_status(dev, &status, err);

		if (rc || status == 0)
			return rc;
		if (chardev_now() >= until)
			return err_set(err, -ETIMEDOUT, "vDPA device",
				       "%s does not reset: its status is still %#x after a second; "
				       "has it failed, or is it gone? See dmesg",
				       dev->path, status);
		chardev_wait(wait);
		wait = wait < LONGEST_WAIT_US / 2 ? 2 * wait : LONGEST_WAIT_US;
	}
}

int vhost_vdpa_reset(struct vhost_vdpa *dev, struct err *err)
{
	int rc = set_status(dev, 0, err);

	if (!rc)
		rc = wait_for_reset(dev, err);
	/* The device has lost them, but the kernel takes them for mapped and mapping for an
	 * overlap. */
	if (!rc && !vhost_vdpa_keeps_maps(dev))
		rc = vhost_vdpa_unmap_all(dev, err);
	return rc;
}

static int refuses(const struct vhost_vdpa *dev, uint64_t features, struct err *err)
{
	char names[256];

	return err_set(err, -ENOTSUP, "vDPA features",
		       "%s does not accept this choice of its features: %s", dev->path,
		       feature_names(features, names, sizeof(names)));
}

static int set_features(struct vhost_vdpa *dev, uint64_t features, struct err *err)
{
	const int rc = chardev_ioctl(dev->fd, VHOST_SET_FEATURES, &features);

	/* The kernel has the one word for whatever displeases the device's driver. */
	if (rc == -EINVAL || rc == -EOPNOTSUPP)
		return refuses(dev, features, err);
	return rc < 0 ? device_call_failed(dev, rc, "its features cannot be set", err) : 0;
}

static int confirm_features(struct vhost_vdpa *dev, uint64_t features, struct err *err)
{
	uint8_t status;
	int rc = set_status(dev, STATUS_FEATURES_OK, err);

	if (!rc)
		rc = vhost_vdpa_get_status(dev, &status, err);
	if (rc)
		return rc;
	return status & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : refuses(dev, features, err);
}

int vhost_vdpa_negotiate(struct vhost_vdpa *dev, uint64_t features, struct err *err)
{
	const uint64_t lacking = features & ~dev->features;
	char names[256];
	int rc;

	if (lacking)
		return err_set(err, -ENOTSUP, "vDPA features",
			       "%s has not these features, which are wanted of it: %s", dev->path,
			       feature_names(lacking, names, sizeof(names)));
	features |= dev->features & BIT(VIRTIO_F_ACCESS_PLATFORM);
	rc = vhost_vdpa_reset(dev, err);
	if (!rc)
		rc = set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE, err);
	if (!rc)
		rc = set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER, err);
	if (!rc)
		rc = set_features(dev, features, err);
	return rc ? rc : confirm_features(dev, features, err);
}

int vhost_vdpa_driver_ok(struct vhost_vdpa *dev, struct err *err)
{
	uint8_t status;
	int rc = set_status(dev, STATUS_DRIVER_OK, err);

	if (!rc)
		rc = vhost_vdpa_get_status(dev, &status, err);
	if (rc)
		return rc;
	/* Setting it is no error when the device's driver could not do its part. */
	if ((status & (STATUS_DRIVER_OK | VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET)) !=
	    STATUS_DRIVER_OK)
		return err_set(err, -EIO, "vDPA device",
			       "%s does not start: its status is %#x; see dmesg", dev->path,
			       status);
	return 0;
}

int vhost_vdpa_suspend(struct vhost_vdpa *dev, struct err *err)
{
	if (!vhost_vdpa_can_suspend(dev))
		return err_set(err, -EOPNOTSUPP, "vDPA device",
			       "%s cannot be suspended: its driver does not offer it; only a reset "
			       "stops it",
			       dev->path);
	return device_call(dev, VHOST_VDPA_SUSPEND, NULL, "it cannot be suspended", err);
}

int vhost_vdpa_resume(struct vhost_vdpa *dev, struct err *err)
{
	if (!backend_has(dev, VHOST_BACKEND_F_RESUME))
		return err_set(err, -EOPNOTSUPP, "vDPA device",
			       "%s cannot be resumed: its driver does not offer it; only a reset "
			       "and a new start make it run",
			       dev->path);
	return device_call(dev, VHOST_VDPA_RESUME, NULL, "it cannot be resumed", err);
}

int vhost_vdpa_config(struct vhost_vdpa *dev, size_t offset, void *buf, size_t size,
		      struct err *err)
{
	_cleanup_free_ struct vhost_vdpa_config *config = malloc(sizeof(*config) + size);
	char what[80];
	int rc;

	if (!config)
		return err_set(err, -ENOMEM, "vDPA device", "%s: out of memory", dev->path);
	snprintf(what, sizeof(what), "bytes %zu to %zu of its configuration cannot be read", offset,
		 offset + size - 1);
	config->off = offset;
	config->len = size;
	rc = device_call(dev, VHOST_VDPA_GET_CONFIG, config, what, err);
	if (!rc)
		memcpy(buf, config->buf, size);
	return rc;
}

int vhost_vdpa_set_config_call(struct vhost_vdpa *dev, int fd, struct err *err)
{
	fd = fd < 0 ? VHOST_FILE_UNBIND : fd;
	return device_call(dev, VHOST_VDPA_SET_CONFIG_CALL, &fd,
			   "the eventfd for changes of its configuration is refused", err);
}
