/* SPDX-License-Identifier: BSD-3-Clause */

/* The IOMMU keeps a VM's device within the VM's memory; VFIO and vDPA do nothing without it. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/sysfs.h"
#include "ctl/doctor/doctor.h"

#define UNITS "/sys/class/iommu"
#define GROUPS "/sys/kernel/iommu_groups"
#define SHOWN 6 /* functions of a group */

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool is_empty(const struct doctor *d, const char *folder)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", d->root, folder);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			return false;
	}
	return true;
}

static bool is_active(const struct doctor *d)
{
	return !is_empty(d, GROUPS);
}

/* The ACPI tables by which firmware tells of an IOMMU: DMAR (VT-d), IVRS (AMD-Vi), IORT (SMMU). */
static const char *firmware_table(const struct doctor *d)
{
	static const char *const tables[] = { "DMAR", "IVRS", "IORT" };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (doctor_exists(d, "/sys/firmware/acpi/tables/%s", tables[i]))
			return tables[i];
	}
	return NULL;
}

static const char *switched_off_by(const char *cmdline)
{
	static const char *const words[] = { "iommu=off", "intel_iommu=off", "amd_iommu=off" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (doctor_has_word(cmdline, words[i]))
			return words[i];
	}
	return NULL;
}

/*
 * The kernel's line "DMAR: IOMMU enabled" says no more than that the command line asks for it; what
 * counts is whether groups were made. Why not, is told by the firmware's table and the command
 * line.
 */
static void check_active(struct doctor *d)
{
	static const char looked_at[] =
		GROUPS ", " UNITS ", /sys/firmware/acpi/tables, /proc/cmdline";
	_cleanup_free_ char *text = doctor_read(d, "/proc/cmdline");
	const char *cmdline = text ? text : "", *table = firmware_table(d);
	const char *off = switched_off_by(cmdline);

	if (is_active(d)) {
		doctor_ok(d, looked_at, "the IOMMU is active");
		return;
	}
	doctor_find(d, d->n_vfs ? FINDING_ERROR : FINDING_WARNING, looked_at,
		    "no IOMMU is active (the firmware %s): VFs cannot be bound to vfio-pci",
		    table ? "has one" : "shows none");
	doctor_expected(d, "numbers in " GROUPS ", units (dmar0, ivhd0) in " UNITS);
	if (off)
		doctor_action(d, "take %s off the kernel command line and boot again", off);
	else if (table && !strcmp(table, "DMAR") && !doctor_has_word(cmdline, "intel_iommu=on"))
		doctor_action(d, "add intel_iommu=on iommu=pt to the kernel command line and boot "
				 "again");
	else if (table)
		doctor_action(d,
			      "look in the kernel log why the IOMMU of the table %s is not used "
			      "(journalctl -k -g 'DMAR|AMD-Vi|SMMU'); update the firmware",
			      table);
	else
		doctor_action(d,
			      "switch on VT-d, AMD-Vi or SMMU in the firmware; in a VM give it an "
			      "emulated IOMMU");
}

static void members(const struct vf *vf, char *buf, size_t size)
{
	size_t len = 0, shown = vf->n_group_others;

	if (shown > SHOWN)
		shown = SHOWN;
	buf[0] = '\0';
	for (size_t i = 0; i < shown; i++) {
		char addr[PCI_ADDR_STRLEN];

		len += snprintf(buf + len, size - len, "%s%s", i ? " " : "",
				pci_addr_format(&vf->group_others[i], addr));
	}
	if (shown < vf->n_group_others)
		snprintf(buf + len, size - len, " and %zu more", vf->n_group_others - shown);
}

