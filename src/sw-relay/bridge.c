/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The order of calls that brings a device up is that of virtio 1.2, 3.1.1, with the kernel's
 * additions (vdpa/vhost_vdpa.h): features, memory, rings, DRIVER_OK. Then every ring is kicked
 * once: what the VM made available before is announced by nobody else.
 *
 * Going from direct to shadow and back is a reset in between. The file stays open, and where the
 * device keeps its mappings so do they: pinning the VM's memory is what takes long.
 */
#include "sw-relay/bridge_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>

#include <linux/vhost.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "common/log.h"
#include "sw-relay/bridge_ctrl.h"
#include "sw-relay/bridge_shadow.h"

#define VIRTIO_ID_NET 1
#define NEEDS_RESET 0x40
/* Bits that are no business of the device: between front end and library, or about the control
 * queue, which is not the VM's (bridge_ctrl.h). */
#define NOT_FOR_DEVICE                                                                 \
	(BRIDGE_BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BRIDGE_BIT(VHOST_F_LOG_ALL) |    \
	 BRIDGE_BIT(VIRTIO_NET_F_CTRL_VQ) | BRIDGE_BIT(VIRTIO_NET_F_CTRL_RX) |         \
	 BRIDGE_BIT(VIRTIO_NET_F_CTRL_VLAN) | BRIDGE_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | \
	 BRIDGE_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BRIDGE_BIT(VIRTIO_NET_F_MQ))

void bridge_init(struct bridge *b, unsigned int id, int config_call)
{
	memset(b, 0, sizeof(*b));
	pthread_mutex_init(&b->lock, NULL);
	b->id = id;
	b->config_call = config_call;
	b->dev.fd = -1;
	for (unsigned int i = 0; i < VM_RINGS; i++)
		b->rings[i].kick = b->rings[i].call = -1;
}

static int check_device(const struct vhost_vdpa *dev, struct err *err)
{
	if (dev->device_id != VIRTIO_ID_NET)
		return err_set(err, -ENOTSUP, "attach",
			       "%s is no network device (virtio device id %u)", dev->path,
			       dev->device_id);
	if (dev->vrings < 2)
		return err_set(err, -ENOTSUP, "attach",
			       "%s has %u virtqueues; a network device has two at least", dev->path,
			       dev->vrings);
	if (!(dev->features & BRIDGE_BIT(VIRTIO_F_VERSION_1)))
		return err_set(err, -ENOTSUP, "attach",
			       "%s does not offer VIRTIO_F_VERSION_1: devices of before virtio 1.0 "
			       "are not supported",
			       dev->path);
	return 0;
}

/* One that is not told how many it shall use, uses one. */
static uint16_t max_pairs(const struct vhost_vdpa *dev, uint16_t own)
{
	if (!(dev->features & BRIDGE_BIT(VIRTIO_NET_F_CTRL_VQ)) || dev->vrings <= 2u * own)
		return 1;
	return RTE_MIN(own, ENDPOINT_MAX_QUEUES);
}

/* A part of the configuration is there only with its feature. */
static int read_part(struct vhost_vdpa *dev, unsigned int feature, size_t offset, void *part,
		     size_t size, struct err *err)
{
	if (!(dev->features & BRIDGE_BIT(feature)))
		return 0;
	return vhost_vdpa_config(dev, offset, part, size, err);
}

#define READ_PART(feature, field)                                                         \
	read_part(dev, feature, offsetof(struct virtio_net_config, field), &config.field, \
		  sizeof(config.field), err)

static int read_config(struct vhost_vdpa *dev, struct bridge_device *device, struct err *err)
{
	struct virtio_net_config config = { .status = VIRTIO_NET_S_LINK_UP };
	int r = READ_PART(VIRTIO_NET_F_MAC, mac);

	if (r == 0)
		r = READ_PART(VIRTIO_NET_F_STATUS, status);
	if (r == 0)
		r = READ_PART(VIRTIO_NET_F_MTU, mtu);
	if (r == 0)
		r = READ_PART(VIRTIO_NET_F_MQ, max_virtqueue_pairs);
	if (r < 0)
		return r;
	device->has_mac = dev->features & BRIDGE_BIT(VIRTIO_NET_F_MAC);
	memcpy(device->mac, config.mac, sizeof(device->mac));
	device->mtu = config.mtu;
	device->link = config.status & VIRTIO_NET_S_LINK_UP;
	device->own_pairs = RTE_MAX(config.max_virtqueue_pairs, 1);
	device->max_pairs = max_pairs(dev, device->own_pairs);
	return 0;
}

