/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VFs as a whole: how many a PF has (vf_count.c), which are taken as they appear (vf_auto.c), and
 * what users are shown of them (vf_json.c).
 */
#ifndef VIO4WD_MANAGER_VFS_H
#define VIO4WD_MANAGER_VFS_H

#include <stdbool.h>

#include <json-c/json.h>

#include "common/err.h"
#include "common/pci_addr.h"
#include "udev/vf.h"

struct manager;
struct pairing_wish;

/*
 * vf_count.c: the number of VFs, and who made them. While a PF's number changes its VFs are on
 * hold: pairings let them go and take them again when they are back.
 */
struct vf_counts;

typedef void (*vf_count_fn)(const struct err *err, void *userdata);

int vf_counts_new(struct vf_counts **counts, struct manager *m, struct err *err);
void vf_counts_free(struct vf_counts *counts);
/* done follows later, never from inside, unless an error is returned. */
int vf_count_set(struct vf_counts *counts, const struct pci_addr *pf, unsigned int count,
		 bool force, vf_count_fn done, void *userdata, struct err *err);
bool vf_count_on_hold(const struct vf_counts *counts, const struct pci_addr *pf);
/* The VFs that the PF has are those that were made here. */
bool vf_count_is_ours(const struct vf_counts *counts, const struct pf *pf);
/* After each round of the event loop: goes on with what waits for pairings. */
void vf_counts_continue(struct vf_counts *counts);
/* VIO4WD_NUM_VFS, for PFs that have appeared. */
void vf_counts_appeared(struct vf_counts *counts);
bool vf_counts_any(const struct vf_counts *counts);
json_object *vf_counts_to_json(const struct vf_counts *counts);
void vf_counts_from_json(struct vf_counts *counts, json_object *array);

/* vf_auto.c: VIO4WD_AUTO_VFS and VIRTIOFWD_BIND_VFIO_PCI. */

/* The wish for a relay id by VIO4WD_AUTO_VFS, when the VF is there now; fills name and device. */
bool vf_auto_wish(const struct manager *m, unsigned int id, struct pairing_wish *wish);
/* VIO4WD_AUTO_VFS has the wish for a relay id, whether the VF is there or not. */
bool vf_auto_covers(const struct manager *m, unsigned int id, const struct pairing_wish *wish);
/* VIRTIOFWD_BIND_VFIO_PCI names it, directly or with its PF. */
bool vf_auto_binds(const struct manager *m, const struct vf *vf);
/* Something appeared or went: takes what is new. */
void vf_auto_run(struct manager *m);

/* svc_vf.c: the methods vf-list, vf-create and vf-destroy of the control endpoint. */
struct rpc_request;
int svc_vf_list(struct manager *m, struct rpc_request *req, json_object *params, struct err *err);
int svc_vf_create(struct manager *m, struct rpc_request *req, json_object *params, struct err *err);
int svc_vf_destroy(struct manager *m, struct rpc_request *req, json_object *params,
		   struct err *err);

#endif
