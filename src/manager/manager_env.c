/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How a pairing's steps are done: by calls to relay processes, with the socket's file looked after
 * before and behind them. All calls return at once; their ends come as events.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/packet_socket.h"
#include "manager/bindings.h"
#include "manager/device.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/port_control.h"
#include "manager/sampler.h"
#include "manager/spares.h"
#include "manager/vdpa_make.h"
#include "manager/vdpas.h"

#define PACKET_SOCKETS_MIN 4
#define PACKET_SOCKETS_MAX 16

static struct manager *manager_of(const struct pairing *p)
{
	return p->env->ctx;
}

static uint64_t env_now(void *ctx)
{
	return manager_now_us(ctx);
}

static uint64_t env_stable(void *ctx)
{
	const struct manager *m = ctx;

	return m->cfg->vdpa_stable_s * 1000000ull;
}

static int on_alarm(sd_event_source *source, uint64_t usec, void *userdata)
{
	pairing_run(userdata);
	return 0;
}

static void env_wake_at(struct pairing *p, uint64_t at_us)
{
	struct pairing_extra *extra = manager_extra(p);

	if (!at_us) {
		if (extra->alarm)
			sd_event_source_set_enabled(extra->alarm, SD_EVENT_OFF);
	} else if (extra->alarm) {
		sd_event_source_set_time(extra->alarm, at_us);
		sd_event_source_set_enabled(extra->alarm, SD_EVENT_ONESHOT);
	} else if (sd_event_add_time(extra->m->event, &extra->alarm, CLOCK_MONOTONIC, at_us, 1000,
				     on_alarm, p) < 0) {
		log_error("relay %u: no timer; the next try comes with the next event", p->id);
	}
}

/* A path that another relay id is still giving back. */
static bool path_held_by_other(const struct pairing *p, struct err *err)
{
	const struct manager *m = manager_of(p);

	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (&m->pairings[id] != p && !strcmp(m->pairings[id].seen.socket, p->step_socket)) {
			err_set(err, -EAGAIN, "socket", "waiting until relay %u has given back %s",
				id, p->step_socket);
			return true;
		}
	}
	return false;
}

/* The socket file of an endpoint that is gone. */
void manager_socket_gone(struct manager *m, struct pairing *p)
{
	if (!m->cfg->vhost_client)
		socket_remove(p->step_socket, &m->extra[p->id].socket);
	m->extra[p->id].socket.ino = 0;
}

static void after_endpoint_add(struct manager *m, struct pairing *p)
{
	struct err err;

	if (!m->cfg->vhost_client &&
	    socket_give(p->step_socket, &m->owner, &m->extra[p->id].socket, &err) < 0)
		log_warning("relay %u: %s", p->id, err.text);
}

static void log_attached(const struct pairing *p, json_object *result)
{
	const uint64_t took = manager_now_us(manager_of(p)) - manager_extra(p)->attached_us;

	log_info(
		"relay %u: %s attached in %.1f ms (%s, MAC %s, %lld receive and %lld transmit queues)",
		p->id, pairing_target_name(p), took / 1e3,
		json_get_text(result, "driver", "no driver name"),
		json_get_text(result, "mac", "unknown"),
		(long long)json_get_int(result, "rx_queues", 0),
		(long long)json_get_int(result, "tx_queues", 0));
}

/* "mode" and "mode_reason" of a vDPA device; what is missing stays as it was. */
void manager_take_mode(struct pairing *p, const char *mode, const char *reason)
{
	struct pairing_extra *extra = manager_extra(p);

	if (mode)
		snprintf(extra->mode, sizeof(extra->mode), "%s", mode);
	if (reason)
		snprintf(extra->mode_reason, sizeof(extra->mode_reason), "%s", reason);
}

