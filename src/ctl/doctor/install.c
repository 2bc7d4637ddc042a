/* SPDX-License-Identifier: BSD-3-Clause */

/* Programs, units and users. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "ctl/doctor/doctor.h"

#define UNIT "virtio-forwarder.service"

/* systemd.unit(5), "Unit File Load Path": the first folder wins. */
static bool find_unit(const struct doctor *d, const char *name, char *path, size_t size)
{
	static const char *const folders[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib",
					       "/lib" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, size, "%s/systemd/system/%s", folders[i], name);
		if (doctor_exists(d, "%s", path))
			return true;
	}
	return false;
}

static void check_rights(struct doctor *d)
{
	if (d->privileged) {
		doctor_ok(d, "geteuid()", "run as root: all can be looked at");
		return;
	}
	doctor_find(d, FINDING_NOTE, "geteuid()",
		    "not run as root: domains of libvirt, programs of other users and the journal "
		    "may be hidden");
	doctor_expected(d, "root, for a complete picture");
	doctor_action(d, "sudo vio4wdctl doctor");
}

static void check_programs(struct doctor *d)
{
	static const char *const programs[] = { "vio4wd", "vio4wd-relay", "vio4wdctl" };
	size_t found = 0;

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		char path[PATH_MAX];

		if (doctor_program(d, programs[i], path, sizeof(path)))
			continue;
		found++;
		doctor_find(d, FINDING_WARNING,
			    "/usr/sbin, /usr/bin, /usr/local/sbin, "
			    "/usr/local/bin",
			    "%s is not installed", programs[i]);
		doctor_expected(d, "vio4wd, vio4wd-relay and vio4wdctl, of one version");
		doctor_action(d, "make install in the source folder, or install the package");
	}
	if (!found)
		doctor_ok(d, "/usr/sbin, /usr/bin, /usr/local/sbin, /usr/local/bin",
			  "the programs are installed");
}

static void check_units(struct doctor *d)
{
	static const char *const units[] = { UNIT, "vio4wd-relay@.service",
					     "vio4wd-hugepages.service" };
	char path[PATH_MAX];
	size_t found = 0;

	if (!doctor_exists(d, "/run/systemd/system")) {
		doctor_ok(d, "/run/systemd/system",
			  "systemd does not run here: no units are "
			  "needed");
		return;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (find_unit(d, units[i], path, sizeof(path)))
			continue;
		found++;
		doctor_find(d, FINDING_WARNING, "/etc/systemd/system, /usr/lib/systemd/system",
			    "the unit %s is not installed", units[i]);
		doctor_expected(d, UNIT ", vio4wd-relay@.service and vio4wd-hugepages.service");
		doctor_action(d, "make install in the source folder, or install the package; then "
				 "systemctl daemon-reload");
	}
	if (!found)
		doctor_ok(d, "/etc/systemd/system, /usr/lib/systemd/system",
			  "the units are installed");
}

/* 1.1 has a unit of the same name; in a folder that comes first it would be started. */
static void check_own_unit(struct doctor *d)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];

	if (find_unit(d, UNIT, path, sizeof(path)))
		text = doctor_read(d, path);
	if (!text || strstr(text, "/vio4wd")) {
		doctor_ok(d, UNIT, "no other program has the unit's name");
		return;
	}
	doctor_find(d, FINDING_ERROR, path,
		    "the unit " UNIT " starts another program than vio4wd: virtio-forwarder 1.1?");
	doctor_expected(d, "ExecStart=/usr/sbin/vio4wd");
	doctor_action(d, "remove virtio-forwarder 1.1 and its unit, then systemctl daemon-reload");
}

static void check_enabled(struct doctor *d)
{
	static const char wants[] = "/etc/systemd/system/multi-user.target.wants/" UNIT;

	if (!doctor_exists(d, "/run/systemd/system") || doctor_exists(d, "%s", wants)) {
		doctor_ok(d, wants, "nothing has to be enabled");
		return;
	}
	doctor_find(d, FINDING_NOTE, wants,
		    UNIT " is not enabled: it starts when udev sees a VF that the configuration "
			 "names, and not without one");
	doctor_expected(d, "the unit enabled where interfaces or port control are used");
	doctor_action(d, "systemctl enable --now virtio-forwarder");
}

static void check_user(struct doctor *d)
{
	struct doctor_user user;

	if (doctor_user_find(d, "vio4wd", &user)) {
		doctor_ok(d, "/etc/passwd", "relays have a user of their own, vio4wd");
		return;
	}
	doctor_find(d, FINDING_WARNING, "/etc/passwd",
		    "there is no user vio4wd: relays run as nobody, like other programs");
	doctor_expected(d, "a system user vio4wd");
	doctor_action(d, "systemd-sysusers, or useradd --system --shell /usr/sbin/nologin vio4wd");
}

static const struct doctor_check checks[] = {
	{ "rights", check_rights },
	{ "programs", check_programs },
	{ "units", check_units },
	{ "own-unit", check_own_unit },
	{ "enabled", check_enabled },
	{ "user", check_user },
	{ 0 },
};

const struct doctor_area doctor_install = {
	.name = "install",
	.checks = checks,
};
