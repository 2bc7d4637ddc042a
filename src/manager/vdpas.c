/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What is there is looked up in sysfs whenever it is needed, which never waits. Only what a
 * management device offers has to be asked for, by netlink; that answer is kept until something
 * changes. One question is under way at a time; a change meanwhile makes it to be asked again.
 */
#include "manager/vdpas.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/module.h"
#include "manager/device.h"
#include "manager/jobs.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/vdpa_faces.h"
#include "manager/vdpa_make.h"
#include "udev/device_node.h"
#include "udev/vdpa_driver.h"
#include "vdpa/sysfs.h"

#define RELAY_MODE 0600
#define VM_MODE 0660

struct make { /* work on the device of one pairing */
	struct job job;
	struct manager *m;
	bool busy;
	atomic_bool begun, ran;
	char what[VDPA_NAME_MAX + 32];
	struct vdpa_plan plan;
	struct err err;
	vdpas_done_fn done;
	void *userdata;
};

struct vdpas {
	struct manager *m;
	struct make *makes; /* by relay id */
	struct job job;	    /* of the question */
	atomic_bool begun, ran;
	bool known, asking, again;
	bool expecting; /* the answer to come is what pairings wait for */
	struct vdpa_mgmtdev *mgmt, *new_mgmt;
	size_t n_mgmt, n_new_mgmt;
	struct err err;
	struct vdpa_faces faces;
};

int vdpas_new(struct vdpas **result, struct manager *m, struct err *err)
{
	struct vdpas *v = calloc(1, sizeof(*v));

	if (v)
		v->makes = calloc(m->max_relays, sizeof(*v->makes));
	if (!v || !v->makes) {
		free(v);
		return err_set(err, -ENOMEM, "start", "out of memory");
	}
	v->m = m;
	for (unsigned int id = 0; id < m->max_relays; id++)
		v->makes[id].m = m;
	*result = v;
	return 0;
}

/* A job that the kernel holds still writes to it. */
static bool in_hand(const struct vdpas *v)
{
	bool held = v->begun && !v->ran;

	for (unsigned int id = 0; id < v->m->max_relays; id++)
		held |= v->makes[id].begun && !v->makes[id].ran;
	return held;
}

void vdpas_free(struct vdpas *v)
{
	if (!v || in_hand(v))
		return;
	free(v->mgmt);
	free(v->new_mgmt);
	free(v->makes);
	vdpa_faces_free(&v->faces);
	free(v);
}

static struct vdpas *vdpas_of(struct job *job)
{
	return (struct vdpas *)((char *)job - offsetof(struct vdpas, job));
}

static void run_ask(struct job *job)
{
	struct vdpas *v = vdpas_of(job);

	v->begun = true;
	vdpa_mgmtdev_list(&v->new_mgmt, &v->n_new_mgmt, &v->err);
	v->ran = true;
}

static void ask(struct vdpas *v);

/* What they can make is known as long as their VFs are on the driver that has vDPA. */
static void take_reports(struct vdpas *v)
{
	struct pci_addr addr;
	struct vf vf;

	for (size_t i = 0; i < v->n_mgmt; i++) {
		if (vdpa_mgmtdev_function(v->m->root, &v->mgmt[i], &addr) == 0 &&
		    vf_read(v->m->root, &addr, &vf, NULL) == 0)
			vdpa_faces_report(&v->faces, &vf, &v->mgmt[i]);
	}
}

static void ask_done(struct job *job)
{
	struct vdpas *v = vdpas_of(job);

	v->asking = false;
	/* They change while they are told: what was told last stands until then. */
	if (v->err.code == -EAGAIN) {
		free(take_ptr(v->new_mgmt));
		ask(v);
		return;
	}
	/* A kernel without vDPA has no management devices. */
	if (v->err.code && v->err.code != -EOPNOTSUPP)
		log_warning("vDPA management devices cannot be listed: %s", v->err.text);
	free(v->mgmt);
	v->n_mgmt = v->err.code ? 0 : v->n_new_mgmt;
	v->mgmt = take_ptr(v->new_mgmt);
	v->known = true;
	take_reports(v);
	if (v->again)
		ask(v);
	else
		v->expecting = false;
	manager_run_all(v->m);
}

static void ask(struct vdpas *v)
{
	v->asking = true;
	v->again = v->begun = v->ran = false;
	v->err.code = 0;
	v->n_new_mgmt = 0;
	v->job = (struct job){ .what = "ask for vDPA", .run = run_ask, .done = ask_done };
	jobs_submit(v->m->jobs, &v->job);
}

void vdpas_refresh(struct vdpas *v)
{
	if (v->asking)
		v->again = true;
	else
		ask(v);
}