static void step_done(json_object *result, const struct err *err, void *userdata)
{
	struct pairing *p = userdata;
	struct manager *m = manager_of(p);
	const enum pairing_step step = p->step;
	/* The relay lets a device that is taken away go by itself. */
	const bool gone = step == STEP_DETACH && (err->code == -ENOENT || err->code == -ENODEV);

	if (step == STEP_ATTACH)
		fault_point("attach.done");
	if (step == STEP_DETACH)
		fault_point("detach.done");
	if (err->code && err->code != -ECONNRESET && !gone && m->phase != MANAGER_STOPPING)
		log_error("relay %u: %s: %s", p->id, pairing_step_name(step), err->text);
	if (!err->code && step == STEP_ENDPOINT_ADD)
		after_endpoint_add(m, p);
	if (!err->code && (step == STEP_ATTACH || step == STEP_MEMBERS))
		bonds_told(p, json_get_member(result, "members", json_type_array), true);
	if (!err->code && step == STEP_ATTACH) {
		log_attached(p, result);
		if (p->step_backend == POLICY_VDPA)
			vdpas_learn(m->vdpas, p->id, &p->step_device, result);
		spares_keep_mac(p, p->step_device.text, json_get_text(result, "mac", NULL));
		bonds_keep_mac(p, json_get_text(result, "mac", NULL));
		manager_take_mode(p, json_get_text(result, "mode", ""),
				  json_get_text(result, "mode_reason", ""));
	}
	if (step == STEP_ENDPOINT_REMOVE && (!err->code || err->code == -ENOENT)) {
		memcpy(p->step_socket, p->seen.socket, sizeof(p->step_socket));
		if (m->watch)
			socket_watch_remove(m->watch, p->step_socket);
		manager_socket_gone(m, p);
		sampler_forget_endpoint(m->sampler, p->id);
	}
	pairing_step_done(p, err);
	if (!err->code && (step == STEP_DETACH || step == STEP_ENDPOINT_REMOVE))
		manager_run_all(m);
}

static int call(struct pairing *p, const char *method, json_object *params, const int *fds,
		size_t n_fds, rpc_done_fn done, struct err *err)
{
	const bool device = p->step == STEP_ATTACH || p->step == STEP_DETACH ||
			    p->step == STEP_MODE || p->step == STEP_MEMBERS;
	const int rc =
		relay_call(p->seen.relay, method, params, fds, n_fds,
			   device ? RELAY_DEVICE_TIMEOUT_MS : RELAY_CALL_TIMEOUT_MS, done, p);

	if (rc == -ENOTCONN)
		return err_set(err, -EAGAIN, "relay", "relay process %u is not up",
			       p->seen.relay->number);
	if (rc < 0)
		return err_set(err, rc, "relay", "relay process %u: %s", p->seen.relay->number,
			       strerror(-rc));
	return 0;
}

/* Finds p->seen.relay; -EAGAIN while it is not ready or the endpoint must move first. */
static int place(struct pairing *p, struct err *err)
{
	struct manager *m = manager_of(p);
	struct device_facts facts = { .numa_node = -1 };
	unsigned int ports = 0;
	struct relay *relay;

	if (p->wish.has_device) {
		pairing_decide_target(p, NULL);
		device_look(m->root, pairing_target(p), &facts);
		ports = p->decision.needs_port ? relays_ports_of(pairing_target(p)) : 0;
	}
	/* A process that is being taken over may have it already. */
	if (!p->seen.relay && relays_unknown(m))
		return err_set(err, -EAGAIN, "relay",
			       "waiting until a running relay process says what it serves");
	relay = relays_place(m, p, ports, facts.numa_node, err);
	if (!relay)
		return err->code;
	if (p->move)
		return -EAGAIN;
	p->seen.relay = relay;
	if (relay->state == RELAY_RUNNING)
		return 0;
	if (relay->state == RELAY_FAILED)
		return err_set(err, -EAGAIN, "relay", "waiting for the next start of its relay: %s",
			       relay->reason);
	return err_set(err, -EAGAIN, "relay", "waiting for relay process %u to start",
		       relay->number);
}

static int start_endpoint_add(struct pairing *p, struct err *err)
{
	struct manager *m = manager_of(p);
	json_object *params;
	int rc;

	if (path_held_by_other(p, err))
		return -EAGAIN;
	rc = place(p, err);
	if (rc)
		return rc;
	rc = socket_prepare(p->step_socket, m->cfg->vhost_client, &m->user, err);
	if (rc)
		return rc;
	/* Before the relay's first try to connect: the next one comes a second later. */
	if (m->cfg->vhost_client)
		socket_watch_add(m->watch, p->step_socket);
	params = json_id(p->id);
	json_put_text(params, "socket", p->step_socket);
	json_put_text(params, "mode", m->cfg->vhost_client ? "client" : "server");
	json_put_int(params, "queues", CONFIG_QUEUES_MAX);
	json_put_int(params, "mtu", m->cfg->jumbo ? MANAGER_MTU_JUMBO : MANAGER_MTU_ORDINARY);
	json_put_bool(params, "mrg_rxbuf", m->cfg->mrgbuf);
	json_put_bool(params, "tso", m->cfg->tso);
	return call(p, "endpoint_add", params, NULL, 0, step_done, err);
}

