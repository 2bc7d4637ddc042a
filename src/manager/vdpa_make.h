/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The vDPA device of a pairing, vio4wd<id>: made on a VF whose driver has vDPA, and removed. By its
 * name it is known for ours whoever has made it: an earlier manager, too.
 *
 * Making and removing wait for the kernel (and for udevd): they run in a thread of their own. Each
 * can be repeated after it was cut off anywhere, and then completes.
 */
#ifndef VIO4WD_MANAGER_VDPA_MAKE_H
#define VIO4WD_MANAGER_VDPA_MAKE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/pci_addr.h"
#include "vdpa/mgmt.h"

#define VDPA_PATH_MAX 64

struct vdpa_plan {
	char name[VDPA_NAME_MAX];
	struct pci_addr addr; /* of the VF */
	bool has_mac;	      /* else the PF's, where it has one for the VF */
	uint8_t mac[6];
	uint16_t mtu;
	uint16_t max_pairs; /* at most; fewer when the management device has fewer */
	uid_t uid;	    /* whom the character device is given */
	gid_t gid;
	mode_t mode;
};

/* Returns buf, which has VDPA_NAME_MAX bytes. */
char *vdpa_name(unsigned int id, char *buf);

/*
 * Makes the device unless it is there, puts it on vhost_vdpa and gives its character device to
 * plan->uid and plan->gid. One of that name on another VF is removed first. -EOPNOTSUPP: the VF's
 * driver makes no network devices; -EBUSY: somebody has the device open that must go first.
 */
int vdpa_make(const char *root, const struct vdpa_plan *plan, struct err *err);
/* What is not there is removed (0). -EBUSY: somebody has it open; the kernel would wait for that,
 * with its lock, so it is not asked. */
int vdpa_unmake(const char *root, const char *name, struct err *err);

/* These do not wait. There is a vDPA device of that name: */
bool vdpa_is_made(const char *root, const char *name);
bool vdpa_is_on(const char *root, const char *name, const struct pci_addr *addr); /* the VF */
/* It is on the VF, and its character device is as planned. */
bool vdpa_is_ready(const char *root, const struct vdpa_plan *plan);

#endif
