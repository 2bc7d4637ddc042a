/* SPDX-License-Identifier: BSD-3-Clause */

/* The state machine against a scripted world: sockets, devices, VMs, operations. */
#include "pairing_world.h"

TEST_F(pairing, socket_then_device_then_vm) {
	struct world *w = &self->w;

	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_EQ(PAIRING_FREE, self->p->state);
	EXPECT_EQ(0, submit(w, OP_ADD, "vdev:net_null0"));
	EXPECT_EQ(PAIRING_PROBING, self->p->state);
	EXPECT_EQ(0, w->answers);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	pairing_vm(self->p, true);
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	pairing_vm(self->p, false);
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	EXPECT_TRUE(pairing_settled(self->p));
	EXPECT_EQ(0, w->alarm);
}

TEST_F(pairing, vm_before_device) {
	struct world *w = &self->w;

	up(w);
	pairing_vm(self->p, true);
	EXPECT_EQ(PAIRING_CONNECTED, self->p->state);
	submit(w, OP_ADD, "vdev:net_null0");
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	submit(w, OP_REMOVE, NULL);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(PAIRING_CONNECTED, self->p->state);
	EXPECT_EQ(2, w->answers);
}

TEST_F(pairing, refused_attach_leaves_nothing) {
	struct world *w = &self->w;

	up(w);
	submit(w, OP_ADD, "vdev:net_null0");
	EXPECT_TRUE(done(w, STEP_ATTACH, -EIO));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EIO, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
	EXPECT_EQ(PAIRING_FREE, self->p->state);
	EXPECT_EQ(0, w->alarm);
}

TEST_F(pairing, kept_wish_is_tried_again) {
	struct world *w = &self->w;
	uint64_t before = 0;
	struct pairing_op op;
	struct err err;

	up(w);
	op_fill(&op, w, OP_ADD, "vdev:net_null0");
	op.keep_failed = true;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_EQ(1, w->answers);
	for (int i = 0; i < 10; i++) {
		ASSERT_TRUE(done(w, STEP_ATTACH, -EIO));
		EXPECT_EQ(PAIRING_FAILED, self->p->state);
		/* Longer and longer, between 1 and 75 s (60 s and a quarter). */
		EXPECT_LE(w->now + 1000000, w->alarm);
		EXPECT_GE(w->now + 75000000, w->alarm);
		if (i < 5)
			EXPECT_LT(before, w->alarm - w->now);
		before = w->alarm - w->now;
		/* Nothing happens before its time. */
		w->now = w->alarm - 1;
		pairing_run(self->p);
		EXPECT_EQ(STEP_NONE, self->p->step);
		w->now++;
		pairing_run(self->p);
	}
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
	EXPECT_EQ(NULL, pairing_failure(self->p));
	EXPECT_EQ(0, w->alarm);
}

TEST_F(pairing, absent_device_is_attached_when_it_comes) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	up(w);
	w->present = false;
	op_fill(&op, w, OP_ADD, "netdev:veth0");
	op.accept_absent = true;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	pairing_vm(self->p, true);
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	w->present = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	/* It goes without warning, and the socket stays. */
	w->present = false;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	EXPECT_STREQ("/tmp/v7", self->p->seen.socket);
	w->present = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
}

TEST_F(pairing, absent_device_is_an_error_for_port_control) {
	struct world *w = &self->w;

	up(w);
	w->present = false;
	submit(w, OP_ADD, "netdev:veth0");
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-ENODEV, w->answer.code);
	EXPECT_STREQ("no such device", w->answer.step);
	EXPECT_FALSE(self->p->wish.has_device);
}

TEST_F(pairing, device_that_comes_back_is_tried_at_once) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	up(w);
	op_fill(&op, w, OP_ADD, "netdev:veth0");
	op.keep_failed = true;
	pairing_submit(self->p, &op, &err);
	EXPECT_TRUE(done(w, STEP_ATTACH, -EIO));
	EXPECT_EQ(PAIRING_FAILED, self->p->state);
	w->present = false;
	pairing_run(self->p);
	EXPECT_EQ(PAIRING_ABSENT, self->p->state);
	w->present = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
}

TEST_F(pairing, device_with_an_error_is_detached_and_tried_again) {
	struct world *w = &self->w;

	attached(w);
	pairing_device(self->p, false, "it is broken");
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);
}

TEST_F(pairing, remove_during_attach) {
	struct world *w = &self->w;

	up(w);
	submit(w, OP_ADD, "vdev:net_null0");
	submit(w, OP_REMOVE, NULL);
	EXPECT_EQ(0, w->answers);
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(1, w->answers); /* the add */
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(PAIRING_FREE, self->p->state);
}

