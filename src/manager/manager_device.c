/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The devices of pairings: which names mean the same one, who may have it, and what has become of
 * it. Names are compared by what they stand for now: 0000:01:10.0 and ens3.vf0 may be one VF.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "manager/bindings.h"
#include "manager/device.h"
#include "manager/manager.h"
#include "manager/vdpas.h"
#include "manager/vfs.h"

bool device_resolve(const struct manager *m, const struct devname *dev, struct pci_addr *addr)
{
	struct device_facts facts;

	if (dev->kind == DEVNAME_PCI) {
		*addr = dev->pci;
		return true;
	}
	if (dev->kind != DEVNAME_PF_VF)
		return false;
	device_look(m->root, dev, &facts);
	*addr = facts.pci;
	return facts.is_pci;
}

size_t device_functions(const struct manager *m, const struct devname *dev,
			struct pci_addr addrs[BOND_MEMBERS_MAX])
{
	struct devname members[BOND_MEMBERS_MAX];
	size_t n_members, n = 0;

	if (dev->kind != DEVNAME_BOND)
		return device_resolve(m, dev, &addrs[0]);
	n_members = devname_bond_members(dev, members);
	for (size_t i = 0; i < n_members; i++)
		n += device_resolve(m, &members[i], &addrs[n]);
	return n;
}

bool device_has_function(const struct manager *m, const struct devname *dev,
			 const struct pci_addr *addr)
{
	struct pci_addr addrs[BOND_MEMBERS_MAX];
	const size_t n = device_functions(m, dev, addrs);

	for (size_t i = 0; i < n; i++) {
		if (pci_addr_equal(&addrs[i], addr))
			return true;
	}
	return false;
}

void device_vf_options(const struct manager *m, const struct vf *vf, int owner,
		       struct config_vf_options *options)
{
	const struct own_vf *own = spares_place(m, owner, &vf->addr);
	const struct vf *place = own ? &own->vf : vf;
	char addr[PCI_ADDR_STRLEN], pf[PCI_ADDR_STRLEN], name[64];

	config_vf_options_of(m->cfg, vf_name(place, name, sizeof(name)),
			     pci_addr_format(&place->addr, addr), place->pf_netdev,
			     pci_addr_format(&place->pf, pf), place->index, options);
}

static bool is_same(const struct manager *m, const struct devname *a, const struct devname *b)
{
	struct pci_addr at_a, at_b;

	if (!strcmp(a->text, b->text))
		return true;
	return device_resolve(m, a, &at_a) && device_resolve(m, b, &at_b) &&
	       pci_addr_equal(&at_a, &at_b);
}

/* The devices that it consists of: the members of a bond, else itself. */
static size_t parts(const struct devname *dev, struct devname list[BOND_MEMBERS_MAX])
{
	if (dev->kind == DEVNAME_BOND)
		return devname_bond_members(dev, list);
	list[0] = *dev;
	return 1;
}

/* Finds what two devices have in common, and where it is in the first. */
static bool in_common(const struct manager *m, const struct devname *a, const struct devname *b,
		      struct devname *common)
{
	struct devname list_a[BOND_MEMBERS_MAX], list_b[BOND_MEMBERS_MAX];
	const size_t n_a = parts(a, list_a), n_b = parts(b, list_b);

	for (size_t i = 0; i < n_a; i++) {
		for (size_t j = 0; j < n_b; j++) {
			if (!is_same(m, &list_a[i], &list_b[j]))
				continue;
			*common = list_a[i];
			return true;
		}
	}
	return false;
}

bool device_is_same(const struct manager *m, const struct devname *a, const struct devname *b)
{
	struct devname common;

	return in_common(m, a, b, &common);
}

const char *device_shown(const struct manager *m, const struct pairing *p, char *buf)
{
	struct pci_addr addr;

	if (pairing_has_stand_in(p) && device_resolve(m, &p->stand_in, &addr))
		return pci_addr_format(&addr, buf);
	if (p->wish.device.kind == DEVNAME_PF_VF && !strcmp(p->wish.name, p->wish.device.text) &&
	    device_resolve(m, &p->wish.device, &addr))
		return pci_addr_format(&addr, buf);
	return p->wish.name;
}

const char *device_is_excluded(const struct manager *m, const struct pci_addr *addr)
{
	struct devname dev;
	struct pci_addr at;

	for (size_t i = 0; i < m->cfg->n_exclude; i++) {
		const char *text = m->cfg->exclude[i];
		const bool is_name = devname_parse(&dev, text, NULL) == 0;
		bool known;

		if (is_name && dev.kind != DEVNAME_NETDEV)
			known = device_resolve(m, &dev, &at);
		else
			known = pf_find(m->root, is_name ? dev.netdev : text, &at, NULL) == 0;
		if (known && pci_addr_equal(&at, addr))
			return text;
	}
	return NULL;
}

