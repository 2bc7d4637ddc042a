/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * VIO4WD_NR_HUGEPAGES: the host's pool of 2 MiB pages, enlarged before anything needs it
 * (vio4wd --reserve-hugepages, vio4wd-hugepages.service). It is everybody's pool, so it is never
 * made smaller. Documentation/admin-guide/mm/hugetlbpage.rst of the kernel.
 */
#ifndef VIO4WD_MANAGER_HUGEPAGES_H
#define VIO4WD_MANAGER_HUGEPAGES_H

#include "common/config.h"
#include "common/err.h"

/*
 * Waits for the kernel, which may take seconds for many pages. root is prepended to sysfs paths.
 * -ENODEV: no such NUMA node, or no pages of that size; -ENOMEM: the kernel gave fewer (they stay).
 */
int hugepages_reserve(const char *root, const struct config_node_pages *wanted, struct err *err);

#endif
