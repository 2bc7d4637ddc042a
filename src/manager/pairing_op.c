/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Operations on a pairing. Those on one relay id wait for one another; the first changes the wish,
 * and is over when what is seen agrees. One that fails puts the wish back as it was and is answered
 * when nothing of it is left, or at its deadline.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manager/device.h"
#include "manager/pairing.h"

int pairing_submit(struct pairing *p, const struct pairing_op *op, struct err *err)
{
	struct pairing_op **last = &p->ops, *copy;

	if (p->n_ops >= PAIRING_OPS_MAX)
		return err_set(err, -EBUSY, "queue",
			       "relay %u: %u operations wait already; try again later", p->id,
			       p->n_ops);
	copy = malloc(sizeof(*copy));
	if (!copy)
		return err_set(err, -ENOMEM, "queue", "relay %u: out of memory", p->id);
	*copy = *op;
	copy->p = p;
	copy->phase = OP_WAITING;
	copy->next = NULL;
	copy->err.code = 0;
	while (*last)
		last = &(*last)->next;
	*last = copy;
	p->n_ops++;
	pairing_run(p);
	return 0;
}

uint64_t pairing_ops_deadline(const struct pairing *p)
{
	uint64_t earliest = 0;

	for (const struct pairing_op *op = p->ops; op; op = op->next) {
		if (op->deadline_us && (!earliest || op->deadline_us < earliest))
			earliest = op->deadline_us;
	}
	return earliest;
}

static void drop_device(struct pairing_wish *wish)
{
	wish->has_device = false;
	wish->name[0] = '\0';
	memset(&wish->device, 0, sizeof(wish->device));
	wish->origin = PAIRING_ORIGIN_NONE;
	wish->port[0] = '\0';
	wish->handed_out = false;
	if (wish->socket_with_device) {
		wish->socket[0] = '\0';
		wish->socket_with_device = false;
	}
}

static void take_device(struct pairing_wish *wish, const struct pairing_wish *from)
{
	wish->has_device = true;
	memcpy(wish->name, from->name, sizeof(wish->name));
	wish->device = from->device;
	wish->backend = from->backend;
	wish->handed_out = from->handed_out;
	wish->origin = from->origin;
	memcpy(wish->port, from->port, sizeof(wish->port));
}

/* The begin functions return 0 when the operation is under way, 1 when there is nothing to do, or
 * the error. */
static int begin_add(struct pairing *p, struct pairing_op *op, struct err *err)
{
	int rc;

	if (p->wish.has_device) {
		if (strcmp(p->wish.device.text, op->wish.device.text))
			return err_set(err, -EBUSY, "relay in use",
				       "relay %u has %s already; remove that first", p->id,
				       p->wish.name);
		if (!op->conditional)
			return err_set(err, -EEXIST, "already attached", "relay %u has %s already",
				       p->id, p->wish.name);
		if (p->wish.handed_out != op->wish.handed_out)
			return err_set(err, -EBUSY, "relay in use",
				       "relay %u has %s already, %s; remove that first", p->id,
				       p->wish.name,
				       p->wish.handed_out ? "handed out as vhost-vdpa device"
							  : "behind a socket");
	}
	rc = p->env->admit(p, op, err);
	if (!rc)
		rc = pairing_decide(p, &op->wish, err);
	/* What the kernel has not told yet comes out when the device is opened. */
	if (rc && rc != -EAGAIN && !(rc == -EOPNOTSUPP && op->keep_failed))
		return rc;
	if (!p->wish.has_device) {
		pairing_note(p, "add %s (%s)", op->wish.name, pairing_origin_name(op->wish.origin));
		take_device(&p->wish, &op->wish);
	}
	p->wish.backend = op->wish.backend;
	if (!p->wish.socket[0] && op->make_socket && !op->wish.handed_out) {
		memcpy(p->wish.socket, op->wish.socket, sizeof(p->wish.socket));
		p->wish.socket_with_device = true;
	}
	pairing_retry_now(p);
	return 0;
}

