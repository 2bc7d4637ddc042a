/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The first operation of an endpoint's list is the one that runs; it leaves the list when what
 * follows from it is done. An endpoint that is removed keeps its place until then: what is asked of
 * its id meanwhile waits in its list, and is looked at anew when it has gone.
 */
#include "sw-relay/endpoint_op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "sw-relay/device_thread.h"
#include "sw-relay/endpoint_internal.h"
#include "wire/rpc.h"

#define BIT(kind) (1u << (kind))

struct endpoint_op {
	struct device_job job;
	STAILQ_ENTRY(endpoint_op) next;
	enum endpoint_op_kind kind;
	unsigned int id;
	struct endpoint *ep; /* once it is in its list */
	endpoint_done_fn done;
	void *userdata;
	struct err err;

	struct endpoint_options options; /* ADD */
	struct backend_request req;	 /* ATTACH, MEMBERS */
	int fds[RPC_FDS_MAX];
	enum serving wish; /* MODE */
};

static void submit(struct endpoint_op *op);

static const char *kind_name(enum endpoint_op_kind kind)
{
	switch (kind) {
	case ENDPOINT_REMOVE:
		return "remove";
	case ENDPOINT_ATTACH:
		return "attach";
	case ENDPOINT_DETACH:
		return "detach";
	case ENDPOINT_MEMBERS:
		return "members";
	case ENDPOINT_MODE:
		return "mode";
	default:
		return "endpoint";
	}
}

static void op_free(struct endpoint_op *op)
{
	for (unsigned int i = 0; i < op->req.n_fds; i++) {
		if (op->fds[i] >= 0)
			device_thread_close(op->fds[i]);
	}
	free(op);
}

/* Tells the outcome. */
static void op_answer(struct endpoint_op *op)
{
	if (op->done)
		op->done(op->id, &op->err, op->userdata);
}

static void op_end(struct endpoint_op *op)
{
	op_answer(op);
	op_free(op);
}

/* What the operation does, in the thread that is right for it. */
static void work(struct device_job *job)
{
	struct endpoint_op *op = container_of(job, struct endpoint_op, job);
	struct endpoint *ep = op->ep;
	struct err ignored;

	switch (op->kind) {
	case ENDPOINT_ADD:
		break;
	case ENDPOINT_ATTACH:
		endpoint_do_attach(ep, &op->req, &op->err);
		break;
	case ENDPOINT_DETACH:
		endpoint_do_detach(ep, &op->err);
		break;
	case ENDPOINT_REMOVE:
		if (ep->backend)
			endpoint_do_detach(ep, &ignored);
		break;
	case ENDPOINT_GONE:
		if (ep->backend && ep->backend->gone) /* it is still that one */
			endpoint_do_detach(ep, &ignored);
		break;
	case ENDPOINT_MEMBERS:
		endpoint_do_members(ep, &op->req, &op->err);
		break;
	case ENDPOINT_REGROUP:
		endpoint_do_regroup(ep);
		break;
	case ENDPOINT_MODE:
		endpoint_do_mode(ep, op->wish, &op->err);
		break;
	case ENDPOINT_SERVE:
		endpoint_do_serve(ep);
		break;
	case ENDPOINT_REFIT:
		endpoint_do_refit(ep);
		break;
	case ENDPOINT_RESET:
		endpoint_do_reset(ep);
		break;
	case ENDPOINT_LOOK:
		endpoint_do_look(ep);
		break;
	case ENDPOINT_GIVE_UP:
		endpoint_do_give_up(ep);
		break;
	}
}

static bool is_slow(const struct endpoint_op *op)
{
	if (op->kind == ENDPOINT_ATTACH)
		return backend_is_slow(&op->req);
	return op->ep->backend && op->ep->backend->ops->slow;
}

/* The endpoint goes, and those that waited behind its removal are asked again. */
static void finish_removal(struct endpoint_op *op)
{
	struct endpoint_ops waiting = STAILQ_HEAD_INITIALIZER(waiting);
	struct endpoint *ep = op->ep;

	STAILQ_REMOVE_HEAD(&ep->ops, next);
	STAILQ_CONCAT(&waiting, &ep->ops);
	endpoint_unmake(ep);
	op_end(op);
	while ((op = STAILQ_FIRST(&waiting))) {
		STAILQ_REMOVE_HEAD(&waiting, next);
		if (op->done)
			submit(op);
		else
			op_free(op);
	}
}

/* What follows from an operation that is done. False: so did the endpoint. */
static bool finish(struct endpoint_op *op)
{
	struct endpoint *ep = op->ep;

	if (op->kind == ENDPOINT_REMOVE) {
		finish_removal(op);
		return false;
	}
	ep->asked &= ~BIT(op->kind);
	op_answer(op); /* it may ask for more */
	STAILQ_REMOVE_HEAD(&ep->ops, next);
	/* The VM may have changed its mind meanwhile. */
	if (op->kind != ENDPOINT_LOOK || ep->unseen)
		endpoint_work_later();
	op_free(op);
	return true;
}

