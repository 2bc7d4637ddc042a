/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * 1.1's core_sched endpoint: which worker CPUs serve which relay. An UPDATE is checked as a whole
 * before anything is moved.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "manager/manager.h"
#include "manager/svc_zmq.h"

typedef Virtioforwarder__CoreSchedRequest Request;
typedef Virtioforwarder__CoreSchedRequest__RelayCPU Entry;
typedef Virtioforwarder__CoreSchedResponse Response;

struct update { /* an UPDATE that is under way */
	struct zmq_request *req;
	size_t missing;
	struct err err; /* the first */
};

static void reply(struct zmq_request *req, const struct err *err)
{
	Response response = VIRTIOFORWARDER__CORE_SCHED_RESPONSE__INIT;

	response.status = err->code ? VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__ERROR
				    : VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK;
	if (err->code) {
		response.has_error_code = true;
		response.error_code = -err->code;
		response.error_code_source = (char *)err->step;
	}
	svc_zmq_reply(req, &response.base);
}

static void get_cores(struct manager *m, struct zmq_request *req)
{
	Response response = VIRTIOFORWARDER__CORE_SCHED_RESPONSE__INIT;
	uint32_t *cores = calloc(cpuset_count(&m->cfg->cpu_mask) + 1, sizeof(*cores));

	response.status = cores ? VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK
				: VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__ERROR;
	for (int cpu = cpuset_next(&m->cfg->cpu_mask, 0); cores && cpu >= 0;
	     cpu = cpuset_next(&m->cfg->cpu_mask, cpu + 1))
		cores[response.n_eal_cores++] = cpu;
	response.eal_cores = cores;
	svc_zmq_reply(req, &response.base);
	free(cores);
}

static int check(const struct manager *m, const Request *request, struct err *err)
{
	if (request->n_relay_cpu_map > m->max_relays)
		return err_set(err, -E2BIG, "relay_cpu_map", "more entries than relays");
	for (size_t i = 0; i < request->n_relay_cpu_map; i++) {
		const Entry *entry = request->relay_cpu_map[i];

		if (entry->relay_number < 0 || (unsigned int)entry->relay_number >= m->max_relays)
			return err_set(err, -EINVAL, "relay_number", "no such relay");
		if (!wishes_pin_is_worker(m, entry->vf2virtio_cpu))
			return err_set(err, -EINVAL, "vf2virtio_cpu", "no worker CPU");
		if (!wishes_pin_is_worker(m, entry->virtio2vf_cpu))
			return err_set(err, -EINVAL, "virtio2vf_cpu", "no worker CPU");
	}
	return 0;
}

static void one_down(struct update *update, const struct err *err)
{
	if (err->code && !update->err.code)
		update->err = *err;
	if (--update->missing)
		return;
	reply(update->req, &update->err);
	free(update);
}

static void pinned(struct pairing *p, const struct err *err, void *userdata)
{
	one_down(userdata, err);
}

static int start_update(struct manager *m, struct zmq_request *req, const Request *request,
			struct err *err)
{
	static const struct err none;
	struct update *update;
	int rc = check(m, request, err);

	if (rc)
		return rc;
	update = calloc(1, sizeof(*update));
	if (!update)
		return err_set(err, -ENOMEM, "memory", "out of memory");
	update->req = req;
	update->missing = request->n_relay_cpu_map + 1;
	for (size_t i = 0; i < request->n_relay_cpu_map; i++) {
		const Entry *entry = request->relay_cpu_map[i];
		struct pairing_op op = {
			.kind = OP_PIN,
			.wish.pin = { [VF_TO_VM] = entry->vf2virtio_cpu,
				      [VM_TO_VF] = entry->virtio2vf_cpu },
			.deadline_us = manager_now_us(m) + MANAGER_PORT_CONTROL_TIMEOUT_US,
			.done = pinned,
			.userdata = update,
		};
		struct err refused = { 0 };

		if (pairing_submit(&m->pairings[entry->relay_number], &op, &refused) < 0)
			one_down(update, &refused);
	}
	one_down(update, &none);
	return 0;
}

void svc_core_sched_request(struct zmq_request *req, const uint8_t *data, size_t size,
			    void *userdata)
{
	struct manager *m = userdata;
	Request *request = virtioforwarder__core_sched_request__unpack(NULL, size, data);
	struct err err = { 0 };

	if (!request)
		err_set(&err, -EBADMSG, "malformed request", "not a CoreSchedRequest");
	else if (request->op == VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__GET_EAL_CORES)
		get_cores(m, req);
	else if (request->op == VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__UPDATE)
		start_update(m, req, request, &err);
	else
		err_set(&err, -EINVAL, "op", "unknown operation");
	if (err.code)
		reply(req, &err);
	if (request)
		virtioforwarder__core_sched_request__free_unpacked(request, NULL);
}
