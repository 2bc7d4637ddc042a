/* SPDX-License-Identifier: BSD-3-Clause */

/* Packet sockets on a Linux network interface, as the relay's packet backend wants them. Opened by
 * the manager, which may; used by the relay, which may not. */
#ifndef VIO4WD_PACKET_SOCKET_H
#define VIO4WD_PACKET_SOCKET_H

#include "common/err.h"

/*
 * Opens up to count sockets on the interface netdev, non-blocking and close-on-exec, between which
 * the kernel spreads received flows: bound, with virtio headers, VLAN tags in auxiliary data,
 * without the frames this host sends, promiscuous, and with a filter that drops everything until
 * the relay takes it off. The interface may be down.
 *
 * Returns how many were opened and are now the caller's: count, or 1 when the interface is down
 * and count sockets cannot share it before it is up. Else -ENAMETOOLONG, -ENODEV, -EPERM, ...
 */
int packet_socket_open(const char *netdev, unsigned int count, int *fds, struct err *err);

/* Switches the filter that drops everything; needs no privileges. Returns 0 or -errno. */
int packet_socket_pause(int fd);
int packet_socket_resume(int fd);

#endif
