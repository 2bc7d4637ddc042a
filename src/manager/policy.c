/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/policy.h"

#include <errno.h>
#include <stdio.h>

/* Why there is no hardware behind a device, for the reason line. */
static void why_no_vdpa(const struct devname *dev, char *buf, size_t size)
{
	switch (dev->kind) {
	case DEVNAME_PCI:
	case DEVNAME_PF_VF:
		snprintf(buf, size, "no vDPA management device on %s", dev->text);
		break;
	case DEVNAME_NETDEV:
		snprintf(buf, size, "%s is a Linux network interface, not a VF", dev->text);
		break;
	case DEVNAME_VDEV:
		snprintf(buf, size, "%s is a virtual device", dev->driver_name);
		break;
	}
}

int policy_decide(const struct policy_facts *facts, struct policy_decision *decision,
		  struct err *err)
{
	char missing[sizeof(decision->reason) - 16];

	why_no_vdpa(facts->device, missing, sizeof(missing));
	decision->needs_port = facts->device->kind != DEVNAME_NETDEV;
	decision->backend = POLICY_SOFTWARE;
	if (facts->wanted == CONFIG_BACKEND_VDPA)
		return err_set(err, -EOPNOTSUPP, "backend",
			       "%s cannot be served by vDPA: %s; use the backend 'auto' or 'sw'",
			       facts->device->text,
			       facts->vdpa_offered ? "this version drives no vDPA hardware"
						   : missing);
	if (facts->wanted == CONFIG_BACKEND_SW)
		snprintf(decision->reason, sizeof(decision->reason), "software: asked for");
	else if (facts->vdpa_offered)
		snprintf(decision->reason, sizeof(decision->reason),
			 "software: this version drives no vDPA hardware");
	else
		snprintf(decision->reason, sizeof(decision->reason), "software: %s", missing);
	return 0;
}

const char *policy_backend_name(enum policy_backend backend)
{
	return backend == POLICY_VDPA ? "vdpa" : "software";
}
