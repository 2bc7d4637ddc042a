/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Where wishes come from. The configuration says what every relay id starts with (its base); the
 * state file holds those ids whose wish was changed at run time, and wins over the configuration
 * when a manager starts again after a crash.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "manager/bindings.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/vfs.h"

int wishes_bond(const struct manager *m, const char *name, unsigned int mode,
		const char *const *members, size_t n, struct pairing_wish *wish, struct err *err)
{
	struct devname devices[BOND_MEMBERS_MAX];
	int rc = devname_bond_check_count(name, n, err);

	for (size_t i = 0; i < n && !rc; i++) {
		rc = config_resolve_device(m->cfg, members[i], &devices[i], err);
		for (size_t j = 0; j < i && !rc; j++) {
			if (device_is_same(m, &devices[i], &devices[j]))
				return err_set(err, -EINVAL, "bond members",
					       "%s: %s and %s are the same device", name,
					       members[j], members[i]);
		}
	}
	if (!rc)
		rc = devname_bond_make(&wish->device, name, mode, devices, n, err);
	snprintf(wish->name, sizeof(wish->name), "%s", name);
	return rc;
}

static int bond_from_text(const struct manager *m, const char *text, struct pairing_wish *wish,
			  struct err *err)
{
	struct devname members[BOND_MEMBERS_MAX], bond;
	const char *names[BOND_MEMBERS_MAX];
	const int n = devname_bond_parse(&bond, text, members, err);

	for (int i = 0; i < n; i++)
		names[i] = members[i].text;
	return n < 0 ? n : wishes_bond(m, bond.driver_name, bond.mode, names, (size_t)n, wish, err);
}

int wishes_device(const struct manager *m, const char *text, struct pairing_wish *wish,
		  struct err *err)
{
	struct devname plain;
	const char *name = text;
	int rc;

	if (devname_is_bond(text))
		return bond_from_text(m, text, wish, err);
	rc = config_resolve_device(m->cfg, text, &wish->device, err);
	if (rc < 0)
		return rc;
	if (devname_parse(&plain, text, NULL) == 0)
		name = plain.text;
	snprintf(wish->name, sizeof(wish->name), "%s", wish->device.text);
	for (size_t i = 0; i < m->cfg->n_aliases; i++) {
		if (!strcmp(m->cfg->aliases[i].name, name))
			snprintf(wish->name, sizeof(wish->name), "%s", name);
	}
	return 0;
}

int wishes_device_of(const struct manager *m, const struct pairing *p, const char *text,
		     struct pairing_wish *wish, struct err *err)
{
	int rc = 0;

	if (!strncmp(text, BOND_PREFIX, strlen(BOND_PREFIX)))
		snprintf(wish->name, sizeof(wish->name), "%s", text);
	else
		rc = wishes_device(m, text, wish, err);
	if (!rc && p && p->wish.has_device &&
	    (!strcmp(p->wish.name, wish->name) ||
	     device_is_same(m, &p->wish.device, &wish->device)))
		wish->device = p->wish.device;
	return rc;
}

bool wishes_pin_is_worker(const struct manager *m, int cpu)
{
	return cpu >= 0 && cpu <= CPUSET_MAX_CPU && cpuset_has(&m->cfg->cpu_mask, cpu);
}

static const struct config_pairing *static_pairing(const struct config *cfg, unsigned int id)
{
	for (size_t i = 0; i < cfg->n_static_vfs; i++) {
		if (cfg->static_vfs[i].id == id)
			return &cfg->static_vfs[i];
	}
	return NULL;
}

/* The wish of an id as the configuration alone has it. */
static void base_wish(const struct manager *m, unsigned int id, struct pairing_wish *wish)
{
	const struct config_pairing *pairing = static_pairing(m->cfg, id);
	struct err err;

	memset(wish, 0, sizeof(*wish));
	wish->pin[VF_TO_VM] = wish->pin[VM_TO_VF] = -1;
	wish->backend = m->cfg->backend;
	if (pairing && wishes_device(m, pairing->device, wish, &err) == 0) {
		wish->has_device = true;
		wish->origin = PAIRING_ORIGIN_STATIC;
	} else if (pairing) {
		log_error("VIRTIOFWD_STATIC_VFS: relay %u: %s", id, err.text);
	} else if (vf_auto_wish(m, id, wish)) {
		wish->has_device = true;
		wish->origin = PAIRING_ORIGIN_AUTO;
	}
	if (!m->cfg->dynamic_sockets || wish->has_device) {
		if (config_socket_path(m->cfg, id, wish->socket, &err) < 0)
			log_error("relay %u: %s", id, err.text);
		wish->socket_with_device = m->cfg->dynamic_sockets;
	}
	for (size_t i = 0; i < m->cfg->n_cpu_pins; i++) {
		if (m->cfg->cpu_pins[i].id == id) {
			wish->pin[VF_TO_VM] = m->cfg->cpu_pins[i].vf_to_vm;
			wish->pin[VM_TO_VF] = m->cfg->cpu_pins[i].vm_to_vf;
		}
	}
}

