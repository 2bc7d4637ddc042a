/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Taking a VF: look at it (job), write the record (state file), bind it (job). Giving it back:
 * write that nobody wishes for it, restore it (job), drop the record. One thing at a time for each
 * VF.
 *
 * What was there before is learned when the VF is looked at, unless the record says that an earlier
 * try had changed it already: then the record knows better.
 */
#include "manager/bindings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/log.h"
#include "manager/device.h"
#include "manager/jobs.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/vdpa_make.h"
#include "manager/vfs.h"
#include "udev/vdpa_driver.h"

enum phase { IDLE, INSPECTING, RECORDING, BINDING, RESTORING };

struct binding {
	struct bindings *all;
	struct pci_addr addr;
	struct pci_addr pf;
	int group; /* IOMMU group with a marker for udev, -1: none */
	int owner;
	bool recorded; /* before is known and belongs into the state file */
	bool failed;   /* the last work on it */
	bool doubtful; /* for the configuration, and an earlier manager did not come to its end */
	uint64_t instance; /* of the VF that was taken (device_instance()); 0: not known */
	struct binding_state before;
	bool has_mac;	/* since it was bound its PF gives it */
	uint8_t mac[6]; /* this one */

	enum phase phase;
	struct job job;
	atomic_bool begun, ran; /* the job's run() */
	char what[64];
	struct binding_plan plan;
	struct binding_state now;
	struct err err;
	binding_done_fn done;
	void *userdata;

	struct binding *next;
};

struct bindings {
	struct manager *m;
	struct binding *first;
};

int bindings_new(struct bindings **result, struct manager *m, struct err *err)
{
	struct bindings *b = calloc(1, sizeof(*b));

	if (!b)
		return err_set(err, -ENOMEM, "start", "out of memory");
	b->m = m;
	*result = b;
	return 0;
}

void bindings_free(struct bindings *b)
{
	struct binding *binding;

	while (b && (binding = b->first)) {
		b->first = binding->next;
		/* A job that the kernel holds still writes to it. */
		if (!binding->begun || binding->ran)
			free(binding);
	}
	free(b);
}

/* The VF that was taken is no longer there. Another one may have its address. */
static bool is_gone(const struct binding *binding)
{
	const char *root = binding->all->m->root;
	struct vf vf;

	return vf_read(root, &binding->addr, &vf, NULL) < 0 ||
	       (binding->instance && device_instance(root, &binding->addr) != binding->instance);
}

static struct binding *binding_of(struct job *job)
{
	return (struct binding *)((char *)job - offsetof(struct binding, job));
}

static struct binding *find(const struct bindings *b, const struct pci_addr *addr)
{
	for (struct binding *binding = b->first; binding; binding = binding->next) {
		if (pci_addr_equal(&binding->addr, addr))
			return binding;
	}
	return NULL;
}

static void drop(struct binding *binding)
{
	struct binding **link = &binding->all->first;

	while (*link != binding)
		link = &(*link)->next;
	*link = binding->next;
	free(binding);
}

/* A file that tells the udev rules which VFIO groups are ours. */
static void mark(struct binding *binding, int group)
{
	const struct manager *m = binding->all->m;
	char path[4096], name[64];
	int fd;

	if (binding->group >= 0 && binding->group != group) {
		snprintf(name, sizeof(name), "vfio/%d", binding->group);
		manager_path(m, path, sizeof(path), name);
		unlink(path);
	}
	binding->group = group;
	if (group < 0)
		return;
	manager_path(m, path, sizeof(path), "vfio");
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		log_warning("%s: %s", path, strerror(errno));
	snprintf(name, sizeof(name), "vfio/%d", group);
	manager_path(m, path, sizeof(path), name);
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		log_warning("%s: %s", path, strerror(errno));
	else
		close(fd);
}

/* For vDPA: what is made on the VF for its owner is no use by others. */
static void plan_vdpa(const struct manager *m, const struct vf *vf, int owner, const char *driver,
		      struct binding_plan *plan)
{
	const struct vdpa_driver *known = vdpa_driver_of(m->root, vf);

	snprintf(plan->driver, sizeof(plan->driver), "%s", driver);
	if (known && known->module && !strcmp(known->driver, driver))
		snprintf(plan->module, sizeof(plan->module), "%s", known->module);
	if (owner >= 0)
		vdpa_name(owner, plan->vdpa);
}

static void plan_fill(const struct manager *m, const struct vf *vf, int owner, const char *driver,
		      struct binding_plan *plan)
{
	const struct own_vf *own = spares_place(m, owner, &vf->addr);
	const uint8_t *vm_mac = bonds_mac(m, owner, &vf->addr);
	struct config_vf_options options;

