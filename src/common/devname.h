/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Names of devices, as administrators write them in the configuration, to vio4wdctl and to 1.1's
 * protocol (docs: virtioforwarder(5), "Names of devices"). Parsing looks at the text only, never at
 * the host: whether the device exists is found out when it is attached.
 */
#ifndef VIO4WD_DEVNAME_H
#define VIO4WD_DEVNAME_H

#include "common/err.h"
#include "common/pci_addr.h"

#define DEVNAME_MAX 256

enum devname_kind {
	DEVNAME_PCI,	/* 0000:05:08.1 and its other spellings */
	DEVNAME_PF_VF,	/* ens3.vf2, 0000:05:00.0.vf2 */
	DEVNAME_NETDEV, /* netdev:NAME */
	DEVNAME_VDEV,	/* vdev:NAME[,ARGS] */
	DEVNAME_BOND,	/* several of these as one; see devname_bond.h */
};

struct devname {
	enum devname_kind kind;
	struct pci_addr pci;  /* DEVNAME_PCI; DEVNAME_PF_VF when the PF is named by address */
	bool pf_is_pci;	      /* DEVNAME_PF_VF: the PF is pci, else netdev */
	unsigned int vf;      /* DEVNAME_PF_VF */
	char netdev[16];      /* DEVNAME_NETDEV; DEVNAME_PF_VF unless pf_is_pci (IFNAMSIZ) */
	char driver_name[64]; /* DEVNAME_VDEV: "net_null0"; DEVNAME_BOND: "net_bonding0" */
	/* DEVNAME_VDEV: "copy=1" or ""; DEVNAME_BOND: the members, with a blank between them */
	char driver_args[DEVNAME_MAX];
	unsigned int mode;	/* DEVNAME_BOND: 0 to 6 */
	char text[DEVNAME_MAX]; /* canonical spelling of the whole, shown to users */
};

/* Returns 0 or -EINVAL with the reason and the forms that are allowed. */
int devname_parse(struct devname *dev, const char *text, struct err *err);
/* What messages call it: the text, of a bond its name. */
const char *devname_label(const struct devname *dev);
const char *devname_kind_name(enum devname_kind kind); /* as "pci" */

#endif