static bool same_socket(const struct pairing_wish *a, const struct pairing_wish *b)
{
	return !strcmp(a->socket, b->socket);
}

static bool same_device(const struct pairing_wish *a, const struct pairing_wish *b)
{
	return a->has_device == b->has_device && !strcmp(a->device.text, b->device.text) &&
	       (!a->has_device || (a->backend == b->backend && a->origin == b->origin &&
				   a->handed_out == b->handed_out && !strcmp(a->port, b->port)));
}

static bool same_pins(const struct pairing_wish *a, const struct pairing_wish *b)
{
	return !memcmp(a->pin, b->pin, sizeof(a->pin));
}

static bool same_wish(const struct pairing_wish *a, const struct pairing_wish *b)
{
	return same_socket(a, b) && same_device(a, b) && same_pins(a, b);
}

void wishes_from_config(struct manager *m)
{
	for (unsigned int id = 0; id < m->max_relays; id++) {
		struct pairing_wish *wish = &m->pairings[id].wish;

		base_wish(m, id, wish);
		m->extra[id].auto_there = wish->origin == PAIRING_ORIGIN_AUTO;
	}
}

/* Only what differs from the configuration: the rest follows it. */
static json_object *wish_to_json(unsigned int id, const struct pairing_wish *wish,
				 const struct pairing_wish *base)
{
	json_object *entry = json_id(id);

	if (!same_socket(wish, base)) {
		json_put_text(entry, "socket", wish->socket);
		json_put_bool(entry, "socket_with_device", wish->socket_with_device);
	}
	if (!same_device(wish, base)) {
		json_put_text(entry, "device",
			      !wish->has_device			  ? ""
			      : wish->device.kind == DEVNAME_BOND ? wish->device.text
								  : wish->name);
		json_put_text(entry, "backend", config_backend_name(wish->backend));
		json_put_text(entry, "origin", pairing_origin_name(wish->origin));
		if (wish->port[0])
			json_put_text(entry, "port", wish->port);
		if (wish->handed_out)
			json_put_bool(entry, "handed_out", true);
	}
	if (!same_pins(wish, base)) {
		json_put_int(entry, "pin_vf_to_vm", wish->pin[VF_TO_VM]);
		json_put_int(entry, "pin_vm_to_vf", wish->pin[VM_TO_VF]);
	}
	return entry;
}

json_object *wishes_to_json(const struct manager *m)
{
	json_object *state = json_object_new_object();
	json_object *entries = json_object_new_array();
	struct pairing_wish base;

	for (unsigned int id = 0; id < m->max_relays; id++) {
		base_wish(m, id, &base);
		if (!same_wish(&base, &m->pairings[id].wish))
			json_object_array_add(entries,
					      wish_to_json(id, &m->pairings[id].wish, &base));
	}
	json_put_int(state, "version", 1);
	json_object_object_add(state, "relays", entries);
	json_object_object_add(state, "bindings", bindings_to_json(m->bindings));
	json_object_object_add(state, "vfs", vf_counts_to_json(m->vf_counts));
	return state;
}

bool wishes_worth_keeping(const struct manager *m)
{
	struct pairing_wish base;

	if ((m->bindings && bindings_any(m->bindings)) ||
	    (m->vf_counts && vf_counts_any(m->vf_counts)))
		return true;
	for (unsigned int id = 0; m->pairings && id < m->max_relays; id++) {
		base_wish(m, id, &base);
		if (!same_wish(&base, &m->pairings[id].wish))
			return true;
	}
	return false;
}

static int socket_from_json(json_object *entry, struct pairing_wish *wish, struct err *err)
{
	const char *socket = json_get_text(entry, "socket", NULL);

	if (!socket)
		return 0;
	if (strlen(socket) >= sizeof(wish->socket))
		return err_set(err, -ENAMETOOLONG, "state file", "a socket path is too long");
	snprintf(wish->socket, sizeof(wish->socket), "%s", socket);
	wish->socket_with_device = json_get_bool(entry, "socket_with_device", false);
	return 0;
}

static int device_from_json(const struct manager *m, json_object *entry, struct pairing_wish *wish,
			    struct err *err)
{
	const char *device = json_get_text(entry, "device", NULL);

	if (!device)
		return 0;
	wish->has_device = false;
	wish->name[0] = '\0';
	memset(&wish->device, 0, sizeof(wish->device));
	wish->origin = PAIRING_ORIGIN_NONE;
	wish->port[0] = '\0';
	wish->handed_out = json_get_bool(entry, "handed_out", false);
	if (!*device)
		return 0;
	if (config_backend_parse(json_get_text(entry, "backend", "auto"), &wish->backend) < 0)
		return err_set(err, -EINVAL, "state file", "unknown backend");
	if (wishes_device(m, device, wish, err) < 0)
		return err->code;
	wish->has_device = true;
	if (pairing_origin_parse(json_get_text(entry, "origin", ""), &wish->origin) < 0)
		wish->origin = PAIRING_ORIGIN_CONTROL;
	snprintf(wish->port, sizeof(wish->port), "%s", json_get_text(entry, "port", ""));
	return 0;
}

