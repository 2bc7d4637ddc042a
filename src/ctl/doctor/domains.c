/* SPDX-License-Identifier: BSD-3-Clause */

/* libvirt and QEMU: their versions, and what domains and networks do to VFs and sockets of ours. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ctl/doctor/doctor.h"
#include "ctl/doctor/program.h"

#define VERSION_TIMEOUT_MS 5000

/* --- versions --- */

/* The version of the first program of the list that the host has; 0: none. looked_at: its command;
 * first: the first line that it prints, or why it cannot be told. */
static unsigned int version_of(const struct doctor *d, const char *const *names, char *looked_at,
			       size_t size, char *first, size_t first_size)
{
	char path[PATH_MAX], full[2 * PATH_MAX];
	struct err err;

	for (; *names; names++) {
		if (!doctor_program(d, *names, path, sizeof(path)))
			continue;
		snprintf(looked_at, size, "%s --version", path);
		snprintf(full, sizeof(full), "%s%s", d->root, path);
		if (program_output(full, "--version", VERSION_TIMEOUT_MS, first, first_size,
				   &err)) {
			snprintf(first, first_size, "%s", err.text);
			return 0;
		}
		first[strcspn(first, "\n")] = '\0';
		return program_version(first);
	}
	return 0;
}

/* What does not work with some versions. */
struct flaw {
	unsigned int from, before; /* versions */
	enum finding_severity severity;
	bool emulated; /* only where VMs run without KVM */
	const char *what, *action;
};

/* vhost-user's own reconnection came with 2.7; 5.1 has vhost-vdpa. */
static const struct flaw qemu_flaws[] = {
	{ 0, PROGRAM_VERSION(2, 7, 0), FINDING_ERROR, false,
	  "does not connect again to a vhost-user socket: a VM loses its network with each restart "
	  "of a relay",
	  "install QEMU 2.7 or newer" },
	{ PROGRAM_VERSION(2, 7, 0), PROGRAM_VERSION(5, 1, 0), FINDING_NOTE, false,
	  "has no vhost-vdpa: vio4wdctl add --as vhost-vdpa is of no use; sockets are served",
	  "install QEMU 5.1 or newer where that is wanted" },
	{ PROGRAM_VERSION(7, 2, 0), PROGRAM_VERSION(7, 3, 0), FINDING_WARNING, true,
	  "crashes under emulation (TCG) when a vhost-user device has MSI-X vectors",
	  "run VMs with KVM, install a newer QEMU (10.0 is known to work), or give the device "
	  "vectors=0" },
};

/* libvirt knows <reconnect> of vhostuser since 4.1.0, <interface type='vdpa'> since 6.9.0
 * (formatdomain). */
static const struct flaw libvirt_flaws[] = {
	{ 0, PROGRAM_VERSION(4, 1, 0), FINDING_WARNING, false,
	  "knows no <reconnect> of a vhostuser interface: a VM loses its network with each restart "
	  "of a relay",
	  "install libvirt 4.1 or newer, or VIRTIOFWD_VHOST_CLIENT=true, where relays reconnect" },
	{ PROGRAM_VERSION(4, 1, 0), PROGRAM_VERSION(6, 9, 0), FINDING_NOTE, false,
	  "knows no <interface type='vdpa'>: vio4wdctl add --as vhost-vdpa is of no use to it",
	  "install libvirt 6.9 or newer where that is wanted" },
};

static bool is_emulating(const struct doctor *d)
{
	for (size_t i = 0; i < d->libvirt.n_domains; i++) {
		if (d->libvirt.domains[i].emulated)
			return true;
	}
	return !doctor_exists(d, "/dev/kvm");
}

