/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * 1.1's four ZeroMQ endpoints. Each request is answered exactly once, with a well-formed message,
 * whatever came in, and within 1 s (stats: beyond its own delay).
 */
#ifndef VIO4WD_MANAGER_SVC_ZMQ_H
#define VIO4WD_MANAGER_SVC_ZMQ_H

#include "common/err.h"
#include "wire/virtioforwarder.pb-c.h"
#include "wire/zmq_server.h"

struct manager;
struct svc_zmq;

int svc_zmq_new(struct svc_zmq **svc, struct manager *m, struct err *err);
void svc_zmq_free(struct svc_zmq *svc);

/* Packs message and sends it. */
void svc_zmq_reply(struct zmq_request *req, const ProtobufCMessage *message);

/* The handlers; userdata is the manager. */
void svc_port_control_request(struct zmq_request *req, const uint8_t *data, size_t size,
			      void *userdata);
void svc_stats_request(struct zmq_request *req, const uint8_t *data, size_t size, void *userdata);
void svc_core_sched_request(struct zmq_request *req, const uint8_t *data, size_t size,
			    void *userdata);
void svc_config_request(struct zmq_request *req, const uint8_t *data, size_t size, void *userdata);

#endif