int bridge_set_device(struct bridge *b, const char *path, struct err *err)
{
	struct bridge_device device = { 0 };
	struct vhost_vdpa dev = VHOST_VDPA_CLOSED;
	int r = vhost_vdpa_open(&dev, path, err);

	if (r < 0)
		return r;
	r = check_device(&dev, err);
	if (r == 0)
		r = read_config(&dev, &device, err);
	snprintf(device.path, sizeof(device.path), "%s", path);
	device.features = dev.features;
	device.vrings = dev.vrings;
	device.vring_size = dev.vring_size;
	device.has_positions = vhost_vdpa_has_positions(&dev);
	vhost_vdpa_close(&dev);
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->lock);
	b->device = device;
	pthread_mutex_unlock(&b->lock);
	return 0;
}

void bridge_get_device(struct bridge *b, struct bridge_device *device)
{
	pthread_mutex_lock(&b->lock);
	*device = b->device;
	pthread_mutex_unlock(&b->lock);
}

static void close_device(struct bridge *b)
{
	vhost_vdpa_close(&b->dev);
	bridge_memory_unmap(b);
	bridge_rings_drop(b);
}

/* The device no longer works on the rings, and where they are is known. The file stays open. */
static void stop(struct bridge *b)
{
	struct err err = { 0 };

	if (b->mode == BRIDGE_OFF)
		return;
	if (vhost_vdpa_can_suspend(&b->dev) && vhost_vdpa_suspend(&b->dev, &err) < 0)
		log_warning("relay %u: %s", b->id, err.text);
	if (vhost_vdpa_reset(&b->dev, &err) < 0) {
		log_warning("relay %u: %s", b->id, err.text);
		/* The kernel resets it when the file is closed, and waits for that. */
		vhost_vdpa_close(&b->dev);
	}
	bridge_ctrl_drop(b);
	bridge_shadow_stop(b);
	bridge_rings_settle(b);
	b->mode = BRIDGE_OFF;
	if (b->dev.fd < 0)
		close_device(b);
	else if (!vhost_vdpa_keeps_maps(&b->dev))
		bridge_memory_unmap(b);
}

/* Its own memory may be less than the VM has said: who touches it says on whose behalf (guard.h).
 */
static struct guard *enter(struct bridge *b)
{
	struct guard *before = guard_current;

	pthread_mutex_lock(&b->lock);
	if (b->vm)
		guard_current = &b->vm->guard;
	return before;
}

static void leave(struct bridge *b, struct guard *before)
{
	guard_current = before;
	pthread_mutex_unlock(&b->lock);
}

static int open_device(struct bridge *b, struct err *err)
{
	return b->dev.fd >= 0 ? 0 : vhost_vdpa_open(&b->dev, b->device.path, err);
}

static uint64_t features_for(const struct bridge *b, enum bridge_mode mode)
{
	uint64_t features = b->vm->features & b->device.features & ~NOT_FOR_DEVICE;

	features |= bridge_ctrl_features(b);
	/* The link is the relay's to tell of, whatever the VM's driver makes of it. */
	features |= b->device.features & BRIDGE_BIT(VIRTIO_NET_F_STATUS);
	/* When to interrupt the VM and when to be kicked by it, a shadow decides itself. */
	if (mode == BRIDGE_SHADOW)
		features &= ~BRIDGE_BIT(VIRTIO_RING_F_EVENT_IDX);
	return features;
}