/* What a device is called when a relay opens it. */
static const char *relay_kind(const struct pairing *p)
{
	const enum devname_kind kind = pairing_target(p)->kind;

	if (p->step_backend == POLICY_VDPA)
		return "vdpa";
	return devname_kind_name(kind == DEVNAME_PF_VF ? DEVNAME_PCI : kind);
}

/* path: the character device of a vDPA device. */
static json_object *attach_params(const struct pairing *p, const struct device_facts *facts,
				  const char *path)
{
	const struct devname *dev = pairing_target(p);
	json_object *params = json_id(p->id);
	struct config_vf_options options;
	char pci[PCI_ADDR_STRLEN];

	json_put_text(params, "device", dev->text);
	json_put_text(params, "kind", relay_kind(p));
	json_put_int(params, "mtu",
		     manager_of(p)->cfg->jumbo ? MANAGER_MTU_JUMBO : MANAGER_MTU_ORDINARY);
	if (facts->is_vf) {
		device_vf_options(manager_of(p), &facts->vf, (int)p->id, &options);
		json_put_int(params, "queues", options.queues);
	}
	if (p->step_backend == POLICY_VDPA) {
		json_put_text(params, "path", path);
		return params;
	}
	switch (dev->kind) {
	case DEVNAME_VDEV:
		json_put_text(params, "driver_name", dev->driver_name);
		json_put_text(params, "driver_args", dev->driver_args);
		break;
	case DEVNAME_NETDEV:
		json_put_text(params, "netdev", dev->netdev);
		break;
	case DEVNAME_BOND: /* bonds_params() has what it consists of */
		break;
	case DEVNAME_PCI:
	case DEVNAME_PF_VF:
		json_put_text(params, "pci", pci_addr_format(&facts->pci, pci));
		/* A VM that software serves may be moved to hardware. */
		if (facts->is_vf && p->step_backend == POLICY_SOFTWARE)
			json_object_object_add(params, "hardware",
					       vdpas_hardware(manager_of(p)->vdpas, &facts->vf,
							      options.queues));
		if (p->step_backend == POLICY_DPDK_VDPA)
			json_put_text(params, "vdpa_args", p->decision.dpdk_args);
		break;
	}
	return params;
}

/* Over so many are the flows of a network interface spread: one for each worker, and some more than
 * one for guests with several queues. */
static unsigned int packet_sockets(const struct manager *m)
{
	const unsigned int workers = cpuset_count(&m->cfg->cpu_mask);

	if (workers < PACKET_SOCKETS_MIN)
		return PACKET_SOCKETS_MIN;
	return workers < PACKET_SOCKETS_MAX ? workers : PACKET_SOCKETS_MAX;
}

/* A call about the bond's members. */
static int call_bond(struct pairing *p, const char *method, json_object *params, struct err *err)
{
	int rc = bonds_params(p, params, err);

	if (rc == 0)
		return call(p, method, params, NULL, 0, step_done, err);
	json_object_put(params);
	return rc;
}

/* Its devices are looked after one by one. */
static int start_attach_bond(struct pairing *p, struct err *err)
{
	static const struct device_facts none;

	p->step_has_pci = false;
	manager_extra(p)->attached_us = manager_now_us(manager_of(p));
	return call_bond(p, "attach", attach_params(p, &none, ""), err);
}

static int start_attach(struct pairing *p, struct err *err)
{
	struct manager *m = manager_of(p);
	int fds[PACKET_SOCKETS_MAX], n_fds = 0, rc;
	char path[VDPA_PATH_MAX] = "";
	struct device_facts facts;

	if (device_held_by_other(p, err))
		return -EAGAIN;
	rc = place(p, err);
	if (rc)
		return rc;
	if (pairing_target(p)->kind == DEVNAME_BOND)
		return start_attach_bond(p, err);
	device_look(m->root, pairing_target(p), &facts);
	if (!facts.present)
		return device_missing(pairing_target(p), err);
	if (p->step_backend == POLICY_VDPA) {
		rc = vdpas_path(p, path, sizeof(path), err);
		if (rc < 0)
			return rc;
	}
	if (pairing_target(p)->kind == DEVNAME_NETDEV) {
		n_fds = packet_socket_open(pairing_target(p)->netdev, packet_sockets(m), fds, err);
		if (n_fds < 0)
			return n_fds;
	}
	p->step_ifindex = facts.ifindex;
	p->step_has_pci = facts.is_pci;
	p->step_pci = facts.pci;
	manager_extra(p)->attached_us = manager_now_us(m);
	rc = call(p, "attach", attach_params(p, &facts, path), fds, n_fds, step_done, err);
	while (n_fds > 0)
		close(fds[--n_fds]);
	return rc;
}