TEST_F(pairing, relay_dies_during_attach) {
	struct world *w = &self->w;

	up(w);
	submit(w, OP_ADD, "vdev:net_null0");
	w->relay_up = false;
	EXPECT_TRUE(done(w, STEP_ATTACH, -ECONNRESET));
	pairing_relay_lost(self->p, "the relay was killed");
	EXPECT_EQ(0, w->answers);
	EXPECT_EQ(STEP_NONE, self->p->step);
	EXPECT_STREQ("", self->p->seen.socket);
	w->relay_up = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
}

TEST_F(pairing, device_that_kills_the_relay_has_to_wait) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	up(w);
	op_fill(&op, w, OP_ADD, "vdev:net_null0");
	op.keep_failed = true;
	pairing_submit(self->p, &op, &err);
	for (int i = 0; i < 2; i++) {
		w->relay_up = false;
		ASSERT_TRUE(done(w, STEP_ATTACH, -ECONNRESET));
		pairing_relay_lost(self->p, "the relay was killed");
		w->relay_up = true;
		pairing_run(self->p);
		ASSERT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	}
	EXPECT_EQ(STEP_NONE, self->p->step);
	EXPECT_EQ(PAIRING_FAILED, self->p->state);
	EXPECT_LT(w->now, w->alarm);
}

TEST_F(pairing, relay_restart_gives_everything_back) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	attached(w);
	op_fill(&op, w, OP_PIN, NULL);
	op.wish.pin[VF_TO_VM] = 1;
	op.wish.pin[VM_TO_VF] = 2;
	pairing_submit(self->p, &op, &err);
	EXPECT_TRUE(done(w, STEP_PIN, 0));
	pairing_vm(self->p, true);
	w->relay_up = false;
	pairing_relay_lost(self->p, "the relay was killed");
	EXPECT_FALSE(self->p->seen.vm);
	EXPECT_EQ(PAIRING_PROBING, self->p->state);
	w->relay_up = true;
	w->n_steps = 0;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_TRUE(done(w, STEP_PIN, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	pairing_vm(self->p, true);
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	EXPECT_EQ(3, w->n_steps);
	EXPECT_TRUE(pairing_settled(self->p));
}

TEST_F(pairing, refused_pin_holds_up_nothing) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	up(w);
	op_fill(&op, w, OP_PIN, NULL);
	op.wish.pin[VF_TO_VM] = op.wish.pin[VM_TO_VF] = 9;
	pairing_submit(self->p, &op, &err);
	EXPECT_TRUE(done(w, STEP_PIN, -EINVAL));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EINVAL, w->answer.code);
	EXPECT_EQ(-1, self->p->wish.pin[VF_TO_VM]);
	submit(w, OP_ADD, "vdev:net_null0");
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
}

TEST_F(pairing, adopted_relay_needs_nothing) {
	struct world *w = &self->w;
	struct devname dev;

	devname_parse(&dev, "vdev:net_null0", NULL);
	self->p->wish.has_device = true;
	self->p->wish.device = dev;
	self->p->wish.origin = PAIRING_ORIGIN_STATIC;
	pairing_adopt(self->p, (struct relay *)w, "/tmp/v7", &dev, POLICY_SOFTWARE, true);
	pairing_run(self->p);
	/* What it was pinned to is not known. */
	EXPECT_TRUE(done(w, STEP_PIN, 0));
	EXPECT_EQ(PAIRING_ACTIVE, self->p->state);
	EXPECT_EQ(1, w->n_steps);
}

TEST_F(pairing, adopted_relay_with_another_device) {
	struct world *w = &self->w;
	struct devname dev;

	devname_parse(&dev, "vdev:net_null9", NULL);
	pairing_adopt(self->p, (struct relay *)w, "/tmp/other", &dev, POLICY_SOFTWARE, false);
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_ENDPOINT_REMOVE, 0));
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_STREQ("/tmp/v7", self->p->seen.socket);
	EXPECT_EQ(PAIRING_FREE, self->p->state);
}

TEST_F(pairing, moves_when_its_process_is_full) {
	struct world *w = &self->w;

	up(w);
	w->full = true;
	submit(w, OP_ADD, "vdev:net_null0");
	EXPECT_TRUE(done(w, STEP_ENDPOINT_REMOVE, 0));
	w->full = false;
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
}