static void check_groups(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->n_vfs && is_active(d); i++) {
		const struct vf *vf = &d->vfs[i];
		char path[128], others[256], name[64], addr[PCI_ADDR_STRLEN];

		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
			 pci_addr_format(&vf->addr, addr));
		if (vf->iommu_group >= 0 && !vf->n_group_others)
			continue;
		found++;
		vf_name(vf, name, sizeof(name));
		members(vf, others, sizeof(others));
		if (vf->iommu_group < 0)
			doctor_find(d, FINDING_ERROR, path, "%s (%s) is in no IOMMU group", name,
				    addr);
		else
			doctor_find(d, FINDING_ERROR, path,
				    "%s (%s) shares its IOMMU group %d with %s: whoever has one "
				    "of them reaches all",
				    name, addr, vf->iommu_group, others);
		doctor_expected(d, "an IOMMU group of its own for each VF");
		doctor_action(d, "put the card into another slot, one behind a bridge with ACS, or "
				 "enable ACS in the firmware");
	}
	if (!found)
		doctor_ok(d, "/sys/bus/pci/devices/*/iommu_group",
			  "%zu VFs in use, none shares its IOMMU group", d->n_vfs);
}

static bool is_on(const struct doctor *d, const char *parameter)
{
	char text[8];

	return sysfs_read(d->root, text, sizeof(text), "%s", parameter) > 0 &&
	       (text[0] == 'Y' || text[0] == '1');
}

/*
 * Without remapping a device can raise any interrupt of the host, by a write of DMA. Interrupts
 * that are remapped are those of a chip called IR-... (kernel: arch/x86, drivers/iommu).
 */
static void check_remapping(struct doctor *d)
{
	static const char unsafe[] = "/sys/module/vfio_iommu_type1/parameters/"
				     "allow_unsafe_interrupts";
	_cleanup_free_ char *interrupts = doctor_read(d, "/proc/interrupts");
	_cleanup_free_ char *cpuinfo = doctor_read(d, "/proc/cpuinfo");
	const bool is_x86 = cpuinfo && strstr(cpuinfo, "\nflags\t");

	if (is_on(d, unsafe)) {
		doctor_find(d, FINDING_WARNING, unsafe,
			    "VFIO is told to do without interrupt remapping: a VM's device can "
			    "raise interrupts of the host");
		doctor_expected(d, "N; the firmware's interrupt remapping in its place");
		doctor_action(d,
			      "take allow_unsafe_interrupts out of /etc/modprobe.d and the kernel "
			      "command line; switch on interrupt remapping (or x2APIC) in the "
			      "firmware");
	} else if (is_x86 && is_active(d) && interrupts && !strstr(interrupts, " IR-")) {
		doctor_find(d, FINDING_ERROR, "/proc/interrupts",
			    "interrupts are not remapped: VFIO refuses devices "
			    "(\"No interrupt remapping support\")");
		doctor_expected(d, "interrupts of chips that are called IR-PCI-MSI or IR-IO-APIC");
		doctor_action(d,
			      "switch on interrupt remapping (or x2APIC) in the firmware, and take "
			      "intremap=off and nointremap off the kernel command line");
	} else {
		doctor_ok(d, "/proc/interrupts, allow_unsafe_interrupts",
			  "VFIO needs no exception for interrupts");
	}
}

static void check_no_iommu_mode(struct doctor *d)
{
	static const char mode[] = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

	if (!is_on(d, mode)) {
		doctor_ok(d, mode, "VFIO's mode without an IOMMU is off");
		return;
	}
	doctor_find(d, FINDING_WARNING, mode,
		    "VFIO's mode without an IOMMU is on: programs can get devices that reach all "
		    "memory; vio4wd does not use it");
	doctor_expected(d, "N");
	doctor_action(d, "echo N > %s, and take it out of /etc/modprobe.d", mode);
}

static const struct doctor_check checks[] = {
	{ "active", check_active },
	{ "groups", check_groups },
	{ "interrupt-remapping", check_remapping },
	{ "noiommu-mode", check_no_iommu_mode },
	{ 0 },
};

const struct doctor_area doctor_iommu = {
	.name = "iommu",
	.checks = checks,
};
