/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/output.h"

static int run(struct ctl *ctl, int argc, char **argv)
{
	static const char *const names[] = { "emergency", "alert",  "critical", "error",
					     "warning",	  "notice", "info",	"debug" };
	json_object *params = NULL, *result;
	int status = CTL_OK;
	unsigned int level;

	if (!ctl_operands(ctl, argc, argv, 0, 1, &status))
		return status;
	if (optind < argc) {
		if (!ctl_number(ctl, "the level", argv[optind], 7, &level))
			return CTL_USAGE;
		params = json_object_new_object();
		json_object_object_add(params, "level", json_object_new_int((int)level));
	}
	status = ctl_call(ctl, "log-level", params, &result);
	if (status != CTL_OK)
		return status;
	level = (unsigned int)json_number(result, "level");
	if (ctl->json)
		output_json(result);
	else
		printf("%u (%s)\n", level, level < 8 ? names[level] : "?");
	json_object_put(result);
	return CTL_OK;
}

const struct ctl_command ctl_log_level = {
	.name = "log-level",
	.usage = "[N]",
	.summary = "show or set how much is logged",
	.help = "Shows the log level of vio4wd, or sets it, and that of its relays, until the next\n"
		"restart or reload: 0 emergency, 1 alert, 2 critical, 3 error, 4 warning, 5 notice,\n"
		"6 info, 7 debug.\n\n",
	.run = run,
};