/* A bind or release step has ended. */
static void binding_done(const struct err *err, void *userdata)
{
	struct pairing *p = userdata;

	/* A VF that goes meanwhile is no error. */
	if (err->code)
		log_write(err->code == -ENODEV || err->code == -EAGAIN ? LOG_INFO : LOG_ERR,
			  "relay %u: %s: %s", p->id, pairing_step_name(p->step), err->text);
	/* A driver of vDPA has made its management device, or none. */
	if (p->step == STEP_BIND && p->step_backend == POLICY_VDPA)
		vdpas_expect(manager_of(p)->vdpas);
	pairing_step_done(p, err);
}

static int start_bind(struct pairing *p, struct err *err)
{
	struct manager *m = manager_of(p);
	struct device_facts facts;

	if (device_held_by_other(p, err))
		return -EAGAIN;
	if (relays_unknown(m))
		return err_set(err, -EAGAIN, "relay",
			       "waiting until a running relay process says what it serves");
	if (pairing_target(p)->kind == DEVNAME_BOND)
		return bonds_start_bind(p, err);
	device_look(m->root, pairing_target(p), &facts);
	if (!facts.present)
		return device_missing(pairing_target(p), err);
	p->step_has_pci = true;
	p->step_pci = facts.pci;
	return bindings_take(m->bindings, &facts.pci, p->id, pairing_vdpa_driver(p), binding_done,
			     p, err);
}

/* The end of a step on the vDPA device. */
static void vdpa_done(const struct err *err, void *userdata)
{
	struct pairing *p = userdata;

	if (err->code)
		log_write(err->code == -ENODEV ? LOG_INFO : LOG_ERR, "relay %u: %s: %s", p->id,
			  pairing_step_name(p->step), err->text);
	pairing_step_done(p, err);
}

static int start_provision(struct pairing *p, struct err *err)
{
	struct manager *m = manager_of(p);
	struct device_facts facts;

	if (device_held_by_other(p, err))
		return -EAGAIN;
	device_look(m->root, pairing_target(p), &facts);
	if (!facts.present)
		return device_missing(pairing_target(p), err);
	p->step_has_pci = true;
	p->step_pci = facts.pci;
	return vdpas_make(p, &facts.pci, vdpa_done, p, err);
}

static int start_unprovision(struct pairing *p, struct err *err)
{
	/* A relay may have it open still. */
	if (relays_unknown(manager_of(p)))
		return err_set(err, -EAGAIN, "relay",
			       "waiting until a running relay process says what it serves");
	return vdpas_unmake(p, vdpa_done, p, err);
}

static int call_mode(struct pairing *p, const char *mode, struct err *err);

/* Hardware that was asked for is direct where the device can do that, else shadow. */
static void mode_done(json_object *result, const struct err *err, void *userdata)
{
	struct pairing *p = userdata;
	struct pairing_extra *extra = manager_extra(p);
	struct err again = *err;

	if (err->code == -EOPNOTSUPP && p->step_mode == CONFIG_BACKEND_VDPA && !extra->shadow) {
		extra->shadow = true;
		if (call_mode(p, "shadow", &again) == 0)
			return;
	}
	if (!err->code) {
		manager_take_mode(p, json_get_text(result, "mode", NULL),
				  json_get_text(result, "reason", NULL));
		/* Of one that has just been opened anew, that was the pause. */
		if (!p->switch_us)
			p->switch_us = json_get_int(result, "pause_us", 0);
		pairing_note(p, "%s serves, after a pause of %.1f ms", extra->mode,
			     p->switch_us / 1e3);
	} else if (err->code != -ECONNRESET) {
		log_error("relay %u: %s: %s", p->id, pairing_step_name(p->step), err->text);
	}
	pairing_step_done(p, &again);
}

