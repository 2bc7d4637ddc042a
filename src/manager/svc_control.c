/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/svc_control.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/port_control.h"
#include "manager/relay_json.h"
#include "manager/sampler.h"
#include "manager/svc_vdpa.h"
#include "manager/vfs.h"
#include "wire/rpc.h"

struct svc_control {
	struct manager *m;
	struct rpc_server *server;
	char path[4096];
};

/* A request that waits for counters or for an operation. */
struct pending {
	struct manager *m;
	struct rpc_request *req;
	int id; /* -1: all */
	json_object *(*make)(const struct manager *m, unsigned int id,
			     const struct sampler_view *view);
};

typedef int (*method_fn)(struct manager *m, struct rpc_request *req, json_object *params,
			 struct err *err);

static struct pending *pending_new(struct manager *m, struct rpc_request *req, int id,
				   struct err *err)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending) {
		err_set(err, -ENOMEM, "control", "out of memory");
		return NULL;
	}
	pending->m = m;
	pending->req = req;
	pending->id = id;
	return pending;
}

static json_object *list_json(const struct pending *pending, const struct sampler_view *view)
{
	const struct manager *m = pending->m;
	json_object *result = json_object_new_object();
	json_object *relays = json_object_new_array();

	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (pending->id < 0 ? pairing_in_use(&m->pairings[id]) : pending->id == (int)id)
			json_object_array_add(relays, pending->make(m, id, view));
	}
	json_object_object_add(result, "relays", relays);
	return result;
}

static void status_done(const struct sampler_view *view, void *userdata)
{
	struct pending *pending = userdata;
	json_object *result = list_json(pending, view);

	json_object_object_add(result, "port_control", port_control_json(pending->m->port_control));
	rpc_reply(pending->req, result);
	free(pending);
}

static void stats_done(const struct sampler_view *view, void *userdata)
{
	struct pending *pending = userdata;

	svc_vdpa_reply_stats(pending->m, pending->req, list_json(pending, view));
	free(pending);
}

static int do_status(struct manager *m, struct rpc_request *req, json_object *params,
		     struct err *err)
{
	struct pending *pending = pending_new(m, req, -1, err);

	if (!pending)
		return -ENOMEM;
	pending->make = relay_json;
	sampler_ask(m->sampler, 0, status_done, pending);
	return 0;
}

static int do_stats(struct manager *m, struct rpc_request *req, json_object *params,
		    struct err *err)
{
	unsigned int id = 0, window = 0;
	struct pending *pending;
	const bool one = json_object_object_get_ex(params, "id", NULL);
	int rc = one ? param_uint(params, "id", m->max_relays - 1, &id, err) : 0;

	if (!rc && json_object_object_get_ex(params, "window_ms", NULL))
		rc = param_uint(params, "window_ms", SAMPLER_WINDOW_MAX_MS, &window, err);
	if (rc)
		return rc;
	pending = pending_new(m, req, one ? (int)id : -1, err);
	if (!pending)
		return -ENOMEM;
	pending->make = stats_json;
	sampler_ask(m->sampler, window, stats_done, pending);
	return 0;
}

static void show_done(const struct sampler_view *view, void *userdata)
{
	struct pending *pending = userdata;

	rpc_reply(pending->req, relay_show_json(pending->m, pending->id, view));
	free(pending);
}

static int do_show(struct manager *m, struct rpc_request *req, json_object *params, struct err *err)
{
	struct pending *pending;
	unsigned int id;
	int rc = param_uint(params, "id", m->max_relays - 1, &id, err);

	if (rc)
		return rc;
	if (!pairing_in_use(&m->pairings[id]))
		return err_set(err, -ENOENT, "relay", "relay %u has neither socket nor device", id);
	pending = pending_new(m, req, id, err);
	if (!pending)
		return -ENOMEM;
	sampler_ask(m->sampler, 0, show_done, pending);
	return 0;
}

static void processes_done(const struct sampler_view *view, void *userdata)
{
	struct pending *pending = userdata;
	const struct manager *m = pending->m;
	json_object *result = json_object_new_object();
	json_object *processes = json_object_new_array();

	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES; i++) {
		if (m->processes[i])
			json_object_array_add(processes, process_json(m, i));
	}
	json_object_object_add(result, "processes", processes);
	rpc_reply(pending->req, result);
	free(pending);
}

