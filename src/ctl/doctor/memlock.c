/* SPDX-License-Identifier: BSD-3-Clause */

#include "ctl/doctor/memlock.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

/* The last assignment in the unit and its drop-ins counts. */
static bool unit_limit(const struct doctor *d, char *where, size_t where_size, char *value,
		       size_t size)
{
	static const char *const folders[] = { "/usr/lib", "/lib", "/usr/local/lib", "/run",
					       "/etc" };
	bool found = false;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char pattern[PATH_MAX];
		glob_t files = { 0 };

		snprintf(pattern, sizeof(pattern), "%s%s/systemd/system/vio4wd-relay@.service",
			 d->root, folders[i]);
		glob(pattern, 0, NULL, &files);
		strncat(pattern, ".d/*.conf", sizeof(pattern) - strlen(pattern) - 1);
		glob(pattern, GLOB_APPEND, NULL, &files);
		for (size_t k = 0; k < files.gl_pathc; k++) {
			const char *path = files.gl_pathv[k] + strlen(d->root);
			_cleanup_free_ char *text = doctor_read(d, path);
			const char *p = text;

			while (p && (p = strstr(p, "\nLimitMEMLOCK="))) {
				p += strlen("\nLimitMEMLOCK=");
				snprintf(value, size, "%.*s", (int)strcspn(p, "\n"), p);
				snprintf(where, where_size, "%s", path);
				found = true;
			}
		}
		globfree(&files);
	}
	return found;
}

void memlock_check_unit(struct doctor *d)
{
	char where[PATH_MAX] = "", value[64] = "";

	if (!unit_limit(d, where, sizeof(where), value, sizeof(value)) ||
	    !strcmp(value, "infinity")) {
		doctor_ok(d, "vio4wd-relay@.service",
			  "the unit of relays does not limit what they "
			  "may lock");
		return;
	}
	doctor_find(d, FINDING_WARNING, where,
		    "LimitMEMLOCK=%s: a relay locks all memory that VFs or hardware vDPA reach",
		    value);
	doctor_expected(d, "LimitMEMLOCK=infinity, as installed");
	doctor_action(d, "take it out of the unit's drop-in (systemctl edit vio4wd-relay@.service) "
			 "and restart the relays");
}

/* "Max locked memory  8388608  8388608  bytes" of /proc/PID/limits. False: there is no limit. */
static bool memlock_limit(const struct doctor *d, const char *pid, unsigned long *bytes)
{
	_cleanup_free_ char *text = NULL;
	const char *line;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/limits", pid);
	text = doctor_read(d, path);
	line = text ? strstr(text, "Max locked memory") : NULL;
	return line && sscanf(line, "Max locked memory %lu", bytes) == 1;
}

struct relay_limits {
	size_t found;
	char pid[16]; /* told of last: a relay has many devices open */
};

static void judge_relay(struct doctor *d, const char *pid, const char *program, const char *path,
			void *userdata)
{
	struct relay_limits *limits = userdata;
	unsigned long bytes;
	char looked_at[64];

	if (strcmp(program, "vio4wd-relay") != 0 || !strcmp(limits->pid, pid) ||
	    !memlock_limit(d, pid, &bytes))
		return;
	limits->found++;
	snprintf(limits->pid, sizeof(limits->pid), "%s", pid);
	snprintf(looked_at, sizeof(looked_at), "/proc/%s/limits", pid);
	doctor_find(d, FINDING_WARNING, looked_at,
		    "the relay process %s has %s open and may lock %lu MiB: beyond that devices "
		    "cannot reach memory",
		    pid, path, bytes >> 20);
	doctor_expected(d, "no limit (RLIMIT_MEMLOCK)");
	doctor_action(d, "start vio4wd by its unit, or with ulimit -l unlimited");
}

/* The kernel pins what a device may reach. */
void memlock_check_relays(struct doctor *d)
{
	struct relay_limits limits = { 0 };

	doctor_open_files(d, "/dev/vfio/", judge_relay, &limits);
	doctor_open_files(d, "/dev/vhost-vdpa-", judge_relay, &limits);
	if (!limits.found)
		doctor_ok(d, "/proc/*/limits",
			  "no relay with a device has a limit of locked "
			  "memory");
}

static bool has_vdpa_devices(const struct doctor *d)
{
	char pattern[PATH_MAX];
	glob_t found = { 0 };
	bool any;

	snprintf(pattern, sizeof(pattern), "%s/sys/bus/vdpa/devices/*", d->root);
	any = glob(pattern, 0, NULL, &found) == 0;
	globfree(&found);
	return any;
}

/* A QEMU that opens /dev/vhost-vdpa-N pins all memory of its VM, root's not excepted. libvirt
 * raises the limit by itself. */
void memlock_check_qemu(struct doctor *d)
{
	static const char file[] = "/proc/self/limits";
	unsigned long bytes;

	if (!has_vdpa_devices(d) || !memlock_limit(d, "self", &bytes)) {
		doctor_ok(d, file,
			  "no QEMU with a vDPA device would have a limit of locked "
			  "memory");
		return;
	}
	doctor_find(d, FINDING_NOTE, file,
		    "a QEMU that is started like this command may lock %lu MiB: with -netdev "
		    "vhost-vdpa it has to lock all memory of its VM",
		    bytes >> 20);
	doctor_expected(d, "RLIMIT_MEMLOCK above the VM's memory; libvirt sees to that");
	doctor_action(d, "ulimit -l unlimited before QEMU is started by hand, or memlock in "
			 "/etc/security/limits.d");
}
