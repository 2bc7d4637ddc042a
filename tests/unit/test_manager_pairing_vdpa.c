/* SPDX-License-Identifier: BSD-3-Clause */

/* The state machine and vDPA: making the device, doing without, changing the backend, removing. */
#include "pairing_world.h"

#define VF "0000:05:08.1"

static int add(struct world *w, enum config_backend backend)
{
	struct pairing_op op;
	struct err err;

	op_fill(&op, w, OP_ADD, VF);
	op.wish.backend = backend;
	return pairing_submit(&w->p, &op, &err);
}

static int backend(struct world *w, enum config_backend wanted)
{
	struct pairing_op op;
	struct err err;

	op_fill(&op, w, OP_BACKEND, NULL);
	op.wish.backend = wanted;
	return pairing_submit(&w->p, &op, &err);
}

/* A VF that would have vDPA on another driver. */
static void offered(struct world *w)
{
	up(w);
	w->ready = false;
	strcpy(w->vdpa.driver, "vp-vdpa");
}

static bool bound(struct world *w)
{
	w->vdpa_ready = true;
	w->ready = false;
	w->vdpa.bound = true;
	strcpy(w->vdpa.mgmt, "pci/" VF);
	return done(w, STEP_BIND, 0);
}

static bool made(struct world *w)
{
	w->made = true;
	return done(w, STEP_PROVISION, 0);
}

static bool unmade(struct world *w)
{
	w->made = false;
	return done(w, STEP_UNPROVISION, 0);
}

static bool bound_to_vfio(struct world *w)
{
	w->vdpa_ready = false;
	w->ready = true;
	w->vdpa.bound = false;
	w->vdpa.mgmt[0] = '\0';
	return done(w, STEP_BIND, 0);
}

static void vdpa_attached(struct world *w, enum config_backend wanted)
{
	offered(w);
	add(w, wanted);
	bound(w);
	made(w);
	done(w, STEP_ATTACH, 0);
	done(w, STEP_MODE, 0);
}

static void software_attached(struct world *w)
{
	offered(w);
	add(w, CONFIG_BACKEND_SW);
	bound_to_vfio(w);
	done(w, STEP_ATTACH, 0);
}

TEST_F(pairing, vdpa_in_order) {
	struct world *w = &self->w;

	offered(w);
	EXPECT_EQ(0, add(w, CONFIG_BACKEND_AUTO));
	EXPECT_EQ(PAIRING_BINDING, self->p->state);
	EXPECT_TRUE(bound(w));
	EXPECT_EQ(PAIRING_PROVISIONING, self->p->state);
	EXPECT_TRUE(made(w));
	EXPECT_EQ(PAIRING_PROBING, self->p->state);
	EXPECT_EQ(0, w->answers);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(POLICY_VDPA, self->p->seen.backend);
	/* That the relay chooses is where it begins. */
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, vdpa_is_removed_before_the_driver_changes) {
	struct world *w = &self->w;

	vdpa_attached(w, CONFIG_BACKEND_AUTO);
	submit(w, OP_REMOVE, NULL);
	w->held = true;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(STEP_UNPROVISION, self->p->step);
	EXPECT_EQ(1, w->answers);
	EXPECT_TRUE(unmade(w));
	EXPECT_EQ(STEP_RELEASE, self->p->step);
	w->held = false;
	EXPECT_TRUE(done(w, STEP_RELEASE, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, vdpa_device_that_stays_is_told_and_tried_again) {
	struct world *w = &self->w;

	vdpa_attached(w, CONFIG_BACKEND_AUTO);
	submit(w, OP_REMOVE, NULL);
	w->held = true;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_UNPROVISION, -EBUSY));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(-EBUSY, w->answer.code);
	/* The driver is not taken from below it. */
	EXPECT_EQ(STEP_NONE, self->p->step);
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_TRUE(unmade(w));
	EXPECT_EQ(STEP_RELEASE, self->p->step);
}