	device_vf_options(m, vf, owner, &options);
	*plan = (struct binding_plan){
		.addr = vf->addr,
		.attributes = { .has_mac = options.has_mac && !vm_mac,
				.vlan = options.vlan,
				.qos = options.qos,
				.trust = options.trust,
				.spoofchk = options.spoofchk },
		.make_mac = true,
		.uid = m->user.uid,
		.gid = m->user.gid,
	};
	memcpy(plan->attributes.mac, options.mac, sizeof(options.mac));
	if (own && own->has_mac)
		vm_mac = own->mac;
	plan->has_vm_mac = vm_mac;
	if (vm_mac)
		memcpy(plan->vm_mac, vm_mac, sizeof(plan->vm_mac));
	if (driver)
		plan_vdpa(m, vf, owner, driver, plan);
	else
		snprintf(plan->driver, sizeof(plan->driver), "%s", m->cfg->uio_driver);
}

bool bindings_ready(const struct bindings *b, const struct vf *vf, int owner, const char *driver)
{
	const struct binding *binding = find(b, &vf->addr);
	struct binding_plan plan;

	if (!binding || binding->phase != IDLE || !binding->recorded || binding->owner != owner)
		return false;
	plan_fill(b->m, vf, owner, driver, &plan);
	return binding_ready(b->m->root, &plan);
}

/* The work on it is over; binding may be gone when it returns. */
static void finish(struct binding *binding)
{
	struct manager *m = binding->all->m;
	const binding_done_fn done = binding->done;
	void *const userdata = binding->userdata;
	const struct err err = binding->err;

	binding->phase = IDLE;
	binding->done = NULL;
	binding->failed = err.code != 0;
	/* What the configuration wants is tried once: so it is remembered. */
	if (!binding->recorded && !(binding->failed && binding->owner == BINDING_BY_CONFIG))
		drop(binding);
	saving_changed(m);
	manager_run_all(m);
	done(&err, userdata);
}

static bool mac_of_pf(const char *root, const struct pci_addr *addr, uint8_t mac[6])
{
	static const uint8_t none[6];
	struct vf_attributes told;
	struct vf vf;

	if (vf_read(root, addr, &vf, NULL) < 0 ||
	    sriov_get_attributes(vf.pf_netdev, vf.index, &told, NULL) < 0 || !told.has_mac ||
	    !memcmp(told.mac, none, sizeof(none)))
		return false;
	memcpy(mac, told.mac, sizeof(told.mac));
	return true;
}

static void run_bind(struct job *job)
{
	struct binding *binding = binding_of(job);
	const char *root = binding->all->m->root;

	binding->begun = true;
	binding_bind(root, &binding->plan, &binding->err);
	if (!binding->err.code)
		binding->has_mac = mac_of_pf(root, &binding->addr, binding->mac);
	binding->ran = true;
}

static void bind_done(struct job *job)
{
	struct binding *binding = binding_of(job);
	char addr[PCI_ADDR_STRLEN];

	fault_point("bind.done");
	/* It may have been replaced since it was looked at: what was bound is what has to be given
	 * back. */
	binding->instance = device_instance(binding->all->m->root, &binding->addr);
	if (!binding->err.code && is_gone(binding)) {
		err_set(&binding->err, -ENODEV, "bind", "%s went away when it had been bound",
			pci_addr_format(&binding->addr, addr));
	} else if (!binding->err.code && !binding_ready(binding->all->m->root, &binding->plan)) {
		err_set(&binding->err, -EBUSY, "bind",
			"%s was bound to %s, but somebody has changed its driver or its device "
			"file at once; is another tool (driverctl, a udev rule) in charge of it?",
			pci_addr_format(&binding->addr, addr), binding->plan.driver);
	}
	finish(binding);
}

static void submit(struct binding *binding, enum phase phase, void (*run)(struct job *job),
		   void (*done)(struct job *job))
{
	binding->phase = phase;
	binding->begun = binding->ran = false;
	binding->job = (struct job){ .what = binding->what, .run = run, .done = done };
	jobs_submit(binding->all->m->jobs, &binding->job);
}

static void on_recorded(void *userdata)
{
	struct binding *binding = userdata;

	fault_point("bind.recorded");
	if (binding->all->m->phase == MANAGER_STOPPING)
		binding->phase = IDLE;
	else
		submit(binding, BINDING, run_bind, bind_done);
}

static void run_inspect(struct job *job)
{
	struct binding *binding = binding_of(job);

	binding->begun = true;
	binding_inspect(binding->all->m->root, &binding->plan, &binding->now, &binding->err);
	binding->ran = true;
}

