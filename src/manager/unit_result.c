/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/unit_result.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "manager/pidfd.h"

/* Statuses from 200 on are systemd's: it could not set up what the unit says (systemd.exec(5)). */
#define EXIT_FIRST_OF_SYSTEMD 200
#define EXIT_USER 217

static int read_property(sd_bus_message *m, struct unit_result *r)
{
	const char *name, *text;
	int rc = sd_bus_message_read(m, "s", &name);

	if (rc < 0)
		return rc;
	if (!strcmp(name, "MainPID"))
		return sd_bus_message_read(m, "v", "u", &r->main_pid);
	if (!strcmp(name, "ExecMainCode"))
		return sd_bus_message_read(m, "v", "i", &r->code);
	if (!strcmp(name, "ExecMainStatus"))
		return sd_bus_message_read(m, "v", "i", &r->status);
	if (strcmp(name, "Result"))
		return sd_bus_message_skip(m, "v");
	rc = sd_bus_message_read(m, "v", "s", &text);
	if (rc >= 0)
		snprintf(r->result, sizeof(r->result), "%s", text);
	return rc;
}

int unit_result_read(sd_bus_message *m, struct unit_result *r)
{
	int rc;

	*r = (struct unit_result){ 0 };
	rc = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (rc >= 0 && (rc = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		rc = read_property(m, r);
		if (rc >= 0)
			rc = sd_bus_message_exit_container(m);
	}
	return rc < 0 ? rc : 0;
}

void unit_result_text(const struct unit_result *r, char *buf, size_t size)
{
	if (!strcmp(r->result, "oom-kill"))
		snprintf(buf, size, "was killed because memory ran out");
	else if (!strcmp(r->result, "timeout"))
		snprintf(buf, size, "was not ready in time and was killed");
	else if (r->code == CLD_EXITED && r->status == EXIT_USER)
		snprintf(buf, size,
			 "cannot become its user (217/USER): run systemd-sysusers to add it");
	else if (r->code == CLD_EXITED && r->status >= EXIT_FIRST_OF_SYSTEMD)
		snprintf(buf, size, "could not be set up by systemd (status %d)", r->status);
	else if (r->code)
		pid_end_text(buf, size, r->code, r->status);
	else
		snprintf(buf, size, "ended");
}
