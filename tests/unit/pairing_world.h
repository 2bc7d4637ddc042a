/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A scripted world for the pairing state machine: steps are recorded and end when the test says so,
 * the clock stands still until it is moved.
 */
#ifndef VIO4WD_TESTS_PAIRING_WORLD_H
#define VIO4WD_TESTS_PAIRING_WORLD_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/pairing.h"

#define MAX_STEPS 64
#define SPARE "0000:05:08.7"

struct world {
	struct pairing p;
	struct pairing_env env;
	uint64_t now;
	uint64_t alarm;
	bool relay_up;
	bool present;	   /* the wished device */
	bool spare;	   /* SPARE is there and free */
	bool spare_failed; /* it could not be opened */
	uint64_t instance; /* of the device */
	bool ready;	   /* the device is on a driver that a relay can use */
	bool vdpa_ready;   /* it is on one that has vDPA */
	bool made;	   /* its vDPA device */
	bool made_wrong;   /* on another device, or not to be opened */
	struct policy_vdpa vdpa;
	uint64_t stable_us;
	bool members_differ; /* of the attached bond */
	const struct err *member_error;
	bool held; /* a device has to be given back */
	bool full; /* the relay has no port left: the endpoint must move */
	bool other_has_it;
	int start_error;
	enum pairing_step steps[MAX_STEPS];
	unsigned int n_steps;
	enum pairing_state states[MAX_STEPS];
	unsigned int n_states;
	unsigned int answers;
	struct err answer; /* the last */
};

static uint64_t world_now(void *ctx)
{
	return ((struct world *)ctx)->now;
}

static int world_start(struct pairing *p, enum pairing_step step, struct err *err)
{
	struct world *w = p->env->ctx;

	if (!w->relay_up)
		return err_set(err, -EAGAIN, "relay", "waiting for the relay");
	if (step == STEP_ATTACH && w->full && p->seen.relay) {
		p->move = true;
		return -EAGAIN;
	}
	if (w->start_error)
		return err_set(err, w->start_error, "start", "cannot be started");
	p->seen.relay = (struct relay *)w; /* not looked into */
	p->step_has_pci = p->wish.device.kind == DEVNAME_PCI;
	w->steps[w->n_steps++ % MAX_STEPS] = step;
	return 0;
}

static int world_admit(struct pairing *p, const struct pairing_op *op, struct err *err)
{
	struct world *w = p->env->ctx;

	return w->other_has_it ? err_set(err, -EBUSY, "device in use", "in use") : 0;
}

static void world_look(struct pairing *p)
{
	struct world *w = p->env->ctx;

	p->seen.own = w->present;
	p->seen.own_instance = w->instance;
	p->seen.present = pairing_has_stand_in(p) ? w->spare : w->present;
	p->seen.instance = pairing_has_stand_in(p) ? 1000 : w->instance;
	p->seen.ready = p->decision.backend == POLICY_VDPA ? w->vdpa_ready : w->ready;
	p->seen.made = w->made;
	p->seen.made_here = w->made;
	p->seen.made_right = w->made && !w->made_wrong;
	p->seen.members_differ = p->seen.device.text[0] && w->members_differ;
	p->seen.member_error = w->member_error;
	p->seen.held = w->held;
}

static void world_vdpa(struct pairing *p, const struct devname *device, struct policy_vdpa *vdpa)
{
	*vdpa = ((struct world *)p->env->ctx)->vdpa;
}

static bool world_is_spare(struct pairing *p, const struct devname *device)
{
	return ((struct world *)p->env->ctx)->spare && !strcmp(device->text, SPARE);
}

static bool world_find_spare(struct pairing *p, struct devname *spare)
{
	const struct world *w = p->env->ctx;

	return w->spare && !w->spare_failed && devname_parse(spare, SPARE, NULL) == 0;
}

static void world_spare_failed(struct pairing *p, const struct err *err)
{
	((struct world *)p->env->ctx)->spare_failed = true;
}

static uint64_t world_stable(void *ctx)
{
	return ((struct world *)ctx)->stable_us;
}

static void world_wake_at(struct pairing *p, uint64_t at_us)
{
	((struct world *)p->env->ctx)->alarm = at_us;
}

static void world_changed(struct pairing *p)
{
	struct world *w = p->env->ctx;

	w->states[w->n_states++ % MAX_STEPS] = p->state;
}

static void world_finish(struct pairing *p, struct pairing_op *op)
{
	struct world *w = p->env->ctx;

	w->answers++;
	w->answer = op->err;
	free(op);
}

FIXTURE(pairing) {
	struct world w;
	struct pairing *p;
};

FIXTURE_SETUP(pairing)
{
	struct world *w = &self->w;

	memset(w, 0, sizeof(*w));
	w->env = (struct pairing_env){
		.now_us = world_now,
		.start = world_start,
		.admit = world_admit,
		.look = world_look,
		.find_spare = world_find_spare,
		.is_spare = world_is_spare,
		.spare_failed = world_spare_failed,
		.vdpa = world_vdpa,
		.stable_us = world_stable,
		.wake_at = world_wake_at,
		.changed = world_changed,
		.finish = world_finish,
		.ctx = w,
	};
	w->now = 1000000;
	w->relay_up = true;
	w->present = true;
	w->ready = true;
	self->p = &w->p;
	pairing_init(self->p, 7, &w->env);
	strcpy(self->p->wish.socket, "/tmp/v7");
}

FIXTURE_TEARDOWN(pairing)
{
	pairing_fini(self->p);
}

/* Ends the step that is under way, which must be this one. */
static bool done(struct world *w, enum pairing_step step, int code)
{
	struct err err = { 0 };

	if (w->p.step != step)
		return false;
	if (code)
		err_set(&err, code, "relay", "scripted error %d", code);
	pairing_step_done(&w->p, &err);
	return true;
}

static void op_fill(struct pairing_op *op, struct world *w, enum pairing_op_kind kind,
		    const char *device)
{
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->deadline_us = w->now + 900000;
	op->wish.pin[0] = op->wish.pin[1] = -1;
	if (device) {
		devname_parse(&op->wish.device, device, NULL);
		strcpy(op->wish.name, device);
		op->wish.backend = CONFIG_BACKEND_AUTO;
		op->wish.origin = PAIRING_ORIGIN_CONTROL;
	}
}

static int submit(struct world *w, enum pairing_op_kind kind, const char *device)
{
	struct pairing_op op;
	struct err err;

	op_fill(&op, w, kind, device);
	return pairing_submit(&w->p, &op, &err);
}

/* The socket is there. */
static void up(struct world *w)
{
	pairing_run(&w->p);
	done(w, STEP_ENDPOINT_ADD, 0);
}

/* ... and the device. */
static inline void attached(struct world *w)
{
	up(w);
	submit(w, OP_ADD, "vdev:net_null0");
	done(w, STEP_ATTACH, 0);
}

#endif
