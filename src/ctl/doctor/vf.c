/* SPDX-License-Identifier: BSD-3-Clause */

/* The VFs that the configuration uses: are they there, free, and always the same? */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/sysfs.h"
#include "ctl/device_use.h"
#include "ctl/doctor/doctor.h"
#include "ctl/output.h"
#include "udev/binding_checks.h"
#include "udev/device_node.h"

#define NET_ADDR_RANDOM 1 /* of addr_assign_type, linux/netdevice.h */

/* --- are they there? --- */

static void not_there(struct doctor *d, const char *what, const char *reason)
{
	doctor_find(d, FINDING_NOTE, "/sys/bus/pci/devices, /sys/class/net",
		    "%s of the configuration is not there: %s", what, reason);
	doctor_expected(d, "the devices of the configuration; a pairing waits for what is missing");
	doctor_action(d, "vio4wdctl vf list and ip link show what there is; make VFs with "
			 "VIO4WD_NUM_VFS or vio4wdctl vf create, or mend the name");
}

static size_t check_device(struct doctor *d, const char *name)
{
	struct device_use use;
	struct devname dev;
	struct err err;

	if (config_resolve_device(d->cfg, name, &dev, NULL) == 0 && dev.kind == DEVNAME_VDEV)
		return 0;
	if (device_use_find(d->cfg, d->root, name, &use, &err) == 0)
		return 0;
	not_there(d, name, err.text);
	return 1;
}

static size_t check_pf(struct doctor *d, const char *name)
{
	struct pci_addr addr;
	struct err err;
	struct pf pf;

	if (pf_find(d->root, name, &addr, &err) == 0 && pf_read(d->root, &addr, &pf, &err) == 0)
		return 0;
	not_there(d, name, err.text);
	return 1;
}

static void check_present(struct doctor *d)
{
	const struct config *cfg = d->cfg;
	size_t missing = 0;

	for (size_t i = 0; i < cfg->n_static_vfs; i++)
		missing += check_device(d, cfg->static_vfs[i].device);
	for (size_t i = 0; i < cfg->n_spare_vfs; i++)
		missing += check_device(d, cfg->spare_vfs[i].device.text);
	for (size_t i = 0; i < cfg->n_auto_vfs; i++)
		missing += check_pf(d, cfg->auto_vfs[i].pf);
	for (size_t i = 0; i < cfg->n_num_vfs; i++)
		missing += check_pf(d, cfg->num_vfs[i].pf);
	for (size_t i = 0; i < cfg->n_bind_vfio_pci; i++) {
		const struct config_bind *bind = &cfg->bind_vfio_pci[i];
		char addr[PCI_ADDR_STRLEN];

		missing += bind->is_pci ? check_device(d, pci_addr_format(&bind->pci, addr))
					: check_pf(d, bind->netdev);
	}
	if (!missing)
		doctor_ok(d, "/sys/bus/pci/devices, /sys/class/net",
			  "the devices of the configuration are there (%zu VFs)", d->n_vfs);
}

/* --- may they be taken? --- */

/* A vDPA device of ours on the VF is no foreign use. */
static int check_vf_unused(const struct doctor *d, const struct vf *vf, struct err *err)
{
	char name[16];
	int rc = binding_check_unused(d->root, vf, NULL, err);

	for (unsigned int id = 0; rc == -EBUSY && id < CONFIG_MAX_RELAYS; id++) {
		snprintf(name, sizeof(name), "vio4wd%u", id);
		if (strstr(err->text, name))
			rc = binding_check_unused(d->root, vf, name, err);
	}
	return rc;
}

static void check_drivers(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->n_vfs; i++) {
		const struct vf *vf = &d->vfs[i];
		char path[128], addr[PCI_ADDR_STRLEN];
		struct err err;
		int rc = vf_keeps_kernel_driver(vf) ? binding_check_kernel_driver(vf, &err) : 0;

		if (!rc)
			rc = check_vf_unused(d, vf, &err);
		if (!rc)
			continue;
		found++;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver",
			 pci_addr_format(&vf->addr, addr));
		doctor_find(d, FINDING_ERROR, path, "%s", err.text);
		doctor_expected(d, "a VF that nobody uses, on its own driver, vfio-pci or none");
		doctor_action(d,
			      "do what the reason says, or take the VF out of the configuration; "
			      "vio4wd binds it by itself");
	}
	if (!found)
		doctor_ok(d, "/sys/bus/pci/devices/*/driver",
			  "no VF in use has a driver or an interface that keeps it");
}

/* VFIO's file of the VF: /dev/vfio/GROUP, or /dev/vfio/devices/vfioN (by its folder in sysfs). */
static bool is_file_of(const struct doctor *d, const struct vf *vf, const char *path)
{
	static const char cdev[] = "/dev/vfio/devices/";
	char node[DEVICE_NODE_MAX], addr[PCI_ADDR_STRLEN];

	if (!strncmp(path, cdev, strlen(cdev)))
		return doctor_exists(d, "/sys/bus/pci/devices/%s/vfio-dev/%s",
				     pci_addr_format(&vf->addr, addr), path + strlen(cdev));
	return device_node_path(d->root, &vf->addr, vf->driver, node) == 0 && !strcmp(node, path);
}

