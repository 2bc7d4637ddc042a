/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What is taken as it appears. VIO4WD_AUTO_VFS gives a VF to its relay id once, when it comes: a
 * pairing that somebody removes stays removed until the VF goes and comes again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "manager/bindings.h"
#include "manager/device.h"
#include "manager/manager.h"
#include "manager/vfs.h"

static const struct config_auto_vfs *auto_entry(const struct config *cfg, unsigned int id)
{
	const struct config_auto_vfs *best = NULL;

	for (size_t i = 0; i < cfg->n_auto_vfs; i++) {
		const struct config_auto_vfs *entry = &cfg->auto_vfs[i];

		/* The one that begins nearest below: ranges of PFs follow one another. */
		if (entry->first_id <= id && (!best || entry->first_id > best->first_id))
			best = entry;
	}
	return best;
}

bool vf_auto_wish(const struct manager *m, unsigned int id, struct pairing_wish *wish)
{
	const struct config_auto_vfs *entry = auto_entry(m->cfg, id);
	char text[DEVNAME_MAX];
	struct pci_addr pf, vf;

	if (!entry || pf_find(m->root, entry->pf, &pf, NULL) < 0 ||
	    pf_vf(m->root, &pf, id - entry->first_id, &vf) < 0)
		return false;
	if (spares_name(m, &vf))
		return false;
	snprintf(text, sizeof(text), "%s.vf%u", entry->pf, id - entry->first_id);
	return wishes_device(m, text, wish, NULL) == 0;
}

bool vf_auto_covers(const struct manager *m, unsigned int id, const struct pairing_wish *wish)
{
	const struct config_auto_vfs *entry = auto_entry(m->cfg, id);
	struct pairing_wish named;
	char text[DEVNAME_MAX];

	if (!entry)
		return false;
	snprintf(text, sizeof(text), "%s.vf%u", entry->pf, id - entry->first_id);
	return wishes_device(m, text, &named, NULL) == 0 &&
	       !strcmp(named.device.text, wish->device.text);
}

bool vf_auto_binds(const struct manager *m, const struct vf *vf)
{
	/* A spare is bound when it is taken, and given back afterwards with all that its PF was
	 * told. */
	if (spares_name(m, &vf->addr))
		return false;
	for (size_t i = 0; i < m->cfg->n_bind_vfio_pci; i++) {
		const struct config_bind *entry = &m->cfg->bind_vfio_pci[i];

		if (entry->is_pci ? pci_addr_equal(&entry->pci, &vf->addr)
				  : !strcmp(entry->netdev, vf->pf_netdev) &&
					    (!entry->count || vf->index < entry->count))
			return true;
	}
	return false;
}

static void added(struct pairing *p, const struct err *err, void *userdata)
{
	if (err->code)
		log_error("VIO4WD_AUTO_VFS: relay %u: %s", p->id, err->text);
}

static void add(struct pairing *p, const struct pairing_wish *wish)
{
	struct manager *m = p->env->ctx;
	struct pairing_op op = { .kind = OP_ADD,
				 .conditional = true,
				 .accept_absent = true,
				 .keep_failed = true,
				 .make_socket = true,
				 .done = added };
	struct err err;

	op.wish = *wish;
	op.wish.backend = m->cfg->backend;
	op.wish.origin = PAIRING_ORIGIN_AUTO;
	op.deadline_us = manager_now_us(m) + MANAGER_CONTROL_TIMEOUT_US;
	if (config_socket_path(m->cfg, p->id, op.wish.socket, &err) < 0 ||
	    pairing_submit(p, &op, &err) < 0)
		log_error("VIO4WD_AUTO_VFS: relay %u: %s", p->id, err.text);
}

static void pair_new_vfs(struct manager *m)
{
	for (unsigned int id = 0; m->cfg->n_auto_vfs && id < m->max_relays; id++) {
		struct pairing_extra *extra = &m->extra[id];
		struct pairing *p = &m->pairings[id];
		struct pairing_wish wish = { 0 };
		const bool there = vf_auto_wish(m, id, &wish);
		const bool came = there && !extra->auto_there;

		extra->auto_there = there;
		if (!came || (p->wish.has_device && p->wish.origin == PAIRING_ORIGIN_AUTO))
			continue;
		if (p->wish.has_device)
			log_warning("VIO4WD_AUTO_VFS: relay %u has %s (%s): %s is not paired", id,
				    p->wish.name, pairing_origin_name(p->wish.origin), wish.name);
		else
			add(p, &wish);
	}
}

static void bound(const struct err *err, void *userdata)
{
	if (err->code)
		log_error("VIRTIOFWD_BIND_VFIO_PCI: %s", err->text);
}

static bool wished(const struct manager *m, const struct pci_addr *addr)
{
	for (unsigned int id = 0; id < m->max_relays; id++) {
		const struct pairing *p = &m->pairings[id];

		if (p->wish.has_device && device_has_function(m, &p->wish.device, addr))
			return true;
	}
	return false;
}

/* Each is tried once, when it comes. */
static void bind_new_vfs(struct manager *m)
{
	struct vf *vfs = NULL;
	size_t n = 0;

	if (!m->cfg->n_bind_vfio_pci || vf_enumerate(m->root, &vfs, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct err err;

		if (!vf_auto_binds(m, &vfs[i]) || !bindings_wanted(m->bindings, &vfs[i].addr) ||
		    wished(m, &vfs[i].addr))
			continue;
		if (bindings_take(m->bindings, &vfs[i].addr, BINDING_BY_CONFIG, NULL, bound, NULL,
				  &err) < 0 &&
		    err.code != -EAGAIN)
			bound(&err, NULL);
	}
	free(vfs);
}

static void gave_back(const struct err *err, void *userdata)
{
	if (err->code)
		log_error("VIRTIOFWD_BIND_VFIO_PCI: a VF that it no longer names: %s", err->text);
}

void vf_auto_run(struct manager *m)
{
	struct err err;

	bindings_forget_gone(m->bindings);
	while (bindings_surplus(m->bindings, BINDING_BY_CONFIG, NULL, 0)) {
		if (bindings_give_back(m->bindings, BINDING_BY_CONFIG, NULL, 0, gave_back, NULL,
				       &err) < 0)
			break;
	}
	pair_new_vfs(m);
	bind_new_vfs(m);
}
