/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which driver a VF is on: looked at, changed, and put back as it was.
 *
 * Everything here but binding_ready() may wait for the kernel for seconds (locks of devices and of
 * rtnetlink, drivers that probe, modules that load): it runs in a thread of its own, never on an
 * event loop. Every function can be repeated after it was cut off anywhere, and then completes.
 * err is filled only when a function fails.
 *
 * root is prepended to paths of sysfs and /dev ("" for the host itself).
 */
#ifndef VIO4WD_UDEV_BINDING_H
#define VIO4WD_UDEV_BINDING_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/pci_addr.h"
#include "udev/sriov.h"
#include "udev/vf.h"

#define BINDING_VDPA_MAX 64

/* How a device was before it was taken. */
struct binding_state {
	char driver[VF_DRIVER_MAX];   /* "": none */
	char override[VF_DRIVER_MAX]; /* driver_override, "": none */
	struct vf_attributes attributes;
};

struct binding_plan {
	struct pci_addr addr;
	char driver[VF_DRIVER_MAX];	 /* vfio-pci, igb_uio, uio_pci_generic; vp-vdpa, ifcvf */
	char module[VF_DRIVER_MAX];	 /* to be loaded beside the driver, "": none */
	char vdpa[BINDING_VDPA_MAX];	 /* a vDPA device of this name is the owner's, "": none */
	struct vf_attributes attributes; /* to set on the PF first; those that are set */
	bool has_vm_mac; /* its VM has vm_mac: it takes another VF's place, or is in a bond */
	uint8_t vm_mac[6];
	bool make_mac; /* when nobody gave it one (see binding_inspect): a stable one */
	/* Who opens the device: owner of /dev/vfio/GROUP or /dev/uioN. A driver that hands out none
	 * (device_node_of_driver) has nothing to give: vDPA devices are made on it later. */
	uid_t uid;
	gid_t gid;
};

/*
 * May the device be taken, and can it be bound? Fills *now with what it is like. Refused, each
 * with its own words, code and next step:
 *   -ENODEV   no such PCI function
 *   -EINVAL   not a VF (a PF, or another kind of device)
 *   -EBUSY    its interface is up with an address (the link-local IPv6 one, which the kernel makes,
 *             does not count), has a master (bridge, bond) or another interface on it, or is in
 *             another network namespace; or somebody has its VFIO group open (a VM with it as
 *             hostdev; our own relay just as well); or it is bound to another driver for a purpose
 *             (vdpa: a vDPA device was made on it; pci-stub)
 *   -EXDEV    it shares its IOMMU group with other functions (who they are is told)
 *   -ENOTSUP  there is no IOMMU (vfio-pci needs one; what to put on the kernel command line); the
 *             driver is a uio one (DPDK needs physical addresses for it, which the kernel shows to
 *             no unprivileged relay); or attributes are wanted of a PF that has no interface
 *   -ENOENT   the driver's module is missing
 * A device that is on plan->driver already and not in use is fine: 0.
 *
 * now->attributes is all that the PF tells of the VF; the MAC address is zero when it only comes
 * from the VF's interface (made up by the driver, given by udevd): the PF forgets it when the
 * device is reset.
 */
int binding_inspect(const char *root, const struct binding_plan *plan, struct binding_state *now,
		    struct err *err);

/*
 * Sets the attributes on the PF, loads the driver's module, writes driver_override, unbinds the
 * present driver and has the device probed; then gives the character device to plan->uid/gid.
 * Leaves out what is so already. A device that needs its kernel driver (vf_keeps_kernel_driver)
 * only gets its attributes, that driver when it has none, and plan->module beside it.
 *
 * What makes -EBUSY above is looked at once more before the driver is taken away. When a later step
 * fails, the device may be without driver: binding_restore() undoes what was done.
 */
int binding_bind(const char *root, const struct binding_plan *plan, struct err *err);

/*
 * Puts driver, override and attributes back. A device that is gone is done (0), also when it goes
 * meanwhile. -EBUSY: a program uses it, or a vDPA device is on it; nothing was changed. Attributes
 * that the PF does not take back are logged and no error. A device that somebody else has bound to
 * another driver since stays on that.
 */
int binding_restore(const char *root, const struct pci_addr *addr,
		    const struct binding_state *before, struct err *err);

/* Does not wait. True when the device is on the driver and its character device is uid's or gid's
 * to open (a device that keeps its kernel driver, and a driver that hands out none: when it is on
 * that, and plan->module is there). */
bool binding_ready(const char *root, const struct binding_plan *plan);

#endif