static int check_name(struct pairing *p, const struct pairing_op *op, struct err *err)
{
	if (op->check_name && strcmp(p->wish.device.text, op->wish.device.text))
		return err_set(err, -EINVAL, "other device attached", "relay %u has %s, not %s",
			       p->id, p->wish.name, op->wish.name);
	return 0;
}

static int begin_remove(struct pairing *p, struct pairing_op *op, struct err *err)
{
	int rc;

	if (!p->wish.has_device)
		return op->conditional ? 1
				       : err_set(err, -ENOENT, "nothing attached",
						 "relay %u has no device", p->id);
	rc = check_name(p, op, err);
	if (rc)
		return rc;
	pairing_note(p, "remove %s", p->wish.name);
	p->vdpa_lost = false;
	drop_device(&p->wish);
	pairing_retry_now(p);
	return 0;
}

static int begin_add_socket(struct pairing *p, struct pairing_op *op, struct err *err)
{
	if (p->wish.socket[0] && strcmp(p->wish.socket, op->wish.socket))
		return err_set(err, -EBUSY, "relay in use", "relay %u has the socket %s already",
			       p->id, p->wish.socket);
	if (p->wish.socket[0] && !op->conditional)
		return err_set(err, -EEXIST, "already there", "relay %u has the socket %s already",
			       p->id, p->wish.socket);
	memcpy(p->wish.socket, op->wish.socket, sizeof(p->wish.socket));
	p->wish.socket_with_device = false;
	return begin_add(p, op, err);
}

static int begin_remove_socket(struct pairing *p, struct pairing_op *op, struct err *err)
{
	int rc;

	if (!p->wish.socket[0] || (op->wish.socket[0] && strcmp(p->wish.socket, op->wish.socket)))
		return op->conditional
			       ? 1
			       : err_set(err, -ENOENT, "socket", "relay %u has no socket %s", p->id,
					 op->wish.socket);
	rc = check_name(p, op, err);
	if (rc)
		return rc;
	pairing_note(p, "remove socket %s", p->wish.socket);
	drop_device(&p->wish);
	p->wish.socket[0] = '\0';
	pairing_retry_now(p);
	return 0;
}

static int begin_backend(struct pairing *p, struct pairing_op *op, struct err *err)
{
	struct pairing_wish wish = p->wish;
	int rc;

	if (!p->wish.has_device)
		return err_set(err, -ENOENT, "nothing attached", "relay %u has no device", p->id);
	if (p->wish.handed_out && op->wish.backend != CONFIG_BACKEND_VDPA)
		return err_set(err, -EOPNOTSUPP, "backend",
			       "%s is handed out as vhost-vdpa device: no relay could serve it; "
			       "remove it, and add it with a socket",
			       p->wish.name);
	pairing_retry_now(p);
	wish.backend = op->wish.backend;
	/* A vDPA device has a mode for each; what else is attached has to be opened anew. */
	if (!p->seen.device.text[0] || p->seen.backend != POLICY_VDPA) {
		rc = pairing_decide(p, &wish, err);
		if (rc && rc != -EAGAIN)
			return rc;
	}
	pairing_note(p, "backend %s", config_backend_name(wish.backend));
	p->wish.backend = wish.backend;
	p->switch_us = p->detach_us = p->stable_at_us = 0;
	return 0;
}

static int begin(struct pairing *p, struct pairing_op *op, struct err *err)
{
	op->before = p->wish;
	op->phase = OP_RUNNING;
	switch (op->kind) {
	case OP_ADD:
		return begin_add(p, op, err);
	case OP_REMOVE:
		return begin_remove(p, op, err);
	case OP_ADD_SOCKET:
		return begin_add_socket(p, op, err);
	case OP_REMOVE_SOCKET:
		return begin_remove_socket(p, op, err);
	case OP_BACKEND:
		return begin_backend(p, op, err);
	case OP_PIN:
		memcpy(p->wish.pin, op->wish.pin, sizeof(p->wish.pin));
		memset(&p->failed[STEP_PIN], 0, sizeof(p->failed[STEP_PIN]));
		return 0;
	}
	return err_set(err, -EINVAL, "operation", "unknown operation");
}