static void inspect_done(struct job *job)
{
	struct binding *binding = binding_of(job);

	if (binding->err.code) {
		finish(binding);
		return;
	}
	fault_point("bind.inspected");
	binding_record_update(&binding->before, binding->recorded, &binding->now, &binding->plan);
	binding->recorded = true;
	binding->phase = RECORDING;
	saving_then(binding->all->m, on_recorded, binding);
}

static struct binding *get(struct bindings *b, const struct pci_addr *addr)
{
	struct binding *binding = find(b, addr);

	if (binding)
		return binding;
	binding = calloc(1, sizeof(*binding));
	if (!binding)
		return NULL;
	*binding = (struct binding){ .all = b, .addr = *addr, .group = -1, .next = b->first };
	b->first = binding;
	return binding;
}

static void prepare(struct binding *binding, const char *what, binding_done_fn done, void *userdata)
{
	char addr[PCI_ADDR_STRLEN];

	snprintf(binding->what, sizeof(binding->what), "%s %s", what,
		 pci_addr_format(&binding->addr, addr));
	binding->done = done;
	binding->userdata = userdata;
	binding->err.code = 0;
}

static int busy(const struct binding *binding, struct err *err)
{
	char addr[PCI_ADDR_STRLEN];

	return err_set(err, -EAGAIN, "device", "waiting until other work on %s is done",
		       pci_addr_format(&binding->addr, addr));
}

int bindings_take(struct bindings *b, const struct pci_addr *addr, int owner, const char *driver,
		  binding_done_fn done, void *userdata, struct err *err)
{
	struct binding *binding = find(b, addr);
	const char *entry;
	struct vf vf;
	int rc;

	if (binding && binding->phase != IDLE)
		return busy(binding, err);
	rc = vf_read(b->m->root, addr, &vf, err);
	if (rc < 0)
		return rc;
	entry = device_is_excluded(b->m, addr);
	if (!entry)
		entry = device_is_excluded(b->m, &vf.pf);
	if (entry)
		return err_set(err, -EPERM, "device excluded", "VIO4WD_EXCLUDE in %s has %s",
			       b->m->cfg->file, entry);
	binding = get(b, addr);
	if (!binding)
		return err_set(err, -ENOMEM, "bind", "out of memory");
	if (is_gone(binding))
		binding->recorded = false;
	binding->owner = owner;
	binding->pf = vf.pf;
	binding->doubtful = false;
	binding->instance = device_instance(b->m->root, addr);
	plan_fill(b->m, &vf, owner, driver, &binding->plan);
	mark(binding, driver ? -1 : vf.iommu_group);
	prepare(binding, "bind", done, userdata);
	submit(binding, INSPECTING, run_inspect, inspect_done);
	return 0;
}

/* VIRTIOFWD_BIND_VFIO_PCI wants it, whoever had it. */
static bool wanted_by_config(const struct binding *binding)
{
	struct vf vf;

	return vf_read(binding->all->m->root, &binding->addr, &vf, NULL) == 0 &&
	       vf_auto_binds(binding->all->m, &vf);
}

bool bindings_mac(const struct bindings *b, const struct pci_addr *addr, uint8_t mac[6])
{
	const struct binding *binding = find(b, addr);

	if (!binding || binding->phase != IDLE || !binding->has_mac)
		return false;
	memcpy(mac, binding->mac, sizeof(binding->mac));
	return true;
}

static bool is_on_uio_driver(const struct binding *binding)
{
	struct vf vf;

	return vf_read(binding->all->m->root, &binding->addr, &vf, NULL) == 0 &&
	       !strcmp(vf.driver, binding->all->m->cfg->uio_driver);
}

static bool is_kept(const struct binding *binding, const struct pci_addr *keep, size_t n_keep)
{
	for (size_t i = 0; i < n_keep; i++) {
		if (pci_addr_equal(&keep[i], &binding->addr))
			return true;
	}
	return false;
}

static struct binding *surplus(struct bindings *b, int owner, const struct pci_addr *keep,
			       size_t n_keep)
{
	for (struct binding *binding = b->first; binding; binding = binding->next) {
		if (binding->owner != owner || !binding->recorded || binding->phase != IDLE)
			continue;
		if (is_gone(binding))
			return binding;
		if (binding->failed && owner == BINDING_BY_CONFIG)
			continue;
		if (is_kept(binding, keep, n_keep))
			continue;
		if (!wanted_by_config(binding))
			return binding;
		binding->owner = BINDING_BY_CONFIG;
		/* It may be on a driver of vDPA. */
		binding->doubtful = !is_on_uio_driver(binding);
	}
	return NULL;
}

