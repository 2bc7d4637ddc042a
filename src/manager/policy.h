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

#define POLICY_TEXT_MAX 400
#define POLICY_DRIVER_MAX 64

/* POLICY_DPDK_VDPA: the VF is on the driver that it has for software, and a vDPA driver of DPDK
 * gives it the VM's rings. */
enum policy_backend { POLICY_SOFTWARE, POLICY_VDPA, POLICY_DPDK_VDPA };

/* What is known of the vDPA of a device; all zero: it is no PCI function, or does not exist. */
struct policy_vdpa {
	bool absent;	/* the device does not exist yet */
	bool asking;	/* the kernel has not told its management devices yet */
	char mgmt[96];	/* the one that belongs to it now: "pci/0000:05:08.1"; "": none */
	bool no_net;	/* mgmt makes no network devices */
	bool max_known; /* mgmt tells how many queue pairs a device may have: */
	unsigned int max_pairs;
	unsigned int min_pairs;		/* that it has to have; 0: any number */
	char driver[POLICY_DRIVER_MAX]; /* that has it, or would make mgmt; "": none is known */
	bool bound;			/* it is on that driver */
	const char *flaw;		/* why it is not to be used; NULL: nothing is against it */
	const char *dpdk_args;		/* of a vDPA driver of DPDK that takes it; NULL: none */
	const char *failed;		/* what came of the last try; "" or NULL: it did not fail */
};

struct policy_facts {
	const struct devname *device;
	enum config_backend wanted;
	struct policy_vdpa vdpa;
};

struct policy_decision {
	enum policy_backend backend;
	enum config_backend wanted;	    /* what it was made for */
	bool needs_port;		    /* takes one of the DPDK ports of a relay process */
	char driver[POLICY_DRIVER_MAX];	    /* for vDPA: what the function has to be on */
	char missing[POLICY_TEXT_MAX - 16]; /* what vDPA lacks on the device; "": nothing */
	const char *dpdk_args;		    /* for DPDK's: what its driver wants to be told */
	char reason[POLICY_TEXT_MAX];
};

/*
 * Returns 0; -EAGAIN while the facts are not complete, err says what for; or -EOPNOTSUPP when what
 * is wanted cannot be had: err says what is missing.
 */
int policy_decide(const struct policy_facts *facts, struct policy_decision *decision,
		  struct err *err);

const char *policy_backend_name(enum policy_backend backend); /* "software", "vdpa", "dpdk-vdpa" */

#endif
