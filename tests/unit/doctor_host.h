/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A host, in a folder, on which `vio4wdctl doctor` finds nothing to complain of, and cases: what is
 * changed of it, and the one check that then complains.
 */
#ifndef VIO4WD_TEST_DOCTOR_HOST_H
#define VIO4WD_TEST_DOCTOR_HOST_H

#include <kselftest_harness.h>

#include "ctl/doctor/doctor.h"
#include "sysfs_tree.h"

#define CONFIG "/etc/default/virtioforwarder"
#define SYSTEMD "/usr/lib/systemd/system/"
#define VF0 "/sys/devices/pci0000:00/0000:00:1c.0/0000:01:10.0"

#define DOMAIN(name, type, more)                                                              \
	"<domain type='" type "'><name>" name "</name><memoryBacking><access mode='shared'/>" \
	"</memoryBacking>" more "</domain>"
#define NIC(path, mode, more)                                                     \
	"<devices><interface type='vhostuser'><mac address='52:54:00:00:00:01'/>" \
	"<source type='unix' path='" path "' mode='" mode "'>" more               \
	"</source></interface></devices>"
#define RECONNECT "<reconnect enabled='yes' timeout='1'/>"

/* Beside tests/sysfs/igb-7vfs.tree. */
static const struct doctor_file {
	const char *path, *text; /* "-> target": a link */
} doctor_good[] = {
	{ CONFIG, "VIRTIOFWD_CPU_MASK=2,3\nVIO4WD_AUTO_VFS=enp1s0:0\nVIO4WD_NR_HUGEPAGES=512\n" },
	{ "/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmx sse\n" },
	{ "/dev/kvm", "" },
	{ "/proc/cmdline", "root=/dev/sda1 intel_iommu=on iommu=pt\n" },
	{ "/proc/interrupts", " 24:  0  0  IR-PCI-MSI-0000:01:00.0  0-edge  eth0\n" },
	{ "/proc/mounts", "hugetlbfs /mnt/huge hugetlbfs rw,pagesize=2M 0 0\n" },
	{ "/mnt/huge/", "" },
	{ "/tmp/", "" },
	{ "/sys/class/iommu/dmar0/", "" },
	{ "/sys/firmware/acpi/tables/DMAR", "" },
	{ "/sys/devices/system/cpu/online", "0-7\n" },
	{ "/sys/devices/system/cpu/isolated", "2-3\n" },
	{ "/sys/devices/system/cpu/nohz_full", "2-3\n" },
	{ "/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2,6\n" },
	{ "/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "3,7\n" },
	{ "/sys/devices/system/cpu/cpu2/node0/", "" },
	{ "/sys/devices/system/cpu/cpu3/node0/", "" },
	{ "/sys/devices/system/node/online", "0-1\n" },
	{ "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "512\n" },
	{ "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n" },
	{ "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "256\n" },
	{ "/sys/kernel/mm/ksm/run", "1\n" },
	{ "/sys/kernel/mm/ksm/merge_across_nodes", "0\n" },
	{ "/etc/machine-id", "0123456789abcdef0123456789abcdef\n" },
	{ "/etc/passwd",
	  "root:x:0:0::/root:/bin/sh\nvio4wd:x:990:990::/:/bin/false\n"
	  "libvirt-qemu:x:64055:64055::/:/bin/false\nqemu:x:107:107::/:/bin/false\n" },
	{ "/etc/group", "root:x:0:\nkvm:x:104:libvirt-qemu\n" },
	{ "/run/systemd/system/", "" },
	{ "/etc/systemd/system/multi-user.target.wants/virtio-forwarder.service", "" },
	{ SYSTEMD "virtio-forwarder.service", "[Service]\nExecStart=/usr/sbin/vio4wd\n" },
	{ SYSTEMD "vio4wd-relay@.service", "[Service]\nLimitMEMLOCK=infinity\n" },
	{ SYSTEMD "vio4wd-hugepages.service", "" },
	{ "/usr/sbin/vio4wd", "" },
	{ "/usr/sbin/vio4wd-relay", "" },
	{ "/usr/bin/vio4wdctl", "" },
	{ "/usr/bin/qemu-system-x86_64",
	  "#!/bin/sh\necho 'QEMU emulator version 10.0.2 (Debian)'\n" },
	{ "/usr/sbin/libvirtd", "#!/bin/sh\necho 'libvirtd (libvirt) 11.3.0'\n" },
	{ "/etc/libvirt/qemu/good.xml",
	  DOMAIN("good", "kvm",
		 "<vcpu cpuset='4-7,^7'>2</vcpu>"
		 "<cputune><vcpupin vcpu='0' cpuset='4'/></cputune>"
		 "<numatune><memory mode='strict' nodeset='0'/></numatune>" NIC(
			 "/tmp/virtio-forwarder1.sock", "client", RECONNECT)) },
	{ "/etc/libvirt/qemu/networks/default.xml",
	  "<network><name>default</name><forward mode='nat'/></network>" },
};

#define DOCTOR_CHANGES 4

struct doctor_change {
	const char *path;
	const char *text;  /* NULL with mode 0: the path is removed */
	unsigned int mode; /* 0: as it is */
};

struct doctor_case {
	const char *check;
	enum finding_severity severity;
	const char *found;
	struct doctor_change changes[DOCTOR_CHANGES];
};

static inline void doctor_host_put(const char *root, const char *path, const char *text)
{
	sysfs_tree_remove(root, path);
	if (!strncmp(text, "-> ", 3))
		sysfs_tree_link(root, path, text + 3);
	else if (path[strlen(path) - 1] == '/')
		sysfs_tree_folders(root, path);
	else
		sysfs_tree_file(root, path, text);
}

static inline void doctor_host_chmod(const char *root, const char *path, unsigned int mode)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	if (chmod(full, mode) < 0)
		abort();
}

static inline void doctor_host_make(char root[CONFIG_ROOT_MAX])
{
	config_root_make(root);
	sysfs_tree_unpack(root, "igb-7vfs");
	for (size_t i = 0; i < sizeof(doctor_good) / sizeof(doctor_good[0]); i++)
		doctor_host_put(root, doctor_good[i].path, doctor_good[i].text);
	doctor_host_chmod(root, "/usr/bin/qemu-system-x86_64", 0755);
	doctor_host_chmod(root, "/usr/sbin/libvirtd", 0755);
}

/* Where a path was put that is changed; without the slash at the end of a folder's. */
static inline void doctor_host_paths(const char *root, const char *path, size_t i,
				     char full[PATH_MAX], char saved[PATH_MAX])
{
	snprintf(full, PATH_MAX, "%s%s", root, path);
	if (full[strlen(full) - 1] == '/')
		full[strlen(full) - 1] = '\0';
	snprintf(saved, PATH_MAX, "%s/saved-%zu", root, i);
}

/* Returns the mode that the path had. */
static inline unsigned int doctor_host_change(const char *root, const struct doctor_change *change,
					      size_t i)
{
	char full[PATH_MAX], saved[PATH_MAX];
	struct stat st = { 0 };

	doctor_host_paths(root, change->path, i, full, saved);
	if (change->mode && !change->text && stat(full, &st) < 0)
		abort();
	if (change->text || !change->mode) {
		if (rename(full, saved) < 0 && errno != ENOENT && errno != ENOTDIR)
			abort();
	}
	if (change->text)
		doctor_host_put(root, change->path, change->text);
	if (change->mode)
		doctor_host_chmod(root, change->path, change->mode);
	return st.st_mode & 07777;
}

static inline void doctor_host_restore(const char *root, const struct doctor_change *change,
				       size_t i, unsigned int mode)
{
	char full[PATH_MAX], saved[PATH_MAX];

	doctor_host_paths(root, change->path, i, full, saved);
	if (mode) {
		doctor_host_chmod(root, change->path, mode);
		return;
	}
	sysfs_tree_remove(full, "");
	if (rename(saved, full) < 0 && errno != ENOENT)
		abort();
}

/* Every finding has all that an administrator needs. */
static inline bool doctor_finding_is_complete(const struct finding *f)
{
	return f->area && f->check && f->looked_at[0] && f->found[0] &&
	       (f->severity == FINDING_OK || (f->expected[0] && f->action[0]));
}

/* The area's findings of the host as it is: those of the case, once or more, and nothing else. */
static inline void doctor_host_judge(struct __test_metadata *_metadata, const char *root,
				     const struct doctor_area *area, const struct doctor_case *c)
{
	struct doctor d;
	size_t found = 0;

	ASSERT_EQ(0, doctor_init(&d, root, CONFIG));
	d.privileged = true;
	doctor_run(&d, area);
	for (size_t i = 0; i < d.findings.n; i++) {
		const struct finding *f = &d.findings.list[i];
		const bool wanted = c->check && !strcmp(f->check, c->check) &&
				    f->severity == c->severity && strstr(f->found, c->found);

		found += wanted;
		EXPECT_TRUE(doctor_finding_is_complete(f) && (wanted || f->severity == FINDING_OK))
		{
			TH_LOG("%s/%s, wanted %s '%s': %s: %s (%s)", area->name, f->check,
			       c->check ? c->check : "nothing", c->check ? c->found : "",
			       finding_severity_name(f->severity), f->found, f->looked_at);
		}
	}
	EXPECT_TRUE(!c->check || found)
	{
		TH_LOG("%s/%s: no finding '%s'", area->name, c->check, c->found);
	}
	doctor_free(&d);
}

/* Each case by itself: the host is as it was before the next one. */
static inline void doctor_host_expect(struct __test_metadata *_metadata,
				      const struct doctor_area *area,
				      const struct doctor_case *cases, size_t n)
{
	unsigned int modes[DOCTOR_CHANGES];
	char root[CONFIG_ROOT_MAX];

	doctor_host_make(root);
	for (size_t k = 0; k < n; k++) {
		const struct doctor_change *changes = cases[k].changes;
		size_t i;

		for (i = 0; i < DOCTOR_CHANGES && changes[i].path; i++)
			modes[i] = doctor_host_change(root, &changes[i], i);
		doctor_host_judge(_metadata, root, area, &cases[k]);
		while (i-- > 0)
			doctor_host_restore(root, &changes[i], i, modes[i]);
	}
	config_root_remove(root);
}

#define doctor_host_expect_all(area, cases) \
	doctor_host_expect(_metadata, area, cases, sizeof(cases) / sizeof((cases)[0]))

#endif
