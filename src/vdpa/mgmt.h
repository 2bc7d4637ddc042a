/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Management of kernel vDPA: the generic netlink family "vdpa" (linux/vdpa.h). A management device
 * makes vDPA devices: it is the VF itself ("pci/0000:05:08.1") or an auxiliary device below it.
 *
 * Each function opens sockets, makes its requests and closes them; any of them may wait for the
 * kernel (which holds its lock while another device is made), so they belong into a thread for slow
 * calls. The words of the kernel's extended acknowledgement are in err. -EOPNOTSUPP: this kernel
 * has no vDPA (its module is not loaded).
 */
#ifndef VIO4WD_VDPA_MGMT_H
#define VIO4WD_VDPA_MGMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define VDPA_NAME_MAX 64

struct vdpa_mgmtdev {
	char bus[16];		  /* "pci", "auxiliary"; "" when it has none (simulator, VDUSE) */
	char name[VDPA_NAME_MAX]; /* "0000:05:08.1", "mlx5_core.sf.4", "vdpasim_net" */
	uint64_t classes;	  /* a bit for each VIRTIO_ID_* */
	uint64_t features;	  /* virtio feature bits it can provide; 0: it does not tell */
	uint32_t max_vqs; /* virtqueues of one device, the control queue included; 0: ditto */
};

struct vdpa_device {
	char name[VDPA_NAME_MAX];
	char mgmt_bus[16];
	char mgmt_name[VDPA_NAME_MAX];
	uint32_t device_id; /* VIRTIO_ID_NET: 1 */
	uint32_t vendor_id;
	uint32_t max_vqs;
	uint16_t max_vq_size;
	uint16_t min_vq_size; /* 0: not told */
};

/* What a device is to be like; zero and false: the management device decides. */
struct vdpa_spec {
	char name[VDPA_NAME_MAX];
	char mgmt_bus[16];
	char mgmt_name[VDPA_NAME_MAX];
	bool has_mac;
	uint8_t mac[6];
	uint16_t mtu;	  /* bytes */
	uint16_t max_vqp; /* queue pairs */
};

/* The configuration that a driver of the device sees. */
struct vdpa_net_config {
	bool has_mac, has_mtu, has_max_vqp, has_link;
	uint8_t mac[6];
	uint16_t mtu;
	uint16_t max_vqp;
	bool link;
	uint64_t negotiated; /* features, 0 before a driver has come */
	uint64_t features;   /* that the device offers, 0: not told */
};

/* One vendor counter of one virtqueue. */
struct vdpa_counter {
	char name[VDPA_NAME_MAX]; /* as the vendor calls it: "received_desc" */
	uint64_t value;
};

/* *list is the caller's to free; *n may be 0. -EAGAIN: they change all the time. */
int vdpa_mgmtdev_list(struct vdpa_mgmtdev **list, size_t *n, struct err *err);
int vdpa_device_list(struct vdpa_device **list, size_t *n, struct err *err);

/*
 * -EEXIST: there is a device of that name. -ENODEV: there is no such management device. -ERANGE: it
 * does not offer so many queue pairs. -EINVAL: it does not let one choose what spec asks for, or
 * not that value. -ENOSPC: it makes no more devices; one that is on a bus makes one. -EPERM:
 * CAP_NET_ADMIN is wanted.
 */
int vdpa_device_add(const struct vdpa_spec *spec, struct err *err);
/* -ENODEV: there is none. Waits until nobody has its character device open. */
int vdpa_device_del(const char *name, struct err *err);

/*
 * -ENODEV: there is no such device. -EOPNOTSUPP: it is no network device. -EAGAIN: kernels before
 * 6.1 do not tell before a driver has come.
 */
int vdpa_device_config(const char *name, struct vdpa_net_config *config, struct err *err);
/* *counters is the caller's to free. -EOPNOTSUPP: the device does not count. -EAGAIN: no driver has
 * come yet. Needs CAP_NET_ADMIN, as making and removing do. */
int vdpa_device_vstats(const char *name, uint32_t virtqueue, struct vdpa_counter **counters,
		       size_t *n, struct err *err);

#endif
