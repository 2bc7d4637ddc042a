/* SPDX-License-Identifier: BSD-3-Clause */

/* What systemd says of a service's process: org.freedesktop.systemd1(5). */
#ifndef VIO4WD_MANAGER_UNIT_RESULT_H
#define VIO4WD_MANAGER_UNIT_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

struct unit_result {
	uint32_t main_pid;    /* 0: none */
	int32_t code, status; /* as in siginfo_t; code 0: has not ended, or systemd has forgotten */
	char result[32];      /* "success", "exit-code", "timeout", "oom-kill", ... */
};

/* The answer to GetAll of the interface org.freedesktop.systemd1.Service. */
int unit_result_read(sd_bus_message *m, struct unit_result *result);
/* How it ended, to follow the name of the process: "was killed by signal 9 (Killed)". */
void unit_result_text(const struct unit_result *result, char *buf, size_t size);

#endif
