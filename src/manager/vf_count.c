/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A change of the number of VFs: the PF goes on hold, pairings and bindings let its VFs go, then
 * the kernel is asked (a job), then the hold ends and everything that returned is taken again. The
 * intent is written to the state file first, so that a manager that is cut off still knows the VFs
 * as its own.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "manager/bindings.h"
#include "manager/device.h"
#include "manager/jobs.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/vfs.h"
#include "udev/sriov.h"

enum phase { IDLE, RELEASING, RECORDING, CHANGING };

struct vf_count { /* of one PF */
	struct vf_counts *all;
	struct pci_addr pf;
	unsigned int made; /* VFs made here; 0: none */
	uint64_t instance; /* of the first of them (device_instance()); 0: not known */
	bool appeared;	   /* VIO4WD_NUM_VFS has been looked at since the PF came */

	enum phase phase;
	struct job job;
	atomic_bool begun, ran;
	char what[64];
	unsigned int wanted;
	unsigned int before; /* made, while it is changed or when that fails */
	bool autoprobe;
	bool autoprobe_is_off; /* while it is changed: it was on, and has to be so again */
	struct err err;
	vf_count_fn done;
	void *userdata;

	struct vf_count *next;
};

struct vf_counts {
	struct manager *m;
	struct vf_count *first;
};

int vf_counts_new(struct vf_counts **result, struct manager *m, struct err *err)
{
	struct vf_counts *counts = calloc(1, sizeof(*counts));

	if (!counts)
		return err_set(err, -ENOMEM, "start", "out of memory");
	counts->m = m;
	*result = counts;
	return 0;
}

void vf_counts_free(struct vf_counts *counts)
{
	struct vf_count *count;

	while (counts && (count = counts->first)) {
		counts->first = count->next;
		/* A job that the kernel holds still writes to it. */
		if (!count->begun || count->ran)
			free(count);
	}
	free(counts);
}

static struct vf_count *find(const struct vf_counts *counts, const struct pci_addr *pf)
{
	for (struct vf_count *count = counts->first; count; count = count->next) {
		if (pci_addr_equal(&count->pf, pf))
			return count;
	}
	return NULL;
}

static struct vf_count *get(struct vf_counts *counts, const struct pci_addr *pf)
{
	struct vf_count *count = find(counts, pf);

	if (count)
		return count;
	count = calloc(1, sizeof(*count));
	if (!count)
		return NULL;
	*count = (struct vf_count){ .all = counts, .pf = *pf, .next = counts->first };
	counts->first = count;
	return count;
}

bool vf_count_on_hold(const struct vf_counts *counts, const struct pci_addr *pf)
{
	const struct vf_count *count = find(counts, pf);

	return count && count->phase != IDLE;
}

bool vf_count_is_ours(const struct vf_counts *counts, const struct pf *pf)
{
	const struct vf_count *count = find(counts, &pf->addr);

	return pf->num_vfs && count && count->made == pf->num_vfs;
}

static bool on_pf(const struct manager *m, const struct pci_addr *addr, const struct pci_addr *pf)
{
	struct vf vf;

	return vf_read(m->root, addr, &vf, NULL) == 0 && pci_addr_equal(&vf.pf, pf);
}

/* The device, or a member of it, is a VF of the PF. */
static bool device_on_pf(const struct manager *m, const struct devname *dev,
			 const struct pci_addr *pf)
{
	struct pci_addr addrs[BOND_MEMBERS_MAX];
	const size_t n = device_functions(m, dev, addrs);

	for (size_t i = 0; i < n; i++) {
		if (on_pf(m, &addrs[i], pf))
			return true;
	}
	return false;
}

static bool wants_vf(const struct manager *m, const struct pairing *p, const struct pci_addr *pf)
{
	return p->wish.has_device && device_on_pf(m, pairing_target(p), pf);
}

/* A member of the pairing's bond is a VF of the PF, and open or being opened; or of a bond that is
 * being detached. */