static void judge_version(struct doctor *d, const char *name, const char *const *programs,
			  const struct flaw *flaws, size_t n)
{
	char looked_at[PATH_MAX] = "/usr/bin, /usr/sbin, /usr/libexec", first[480] = "";
	char absent[64];
	const unsigned int version =
		version_of(d, programs, looked_at, sizeof(looked_at), first, sizeof(first));

	for (size_t i = 0; version && i < n; i++) {
		if (version < flaws[i].from || version >= flaws[i].before ||
		    (flaws[i].emulated && !is_emulating(d)))
			continue;
		doctor_find(d, flaws[i].severity, looked_at, "%s: %s %s", first, name,
			    flaws[i].what);
		doctor_expected(d, "a version of %s without that", name);
		doctor_action(d, "%s", flaws[i].action);
		return;
	}
	if (version) {
		doctor_ok(d, looked_at, "%s", first);
		return;
	}
	snprintf(absent, sizeof(absent), "%s is not installed", name);
	doctor_find(d, FINDING_NOTE, looked_at, "%s", first[0] ? first : absent);
	doctor_expected(d, "%s, for VMs of this host", name);
	doctor_action(d, "install %s where VMs are to run; relays do without", name);
}

static void check_qemu(struct doctor *d)
{
	static const char *const programs[] = { "qemu-system-x86_64", "qemu-kvm", "kvm",
						"qemu-system-aarch64", NULL };

	judge_version(d, "QEMU", programs, qemu_flaws, sizeof(qemu_flaws) / sizeof(qemu_flaws[0]));
}

static void check_libvirt(struct doctor *d)
{
	static const char *const programs[] = { "virtqemud", "libvirtd", NULL };

	judge_version(d, "libvirt", programs, libvirt_flaws,
		      sizeof(libvirt_flaws) / sizeof(libvirt_flaws[0]));
}

/* --- VFs --- */

static void check_files(struct doctor *d)
{
	static const char looked_at[] = "/etc/libvirt/qemu, /run/libvirt/qemu";

	if (!d->libvirt.broken) {
		doctor_ok(d, looked_at, "%zu domains, %zu networks with VFs", d->libvirt.n_domains,
			  d->libvirt.n_pools);
		return;
	}
	doctor_find(d, FINDING_WARNING, d->libvirt.broken,
		    "%s cannot be read, or is no XML: it was not looked at", d->libvirt.broken);
	doctor_expected(d, "files as libvirt writes them");
	doctor_action(d, "look at it as root: virsh list --all and virsh net-list --all name what "
			 "libvirt knows");
}

static const struct vf *vf_of(const struct doctor *d, const struct pci_addr *addr)
{
	for (size_t i = 0; i < d->n_vfs; i++) {
		if (pci_addr_equal(&d->vfs[i].addr, addr))
			return &d->vfs[i];
	}
	return NULL;
}

static void check_hostdevs(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->libvirt.n_domains; i++) {
		const struct libvirt_domain *domain = &d->libvirt.domains[i];

		for (size_t k = 0; k < domain->n_functions; k++) {
			const struct vf *vf = vf_of(d, &domain->functions[k]);
			char name[64], addr[PCI_ADDR_STRLEN];

			if (!vf)
				continue;
			found++;
			doctor_find(d, domain->running ? FINDING_ERROR : FINDING_WARNING,
				    domain->file, "the domain %s %s %s (%s) as a host device",
				    domain->name, domain->running ? "runs with" : "wants",
				    vf_name(vf, name, sizeof(name)),
				    pci_addr_format(&vf->addr, addr));
			doctor_expected(d, "a VF for libvirt or for vio4wd, not for both");
			doctor_action(d,
				      "VIO4WD_EXCLUDE=%s, or take it out of the domain (virsh "
				      "edit %s)",
				      name, domain->name);
		}
	}
	if (!found)
		doctor_ok(d, "/etc/libvirt/qemu, /run/libvirt/qemu",
			  "no domain has a VF in use as a host device");
}

static bool is_in_pool(const struct libvirt_pool *pool, const struct vf *vf)
{
	if (pool->pf)
		return !strcmp(pool->pf, vf->pf_netdev);
	for (size_t i = 0; i < pool->n_functions; i++) {
		if (pci_addr_equal(&pool->functions[i], &vf->addr))
			return true;
	}
	return false;
}

