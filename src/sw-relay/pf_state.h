/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a VF depends on: its PF, as far as the PF's interface tells. For drivers of VFs that do not
 * notice, or not always, that their PF was reset.
 */
#ifndef VIO4WD_RELAY_PF_STATE_H
#define VIO4WD_RELAY_PF_STATE_H

#include <stdbool.h>

#include "common/pci_addr.h"

struct pf_state {
	bool known; /* it is a VF, and the interface of its PF can be seen */
	bool up;    /* that has a carrier */
	unsigned int
		ups;   /* how often it has got one: a PF that is reset loses it and gets it back */
	char name[16]; /* of the interface */
};

/* root is put in front of paths. Takes no lock of the kernel's, waits for nothing. */
struct pf_state pf_state_read(const char *root, const struct pci_addr *vf);

#endif
