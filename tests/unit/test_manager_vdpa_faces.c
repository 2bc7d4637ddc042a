/* SPDX-License-Identifier: BSD-3-Clause */

/* What hardware vDPA can serve VMs with: by which VF it is known, and whom is believed. */
#include <kselftest_harness.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "manager/vdpa_faces.h"

#define BIT(n) (UINT64_C(1) << (n))
#define PLAIN (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MAC))
#define MULTIQUEUE (PLAIN | BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ))

FIXTURE(faces) {
	struct vdpa_faces faces;
	struct vf vf, sibling, other; /* the last has another PF */
	struct vdpa_face face;
};

static struct vf vf_at(unsigned int bus, unsigned int function)
{
	return (struct vf){
		.addr = { .bus = bus, .slot = 8, .function = function },
		.pf = { .bus = bus },
		.vendor = 0x1af4,
		.device = 0x1041,
	};
}

FIXTURE_SETUP(faces)
{
	self->faces = (struct vdpa_faces){ 0 };
	self->vf = vf_at(5, 1);
	self->sibling = vf_at(5, 2);
	self->other = vf_at(6, 1);
}

FIXTURE_TEARDOWN(faces)
{
	vdpa_faces_free(&self->faces);
}

#define get(which, asked) vdpa_faces_get(&self->faces, &self->which, asked, &self->face)
#define EXPECT_FACE(which, asked, has, n)              \
	do {                                           \
		EXPECT_TRUE(get(which, asked));        \
		EXPECT_EQ(has, self->face.features);   \
		EXPECT_EQ((n), (int)self->face.pairs); \
	} while (0)
#define learn(which, has, n, asked) \
	vdpa_faces_learn(&self->faces, &self->which, &(struct vdpa_face){ has, n }, asked)
#define report(which, has, vqs)                                  \
	vdpa_faces_report(&self->faces, &self->which,            \
			  &(struct vdpa_mgmtdev){                \
				  .classes = BIT(VIRTIO_ID_NET), \
				  .features = has,               \
				  .max_vqs = vqs,                \
			  })

TEST_F(faces, siblings_are_alike) {
	EXPECT_FALSE(get(vf, 0));
	learn(vf, MULTIQUEUE, 4, 0);
	EXPECT_FACE(vf, 0, MULTIQUEUE, 4);
	EXPECT_FACE(sibling, 0, MULTIQUEUE, 4);
	EXPECT_FALSE(get(other, 0));
	self->sibling.device++;
	EXPECT_FALSE(get(sibling, 0));
	learn(other, PLAIN, 1, 0);
	EXPECT_FACE(other, 0, PLAIN, 1);
	EXPECT_FACE(vf, 0, MULTIQUEUE, 4);
	learn(sibling, PLAIN, 1, 0);
	learn(vf, PLAIN, 2, 0);
	EXPECT_FACE(vf, 0, PLAIN, 2);
}

TEST_F(faces, queue_pairs_that_are_asked_for) {
	learn(vf, MULTIQUEUE, 4, 0);
	EXPECT_FACE(sibling, 1, MULTIQUEUE, 1);
	EXPECT_FACE(sibling, 3, MULTIQUEUE, 3);
	EXPECT_FACE(sibling, 4, MULTIQUEUE, 4);
	EXPECT_FALSE(get(sibling, 5));
}

/* One that was made with fewer does not say how many another one would have. */
TEST_F(faces, device_with_fewer_pairs) {
	report(vf, MULTIQUEUE, 9);
	learn(vf, MULTIQUEUE, 1, 1);
	EXPECT_FACE(sibling, 0, MULTIQUEUE, 4);
	EXPECT_FACE(vf, 1, MULTIQUEUE, 1);
	/* One that was made with all it could have. */
	learn(sibling, MULTIQUEUE, 2, 0);
	EXPECT_FACE(sibling, 0, MULTIQUEUE, 2);
	learn(vf, MULTIQUEUE, 3, 3);
	EXPECT_FACE(sibling, 0, MULTIQUEUE, 3);
}

TEST_F(faces, management_device_is_believed_until_a_device_was_seen) {
	report(vf, MULTIQUEUE, 9);
	EXPECT_FACE(sibling, 0, MULTIQUEUE, 4);
	report(sibling, MULTIQUEUE, 5);
	EXPECT_FACE(vf, 0, MULTIQUEUE, 2);
	learn(vf, PLAIN, 1, 0);
	EXPECT_FACE(sibling, 0, PLAIN, 1);
	report(vf, MULTIQUEUE, 9);
	EXPECT_FACE(sibling, 0, PLAIN, 1);
}

TEST_F(faces, queue_pairs_of_a_management_device) {
	static const struct {
		uint64_t features;
		uint32_t vqs;
		unsigned int pairs;
	} rows[] = {
		{ MULTIQUEUE, 1, 1 },
		{ MULTIQUEUE, 2, 1 },
		{ MULTIQUEUE, 3, 1 },
		{ MULTIQUEUE, 4, 1 }, /* a control queue and one to spare */
		{ MULTIQUEUE, 33, 16 },
		{ MULTIQUEUE, 257, 32 }, /* more than a VM is offered */
		{ MULTIQUEUE, UINT32_MAX, 32 },
		{ PLAIN, 33, 1 },
		{ PLAIN | BIT(VIRTIO_NET_F_MQ), 33, 1 },
		{ PLAIN | BIT(VIRTIO_NET_F_CTRL_VQ), 33, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		report(vf, rows[i].features, rows[i].vqs);
		EXPECT_FACE(vf, 0, rows[i].features, (int)rows[i].pairs);
	}
}

TEST_F(faces, management_device_that_says_too_little) {
	const struct vdpa_mgmtdev block = { .classes = BIT(VIRTIO_ID_BLOCK),
					    .features = PLAIN,
					    .max_vqs = 3 };

	report(vf, 0, 3);
	report(vf, PLAIN, 0);
	vdpa_faces_report(&self->faces, &self->vf, &block);
	EXPECT_FALSE(get(vf, 0));
	report(vf, PLAIN, 3);
	report(vf, 0, 3);
	vdpa_faces_report(&self->faces, &self->vf, &block);
	EXPECT_FACE(vf, 0, PLAIN, 1);
}

TEST_HARNESS_MAIN
