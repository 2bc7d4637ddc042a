/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the kernel and a device make of /dev/vhost-vdpa-N, within the test: linked in the place of
 * src/vdpa/chardev_calls.c. What it answers is what kernel 6.12 was seen to answer with vdpa_sim
 * and vp_vdpa; the options make it like other devices. Time passes only by chardev_wait().
 *
 * A device that is told what no driver may tell it complains (fake_vdpa.complaints), a test expects
 * none. fake_vdpa_net.h lets it move packets.
 */
#ifndef VIO4WD_TEST_FAKE_VDPA_H
#define VIO4WD_TEST_FAKE_VDPA_H

#include "fake_vdpa_iotlb.h"
#include "fake_vdpa_rings.h"

static inline int fake_agree(struct fake_vdpa *dev, uint64_t features)
{
	const uint64_t desc = FAKE_BIT(VHOST_BACKEND_F_DESC_ASID);

	if (features & ~dev->backend_features)
		return -EOPNOTSUPP;
	if (features & desc && !(features & FAKE_BIT(VHOST_BACKEND_F_IOTLB_ASID)))
		return -EINVAL;
	dev->agreed = features;
	return 0;
}

static inline int fake_own(struct fake_vdpa *dev)
{
	if (dev->owned)
		return -EBUSY;
	dev->owned = true;
	return 0;
}

static inline int fake_suspend(struct fake_vdpa *dev, bool suspend)
{
	const unsigned int bit = suspend ? VHOST_BACKEND_F_SUSPEND : VHOST_BACKEND_F_RESUME;

	if (!(dev->backend_features & FAKE_BIT(bit)))
		return -EOPNOTSUPP;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		dev->suspended = suspend;
	return 0;
}

static inline int fake_get_config(struct fake_vdpa *dev, struct vhost_vdpa_config *config)
{
	if (!config->len || config->off > dev->config_size ||
	    config->len > dev->config_size - config->off)
		return -EINVAL;
	memcpy(config->buf, (char *)&dev->config + config->off, config->len);
	return 0;
}

static inline int fake_set_config_call(struct fake_vdpa *dev, const int *fd)
{
	return fake_take_fd(&dev->config_call, *fd);
}

/* The network behind it: as a running device tells of it. */
static inline void fake_vdpa_link(struct fake_vdpa *dev, bool up)
{
	pthread_mutex_lock(&fake_lock);
	dev->config.status = up ? VIRTIO_NET_S_LINK_UP : 0;
	if (fake_is_running(dev) && dev->driver_features & FAKE_BIT(VIRTIO_NET_F_STATUS) &&
	    dev->config_call >= 0)
		eventfd_write(dev->config_call, 1);
	pthread_mutex_unlock(&fake_lock);
}

/* What is only read, with the size that the request's number says. */
static inline int fake_read(struct fake_vdpa *dev, unsigned long request, void *argument)
{
	const struct vhost_vdpa_iova_range range = { dev->iova_first, dev->iova_last };
	const uint32_t id = 1;
	const struct {
		unsigned long request;
		const void *value;
		const char *name;
	} values[] = {
		{ VHOST_VDPA_GET_DEVICE_ID, &id, "device id?" },
		{ VHOST_GET_FEATURES, &dev->features, "features?" },
		{ VHOST_GET_BACKEND_FEATURES, &dev->backend_features, "backend?" },
		{ VHOST_VDPA_GET_VQS_COUNT, &dev->vrings, "rings?" },
		{ VHOST_VDPA_GET_VRING_NUM, &dev->vring_size, "ring size?" },
		{ VHOST_VDPA_GET_IOVA_RANGE, &range, "range?" },
		{ VHOST_VDPA_GET_AS_NUM, &dev->spaces, "spaces?" },
		{ VHOST_VDPA_GET_GROUP_NUM, &dev->groups, "groups?" },
		{ VHOST_VDPA_GET_CONFIG_SIZE, &dev->config_size, "config size?" },
	};

	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int rc;

		if (values[i].request != request)
			continue;
		rc = fake_called(dev, "%s", values[i].name);
		if (!rc)
			memcpy(argument, values[i].value, _IOC_SIZE(request));
		return rc;
	}
	return fake_called(dev, "request %#lx", request) ?: -ENOTTY;
}

