/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/bonds.h"

#include <errno.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "manager/bindings.h"
#include "manager/device.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/vfs.h"

static struct bond *bond_of(const struct pairing *p)
{
	return &manager_extra(p)->bond;
}

static bool is_attached(const struct pairing *p)
{
	return p->seen.device.text[0] && !strcmp(p->seen.device.text, p->wish.device.text);
}

/* It is there and has not failed just now. */
static bool usable(const struct pairing *p, const struct bond_member *m)
{
	return m->there && (!m->err.code || p->env->now_us(p->env->ctx) >= m->retry_at_us);
}

static void failed(struct pairing *p, struct bond_member *m, int code, const char *text)
{
	uint64_t delay = PAIRING_RETRY_MIN_US << (m->failures < 6 ? m->failures : 6);

	if (delay > PAIRING_RETRY_MAX_US)
		delay = PAIRING_RETRY_MAX_US;
	if (strcmp(m->err.text, text))
		pairing_note(p, "%s", text);
	err_set(&m->err, code, "bond", "%s", text);
	m->failures++;
	m->retry_at_us = p->env->now_us(p->env->ctx) + delay;
}

static void look_at_member(struct pairing *p, struct bond_member *member)
{
	const struct manager *m = p->env->ctx;
	struct device_facts facts;
	uint64_t instance;

	device_look(m->root, &member->device, &facts);
	instance = facts.instance;
	if (instance != member->instance)
		member->err.code = member->failures = 0;
	member->instance = instance;
	member->there =
		facts.present && !(facts.is_vf && vf_count_on_hold(m->vf_counts, &facts.vf.pf));
	member->has_pci = facts.is_pci;
	member->pci = facts.pci;
	if (facts.is_vf)
		member->ready = bindings_ready(m->bindings, &facts.vf, (int)p->id, NULL);
	else
		member->ready = !facts.is_pci || device_handed_out(m->root, &facts.pci);
}

/* What users have to know of the members; "": all is well. */
static void describe(struct pairing *p)
{
	const struct bond *bond = bond_of(p);
	char *buf = p->seen.members;
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < bond->n && at < sizeof(p->seen.members); i++) {
		const struct bond_member *m = &bond->members[i];
		const char *what = m->in && m->link ? NULL
				   : m->in	    ? " has no link"
				   : !m->there	    ? " is not there"
				   : m->err.code    ? ""
						    : " is being opened";

		if (what)
			at += (size_t)snprintf(buf + at, sizeof(p->seen.members) - at, "%s%s%s",
					       at ? "; " : p->wish.name,
					       at ? "" : " goes on without all of its members: ",
					       m->err.code && !*what ? m->err.text
								     : m->device.text);
		if (what && at < sizeof(p->seen.members))
			at += (size_t)snprintf(buf + at, sizeof(p->seen.members) - at, "%s", what);
	}
}

void bonds_look(struct pairing *p)
{
	struct bond *bond = bond_of(p);
	const bool attached = is_attached(p);
	struct pairing_seen *seen = &p->seen;

	seen->members_differ = false;
	seen->members_at_us = 0;
	seen->member_error = NULL;
	if (!p->wish.has_device || p->wish.device.kind != DEVNAME_BOND) {
		memset(bond, 0, sizeof(*bond));
		return;
	}
	if (strcmp(bond->text, p->wish.device.text)) {
		struct devname members[BOND_MEMBERS_MAX];

		memset(bond, 0, sizeof(*bond));
		memcpy(bond->text, p->wish.device.text, sizeof(bond->text));
		bond->n = devname_bond_members(&p->wish.device, members);
		for (size_t i = 0; i < bond->n; i++)
			bond->members[i].device = members[i];
	}
	seen->present = false;
	seen->ready = true;
	seen->instance = 0;
	for (size_t i = 0; i < bond->n; i++) {
		struct bond_member *m = &bond->members[i];

		look_at_member(p, m);
		m->in &= attached;
		seen->present |= m->there;
		seen->instance += m->there ? m->instance : 0;
		seen->ready &= m->ready || !usable(p, m);
		seen->members_differ |= attached && (m->in ? !m->there : usable(p, m));
		if (m->there && m->err.code && !seen->member_error)
			seen->member_error = &m->err;
		if (m->there && m->err.code && !usable(p, m) &&
		    (!seen->members_at_us || m->retry_at_us < seen->members_at_us))
			seen->members_at_us = m->retry_at_us;
	}
	seen->own = seen->present;
	seen->own_instance = seen->instance;
	if (attached)
		describe(p);
	else
		seen->members[0] = '\0';
}

