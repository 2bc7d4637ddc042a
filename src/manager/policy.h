/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which backend serves a device, and why: a pure function of the facts, so that it is tested by
 * table. It has no side effects and looks at nothing but its arguments.
 */
#ifndef VIO4WD_MANAGER_POLICY_H
#define VIO4WD_MANAGER_POLICY_H

#include <stdbool.h>

#include "common/config.h"
#include "common/devname.h"
#include "common/err.h"

enum policy_backend { POLICY_SOFTWARE, POLICY_VDPA };

struct policy_facts {
	const struct devname *device;
	enum config_backend wanted;
	bool vdpa_offered; /* a vDPA management device belongs to it */
};

struct policy_decision {
	enum policy_backend backend;
	bool needs_port; /* takes one of the DPDK ports of a relay process */
	char reason[160];
};

/* Returns 0, or -EOPNOTSUPP when what is wanted cannot be had: err says what is missing. */
int policy_decide(const struct policy_facts *facts, struct policy_decision *decision,
		  struct err *err);

const char *policy_backend_name(enum policy_backend backend); /* "software", "vdpa" */

#endif
