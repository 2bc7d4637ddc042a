/* SPDX-License-Identifier: BSD-3-Clause */

/* Hugepages of relays and VMs, and what the kernel does to memory. */
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/doctor/doctor.h"
#include "ctl/doctor/memlock.h"

#define NODE "/sys/devices/system/node"
#define RELAY_MIN_MB 64 /* that a relay process does not start without */

/* --- hugepages --- */

struct pages {
	unsigned long total_mb, free_mb;
	unsigned long small; /* number of those of 2 MiB */
};

/* folder: that of the host or of a node. */
static void count_pages(const struct doctor *d, const char *folder, struct pages *pages)
{
	static const unsigned int sizes_kb[] = { 2048, 1048576, 16384, 65536, 32768, 524288 };

	*pages = (struct pages){ 0 };
	for (size_t i = 0; i < sizeof(sizes_kb) / sizeof(sizes_kb[0]); i++) {
		const unsigned long mb = sizes_kb[i] / 1024;
		long nr = doctor_number(d, "%s/hugepages-%ukB/nr_hugepages", folder, sizes_kb[i]);
		long unused =
			doctor_number(d, "%s/hugepages-%ukB/free_hugepages", folder, sizes_kb[i]);

		pages->total_mb += nr > 0 ? nr * mb : 0;
		pages->free_mb += unused > 0 ? unused * mb : 0;
		if (i == 0 && nr > 0)
			pages->small = nr;
	}
}

static void advise_pages(struct doctor *d)
{
	doctor_expected(d,
			"at least %u MB of hugepages free when a relay process starts, and more "
			"for VMs and ports",
			RELAY_MIN_MB);
	doctor_action(d, "set VIO4WD_NR_HUGEPAGES (1024, or 0:512 1:512 by NUMA node) and run "
			 "systemctl restart vio4wd-hugepages; or VIO4WD_HUGEPAGES=false where no "
			 "VF is used");
}

static void check_hugepages(struct doctor *d)
{
	static const char folder[] = "/sys/kernel/mm/hugepages";
	struct pages pages;

	if (!d->cfg->hugepages) {
		doctor_ok(d, d->config_file, "relays run without hugepages (VIO4WD_HUGEPAGES)");
		return;
	}
	count_pages(d, folder, &pages);
	if (!pages.total_mb)
		doctor_find(d, FINDING_ERROR, folder,
			    "this host has no hugepages: no relay starts");
	else if (pages.free_mb < RELAY_MIN_MB)
		doctor_find(d, FINDING_WARNING, folder,
			    "%lu MB of %lu MB of hugepages are free: a relay process that runs "
			    "goes on, no further one starts",
			    pages.free_mb, pages.total_mb);
	else
		doctor_ok(d, folder, "%lu MB of %lu MB of hugepages are free", pages.free_mb,
			  pages.total_mb);
	if (pages.free_mb < RELAY_MIN_MB)
		advise_pages(d);
}

/* The nodes that need pages: those of workers and of VFs. */
static void nodes_in_use(const struct doctor *d, struct cpuset *nodes)
{
	cpuset_clear(nodes);
	for (int c = cpuset_next(&d->cfg->cpu_mask, 0); c >= 0;
	     c = cpuset_next(&d->cfg->cpu_mask, c + 1))
		cpuset_add(nodes, cpu_numa_node(d->root, c));
	for (size_t i = 0; i < d->n_vfs; i++) {
		if (d->vfs[i].numa_node >= 0)
			cpuset_add(nodes, d->vfs[i].numa_node);
	}
}

static void check_nodes(struct doctor *d)
{
	struct cpuset online, nodes;
	size_t found = 0;

	doctor_cpus(d, &online, NODE "/online");
	nodes_in_use(d, &nodes);
	for (int n = cpuset_next(&nodes, 0); d->cfg->hugepages && n >= 0;
	     n = cpuset_next(&nodes, n + 1)) {
		char folder[64];
		struct pages pages;

		snprintf(folder, sizeof(folder), NODE "/node%d/hugepages", n);
		count_pages(d, folder, &pages);
		/* Of a host with one node check_hugepages() has told. */
		if (cpuset_count(&online) < 2 || pages.total_mb)
			continue;
		found++;
		doctor_find(d, FINDING_WARNING, folder,
			    "NUMA node %d, which workers or VFs are on, has no hugepages: their "
			    "memory is on another node",
			    n);
		doctor_expected(d, "hugepages on each NUMA node of workers and VFs");
		doctor_action(d,
			      "name the node in VIO4WD_NR_HUGEPAGES (%d:512) and run systemctl "
			      "restart vio4wd-hugepages",
			      n);
	}
	if (!found)
		doctor_ok(d, NODE, "the NUMA nodes of workers and VFs have their hugepages");
}

/* What VIO4WD_NR_HUGEPAGES asks for is there. */
static void check_wanted(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->cfg->n_nr_hugepages; i++) {
		const struct config_node_pages *wanted = &d->cfg->nr_hugepages[i];
		char folder[64] = "/sys/kernel/mm/hugepages", where[32] = "this host";
		struct pages pages;

		if (wanted->node >= 0) {
			snprintf(folder, sizeof(folder), NODE "/node%d/hugepages", wanted->node);
			snprintf(where, sizeof(where), "NUMA node %d", wanted->node);
		}
		count_pages(d, folder, &pages);
		if (pages.small >= wanted->pages)
			continue;
		found++;
		doctor_find(d, FINDING_WARNING, folder,
			    "%s has %lu hugepages of 2 MiB, VIO4WD_NR_HUGEPAGES asks for %u", where,
			    pages.small, wanted->pages);
		doctor_expected(d, "the pages that VIO4WD_NR_HUGEPAGES asks for");
		doctor_action(d,
			      "systemctl restart vio4wd-hugepages; when memory is scattered, boot "
			      "with the unit enabled");
	}
	if (!found)
		doctor_ok(d, d->config_file, "the hugepages of VIO4WD_NR_HUGEPAGES are there");
}

