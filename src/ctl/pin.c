/* SPDX-License-Identifier: BSD-3-Clause */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/relay_view.h"

#define AUTO (-1)

/* "auto", "2" or "2,3": VF to VM first. */
static bool parse_cpus(struct ctl *ctl, const char *text, int cpus[2])
{
	_cleanup_free_ char *copy = strdup(text);
	char *second = copy ? strchr(copy, ',') : NULL;
	unsigned int a, b;

	if (!copy)
		return false;
	if (strcmp(text, "auto") == 0) {
		cpus[0] = cpus[1] = AUTO;
		return true;
	}
	if (second)
		*second++ = '\0';
	if (!ctl_number(ctl, "--cpu", copy, INT_MAX, &a) ||
	    !ctl_number(ctl, "--cpu", second ? second : copy, INT_MAX, &b))
		return false;
	cpus[0] = (int)a;
	cpus[1] = (int)b;
	return true;
}

static int pin(struct ctl *ctl, unsigned int id, const int cpus[2])
{
	json_object *params = ctl_id_params(id), *result;
	char buf[200];
	int status;

	json_object_object_add(params, "vf_to_vm", json_object_new_int(cpus[0]));
	json_object_object_add(params, "vm_to_vf", json_object_new_int(cpus[1]));
	status = ctl_call(ctl, "pin", params, &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json)
		output_json(result);
	else
		printf("relay %u: CPUs %s (VF to VM/VM to VF)%s\n", id,
		       format_cpus(result, buf, sizeof(buf)),
		       json_flag(result, "pinned") ? ", pinned" : "");
	json_object_put(result);
	return CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const char *text = NULL;
	int status = CTL_OK, cpus[2], c;
	unsigned int id;

	while ((c = ctl_getopt(ctl, argc, argv, &status)) != -1) {
		if (c != 'c')
			return status;
		text = optarg;
	}
	if (!ctl_operands(ctl, argc, argv, 1, 1, &status))
		return status;
	if (!ctl_number(ctl, "ID", argv[optind], UINT_MAX, &id))
		return CTL_USAGE;
	if (!text)
		return ctl_usage(ctl, "--cpu is missing");
	if (!parse_cpus(ctl, text, cpus))
		return CTL_USAGE;
	return pin(ctl, id, cpus);
}

static const struct option options[] = { { "cpu", required_argument, NULL, 'c' }, { 0 } };

const struct ctl_command ctl_pin = {
	.name = "pin",
	.usage = "ID --cpu A[,B]|auto",
	.summary = "choose the worker CPUs of a relay",
	.help = "Moves a relay to other worker CPUs at once, without loss. Only CPUs of\n"
		"VIRTIOFWD_CPU_MASK have workers. VIRTIOFWD_CPU_PINS does it at start.\n\n"
		"Options:\n"
		"  --cpu A            CPU A serves both directions\n"
		"  --cpu A,B          A serves VF to VM, B serves VM to VF\n"
		"  --cpu auto         the relay process chooses the least loaded one\n\n",
	.options = options,
	.run = run,
};
