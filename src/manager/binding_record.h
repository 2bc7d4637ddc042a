/* SPDX-License-Identifier: BSD-3-Clause */

/* How a VF was before its driver was changed, as the state file keeps it. */
#ifndef VIO4WD_MANAGER_BINDING_RECORD_H
#define VIO4WD_MANAGER_BINDING_RECORD_H

#include <json-c/json.h>

#include "common/pci_addr.h"
#include "udev/binding.h"

#define BINDING_BY_CONFIG (-1) /* owner: VIRTIOFWD_BIND_VFIO_PCI, else a relay id */

/*
 * What a VF was like before it was taken: `now`, as it was just found, unless an earlier try had
 * changed it already; of that *before tells when recorded is true. Of the attributes only those are
 * kept that the plan changes.
 */
void binding_record_update(struct binding_state *before, bool recorded,
			   const struct binding_state *now, const struct binding_plan *plan);

/* The caller owns the result. */
json_object *binding_record_make(const struct pci_addr *addr, const struct binding_state *before,
				 int owner);
/* Returns 0 or -EINVAL. */
int binding_record_parse(json_object *record, struct pci_addr *addr, struct binding_state *before,
			 int *owner);

#endif
