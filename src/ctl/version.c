/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/output.h"
#include "ctl/port_control_view.h"

static int run(struct ctl *ctl, int argc, char **argv)
{
	int status = CTL_OK;
	json_object *result;

	if (!ctl_operands(ctl, argc, argv, 0, 0, &status))
		return status;
	if (!ctl->json)
		puts("vio4wdctl " VIO4WD_VERSION);
	status = ctl_call(ctl, "version", NULL, &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json) {
		output_json(result);
	} else {
		printf("vio4wd %s (%s), process %s, since %s, configuration %s\n",
		       json_text(result, "version"), json_text(result, "dpdk"),
		       json_text(result, "pid"), TIME(json_number(result, "started")),
		       json_text(result, "config_file"));
		print_port_control(json_at(result, "port_control"));
	}
	json_object_put(result);
	return CTL_OK;
}

const struct ctl_command ctl_version = {
	.name = "version",
	.usage = "",
	.summary = "versions of vio4wdctl and of the running vio4wd",
	.help = "Shows the version of this program and that of the running vio4wd, since when it runs,\n"
		"the configuration file it reads and the way of port control. 'vio4wdctl --version' asks nobody.\n\n",
	.run = run,
};
