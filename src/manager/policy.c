/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/policy.h"

#include <errno.h>
#include <stdio.h>

static void why_not_a_function(const struct devname *dev, char *buf, size_t size)
{
	if (dev->kind == DEVNAME_BOND)
		snprintf(buf, size, "%s is a bond: the relay spreads its packets over the members",
			 dev->driver_name);
	else if (dev->kind == DEVNAME_NETDEV)
		snprintf(buf, size, "%s is a Linux network interface, not a VF", dev->text);
	else
		snprintf(buf, size, "%s is a virtual device", dev->driver_name);
}

static bool is_function(const struct devname *dev)
{
	return dev->kind == DEVNAME_PCI || dev->kind == DEVNAME_PF_VF;
}

/* What vDPA lacks on a device, for the reason line; "": nothing. */
static void why_no_vdpa(const struct policy_facts *facts, char *buf, size_t size)
{
	const struct policy_vdpa *vdpa = &facts->vdpa;
	const char *name = facts->device->text;

	if (!is_function(facts->device))
		why_not_a_function(facts->device, buf, size);
	else if (vdpa->flaw)
		snprintf(buf, size, "%s", vdpa->flaw);
	else if (vdpa->failed && vdpa->failed[0])
		snprintf(buf, size, "vDPA was tried: %s", vdpa->failed);
	else if (vdpa->mgmt[0] && vdpa->no_net)
		snprintf(buf, size, "%s makes no network devices", vdpa->mgmt);
	else if (vdpa->mgmt[0] && vdpa->max_known && vdpa->max_pairs < vdpa->min_pairs)
		snprintf(buf, size,
			 "%s offers %u queue pair%s of %u, which VIO4WD_VF_OPTIONS asks for",
			 vdpa->mgmt, vdpa->max_pairs, vdpa->max_pairs == 1 ? "" : "s",
			 vdpa->min_pairs);
	else if (!vdpa->mgmt[0] && !vdpa->driver[0])
		snprintf(buf, size, "no vDPA management device on %s", name);
	else if (!vdpa->mgmt[0] && vdpa->bound)
		snprintf(buf, size, "no vDPA management device on %s: its driver %s offers none",
			 name, vdpa->driver);
	else
		buf[0] = '\0';
}

/*
 * The kernel's vDPA comes first: with it a VM is served whenever it connected, goes to software and
 * back, and is migrated. So DPDK's has to be asked for.
 */
static void choose_dpdk(const struct policy_facts *facts, struct policy_decision *decision)
{
	decision->backend = POLICY_DPDK_VDPA;
	decision->dpdk_args = facts->vdpa.dpdk_args;
	snprintf(decision->reason, sizeof(decision->reason),
		 "dpdk-vdpa: asked for; a vDPA driver of DPDK takes %s", facts->device->text);
}

static int choose(const struct policy_facts *facts, struct policy_decision *decision,
		  struct err *err)
{
	const bool missing = decision->missing[0];
	char *reason = decision->reason;
	const size_t size = sizeof(decision->reason);

	if (facts->wanted == CONFIG_BACKEND_SW)
		snprintf(reason, size, "software: asked for");
	else if (missing && facts->wanted == CONFIG_BACKEND_VDPA && facts->vdpa.dpdk_args)
		choose_dpdk(facts, decision);
	else if (missing && facts->wanted == CONFIG_BACKEND_VDPA)
		return err_set(err, -EOPNOTSUPP, "backend",
			       "%s cannot be served by vDPA: %s; use the backend 'auto' or 'sw'",
			       devname_label(facts->device), decision->missing);
	else if (missing)
		snprintf(reason, size, "software: %s", decision->missing);
	else
		decision->backend = POLICY_VDPA;
	return 0;
}

int policy_decide(const struct policy_facts *facts, struct policy_decision *decision,
		  struct err *err)
{
	const struct policy_vdpa *vdpa = &facts->vdpa;
	int rc;

	why_no_vdpa(facts, decision->missing, sizeof(decision->missing));
	decision->needs_port = facts->device->kind != DEVNAME_NETDEV;
	decision->backend = POLICY_SOFTWARE;
	decision->wanted = facts->wanted;
	decision->driver[0] = '\0';
	decision->dpdk_args = NULL;
	if (is_function(facts->device) && facts->wanted != CONFIG_BACKEND_SW && vdpa->absent)
		return err_set(err, -EAGAIN, "backend",
			       "%s does not exist yet: what it offers is not known",
			       facts->device->text);
	if (is_function(facts->device) && facts->wanted != CONFIG_BACKEND_SW && vdpa->asking)
		return err_set(err, -EAGAIN, "backend",
			       "waiting until the kernel has told its vDPA management devices");
	rc = choose(facts, decision, err);
	if (rc || decision->backend != POLICY_VDPA)
		return rc;
	snprintf(decision->driver, sizeof(decision->driver), "%s", vdpa->driver);
	if (vdpa->mgmt[0])
		snprintf(decision->reason, sizeof(decision->reason), "vdpa: %s offers it",
			 vdpa->mgmt);
	else
		snprintf(decision->reason, sizeof(decision->reason),
			 "vdpa: the driver %s offers it for %s", vdpa->driver, facts->device->text);
	return 0;
}

const char *policy_backend_name(enum policy_backend backend)
{
	static const char *const names[] = { [POLICY_SOFTWARE] = "software",
					     [POLICY_VDPA] = "vdpa",
					     [POLICY_DPDK_VDPA] = "dpdk-vdpa" };

	return names[backend];
}
