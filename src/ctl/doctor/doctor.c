/* SPDX-License-Identifier: BSD-3-Clause */

/* Facts that several areas need, and how checks report. */
#include "ctl/doctor/doctor.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config_table.h"

const struct doctor_area *const doctor_areas[] = {
	&doctor_config, &doctor_install, &doctor_cpu,	 &doctor_iommu,	 &doctor_memory, &doctor_vf,
	&doctor_vdpa,	&doctor_libvirt, &doctor_socket, &doctor_daemon, NULL,
};

/* A file that cannot be used leaves the defaults, so that all that is not about it is checked. */
static int read_config(struct doctor *d)
{
	struct config_report ignored = { 0 };
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s%s", d->root, d->config_file);
	d->config_rc = config_read(path, d->root, &d->cfg, &d->config_report);
	if (d->config_rc == 0)
		return 0;
	rc = config_parse("", 0, d->root, &d->cfg, &ignored);
	config_report_free(&ignored);
	return rc < 0 ? -ENOMEM : 0;
}

static bool is_used(const struct doctor *d, const struct vf *vf)
{
	char name[64], addr[PCI_ADDR_STRLEN], pf[PCI_ADDR_STRLEN];

	return config_uses(d->cfg, vf_name(vf, name, sizeof(name)),
			   pci_addr_format(&vf->addr, addr), vf->pf_netdev,
			   pci_addr_format(&vf->pf, pf), vf->index);
}

static void find_vfs(struct doctor *d)
{
	size_t n = 0, used = 0;

	if (vf_enumerate(d->root, &d->vfs, &n, NULL) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		if (is_used(d, &d->vfs[i]))
			d->vfs[used++] = d->vfs[i];
	}
	d->n_vfs = used;
}

int doctor_init(struct doctor *d, const char *root, const char *config_file)
{
	int rc;

	*d = (struct doctor){ .root = root, .config_file = config_file };
	d->privileged = geteuid() == 0;
	rc = read_config(d);
	if (rc < 0) {
		doctor_free(d);
		return rc;
	}
	find_vfs(d);
	libvirt_read(&d->libvirt, root);
	return 0;
}

void doctor_free(struct doctor *d)
{
	config_free(d->cfg);
	config_report_free(&d->config_report);
	free(d->vfs);
	libvirt_free(&d->libvirt);
	json_object_put(d->version);
	json_object_put(d->status);
	json_object_put(d->running_config);
	json_object_put(d->vf_list);
	findings_free(&d->findings);
}

void doctor_run(struct doctor *d, const struct doctor_area *area)
{
	d->area = area;
	for (d->check = area->checks; d->check->name; d->check++)
		d->check->run(d);
}

static void add(struct doctor *d, enum finding_severity severity, const char *looked_at,
		const char *fmt, va_list ap)
{
	d->last = findings_add(&d->findings);
	d->last->severity = severity;
	d->last->area = d->area->name;
	d->last->check = d->check->name;
	snprintf(d->last->looked_at, sizeof(d->last->looked_at), "%s", looked_at);
	vsnprintf(d->last->found, sizeof(d->last->found), fmt, ap);
}

void doctor_ok(struct doctor *d, const char *looked_at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, FINDING_OK, looked_at, fmt, ap);
	va_end(ap);
}

void doctor_find(struct doctor *d, enum finding_severity severity, const char *looked_at,
		 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, severity, looked_at, fmt, ap);
	va_end(ap);
}

void doctor_expected(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->last->expected, sizeof(d->last->expected), fmt, ap);
	va_end(ap);
}

void doctor_action(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->last->action, sizeof(d->last->action), fmt, ap);
	va_end(ap);
}

bool doctor_is_socket(const struct doctor *d, const char *path)
{
	char ours[CONFIG_SOCKET_PATH_MAX + 1];

	for (unsigned int id = 0; id < CONFIG_MAX_RELAYS; id++) {
		if (config_socket_path(d->cfg, id, ours, NULL) == 0 && !strcmp(ours, path))
			return true;
	}
	return false;
}
