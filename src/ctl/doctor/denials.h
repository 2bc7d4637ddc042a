/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Denials of SELinux and AppArmor that are about sockets, devices or programs of ours, in the audit
 * log, in the kernel's and in the journal of this boot.
 */
#ifndef VIO4WD_CTL_DOCTOR_DENIALS_H
#define VIO4WD_CTL_DOCTOR_DENIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"

#define DENIALS_LOOKED_AT \
	"/var/log/audit/audit.log, /var/log/kern.log, journalctl -b (audit, kernel)"

struct denials {
	size_t n;
	bool apparmor; /* the last one is AppArmor's, else SELinux's */
	char last[480];
};

/* Of each place only the end is read. Logs that are not there or may not be read have none. */
void denials_find(struct denials *denials, const char *root, const struct config *cfg);

/* The line tells of one. */
bool denials_match(const struct config *cfg, const char *line);

#endif