void vdpas_expect(struct vdpas *v)
{
	v->expecting = true;
	vdpas_refresh(v);
}

/* One that makes network devices, if there are several. */
static const struct vdpa_mgmtdev *mgmt_of(const struct vdpas *v, const struct pci_addr *addr)
{
	const struct vdpa_mgmtdev *found = NULL;

	for (size_t i = 0; i < v->n_mgmt; i++) {
		if (!vdpa_mgmtdev_is_of(v->m->root, &v->mgmt[i], addr))
			continue;
		if (!found || v->mgmt[i].classes & (1ull << VIRTIO_ID_NET))
			found = &v->mgmt[i];
	}
	return found;
}

static void put_mgmt(const struct vdpa_mgmtdev *mgmt, struct policy_vdpa *facts)
{
	snprintf(facts->mgmt, sizeof(facts->mgmt), "%s%s%s", mgmt->bus, mgmt->bus[0] ? "/" : "",
		 mgmt->name);
	facts->no_net = !(mgmt->classes & (1ull << VIRTIO_ID_NET));
	facts->max_known = mgmt->max_vqs != 0;
	facts->max_pairs = mgmt->max_vqs / 2;
}

/* A driver of the table is known to have it before the kernel was asked. */
static void put_driver(const struct vdpas *v, const struct vf *vf, struct policy_vdpa *facts)
{
	const struct vdpa_driver *driver = vdpa_driver_of(v->m->root, vf);
	const char *name;

	/* Where the kernel's driver is not there, DPDK's may do. */
	if (driver && facts->dpdk_args && module_find(v->m->root, "pci", driver->driver, NULL) < 0)
		driver = NULL;
	name = driver ? driver->driver : facts->mgmt[0] ? vf->driver : "";

	snprintf(facts->driver, sizeof(facts->driver), "%s", name);
	facts->bound = driver && !strcmp(vf->driver, driver->driver) &&
		       (!driver->module || module_is_loaded(v->m->root, driver->module));
	facts->asking = !v->known || (v->expecting && facts->bound);
	if (driver && !facts->bound)
		facts->asking = false;
}

void vdpas_facts(struct pairing *p, const struct devname *device, struct policy_vdpa *facts)
{
	const struct manager *m = p->env->ctx;
	struct config_vf_options options;
	const struct vdpa_mgmtdev *mgmt;
	struct device_facts dev;

	*facts = (struct policy_vdpa){ 0 };
	if (device->kind != DEVNAME_PCI && device->kind != DEVNAME_PF_VF)
		return;
	device_look(m->root, device, &dev);
	facts->absent = !dev.present;
	if (!dev.present || !dev.is_vf)
		return;
	device_vf_options(m, &dev.vf, (int)p->id, &options);
	facts->min_pairs = options.queues;
	facts->flaw = vdpa_driver_flaw(&dev.vf);
	/* It has no file that could be handed out. */
	if (!p->wish.handed_out)
		facts->dpdk_args = vdpa_driver_dpdk_args(m->root, &dev.vf);
	mgmt = mgmt_of(m->vdpas, &dev.pci);
	/* On a driver that hands it out it has none any more, whatever was told last. */
	if (mgmt && !device_node_of_driver(dev.vf.driver))
		put_mgmt(mgmt, facts);
	put_driver(m->vdpas, &dev.vf, facts);
}

void vdpas_learn(struct vdpas *v, unsigned int id, const struct devname *device, json_object *told)
{
	json_object *hardware = json_get_member(told, "hardware", json_type_object);
	struct config_vf_options options;
	struct device_facts dev;

	device_look(v->m->root, device, &dev);
	if (!hardware || !dev.is_vf)
		return;
	device_vf_options(v->m, &dev.vf, (int)id, &options);
	vdpa_faces_learn(&v->faces, &dev.vf,
			 &(struct vdpa_face){
				 .features = (uint64_t)json_get_int(hardware, "features", 0),
				 .pairs = (unsigned int)json_get_int(hardware, "pairs", 1),
			 },
			 options.queues);
}

json_object *vdpas_hardware(const struct vdpas *v, const struct vf *vf, unsigned int queues)
{
	struct vdpa_face face;
	json_object *told;

	if (vdpa_driver_flaw(vf) || !vdpa_faces_get(&v->faces, vf, queues, &face))
		return NULL;
	told = json_object_new_object();
	json_put_int(told, "features", (int64_t)face.features);
	json_put_int(told, "pairs", face.pairs);
	return told;
}

