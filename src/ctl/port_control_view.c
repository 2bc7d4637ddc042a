/* SPDX-License-Identifier: BSD-3-Clause */

#include "ctl/port_control_view.h"

#include <stdio.h>
#include <string.h>

static const char *way_name(const char *way)
{
	static const char *const names[][2] = {
		{ "zmq", "ZeroMQ" },
		{ "command_file", "command file" },
		{ "ovsdb", "OVSDB" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(way, names[i][0]))
			return names[i][1];
	}
	return way;
}

void print_port_control(json_object *control)
{
	if (!control)
		return;
	printf("port control by %s, %s, %s", way_name(json_text(control, "way")),
	       json_text(control, "endpoint"), json_text(control, "state"));
	if (json_at(control, "reason"))
		printf(" (%s)", json_text(control, "reason"));
	putchar('\n');
}

void print_port_control_troubles(json_object *control)
{
	json_object *interfaces = control ? json_at(control, "interfaces") : NULL;

	for (size_t i = 0; i < json_length(interfaces); i++) {
		json_object *port = json_object_array_get_idx(interfaces, i);

		if (!json_at(port, "reason"))
			continue;
		printf("interface %s", json_text(port, "interface"));
		if (json_at(port, "id"))
			printf(", relay %.0f", json_number(port, "id"));
		printf(", %s: %s\n", json_text(port, "state"), json_text(port, "reason"));
	}
}
