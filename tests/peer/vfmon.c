/* SPDX-License-Identifier: BSD-3-Clause */

/* Prints what vf_monitor tells, a line for each event: "changed 0000:05:08.1", "lost". The first
 * line is "ready". */
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "udev/monitor.h"

static void print(const struct vf_event *event, void *userdata)
{
	static const char *const names[] = {
		[VF_EVENT_ADDED] = "added",
		[VF_EVENT_CHANGED] = "changed",
		[VF_EVENT_REMOVED] = "removed",
	};
	char addr[PCI_ADDR_STRLEN];

	if (event->kind == VF_EVENT_LOST)
		puts("lost");
	else
		printf("%s %s\n", names[event->kind], pci_addr_format(&event->addr, addr));
}

int main(void)
{
	struct vf_monitor *monitor;
	struct err err;
	sd_event *loop;
	int rc;

	log_open("vfmon", LOG_DEBUG);
	setlinebuf(stdout);
	if (sd_event_default(&loop) < 0)
		return EXIT_FAILURE;
	if (vf_monitor_new(&monitor, loop, print, NULL, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	puts("ready");
	rc = sd_event_loop(loop);
	vf_monitor_free(monitor);
	sd_event_unref(loop);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