static bool has_member(const struct manager *m, const struct pairing *p, const struct pci_addr *pf)
{
	struct pci_addr addrs[BOND_MEMBERS_MAX];
	const size_t n = bonds_functions(p, addrs);

	if (p->seen.device.kind == DEVNAME_BOND && strcmp(p->seen.device.text, p->wish.device.text))
		return device_on_pf(m, &p->seen.device, pf);
	for (size_t i = 0; i < n; i++) {
		if (bonds_have(p, &addrs[i]) && on_pf(m, &addrs[i], pf))
			return true;
	}
	return false;
}

/* The pairing has a VF of the PF, or opens one. */
static bool has_vf(const struct manager *m, const struct pairing *p, const struct pci_addr *pf)
{
	if ((p->seen.has_pci && on_pf(m, &p->seen.pci, pf)) || has_member(m, p, pf))
		return true;
	/* The kernel would wait for who has it open. */
	if (p->seen.made && wants_vf(m, p, pf))
		return true;
	return (p->step == STEP_ATTACH || p->step == STEP_BIND || p->step == STEP_PROVISION ||
		p->step == STEP_UNPROVISION) &&
	       p->step_has_pci && on_pf(m, &p->step_pci, pf);
}

static void finish(struct vf_count *count)
{
	struct manager *m = count->all->m;
	const vf_count_fn done = count->done;
	const struct err err = count->err;

	count->phase = IDLE;
	count->done = NULL;
	saving_changed(m);
	manager_run_all(m);
	done(&err, count->userdata);
}

static uint64_t first_vf(const struct vf_count *count)
{
	const char *root = count->all->m->root;
	struct pci_addr vf;

	return pf_vf(root, &count->pf, 0, &vf) < 0 ? 0 : device_instance(root, &vf);
}

static struct vf_count *count_of(struct job *job)
{
	return (struct vf_count *)((char *)job - offsetof(struct vf_count, job));
}

static void run_change(struct job *job)
{
	struct vf_count *count = count_of(job);

	count->begun = true;
	sriov_set_count(count->all->m->root, &count->pf, count->wanted, count->autoprobe,
			&count->err);
	count->ran = true;
}

static void change_done(struct job *job)
{
	struct vf_count *count = count_of(job);
	char pf[PCI_ADDR_STRLEN];

	fault_point("count.changed");
	count->instance = first_vf(count);
	if (count->err.code)
		count->made = count->before;
	else
		log_notice("PF %s has %u VFs now", pci_addr_format(&count->pf, pf), count->wanted);
	finish(count);
}

static void on_recorded(void *userdata)
{
	struct vf_count *count = userdata;

	fault_point("count.recorded");
	if (count->all->m->phase == MANAGER_STOPPING) {
		count->phase = IDLE;
		return;
	}
	count->phase = CHANGING;
	count->begun = count->ran = false;
	count->job = (struct job){ .what = count->what, .run = run_change, .done = change_done };
	jobs_submit(count->all->m->jobs, &count->job);
}

static void go_on(struct vf_count *count)
{
	struct manager *m = count->all->m;

	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (has_vf(m, &m->pairings[id], &count->pf))
			return;
	}
	if (bindings_busy(m->bindings, &count->pf))
		return;
	count->phase = RECORDING;
	count->before = count->made;
	count->made = count->wanted;
	count->autoprobe_is_off = !count->autoprobe && sriov_autoprobe(m->root, &count->pf);
	saving_then(m, on_recorded, count);
}

void vf_counts_continue(struct vf_counts *counts)
{
	for (struct vf_count *count = counts->first; count; count = count->next) {
		if (count->phase == RELEASING)
			go_on(count);
	}
}

static const char *pf_label(const struct pf *pf, char *buf)
{
	return pf->netdev[0] ? pf->netdev : pci_addr_format(&pf->addr, buf);
}

