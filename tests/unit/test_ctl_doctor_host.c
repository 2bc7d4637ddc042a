/* SPDX-License-Identifier: BSD-3-Clause */

/* vio4wdctl doctor: CPUs, IOMMU, memory, programs and the configuration file. */
#include "doctor_host.h"

static const struct doctor_case nothing = { 0 };

TEST(a_good_host)
{
	char root[CONFIG_ROOT_MAX];

	doctor_host_make(root);
	for (size_t i = 0; doctor_areas[i]; i++) {
		if (doctor_areas[i] != &doctor_daemon)
			doctor_host_judge(_metadata, root, doctor_areas[i], &nothing);
	}
	config_root_remove(root);
}

#define MASK(cpus) "VIRTIOFWD_CPU_MASK=" cpus "\nVIO4WD_AUTO_VFS=enp1s0:0\n"

static const struct doctor_case cpu[] = {
	{ "virtualization",
	  FINDING_WARNING,
	  "neither vmx nor svm",
	  { { "/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmx_not sse\n" } } },
	{ "virtualization", FINDING_WARNING, "no /dev/kvm", { { "/dev/kvm" } } },
	{ "isolation", FINDING_NOTE, "CPUs 3:", { { "/sys/devices/system/cpu/isolated", "2\n" } } },
	{ "isolation", FINDING_NOTE, "CPUs 2,3:", { { "/sys/devices/system/cpu/nohz_full" } } },
	{ "control-cpu",
	  FINDING_NOTE,
	  "CPU 2,",
	  { { CONFIG, MASK("2,3") "VIRTIOFWD_MASTER_LCORE=2\n" } } },
	{ "pinned",
	  FINDING_WARNING,
	  "domain pinned is pinned to CPUs of workers: 3",
	  { { "/etc/libvirt/qemu/pinned.xml",
	      DOMAIN("pinned", "kvm", "<cputune><vcpupin vcpu='0' cpuset='3-4'/></cputune>") } } },
	/* as it runs, not as it is defined */
	{ "pinned",
	  FINDING_WARNING,
	  "domain good is pinned to CPUs of workers: 2",
	  { { "/run/libvirt/qemu/good.xml",
	      "<domstatus><domain type='kvm'><name>good</name><cputune>"
	      "<emulatorpin cpuset='0-2'/></cputune></domain></domstatus>" } } },
	{ "siblings",
	  FINDING_WARNING,
	  "CPUs 2,3 are hyperthreads",
	  { { "/sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3\n" },
	    { "/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "2-3\n" } } },
	{ "numa-vf",
	  FINDING_WARNING,
	  "enp1s0.vf0 is on NUMA node 1",
	  { { VF0 "/numa_node", "1\n" } } },
	{ "numa-domain",
	  FINDING_WARNING,
	  "domain far is on NUMA node 1, all workers are on 0",
	  { { "/etc/libvirt/qemu/far.xml",
	      DOMAIN("far", "kvm",
		     "<numatune><memory mode='strict' nodeset='1'/></numatune>" NIC(
			     "/tmp/virtio-forwarder2.sock", "client", RECONNECT)) } } },
	/* another program's socket */
	{ NULL,
	  0,
	  "",
	  { { "/etc/libvirt/qemu/far.xml",
	      DOMAIN("far", "kvm",
		     "<numatune><memory mode='strict' nodeset='1'/></numatune>" NIC(
			     "/tmp/ovs.sock", "client", RECONNECT)) } } },
};

TEST(cpus)
{
	doctor_host_expect_all(&doctor_cpu, cpu);
}

#define GROUPS "/sys/kernel/iommu_groups"

static const struct doctor_case iommu[] = {
	{ "active", FINDING_ERROR, "no IOMMU is active (the firmware has one)", { { GROUPS } } },
	{ "active",
	  FINDING_ERROR,
	  "the firmware shows none",
	  { { GROUPS }, { "/sys/firmware/acpi/tables/DMAR" } } },
	/* without a VF it is not needed */
	{ "active", FINDING_WARNING, "no IOMMU", { { GROUPS }, { CONFIG, "" } } },
	{ "groups",
	  FINDING_ERROR,
	  "enp1s0.vf0 (0000:01:10.0) shares its IOMMU group 7 with 0000:00:1f.2",
	  { { GROUPS "/7/devices/0000:00:1f.2",
	      "-> ../../../../devices/pci0000:00/0000:00:1f.2" } } },
	{ "groups", FINDING_ERROR, "is in no IOMMU group", { { VF0 "/iommu_group" } } },
	{ "interrupt-remapping",
	  FINDING_WARNING,
	  "VFIO is told to do without",
	  { { "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n" } } },
	{ "interrupt-remapping",
	  FINDING_ERROR,
	  "interrupts are not remapped",
	  { { "/proc/interrupts", " 24:  0  0  PCI-MSI-0000:01:00.0  0-edge  eth0\n" } } },
	{ "noiommu-mode",
	  FINDING_WARNING,
	  "mode without an IOMMU is on",
	  { { "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n" } } },
};

TEST(iommus)
{
	doctor_host_expect_all(&doctor_iommu, iommu);
}

static const struct {
	const char *cmdline, *table, *action;
} why_not[] = {
	{ "iommu=off", "DMAR", "take iommu=off off" },
	{ "intel_iommu=off", "DMAR", "take intel_iommu=off off" },
	{ "quiet", "DMAR", "add intel_iommu=on" },
	{ "intel_iommu=on", "DMAR", "kernel log" },
	{ "quiet", "IVRS", "kernel log" },
	{ "intel_iommu=on", NULL, "in the firmware" },
};

/* What to do depends upon where the IOMMU was lost. */
TEST(iommus_that_are_off)
{
	for (size_t i = 0; i < sizeof(why_not) / sizeof(why_not[0]); i++) {
		char root[CONFIG_ROOT_MAX], path[64];
		struct doctor d;

		doctor_host_make(root);
		sysfs_tree_remove(root, GROUPS);
		sysfs_tree_remove(root, "/sys/firmware/acpi/tables/DMAR");
		snprintf(path, sizeof(path), "/sys/firmware/acpi/tables/%s", why_not[i].table);
		if (why_not[i].table)
			sysfs_tree_file(root, path, "");
		sysfs_tree_file(root, "/proc/cmdline", why_not[i].cmdline);
		ASSERT_EQ(0, doctor_init(&d, root, CONFIG));
		doctor_run(&d, &doctor_iommu);
		EXPECT_NE(NULL, strstr(d.findings.list[0].action, why_not[i].action))
		{
			TH_LOG("%s: %s", why_not[i].cmdline, d.findings.list[0].action);
		}
		doctor_free(&d);
		config_root_remove(root);
	}
}

#define PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB"
#define NODE0 "/sys/devices/system/node/node0/hugepages/hugepages-2048kB"
#define UNPAGED MASK("2,3")
#define LIMIT(soft) "Max locked memory         " soft "            8388608              bytes\n"

static const struct doctor_case memory[] = {
	{ "hugepages",
	  FINDING_ERROR,
	  "this host has no hugepages",
	  { { PAGES "/nr_hugepages", "0\n" },
	    { PAGES "/free_hugepages", "0\n" },
	    { CONFIG, UNPAGED } } },
	{ "hugepages",
	  FINDING_WARNING,
	  "62 MB of 1024 MB",
	  { { PAGES "/free_hugepages", "31\n" } } },
	/* pages of 1 GiB will do */
	{ NULL,
	  0,
	  "",
	  { { PAGES "/free_hugepages", "0\n" },
	    { "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n" },
	    { "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n" } } },
	/* none are wanted */
	{ NULL,
	  0,
	  "",
	  { { "/sys/kernel/mm/hugepages" },
	    { NODE0 },
	    { CONFIG, MASK("2,3") "VIO4WD_HUGEPAGES=no\n" } } },
	{ "hugepages-node", FINDING_WARNING, "NUMA node 0,", { { NODE0 "/nr_hugepages", "0\n" } } },
	{ "hugepages-node", FINDING_WARNING, "NUMA node 1,", { { VF0 "/numa_node", "1\n" } } },
	{ "hugepages-wanted",
	  FINDING_WARNING,
	  "NUMA node 0 has 512 hugepages of 2 MiB, VIO4WD_NR_HUGEPAGES asks for 513",
	  { { CONFIG, MASK("2,3") "VIO4WD_NR_HUGEPAGES=0:513\n" } } },
	{ "hugetlbfs",
	  FINDING_NOTE,
	  "not mounted at /mnt/huge (VIRTIOFWD_HUGETLBFS_MOUNT_POINT), but elsewhere",
	  { { "/proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n" } } },
	{ "hugetlbfs",
	  FINDING_ERROR,
	  "the domain paged has its memory on hugepages",
	  { { "/proc/mounts", "tmpfs /mnt/huge tmpfs rw 0 0\n" },
	    { "/etc/libvirt/qemu/paged.xml",
	      "<domain type='kvm'><name>paged</name><memoryBacking><hugepages/></memoryBacking>"
	      "</domain>" } } },
	/* a memfd needs no mount */
	{ "hugetlbfs",
	  FINDING_NOTE,
	  "nor elsewhere",
	  { { "/proc/mounts", "tmpfs /mnt/huge tmpfs rw 0 0\n" },
	    { "/etc/libvirt/qemu/paged.xml",
	      "<domain type='kvm'><name>paged</name><memoryBacking><hugepages/>"
	      "<source type='memfd'/></memoryBacking></domain>" } } },
	{ "hugetlbfs-rights",
	  FINDING_WARNING,
	  "libvirt-qemu (VIRTIOFWD_SOCKET_OWNER, QEMU's user) may not enter /mnt/huge: mode 0700",
	  { { "/mnt/huge", NULL, 0700 } } },
	{ "memlock-unit",
	  FINDING_WARNING,
	  "LimitMEMLOCK=64M",
	  { { "/etc/systemd/system/vio4wd-relay@.service.d/limit.conf",
	      "[Service]\nLimitMEMLOCK=64M\n" } } },
	{ "memlock-relay",
	  FINDING_WARNING,
	  "the relay process 4711 has /dev/vfio/vfio open and may lock 8 MiB",
	  { { "/proc/4711/fd/9", "-> /dev/vfio/vfio" },
	    { "/proc/4711/comm", "vio4wd-relay\n" },
	    { "/proc/4711/limits", LIMIT("8388608") } } },
	{ NULL,
	  0,
	  "",
	  { { "/proc/4711/fd/9", "-> /dev/vhost-vdpa-0" },
	    { "/proc/4711/comm", "vio4wd-relay\n" },
	    { "/proc/4711/limits", LIMIT("unlimited") } } },
	/* who has it has had enough */
	{ NULL,
	  0,
	  "",
	  { { "/proc/4711/fd/9", "-> /dev/vhost-vdpa-0" },
	    { "/proc/4711/comm", "qemu-system-x86\n" },
	    { "/proc/4711/limits", LIMIT("8388608") } } },
	{ "memlock-qemu",
	  FINDING_NOTE,
	  "may lock 64 MiB",
	  { { "/sys/bus/vdpa/devices/vio4wd1", "-> nowhere" },
	    { "/proc/self/limits", LIMIT("67108864") } } },
	{ NULL, 0, "", { { "/proc/self/limits", LIMIT("67108864") } } },
	{ "ksm",
	  FINDING_WARNING,
	  "across NUMA nodes",
	  { { "/sys/kernel/mm/ksm/merge_across_nodes", "1\n" } } },
};

TEST(memories)
{
	doctor_host_expect_all(&doctor_memory, memory);
}

static const struct doctor_case install[] = {
	{ "programs",
	  FINDING_WARNING,
	  "vio4wd-relay is not installed",
	  { { "/usr/sbin/vio4wd-relay" } } },
	{ "units",
	  FINDING_WARNING,
	  "vio4wd-relay@.service is not installed",
	  { { SYSTEMD "vio4wd-relay@.service" } } },
	{ NULL, 0, "", { { SYSTEMD "vio4wd-relay@.service" }, { "/run/systemd/system" } } },
	{ "own-unit",
	  FINDING_ERROR,
	  "starts another program than vio4wd",
	  { { "/etc/systemd/system/virtio-forwarder.service",
	      "[Service]\nExecStart=/usr/bin/virtio-forwarder-start\n" } } },
	{ "enabled",
	  FINDING_NOTE,
	  "is not enabled",
	  { { "/etc/systemd/system/multi-user.target.wants/virtio-forwarder.service" } } },
	{ "user",
	  FINDING_WARNING,
	  "no user vio4wd",
	  { { "/etc/passwd", "root:x:0:0::/root:/bin/sh\n" } } },
};

TEST(installations)
{
	doctor_host_expect_all(&doctor_install, install);
}

static const struct doctor_case config[] = {
	{ "file", FINDING_NOTE, "there is no configuration file", { { CONFIG } } },
	{ "file",
	  FINDING_ERROR,
	  "VIRTIOFWD_CPU_MASK",
	  { { CONFIG, "VIO4WD_AUTO_VFS=enp1s0:0\nVIRTIOFWD_CPU_MASK=1,x\n" } } },
	{ "file",
	  FINDING_WARNING,
	  "VIO4WD_AUTO_VF",
	  { { CONFIG, "VIRTIOFWD_STATIC_VFS=enp1s0.vf0=1\nVIO4WD_AUTO_VF=enp1s0:0\n" } } },
	{ "devices", FINDING_NOTE, "no device is named", { { CONFIG, "VIRTIOFWD_JUMBO=yes\n" } } },
};

TEST(configurations)
{
	doctor_host_expect_all(&doctor_config, config);
}

TEST_HARNESS_MAIN