static void run(struct endpoint *ep)
{
	struct endpoint_op *op;

	while ((op = STAILQ_FIRST(&ep->ops))) {
		if (is_slow(op)) {
			device_thread_post(&op->job);
			return;
		}
		work(&op->job);
		if (!finish(op))
			return;
	}
}

static void done(struct device_job *job)
{
	struct endpoint_op *op = container_of(job, struct endpoint_op, job);
	struct endpoint *ep = op->ep;

	if (finish(op))
		run(ep);
}

static void enqueue(struct endpoint *ep, struct endpoint_op *op)
{
	bool idle = STAILQ_EMPTY(&ep->ops);

	op->ep = ep;
	if (op->kind == ENDPOINT_REMOVE)
		ep->leaving = true;
	STAILQ_INSERT_TAIL(&ep->ops, op, next);
	if (idle)
		run(ep);
}

static void submit(struct endpoint_op *op)
{
	struct endpoint *ep = endpoint_find(op->id);

	if (ep && (op->kind != ENDPOINT_ADD || ep->leaving)) {
		enqueue(ep, op);
		return;
	}
	if (op->kind == ENDPOINT_ADD)
		endpoint_make(&op->options, &op->err);
	else
		err_set(&op->err, -ENOENT, kind_name(op->kind),
			"relay %u: there is no such endpoint", op->id);
	op_end(op);
}

static struct endpoint_op *op_new(enum endpoint_op_kind kind, unsigned int id,
				  endpoint_done_fn on_done, void *userdata)
{
	struct endpoint_op *op = calloc(1, sizeof(*op));
	struct err err;

	if (!op) {
		err_set(&err, -ENOMEM, kind_name(kind), "relay %u: no memory", id);
		if (on_done)
			on_done(id, &err, userdata);
		return NULL;
	}
	op->job.work = work;
	op->job.done = done;
	op->kind = kind;
	op->id = id;
	op->done = on_done;
	op->userdata = userdata;
	return op;
}

void endpoint_add(const struct endpoint_options *options, endpoint_done_fn on_done, void *userdata)
{
	struct endpoint_op *op = op_new(ENDPOINT_ADD, options->id, on_done, userdata);

	if (!op)
		return;
	op->options = *options;
	submit(op);
}

void endpoint_remove(unsigned int id, endpoint_done_fn on_done, void *userdata)
{
	struct endpoint_op *op = op_new(ENDPOINT_REMOVE, id, on_done, userdata);

	if (op)
		submit(op);
}

static void submit_request(enum endpoint_op_kind kind, unsigned int id, struct backend_request *req,
			   endpoint_done_fn on_done, void *userdata)
{
	struct endpoint_op *op = op_new(kind, id, on_done, userdata);

	if (!op)
		return;
	op->req = *req;
	op->req.id = id;
	op->req.n_fds = RTE_MIN(req->n_fds, (unsigned int)RPC_FDS_MAX);
	op->req.fds = op->fds;
	for (unsigned int i = 0; i < op->req.n_fds; i++) {
		op->fds[i] = req->fds[i];
		req->fds[i] = -1;
	}
	submit(op);
}

void endpoint_attach(unsigned int id, struct backend_request *req, endpoint_done_fn on_done,
		     void *userdata)
{
	submit_request(ENDPOINT_ATTACH, id, req, on_done, userdata);
}

void endpoint_members(unsigned int id, struct backend_request *req, endpoint_done_fn on_done,
		      void *userdata)
{
	submit_request(ENDPOINT_MEMBERS, id, req, on_done, userdata);
}

void endpoint_detach(unsigned int id, endpoint_done_fn on_done, void *userdata)
{
	struct endpoint_op *op = op_new(ENDPOINT_DETACH, id, on_done, userdata);

	if (op)
		submit(op);
}

void endpoint_mode(unsigned int id, enum serving wish, endpoint_done_fn on_done, void *userdata)
{
	struct endpoint_op *op = op_new(ENDPOINT_MODE, id, on_done, userdata);

	if (!op)
		return;
	op->wish = wish;
	submit(op);
}

void endpoint_ask(struct endpoint *ep, enum endpoint_op_kind kind)
{
	struct endpoint_op *op;

	if (ep->asked & BIT(kind))
		return;
	op = op_new(kind, ep->options.id, NULL, NULL);
	if (!op)
		return;
	ep->asked |= BIT(kind);
	enqueue(ep, op);
}

static struct endpoint *first_that_stays(void)
{
	struct endpoint *ep;

	TAILQ_FOREACH(ep, &endpoints, next)
	{
		if (!ep->leaving)
			return ep;
	}
	return NULL;
}

void endpoints_fini(void)
{
	while (!TAILQ_EMPTY(&endpoints)) {
		struct endpoint *ep = first_that_stays();

		if (ep) {
			endpoint_remove(ep->options.id, NULL, NULL);
			continue;
		}
		device_threads_wait();
		device_threads_reap();
	}
}