static inline int fake_ioctl(struct fake_vdpa *dev, unsigned long request, void *argument)
{
	const struct vhost_vring_state *state = argument;
	const struct vhost_vdpa_config *config = argument;
	const uint64_t *bits = argument;
	uint8_t *status = argument;
	int rc;

	switch (request) {
	case VHOST_SET_OWNER:
		return fake_called(dev, "owner") ?: fake_own(dev);
	case VHOST_SET_BACKEND_FEATURES:
		return fake_called(dev, "backend %#" PRIx64, *bits) ?: fake_agree(dev, *bits);
	case VHOST_SET_FEATURES:
		return fake_called(dev, "features %#" PRIx64, *bits)
			       ?: fake_set_features(dev, *bits);
	case VHOST_VDPA_SET_STATUS:
		return fake_called(dev, "status %#x", *status) ?: fake_set_status(dev, *status);
	case VHOST_VDPA_GET_STATUS:
		rc = fake_called(dev, "status?");
		*status = rc ? 0 : fake_get_status(dev);
		return rc;
	case VHOST_VDPA_SUSPEND:
	case VHOST_VDPA_RESUME:
		return fake_called(dev, request == VHOST_VDPA_SUSPEND ? "suspend" : "resume")
			       ?: fake_suspend(dev, request == VHOST_VDPA_SUSPEND);
	case VHOST_VDPA_GET_CONFIG:
		return fake_called(dev, "config %u+%u?", config->off, config->len)
			       ?: fake_get_config(dev, argument);
	case VHOST_VDPA_SET_CONFIG_CALL:
		return fake_called(dev, "config call") ?: fake_set_config_call(dev, argument);
	case VHOST_VDPA_SET_GROUP_ASID:
		return fake_called(dev, "group %u in space %u", state->index, state->num)
			       ?: fake_set_group(dev, state->index, state->num);
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_ADDR:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_KICK:
	case VHOST_VDPA_SET_VRING_ENABLE:
	case VHOST_VDPA_GET_VRING_GROUP:
		return fake_vring(dev, request, argument);
	default:
		return fake_read(dev, request, argument);
	}
}

static inline int fake_open(struct fake_vdpa *dev)
{
	int rc = fake_called(dev, "open");

	if (!rc)
		rc = dev->fd >= 0 ? -EBUSY : dev->open_error;
	if (rc)
		return rc;
	dev->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	dev->epoll = epoll_create1(EPOLL_CLOEXEC);
	dev->owned = dev->in_batch = false;
	dev->agreed = 0;
	fake_reset(dev);
	dev->resetting = 0;
	return dev->fd;
}

static inline void fake_close(struct fake_vdpa *dev)
{
	fake_called(dev, "close");
	fake_reset(dev);
	dev->n_maps = 0;
	fake_take_fd(&dev->config_call, -1);
	for (unsigned int i = 0; i < FAKE_RINGS; i++) {
		fake_take_fd(&dev->rings[i].kick, -1);
		fake_take_fd(&dev->rings[i].call, -1);
	}
	close(dev->epoll);
	close(dev->fd);
	dev->epoll = dev->fd = -1;
}

/* --- in the place of src/vdpa/chardev_calls.c --- */

int chardev_open(const char *path)
{
	int rc = -ENOENT;

	pthread_mutex_lock(&fake_lock);
	for (unsigned int i = 0; i < FAKE_VDPAS; i++) {
		if (fake_vdpas[i].path[0] && !strcmp(fake_vdpas[i].path, path))
			rc = fake_open(&fake_vdpas[i]);
	}
	pthread_mutex_unlock(&fake_lock);
	return rc;
}

void chardev_close(int fd)
{
	struct fake_vdpa *dev;

	pthread_mutex_lock(&fake_lock);
	dev = fake_of_fd(fd);
	if (!dev)
		abort();
	fake_close(dev);
	pthread_mutex_unlock(&fake_lock);
}

int chardev_ioctl(int fd, unsigned long request, void *argument)
{
	struct fake_vdpa *dev;
	int rc;

	pthread_mutex_lock(&fake_lock);
	dev = fake_of_fd(fd);
	rc = dev ? fake_ioctl(dev, request, argument) : -EBADF;
	pthread_mutex_unlock(&fake_lock);
	return rc;
}

int chardev_write(int fd, const void *buf, size_t size)
{
	struct fake_vdpa *dev;
	int rc;

	pthread_mutex_lock(&fake_lock);
	dev = fake_of_fd(fd);
	rc = dev ? -EINVAL : -EBADF;
	if (dev && size == sizeof(struct vhost_msg_v2))
		rc = fake_write(dev, buf);
	pthread_mutex_unlock(&fake_lock);
	return rc;
}

int64_t chardev_now(void)
{
	return __atomic_load_n(&fake_clock, __ATOMIC_SEQ_CST);
}

void chardev_wait(unsigned int us)
{
	__atomic_add_fetch(&fake_clock, us, __ATOMIC_SEQ_CST);
}

uint64_t chardev_pin_limit(void)
{
	uint64_t limit = UINT64_MAX;

	for (unsigned int i = 0; i < FAKE_VDPAS; i++) {
		if (fake_vdpas[i].path[0] && fake_vdpas[i].pin_limit < limit)
			limit = fake_vdpas[i].pin_limit;
	}
	return limit;
}

/* One process has pinned it all. */
uint64_t chardev_pinned(void)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < FAKE_VDPAS; i++)
		bytes += fake_vdpas[i].path[0] ? fake_pinned(&fake_vdpas[i]) : 0;
	return bytes;
}

#endif