static int bring_up(struct bridge *b, enum bridge_mode wanted, struct err *err)
{
	int r = open_device(b, err);

	if (r == 0)
		r = vhost_vdpa_negotiate(&b->dev, features_for(b, wanted), err);
	if (r == 0)
		r = bridge_memory_update(b, err);
	b->n_rings = bridge_rings_set_up(b);
	if (r == 0)
		r = bridge_rings_take(b, err);
	if (r == 0)
		r = wanted == BRIDGE_SHADOW ? bridge_shadow_prepare(b, err)
					    : bridge_rings_direct(b, err);
	if (r == 0)
		r = bridge_ctrl_prepare(b, err);
	if (r == 0)
		r = vhost_vdpa_set_config_call(&b->dev, b->config_call, err);
	if (r < 0)
		return r;
	/* It may begin although it says that it does not: from here on it has to be stopped. */
	b->mode = wanted;
	r = vhost_vdpa_driver_ok(&b->dev, err);
	if (r == 0)
		r = bridge_ctrl_start(b, bridge_rings_pairs(b), err);
	if (r == 0 && wanted == BRIDGE_SHADOW)
		r = bridge_shadow_start(b, err);
	bridge_rings_ring_all(b);
	/* Of what has changed before it began nobody tells. */
	if (b->config_call >= 0)
		eventfd_write(b->config_call, 1);
	return r;
}