TEST_F(pairing, conditional) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	attached(w);
	EXPECT_EQ(0, submit(w, OP_ADD, "vdev:net_null0"));
	EXPECT_EQ(-EEXIST, w->answer.code);
	EXPECT_EQ(0, submit(w, OP_ADD, "vdev:net_null1"));
	EXPECT_EQ(-EBUSY, w->answer.code);
	op_fill(&op, w, OP_ADD, "vdev:net_null0");
	op.conditional = true;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(4, w->answers);
	EXPECT_EQ(PAIRING_LISTENING, self->p->state);

	op_fill(&op, w, OP_REMOVE, "vdev:net_null1");
	op.check_name = true;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_EQ(-EINVAL, w->answer.code);
	submit(w, OP_REMOVE, NULL);
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(0, w->answer.code);
	submit(w, OP_REMOVE, NULL);
	EXPECT_EQ(-ENOENT, w->answer.code);
	op_fill(&op, w, OP_REMOVE, NULL);
	op.conditional = true;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_EQ(0, w->answer.code);
}

TEST_F(pairing, device_of_another_relay) {
	struct world *w = &self->w;

	up(w);
	w->other_has_it = true;
	submit(w, OP_ADD, "vdev:net_null0");
	EXPECT_EQ(-EBUSY, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
}

TEST_F(pairing, vdpa_is_refused_in_words) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	up(w);
	op_fill(&op, w, OP_ADD, "vdev:net_null0");
	op.wish.backend = CONFIG_BACKEND_VDPA;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_EQ(-EOPNOTSUPP, w->answer.code);
	EXPECT_FALSE(self->p->wish.has_device);
	/* A static pairing stays, and says so. */
	op.keep_failed = true;
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_EQ(PAIRING_FAILED, self->p->state);
}

TEST_F(pairing, hanging_relay_is_answered_in_time) {
	struct world *w = &self->w;

	up(w);
	submit(w, OP_ADD, "vdev:net_null0");
	EXPECT_EQ(w->now + 900000, w->alarm);
	w->now += 900000;
	pairing_run(self->p);
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-ETIMEDOUT, w->answer.code);
	/* What is attached in the end is given back. */
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_EQ(PAIRING_FREE, self->p->state);
}

TEST_F(pairing, waiting_operations_are_answered_in_time) {
	struct world *w = &self->w;

	up(w);
	submit(w, OP_ADD, "vdev:net_null0");
	w->now += 100000;
	submit(w, OP_REMOVE, NULL);
	w->now += 900000;
	pairing_run(self->p);
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(-EBUSY, w->answer.code);
}

TEST_F(pairing, operations_are_bounded) {
	struct world *w = &self->w;

	up(w);
	for (int i = 0; i < PAIRING_OPS_MAX; i++)
		EXPECT_EQ(0, submit(w, OP_ADD, "vdev:net_null0"));
	EXPECT_EQ(-EBUSY, submit(w, OP_ADD, "vdev:net_null0"));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	/* One has added it, the others find it there. */
	EXPECT_EQ(PAIRING_OPS_MAX, w->answers);
	EXPECT_EQ(-EEXIST, w->answer.code);
}

TEST_F(pairing, dynamic_socket) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	self->p->wish.socket[0] = '\0';
	pairing_run(self->p);
	EXPECT_EQ(0, w->n_steps);
	op_fill(&op, w, OP_ADD_SOCKET, "vdev:net_null0");
	strcpy(op.wish.socket, "/tmp/dyn");
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(0, w->answer.code);
	op_fill(&op, w, OP_REMOVE_SOCKET, NULL);
	strcpy(op.wish.socket, "/tmp/dyn");
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_TRUE(done(w, STEP_DETACH, 0));
	EXPECT_TRUE(done(w, STEP_ENDPOINT_REMOVE, 0));
	EXPECT_EQ(2, w->answers);
	EXPECT_EQ(0, w->answer.code);
	EXPECT_FALSE(pairing_in_use(self->p));
}

TEST_F(pairing, refused_dynamic_socket_leaves_nothing) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	self->p->wish.socket[0] = '\0';
	op_fill(&op, w, OP_ADD_SOCKET, "vdev:net_null0");
	strcpy(op.wish.socket, "/tmp/dyn");
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_TRUE(done(w, STEP_ATTACH, -EIO));
	EXPECT_EQ(0, w->answers);
	EXPECT_TRUE(done(w, STEP_ENDPOINT_REMOVE, 0));
	EXPECT_EQ(1, w->answers);
	EXPECT_EQ(-EIO, w->answer.code);
	EXPECT_FALSE(pairing_in_use(self->p));
}