static int check_use(const struct manager *m, const struct pf *pf, struct err *err)
{
	char ids[160] = "", label[PCI_ADDR_STRLEN];
	size_t len = 0;

	for (unsigned int id = 0; id < m->max_relays && len < sizeof(ids) - 8; id++) {
		if (wants_vf(m, &m->pairings[id], &pf->addr))
			len += snprintf(ids + len, sizeof(ids) - len, "%s%u", len ? ", " : "", id);
	}
	if (!len)
		return 0;
	return err_set(err, -EBUSY, "VFs in use",
		       "VFs of %s are paired (relay %s): their VMs would lose the network; remove "
		       "the pairings first, or release them with --force",
		       pf_label(pf, label), ids);
}

static int check(const struct vf_counts *counts, const struct pf *pf, unsigned int wanted,
		 bool force, struct err *err)
{
	const struct manager *m = counts->m;
	char label[PCI_ADDR_STRLEN], addr[PCI_ADDR_STRLEN];

	if (wanted > pf->total_vfs)
		return err_set(err, -ERANGE, "too many VFs",
			       "%s can have %u VFs at most (sriov_totalvfs), %u were asked for",
			       pf_label(pf, label), pf->total_vfs, wanted);
	if (vf_count_on_hold(counts, &pf->addr))
		return err_set(err, -EBUSY, "PF busy",
			       "the number of VFs of %s is being changed already; try again",
			       pf_label(pf, label));
	if (device_is_excluded(m, &pf->addr))
		return err_set(err, -EPERM, "PF excluded", "%s is excluded by VIO4WD_EXCLUDE in %s",
			       pf_label(pf, label), m->cfg->file);
	if (pf->num_vfs && !vf_count_is_ours(counts, pf))
		return err_set(err, -EEXIST, "VFs of others",
			       "the %u VFs of %s were not made by vio4wd, so others may use them; "
			       "when nobody does: echo 0 > /sys/bus/pci/devices/%s/sriov_numvfs",
			       pf->num_vfs, pf_label(pf, label), pci_addr_format(&pf->addr, addr));
	return force ? 0 : check_use(m, pf, err);
}

/* VFs that are taken at once need no driver of their own before. */
static bool wants_autoprobe(const struct manager *m, const struct pf *pf)
{
	char addr[PCI_ADDR_STRLEN];

	pci_addr_format(&pf->addr, addr);
	for (size_t i = 0; i < m->cfg->n_auto_vfs; i++) {
		if (!strcmp(m->cfg->auto_vfs[i].pf, pf->netdev) ||
		    !strcmp(m->cfg->auto_vfs[i].pf, addr))
			return false;
	}
	return true;
}

int vf_count_set(struct vf_counts *counts, const struct pci_addr *addr, unsigned int wanted,
		 bool force, vf_count_fn done, void *userdata, struct err *err)
{
	struct vf_count *count;
	struct pf pf;
	int rc;

	rc = pf_read(counts->m->root, addr, &pf, err);
	if (!rc)
		rc = check(counts, &pf, wanted, force, err);
	if (rc < 0)
		return rc;
	count = get(counts, addr);
	if (!count)
		return err_set(err, -ENOMEM, "VFs", "out of memory");
	snprintf(count->what, sizeof(count->what), "make VFs");
	count->wanted = wanted;
	count->autoprobe = wants_autoprobe(counts->m, &pf);
	count->err.code = 0;
	count->done = done;
	count->userdata = userdata;
	count->phase = RELEASING;
	manager_run_all(counts->m);
	return 0;
}

static void appeared_done(const struct err *err, void *userdata)
{
	if (err->code)
		log_error("VIO4WD_NUM_VFS: %s", err->text);
}