bool bindings_surplus(struct bindings *b, int owner, const struct pci_addr *keep, size_t n_keep)
{
	return surplus(b, owner, keep, n_keep) != NULL;
}

static void run_restore(struct job *job)
{
	struct binding *binding = binding_of(job);

	binding->begun = true;
	if (!is_gone(binding))
		binding_restore(binding->all->m->root, &binding->addr, &binding->before,
				&binding->err);
	binding->ran = true;
}

static void restore_done(struct job *job)
{
	struct binding *binding = binding_of(job);

	if (!binding->err.code) {
		fault_point("restore.done");
		mark(binding, -1);
		binding->recorded = false;
	}
	finish(binding);
}

static void on_renounced(void *userdata)
{
	struct binding *binding = userdata;

	if (binding->all->m->phase == MANAGER_STOPPING)
		binding->phase = IDLE;
	else
		submit(binding, RESTORING, run_restore, restore_done);
}

int bindings_give_back(struct bindings *b, int owner, const struct pci_addr *keep, size_t n_keep,
		       binding_done_fn done, void *userdata, struct err *err)
{
	struct binding *binding = surplus(b, owner, keep, n_keep);

	if (!binding)
		return err_set(err, -EAGAIN, "device", "nothing to give back");
	prepare(binding, "give back", done, userdata);
	/* That nobody wishes for it any more is on disk first: the next manager goes on with it. */
	binding->phase = RECORDING;
	saving_then(b->m, on_renounced, binding);
	return 0;
}

bool bindings_busy(const struct bindings *b, const struct pci_addr *pf)
{
	for (const struct binding *binding = b->first; binding; binding = binding->next) {
		if (binding->phase != IDLE && pci_addr_equal(&binding->pf, pf))
			return true;
	}
	return false;
}

int bindings_owner(const struct bindings *b, const struct pci_addr *addr, int *owner)
{
	const struct binding *binding = find(b, addr);

	if (!binding || !binding->recorded)
		return -ENOENT;
	*owner = binding->owner;
	return 0;
}

bool bindings_wanted(const struct bindings *b, const struct pci_addr *addr)
{
	const struct binding *binding = find(b, addr);

	return !binding || (binding->phase == IDLE && !binding->failed &&
			    (!binding->recorded || binding->doubtful));
}

void bindings_retry(struct bindings *b)
{
	for (struct binding *binding = b->first; binding; binding = binding->next)
		binding->failed = false;
}

void bindings_forget_gone(struct bindings *b)
{
	struct binding *next;

	for (struct binding *binding = b->first; binding; binding = next) {
		next = binding->next;
		if (binding->phase != IDLE || binding->owner != BINDING_BY_CONFIG ||
		    !is_gone(binding))
			continue;
		mark(binding, -1);
		drop(binding);
		saving_changed(b->m);
	}
}

bool bindings_any(const struct bindings *b)
{
	for (const struct binding *binding = b->first; binding; binding = binding->next) {
		if (binding->recorded)
			return true;
	}
	return false;
}

json_object *bindings_to_json(const struct bindings *b)
{
	json_object *array = json_object_new_array(), *record;

	for (const struct binding *binding = b->first; binding; binding = binding->next) {
		if (!binding->recorded)
			continue;
		record = binding_record_make(&binding->addr, &binding->before, binding->owner);
		json_put_int(record, "instance", (int64_t)binding->instance);
		json_object_array_add(array, record);
	}
	return array;
}

void bindings_from_json(struct bindings *b, json_object *array)
{
	for (size_t i = 0; array && i < json_object_array_length(array); i++) {
		json_object *record = json_object_array_get_idx(array, i);
		struct binding_state before;
		struct pci_addr addr;
		struct binding *binding;
		struct vf vf;
		int owner;

		if (binding_record_parse(record, &addr, &before, &owner) < 0) {
			log_warning("state file: a record of a bound VF is broken: ignored");
			continue;
		}
		binding = get(b, &addr);
		if (!binding)
			return;
		binding->owner = owner < (int)b->m->max_relays ? owner : BINDING_BY_CONFIG;
		binding->before = before;
		binding->instance = json_get_int(record, "instance", 0);
		binding->recorded = true;
		if (vf_read(b->m->root, &addr, &vf, NULL) == 0) {
			binding->pf = vf.pf;
			binding->doubtful = binding->owner == BINDING_BY_CONFIG &&
					    strcmp(vf.driver, b->m->cfg->uio_driver) != 0;
			mark(binding, vf.iommu_group);
		}
	}
}