static int call_mode(struct pairing *p, const char *mode, struct err *err)
{
	json_object *params = json_id(p->id);

	json_put_text(params, "mode", mode);
	return call(p, "mode", params, NULL, 0, mode_done, err);
}

static int start_mode(struct pairing *p, struct err *err)
{
	static const char *const modes[] = {
		[CONFIG_BACKEND_AUTO] = "auto",
		[CONFIG_BACKEND_VDPA] = "direct",
		[CONFIG_BACKEND_SW] = "software",
	};

	manager_extra(p)->shadow = false;
	return call_mode(p, modes[p->step_mode], err);
}

static int start_release(struct pairing *p, struct err *err)
{
	struct manager *m = manager_of(p);
	struct pci_addr keep[BOND_MEMBERS_MAX];
	size_t n_keep = 0;

	/* A relay may have it open still. */
	if (relays_unknown(m))
		return err_set(err, -EAGAIN, "relay",
			       "waiting until a running relay process says what it serves");
	if (p->wish.has_device)
		n_keep = device_functions(m, pairing_target(p), keep);
	return bindings_give_back(m->bindings, (int)p->id, keep, n_keep, binding_done, p, err);
}

static int start_pin(struct pairing *p, struct err *err)
{
	json_object *params = json_id(p->id);

	json_put_int(params, "vf_to_vm", p->step_pin[VF_TO_VM]);
	json_put_int(params, "vm_to_vf", p->step_pin[VM_TO_VF]);
	return call(p, "pin", params, NULL, 0, step_done, err);
}

static int env_start(struct pairing *p, enum pairing_step step, struct err *err)
{
	struct manager *m = manager_of(p);

	if (m->phase == MANAGER_STOPPING)
		return err_set(err, -EAGAIN, "stop", "vio4wd is being stopped");
	switch (step) {
	case STEP_DETACH:
		return call(p, "detach", json_id(p->id), NULL, 0, step_done, err);
	case STEP_ENDPOINT_REMOVE:
		return call(p, "endpoint_remove", json_id(p->id), NULL, 0, step_done, err);
	case STEP_ENDPOINT_ADD:
		return start_endpoint_add(p, err);
	case STEP_PIN:
		return start_pin(p, err);
	case STEP_BIND:
		return start_bind(p, err);
	case STEP_RELEASE:
		return start_release(p, err);
	case STEP_PROVISION:
		return start_provision(p, err);
	case STEP_UNPROVISION:
		return start_unprovision(p, err);
	case STEP_ATTACH:
		return start_attach(p, err);
	case STEP_MEMBERS:
		return call_bond(p, "members", json_id(p->id), err);
	case STEP_MODE:
		return start_mode(p, err);
	case STEP_NONE:
		break;
	}
	return err_set(err, -EINVAL, "step", "unknown step");
}

static void log_state(struct pairing *p)
{
	char reason[sizeof(p->failed[0].error.text)];
	const char *name = p->wish.has_device ? p->wish.name : "no device";

	pairing_reason(p, reason, sizeof(reason));
	switch (p->state) {
	case PAIRING_FAILED:
		log_error("relay %u: failed: %s", p->id, reason);
		break;
	case PAIRING_ABSENT:
		log_warning("relay %u: %s", p->id, reason);
		break;
	case PAIRING_PROBING:
	case PAIRING_BINDING:
	case PAIRING_PROVISIONING:
		log_debug("relay %u: %s: %s", p->id, pairing_state_name(p->state), name);
		break;
	default:
		log_info("relay %u: %s (%s)", p->id, pairing_state_name(p->state), name);
		break;
	}
}

static void env_changed(struct pairing *p)
{
	const struct manager *m = manager_of(p);

	if (m->phase == MANAGER_STOPPING)
		return;
	log_state(p);
	port_control_changed(m->port_control, false);
}

void manager_env_init(struct manager *m)
{
	m->env = (struct pairing_env){
		.now_us = env_now,
		.start = env_start,
		.admit = env_admit,
		.look = env_look,
		.find_spare = spares_find,
		.is_spare = spares_may_stand_in,
		.spare_failed = spares_failed,
		.vdpa = vdpas_facts,
		.stable_us = env_stable,
		.wake_at = env_wake_at,
		.changed = env_changed,
		.finish = saving_finish,
		.ctx = m,
	};
}
