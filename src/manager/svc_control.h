/* SPDX-License-Identifier: BSD-3-Clause */

/* The control endpoint, RUNTIME_DIR/control: JSON-RPC for vio4wdctl and monitoring. */
#ifndef VIO4WD_MANAGER_SVC_CONTROL_H
#define VIO4WD_MANAGER_SVC_CONTROL_H

#include "common/err.h"

struct manager;
struct svc_control;

int svc_control_new(struct svc_control **svc, struct manager *m, struct err *err);
void svc_control_free(struct svc_control *svc);

#endif
