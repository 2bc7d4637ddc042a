/* SPDX-License-Identifier: BSD-3-Clause */

#include "ctl/ctl.h"
#include "ctl/output.h"

static int run(struct ctl *ctl, int argc, char **argv)
{
	json_object *result, *warnings;
	int status = CTL_OK;

	if (!ctl_operands(ctl, argc, argv, 0, 0, &status))
		return status;
	status = ctl_call(ctl, "reload", NULL, &result);
	if (status != CTL_OK)
		return status;
	warnings = json_at(result, "warnings");
	if (ctl->json)
		output_json(result);
	for (size_t i = 0; !ctl->json && i < json_length(warnings); i++)
		ctl_error("warning: %s",
			  json_object_get_string(json_object_array_get_idx(warnings, i)));
	json_object_put(result);
	return CTL_OK;
}

const struct ctl_command ctl_reload = {
	.name = "reload",
	.usage = "",
	.summary = "read the configuration file again",
	.help = "Makes vio4wd read its configuration file again, as SIGHUP does.\n"
		"A file with an error changes nothing; 'vio4wdctl config check' lists all its errors.\n"
		"What cannot change at run time is a warning.\n\n",
	.run = run,
};