static int do_relays(struct manager *m, struct rpc_request *req, json_object *params,
		     struct err *err)
{
	struct pending *pending = pending_new(m, req, -1, err);

	if (!pending)
		return -ENOMEM;
	sampler_ask(m->sampler, 0, processes_done, pending);
	return 0;
}

static void op_done(struct pairing *p, const struct err *err, void *userdata)
{
	struct pending *pending = userdata;

	if (err->code)
		rpc_reply_error(pending->req, err);
	else if (pending->id < 0)
		rpc_reply(pending->req, NULL);
	else
		rpc_reply(pending->req, relay_json(pending->m, p->id, NULL));
	free(pending);
}

static int submit(struct manager *m, unsigned int id, struct pairing_op *op,
		  struct rpc_request *req, bool with_relay, struct err *err)
{
	struct pending *pending = pending_new(m, req, with_relay ? (int)id : -1, err);
	int rc;

	if (!pending)
		return -ENOMEM;
	op->deadline_us = manager_now_us(m) + MANAGER_CONTROL_TIMEOUT_US;
	if (!op->done)
		op->done = op_done;
	op->userdata = pending;
	rc = pairing_submit(&m->pairings[id], op, err);
	if (rc < 0)
		free(pending);
	return rc;
}

static int backend_param(const char *text, enum config_backend *backend, struct err *err)
{
	if (config_backend_parse(text, backend) < 0)
		return err_set(err, -EINVAL, "parameters",
			       "backend '%s': allowed are auto, sw and vdpa", text);
	return 0;
}

/* How the VM gets the device: behind a socket, or a vDPA device itself. */
static int as_param(const char *as, const char *backend, struct pairing_wish *wish, struct err *err)
{
	wish->handed_out = !strcmp(as, "vhost-vdpa");
	if (!wish->handed_out && strcmp(as, "socket") != 0)
		return err_set(err, -EINVAL, "parameters",
			       "as '%s': allowed are socket and vhost-vdpa", as);
	if (wish->handed_out && backend && wish->backend == CONFIG_BACKEND_SW)
		return err_set(err, -EINVAL, "parameters",
			       "a vhost-vdpa device is hardware: the backend 'sw' has none");
	if (wish->handed_out)
		wish->backend = CONFIG_BACKEND_VDPA;
	return 0;
}

/* {"name", "mode", "members": [device...]} */
static int bond_param(const struct manager *m, json_object *bond, struct pairing_wish *wish,
		      struct err *err)
{
	json_object *list = json_get_member(bond, "members", json_type_array);
	const size_t n = list ? json_object_array_length(list) : 0;
	const char *name, *members[BOND_MEMBERS_MAX];
	unsigned int mode = BOND_MODE_DEFAULT;
	int rc = param_text(bond, "name", &name, err);

	if (!rc && json_object_object_get_ex(bond, "mode", NULL))
		rc = param_uint(bond, "mode", BOND_MODE_MAX, &mode, err);
	if (!rc)
		rc = devname_bond_check_name(name, err);
	if (!rc)
		rc = devname_bond_check_count(name, n, err);
	for (size_t i = 0; i < n && !rc; i++) {
		json_object *member = json_object_array_get_idx(list, i);

		if (!json_object_is_type(member, json_type_string))
			return err_set(err, -EINVAL, "parameters",
				       "'members' has something in it that is no text");
		members[i] = json_object_get_string(member);
	}
	return rc ? rc : wishes_bond(m, name, mode, members, n, wish, err);
}

/* What is to be attached: "device", or the parts of a bond. */
static int device_param(const struct manager *m, json_object *params, struct pairing_wish *wish,
			struct err *err)
{
	json_object *bond = json_get_member(params, "bond", json_type_object);
	const char *device;
	int rc;

	if (bond)
		return bond_param(m, bond, wish, err);
	rc = param_text(params, "device", &device, err);
	return rc ? rc : wishes_device(m, device, wish, err);
}