/* Mode off at the end when it fails. */
static int start(struct bridge *b, enum bridge_mode wanted, struct err *err)
{
	const int r = bring_up(b, wanted, err);

	if (r < 0) {
		/* It may have said so that it takes no position but 0. */
		if (r == -EOPNOTSUPP && b->dev.fd >= 0)
			b->device.has_positions &= vhost_vdpa_has_positions(&b->dev);
		stop(b);
		/* Those that have not begun. */
		bridge_ctrl_drop(b);
		bridge_shadow_stop(b);
		close_device(b);
	}
	return r;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

static int change(struct bridge *b, enum bridge_mode wanted, struct err *err)
{
	const uint64_t since = now_us();
	int r;

	stop(b);
	r = start(b, wanted, err);
	b->pause_us = now_us() - since;
	return r;
}

static int serve(struct bridge *b, enum bridge_mode wanted, struct err *err)
{
	int r;

	if (!b->vm || wanted == BRIDGE_OFF || !b->device.path[0]) {
		stop(b);
		close_device(b);
		return 0;
	}
	/* Rings that come later need a device that is set up anew. */
	if (b->mode != wanted || bridge_rings_set_up(b) > b->n_rings)
		return change(b, wanted, err);
	r = bridge_rings_refresh(b, err);
	if (r == 0)
		r = bridge_ctrl_set_pairs(b, bridge_rings_pairs(b), err);
	if (r < 0) {
		stop(b);
		close_device(b);
	}
	return r;
}

int bridge_serve(struct bridge *b, enum bridge_mode wanted, struct err *err)
{
	struct guard *before = enter(b);
	int r;

	r = serve(b, wanted, err);
	leave(b, before);
	return r;
}

enum bridge_mode bridge_mode(struct bridge *b)
{
	enum bridge_mode mode;

	pthread_mutex_lock(&b->lock);
	mode = b->mode;
	pthread_mutex_unlock(&b->lock);
	return mode;
}

uint64_t bridge_pause_us(struct bridge *b)
{
	uint64_t pause;

	pthread_mutex_lock(&b->lock);
	pause = b->pause_us;
	pthread_mutex_unlock(&b->lock);
	return pause;
}

void bridge_drop_device(struct bridge *b)
{
	struct guard *before = enter(b);
	stop(b);
	close_device(b);
	memset(&b->device, 0, sizeof(b->device));
	leave(b, before);
}

void bridge_fini(struct bridge *b)
{
	bridge_drop_device(b);
	pthread_mutex_destroy(&b->lock);
}

void bridge_vm_came(struct bridge *b, struct vm *vm)
{
	pthread_mutex_lock(&b->lock);
	b->vm = vm;
	b->logging = vm->features & BRIDGE_BIT(VHOST_F_LOG_ALL);
	pthread_mutex_unlock(&b->lock);
}

void bridge_vm_gone(struct bridge *b, struct vm *vm)
{
	struct guard *before = enter(b);
	if (b->vm == vm) {
		stop(b);
		close_device(b);
		b->vm = NULL;
	}
	leave(b, before);
}

bool bridge_is_stale(struct bridge *b)
{
	bool stale = false;

	pthread_mutex_lock(&b->lock);
	for (unsigned int i = 0; b->mode != BRIDGE_OFF && i < b->n_rings; i++)
		stale |= bridge_ring_is_stale(b, i);
	if (b->mode != BRIDGE_OFF)
		stale |= bridge_rings_set_up(b) > b->n_rings || bridge_ctrl_is_stale(b);
	pthread_mutex_unlock(&b->lock);
	return stale;
}

/*
 * A device that can tell its positions is stopped for it: it may be one that keeps addresses of
 * this process and not pages (simulators, VDUSE), and the library moves them. The others pin pages,
 * which stay where they are. A shadow looks at the VM's rings itself.
 */
void bridge_memory_changing(struct bridge *b, const struct vm *vm)
{
	struct guard *before = enter(b);
	b->paused = BRIDGE_OFF;
	if (b->vm == vm &&
	    (b->mode == BRIDGE_SHADOW || (b->mode == BRIDGE_DIRECT && b->device.has_positions))) {
		b->paused = b->mode;
		stop(b);
		bridge_memory_unmap(b);
	}
	leave(b, before);
}

static int follow_memory(struct bridge *b, struct err *err)
{
	if (b->paused != BRIDGE_OFF)
		return start(b, b->paused, err);
	return b->mode == BRIDGE_OFF ? 0 : bridge_memory_update(b, err);
}

void bridge_memory_changed(struct bridge *b, const struct vm *vm)
{
	struct guard *before = enter(b);
	struct err err = { 0 };

	if (b->vm == vm && follow_memory(b, &err) < 0) {
		log_error("relay %u: the VM's memory has changed: %s", b->id, err.text);
		stop(b);
		close_device(b);
	}
	leave(b, before);
}

bool bridge_set_logging(struct bridge *b, const struct vm *vm, bool on)
{
	struct guard *before = enter(b);
	struct err err = { 0 };
	bool decide;

	decide = b->vm == vm && b->logging != on && b->device.path[0];
	if (b->vm == vm)
		b->logging = on;
	/* From now on no byte may be written untold. */
	if (b->vm == vm && on && b->mode == BRIDGE_DIRECT && serve(b, BRIDGE_SHADOW, &err) < 0)
		log_warning("relay %u: %s", b->id, err.text);
	leave(b, before);
	return decide;
}

void bridge_rarp_asked(struct bridge *b, const struct vm *vm)
{
	pthread_mutex_lock(&b->lock);
	if (b->vm == vm)
		bridge_shadow_wake(b);
	pthread_mutex_unlock(&b->lock);
}

static void look_at_link(struct bridge *b)
{
	const size_t offset = offsetof(struct virtio_net_config, status);
	uint16_t status;

	if (b->device.features & BRIDGE_BIT(VIRTIO_NET_F_STATUS) &&
	    vhost_vdpa_config(&b->dev, offset, &status, sizeof(status), NULL) == 0)
		b->device.link = status & VIRTIO_NET_S_LINK_UP;
}

static const char *look(struct bridge *b, bool *link)
{
	struct stat st;
	uint8_t status;

	if (b->dev.fd < 0)
		return NULL;
	if (fstat(b->dev.fd, &st) < 0 || !st.st_nlink)
		return "the vDPA device was removed";
	if (vhost_vdpa_get_status(&b->dev, &status, NULL) < 0)
		return "the vDPA device does not answer any more";
	if (b->mode != BRIDGE_OFF && status & NEEDS_RESET)
		return "the vDPA device has failed and wants to be reset";
	look_at_link(b);
	*link = b->device.link;
	return NULL;
}

const char *bridge_look(struct bridge *b, bool *link)
{
	const char *why = NULL;

	if (pthread_mutex_trylock(&b->lock) == 0) {
		why = look(b, link);
		pthread_mutex_unlock(&b->lock);
	}
	return why;
}
