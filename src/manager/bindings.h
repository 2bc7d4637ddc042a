/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The VFs whose driver was changed, for whom, and how they were before.
 *
 * A record is written to the state file before anything is changed and removed when all is as it
 * was before; so whatever cuts the manager off, the next one knows what it has to complete or to
 * undo. A VF that vanishes takes its record with it: when it returns, it is as its maker wants it.
 */
#ifndef VIO4WD_MANAGER_BINDINGS_H
#define VIO4WD_MANAGER_BINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "common/err.h"
#include "common/pci_addr.h"
#include "manager/binding_record.h"
#include "udev/vf.h"

struct manager;
struct bindings;

typedef void (*binding_done_fn)(const struct err *err, void *userdata);

int bindings_new(struct bindings **bindings, struct manager *m, struct err *err);
void bindings_free(struct bindings *bindings);

/* Owner has taken it, it is on driver (NULL: the one by which relays open it), and the relay may
 * open it. */
bool bindings_ready(const struct bindings *bindings, const struct vf *vf, int owner,
		    const char *driver);

/*
 * Gets a VF ready for owner (a relay id, or BINDING_BY_CONFIG) on driver, which is one of vDPA, or
 * NULL: the one by which relays open it (VIO4WD_UIO_DRIVER). Returns 0, and done follows later,
 * never from inside; -EAGAIN while other work on the VF is under way (manager_run_all follows its
 * end); or an error.
 */
int bindings_take(struct bindings *bindings, const struct pci_addr *addr, int owner,
		  const char *driver, binding_done_fn done, void *userdata, struct err *err);

/*
 * Something that owner has to give back, because it is none of the n_keep in keep or is
 * gone. What the configuration wants bound is no longer owner's, but stays as it is.
 */
bool bindings_surplus(struct bindings *bindings, int owner, const struct pci_addr *keep,
		      size_t n_keep);
/* Puts one such VF back as it was; returns as bindings_take does. */
int bindings_give_back(struct bindings *bindings, int owner, const struct pci_addr *keep,
		       size_t n_keep, binding_done_fn done, void *userdata, struct err *err);

/* The address that the PF gives a VF, as it was when that was bound. false: it is not known. */
bool bindings_mac(const struct bindings *bindings, const struct pci_addr *addr, uint8_t mac[6]);
/* Work on a VF of this PF is under way. */
bool bindings_busy(const struct bindings *bindings, const struct pci_addr *pf);
/* The owner of a VF: a relay id or BINDING_BY_CONFIG. -ENOENT: nobody has taken it. */
int bindings_owner(const struct bindings *bindings, const struct pci_addr *addr, int *owner);
/* What the configuration names is to be taken: nobody has it, and no earlier try has failed. */
bool bindings_wanted(const struct bindings *bindings, const struct pci_addr *addr);
/* What has failed may be tried again. */
void bindings_retry(struct bindings *bindings);
/* VFs of the configuration that vanished: when they return they are tried again. */
void bindings_forget_gone(struct bindings *bindings);
bool bindings_any(const struct bindings *bindings);

/* For the state file. */
json_object *bindings_to_json(const struct bindings *bindings);
void bindings_from_json(struct bindings *bindings, json_object *array);

#endif