static int do_add(struct manager *m, struct rpc_request *req, json_object *params, struct err *err)
{
	struct pairing_op op = { .kind = OP_ADD, .accept_absent = true, .make_socket = true };
	const char *backend = NULL, *as = NULL;
	unsigned int id;
	int rc;

	rc = param_uint(params, "id", m->max_relays - 1, &id, err);
	if (!rc)
		rc = param_optional_text(params, "as", &as, err);
	if (!rc)
		rc = device_param(m, params, &op.wish, err);
	if (!rc)
		rc = config_socket_path(m->cfg, id, op.wish.socket, err);
	if (!rc)
		rc = param_optional_text(params, "backend", &backend, err);
	if (!rc)
		rc = param_optional_bool(params, "conditional", &op.conditional, err);
	if (rc)
		return rc;
	op.wish.backend = m->cfg->backend;
	rc = backend ? backend_param(backend, &op.wish.backend, err) : 0;
	if (!rc && as)
		rc = as_param(as, backend, &op.wish, err);
	if (rc)
		return rc;
	op.wish.origin = PAIRING_ORIGIN_CONTROL;
	return submit(m, id, &op, req, true, err);
}

static void backend_done(struct pairing *p, const struct err *err, void *userdata)
{
	struct pending *pending = userdata;
	json_object *relay;

	if (err->code) {
		rpc_reply_error(pending->req, err);
	} else {
		relay = relay_json(pending->m, p->id, NULL);
		if (p->switch_us)
			json_put_int(relay, "pause_us", (int64_t)p->switch_us);
		else
			json_put_shared(relay, "pause_us", NULL);
		rpc_reply(pending->req, relay);
	}
	free(pending);
}

static int do_backend(struct manager *m, struct rpc_request *req, json_object *params,
		      struct err *err)
{
	struct pairing_op op = { .kind = OP_BACKEND, .accept_slow = true, .done = backend_done };
	const char *backend;
	unsigned int id;
	int rc;

	rc = param_uint(params, "id", m->max_relays - 1, &id, err);
	if (!rc)
		rc = param_text(params, "backend", &backend, err);
	if (!rc)
		rc = backend_param(backend, &op.wish.backend, err);
	return rc ? rc : submit(m, id, &op, req, true, err);
}

static int do_remove(struct manager *m, struct rpc_request *req, json_object *params,
		     struct err *err)
{
	struct pairing_op op = { .kind = OP_REMOVE };
	const char *device = NULL;
	unsigned int id;
	int rc;

	rc = param_uint(params, "id", m->max_relays - 1, &id, err);
	if (!rc)
		rc = param_optional_bool(params, "conditional", &op.conditional, err);
	if (!rc)
		rc = param_optional_text(params, "device", &device, err);
	if (!rc && device) {
		op.check_name = true;
		rc = wishes_device_of(m, &m->pairings[id], device, &op.wish, err);
	}
	return rc ? rc : submit(m, id, &op, req, false, err);
}

static int pin_param(const struct manager *m, json_object *params, const char *key, int *cpu,
		     struct err *err)
{
	char workers[256];
	json_object *member = json_get_member(params, key, json_type_int);
	const int64_t value = member ? json_object_get_int64(member) : -2;

	if (!member)
		return err_set(err, -EINVAL, "parameters", "'%s' (a CPU number or -1) is missing",
			       key);
	if (value != -1 &&
	    (value < 0 || value > CPUSET_MAX_CPU || !wishes_pin_is_worker(m, value))) {
		cpuset_format(&m->cfg->cpu_mask, workers, sizeof(workers));
		return err_set(err, -EINVAL, key,
			       "CPU %lld is no worker; worker CPUs are %s (VIRTIOFWD_CPU_MASK)",
			       (long long)value, workers);
	}
	*cpu = value;
	return 0;
}

static int do_pin(struct manager *m, struct rpc_request *req, json_object *params, struct err *err)
{
	struct pairing_op op = { .kind = OP_PIN };
	unsigned int id;
	int rc;

	rc = param_uint(params, "id", m->max_relays - 1, &id, err);
	if (!rc)
		rc = pin_param(m, params, "vf_to_vm", &op.wish.pin[VF_TO_VM], err);
	if (!rc)
		rc = pin_param(m, params, "vm_to_vf", &op.wish.pin[VM_TO_VF], err);
	return rc ? rc : submit(m, id, &op, req, true, err);
}

static int do_log_level(struct manager *m, struct rpc_request *req, json_object *params,
			struct err *err)
{
	json_object *result;
	unsigned int level;

