/* SPDX-License-Identifier: BSD-3-Clause */

/* The state machine and spares: standing in, returning, adopting, doing without. */
#include "pairing_world.h"

#define VF "0000:05:08.1"
#define STABLE_US 10000000

/* Attached in software, with a VM, and a spare to be had. */
static void served(struct world *w)
{
	w->stable_us = STABLE_US;
	up(w);
	submit(w, OP_ADD, VF);
	done(w, STEP_ATTACH, 0);
	pairing_vm(&w->p, true);
	w->spare = true;
}

static void own_goes(struct world *w)
{
	w->present = false;
	pairing_run(&w->p);
	done(w, STEP_DETACH, 0);
}

static void own_returns(struct world *w)
{
	w->present = true;
	w->instance++;
	pairing_run(&w->p);
}

static void stood_in(struct world *w)
{
	served(w);
	own_goes(w);
	done(w, STEP_ATTACH, 0);
}

static const char *attached_is(const struct world *w)
{
	return w->p.seen.device.text;
}

static const char *reason(const struct world *w)
{
	static char text[256];

	pairing_reason(&w->p, text, sizeof(text));
	return text;
}

TEST_F(pairing, spare_stands_in_for_a_device_that_goes) {
	struct world *w = &self->w;

	served(w);
	own_goes(w);
	EXPECT_EQ(STEP_ATTACH, self->p->step);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(SPARE, attached_is(w));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	EXPECT_STREQ(VF, self->p->wish.device.text);
	EXPECT_TRUE(self->p->seen.vm);
	EXPECT_STREQ("software: " SPARE " stands in for " VF " since that is gone", reason(w));
}

TEST_F(pairing, none_free_is_as_before) {
	struct world *w = &self->w;

	served(w);
	w->spare = false;
	own_goes(w);
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	own_returns(w);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(VF, attached_is(w));
}

TEST_F(pairing, without_vm_nothing_stands_in) {
	struct world *w = &self->w;

	served(w);
	pairing_vm(self->p, false);
	own_goes(w);
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	pairing_vm(self->p, true);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(SPARE, attached_is(w));
}

TEST_F(pairing, own_device_returns_when_it_is_stable) {
	struct world *w = &self->w;

	stood_in(w);
	own_returns(w);
	EXPECT_EQ(STEP_NONE, self->p->step);
	EXPECT_EQ(w->now + STABLE_US, w->alarm);
	w->now += STABLE_US - 1;
	/* It was not there for so long without a break. */
	own_returns(w);
	w->now += STABLE_US - 1;
	pairing_run(self->p);
	EXPECT_STREQ(SPARE, attached_is(w));
	w->now++;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(VF, attached_is(w));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, spare_is_given_back_before_the_own_device_is_opened) {
	struct world *w = &self->w;

	stood_in(w);
	own_returns(w);
	w->now += STABLE_US;
	w->held = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(STEP_RELEASE, self->p->step);
	w->held = false;
	EXPECT_TRUE(done(w, STEP_RELEASE, 0));
	EXPECT_EQ(STEP_ATTACH, self->p->step);
}

TEST_F(pairing, hardware_does_not_settle_once_more) {
	struct world *w = &self->w;

	w->stable_us = STABLE_US;
	up(w);
	strcpy(w->vdpa.driver, "vp-vdpa");
	strcpy(w->vdpa.mgmt, "pci/" VF);
	w->vdpa.bound = w->vdpa_ready = w->spare = true;
	submit(w, OP_ADD, VF);
	w->made = true;
	EXPECT_TRUE(done(w, STEP_PROVISION, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(POLICY_VDPA, self->p->seen.backend);
	pairing_vm(self->p, true);
	w->made = false;
	own_goes(w);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(SPARE, attached_is(w));
	EXPECT_EQ(POLICY_SOFTWARE, self->p->seen.backend);
	EXPECT_TRUE(pairing_settled(self->p));
	own_returns(w);
	w->now += STABLE_US;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	w->made = true;
	EXPECT_TRUE(done(w, STEP_PROVISION, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(VF, attached_is(w));
	EXPECT_EQ(POLICY_VDPA, self->p->seen.backend);
	EXPECT_FALSE(pairing_settles(self->p));
}

TEST_F(pairing, spare_stands_in_for_a_device_that_cannot_be_opened) {
	struct world *w = &self->w;
	uint64_t delay;

	served(w);
	pairing_device(self->p, true, "it has failed");
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ATTACH, -EIO));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(SPARE, attached_is(w));
	EXPECT_NE(NULL, strstr(reason(w), "is tried again in"));
	/* Ever more seldom. */
	delay = w->alarm - w->now;
	EXPECT_LE(STABLE_US, delay);
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, -EIO));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(SPARE, attached_is(w));
	EXPECT_EQ(2 * delay, w->alarm - w->now);
	/* Another one with its address is not to blame for that. */
	own_returns(w);
	EXPECT_EQ(w->now + STABLE_US, w->alarm);
}

