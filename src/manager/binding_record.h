/* SPDX-License-Identifier: BSD-3-Clause */

/* How a VF was before its driver was changed, as the state file keeps it. */
#ifndef VIO4WD_MANAGER_BINDING_RECORD_H
#define VIO4WD_MANAGER_BINDING_RECORD_H

#include <json-c/json.h>

#include "common/pci_addr.h"
#include "udev/binding.h"

#define BINDING_BY_CONFIG (-1) /* owner: VIRTIOFWD_BIND_VFIO_PCI, else a relay id */

/* The caller owns the result. */
json_object *binding_record_make(const struct pci_addr *addr, const struct binding_state *before,
				 int owner);
/* Returns 0 or -EINVAL. */
int binding_record_parse(json_object *record, struct pci_addr *addr, struct binding_state *before,
			 int *owner);

#endif
