/* SPDX-License-Identifier: BSD-3-Clause */

/* The state machine and VFs: binding, giving back, vanishing, returning. */
#include "pairing_world.h"

#define VF "0000:05:08.1"

/* Bound and attached. */
static void vf_attached(struct world *w)
{
	up(w);
	w->ready = false;
	submit(w, OP_ADD, VF);
	w->ready = true;
	done(w, STEP_BIND, 0);
	done(w, STEP_ATTACH, 0);
}

TEST_F(pairing, is_bound_before_it_is_attached) {
	struct world *w = &self->w;

	up(w);
	w->ready = false;
	EXPECT_EQ(0, submit(w, OP_ADD, VF));
	EXPECT_EQ(PAIRING_BINDING, self->p->state);
	EXPECT_FALSE(done(w, STEP_ATTACH, 0));
	w->ready = true;
	EXPECT_TRUE(done(w, STEP_BIND, 0));
	EXPECT_EQ(PAIRING_PROBING, self->p->state);
	EXPECT_EQ(0, w->answers);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
}

TEST_F(pairing, ready_device_is_not_bound) {
	struct world *w = &self->w;

	up(w);
	submit(w, OP_ADD, VF);
	EXPECT_FALSE(done(w, STEP_BIND, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
}

TEST_F(pairing, refused_bind_leaves_nothing) {
	struct world *w = &self->w;

	up(w);
	w->ready = false;
	submit(w, OP_ADD, VF);
	EXPECT_TRUE(done(w, STEP_BIND, -EBUSY));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EBUSY, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
	EXPECT_EQ(PAIRING_FREE, self->p->state);
}

TEST_F(pairing, static_vf_that_cannot_be_bound_is_tried_again) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	up(w);
	w->ready = false;
	op_fill(&op, w, OP_ADD, VF);
	op.keep_failed = true;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_TRUE(done(w, STEP_BIND, -ENOTSUP));
	EXPECT_EQ(PAIRING_FAILED, self->p->state);
	EXPECT_NE(0, w->alarm);
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_EQ(STEP_BIND, self->p->step);
	w->ready = true;
	EXPECT_TRUE(done(w, STEP_BIND, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
}

TEST_F(pairing, is_given_back_after_it_was_detached) {
	struct world *w = &self->w;

	vf_attached(w);
	submit(w, OP_REMOVE, NULL);
	w->held = true;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(STEP_RELEASE, self->p->step);
	EXPECT_EQ(1, w->answers);
	w->held = false;
	EXPECT_TRUE(done(w, STEP_RELEASE, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, is_not_given_back_before_that_has_ended) {
	struct world *w = &self->w;

	vf_attached(w);
	submit(w, OP_REMOVE, NULL);
	w->held = true;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	/* Events come meanwhile, and the device is not to be given back once more. */
	w->held = false;
	pairing_run(self->p);
	EXPECT_EQ(STEP_RELEASE, self->p->step);
	EXPECT_EQ(1, w->answers);
	EXPECT_TRUE(done(w, STEP_RELEASE, -EIO));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(-EIO, w->answer.code);
}

TEST_F(pairing, early_answer_does_not_wait_for_the_driver) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	vf_attached(w);
	op_fill(&op, w, OP_REMOVE, NULL);
	op.answer_early = true;
	pairing_submit(self->p, &op, &err);
	w->held = true;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(STEP_RELEASE, self->p->step);
}

TEST_F(pairing, device_that_cannot_be_given_back_is_told_and_stops_nothing) {
	struct world *w = &self->w;

	vf_attached(w);
	submit(w, OP_REMOVE, NULL);
	w->held = true;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_RELEASE, -EBUSY));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(-EBUSY, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
	EXPECT_EQ(0, submit(w, OP_ADD, "vdev:net_null0"));
	EXPECT_TRUE(done(w, STEP_RELEASE, -EBUSY));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(0, w->answer.code);
}

TEST_F(pairing, vanished_vf_is_absent_until_it_returns) {
	struct world *w = &self->w;

	vf_attached(w);
	pairing_vm(self->p, true);
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	w->present = false;
	w->ready = false;
	w->held = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, -ENODEV));
	w->held = false;
	EXPECT_TRUE(done(w, STEP_RELEASE, 0));
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	EXPECT_TRUE(self->p->seen.vm);
	EXPECT_STREQ("/tmp/v7", self->p->seen.socket);
	w->present = true;
	pairing_run(self->p);
	w->ready = true;
	EXPECT_TRUE(done(w, STEP_BIND, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
}

TEST_F(pairing, taken_away_device_rests_before_it_is_tried) {
	struct world *w = &self->w;

	vf_attached(w);
	w->ready = false;
	pairing_device(self->p, false, "the device was removed");
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(STEP_NONE, self->p->step);
	EXPECT_EQ(w->now + PAIRING_REST_US, w->alarm);
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_EQ(STEP_BIND, self->p->step);
}

TEST_F(pairing, returned_device_does_not_rest) {
	struct world *w = &self->w;

	vf_attached(w);
	pairing_device(self->p, false, "the device was removed");
	w->present = false;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	w->present = true;
	pairing_run(self->p);
	EXPECT_EQ(STEP_ATTACH, self->p->step);
}

/* It went and came again between two looks. */
TEST_F(pairing, another_vf_of_the_same_name_is_tried_at_once) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	up(w);
	w->ready = false;
	op_fill(&op, w, OP_ADD, VF);
	op.keep_failed = true;
	pairing_submit(self->p, &op, &err);
	EXPECT_TRUE(done(w, STEP_BIND, -ENODEV));
	EXPECT_EQ(PAIRING_FAILED, self->p->state);
	pairing_run(self->p);
	EXPECT_EQ(STEP_NONE, self->p->step);
	w->instance++;
	pairing_run(self->p);
	EXPECT_EQ(STEP_BIND, self->p->step);
	EXPECT_EQ(PAIRING_BINDING, self->p->state);
}

TEST_F(pairing, slow_device_is_answered_and_goes_on) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	up(w);
	w->ready = false;
	op_fill(&op, w, OP_ADD, VF);
	op.accept_slow = true;
	pairing_submit(self->p, &op, &err);
	w->now += 1000000;
	pairing_run(self->p);
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_TRUE(self->p->wish.has_device);
	w->ready = true;
	EXPECT_TRUE(done(w, STEP_BIND, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
}

TEST_F(pairing, no_link_is_a_reason) {
	char reason[160];

	vf_attached(&self->w);
	pairing_device(self->p, false, NULL);
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	pairing_reason(self->p, reason, sizeof(reason));
	EXPECT_STREQ(VF " has no link", reason);
	pairing_device(self->p, true, NULL);
	pairing_reason(self->p, reason, sizeof(reason));
	EXPECT_NE(NULL, strstr(reason, "software"));
}

TEST_F(pairing, removed_while_it_is_bound) {
	struct world *w = &self->w;

	up(w);
	w->ready = false;
	submit(w, OP_ADD, VF);
	submit(w, OP_REMOVE, NULL);
	w->ready = true;
	EXPECT_TRUE(done(w, STEP_BIND, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	w->held = true;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	w->held = false;
	EXPECT_TRUE(done(w, STEP_RELEASE, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(PAIRING_FREE, self->p->state);
}

/* Of a bond: one that comes is bound, and put in, while the others serve. */
TEST_F(pairing, member_that_comes_is_taken_in) {
	struct world *w = &self->w;

	vf_attached(w);
	w->members_differ = true;
	w->ready = false;
	pairing_run(self->p);
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	w->ready = true;
	EXPECT_TRUE(done(w, STEP_BIND, 0));
	EXPECT_EQ(STEP_MEMBERS, self->p->step);
	w->members_differ = false;
	EXPECT_TRUE(done(w, STEP_MEMBERS, 0));
	EXPECT_EQ(STEP_NONE, self->p->step);
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
}

/* It is held back by itself alone, and says why. */
TEST_F(pairing, member_that_cannot_come_in_is_tried_again) {
	struct world *w = &self->w;

	vf_attached(w);
	w->members_differ = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_MEMBERS, -EIO));
	EXPECT_EQ(STEP_NONE, self->p->step);
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	EXPECT_TRUE(w->alarm > w->now);
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_EQ(STEP_MEMBERS, self->p->step);
}

/* Whoever adds a bond is told of a member that fails, and nothing stays. */
TEST_F(pairing, bond_is_added_with_all_members_or_not_at_all) {
	const struct err broken = { .code = -EIO, .step = "bond", .text = "it is broken" };
	struct world *w = &self->w;

	up(w);
	submit(w, OP_ADD, VF);
	w->member_error = &broken;
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(STEP_DETACH, self->p->step);
	w->member_error = NULL;
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EIO, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
}

TEST_HARNESS_MAIN
