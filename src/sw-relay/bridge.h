/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Joins the rings of a VM to a kernel vDPA device (vdpa/vhost_vdpa.h): the vhost library speaks
 * vhost-user with the VM, and the bridge programs the device with what was negotiated. It moves no
 * packet. Each endpoint has one, with or without a device.
 *
 *   off      the rings are nobody's, or workers'
 *   direct   the device works on the VM's rings; no CPU does anything
 *   shadow   the device works on rings of ours (bridge_shadow.h): the same buffers, copied
 *            descriptors. For a device that cannot begin where the rings are, for telling which
 *            memory was written while the VM is migrated, and for sending frames of ours
 *
 * The bridge's lock is the last one to be taken: under it the kernel is called, which may pin all
 * of the VM's memory (some hundred milliseconds), and functions of the library that take no lock
 * (rte_vhost_get_*, rte_vhost_set_vring_base, rte_vhost_log_*). Never those that take a ring's lock
 * (rte_vhost_vring_call, rte_vhost_enable_guest_notification): the event thread may hold that lock
 * while it waits for the bridge's.
 */
#ifndef VIO4WD_RELAY_BRIDGE_H
#define VIO4WD_RELAY_BRIDGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "sw-relay/vm.h"
#include "vdpa/vhost_vdpa.h"

enum bridge_mode { BRIDGE_OFF, BRIDGE_DIRECT, BRIDGE_SHADOW };

struct bridge_ctrl;
struct bridge_shadow;

/* What the device was programmed with. The descriptors are duplicates of ours: the library closes
 * its own whenever the VM sends others. */
struct bridge_ring {
	uint32_t generation; /* of the VM's ring */
	int kick, call;	     /* -1: none */
};

/* A part of the VM's memory, as the device has it. The file tells it from another one. */
struct bridge_region {
	uint64_t iova, size, host;
	uint64_t offset; /* in the file */
	dev_t dev;
	ino_t ino;
};

#define BRIDGE_REGIONS 64 /* the library has 8 */

/* What a device is like that is not open. */
struct bridge_device {
	char path[64]; /* "": none */
	uint64_t features;
	uint32_t vrings; /* the control queue included */
	uint16_t vring_size;
	uint16_t own_pairs; /* as its configuration says */
	uint16_t max_pairs; /* that it can serve a VM with; more than one by its control queue */
	bool has_positions; /* begins anywhere, and tells where it was */
	bool has_mac;
	uint8_t mac[6];
	uint16_t mtu; /* 0: not told */
	bool link;
};

struct bridge {
	pthread_mutex_t lock;
	unsigned int id; /* of the endpoint, for messages */
	int config_call; /* as of bridge_init() */

	/* under the lock */
	struct bridge_device device;
	struct vm *vm; /* whose rings they are, between new_device and destroy_device */
	enum bridge_mode mode;
	struct vhost_vdpa dev;
	unsigned int n_regions; /* that are mapped */
	struct bridge_region regions[BRIDGE_REGIONS];
	unsigned int n_rings; /* in use */
	struct bridge_ring rings[VM_RINGS];
	struct bridge_shadow *shadow;
	struct bridge_ctrl *ctrl; /* NULL: not used */
	uint64_t pause_us;	  /* for how long nobody served when the mode was changed last */
	enum bridge_mode paused;  /* mode before a change of the VM's memory, off: went on */
	_Atomic bool logging;	  /* the VM wants to know which of its memory is written */
};

/* config_call: an eventfd, the caller's, or -1. It is written to when bridge_look() has something
 * to find out: a device was started, or its configuration has changed. */
void bridge_init(struct bridge *b, unsigned int id, int config_call);
/* Closes the device. */
void bridge_fini(struct bridge *b);

/*
 * Opens the device, reads what it is like and closes it again (it can be open once, and another
 * backend may want it). -ENOTSUP: no network device, or one without the features that rings of ours
 * need.
 */
int bridge_set_device(struct bridge *b, const char *path, struct err *err);
/* Ends with mode off and no device. */
void bridge_drop_device(struct bridge *b);
/* A copy. */
void bridge_get_device(struct bridge *b, struct bridge_device *device);

/* Called by the vhost library's event thread, without ring locks. When bridge_vm_gone() returns,
 * the device touches nothing of the VM's, and the library knows where the rings are. */
void bridge_vm_came(struct bridge *b, struct vm *vm);
void bridge_vm_gone(struct bridge *b, struct vm *vm);

/*
 * Makes mode what is wanted, for the VM there is; without one, and with off, the device is closed.
 * On failure the mode is off, and the rings are where they were. -EOPNOTSUPP: the device cannot
 * begin where the rings are, or not with these rings. Before anything but off,
 * rte_vhost_enable_guest_notification() has to be on for all rings.
 */
int bridge_serve(struct bridge *b, enum bridge_mode wanted, struct err *err);
enum bridge_mode bridge_mode(struct bridge *b);
/* For how long nobody served the rings when the bridge changed its mode last, in microseconds. */
uint64_t bridge_pause_us(struct bridge *b);

/* A ring has other descriptors than the device was told, or the VM uses another number of rings:
 * bridge_serve() tells it. */
bool bridge_is_stale(struct bridge *b);

/* In a VM's messages, with ring locks held; harmless when it is not the one that is served. Memory:
 * before the library unmaps the old one, and after it has mapped the new one, before the VM gets
 * its answer. Logging: VHOST_F_LOG_ALL was set or cleared; true when the mode has to be decided
 * anew, which with on has been done as far as it cannot wait. */
void bridge_memory_changing(struct bridge *b, const struct vm *vm);
void bridge_memory_changed(struct bridge *b, const struct vm *vm);
bool bridge_set_logging(struct bridge *b, const struct vm *vm, bool on);
/* vm->rarp has changed: a shadow sends what is owed, at once or when it begins. */
void bridge_rarp_asked(struct bridge *b, const struct vm *vm);

/* NULL, or why the device is of no use any more: static text. *link is set to the device's while it
 * is open, else left alone. Does not wait for the lock. */
const char *bridge_look(struct bridge *b, bool *link);

#endif
