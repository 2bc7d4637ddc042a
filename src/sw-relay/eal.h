/* SPDX-License-Identifier: BSD-3-Clause */

/* DPDK's environment: started so that the rest works without privileges, logging as we do. */
#ifndef VIO4WD_RELAY_EAL_H
#define VIO4WD_RELAY_EAL_H

#include "common/err.h"
#include "sw-relay/options.h"

/* Pins the calling thread to the control CPU. Once per process, as root when VFs are to be used. */
int eal_start(const struct relay_options *options, struct err *err);
void eal_stop(void);

/* DPDK's messages up to a syslog level (0..7) are logged; log_set_level() decides, too. */
void eal_set_log_level(int level);

#endif
