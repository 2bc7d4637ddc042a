/* SPDX-License-Identifier: BSD-3-Clause */

/* 1.1's port_control endpoint: pairings by PCI address, with or without sockets of their own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "manager/manager.h"
#include "manager/port_request.h"
#include "manager/svc_zmq.h"

typedef Virtioforwarder__PortControlResponse Response;

#define OP(name) VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__##name

static void reply(struct zmq_request *req, const struct err *err, const char *query)
{
	Response response = VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__INIT;

	response.status = err->code ? VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__ERROR
				    : VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__OK;
	response.query_string = (char *)query;
	if (err->code) {
		char text[sizeof(err->text)];

		/* It may hold what the client sent. */
		memcpy(text, err->text, sizeof(text));
		text_clean(text);
		log_info("port control: refused (%s): %s", err->step, text);
		response.has_error_code = true;
		response.error_code = -err->code;
		response.error_code_source = (char *)err->step;
	}
	svc_zmq_reply(req, &response.base);
}

static void op_done(struct pairing *p, const struct err *err, void *userdata)
{
	reply(userdata, err, NULL);
}

static bool has_device(const struct manager *m, const struct pairing *p, const char *device)
{
	struct pairing_wish wish = { 0 };

	return p->wish.has_device && wishes_device_of(m, p, device, &wish, NULL) == 0 &&
	       !strcmp(p->wish.device.text, wish.device.text);
}

/* The relay that has this socket or, without a path, this device. */
static struct pairing *find(const struct manager *m, const char *path, const char *device)
{
	for (unsigned int id = 0; id < m->max_relays; id++) {
		struct pairing *p = &m->pairings[id];

		if (*path ? !strcmp(p->wish.socket, path) : has_device(m, p, device))
			return p;
	}
	return NULL;
}

static struct pairing *find_free(const struct manager *m)
{
	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (!pairing_in_use(&m->pairings[id]) && !m->pairings[id].ops)
			return &m->pairings[id];
	}
	return NULL;
}

static int query(struct manager *m, struct zmq_request *req, const struct port_request *request,
		 struct err *err)
{
	static const struct err none;
	char buf[DEVNAME_MAX];
	const struct pairing *p = find(m, request->path, NULL);

	if (!p)
		return err_set(err, -ENOENT, "vhost_path", "no relay has the socket %s",
			       request->path);
	if (!p->wish.has_device)
		return err_set(err, -ENODEV, "device", "relay %u has no device", p->id);
	reply(req, &none, device_shown(m, p, buf));
	return 0;
}

/* Which relay an operation is about; NULL with code 0: nothing is to be done. */
static struct pairing *choose(struct manager *m, const struct port_request *request,
			      struct err *err)
{
	struct pairing *p;

	switch (request->op) {
	case OP(ADD_SOCK):
		p = find(m, request->path, NULL);
		if (!p)
			p = find_free(m);
		if (!p)
			err_set(err, -ENOSPC, "no free relay", "all %u relays have a socket",
				m->max_relays);
		return p;
	case OP(REMOVE_SOCK):
		p = find(m, request->path, request->device);
		if (!p && !request->conditional)
			err_set(err, -ENOENT, "vhost_path", "no relay has %s",
				request->path[0] ? request->path : request->device);
		return p;
	default:
		return &m->pairings[request->id];
	}
}

static enum pairing_op_kind kind_of(const struct port_request *request)
{
	switch (request->op) {
	case OP(ADD):
		return OP_ADD;
	case OP(REMOVE):
		return OP_REMOVE;
	case OP(ADD_SOCK):
		return OP_ADD_SOCKET;
	default:
		return OP_REMOVE_SOCKET;
	}
}

static int run(struct manager *m, struct zmq_request *req, const struct port_request *request,
	       struct err *err)
{
	struct pairing_op op = {
		.kind = kind_of(request),
		.conditional = request->conditional,
		.make_socket = true,
		/* Hardware may take longer than clients wait: it goes on behind the answer. */
		.accept_slow = true,
		.answer_early = true,
		.check_name = request->has_device,
		.deadline_us = manager_now_us(m) + MANAGER_PORT_CONTROL_TIMEOUT_US,
		.done = op_done,
		.userdata = req,
	};
	const bool adds = request->op == OP(ADD) || request->op == OP(ADD_SOCK);
	struct pairing *p = choose(m, request, err);
	int rc = 0;

	if (!p && !err->code)
		reply(req, err, NULL);
	if (!p)
		return err->code;
	if (request->has_device)
		rc = adds ? wishes_device(m, request->device, &op.wish, err)
			  : wishes_device_of(m, p, request->device, &op.wish, err);
	if (rc < 0)
		return rc;
	op.wish.backend = m->cfg->backend;
	op.wish.origin = PAIRING_ORIGIN_PORT_CONTROL;
	if (request->op == OP(ADD)) {
		if (config_socket_path(m->cfg, request->id, op.wish.socket, err) < 0)
			return err->code;
	} else if (request->op != OP(REMOVE)) {
		memcpy(op.wish.socket, request->path, sizeof(request->path));
	}
	return pairing_submit(p, &op, err);
}

void svc_port_control_request(struct zmq_request *req, const uint8_t *data, size_t size,
			      void *userdata)
{
	struct manager *m = userdata;
	const struct port_request_facts facts = { m->max_relays, m->cfg->dynamic_sockets };
	Virtioforwarder__PortControlRequest *message;
	struct port_request request;
	struct err err = { 0 };

	message = virtioforwarder__port_control_request__unpack(NULL, size, data);
	if (port_request_check(message, &facts, &request, &err) == 0) {
		if (request.op == OP(QUERY_PCI))
			query(m, req, &request, &err);
		else
			run(m, req, &request, &err);
	}
	if (err.code)
		reply(req, &err, NULL);
	if (message)
		virtioforwarder__port_control_request__free_unpacked(message, NULL);
}
