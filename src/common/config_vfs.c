/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a configuration says of one VF or PF. A VF has up to four names there: its address, PF.vfN
 * by the PF's interface or address, and an alias; whoever asks knows which PF it belongs to.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"

/* How a VF may be named; each may be NULL. */
struct vf_names {
	const char *name, *address;
	const char *pf_netdev, *pf_address;
	unsigned int index;
};

static bool same(const char *a, const char *b)
{
	return a && *a && !strcmp(a, b);
}

/* text is "PF.vfN" with that PF and number. */
static bool is_nth(const char *pf, unsigned int index, const char *text)
{
	char name[DEVNAME_MAX];

	snprintf(name, sizeof(name), "%s.vf%u", pf ? pf : "", index);
	return pf && *pf && !strcmp(name, text);
}

/* text is a canonical name of a device. */
static bool names_vf(const struct vf_names *vf, const char *text)
{
	return same(vf->name, text) || same(vf->address, text) ||
	       is_nth(vf->pf_netdev, vf->index, text) || is_nth(vf->pf_address, vf->index, text);
}

/* An interface may be written with netdev: in front. */
static bool names_pf(const struct vf_names *vf, const char *text)
{
	if (!strncmp(text, "netdev:", strlen("netdev:")))
		return same(vf->pf_netdev, text + strlen("netdev:"));
	return same(vf->pf_netdev, text) || same(vf->pf_address, text);
}

static void merge(struct config_vf_options *merged, const struct config_vf_options *options,
		  bool of_pf)
{
	if (options->has_mac && !of_pf) {
		merged->has_mac = true;
		memcpy(merged->mac, options->mac, sizeof(merged->mac));
	}
	if (options->vlan >= 0) {
		merged->vlan = options->vlan;
		merged->qos = options->qos;
	}
	if (options->queues)
		merged->queues = options->queues;
	if (options->trust >= 0)
		merged->trust = options->trust;
	if (options->spoofchk >= 0)
		merged->spoofchk = options->spoofchk;
}

void config_vf_options_of(const struct config *cfg, const char *name, const char *address,
			  const char *pf_netdev, const char *pf_address, unsigned int index,
			  struct config_vf_options *merged)
{
	const struct vf_names vf = { name, address, pf_netdev, pf_address, index };

	*merged = (struct config_vf_options)CONFIG_VF_OPTIONS_UNSET;
	for (size_t i = 0; i < cfg->n_vf_options; i++)
		if (names_pf(&vf, cfg->vf_options[i].device))
			merge(merged, &cfg->vf_options[i], true);
	for (size_t i = 0; i < cfg->n_vf_options; i++)
		if (names_vf(&vf, cfg->vf_options[i].device))
			merge(merged, &cfg->vf_options[i], false);
}

/* What is asked about: a VF, or a function or interface by itself (vf.name and vf.address NULL). */
struct subject {
	const struct config *cfg;
	struct vf_names vf;
	bool is_vf;
	char *why;
};