TEST_F(pairing, operation_that_fails_is_not_made_up_for) {
	struct world *w = &self->w;

	w->spare = true;
	up(w);
	pairing_vm(self->p, true);
	submit(w, OP_ADD, VF);
	EXPECT_TRUE(done(w, STEP_ATTACH, -EIO));
	EXPECT_EQ(-EIO, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
	EXPECT_EQ(STEP_NONE, self->p->step);
}

TEST_F(pairing, spare_that_goes_or_is_no_spare_any_more_is_let_go) {
	struct world *w = &self->w;

	stood_in(w);
	w->spare = false;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	w->spare = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(SPARE, attached_is(w));
}

TEST_F(pairing, spare_that_cannot_be_opened_is_done_without) {
	struct world *w = &self->w;

	served(w);
	own_goes(w);
	EXPECT_TRUE(done(w, STEP_ATTACH, -EIO));
	EXPECT_TRUE(w->spare_failed);
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	EXPECT_EQ(STEP_NONE, self->p->step);
	own_returns(w);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(VF, attached_is(w));
}

TEST_F(pairing, spare_that_serves_is_adopted) {
	struct world *w = &self->w;
	struct devname spare;

	w->stable_us = STABLE_US;
	w->spare = true;
	w->present = false;
	self->p->wish.has_device = true;
	devname_parse(&self->p->wish.device, VF, NULL);
	strcpy(self->p->wish.name, VF);
	devname_parse(&spare, SPARE, NULL);
	pairing_adopt(self->p, (struct relay *)w, "/tmp/v7", &spare, POLICY_SOFTWARE, true);
	pairing_run(self->p);
	done(w, STEP_PIN, 0);
	EXPECT_STREQ(SPARE, attached_is(w));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	EXPECT_TRUE(pairing_settled(self->p));
	own_returns(w);
	w->now += STABLE_US;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(VF, attached_is(w));
}

TEST_F(pairing, what_is_attached_and_no_spare_is_not_adopted) {
	struct world *w = &self->w;
	struct devname spare;

	self->p->wish.has_device = true;
	devname_parse(&self->p->wish.device, VF, NULL);
	devname_parse(&spare, SPARE, NULL);
	pairing_adopt(self->p, (struct relay *)w, "/tmp/v7", &spare, POLICY_SOFTWARE, true);
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	done(w, STEP_PIN, 0);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(VF, attached_is(w));
}

TEST_F(pairing, relay_that_is_lost_gets_the_stand_in_again) {
	struct world *w = &self->w;

	stood_in(w);
	pairing_relay_lost(self->p, "the relay is gone");
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_STREQ(SPARE, attached_is(w));
}

TEST_F(pairing, removal_takes_the_stand_in_away) {
	struct world *w = &self->w;

	stood_in(w);
	submit(w, OP_REMOVE, NULL);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_FALSE(pairing_has_stand_in(self->p));
	EXPECT_EQ(PAIRING_CONNECTED, self->p->state);
}

TEST_F(pairing, backend_is_remembered_for_the_own_device) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	stood_in(w);
	op_fill(&op, w, OP_BACKEND, NULL);
	op.wish.backend = CONFIG_BACKEND_SW;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_STREQ(SPARE, attached_is(w));
	EXPECT_EQ(CONFIG_BACKEND_SW, self->p->wish.backend);
}

TEST_HARNESS_MAIN