static int check_excluded(const struct manager *m, const struct devname *dev, struct err *err)
{
	const char *entry = NULL;
	struct device_facts facts;

	for (size_t i = 0; i < m->cfg->n_exclude && !entry; i++) {
		if (!strcmp(m->cfg->exclude[i], dev->text))
			entry = m->cfg->exclude[i];
	}
	device_look(m->root, dev, &facts);
	if (!entry && facts.is_pci)
		entry = device_is_excluded(m, &facts.pci);
	if (!entry && facts.is_vf)
		entry = device_is_excluded(m, &facts.vf.pf);
	if (!entry)
		return 0;
	return err_set(err, -EPERM, "device excluded",
		       "%s is excluded by VIO4WD_EXCLUDE (%s) in %s", dev->text, entry,
		       m->cfg->file);
}

/* Of one device, which may be a member of a bond. */
static int check_device(const struct manager *m, const struct pairing_op *op,
			const struct devname *dev, struct err *err)
{
	const char *name = op->wish.device.kind == DEVNAME_BOND ? dev->text : op->wish.name;
	const int rc = check_excluded(m, dev, err);
	struct device_facts facts;
	const char *spare;

	if (rc < 0)
		return rc;
	spare = spares_names(m, dev);
	if (spare)
		return err_set(err, -EPERM, "spare VF",
			       "%s is kept aside by VIO4WD_SPARE_VFS (%s) in %s; take it out there "
			       "and run `vio4wdctl reload`",
			       name, spare, m->cfg->file);
	if (op->wish.device.kind != DEVNAME_BOND || op->accept_absent)
		return 0;
	/* Of a bond all have to be there when 1.1's clients make it. */
	device_look(m->root, dev, &facts);
	return facts.present ? 0 : device_missing(dev, err);
}

/* No other pairing has the device or, of a bond, the name. */
static int check_other(const struct manager *m, const struct pairing *other,
		       const struct pairing_op *op, struct err *err)
{
	const struct devname *dev = &op->wish.device;
	struct devname common;

	if (!other->wish.has_device)
		return 0;
	if (in_common(m, dev, &other->wish.device, &common))
		return err_set(err, -EBUSY, "device in use", "%s is in use by relay %u%s%s",
			       dev->kind == DEVNAME_BOND ? common.text : op->wish.name, other->id,
			       other->wish.device.kind == DEVNAME_BOND ? " as a member of " : "",
			       other->wish.device.kind == DEVNAME_BOND ? other->wish.name : "");
	if (dev->kind == DEVNAME_BOND && other->wish.device.kind == DEVNAME_BOND &&
	    !strcmp(dev->driver_name, other->wish.device.driver_name))
		return err_set(err, -EEXIST, "bond name", "relay %u has a bond %s already",
			       other->id, dev->driver_name);
	return 0;
}

int env_admit(struct pairing *p, const struct pairing_op *op, struct err *err)
{
	const struct manager *m = p->env->ctx;
	struct devname list[BOND_MEMBERS_MAX];
	const size_t n = parts(&op->wish.device, list);
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = check_device(m, op, &list[i], err);
	if (rc < 0)
		return rc;
	for (unsigned int id = 0; id < m->max_relays; id++) {
		const struct pairing *other = &m->pairings[id];

		if (other == p)
			continue;
		rc = check_other(m, other, op, err);
		if (rc < 0)
			return rc;
		if (op->wish.socket[0] && !strcmp(other->wish.socket, op->wish.socket))
			return err_set(err, -EEXIST, "socket in use",
				       "%s is the socket of relay %u", op->wish.socket, id);
	}
	return 0;
}

/* The relay has the function open for the pairing, or is opening it. */
static bool holds_function(const struct pairing *p, const struct pci_addr *addr)
{
	const bool opens =
		p->step == STEP_ATTACH || p->step == STEP_BIND || p->step == STEP_PROVISION;

	return (p->seen.has_pci && pci_addr_equal(&p->seen.pci, addr)) ||
	       (opens && p->step_has_pci && pci_addr_equal(&p->step_pci, addr)) ||
	       bonds_have(p, addr);
}

/* Likewise a device that has no address. */
static bool holds_device(const struct manager *m, const struct pairing *p,
			 const struct devname *dev)
{
	const bool opens =
		p->step == STEP_ATTACH || p->step == STEP_BIND || p->step == STEP_PROVISION;

	return (p->seen.device.text[0] && device_is_same(m, &p->seen.device, dev)) ||
	       (opens && device_is_same(m, &p->step_device, dev));
}

