/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vf-list, vf-create and vf-destroy of the control endpoint. What a PF says of its VFs (their MAC
 * addresses) is asked in the thread for slow calls: whoever holds rtnetlink's lock holds only that.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manager/bindings.h"
#include "manager/device.h"
#include "manager/jobs.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/vfs.h"
#include "udev/sriov.h"
#include "wire/rpc.h"

struct listing { /* an answer that shows PFs */
	struct manager *m;
	struct rpc_request *req;
	bool all;  /* else the one of `only` */
	bool bare; /* the answer is the PF itself and not a list of PFs */
	struct pci_addr only;
	struct job job;
	struct pf *pfs;
	size_t n_pfs;
	struct vf *vfs;
	size_t n_vfs;
	struct vf_attributes *attrs; /* of vfs */
	struct err err;
};

static void listing_free(struct listing *l)
{
	free(l->pfs);
	free(l->vfs);
	free(l->attrs);
	free(l);
}

static bool shows(const struct listing *l, const struct pci_addr *pf)
{
	return l->all || pci_addr_equal(&l->only, pf);
}

static void run_list(struct job *job)
{
	struct listing *l = (struct listing *)((char *)job - offsetof(struct listing, job));

	if (pf_enumerate(l->m->root, &l->pfs, &l->n_pfs, &l->err) < 0 ||
	    vf_enumerate(l->m->root, &l->vfs, &l->n_vfs, &l->err) < 0)
		return;
	l->attrs = calloc(l->n_vfs + 1, sizeof(*l->attrs));
	for (size_t i = 0; l->attrs && i < l->n_vfs; i++) {
		if (shows(l, &l->vfs[i].pf) && l->vfs[i].pf_netdev[0] &&
		    sriov_get_attributes(l->vfs[i].pf_netdev, l->vfs[i].index, &l->attrs[i], NULL) <
			    0)
			l->attrs[i].has_mac = false;
	}
}

static void put_optional(json_object *json, const char *key, const char *text)
{
	json_put_text(json, key, *text ? text : NULL);
}

static void put_optional_int(json_object *json, const char *key, int value)
{
	if (value >= 0)
		json_put_int(json, key, value);
	else
		json_put_shared(json, key, NULL);
}

static void put_id(json_object *json, const char *key, uint16_t id)
{
	char text[8];

	snprintf(text, sizeof(text), "%04x", id);
	json_put_text(json, key, text);
}

static const struct pairing *pairing_with(const struct manager *m, const struct pci_addr *addr)
{
	for (unsigned int id = 0; id < m->max_relays; id++) {
		const struct pairing *p = &m->pairings[id];

		if (p->wish.has_device && device_has_function(m, &p->wish.device, addr))
			return p;
	}
	return NULL;
}

static void put_use(json_object *json, const struct manager *m, const struct pci_addr *addr)
{
	const struct pairing *served = spares_pairing(m, addr);
	const struct pairing *p = served ? served : pairing_with(m, addr);
	char text[32];
	int owner;

	json_put_text(json, "spare", spares_name(m, addr));
	json_put_bool(json, "stands_in", served != NULL);
	put_optional_int(json, "relay", p ? (int)p->id : -1);
	json_put_text(json, "state", p ? pairing_state_name(p->state) : NULL);
	if (bindings_owner(m->bindings, addr, &owner) < 0)
		json_put_text(json, "held_by", NULL);
	else if (owner == BINDING_BY_CONFIG)
		json_put_text(json, "held_by", "VIRTIOFWD_BIND_VFIO_PCI");
	else {
		snprintf(text, sizeof(text), "relay %d", owner);
		json_put_text(json, "held_by", text);
	}
}

static json_object *vf_json(const struct manager *m, const struct vf *vf,
			    const struct vf_attributes *attrs)
{
	json_object *json = json_object_new_object();
	json_object *others = json_object_new_array();
	static const uint8_t none[6];
	char text[64], mac[18];

	json_put_int(json, "index", vf->index);
	json_put_text(json, "name", vf_name(vf, text, sizeof(text)));
	json_put_text(json, "address", pci_addr_format(&vf->addr, text));
	put_optional(json, "driver", vf->driver);
	put_optional(json, "netdev", vf->netdev);
	if (attrs && attrs->has_mac && memcmp(attrs->mac, none, sizeof(none))) {
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", attrs->mac[0],
			 attrs->mac[1], attrs->mac[2], attrs->mac[3], attrs->mac[4], attrs->mac[5]);
		json_put_text(json, "mac", mac);
	} else {
		json_put_text(json, "mac", NULL);
	}
	put_id(json, "vendor", vf->vendor);
	put_id(json, "device", vf->device);
	put_optional_int(json, "numa_node", vf->numa_node);
	put_optional_int(json, "iommu_group", vf->iommu_group);
	for (size_t i = 0; i < vf->n_group_others && i < VF_GROUP_MAX; i++)
		json_object_array_add(others, json_object_new_string(
						      pci_addr_format(&vf->group_others[i], text)));
	json_object_object_add(json, "shares_group_with", others);
	put_use(json, m, &vf->addr);
	return json;
}