static enum config_use answer(const struct subject *s, enum config_use use, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum config_use answer(const struct subject *s, enum config_use use, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (s->why)
		vsnprintf(s->why, CONFIG_WHY_MAX, fmt, ap);
	va_end(ap);
	return use;
}

/* dev is the subject, or a VF of it when it is a PF. */
static bool is_subject(const struct subject *s, const struct devname *dev)
{
	char pf[PCI_ADDR_STRLEN];

	if (s->is_vf)
		return names_vf(&s->vf, dev->text);
	if (dev->kind != DEVNAME_PF_VF)
		return names_pf(&s->vf, dev->text);
	return names_pf(&s->vf, dev->pf_is_pci ? pci_addr_format(&dev->pci, pf) : dev->netdev);
}

static enum config_use by_name(const struct subject *s)
{
	const struct config *cfg = s->cfg;
	struct devname dev;

	for (size_t i = 0; i < cfg->n_static_vfs; i++) {
		const struct config_pairing *pairing = &cfg->static_vfs[i];

		if (config_resolve_device(cfg, pairing->device, &dev, NULL) == 0 &&
		    is_subject(s, &dev))
			return answer(s, CONFIG_USED, "VIRTIOFWD_STATIC_VFS has %s=%u",
				      pairing->device, pairing->id);
	}
	for (size_t i = 0; i < cfg->n_spare_vfs; i++)
		if (is_subject(s, &cfg->spare_vfs[i].device))
			return answer(s, CONFIG_USED, "VIO4WD_SPARE_VFS has %s",
				      cfg->spare_vfs[i].device.text);
	for (size_t i = 0; i < cfg->n_aliases; i++)
		if (is_subject(s, &cfg->aliases[i].device))
			return answer(s, CONFIG_USED, "VIO4WD_ALIASES has %s=%s",
				      cfg->aliases[i].name, cfg->aliases[i].device.text);
	return CONFIG_UNUSED;
}

static enum config_use by_binding(const struct subject *s)
{
	const struct config *cfg = s->cfg;
	char addr[PCI_ADDR_STRLEN];

	for (size_t i = 0; i < cfg->n_bind_vfio_pci; i++) {
		const struct config_bind *bind = &cfg->bind_vfio_pci[i];

		if (bind->is_pci) {
			pci_addr_format(&bind->pci, addr);
			if (same(s->is_vf ? s->vf.address : s->vf.pf_address, addr))
				return answer(s, CONFIG_USED, "VIRTIOFWD_BIND_VFIO_PCI has %s",
					      addr);
		} else if (same(s->vf.pf_netdev, bind->netdev) &&
			   (!s->is_vf || !bind->count || s->vf.index < bind->count)) {
			return answer(s, CONFIG_USED, "VIRTIOFWD_BIND_VFIO_PCI has %s",
				      bind->netdev);
		}
	}
	return CONFIG_UNUSED;
}

/* Ids of a PF go up to the first one of the next PF. */
static bool has_id(const struct config *cfg, const struct config_auto_vfs *entry,
		   unsigned int index)
{
	const unsigned int room = CONFIG_MAX_RELAYS - entry->first_id;

	for (size_t i = 0; i < cfg->n_auto_vfs; i++) {
		const unsigned int next = cfg->auto_vfs[i].first_id;

		if (next > entry->first_id && next - entry->first_id <= index)
			return false;
	}
	return index < room;
}

static enum config_use by_pf(const struct subject *s)
{
	const struct config *cfg = s->cfg;

	for (size_t i = 0; i < cfg->n_auto_vfs; i++) {
		const struct config_auto_vfs *all = &cfg->auto_vfs[i];

		if (names_pf(&s->vf, all->pf) && (!s->is_vf || has_id(cfg, all, s->vf.index)))
			return answer(s, CONFIG_USED, "VIO4WD_AUTO_VFS has %s:%u", all->pf,
				      all->first_id);
	}
	for (size_t i = 0; i < cfg->n_num_vfs; i++)
		if (names_pf(&s->vf, cfg->num_vfs[i].pf))
			return answer(s, CONFIG_USED, "VIO4WD_NUM_VFS has %s=%u",
				      cfg->num_vfs[i].pf, cfg->num_vfs[i].count);
	return CONFIG_UNUSED;
}

static enum config_use use_of(const struct subject *s)
{
	const struct config *cfg = s->cfg;
	enum config_use use;

	for (size_t i = 0; i < cfg->n_exclude; i++)
		if (names_pf(&s->vf, cfg->exclude[i]) ||
		    (s->is_vf && names_vf(&s->vf, cfg->exclude[i])))
			return answer(s, CONFIG_EXCLUDED, "VIO4WD_EXCLUDE has %s", cfg->exclude[i]);
	use = by_name(s);
	if (use == CONFIG_UNUSED)
		use = by_binding(s);
	if (use == CONFIG_UNUSED)
		use = by_pf(s);
	if (use == CONFIG_UNUSED)
		answer(s, use, "no variable names it%s", s->is_vf ? " or its PF" : "");
	return use;
}

enum config_use config_use_of(const struct config *cfg, const char *name, const char *address,
			      const char *pf_netdev, const char *pf_address, unsigned int index,
			      char why[CONFIG_WHY_MAX])
{
	const struct subject s = {
		.cfg = cfg,
		.vf = { name, address, pf_netdev, pf_address, index },
		.is_vf = true,
		.why = why,
	};

	return use_of(&s);
}

bool config_uses(const struct config *cfg, const char *name, const char *address,
		 const char *pf_netdev, const char *pf_address, unsigned int index)
{
	return config_use_of(cfg, name, address, pf_netdev, pf_address, index, NULL) == CONFIG_USED;
}

enum config_use config_use_of_device(const struct config *cfg, const char *netdev,
				     const char *address, char why[CONFIG_WHY_MAX])
{
	const struct subject s = {
		.cfg = cfg,
		.vf = { .pf_netdev = netdev, .pf_address = address },
		.why = why,
	};

	return use_of(&s);
}
