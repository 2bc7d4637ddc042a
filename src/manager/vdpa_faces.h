/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What hardware vDPA can serve VMs with, by the PF of its VF: VFs of a PF are alike. So the socket
 * of a VF that software serves can look as that of hardware does (docs/architecture.md, "One
 * face").
 *
 * The relay has looked at a device itself: that counts. What a management device says that it can
 * make is believed until then.
 */
#ifndef VIO4WD_MANAGER_VDPA_FACES_H
#define VIO4WD_MANAGER_VDPA_FACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "udev/vf.h"
#include "vdpa/mgmt.h"

struct vdpa_face {
	uint64_t features;  /* virtio feature bits */
	unsigned int pairs; /* queue pairs */
};

struct vdpa_faces { /* all zero: nothing is known */
	struct vdpa_face_of *list;
	size_t n;
};

void vdpa_faces_free(struct vdpa_faces *faces);

/* A device of this VF has this face. asked: the queue pairs that the configuration wants of the VF,
 * 0: all; a device that was made with fewer than it could have says nothing of the others. */
void vdpa_faces_learn(struct vdpa_faces *faces, const struct vf *vf, const struct vdpa_face *face,
		      unsigned int asked);
/* The management device of this VF. One that does not tell its features or virtqueues changes
 * nothing. */
void vdpa_faces_report(struct vdpa_faces *faces, const struct vf *vf,
		       const struct vdpa_mgmtdev *mgmt);
/* The face that the device of this VF will have, when asked (as above) queue pairs are wanted of
 * it. False: it is not known, or there are fewer pairs. */
bool vdpa_faces_get(const struct vdpa_faces *faces, const struct vf *vf, unsigned int asked,
		    struct vdpa_face *face);

#endif