static void judge_holder(struct doctor *d, const char *pid, const char *program, const char *path,
			 void *found)
{
	char looked_at[64], name[64];

	if (!strncmp(program, "vio4wd", strlen("vio4wd")))
		return;
	for (size_t i = 0; i < d->n_vfs; i++) {
		if (!is_file_of(d, &d->vfs[i], path))
			continue;
		*(size_t *)found += 1;
		snprintf(looked_at, sizeof(looked_at), "/proc/%s/fd", pid);
		doctor_find(d, FINDING_ERROR, looked_at,
			    "%s is used by %s (process %s), which has %s open",
			    vf_name(&d->vfs[i], name, sizeof(name)), program, pid, path);
		doctor_expected(d, "no program but vio4wd-relay with the VF's file open");
		doctor_action(d, "end the VM or program, or put the VF into VIO4WD_EXCLUDE");
	}
}

static void check_holders(struct doctor *d)
{
	size_t found = 0;

	doctor_open_files(d, "/dev/vfio/", judge_holder, &found);
	if (!found)
		doctor_ok(d, "/proc/*/fd", "no other program has a VF in use open");
}

/* --- are they the same after a boot? --- */

static bool has_mac(const struct doctor *d, const struct vf *vf)
{
	char name[64], addr[PCI_ADDR_STRLEN], pf[PCI_ADDR_STRLEN];
	struct config_vf_options options;

	config_vf_options_of(d->cfg, vf_name(vf, name, sizeof(name)),
			     pci_addr_format(&vf->addr, addr), vf->pf_netdev,
			     pci_addr_format(&vf->pf, pf), vf->index, &options);
	return options.has_mac;
}

/* The address that vio4wd makes for a VF whose PF holds none comes from the machine id. */
static void check_machine_id(struct doctor *d)
{
	char id[64];
	int len = sysfs_read(d->root, id, sizeof(id), "/etc/machine-id");

	if (len == 32) {
		doctor_ok(d, "/etc/machine-id", "VFs without a MAC address get a stable one");
		return;
	}
	doctor_find(d, FINDING_WARNING, "/etc/machine-id",
		    "this host has no machine id: VFs without a MAC address in the configuration "
		    "have another one after each boot");
	doctor_expected(d, "32 hexadecimal digits (machine-id(5))");
	doctor_action(d, "run systemd-machine-id-setup, or give each VF a mac= in "
			 "VIO4WD_VF_OPTIONS");
}

/* What the driver has made up is another address after each boot. */
static void check_macs(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->n_vfs; i++) {
		const struct vf *vf = &d->vfs[i];
		char path[128], mac[32], name[64];

		if (!vf->netdev[0] || has_mac(d, vf) ||
		    doctor_number(d, "/sys/class/net/%s/addr_assign_type", vf->netdev) !=
			    NET_ADDR_RANDOM)
			continue;
		found++;
		if (sysfs_read(d->root, mac, sizeof(mac), "/sys/class/net/%s/address", vf->netdev) <
		    0)
			strcpy(mac, "unknown");
		snprintf(path, sizeof(path), "/sys/class/net/%s/addr_assign_type", vf->netdev);
		doctor_find(d, FINDING_NOTE, path,
			    "the MAC address of %s, %s, was made up by its driver: it is another "
			    "one after each boot, and vio4wd replaces it by a stable one",
			    vf_name(vf, name, sizeof(name)), mac);
		doctor_expected(d, "a MAC address that was given to the VF");
		doctor_action(d,
			      "VIO4WD_VF_OPTIONS=(%s:mac=...) when a VM or the network has to "
			      "know it beforehand",
			      name);
	}
	if (!found)
		doctor_ok(d, "/sys/class/net/*/addr_assign_type",
			  "no VF in use has a MAC address made up by its driver");
}

/* The VF of the running daemon with that address; NULL: none. */
static json_object *running_vf(const struct doctor *d, const char *address)
{
	json_object *pfs = json_at(d->vf_list, "pfs");

	for (size_t i = 0; i < json_length(pfs); i++) {
		json_object *vfs = json_at(json_object_array_get_idx(pfs, i), "vfs");

		for (size_t k = 0; k < json_length(vfs); k++) {
			json_object *vf = json_object_array_get_idx(vfs, k);

			if (!strcmp(json_text(vf, "address"), address))
				return vf;
		}
	}
	return NULL;
}