static void check_pools(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->libvirt.n_pools; i++) {
		const struct libvirt_pool *pool = &d->libvirt.pools[i];
		const struct vf *first = NULL;
		char name[64];
		size_t n = 0;

		for (size_t k = 0; k < d->n_vfs; k++) {
			if (is_in_pool(pool, &d->vfs[k]) && !n++)
				first = &d->vfs[k];
		}
		if (!first)
			continue;
		found++;
		doctor_find(d, FINDING_WARNING, pool->file,
			    "libvirt's network %s (<forward mode='hostdev'>) hands out %zu VFs of "
			    "vio4wd's, %s among them: libvirt does not know that they are taken",
			    pool->name, n, vf_name(first, name, sizeof(name)));
		doctor_expected(d, "a VF in a network of libvirt or with vio4wd, not in both");
		doctor_action(d,
			      "virsh net-edit %s: name the VFs one by one (<address type='pci' "
			      ".../>) and put the same into VIO4WD_EXCLUDE; or a PF each",
			      pool->name);
	}
	if (!found)
		doctor_ok(d, "/etc/libvirt/qemu/networks, /run/libvirt/network",
			  "no network of libvirt hands out a VF in use");
}

/* --- sockets of ours --- */

static void judge_nic(struct doctor *d, const struct libvirt_domain *domain,
		      const struct libvirt_nic *nic, size_t *found)
{
	const bool relay_connects = d->cfg->vhost_client;

	if (nic->client == relay_connects) {
		*found += 1;
		doctor_find(d, FINDING_ERROR, domain->file,
			    "the interface of the domain %s at %s and the relay both %s: they "
			    "never meet",
			    domain->name, nic->path, nic->client ? "connect" : "listen");
		doctor_expected(d, "mode='%s' with VIRTIOFWD_VHOST_CLIENT=%s",
				relay_connects ? "server" : "client",
				relay_connects ? "true" : "false");
		doctor_action(d, "virsh edit %s, or change VIRTIOFWD_VHOST_CLIENT", domain->name);
	} else if (nic->client && !nic->reconnect) {
		*found += 1;
		doctor_find(d, FINDING_WARNING, domain->file,
			    "the interface of the domain %s at %s does not connect again: it loses "
			    "its network with a restart of the relay",
			    domain->name, nic->path);
		doctor_expected(d, "<reconnect enabled='yes' timeout='1'/> in <source>");
		doctor_action(d, "virsh edit %s; vio4wdctl libvirt-xml ID prints the element",
			      domain->name);
	}
}

static void check_sockets(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->libvirt.n_domains; i++) {
		const struct libvirt_domain *domain = &d->libvirt.domains[i];

		for (size_t k = 0; k < domain->n_nics; k++) {
			if (doctor_is_socket(d, domain->nics[k].path))
				judge_nic(d, domain, &domain->nics[k], &found);
		}
	}
	if (!found)
		doctor_ok(d, "/etc/libvirt/qemu, /run/libvirt/qemu",
			  "domains meet their relays, and again after a restart");
}

/* A relay maps the memory of the VM, which has to be shared for that. */
static void check_shared_memory(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->libvirt.n_domains; i++) {
		const struct libvirt_domain *domain = &d->libvirt.domains[i];
		bool ours = false;

		for (size_t k = 0; k < domain->n_nics; k++)
			ours |= doctor_is_socket(d, domain->nics[k].path);
		if (!ours || domain->shared_memory)
			continue;
		found++;
		doctor_find(d, FINDING_ERROR, domain->file,
			    "the memory of the domain %s is not shared: a relay cannot reach its "
			    "packets",
			    domain->name);
		doctor_expected(d, "<memoryBacking><access mode='shared'/>");
		doctor_action(d, "virsh edit %s; vio4wdctl libvirt-xml ID prints the elements",
			      domain->name);
	}
	if (!found)
		doctor_ok(d, "/etc/libvirt/qemu, /run/libvirt/qemu",
			  "the domains at relays share their memory");
}

static const struct doctor_check checks[] = {
	{ "qemu", check_qemu },
	{ "libvirt", check_libvirt },
	{ "files", check_files },
	{ "hostdev", check_hostdevs },
	{ "pool", check_pools },
	{ "socket-mode", check_sockets },
	{ "shared-memory", check_shared_memory },
	{ 0 },
};

const struct doctor_area doctor_libvirt = {
	.name = "libvirt",
	.checks = checks,
};