TEST_F(pairing, undoing_what_is_gone_already_succeeds) {
	struct world *w = &self->w;

	attached(w);
	submit(w, OP_REMOVE, NULL);
	EXPECT_TRUE(done(w, STEP_DETACH, -ENOENT));
	EXPECT_EQ(0, w->answer.code);
	EXPECT_EQ(PAIRING_FREE, self->p->state);
}

TEST_F(pairing, error_before_a_step_is_a_failure) {
	struct world *w = &self->w;

	w->start_error = -EEXIST;
	pairing_run(self->p);
	EXPECT_EQ(PAIRING_FAILED, self->p->state);
	EXPECT_LT(w->now, w->alarm);
	w->start_error = 0;
	w->now = w->alarm;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ENDPOINT_ADD, 0));
	EXPECT_EQ(PAIRING_FREE, self->p->state);
}

TEST_F(pairing, history_is_a_ring) {
	for (int i = 0; i < 100; i++)
		pairing_note(self->p, "event %d", i);
	EXPECT_EQ(100, self->p->n_history);
	EXPECT_STREQ("event 99", self->p->history[99 % PAIRING_HISTORY].text);
}

/* Two steps that fail do not spoil each other's waiting time. */
TEST_F(pairing, failures_of_two_steps) {
	struct world *w = &self->w;
	struct pairing_op op;
	struct err err;

	self->p->wish.pin[VF_TO_VM] = 9;
	up(w);
	ASSERT_TRUE(done(w, STEP_PIN, -EINVAL));
	op_fill(&op, w, OP_ADD, "vdev:net_null0");
	op.keep_failed = true;
	/* An add tries everything again. */
	EXPECT_EQ(0, pairing_submit(self->p, &op, &err));
	ASSERT_TRUE(done(w, STEP_PIN, -EINVAL));
	ASSERT_TRUE(done(w, STEP_ATTACH, -EIO));
	EXPECT_EQ(STEP_NONE, self->p->step);
	EXPECT_LT(w->now, w->alarm);
}

/* Nothing spins while an endpoint that has to move cannot. */
TEST_F(pairing, move_waits_for_its_relay) {
	struct world *w = &self->w;

	attached(w);
	self->p->move = true;
	w->relay_up = false;
	pairing_run(self->p);
	EXPECT_EQ(STEP_NONE, self->p->step);
	w->relay_up = true;
	pairing_run(self->p);
	EXPECT_TRUE(done(w, STEP_ENDPOINT_REMOVE, 0));
}

/* Events in any order must never lead to two steps at once, or to a dead end. */
TEST_F(pairing, random_events_always_settle) {
	struct world *w = &self->w;
	unsigned int seed = 1;

	for (int round = 0; round < 20000; round++) {
		static const int codes[] = { 0, 0, 0, -EIO, -ENOENT };

		switch (rand_r(&seed) % 8) {
		case 0:
			submit(w, OP_ADD, "vdev:net_null0");
			break;
		case 1:
			submit(w, OP_ADD, "vdev:net_null1");
			break;
		case 2:
			submit(w, OP_REMOVE, NULL);
			break;
		case 3:
			done(w, self->p->step, codes[rand_r(&seed) % 5]);
			break;
		case 4:
			w->present = rand_r(&seed) % 4;
			pairing_run(self->p);
			break;
		case 5:
			w->relay_up = rand_r(&seed) % 4;
			if (!w->relay_up) {
				if (self->p->step)
					done(w, self->p->step, -ECONNRESET);
				pairing_relay_lost(self->p, "gone");
			}
			pairing_run(self->p);
			break;
		case 6:
			pairing_vm(self->p,
				   w->relay_up && self->p->seen.socket[0] && rand_r(&seed) % 2);
			break;
		default:
			w->now += rand_r(&seed) % 400000;
			pairing_run(self->p);
			break;
		}
	}
	w->relay_up = w->present = true;
	for (int i = 0; i < 200 && !(pairing_settled(self->p) && !self->p->ops); i++) {
		if (self->p->step)
			done(w, self->p->step, 0);
		w->now += 1000000;
		pairing_run(self->p);
	}
	EXPECT_TRUE(pairing_settled(self->p));
	EXPECT_EQ(NULL, self->p->ops);
	EXPECT_NE(PAIRING_FAILED, self->p->state);
	EXPECT_STREQ(self->p->wish.device.text, self->p->seen.device.text);
}

TEST_HARNESS_MAIN
