/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/vdpa_faces.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

#define BIT(n) (UINT64_C(1) << (n))
#define MULTIQUEUE (BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ))

struct vdpa_face_of { /* the VFs of a PF */
	struct pci_addr pf;
	uint16_t vendor, device;
	bool seen; /* the face of a device; else what a management device says */
	struct vdpa_face face;
};

void vdpa_faces_free(struct vdpa_faces *faces)
{
	free(faces->list);
	*faces = (struct vdpa_faces){ 0 };
}

static struct vdpa_face_of *find(const struct vdpa_faces *faces, const struct vf *vf)
{
	for (size_t i = 0; i < faces->n; i++) {
		struct vdpa_face_of *of = &faces->list[i];

		if (pci_addr_equal(&of->pf, &vf->pf) && of->vendor == vf->vendor &&
		    of->device == vf->device)
			return of;
	}
	return NULL;
}

/* NULL: no memory. What is not known is no error. */
static struct vdpa_face_of *find_or_add(struct vdpa_faces *faces, const struct vf *vf)
{
	struct vdpa_face_of *of = find(faces, vf);

	if (of)
		return of;
	of = reallocarray(faces->list, faces->n + 1, sizeof(*of));
	if (!of)
		return NULL;
	faces->list = of;
	of += faces->n++;
	*of = (struct vdpa_face_of){ .pf = vf->pf, .vendor = vf->vendor, .device = vf->device };
	return of;
}

void vdpa_faces_learn(struct vdpa_faces *faces, const struct vf *vf, const struct vdpa_face *face,
		      unsigned int asked)
{
	struct vdpa_face_of *of = find_or_add(faces, vf);
	unsigned int known;

	if (!of)
		return;
	known = of->face.pairs;
	of->seen = true;
	of->face = *face;
	if (asked && known > face->pairs)
		of->face.pairs = known;
}

/* Several pairs need the control queue, which is one of the virtqueues (virtio 1.2, 5.1.2). */
static unsigned int pairs_of(const struct vdpa_mgmtdev *mgmt)
{
	const unsigned int pairs = (mgmt->max_vqs - 1) / 2;

	if ((mgmt->features & MULTIQUEUE) != MULTIQUEUE || pairs < 1)
		return 1;
	return pairs < CONFIG_QUEUES_MAX ? pairs : CONFIG_QUEUES_MAX;
}

void vdpa_faces_report(struct vdpa_faces *faces, const struct vf *vf,
		       const struct vdpa_mgmtdev *mgmt)
{
	struct vdpa_face_of *of;

	if (!(mgmt->classes & BIT(VIRTIO_ID_NET)) || !mgmt->features || !mgmt->max_vqs)
		return;
	of = find_or_add(faces, vf);
	if (of && !of->seen)
		of->face = (struct vdpa_face){ mgmt->features, pairs_of(mgmt) };
}

bool vdpa_faces_get(const struct vdpa_faces *faces, const struct vf *vf, unsigned int asked,
		    struct vdpa_face *face)
{
	const struct vdpa_face_of *of = find(faces, vf);

	if (!of || of->face.pairs < asked)
		return false;
	*face = of->face;
	/* The device is made with so many. */
	if (asked)
		face->pairs = asked;
	return true;
}