static void judge_relay_mac(struct doctor *d, json_object *vf, const char *path, size_t *found)
{
	const char *mac = json_text(vf, "mac");

	for (size_t i = 0; i < d->libvirt.n_domains; i++) {
		const struct libvirt_domain *domain = &d->libvirt.domains[i];

		for (size_t k = 0; k < domain->n_nics; k++) {
			const struct libvirt_nic *nic = &domain->nics[k];

			if (strcmp(nic->path, path) != 0 || !nic->mac[0] || *mac == '-' ||
			    !strcasecmp(nic->mac, mac))
				continue;
			*found += 1;
			doctor_find(d, FINDING_WARNING, domain->file,
				    "the interface of the domain %s at %s has the MAC address %s, "
				    "its VF %s has %s: a VF delivers only what is addressed to it",
				    domain->name, path, nic->mac, json_text(vf, "name"), mac);
			doctor_expected(d, "one MAC address for the interface and its VF");
			doctor_action(d,
				      "VIO4WD_VF_OPTIONS=(%s:mac=%s), or <mac address='%s'/> in "
				      "the domain",
				      json_text(vf, "name"), nic->mac, mac);
		}
	}
}

/* What a VM was defined with, and what its VF has now: they part when the VF got a new one. */
static void check_macs_of_domains(struct doctor *d)
{
	json_object *relays = json_at(d->status, "relays");
	size_t found = 0;

	for (size_t i = 0; i < json_length(relays); i++) {
		json_object *relay = json_object_array_get_idx(relays, i);
		json_object *vf = running_vf(d, json_text(relay, "address"));

		if (vf)
			judge_relay_mac(d, vf, json_text(relay, "socket"), &found);
	}
	if (!found)
		doctor_ok(d, "vio4wdctl vf list, /etc/libvirt/qemu",
			  d->vf_list ? "no domain has another MAC address than its VF"
				     : "without a running vio4wd no MAC addresses are compared");
}

/* --- module options --- */

/* "options igb max_vfs=7" makes VFs when the driver is loaded, in the place of vio4wd. */
static bool max_vfs_line(const char *line, char *driver, size_t size)
{
	const size_t len = strcspn(line, "\n");
	char text[512], *save = NULL, *word;
	bool found = false;

	snprintf(text, sizeof(text), "%.*s", (int)len, line);
	word = strtok_r(text, " \t", &save);
	if (!word || strcmp(word, "options") != 0 || !(word = strtok_r(NULL, " \t", &save)))
		return false;
	snprintf(driver, size, "%s", word);
	while ((word = strtok_r(NULL, " \t", &save)))
		found |= !strncmp(word, "max_vfs=", strlen("max_vfs="));
	return found;
}

static void tell_max_vfs(struct doctor *d, const char *looked_at, const char *driver)
{
	doctor_find(d, FINDING_WARNING, looked_at,
		    "the module %s is loaded with max_vfs=: VFs of all of its cards are made then, "
		    "and vio4wd neither removes them nor changes their number",
		    driver);
	doctor_expected(d, "VFs made by VIO4WD_NUM_VFS or sriov_numvfs, for a PF each");
	doctor_action(d, "take max_vfs= out, update-initramfs -u, boot again; VIO4WD_NUM_VFS=PF=N "
			 "makes the VFs");
}

static size_t judge_modprobe(struct doctor *d, const char *path)
{
	_cleanup_free_ char *text = doctor_read(d, path);
	char driver[64];
	size_t found = 0;

	for (const char *line = text; line && *line; line += strcspn(line, "\n")) {
		line += *line == '\n';
		if (!max_vfs_line(line, driver, sizeof(driver)))
			continue;
		found++;
		tell_max_vfs(d, path, driver);
	}
	return found;
}

/* "igb.max_vfs=7" */
static size_t judge_cmdline(struct doctor *d)
{
	static const char file[] = "/proc/cmdline";
	_cleanup_free_ char *text = doctor_read(d, file);
	char *save = NULL;
	size_t found = 0;

	for (char *word = text ? strtok_r(text, " \n", &save) : NULL; word;
	     word = strtok_r(NULL, " \n", &save)) {
		char *mark = strstr(word, ".max_vfs=");

		if (!mark)
			continue;
		*mark = '\0';
		found++;
		tell_max_vfs(d, file, word);
	}
	return found;
}

static void check_max_vfs(struct doctor *d)
{
	static const char *const folders[] = { "/etc/modprobe.d", "/run/modprobe.d",
					       "/usr/lib/modprobe.d" };
	size_t found = judge_cmdline(d);

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		char pattern[PATH_MAX];
		glob_t files = { 0 };

		snprintf(pattern, sizeof(pattern), "%s%s/*.conf", d->root, folders[i]);
		glob(pattern, 0, NULL, &files);
		for (size_t k = 0; k < files.gl_pathc; k++)
			found += judge_modprobe(d, files.gl_pathv[k] + strlen(d->root));
		globfree(&files);
	}
	if (!found)
		doctor_ok(d, "/etc/modprobe.d, /run/modprobe.d, /usr/lib/modprobe.d, /proc/cmdline",
			  "no module is loaded with max_vfs=");
}

static const struct doctor_check checks[] = {
	{ "present", check_present }, { "driver", check_drivers },
	{ "holder", check_holders },  { "machine-id", check_machine_id },
	{ "mac", check_macs },	      { "mac-domain", check_macs_of_domains },
	{ "max-vfs", check_max_vfs }, { 0 },
};

const struct doctor_area doctor_vf = {
	.name = "vf",
	.checks = checks,
};