size_t bonds_functions(const struct pairing *p, struct pci_addr addrs[BOND_MEMBERS_MAX])
{
	const struct bond *bond = bond_of(p);
	size_t n = 0;

	for (size_t i = 0; i < bond->n; i++) {
		if (bond->members[i].has_pci)
			addrs[n++] = bond->members[i].pci;
	}
	return n;
}

const uint8_t *bonds_mac(const struct manager *m, int owner, const struct pci_addr *addr)
{
	struct pci_addr addrs[BOND_MEMBERS_MAX];
	const struct bond *bond = owner < 0 ? NULL : &m->extra[owner].bond;
	const size_t n = bond && bond->has_mac ? bonds_functions(&m->pairings[owner], addrs) : 0;

	for (size_t i = 0; i < n; i++) {
		if (pci_addr_equal(&addrs[i], addr))
			return bond->mac;
	}
	return NULL;
}

void bonds_keep_mac(struct pairing *p, const char *mac)
{
	struct bond *bond = bond_of(p);
	struct ether_addr addr;

	if (!bond->text[0] || !mac || !ether_aton_r(mac, &addr))
		return;
	bond->has_mac = true;
	memcpy(bond->mac, &addr, sizeof(bond->mac));
}

bool bonds_have(const struct pairing *p, const struct pci_addr *addr)
{
	const struct bond *bond = bond_of(p);
	const bool opens =
		p->step == STEP_ATTACH || p->step == STEP_BIND || p->step == STEP_MEMBERS;

	for (size_t i = 0; i < bond->n; i++) {
		const struct bond_member *m = &bond->members[i];

		if ((m->in || opens) && m->has_pci && pci_addr_equal(&m->pci, addr))
			return true;
	}
	return false;
}

/* A bind step has ended. One that failed is its member's: the step itself is done. */
static void bound(const struct err *err, void *userdata)
{
	struct pairing *p = userdata;
	struct bond *bond = bond_of(p);
	const struct manager *m = p->env->ctx;
	const struct err done = { 0 };

	if (!err->code && !bond->has_mac)
		bond->has_mac = bindings_mac(m->bindings, &p->step_pci, bond->mac);
	for (size_t i = 0; err->code && i < bond->n; i++) {
		struct bond_member *member = &bond->members[i];

		if (!member->has_pci || !pci_addr_equal(&member->pci, &p->step_pci))
			continue;
		log_write(err->code == -ENODEV ? LOG_INFO : LOG_ERR, "relay %u: bind: %s", p->id,
			  err->text);
		failed(p, member, err->code, err->text);
	}
	pairing_step_done(p, &done);
}

int bonds_start_bind(struct pairing *p, struct err *err)
{
	const struct manager *m = p->env->ctx;
	struct bond *bond = bond_of(p);
	struct err refused = { 0 };

	for (size_t i = 0; i < bond->n; i++) {
		struct bond_member *member = &bond->members[i];
		int rc;

		if (!usable(p, member) || member->ready || !member->has_pci)
			continue;
		p->step_has_pci = true;
		p->step_pci = member->pci;
		rc = bindings_take(m->bindings, &member->pci, (int)p->id, NULL, bound, p, err);
		if (!rc || rc == -EAGAIN)
			return rc;
		failed(p, member, rc, err->text);
		if (!refused.code)
			refused = *err;
	}
	if (refused.code) {
		*err = refused;
		return refused.code;
	}
	return err_set(err, -EAGAIN, "bind", "waiting for the members of %s", p->wish.name);
}

