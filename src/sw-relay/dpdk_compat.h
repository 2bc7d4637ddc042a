/* SPDX-License-Identifier: BSD-3-Clause */

/* What differs between the releases of DPDK from 22.11 (Debian 12) to 24.11 (Debian 13). */
#ifndef VIO4WD_SW_RELAY_DPDK_COMPAT_H
#define VIO4WD_SW_RELAY_DPDK_COMPAT_H

#include <rte_version.h>
#include <rte_vhost.h>

/* Its name since 23.07; the message is the same. */
#ifndef VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD
#define VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD 10
#endif

/* Queue pairs of a vDPA device that net_virtio_user drives. */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)
#define DPDK_VDPA_PORT_PAIRS 8
#else
#define DPDK_VDPA_PORT_PAIRS 1
#endif

#endif