TEST_F(pairing, failed_vdpa_is_done_without) {
	struct world *w = &self->w;
	char reason[200];

	offered(w);
	add(w, CONFIG_BACKEND_AUTO);
	EXPECT_TRUE(bound(w));
	EXPECT_TRUE(done(w, STEP_PROVISION, -EOPNOTSUPP));
	EXPECT_EQ(STEP_BIND, self->p->step);
	EXPECT_EQ(POLICY_SOFTWARE, self->p->decision.backend);
	EXPECT_TRUE(bound_to_vfio(w));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(POLICY_SOFTWARE, self->p->seen.backend);
	pairing_reason(self->p, reason, sizeof(reason));
	EXPECT_NE(NULL, strstr(reason, "software: vDPA was tried: scripted error"));
	pairing_run(self->p);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, failed_bind_for_vdpa_is_done_without) {
	struct world *w = &self->w;

	offered(w);
	add(w, CONFIG_BACKEND_AUTO);
	EXPECT_TRUE(done(w, STEP_BIND, -ENOENT)); /* the module is missing */
	EXPECT_TRUE(bound_to_vfio(w));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(POLICY_SOFTWARE, self->p->seen.backend);
}

/* On vfio-pci it has no management device any more: it is not bound to and fro for that. */
TEST_F(pairing, fewer_queue_pairs_are_remembered) {
	struct world *w = &self->w;
	char reason[200];

	offered(w);
	w->vdpa.min_pairs = 4;
	w->vdpa.max_known = true;
	w->vdpa.max_pairs = 1;
	add(w, CONFIG_BACKEND_AUTO);
	EXPECT_TRUE(bound(w));
	EXPECT_EQ(STEP_BIND, self->p->step);
	EXPECT_TRUE(bound_to_vfio(w));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(0, w->answer.code);
	pairing_reason(self->p, reason, sizeof(reason));
	EXPECT_NE(NULL, strstr(reason, "software: vDPA was tried: pci/" VF " offers 1 queue pair "
				       "of 4"))
	{
		TH_LOG("%s", reason);
	}
	pairing_run(self->p);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, fewer_queue_pairs_are_refused) {
	struct world *w = &self->w;

	offered(w);
	w->vdpa.min_pairs = 4;
	w->vdpa.max_known = true;
	w->vdpa.max_pairs = 1;
	add(w, CONFIG_BACKEND_VDPA);
	EXPECT_TRUE(bound(w));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EOPNOTSUPP, w->answer.code);
	EXPECT_NE(NULL, strstr(w->answer.text, "1 queue pair of 4"));
	EXPECT_FALSE(self->p->wish.has_device);
}

TEST_F(pairing, half_made_vdpa_goes_when_software_serves) {
	struct world *w = &self->w;

	offered(w);
	add(w, CONFIG_BACKEND_AUTO);
	bound(w);
	w->made = w->made_wrong = true;
	EXPECT_TRUE(done(w, STEP_PROVISION, -EBUSY));
	EXPECT_TRUE(unmade(w));
	EXPECT_TRUE(bound_to_vfio(w));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(POLICY_SOFTWARE, self->p->seen.backend);
}

