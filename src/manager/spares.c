/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/spares.h"

#include <netinet/ether.h>
#include <string.h>

#include "common/log.h"
#include "manager/device.h"
#include "manager/manager.h"
#include "manager/vfs.h"

void spares_retry(struct manager *m)
{
	memset(m->spare_failed, 0, sizeof(m->spare_failed));
}

const char *spares_names(const struct manager *m, const struct devname *dev)
{
	for (size_t i = 0; i < m->cfg->n_spare_vfs; i++) {
		if (device_is_same(m, &m->cfg->spare_vfs[i].device, dev))
			return m->cfg->spare_vfs[i].device.text;
	}
	return NULL;
}

const char *spares_name(const struct manager *m, const struct pci_addr *addr)
{
	struct pci_addr at;

	for (size_t i = 0; i < m->cfg->n_spare_vfs; i++) {
		if (device_resolve(m, &m->cfg->spare_vfs[i].device, &at) &&
		    pci_addr_equal(&at, addr))
			return m->cfg->spare_vfs[i].device.text;
	}
	return NULL;
}

static bool stands_in(const struct manager *m, const struct pairing *p, const struct pci_addr *addr)
{
	struct pci_addr at;

	return pairing_has_stand_in(p) && device_resolve(m, &p->stand_in, &at) &&
	       pci_addr_equal(&at, addr);
}

const struct pairing *spares_pairing(const struct manager *m, const struct pci_addr *addr)
{
	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (stands_in(m, &m->pairings[id], addr))
			return &m->pairings[id];
	}
	return NULL;
}

/* Some other relay id has it, by whatever name, or is about to let it go. */
static bool is_taken(const struct manager *m, const struct pairing *p, const struct pci_addr *addr)
{
	for (unsigned int id = 0; id < m->max_relays; id++) {
		const struct pairing *other = &m->pairings[id];

		if (other->wish.has_device && device_has_function(m, &other->wish.device, addr))
			return true;
		if (other != p &&
		    (stands_in(m, other, addr) ||
		     (other->seen.has_pci && pci_addr_equal(&other->seen.pci, addr)) ||
		     bonds_have(other, addr)))
			return true;
	}
	return false;
}

/* The device is there, and free for p. */
static bool is_free(const struct pairing *p, const struct devname *device,
		    struct device_facts *facts)
{
	const struct manager *m = p->env->ctx;

	device_look(m->root, device, facts);
	return facts->present && facts->is_vf && !vf_count_on_hold(m->vf_counts, &facts->vf.pf) &&
	       !device_is_excluded(m, &facts->pci) && !device_is_excluded(m, &facts->vf.pf) &&
	       !is_taken(m, p, &facts->pci);
}

/* The address of the PF of the wished VF, which need not be there. */
static bool own_pf(const struct pairing *p, struct pci_addr *pf)
{
	const struct manager *m = p->env->ctx;
	const struct devname *dev = &p->wish.device;
	const struct own_vf *own = &m->extra[p->id].own;

	if (own->known) {
		*pf = own->vf.pf;
		return true;
	}
	if (dev->kind != DEVNAME_PF_VF)
		return false;
	*pf = dev->pci;
	return dev->pf_is_pci || pf_find(m->root, dev->netdev, pf, NULL) == 0;
}

/* A VF reaches the network of its PF; one of another PF is for those that the entry names. */
static bool fits(const struct pairing *p, const struct config_spare *spare, const struct vf *vf)
{
	const struct manager *m = p->env->ctx;
	const struct devname *dev = &p->wish.device;
	struct pci_addr own, pf = vf->pf;

	if (spare->pf && dev->kind == DEVNAME_PF_VF && !dev->pf_is_pci &&
	    !strcmp(dev->netdev, spare->pf))
		return true;
	if (!own_pf(p, &own))
		return false;
	if (spare->pf && pci_addr_parse(&pf, spare->pf) < 0 &&
	    pf_find(m->root, spare->pf, &pf, NULL) < 0)
		return false;
	return pci_addr_equal(&own, &pf);
}

bool spares_find(struct pairing *p, struct devname *spare)
{
	const struct manager *m = p->env->ctx;
	const struct config *cfg = m->cfg;
	struct device_facts facts;

	for (size_t i = 0; i < cfg->n_spare_vfs; i++) {
		if (is_free(p, &cfg->spare_vfs[i].device, &facts) &&
		    facts.instance != m->spare_failed[i] &&
		    fits(p, &cfg->spare_vfs[i], &facts.vf)) {
			*spare = cfg->spare_vfs[i].device;
			return true;
		}
	}
	return false;
}

bool spares_may_stand_in(struct pairing *p, const struct devname *device)
{
	struct device_facts facts;

	return spares_names(p->env->ctx, device) && is_free(p, device, &facts);
}

void spares_failed(struct pairing *p, const struct err *err)
{
	struct manager *m = p->env->ctx;
	struct device_facts facts;

	device_look(m->root, &p->stand_in, &facts);
	for (size_t i = 0; i < m->cfg->n_spare_vfs; i++) {
		if (!strcmp(m->cfg->spare_vfs[i].device.text, p->stand_in.text))
			m->spare_failed[i] = facts.instance;
	}
	log_warning("relay %u: %s cannot stand in for %s: %s; vio4wdctl reload tries it again",
		    p->id, p->stand_in.text, p->wish.name, err->text);
}

void spares_keep_mac(struct pairing *p, const char *device, const char *mac)
{
	struct own_vf *own = &manager_extra(p)->own;
	struct ether_addr addr;

	if (strcmp(device, p->wish.device.text) != 0 || !mac || !ether_aton_r(mac, &addr))
		return;
	own->has_mac = true;
	memcpy(own->mac, &addr, sizeof(own->mac));
}

const struct own_vf *spares_place(const struct manager *m, int owner, const struct pci_addr *addr)
{
	if (owner < 0 || !stands_in(m, &m->pairings[owner], addr) || !m->extra[owner].own.known)
		return NULL;
	return &m->extra[owner].own;
}