/* --- mounts --- */

static bool is_mounted(const struct doctor *d, const char *folder, bool *any)
{
	char path[PATH_MAX];
	struct mntent *entry;
	bool found = false;
	FILE *file;

	*any = false;
	snprintf(path, sizeof(path), "%s/proc/mounts", d->root);
	file = setmntent(path, "re");
	while (file && (entry = getmntent(file))) {
		if (strcmp(entry->mnt_type, "hugetlbfs") != 0)
			continue;
		*any = true;
		found |= !strcmp(entry->mnt_dir, folder);
	}
	if (file)
		endmntent(file);
	return found;
}

/* Relays take hugepages without a file; libvirt and QEMU (memory-backend-file) need the mount. */
static void check_mount(struct doctor *d)
{
	const char *folder = d->cfg->hugetlbfs_mount;
	const struct libvirt_domain *needy = NULL;
	bool any;

	for (size_t i = 0; i < d->libvirt.n_domains && !needy; i++) {
		if (d->libvirt.domains[i].hugepages)
			needy = &d->libvirt.domains[i];
	}
	if (is_mounted(d, folder, &any)) {
		doctor_ok(d, "/proc/mounts", "hugetlbfs is mounted at %s", folder);
		return;
	}
	if (needy && !any)
		doctor_find(d, FINDING_ERROR, "/proc/mounts",
			    "hugetlbfs is mounted nowhere, and the domain %s has its memory on "
			    "hugepages",
			    needy->name);
	else
		doctor_find(d, FINDING_NOTE, "/proc/mounts",
			    "hugetlbfs is not mounted at %s (VIRTIOFWD_HUGETLBFS_MOUNT_POINT)%s",
			    folder, any ? ", but elsewhere" : " nor elsewhere");
	doctor_expected(d, "a hugetlbfs mount for VMs with memory on hugepages; relays need none");
	doctor_action(d,
		      "mkdir -p %s && mount -t hugetlbfs hugetlbfs %s (for good: /etc/fstab), "
		      "or name the mount there is",
		      folder, folder);
}

/* Libvirt makes folders of its own there, as root; other users of QEMU need the right to write. */
static void check_mount_rights(struct doctor *d)
{
	const char *folder = d->cfg->hugetlbfs_mount, *owner = d->cfg->socket_owner;
	struct doctor_user user;
	char path[PATH_MAX];
	struct stat st;
	bool any;

	snprintf(path, sizeof(path), "%s%s", d->root, folder);
	if (!is_mounted(d, folder, &any) || stat(path, &st) < 0 ||
	    !doctor_user_find(d, owner, &user) || user.uid == 0) {
		doctor_ok(d, folder, "no rights are missing");
		return;
	}
	if (doctor_user_may(&user, &st, S_IXOTH)) {
		doctor_ok(d, folder, "%s may enter %s", owner, folder);
		return;
	}
	doctor_find(d, FINDING_WARNING, folder,
		    "%s (VIRTIOFWD_SOCKET_OWNER, QEMU's user) may not enter %s: mode %04o", owner,
		    folder, st.st_mode & 07777);
	doctor_expected(d, "the right to enter (x) for QEMU's user");
	doctor_action(d, "mount it with mode=1755, or chmod o+x %s", folder);
}

/* --- the kernel --- */

static void check_ksm(struct doctor *d)
{
	static const char ksm[] = "/sys/kernel/mm/ksm";
	struct cpuset nodes;

	doctor_cpus(d, &nodes, NODE "/online");
	if (doctor_number(d, "%s/run", ksm) != 1 || cpuset_count(&nodes) < 2 ||
	    doctor_number(d, "%s/merge_across_nodes", ksm) != 1) {
		doctor_ok(d, ksm, "KSM moves no page to another NUMA node");
		return;
	}
	doctor_find(d, FINDING_WARNING,
		    "/sys/kernel/mm/ksm/run, /sys/kernel/mm/ksm/merge_across_nodes",
		    "KSM merges pages of VMs across NUMA nodes: memory that is bound to a node is "
		    "read from another");
	doctor_expected(d, "run=0, or merge_across_nodes=0");
	doctor_action(d, "echo 2 > %s/run; echo 0 > %s/merge_across_nodes; echo 1 > %s/run", ksm,
		      ksm, ksm);
}

static const struct doctor_check checks[] = {
	{ "hugepages", check_hugepages },
	{ "hugepages-node", check_nodes },
	{ "hugepages-wanted", check_wanted },
	{ "hugetlbfs", check_mount },
	{ "hugetlbfs-rights", check_mount_rights },
	{ "memlock-unit", memlock_check_unit },
	{ "memlock-relay", memlock_check_relays },
	{ "memlock-qemu", memlock_check_qemu },
	{ "ksm", check_ksm },
	{ 0 },
};

const struct doctor_area doctor_memory = {
	.name = "memory",
	.checks = checks,
};