TEST_F(pairing, failed_vdpa_that_was_wanted_is_the_error) {
	struct world *w = &self->w;

	offered(w);
	add(w, CONFIG_BACKEND_VDPA);
	EXPECT_TRUE(bound(w));
	w->held = true;
	EXPECT_TRUE(done(w, STEP_PROVISION, -EIO));
	w->held = false;
	EXPECT_TRUE(done(w, STEP_RELEASE, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EIO, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
}

TEST_F(pairing, vdpa_that_nothing_offers_is_refused_at_once) {
	struct world *w = &self->w;

	up(w);
	add(w, CONFIG_BACKEND_VDPA);
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EOPNOTSUPP, w->answer.code);
	EXPECT_NE(NULL, strstr(w->answer.text, "no vDPA management device"));
	EXPECT_EQ(1, w->n_steps);
}

TEST_F(pairing, waits_until_the_kernel_has_told) {
	struct world *w = &self->w;

	offered(w);
	w->vdpa.asking = true;
	add(w, CONFIG_BACKEND_VDPA);
	EXPECT_EQ(STEP_NONE, self->p->step);
	EXPECT_NE(NULL, strstr(self->p->waiting, "management devices"));
	w->vdpa.asking = false;
	pairing_run(self->p);
	EXPECT_EQ(STEP_BIND, self->p->step);
}

TEST_F(pairing, vanished_vdpa_device_is_made_anew) {
	struct world *w = &self->w;

	vdpa_attached(w, CONFIG_BACKEND_AUTO);
	pairing_vm(self->p, true);
	w->made = false;
	pairing_device(self->p, false, "the vDPA device went away");
	EXPECT_TRUE(done(w, STEP_DETACH, -ENODEV));
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_EQ(PAIRING_PROVISIONING, self->p->state);
	EXPECT_TRUE(made(w));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
}

static void wish(struct world *w, enum config_backend wanted)
{
	w->p.wish.has_device = true;
	w->p.wish.backend = wanted;
	devname_parse(&w->p.wish.device, VF, NULL);
	strcpy(w->p.wish.name, VF);
}

TEST_F(pairing, what_was_made_before_a_crash_is_used) {
	struct world *w = &self->w;

	offered(w);
	wish(w, CONFIG_BACKEND_AUTO);
	w->vdpa_ready = w->made = true;
	w->vdpa.bound = true;
	w->vdpa.asking = true;
	pairing_run(self->p);
	EXPECT_EQ(STEP_NONE, self->p->step);
	w->vdpa.asking = false;
	strcpy(w->vdpa.mgmt, "pci/" VF);
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(POLICY_VDPA, self->p->seen.backend);
}

TEST_F(pairing, lost_hardware_serves_again_when_it_is_stable) {
	struct world *w = &self->w;
	uint64_t stable_at;

	w->stable_us = 10000000;
	vdpa_attached(w, CONFIG_BACKEND_AUTO);
	/* The first time there is nothing to wait for. */
	EXPECT_TRUE(pairing_settled(self->p));
	w->made = w->present = false;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, -ENODEV));
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	w->present = true;
	pairing_run(self->p);
	EXPECT_TRUE(made(w));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	stable_at = w->now + w->stable_us;
	EXPECT_EQ(STEP_MODE, self->p->step);
	EXPECT_EQ(CONFIG_BACKEND_SW, self->p->step_mode);
	EXPECT_TRUE(done(w, STEP_MODE, 0));
	EXPECT_TRUE(pairing_settles(self->p));
	EXPECT_EQ(stable_at, w->alarm);
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_EQ(CONFIG_BACKEND_AUTO, self->p->step_mode);
	EXPECT_TRUE(done(w, STEP_MODE, 0));
	EXPECT_FALSE(pairing_settles(self->p));
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, software_that_cannot_bridge_the_time_is_no_failure) {
	struct world *w = &self->w;

	w->stable_us = 10000000;
	vdpa_attached(w, CONFIG_BACKEND_AUTO);
	w->made = false;
	pairing_device(self->p, false, "the vDPA device went away");
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_TRUE(made(w));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_TRUE(done(w, STEP_MODE, -EOPNOTSUPP));
	EXPECT_EQ(NULL, pairing_failure(self->p));
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, what_was_made_before_a_crash_for_nobody_goes) {
	struct world *w = &self->w;

	w->made = true;
	pairing_run(self->p);
	EXPECT_TRUE(unmade(w));
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
}

