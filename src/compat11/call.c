/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "compat11/compat11.h"
#include "wire/zmq_client.h"

struct call {
	sd_event *event;
	const ProtobufCMessageDescriptor *type;
	void *answer;
	struct err err;
};

static void on_answer(const struct err *err, const uint8_t *data, size_t size, void *userdata)
{
	struct call *call = userdata;

	call->err = *err;
	if (!err->code)
		call->answer = protobuf_c_message_unpack(call->type, NULL, size, data);
	if (!err->code && !call->answer)
		err_set(&call->err, -EBADMSG, "answer", "the answer is no %s",
			call->type->short_name);
	sd_event_exit(call->event, 0);
}

void *call_endpoint(const char *endpoint, const ProtobufCMessage *request,
		    const ProtobufCMessageDescriptor *answer, unsigned int timeout_ms)
{
	struct call call = { .type = answer };
	struct zmq_client *client = NULL;
	int rc = sd_event_new(&call.event);

	if (rc < 0)
		err_set(&call.err, rc, "start", "making an event loop: %s", strerror(-rc));
	else
		rc = zmq_client_new(&client, call.event, endpoint, &call.err);
	if (rc >= 0)
		rc = zmq_client_ask(client, request, timeout_ms, on_answer, &call, &call.err);
	if (rc >= 0)
		rc = sd_event_loop(call.event);
	if (rc < 0 && !call.err.code)
		err_set(&call.err, rc, "loop", "waiting for the answer: %s", strerror(-rc));
	if (call.err.code)
		fprintf(stderr, "%s\n", call.err.text);
	zmq_client_free(client);
	sd_event_unref(call.event);
	return call.answer;
}

static const char *status_name(const ProtobufCEnumDescriptor *type, int status)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, status);

	return value ? value->name : "unknown status";
}

Virtioforwarder__StatsResponse *call_stats(const char *endpoint, bool include_inactive,
					   unsigned int delay_ms)
{
	Virtioforwarder__StatsRequest request = VIRTIOFORWARDER__STATS_REQUEST__INIT;
	Virtioforwarder__StatsResponse *answer;

	request.has_include_inactive = request.has_delay = true;
	request.include_inactive = include_inactive;
	request.delay = delay_ms;
	answer =
		call_endpoint(endpoint, &request.base, &virtioforwarder__stats_response__descriptor,
			      ZMQ_CLIENT_TIMEOUT_MS + delay_ms);
	if (!answer || answer->status == VIRTIOFORWARDER__STATS_RESPONSE__STATUS__OK)
		return answer;
	fprintf(stderr, "StatsResponse: %s\n",
		status_name(&virtioforwarder__stats_response__status__descriptor, answer->status));
	virtioforwarder__stats_response__free_unpacked(answer, NULL);
	return NULL;
}

Virtioforwarder__CoreSchedResponse *call_cores(const char *endpoint)
{
	Virtioforwarder__CoreSchedRequest request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;
	Virtioforwarder__CoreSchedResponse *answer;

	request.op = VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__GET_EAL_CORES;
	answer = call_endpoint(endpoint, &request.base,
			       &virtioforwarder__core_sched_response__descriptor,
			       ZMQ_CLIENT_TIMEOUT_MS);
	if (!answer || answer->status == VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK)
		return answer;
	fprintf(stderr, "CoreSchedResponse: %s\n",
		status_name(&virtioforwarder__core_sched_response__status__descriptor,
			    answer->status));
	virtioforwarder__core_sched_response__free_unpacked(answer, NULL);
	return NULL;
}
