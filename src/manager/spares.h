/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VIO4WD_SPARE_VFS: VFs that are kept aside to stand in for one that goes or cannot be opened.
 * Which pairing has one is the pairings' own state (pairing_target()); here is who may have it.
 */
#ifndef VIO4WD_MANAGER_SPARES_H
#define VIO4WD_MANAGER_SPARES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/devname.h"
#include "common/err.h"
#include "common/pci_addr.h"
#include "udev/vf.h"

struct manager;
struct pairing;

/* What could not be opened may be tried again: the configuration is new. */
void spares_retry(struct manager *m);

/* The entry of the configuration that is this function, or NULL: it is no spare. */
const char *spares_name(const struct manager *m, const struct pci_addr *addr);
/* The entry that this name means, whether there is such a VF or not; or NULL. */
const char *spares_names(const struct manager *m, const struct devname *dev);
/* The pairing that it serves, or NULL. */
const struct pairing *spares_pairing(const struct manager *m, const struct pci_addr *addr);

/* For struct pairing_env. */
bool spares_find(struct pairing *p, struct devname *spare);
bool spares_may_stand_in(struct pairing *p, const struct devname *device);
void spares_failed(struct pairing *p, const struct err *err);

/* What is kept of the wished device of a pairing, for the time when it is gone. */
struct own_vf {
	bool known;
	struct vf vf;
	bool has_mac;
	uint8_t mac[6]; /* that it had, and its VM has */
};

/* A device has this MAC address: when it is the wished one, its VM has that, and so will a
 * stand-in. */
void spares_keep_mac(struct pairing *p, const char *device, const char *mac);
/* The VF whose place this one takes for a relay id; NULL: its own. */
const struct own_vf *spares_place(const struct manager *m, int owner, const struct pci_addr *addr);

#endif