TEST_F(pairing, backend_of_vdpa_is_a_mode) {
	struct world *w = &self->w;

	vdpa_attached(w, CONFIG_BACKEND_AUTO);
	pairing_vm(self->p, true);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_SW));
	EXPECT_EQ(STEP_MODE, self->p->step);
	EXPECT_EQ(CONFIG_BACKEND_SW, self->p->step_mode);
	EXPECT_EQ(1, w->answers);
	EXPECT_TRUE(done(w, STEP_MODE, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	EXPECT_EQ(POLICY_VDPA, self->p->seen.backend);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_VDPA));
	EXPECT_TRUE(done(w, STEP_MODE, 0));
	EXPECT_EQ(3, w->answers);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, refused_mode_leaves_the_former_one) {
	struct world *w = &self->w;

	vdpa_attached(w, CONFIG_BACKEND_AUTO);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_VDPA));
	EXPECT_TRUE(done(w, STEP_MODE, -EOPNOTSUPP));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(-EOPNOTSUPP, w->answer.code);
	EXPECT_EQ(CONFIG_BACKEND_AUTO, self->p->wish.backend);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, backend_of_vfio_is_opened_anew_under_the_vm) {
	struct world *w = &self->w;

	software_attached(w);
	pairing_vm(self->p, true);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_VDPA));
	w->now += 5000;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(bound(w));
	EXPECT_TRUE(made(w));
	w->now += 20000;
	EXPECT_TRUE(self->p->seen.vm);
	EXPECT_EQ(1, w->answers);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_TRUE(done(w, STEP_MODE, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(POLICY_VDPA, self->p->seen.backend);
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	EXPECT_EQ(25000, self->p->switch_us);
}

TEST_F(pairing, backend_that_cannot_be_had_changes_nothing) {
	struct world *w = &self->w;

	software_attached(w);
	w->vdpa.driver[0] = '\0';
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_VDPA));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(-EOPNOTSUPP, w->answer.code);
	EXPECT_EQ(CONFIG_BACKEND_SW, self->p->wish.backend);
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	EXPECT_TRUE(pairing_settled(self->p));
}

/* Software comes back when the hardware that was asked for fails. */
TEST_F(pairing, backend_that_fails_goes_back) {
	struct world *w = &self->w;

	software_attached(w);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_VDPA));
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(bound(w));
	EXPECT_TRUE(done(w, STEP_PROVISION, -EIO));
	EXPECT_EQ(STEP_BIND, self->p->step);
	EXPECT_TRUE(bound_to_vfio(w));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(-EIO, w->answer.code);
	EXPECT_EQ(CONFIG_BACKEND_SW, self->p->wish.backend);
}

TEST_F(pairing, backend_without_a_device_is_refused) {
	struct world *w = &self->w;

	up(w);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_SW));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-ENOENT, w->answer.code);
}

TEST_F(pairing, backend_as_it_is_has_nothing_to_do) {
	struct world *w = &self->w;

	software_attached(w);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_SW));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_TRUE(pairing_settled(self->p));
}

/* What the VM has is not taken away because something better has come. */
TEST_F(pairing, offer_that_comes_later_changes_nothing) {
	struct world *w = &self->w;

	up(w);
	w->ready = true;
	add(w, CONFIG_BACKEND_AUTO);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	strcpy(w->vdpa.mgmt, "pci/" VF);
	pairing_run(self->p);
	EXPECT_TRUE(pairing_settled(self->p));
	EXPECT_EQ(POLICY_SOFTWARE, self->p->seen.backend);
}

TEST_F(pairing, found_in_a_relay_it_stays_as_it_is) {
	struct world *w = &self->w;
	struct devname dev;

	devname_parse(&dev, VF, NULL);
	wish(w, CONFIG_BACKEND_AUTO);
	strcpy(w->vdpa.mgmt, "pci/" VF);
	pairing_adopt(self->p, (struct relay *)w, "/tmp/v7", &dev, POLICY_SOFTWARE, true);
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_PIN, 0));
	EXPECT_TRUE(pairing_settled(self->p));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	/* Until somebody asks for it. */
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_VDPA));
	EXPECT_EQ(STEP_DETACH, self->p->step);
}

TEST_F(pairing, found_in_a_relay_by_vdpa_is_told_its_mode) {
	struct world *w = &self->w;
	struct devname dev;

	devname_parse(&dev, VF, NULL);
	wish(w, CONFIG_BACKEND_SW);
	w->made = true;
	pairing_adopt(self->p, (struct relay *)w, "/tmp/v7", &dev, POLICY_VDPA, true);
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_PIN, 0));
	EXPECT_TRUE(done(w, STEP_MODE, 0));
	EXPECT_TRUE(pairing_settled(self->p));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
}

