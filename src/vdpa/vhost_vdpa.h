/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The character device of a vDPA device, /dev/vhost-vdpa-N (linux/vhost.h), as a program drives it
 * that stands where a driver of the virtio device would: features, status, vrings, and what memory
 * the device may reach (IOTLB). Addresses that the device sees are I/O virtual addresses (iova).
 *
 * A file can be opened once at a time (-EBUSY). All functions return 0 or a negative errno with err
 * filled; none may be called by two threads at once for one device. Those marked "pins" may take
 * some hundred milliseconds, resetting and starting a device some ten, the others are short.
 */
#ifndef VIO4WD_VDPA_VHOST_VDPA_H
#define VIO4WD_VDPA_VHOST_VDPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct vhost_vdpa_map;

struct vhost_vdpa {
	int fd; /* -1: closed */
	char path[64];
	uint32_t device_id;	   /* VIRTIO_ID_NET: 1 */
	uint64_t features;	   /* virtio feature bits of the device */
	uint64_t backend_features; /* VHOST_BACKEND_F_*, as bits: those in use */
	uint32_t vrings;	   /* the control queue included */
	uint16_t vring_size;	   /* the largest */
	uint64_t iova_first, iova_last;

	/* The rest is for src/vdpa alone. */
	struct vhost_vdpa_map *maps;
	size_t n_maps;
	enum { VHOST_VDPA_NO_BATCH, VHOST_VDPA_BATCH_WANTED, VHOST_VDPA_IN_BATCH } batch;
	uint32_t batch_space;
	int *silent; /* an eventfd for each ring that nobody listens to, or -1 */
	bool only_base_0;
};

#define VHOST_VDPA_CLOSED \
	{                 \
		.fd = -1  \
	}

/* Opens the device, takes it (VHOST_SET_OWNER) and reads what it is like. The memory that will be
 * mapped is that of the calling process. */
int vhost_vdpa_open(struct vhost_vdpa *dev, const char *path, struct err *err);
/* Resets the device and takes all its memory away. Harmless when it is closed. Unpins. */
void vhost_vdpa_close(struct vhost_vdpa *dev);

bool vhost_vdpa_can_suspend(const struct vhost_vdpa *dev);
/*
 * The device tells the position of its rings after vhost_vdpa_suspend(), and takes others than 0.
 * All that can be suspended are taken to do so until one has refused.
 */
bool vhost_vdpa_has_positions(const struct vhost_vdpa *dev);
/* VHOST_BACKEND_F_IOTLB_PERSIST: what is mapped stays mapped over a reset. */
bool vhost_vdpa_keeps_maps(const struct vhost_vdpa *dev);

/*
 * Status 0, and waits until it reads 0 (virtio 1.2, 2.4.1); -ETIMEDOUT after a second. Where the
 * device does not keep what is mapped, nothing is mapped any more.
 */
int vhost_vdpa_reset(struct vhost_vdpa *dev, struct err *err);
/*
 * Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK (virtio 1.2, 3.1.1). ACCESS_PLATFORM is added
 * when the device has it: devices insist, and front ends never negotiate it. -ENOTSUP: the device
 * does not accept these features, err names them. After an error only a reset helps; the next
 * negotiation begins with one.
 */
int vhost_vdpa_negotiate(struct vhost_vdpa *dev, uint64_t features, struct err *err);
/* -EIO: the device does not start. */
int vhost_vdpa_driver_ok(struct vhost_vdpa *dev, struct err *err);
int vhost_vdpa_get_status(struct vhost_vdpa *dev, uint8_t *status, struct err *err);
/* -EOPNOTSUPP: it cannot. A device that is suspended does nothing until it is resumed or reset. */
int vhost_vdpa_suspend(struct vhost_vdpa *dev, struct err *err);
int vhost_vdpa_resume(struct vhost_vdpa *dev, struct err *err);

/*
 * Memory. Changes between begin and end reach the device at once where it can do that; to each
 * begin belongs an end, also after an error. Pins.
 */
int vhost_vdpa_map_begin(struct vhost_vdpa *dev, struct err *err);
int vhost_vdpa_map_end(struct vhost_vdpa *dev, struct err *err);
/*
 * Lets the device reach size bytes at addr as iova, all of them multiples of a page: reading and
 * writing, or reading only. -EEXIST: overlaps what is mapped; -ERANGE: the device does not reach
 * this iova; -ENOMEM: more than RLIMIT_MEMLOCK allows, err says how many bytes are needed and
 * allowed (root is limited, too). Devices that work in the CPU reach only memory of files (memfd,
 * hugepages) and do not complain about other: it is not mapped.
 */
int vhost_vdpa_map(struct vhost_vdpa *dev, uint64_t iova, uint64_t size, const void *addr,
		   bool writable, struct err *err);
/* What was mapped at once goes at once (-EINVAL: the range cuts it). Harmless where nothing is. */
int vhost_vdpa_unmap(struct vhost_vdpa *dev, uint64_t iova, uint64_t size, struct err *err);

struct vhost_vdpa_vring {
	uint16_t size;		       /* descriptors */
	uint32_t base;		       /* split: next available; packed: avail | used << 16 */
	uint64_t desc, driver, device; /* iova of the descriptors, avail and used parts */
	int call, kick;		       /* eventfds; -1: none, for call a silent one is made up */
};

/*
 * Everything but the enabling. Between negotiate and driver_ok. The kernel has its own references
 * to the eventfds afterwards. -EOPNOTSUPP: the device takes no other base than that of an unused
 * ring (0; packed: 0x80008000).
 */
int vhost_vdpa_set_vring(struct vhost_vdpa *dev, uint32_t index,
			 const struct vhost_vdpa_vring *vring, struct err *err);
int vhost_vdpa_enable_vring(struct vhost_vdpa *dev, uint32_t index, bool on, struct err *err);
/* Other eventfds; also while it runs. */
int vhost_vdpa_set_call(struct vhost_vdpa *dev, uint32_t index, int fd, struct err *err);
int vhost_vdpa_set_kick(struct vhost_vdpa *dev, uint32_t index, int fd, struct err *err);
/* Of a suspended device; the form is that of vhost_vdpa_vring.base. */
int vhost_vdpa_get_base(struct vhost_vdpa *dev, uint32_t index, uint32_t *base, struct err *err);

/* The device's configuration space (virtio 1.2, 5.1.4). */
int vhost_vdpa_config(struct vhost_vdpa *dev, size_t offset, void *buf, size_t size,
		      struct err *err);
/* An eventfd that is written to whenever the configuration or the need for a reset changes while
 * the device runs (virtio 1.2, 2.3); -1: none. The kernel has its own reference to it afterwards. A
 * reset may end it. */
int vhost_vdpa_set_config_call(struct vhost_vdpa *dev, int fd, struct err *err);

/*
 * Gives a ring an address space that no other ring is in, until the next reset. -EOPNOTSUPP: the
 * device has one space only, or keeps this ring together with others. Memory goes to space 0 but
 * for vhost_vdpa_map_in().
 */
int vhost_vdpa_own_space(struct vhost_vdpa *dev, uint32_t index, uint32_t *space, struct err *err);
int vhost_vdpa_map_in(struct vhost_vdpa *dev, uint32_t space, uint64_t iova, uint64_t size,
		      const void *addr, bool writable, struct err *err);
int vhost_vdpa_unmap_in(struct vhost_vdpa *dev, uint32_t space, uint64_t iova, uint64_t size,
			struct err *err);

#endif