/* The error of a step that has failed, 0 when it has not. */
static int failure_of(const struct pairing *p, enum pairing_step step, struct err *err)
{
	if (!p->failed[step].times)
		return 0;
	*err = p->failed[step].error;
	return err->code ? err->code : -EIO;
}

/* The device of a removal has its own driver again, or nobody waits for that. */
static int check_released(const struct pairing *p, const struct pairing_op *op, struct err *err)
{
	int rc = failure_of(p, STEP_UNPROVISION, err);

	if (op->answer_early)
		return 1;
	if (!rc)
		rc = failure_of(p, STEP_RELEASE, err);
	/* While it is given back it is busy, and no longer told as held. */
	return rc ? rc
		  : !p->seen.made && !p->seen.held && p->step != STEP_UNPROVISION &&
			       p->step != STEP_RELEASE;
}

/* The error of a step on the way to an attached device. */
static int failure_to_open(const struct pairing *p, struct err *err)
{
	int rc = failure_of(p, STEP_ENDPOINT_ADD, err);

	if (!rc && pairing_waits_for_removal(p))
		rc = failure_of(p, STEP_UNPROVISION, err);
	if (!rc)
		rc = failure_of(p, STEP_BIND, err);
	if (!rc)
		rc = failure_of(p, STEP_PROVISION, err);
	return rc ? rc : failure_of(p, STEP_ATTACH, err);
}

static int check_backend(const struct pairing *p, struct err *err)
{
	const bool attached = p->seen.device.text[0];
	int rc = failure_to_open(p, err);

	if (!rc)
		rc = failure_of(p, STEP_DETACH, err);
	if (!rc)
		rc = failure_of(p, STEP_MODE, err);
	if (rc)
		return rc;
	if (p->step != STEP_NONE)
		return 0;
	/* Without the device it is remembered. */
	if (!attached)
		return !p->seen.present || !p->wish.socket[0] || p->wish.handed_out;
	return p->seen.backend == p->decision.backend &&
	       p->decision.wanted == pairing_target_backend(p) &&
	       (p->seen.backend != POLICY_VDPA || p->seen.mode_told == (int)p->wish.backend);
}

static bool opening(const struct pairing *p)
{
	return p->step == STEP_BIND || p->step == STEP_PROVISION || p->step == STEP_ATTACH;
}

/* Has the operation that is under way come to its end? 0: not yet, 1: yes, else the error. */
static int check(struct pairing *p, struct pairing_op *op, struct err *err)
{
	const bool attached = p->seen.device.text[0];
	int rc;

	switch (op->kind) {
	case OP_ADD:
	case OP_ADD_SOCKET:
		if (pairing_is_handed_out(p) && p->step == STEP_NONE && !p->seen.socket[0])
			return 1;
		if (attached && !strcmp(p->seen.device.text, pairing_target(p)->text) &&
		    !p->seen.device_error[0] && p->step == STEP_NONE && !p->seen.member_error)
			return 1;
		if (op->keep_failed)
			return 1;
		if (p->seen.member_error) {
			*err = *p->seen.member_error;
			return err->code;
		}
		rc = failure_to_open(p, err);
		if (rc)
			return rc;
		if (p->step == STEP_NONE && !p->seen.present && !attached &&
		    (p->seen.socket[0] || p->wish.handed_out))
			return op->accept_absent ? 1 : -ENODEV;
		return 0;
	case OP_REMOVE:
		if (attached || opening(p) || (!p->wish.socket[0] && p->seen.socket[0]))
			return 0;
		return check_released(p, op, err);
	case OP_REMOVE_SOCKET:
		if (attached || p->seen.socket[0] ||
		    (p->step != STEP_NONE && p->step != STEP_UNPROVISION &&
		     p->step != STEP_RELEASE))
			return 0;
		return check_released(p, op, err);
	case OP_BACKEND:
		return check_backend(p, err);
	case OP_PIN:
		rc = failure_of(p, STEP_PIN, err);
		if (rc)
			return rc;
		/* Without an endpoint it is remembered. */
		return !p->wish.socket[0] || !memcmp(p->wish.pin, p->seen.pin, sizeof(p->wish.pin));
	}
	return 1;
}

