/* SPDX-License-Identifier: BSD-3-Clause */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "ctl/relay_view.h"

static int call(struct ctl *ctl, unsigned int id, const char *backend, json_object **result)
{
	json_object *params = ctl_id_params(id);
	struct progress *progress;
	char what[80], afterwards[120];
	int status;

	json_object_object_add(params, "backend", json_object_new_string(backend));
	snprintf(what, sizeof(what), "relay %u to change its backend", id);
	snprintf(afterwards, sizeof(afterwards), "vio4wd goes on with it; see 'vio4wdctl show %u'",
		 id);
	progress = progress_begin(what, afterwards);
	status = ctl_call(ctl, "backend", params, result);
	progress_end(progress);
	return status;
}

/* "relay 1: direct, active, after a pause of 0.8 ms (direct: the device serves the rings)" */
static void print(unsigned int id, json_object *relay)
{
	char reason[600], pause[64] = "";

	if (json_at(relay, "pause_us"))
		snprintf(pause, sizeof(pause), ", after a pause of %.1f ms",
			 json_number(relay, "pause_us") / 1e3);
	printf("relay %u: %s, %s%s (%s)\n", id, relay_serves(relay), json_text(relay, "state"),
	       pause, format_reason(relay, reason, sizeof(reason)));
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	enum config_backend backend;
	int status = CTL_OK;
	json_object *result;
	unsigned int id;

	if (!ctl_operands(ctl, argc, argv, 2, 2, &status))
		return status;
	if (!ctl_number(ctl, "ID", argv[optind], UINT_MAX, &id))
		return CTL_USAGE;
	if (config_backend_parse(argv[optind + 1], &backend) < 0)
		return ctl_usage(ctl, "the backend is '%s'; it must be auto, sw or vdpa",
				 argv[optind + 1]);
	status = call(ctl, id, argv[optind + 1], &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json)
		output_json(result);
	else
		print(id, result);
	json_object_put(result);
	return CTL_OK;
}

const struct ctl_command ctl_backend = {
	.name = "backend",
	.usage = "ID auto|sw|vdpa",
	.summary = "choose what serves a relay",
	.help = "Changes what serves a relay while its VM runs, and tells the pause that the VM has\n"
		"had.\n\n"
		"  auto               hardware vDPA where the device has it, else software\n"
		"  sw                 software: the relay copies the packets\n"
		"  vdpa               hardware, or an error: direct, where the device can go on with\n"
		"                     the VM's rings, else shadow (see 'vio4wdctl show')\n\n"
		"A device that is attached by vDPA stays attached and changes its mode, if it can be\n"
		"paused. Any other one is detached, gets another driver and is attached again; the VM\n"
		"stays connected, and has no link meanwhile. The choice lasts until the pairing is\n"
		"removed.\n\n"
		"For a VF that only DPDK has a vDPA driver for, vdpa uses that (dpdk-vdpa): the VM is\n"
		"served when it connects the next time, and leaving it closes the VM's connection.\n\n",
	.run = run,
};