bool device_held_by_other(const struct pairing *p, struct err *err)
{
	const struct manager *m = p->env->ctx;
	struct pci_addr addrs[BOND_MEMBERS_MAX];
	const size_t n = device_functions(m, pairing_target(p), addrs);

	for (unsigned int id = 0; id < m->max_relays; id++) {
		const struct pairing *other = &m->pairings[id];
		bool held = false;

		if (other == p)
			continue;
		for (size_t i = 0; i < n; i++)
			held |= holds_function(other, &addrs[i]);
		if (held || holds_device(m, other, pairing_target(p))) {
			err_set(err, -EAGAIN, "device", "waiting until relay %u has given back %s",
				id, pairing_target_name(p));
			return true;
		}
	}
	return false;
}

static bool on_hold(const struct manager *m, const struct device_facts *facts)
{
	return facts->is_vf && vf_count_on_hold(m->vf_counts, &facts->vf.pf);
}

/* Whether it can serve, and what is to be known of it when it is gone. */
static void look_at_own(struct manager *m, struct pairing *p, const struct device_facts *facts)
{
	struct own_vf *own = &m->extra[p->id].own;

	p->seen.own = facts->present && !on_hold(m, facts);
	p->seen.own_instance = facts->instance;
	if (!facts->present || !facts->is_vf)
		return;
	if (own->known && !pci_addr_equal(&own->vf.addr, &facts->pci))
		own->has_mac = false;
	own->known = true;
	own->vf = facts->vf;
}

static void look_at_device(struct manager *m, struct pairing *p, struct device_facts *facts)
{
	device_look(m->root, pairing_target(p), facts);
	/* The PF's interface may be renamed while its VF works. */
	if (!facts->present && p->seen.has_pci &&
	    !strcmp(p->seen.device.text, pairing_target(p)->text)) {
		const struct devname at = { .kind = DEVNAME_PCI, .pci = p->seen.pci };

		device_look(m->root, &at, facts);
	}
	p->seen.present = facts->present;
	p->seen.instance = facts->instance;
	p->seen.absent[0] = '\0';
	if (on_hold(m, facts)) {
		p->seen.present = false;
		snprintf(p->seen.absent, sizeof(p->seen.absent),
			 "%s is let go while its PF gets another number of VFs",
			 pairing_target_name(p));
	}
	if (facts->is_vf)
		p->seen.ready =
			bindings_ready(m->bindings, &facts->vf, p->id, pairing_vdpa_driver(p));
	else
		p->seen.ready = !facts->is_pci || device_handed_out(m->root, &facts->pci);
}

static void look_at_attached(struct manager *m, struct pairing *p)
{
	struct device_facts facts;

	if (p->seen.device.kind == DEVNAME_VDEV || p->seen.device.kind == DEVNAME_BOND ||
	    p->seen.has_pci)
		return;
	device_look(m->root, &p->seen.device, &facts);
	/* Adopted from an earlier manager, so what it had is not known. */
	p->seen.has_pci = facts.is_pci;
	p->seen.pci = facts.pci;
	if (p->seen.device.kind != DEVNAME_NETDEV)
		return;
	if (facts.ifindex && !p->seen.ifindex)
		p->seen.ifindex = facts.ifindex;
	if (facts.ifindex != p->seen.ifindex && !p->seen.device_error[0])
		snprintf(p->seen.device_error, sizeof(p->seen.device_error), "%s %s",
			 p->seen.device.text, facts.ifindex ? "was replaced" : "is gone");
}

/* One device, or what stands in for it. */
static void look_at_single(struct manager *m, struct pairing *p, struct device_facts *facts)
{
	struct device_facts own;

	look_at_device(m, p, facts);
	own = *facts;
	if (pairing_has_stand_in(p))
		device_look(m->root, &p->wish.device, &own);
	look_at_own(m, p, &own);
}

void env_look(struct pairing *p)
{
	struct manager *m = p->env->ctx;
	struct pci_addr keep[BOND_MEMBERS_MAX];
	struct device_facts facts = { 0 };
	size_t n_keep;

	p->seen.own = false;
	bonds_look(p);
	n_keep = bonds_functions(p, keep);
	if (p->wish.has_device && p->wish.device.kind != DEVNAME_BOND) {
		look_at_single(m, p, &facts);
		keep[0] = facts.pci;
		n_keep = facts.is_pci;
	}
	if (p->seen.device.text[0])
		look_at_attached(m, p);
	vdpas_look(p, p->seen.present && facts.is_vf ? &facts.pci : NULL);
	p->seen.held =
		!on_hold(m, &facts) && bindings_surplus(m->bindings, (int)p->id, keep, n_keep);
}
