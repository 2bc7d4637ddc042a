/* SPDX-License-Identifier: BSD-3-Clause */

/* What the running vio4wd knows; without one there is not much to tell. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl/doctor/doctor.h"
#include "ctl/output.h"

static void check_running(struct doctor *d)
{
	const char *version = json_text(d->version, "version");
	char socket[PATH_MAX];

	snprintf(socket, sizeof(socket), "%s/control", d->cfg->runtime_dir);
	if (!d->version) {
		doctor_find(d, FINDING_NOTE, socket, "%s",
			    d->daemon_err.text[0] ? d->daemon_err.text : "vio4wd was not asked");
		doctor_expected(d, "a running vio4wd; the other areas need none");
		doctor_action(d, "systemctl start virtio-forwarder when the host is ready");
	} else if (d->daemon_err.code) {
		doctor_find(d, FINDING_ERROR, socket, "vio4wd %s is running, but: %s", version,
			    d->daemon_err.text);
		doctor_expected(d, "an answer within seconds");
		doctor_action(d,
			      "look at its log (journalctl -u virtio-forwarder); --timeout gives "
			      "it more time");
	} else if (strcmp(version, VIO4WD_VERSION) != 0) {
		doctor_find(d, FINDING_WARNING, "vio4wdctl version",
			    "vio4wd %s is running, vio4wdctl is " VIO4WD_VERSION, version);
		doctor_expected(d, "one version of all programs");
		doctor_action(d, "systemctl restart virtio-forwarder; VMs keep their connections");
	} else {
		doctor_ok(d, "vio4wdctl version", "vio4wd %s is running", version);
	}
}

static void check_config(struct doctor *d)
{
	json_object *file = config_to_json(d->cfg);

	if (d->running_config && !d->config_rc && !json_object_equal(d->running_config, file)) {
		doctor_find(d, FINDING_NOTE, d->config_file,
			    "the file says something else than what vio4wd runs with");
		doctor_expected(d, "what vio4wdctl config show prints");
		doctor_action(d, "vio4wdctl reload; it tells which variables need a restart");
	} else {
		doctor_ok(d, d->config_file,
			  d->running_config ? "vio4wd runs with what the file says"
					    : "no running vio4wd to compare the file with");
	}
	json_object_put(file);
}

static void check_relays(struct doctor *d)
{
	json_object *relays = json_at(d->status, "relays");
	size_t failed = 0;

	for (size_t i = 0; i < json_length(relays); i++) {
		json_object *relay = json_object_array_get_idx(relays, i);
		const int id = (int)json_number(relay, "id");

		if (strcmp(json_text(relay, "state"), "failed") != 0)
			continue;
		failed++;
		doctor_find(d, FINDING_ERROR, "vio4wdctl status", "relay %d (%s) has failed: %s",
			    id, json_text(relay, "device"), json_text(relay, "reason"));
		doctor_expected(d, "relays that are listening, connected or active");
		doctor_action(d, "vio4wdctl show %d has the history; it is tried again by itself",
			      id);
	}
	if (!failed)
		doctor_ok(d, "vio4wdctl status",
			  d->status ? "no relay has failed" : "no running vio4wd, no relays");
}

static const struct doctor_check checks[] = {
	{ "running", check_running },
	{ "config", check_config },
	{ "relays", check_relays },
	{ 0 },
};

const struct doctor_area doctor_daemon = {
	.name = "daemon",
	.checks = checks,
};