static json_object *member_json(const struct bond_member *member)
{
	const struct devname *dev = &member->device;
	json_object *json = json_object_new_object();
	char pci[PCI_ADDR_STRLEN];

	json_put_text(json, "device", dev->text);
	if (dev->kind == DEVNAME_VDEV) {
		json_put_text(json, "kind", "vdev");
		json_put_text(json, "driver_name", dev->driver_name);
		json_put_text(json, "driver_args", dev->driver_args);
	} else {
		json_put_text(json, "kind", "pci");
		json_put_text(json, "pci", pci_addr_format(&member->pci, pci));
	}
	return json;
}

int bonds_params(struct pairing *p, json_object *params, struct err *err)
{
	struct bond *bond = bond_of(p);
	json_object *list = json_object_new_array();
	const struct err *first = NULL;

	json_put_text(params, "name", p->wish.device.driver_name);
	json_put_int(params, "bond_mode", p->wish.device.mode);
	json_object_object_add(params, "members", list);
	for (size_t i = 0; i < bond->n; i++) {
		struct bond_member *m = &bond->members[i];

		if (m->in ? m->there : usable(p, m) && m->ready)
			json_object_array_add(list, member_json(m));
		else if (m->there && m->err.code && !first)
			first = &m->err;
	}
	if (json_object_array_length(list))
		return 0;
	if (!first)
		return err_set(err, -EAGAIN, "bond", "waiting for the members of %s", p->wish.name);
	*err = *first;
	return err->code;
}

static void take_told(struct pairing *p, struct bond_member *m, json_object *told, bool answer)
{
	const char *error = json_get_text(told, "error", "");
	const bool was_in = m->in;

	m->in = json_get_bool(told, "in", false);
	m->link = json_get_bool(told, "link", false);
	m->active = json_get_bool(told, "active", false);
	if (m->in && !*error) {
		if (!was_in)
			pairing_note(p, "%s is in %s", m->device.text, p->wish.name);
		m->err.code = m->failures = 0;
	} else if (*error && (answer || was_in)) {
		char text[sizeof(m->err.text)];

		snprintf(text, sizeof(text), "%s%s%s",
			 strstr(error, m->device.text) ? "" : m->device.text,
			 strstr(error, m->device.text) ? "" : ": ", error);
		failed(p, m, -EIO, text);
	}
}

void bonds_told(struct pairing *p, json_object *members, bool answer)
{
	struct bond *bond = bond_of(p);

	for (size_t i = 0; i < bond->n; i++) {
		struct bond_member *m = &bond->members[i];
		json_object *told = NULL;

		for (size_t j = 0; members && j < json_object_array_length(members); j++) {
			json_object *entry = json_object_array_get_idx(members, j);

			if (!strcmp(json_get_text(entry, "device", ""), m->device.text))
				told = entry;
		}
		if (told)
			take_told(p, m, told, answer);
		else
			m->in = m->link = m->active = false;
	}
}

json_object *bonds_json(const struct pairing *p)
{
	const struct bond *bond = bond_of(p);
	char text[PCI_ADDR_STRLEN];
	json_object *json, *list;

	if (!p->wish.has_device || p->wish.device.kind != DEVNAME_BOND)
		return NULL;
	json = json_object_new_object();
	list = json_object_new_array();
	json_put_text(json, "name", p->wish.device.driver_name);
	json_put_int(json, "mode", p->wish.device.mode);
	json_put_text(json, "mode_name", devname_bond_mode_name(p->wish.device.mode));
	json_object_object_add(json, "members", list);
	for (size_t i = 0; i < bond->n; i++) {
		const struct bond_member *m = &bond->members[i];
		json_object *member = json_object_new_object();

		json_put_text(member, "device", m->device.text);
		json_put_text(member, "address",
			      m->has_pci ? pci_addr_format(&m->pci, text) : NULL);
		json_put_bool(member, "there", m->there);
		json_put_bool(member, "in", m->in);
		json_put_bool(member, "link", m->link);
		json_put_bool(member, "active", m->active);
		json_put_text(member, "error", m->there && m->err.code ? m->err.text : NULL);
		json_object_array_add(list, member);
	}
	return json;
}
