/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a PF decides: how many VFs there are, and MAC address, VLAN, trust and spoof check of each
 * (rtnetlink, IFLA_VFINFO_LIST). All of it may wait for the kernel for seconds: it runs in a thread
 * of its own. root as in vf.h; rtnetlink is always the network namespace of the process.
 */
#ifndef VIO4WD_UDEV_SRIOV_H
#define VIO4WD_UDEV_SRIOV_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/pci_addr.h"

struct vf_attributes { /* each may be unset */
	bool has_mac;
	uint8_t mac[6]; /* all zero: the PF holds none */
	int vlan;	/* 1..4094, 0: none, -1: unset */
	int qos;	/* 0..7, of the VLAN; -1: unset */
	int trust;	/* 0, 1, -1: unset */
	int spoofchk;	/* 0, 1, -1: unset */
};

#define VF_ATTRIBUTES_UNSET                                        \
	{                                                          \
		.vlan = -1, .qos = -1, .trust = -1, .spoofchk = -1 \
	}

/* What the PF's interface says of VF index. -ENODEV: it has no such VF; -EOPNOTSUPP: it does not
 * tell. */
int sriov_get_attributes(const char *pf_netdev, unsigned int index, struct vf_attributes *attrs,
			 struct err *err);
/* Sets those that are set and differ. err names the one that was refused. The priority belongs to
 * the VLAN: with qos unset a VLAN that changes gets priority 0. */
int sriov_set_attributes(const char *pf_netdev, unsigned int index,
			 const struct vf_attributes *attrs, struct err *err);

/*
 * VFs are in sysfs before their PF tells of them: sriov_enable() counts them when the last one is
 * made. Waits until a change of their number that is under way is over.
 */
void sriov_settle(const char *root, const struct pci_addr *pf);

/*
 * Makes count VFs, or removes all (0). A PF that has another number than 0 is set to 0 first.
 * autoprobe false: the new VFs get no driver (sriov_drivers_autoprobe is put back afterwards, but
 * for a process that is killed meanwhile: then the next one puts it back).
 * -EINVAL: not a PF; -ERANGE: more than sriov_totalvfs (err tells that); -EOPNOTSUPP: the PF's
 * driver cannot; -ENOMEM: no room for their registers or bus numbers; -EIO: the driver made fewer.
 */
int sriov_set_count(const char *root, const struct pci_addr *pf, unsigned int count, bool autoprobe,
		    struct err *err);

/* New VFs get a driver by themselves; or shall do so again. Neither waits. */
bool sriov_autoprobe(const char *root, const struct pci_addr *pf);
void sriov_autoprobe_on(const char *root, const struct pci_addr *pf);

#endif