static void look_at(struct vf_counts *counts, const struct config_num_vfs *entry)
{
	struct vf_count *count;
	struct pci_addr addr;
	struct err err;
	struct pf pf;

	if (pf_find(counts->m->root, entry->pf, &addr, NULL) < 0)
		return;
	count = get(counts, &addr);
	if (!count)
		return;
	if (pf_read(counts->m->root, &addr, &pf, &err) < 0) {
		if (!count->appeared)
			log_error("VIO4WD_NUM_VFS: %s", err.text);
		count->appeared = true;
		return;
	}
	/* Without its driver it makes no VFs; with it, it has come. */
	if (!pf.driver[0]) {
		count->appeared = false;
		return;
	}
	if (count->appeared || count->phase != IDLE)
		return;
	count->appeared = true;
	if (pf.num_vfs) {
		log_info("VIO4WD_NUM_VFS: %s has %u VFs already: they stay", entry->pf, pf.num_vfs);
		return;
	}
	if (vf_count_set(counts, &addr, entry->count, false, appeared_done, NULL, &err) < 0)
		appeared_done(&err, NULL);
}

/* VFs that somebody else has made in place of ours, or of which some are gone, are not ours. */
static void disown(struct vf_count *count, unsigned int now)
{
	if (count->phase != IDLE || !count->made)
		return;
	if (now == count->made && (!count->instance || first_vf(count) == count->instance))
		return;
	count->made = 0;
	saving_changed(count->all->m);
}

void vf_counts_appeared(struct vf_counts *counts)
{
	for (struct vf_count *count = counts->first; count; count = count->next) {
		struct pf pf = { 0 };

		if (pf_read(counts->m->root, &count->pf, &pf, NULL) < 0)
			count->appeared = false;
		disown(count, pf.num_vfs);
	}
	for (size_t i = 0; i < counts->m->cfg->n_num_vfs; i++)
		look_at(counts, &counts->m->cfg->num_vfs[i]);
}

bool vf_counts_any(const struct vf_counts *counts)
{
	for (const struct vf_count *count = counts->first; count; count = count->next) {
		if (count->made)
			return true;
	}
	return false;
}

json_object *vf_counts_to_json(const struct vf_counts *counts)
{
	json_object *array = json_object_new_array();

	for (const struct vf_count *count = counts->first; count; count = count->next) {
		json_object *json;
		const bool changing = count->phase == RECORDING || count->phase == CHANGING;
		char pf[PCI_ADDR_STRLEN];

		if (!count->made && !(changing && count->before))
			continue;
		json = json_object_new_object();
		json_put_text(json, "pf", pci_addr_format(&count->pf, pf));
		json_put_int(json, "made", count->made);
		json_put_int(json, "instance", (int64_t)count->instance);
		/* For the case that the change does not come to its end. */
		if (changing) {
			json_put_int(json, "before", count->before);
			json_put_bool(json, "autoprobe_is_off", count->autoprobe_is_off);
		}
		json_object_array_add(array, json);
	}
	return array;
}

void vf_counts_from_json(struct vf_counts *counts, json_object *array)
{
	for (size_t i = 0; array && i < json_object_array_length(array); i++) {
		json_object *json = json_object_array_get_idx(array, i);
		struct pci_addr addr;
		struct vf_count *count;
		struct pf pf;

		if (pci_addr_parse(&addr, json_get_text(json, "pf", "")) < 0 ||
		    pf_read(counts->m->root, &addr, &pf, NULL) < 0)
			continue;
		if (json_get_bool(json, "autoprobe_is_off", false))
			sriov_autoprobe_on(counts->m->root, &addr);
		if (!pf.num_vfs || (pf.num_vfs != json_get_int(json, "made", 0) &&
				    pf.num_vfs != json_get_int(json, "before", 0)))
			continue; /* others have changed it meanwhile */
		count = get(counts, &addr);
		if (!count)
			return;
		count->made = pf.num_vfs;
		/* Of a change that was cut off it is that of the VFs before. */
		if (!json_object_object_get_ex(json, "before", NULL))
			count->instance = json_get_int(json, "instance", 0);
	}
}