static json_object *pf_json(const struct listing *l, const struct pf *pf)
{
	json_object *json = json_object_new_object();
	json_object *vfs = json_object_new_array();
	char text[PCI_ADDR_STRLEN];

	json_put_text(json, "address", pci_addr_format(&pf->addr, text));
	put_optional(json, "netdev", pf->netdev);
	put_optional(json, "driver", pf->driver);
	put_id(json, "vendor", pf->vendor);
	put_id(json, "device", pf->device);
	put_optional_int(json, "numa_node", pf->numa_node);
	json_put_int(json, "total", pf->total_vfs);
	json_put_int(json, "made", pf->num_vfs);
	json_put_text(json, "made_by",
		      !pf->num_vfs			      ? NULL
		      : vf_count_is_ours(l->m->vf_counts, pf) ? "vio4wd"
							      : "other");
	for (size_t i = 0; i < l->n_vfs; i++) {
		if (pci_addr_equal(&l->vfs[i].pf, &pf->addr))
			json_object_array_add(vfs, vf_json(l->m, &l->vfs[i],
							   l->attrs ? &l->attrs[i] : NULL));
	}
	json_object_object_add(json, "vfs", vfs);
	return json;
}

static void list_done(struct job *job)
{
	struct listing *l = (struct listing *)((char *)job - offsetof(struct listing, job));
	json_object *result, *pfs = json_object_new_array();

	for (size_t i = 0; i < l->n_pfs; i++) {
		if (shows(l, &l->pfs[i].addr))
			json_object_array_add(pfs, pf_json(l, &l->pfs[i]));
	}
	if (l->err.code) {
		rpc_reply_error(l->req, &l->err);
	} else if (l->bare) {
		json_object *pf = json_object_array_get_idx(pfs, 0);

		rpc_reply(l->req, pf ? json_object_get(pf) : NULL);
	} else {
		result = json_object_new_object();
		json_object_object_add(result, "pfs", json_object_get(pfs));
		rpc_reply(l->req, result);
	}
	json_object_put(pfs);
	listing_free(l);
}

static struct listing *listing_new(struct manager *m, struct rpc_request *req, struct err *err)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (!l) {
		err_set(err, -ENOMEM, "VFs", "out of memory");
		return NULL;
	}
	l->m = m;
	l->req = req;
	l->job = (struct job){ .what = "list VFs", .run = run_list, .done = list_done };
	return l;
}

/* The PF of a request. */
static int pf_param(const struct manager *m, json_object *params, struct pci_addr *addr,
		    struct err *err)
{
	const char *text;
	struct pf pf;
	int rc;

	rc = param_text(params, "pf", &text, err);
	if (!rc)
		rc = pf_find(m->root, text, addr, err);
	return rc ? rc : pf_read(m->root, addr, &pf, err);
}

int svc_vf_list(struct manager *m, struct rpc_request *req, json_object *params, struct err *err)
{
	const bool all = !json_object_object_get_ex(params, "pf", NULL);
	struct pci_addr addr = { 0 };
	struct listing *l;

	if (!all && pf_param(m, params, &addr, err) < 0)
		return err->code;
	l = listing_new(m, req, err);
	if (!l)
		return -ENOMEM;
	l->all = all;
	l->only = addr;
	jobs_submit(m->jobs, &l->job);
	return 0;
}

static void set_done(const struct err *err, void *userdata)
{
	struct listing *l = userdata;

	if (err->code) {
		rpc_reply_error(l->req, err);
		listing_free(l);
	} else {
		jobs_submit(l->m->jobs, &l->job);
	}
}

static int set_count(struct manager *m, struct rpc_request *req, json_object *params,
		     unsigned int count, struct err *err)
{
	struct pci_addr addr;
	struct listing *l;
	bool force = false;
	int rc;

	rc = pf_param(m, params, &addr, err);
	if (!rc)
		rc = param_optional_bool(params, "force", &force, err);
	if (rc)
		return rc;
	l = listing_new(m, req, err);
	if (!l)
		return -ENOMEM;
	l->bare = true;
	l->only = addr;
	rc = vf_count_set(m->vf_counts, &addr, count, force, set_done, l, err);
	if (rc < 0)
		listing_free(l);
	return rc;
}

int svc_vf_create(struct manager *m, struct rpc_request *req, json_object *params, struct err *err)
{
	unsigned int count;
	int rc = param_uint(params, "count", 65535, &count, err);

	if (!rc && !count)
		rc = err_set(err, -EINVAL, "parameters",
			     "0 VFs: to remove the VFs of a PF use vf destroy");
	return rc ? rc : set_count(m, req, params, count, err);
}

int svc_vf_destroy(struct manager *m, struct rpc_request *req, json_object *params, struct err *err)
{
	return set_count(m, req, params, 0, err);
}
