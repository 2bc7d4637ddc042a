/* SPDX-License-Identifier: BSD-3-Clause */

/* Checks of the area memory: how much memory may relays and QEMU lock (RLIMIT_MEMLOCK)? */
#ifndef VIO4WD_CTL_DOCTOR_MEMLOCK_H
#define VIO4WD_CTL_DOCTOR_MEMLOCK_H

#include "ctl/doctor/doctor.h"

void memlock_check_unit(struct doctor *d);
void memlock_check_relays(struct doctor *d);
void memlock_check_qemu(struct doctor *d);

#endif
