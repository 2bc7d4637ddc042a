/* SPDX-License-Identifier: BSD-3-Clause */

/* Does the host use a network interface? Asked of rtnetlink; may wait for its lock. */
#ifndef VIO4WD_UDEV_NETDEV_USE_H
#define VIO4WD_UDEV_NETDEV_USE_H

#include "common/err.h"

/*
 * 0 when nobody does, or there is no such interface. -EBUSY: it is up with an address, has a master
 * (bridge, bond, team, VRF, Open vSwitch), or another interface is made on it (VLAN, macvlan). name
 * is what err calls the device.
 *
 * The link-local IPv6 address, which the kernel gives to every interface that is up, counts for
 * nothing.
 */
int netdev_check_unused(const char *root, const char *name, const char *netdev, struct err *err);

#endif