static void pins_from_json(const struct manager *m, json_object *entry, struct pairing_wish *wish)
{
	static const char *const keys[N_DIRECTIONS] = { "pin_vf_to_vm", "pin_vm_to_vf" };

	for (int i = 0; i < N_DIRECTIONS; i++) {
		const int64_t cpu = json_get_int(entry, keys[i], -2);

		if (cpu == -1 || wishes_pin_is_worker(m, cpu))
			wish->pin[i] = cpu;
	}
}

static bool device_is_taken(const struct manager *m, unsigned int id,
			    const struct pairing_wish *wish)
{
	for (unsigned int other = 0; other < m->max_relays; other++) {
		if (other != id && wish->has_device && m->pairings[other].wish.has_device &&
		    device_is_same(m, &m->pairings[other].wish.device, &wish->device))
			return true;
	}
	return false;
}

static int wish_from_json(const struct manager *m, unsigned int id, json_object *entry,
			  struct pairing_wish *wish, struct err *err)
{
	int rc = socket_from_json(entry, wish, err);

	if (!rc)
		rc = device_from_json(m, entry, wish, err);
	if (!rc && device_is_taken(m, id, wish))
		rc = err_set(err, -EBUSY, "state file", "%s has another relay now", wish->name);
	pins_from_json(m, entry, wish);
	return rc;
}

static void restore_entry(struct manager *m, json_object *entry)
{
	const int64_t id = json_get_int(entry, "id", -1);
	struct pairing_wish wish;
	struct err err;

	if (id < 0 || id >= m->max_relays) {
		log_warning("state file: relay id %lld is out of range: ignored", (long long)id);
		return;
	}
	wish = m->pairings[id].wish;
	if (wish_from_json(m, id, entry, &wish, &err) < 0) {
		log_warning("state file: relay %lld: %s: ignored", (long long)id, err.text);
		return;
	}
	/* Whether every id has a socket is the configuration's business. */
	if (!m->cfg->dynamic_sockets)
		memcpy(wish.socket, m->pairings[id].wish.socket, sizeof(wish.socket));
	m->pairings[id].wish = wish;
	log_info("relay %lld: %s, as it was set at run time", (long long)id,
		 wish.has_device ? wish.name : "no device");
}

void wishes_restore(struct manager *m)
{
	json_object *state = NULL, *entries;
	char path[4096];
	struct err err;

	manager_path(m, path, sizeof(path), "state.json");
	if (state_file_load(path, &state, &err) < 0)
		log_error("%s", err.text);
	entries = json_get_member(state, "relays", json_type_array);
	for (size_t i = 0; entries && i < json_object_array_length(entries); i++)
		restore_entry(m, json_object_array_get_idx(entries, i));
	bindings_from_json(m->bindings, json_get_member(state, "bindings", json_type_array));
	vf_counts_from_json(m->vf_counts, json_get_member(state, "vfs", json_type_array));
	json_object_put(state);
}

static void applied(struct pairing *p, const struct err *err, void *userdata)
{
	if (err->code)
		log_error("reload: relay %u: %s", p->id, err->text);
}

static void submit(struct pairing *p, struct pairing_op *op)
{
	struct manager *m = p->env->ctx;
	struct err err;

	op->conditional = true;
	op->done = applied;
	op->deadline_us = manager_now_us(m) + MANAGER_CONTROL_TIMEOUT_US;
	if (pairing_submit(p, op, &err) < 0)
		log_error("reload: %s", err.text);
}

static void reload_device(struct pairing *p, const struct pairing_wish *before,
			  const struct pairing_wish *after)
{
	const struct manager *m = p->env->ctx;
	struct pairing_op op = { .wish = *after };
	/* Of a VF that is absent, neither of the two tells. */
	const bool stays =
		p->wish.origin != PAIRING_ORIGIN_AUTO || vf_auto_covers(m, p->id, &p->wish);

	if (stays && !strcmp(before->device.text, after->device.text))
		return;
	if (p->wish.has_device && p->wish.origin != PAIRING_ORIGIN_STATIC &&
	    p->wish.origin != PAIRING_ORIGIN_AUTO) {
		log_warning("reload: relay %u has %s by %s; its static pairing is not applied",
			    p->id, p->wish.name, pairing_origin_name(p->wish.origin));
		return;
	}
	if (p->wish.has_device) {
		op.kind = OP_REMOVE;
		submit(p, &op);
	}
	if (after->has_device) {
		op.kind = OP_ADD;
		op.accept_absent = op.keep_failed = op.make_socket = true;
		submit(p, &op);
	}
}

void wishes_reload(struct manager *m, const struct config *before)
{
	struct manager old = { .cfg = (struct config *)before, .root = m->root };
	struct pairing_wish was, is;

	for (unsigned int id = 0; id < m->max_relays; id++) {
		struct pairing_op op = { .kind = OP_PIN };

		base_wish(&old, id, &was);
		base_wish(m, id, &is);
		reload_device(&m->pairings[id], &was, &is);
		op.wish = is;
		if (memcmp(was.pin, is.pin, sizeof(was.pin)))
			submit(&m->pairings[id], &op);
	}
	saving_changed(m);
}
