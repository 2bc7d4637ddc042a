/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/svc_zmq.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "manager/manager.h"

#define N_ENDPOINTS 4

struct svc_zmq {
	struct zmq_server *servers[N_ENDPOINTS];
};

void svc_zmq_reply(struct zmq_request *req, const ProtobufCMessage *message)
{
	const size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *data = malloc(size ? size : 1);

	if (!data) {
		zmq_reply(req, NULL, 0);
		return;
	}
	protobuf_c_message_pack(message, data);
	zmq_reply(req, data, size);
	free(data);
}

static int open_endpoint(struct svc_zmq *svc, unsigned int i, struct manager *m,
			 const char *endpoint, zmq_request_fn handler, struct err *err)
{
	const struct group *group = getgrnam("vio4wd");
	int rc;

	if (!endpoint)
		return 0;
	rc = startup_ipc_directory(endpoint, err);
	if (!rc)
		rc = zmq_server_new(&svc->servers[i], m->event, endpoint, 0660, handler, m, err);
	if (rc)
		return rc;
	if (group && !strncmp(endpoint, "ipc://", 6) && chown(endpoint + 6, -1, group->gr_gid) < 0)
		log_warning("%s: cannot give it to group vio4wd: %s", endpoint, strerror(errno));
	return 0;
}

int svc_zmq_new(struct svc_zmq **result, struct manager *m, struct err *err)
{
	const struct config *cfg = m->cfg;
	struct svc_zmq *svc = calloc(1, sizeof(*svc));
	int rc;

	if (!svc)
		return err_set(err, -ENOMEM, "start", "out of memory");
	rc = open_endpoint(svc, 0, m, cfg->zmq_port_control_ep, svc_port_control_request, err);
	if (!rc)
		rc = open_endpoint(svc, 1, m, cfg->zmq_stats_ep, svc_stats_request, err);
	if (!rc && cfg->core_sched_enable)
		rc = open_endpoint(svc, 2, m, cfg->zmq_core_sched_ep, svc_core_sched_request, err);
	if (!rc)
		rc = open_endpoint(svc, 3, m, cfg->zmq_config_ep, svc_config_request, err);
	if (rc) {
		svc_zmq_free(svc);
		return rc;
	}
	*result = svc;
	return 0;
}

void svc_zmq_free(struct svc_zmq *svc)
{
	if (!svc)
		return;
	for (unsigned int i = 0; i < N_ENDPOINTS; i++)
		zmq_server_free(svc->servers[i]);
	free(svc);
}
