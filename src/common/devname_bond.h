/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A bond: several devices as one, as 1.1's port control and `vio4wdctl add --bond` make them. Its
 * canonical text says all of it, so that it is the same bond exactly when the text is the same:
 *
 *   bond:net_bonding0,1 0000:05:08.1 0000:05:08.2
 *
 * name, mode and members; no name of a device has a blank in it. The modes are those of Linux:
 * 0 balance-rr, 1 active-backup, 2 balance-xor, 3 broadcast, 4 802.3ad (LACP), 5 balance-tlb,
 * 6 balance-alb.
 */
#ifndef VIO4WD_DEVNAME_BOND_H
#define VIO4WD_DEVNAME_BOND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/devname.h"

#define BOND_MEMBERS_MIN 2
#define BOND_MEMBERS_MAX 8
#define BOND_MODE_DEFAULT 1
#define BOND_MODE_MAX 6
#define BOND_MODE_LACP 4
#define BOND_PREFIX "net_bonding"
#define BOND_NAME_MAX 31

/* The text is that of a bond. */
bool devname_is_bond(const char *text);
/*
 * Makes a bond of its parts. The members are PCI functions and virtual devices of DPDK, none of
 * them twice. Returns 0, -EINVAL, -EOPNOTSUPP (a Linux interface), -E2BIG (too many members) or
 * -ENAMETOOLONG, with the reason.
 */
int devname_bond_make(struct devname *bond, const char *name, unsigned int mode,
		      const struct devname *members, size_t n, struct err *err);
/* Parses the canonical text. members: BOND_MEMBERS_MAX of them, or NULL. Returns how many there
 * are, or an error as above. */
int devname_bond_parse(struct devname *bond, const char *text, struct devname *members,
		       struct err *err);
/* The members of a bond; returns how many. */
size_t devname_bond_members(const struct devname *bond, struct devname members[BOND_MEMBERS_MAX]);
int devname_bond_check_name(const char *name, struct err *err);
/* -E2BIG or -EINVAL for too many or too few members. */
int devname_bond_check_count(const char *name, size_t n, struct err *err);
int devname_bond_check_mode(unsigned int mode, struct err *err);
const char *devname_bond_mode_name(unsigned int mode); /* "active-backup" */

#endif
