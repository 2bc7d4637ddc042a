/* SPDX-License-Identifier: BSD-3-Clause */

/* Members of RELAY (docs/protocol.md) as texts for people. */
#ifndef VIO4WD_CTL_RELAY_VIEW_H
#define VIO4WD_CTL_RELAY_VIEW_H

#include "ctl/output.h"

/* "1,2/3": the CPUs of VF to VM and of VM to VF; one when both are the same. */
char *format_cpus(json_object *relay, char *buf, size_t size);
/* "1.23 Mpps 9.87 Gbit/s"; rate is {"packets", "bytes"}. */
char *format_rate(json_object *rate, char *buf, size_t size);
/* "queue_full 3, malformed 1"; drops is {REASON: {"packets", "bytes"}}. */
char *format_drops(json_object *drops, char *buf, size_t size);
/* "direct", "shadow", "software" or, of a device that does not tell, the backend's name. */
const char *relay_serves(json_object *relay);
/* The reason, and when it is tried again. */
char *format_reason(json_object *relay, char *buf, size_t size);

#endif