	if (json_object_object_get_ex(params, "level", NULL)) {
		int rc = param_uint(params, "level", LOG_DEBUG, &level, err);

		if (rc)
			return rc;
		log_notice("log level is %u now", level);
		log_set_level(level);
		relays_set_log_level(m, level);
	}
	result = json_object_new_object();
	json_put_int(result, "level", log_level());
	rpc_reply(req, result);
	return 0;
}

static int do_config(struct manager *m, struct rpc_request *req, json_object *params,
		     struct err *err)
{
	rpc_reply(req, config_to_json(m->cfg));
	return 0;
}

static int do_reload(struct manager *m, struct rpc_request *req, json_object *params,
		     struct err *err)
{
	json_object *result, *warnings = json_object_new_array();
	int rc = manager_reload(m, warnings, err);

	if (rc) {
		json_object_put(warnings);
		return rc;
	}
	result = json_object_new_object();
	json_object_object_add(result, "warnings", warnings);
	rpc_reply(req, result);
	return 0;
}

static int do_version(struct manager *m, struct rpc_request *req, json_object *params,
		      struct err *err)
{
	json_object *result = json_object_new_object();
	const char *dpdk = NULL;

	for (unsigned int i = 0; i < MANAGER_MAX_PROCESSES && !dpdk; i++) {
		if (m->processes[i] && m->processes[i]->dpdk[0])
			dpdk = m->processes[i]->dpdk;
	}
	json_put_text(result, "version", VIO4WD_VERSION);
	json_put_int(result, "pid", getpid());
	json_put_text(result, "dpdk", dpdk);
	json_put_text(result, "config_file", m->config_file);
	json_put_int(result, "started", m->started);
	json_object_object_add(result, "port_control", port_control_json(m->port_control));
	rpc_reply(req, result);
	return 0;
}

static const struct {
	const char *name;
	method_fn run;
} methods[] = {
	{ "status", do_status },
	{ "show", do_show },
	{ "add", do_add },
	{ "remove", do_remove },
	{ "pin", do_pin },
	{ "backend", do_backend },
	{ "stats", do_stats },
	{ "relays", do_relays },
	{ "log-level", do_log_level },
	{ "config", do_config },
	{ "reload", do_reload },
	{ "version", do_version },
	{ "vf-list", svc_vf_list },
	{ "vf-create", svc_vf_create },
	{ "vf-destroy", svc_vf_destroy },
	{ "vdpa-list", svc_vdpa_list },
};

static void on_request(struct rpc_conn *conn, struct rpc_request *req, const char *method,
		       json_object *params, int *fds, size_t n_fds, void *userdata)
{
	struct svc_control *svc = userdata;
	struct err err = { 0 };

	if (!req)
		return;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, method))
			continue;
		if (methods[i].run(svc->m, req, params, &err) < 0)
			rpc_reply_error(req, &err);
		return;
	}
	err_set(&err, -EOPNOTSUPP, "method", "unknown method '%.64s'", method);
	rpc_reply_error(req, &err);
}

static void on_closed(struct rpc_conn *conn, const struct err *err, void *userdata)
{
	if (err->code)
		log_debug("control: a client was disconnected: %s", err->text);
}

int svc_control_new(struct svc_control **result, struct manager *m, struct err *err)
{
	static const struct rpc_handlers handlers = { .request = on_request, .closed = on_closed };
	const struct group *group = getgrnam("vio4wd");
	struct svc_control *svc = calloc(1, sizeof(*svc));
	int fd, rc;

	if (!svc)
		return err_set(err, -ENOMEM, "start", "out of memory");
	svc->m = m;
	manager_path(m, svc->path, sizeof(svc->path), "control");
	fd = rpc_listen(svc->path, 0660, err);
	if (fd < 0) {
		free(svc);
		return fd;
	}
	if (group && chown(svc->path, -1, group->gr_gid) < 0)
		log_warning("%s: cannot give it to group vio4wd: %s", svc->path, strerror(errno));
	rc = rpc_server_new(&svc->server, m->event, fd, &handlers, svc);
	if (rc < 0) {
		free(svc);
		return err_set(err, rc, "start", "control endpoint: %s", strerror(-rc));
	}
	*result = svc;
	return 0;
}

void svc_control_free(struct svc_control *svc)
{
	if (!svc)
		return;
	rpc_server_free(svc->server);
	free(svc);
}