static int add_handed_out(struct world *w)
{
	struct pairing_op op;
	struct err err;

	op_fill(&op, w, OP_ADD, VF);
	op.wish.backend = CONFIG_BACKEND_VDPA;
	op.wish.handed_out = true;
	return pairing_submit(&w->p, &op, &err);
}

TEST_F(pairing, handed_out_in_the_place_of_the_socket) {
	struct world *w = &self->w;

	offered(w);
	EXPECT_EQ(0, add_handed_out(w));
	EXPECT_TRUE(done(w, STEP_ENDPOINT_REMOVE, 0));
	EXPECT_TRUE(bound(w));
	EXPECT_EQ(PAIRING_PROVISIONING, self->p->state);
	EXPECT_TRUE(made(w));
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_TRUE(pairing_settled(self->p));
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_SW));
	EXPECT_EQ(-EOPNOTSUPP, w->answer.code);
}

TEST_F(pairing, handed_out_is_taken_back_for_the_socket) {
	struct world *w = &self->w;

	offered(w);
	add_handed_out(w);
	done(w, STEP_ENDPOINT_REMOVE, 0);
	bound(w);
	made(w);
	submit(w, OP_REMOVE, NULL);
	w->held = true;
	EXPECT_TRUE(unmade(w));
	w->held = false;
	EXPECT_TRUE(done(w, STEP_RELEASE, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_EQ(PAIRING_FREE, self->p->state);
}

TEST_F(pairing, handed_out_that_cannot_be_made_is_the_error) {
	struct world *w = &self->w;

	offered(w);
	add_handed_out(w);
	done(w, STEP_ENDPOINT_REMOVE, 0);
	bound(w);
	EXPECT_TRUE(done(w, STEP_PROVISION, -EIO));
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EIO, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
}

/* On vfio-pci, with nothing to be made on it and no mode to be told. */
TEST_F(pairing, dpdk_vdpa_in_order) {
	struct world *w = &self->w;

	up(w);
	w->ready = false;
	w->vdpa.dpdk_args = "class=vdpa";
	EXPECT_EQ(0, add(w, CONFIG_BACKEND_VDPA));
	EXPECT_TRUE(bound_to_vfio(w));
	EXPECT_EQ(PAIRING_PROBING, self->p->state);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(POLICY_DPDK_VDPA, self->p->seen.backend);
	EXPECT_STREQ("class=vdpa", self->p->decision.dpdk_args);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, dpdk_vdpa_to_software_and_back) {
	struct world *w = &self->w;

	up(w);
	w->ready = true;
	w->vdpa.dpdk_args = "class=vdpa";
	EXPECT_EQ(0, add(w, CONFIG_BACKEND_AUTO));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(POLICY_SOFTWARE, self->p->seen.backend);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_VDPA));
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(POLICY_DPDK_VDPA, self->p->seen.backend);
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, backend(w, CONFIG_BACKEND_SW));
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(POLICY_SOFTWARE, self->p->seen.backend);
	EXPECT_EQ(3, w->answers);
	EXPECT_EQ(0, w->answer.code);
}

/* A manager that starts anew finds it. */
TEST_F(pairing, dpdk_vdpa_is_kept) {
	struct world *w = &self->w;
	struct devname dev;

	devname_parse(&dev, VF, NULL);
	wish(w, CONFIG_BACKEND_VDPA);
	w->vdpa.dpdk_args = "class=vdpa";
	pairing_adopt(self->p, (struct relay *)w, "/tmp/v7", &dev, POLICY_DPDK_VDPA, true);
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_PIN, 0));
	EXPECT_TRUE(pairing_settled(self->p));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	EXPECT_EQ(POLICY_DPDK_VDPA, self->p->decision.backend);
}

TEST_HARNESS_MAIN