static void fill_plan(const struct pairing *p, const struct pci_addr *addr, struct vdpa_plan *plan)
{
	const struct manager *m = p->env->ctx;

	*plan = (struct vdpa_plan){
		.addr = *addr,
		.mtu = m->cfg->jumbo ? MANAGER_MTU_JUMBO : MANAGER_MTU_ORDINARY,
		.max_pairs = CONFIG_QUEUES_MAX,
		.uid = m->user.uid,
		.gid = m->user.gid,
		.mode = RELAY_MODE,
	};
	vdpa_name(p->id, plan->name);
	/* QEMU's, as a socket would be. */
	if (p->wish.handed_out) {
		plan->uid = m->owner.uid;
		plan->gid = m->owner.gid;
		plan->mode = VM_MODE;
	}
}

void vdpas_look(struct pairing *p, const struct pci_addr *addr)
{
	const struct manager *m = p->env->ctx;
	struct vdpa_plan plan;
	char name[VDPA_NAME_MAX];

	p->seen.made = vdpa_is_made(m->root, vdpa_name(p->id, name));
	p->seen.made_here = p->seen.made && addr && vdpa_is_on(m->root, name, addr);
	p->seen.made_right = false;
	if (!p->seen.made_here)
		return;
	fill_plan(p, addr, &plan);
	/* libvirt gives what a VM has to another owner, and takes that back afterwards. */
	p->seen.made_right = vdpa_is_ready(m->root, &plan) ||
			     (p->wish.handed_out && p->state == PAIRING_LISTENING);
}

int vdpas_path(const struct pairing *p, char *path, size_t size, struct err *err)
{
	const struct manager *m = p->env->ctx;
	char name[VDPA_NAME_MAX];

	return vdpa_chardev(m->root, vdpa_name(p->id, name), path, size, err);
}

static struct make *make_of(struct job *job)
{
	return (struct make *)((char *)job - offsetof(struct make, job));
}

static void run_make(struct job *job)
{
	struct make *make = make_of(job);

	make->begun = true;
	vdpa_make(make->m->root, &make->plan, &make->err);
	make->ran = true;
}

static void run_unmake(struct job *job)
{
	struct make *make = make_of(job);

	make->begun = true;
	vdpa_unmake(make->m->root, make->plan.name, &make->err);
	make->ran = true;
}

static void make_done(struct job *job)
{
	struct make *make = make_of(job);
	const struct err err = make->err;

	make->busy = false;
	manager_run_all(make->m);
	make->done(&err, make->userdata);
}

/* NULL while it is busy. */
static struct make *begin(struct pairing *p, const char *what, struct err *err)
{
	struct manager *m = p->env->ctx;
	struct make *make = &m->vdpas->makes[p->id];

	if (make->busy) {
		err_set(err, -EAGAIN, "vDPA", "waiting until other work on %s is done",
			make->plan.name);
		return NULL;
	}
	make->busy = true;
	make->begun = make->ran = false;
	make->err.code = 0;
	vdpa_name(p->id, make->plan.name);
	snprintf(make->what, sizeof(make->what), "%s vDPA device %s", what, make->plan.name);
	return make;
}

static void submit(struct make *make, void (*run)(struct job *job), vdpas_done_fn done,
		   void *userdata)
{
	make->done = done;
	make->userdata = userdata;
	make->job = (struct job){ .what = make->what, .run = run, .done = make_done };
	jobs_submit(make->m->jobs, &make->job);
}

/* The address that the configuration gives the VF, and how many queue pairs. */
static int plan_options(const struct pairing *p, struct vdpa_plan *plan, struct err *err)
{
	const struct manager *m = p->env->ctx;
	struct config_vf_options options;
	struct vf vf;
	int rc;

	rc = vf_read(m->root, &plan->addr, &vf, err);
	if (rc < 0)
		return rc;
	device_vf_options(m, &vf, (int)p->id, &options);
	plan->has_mac = options.has_mac;
	memcpy(plan->mac, options.mac, sizeof(plan->mac));
	if (options.queues)
		plan->max_pairs = options.queues;
	return 0;
}

int vdpas_make(struct pairing *p, const struct pci_addr *addr, vdpas_done_fn done, void *userdata,
	       struct err *err)
{
	struct vdpa_plan plan;
	struct make *make;
	int rc;

	fill_plan(p, addr, &plan);
	rc = plan_options(p, &plan, err);
	if (rc)
		return rc;
	make = begin(p, "make", err);
	if (!make)
		return -EAGAIN;
	make->plan = plan;
	submit(make, run_make, done, userdata);
	return 0;
}

int vdpas_unmake(struct pairing *p, vdpas_done_fn done, void *userdata, struct err *err)
{
	struct make *make = begin(p, "remove", err);

	if (!make)
		return -EAGAIN;
	submit(make, run_unmake, done, userdata);
	return 0;
}
