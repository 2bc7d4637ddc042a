/* SPDX-License-Identifier: BSD-3-Clause */

/* The configuration file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/doctor/doctor.h"

static void check_file(struct doctor *d)
{
	const struct config_report *report = &d->config_report;

	if (d->config_rc == -ENOENT && !strcmp(d->config_file, CONFIG_DEFAULT_FILE)) {
		doctor_find(d, FINDING_NOTE, d->config_file,
			    "there is no configuration file: all variables have their defaults");
		doctor_expected(d, "the file, with what is to be relayed");
		doctor_action(d, "make install puts one there; virtioforwarder(5) tells the "
				 "variables. vio4wdctl add pairs devices without one");
		return;
	}
	for (size_t i = 0; i < report->n_issues; i++) {
		const struct config_issue *issue = &report->issues[i];
		char where[480];

		snprintf(where, sizeof(where), "%s:%u", d->config_file, issue->line);
		doctor_find(d, issue->is_error ? FINDING_ERROR : FINDING_WARNING,
			    issue->line ? where : d->config_file, "%s", issue->text);
		doctor_expected(d, "a file without errors; vio4wd does not start otherwise");
		doctor_action(d, "mend it, then: vio4wdctl config check %s%s", d->config_file,
			      d->config_rc ? ". Meanwhile the other areas take the defaults" : "");
	}
	if (!report->n_issues)
		doctor_ok(d, d->config_file, "the configuration file is valid");
}

/* Something has to be relayed, else nothing was configured. */
static void check_purpose(struct doctor *d)
{
	const struct config *cfg = d->cfg;

	if (cfg->n_static_vfs || cfg->n_auto_vfs || cfg->n_bind_vfio_pci || d->config_rc < 0) {
		doctor_ok(d, d->config_file, "the file tells what is to be relayed");
		return;
	}
	doctor_find(d, FINDING_NOTE, d->config_file,
		    "no device is named: neither VIRTIOFWD_STATIC_VFS nor VIO4WD_AUTO_VFS nor "
		    "VIRTIOFWD_BIND_VFIO_PCI");
	doctor_expected(d, "the devices, unless they come by vio4wdctl add or port control");
	doctor_action(d, "VIO4WD_AUTO_VFS=ens3:0 pairs all VFs of ens3; see virtioforwarder(5)");
}

static const struct doctor_check checks[] = {
	{ "file", check_file },
	{ "devices", check_purpose },
	{ 0 },
};

const struct doctor_area doctor_config = {
	.name = "config",
	.checks = checks,
};