static void finish(struct pairing *p, struct pairing_op **link)
{
	struct pairing_op *op = *link;

	*link = op->next;
	op->next = NULL;
	p->n_ops--;
	p->env->finish(p, op);
}

static void timed_out(struct pairing *p, struct pairing_op *op)
{
	char reason[200];

	if (op->err.code)
		return;
	if (op->phase == OP_WAITING) {
		err_set(&op->err, -EBUSY, "queue",
			"relay %u: other operations on it are under way; try again", p->id);
		return;
	}
	if (op->accept_slow && p->wish.has_device && p->seen.socket[0] &&
	    (opening(p) || p->step == STEP_NONE)) {
		pairing_note(p, "%s still opens: the request was answered", p->wish.name);
		return;
	}
	pairing_reason(p, reason, sizeof(reason));
	err_set(&op->err, -ETIMEDOUT, p->step == STEP_NONE ? "relay" : pairing_step_name(p->step),
		"relay %u: not done in time%s%s; see vio4wdctl show %u", p->id,
		p->waiting[0] ? ": " : "", p->waiting[0] ? reason : "", p->id);
	/* A removal and a change of backend go on; of an addition nothing stays. */
	if (op->kind != OP_REMOVE && op->kind != OP_REMOVE_SOCKET && op->kind != OP_BACKEND)
		p->wish = op->before;
	pairing_retry_now(p);
}

static bool expire(struct pairing *p)
{
	const uint64_t now = p->env->now_us(p->env->ctx);
	struct pairing_op **link = &p->ops;
	bool any = false;

	while (*link) {
		if ((*link)->deadline_us && (*link)->deadline_us <= now) {
			timed_out(p, *link);
			finish(p, link);
			any = true;
		} else {
			link = &(*link)->next;
		}
	}
	return any;
}

static void refuse(struct pairing *p, struct pairing_op *op, const struct err *err)
{
	op->err = *err;
	if (!op->err.code && p->seen.absent[0])
		err_set(&op->err, -ENODEV, "no such device", "%s", p->seen.absent);
	else if (!op->err.code)
		device_missing(&op->wish.device, &op->err);
	p->wish = op->before;
	op->phase = OP_UNWINDING;
	pairing_retry_now(p);
}

bool pairing_ops_advance(struct pairing *p)
{
	struct pairing_op *op;
	struct err err = { 0 };
	int rc;

	if (expire(p))
		return true;
	op = p->ops;
	if (!op)
		return false;
	if (op->phase == OP_UNWINDING) {
		if (!pairing_settled(p))
			return false;
		finish(p, &p->ops);
		return true;
	}
	if (op->phase == OP_WAITING) {
		rc = begin(p, op, &err);
		/* The wish has changed: steps come first, then the check. */
		if (!rc)
			return true;
		if (rc < 0) {
			op->err = err;
			p->wish = op->before;
		}
	} else {
		rc = check(p, op, &err);
		if (!rc)
			return false;
		if (rc < 0 && (op->kind == OP_REMOVE || op->kind == OP_REMOVE_SOCKET)) {
			op->err = err; /* what is left of it is tried again */
		} else if (rc < 0) {
			refuse(p, op, &err);
			return true;
		}
	}
	finish(p, &p->ops);
	return true;
}
