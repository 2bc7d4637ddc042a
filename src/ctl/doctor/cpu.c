/* SPDX-License-Identifier: BSD-3-Clause */

/* The CPUs of workers, and who else uses them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/cpuset.h"
#include "ctl/doctor/doctor.h"

#define CPU "/sys/devices/system/cpu"
#define CPUS_TEXT 128

/* Those of both sets; returns how many. */
static unsigned int intersect(const struct cpuset *a, const struct cpuset *b, struct cpuset *both)
{
	cpuset_clear(both);
	for (int c = cpuset_next(a, 0); c >= 0; c = cpuset_next(a, c + 1)) {
		if (cpuset_has(b, c))
			cpuset_add(both, c);
	}
	return cpuset_count(both);
}

/* The flags of the first CPU; NULL where /proc/cpuinfo has none (other architectures). */
static char *cpu_flags(char *cpuinfo)
{
	char *flags = strstr(cpuinfo, "\nflags\t");

	if (flags)
		flags[1 + strcspn(flags + 1, "\n")] = '\0';
	return flags;
}

/* Intel's VMX, AMD's SVM: without either, a VM is emulated instruction by instruction. */
static void check_virtualization(struct doctor *d)
{
	static const char looked_at[] = "/proc/cpuinfo, /dev/kvm";
	_cleanup_free_ char *cpuinfo = doctor_read(d, "/proc/cpuinfo");
	const char *flags = cpuinfo ? cpu_flags(cpuinfo) : NULL;
	const bool kvm = doctor_exists(d, "/dev/kvm");
	const bool able = flags && (doctor_has_word(flags, "vmx") || doctor_has_word(flags, "svm"));

	if (kvm && (able || !flags)) {
		doctor_ok(d, looked_at, "VMs can run by hardware virtualization (KVM)");
		return;
	}
	if (flags && !able)
		doctor_find(d, FINDING_WARNING, looked_at,
			    "the CPU flags have neither vmx nor svm: VMs are emulated, which is "
			    "slower by far");
	else
		doctor_find(d, FINDING_WARNING, looked_at,
			    "there is no /dev/kvm: VMs are emulated, which is slower by far");
	doctor_expected(d, "vmx (Intel) or svm (AMD) among the flags, and /dev/kvm");
	doctor_action(d, able ? "load the module: modprobe kvm_intel or kvm_amd"
			      : "switch on virtualization (VT-x, SVM) in the firmware; where this "
				"host is a VM itself, nested virtualization at its host");
}

static void check_isolation(struct doctor *d)
{
	static const char looked_at[] = CPU "/isolated, " CPU "/nohz_full";
	struct cpuset isolated, tickless, quiet, bare;
	char text[CPUS_TEXT];

	doctor_cpus(d, &isolated, CPU "/isolated");
	doctor_cpus(d, &tickless, CPU "/nohz_full");
	cpuset_clear(&bare);
	intersect(&isolated, &tickless, &quiet);
	for (int c = cpuset_next(&d->cfg->cpu_mask, 0); c >= 0;
	     c = cpuset_next(&d->cfg->cpu_mask, c + 1)) {
		if (!cpuset_has(&quiet, c))
			cpuset_add(&bare, c);
	}
	cpuset_format(&bare, text, sizeof(text));
	if (!cpuset_count(&bare)) {
		doctor_ok(d, looked_at, "the workers' CPUs are theirs alone and have no tick");
		return;
	}
	doctor_find(d, FINDING_NOTE, looked_at,
		    "the kernel runs other programs or its tick on the workers' CPUs %s: packets "
		    "wait meanwhile",
		    text);
	doctor_expected(d, "CPUs of VIRTIOFWD_CPU_MASK isolated and without tick, where latency "
			   "counts");
	doctor_action(d,
		      "add isolcpus=%s nohz_full=%s to the kernel command line and boot again; no "
		      "need where a few packets lost at full load do no harm",
		      text, text);
}

static void check_control(struct doctor *d)
{
	const unsigned int cpu = d->cfg->master_lcore;

	if (!cpuset_has(&d->cfg->cpu_mask, cpu)) {
		doctor_ok(d, d->config_file, "control threads (CPU %u) disturb no worker", cpu);
		return;
	}
	doctor_find(d, FINDING_NOTE, d->config_file,
		    "the control thread of relays runs on CPU %u, which is a worker's, too", cpu);
	doctor_expected(d, "a CPU for VIRTIOFWD_MASTER_LCORE that is not in VIRTIOFWD_CPU_MASK");
	doctor_action(d, "change one of the two and restart virtio-forwarder");
}

static void check_pinned(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->libvirt.n_domains; i++) {
		const struct libvirt_domain *domain = &d->libvirt.domains[i];
		char text[CPUS_TEXT];
		struct cpuset both;

		if (!intersect(&d->cfg->cpu_mask, &domain->cpus, &both))
			continue;
		found++;
		cpuset_format(&both, text, sizeof(text));
		doctor_find(d, FINDING_WARNING, domain->file,
			    "the domain %s is pinned to CPUs of workers: %s", domain->name, text);
		doctor_expected(d, "vcpupin, emulatorpin and the cpuset of <vcpu> without the CPUs "
				   "of VIRTIOFWD_CPU_MASK");
		doctor_action(d, "virsh edit %s, or take other CPUs for VIRTIOFWD_CPU_MASK",
			      domain->name);
	}
	if (!found)
		doctor_ok(d, "/etc/libvirt/qemu, /run/libvirt/qemu",
			  "no domain is pinned to a worker's CPU");
}

/* Hyperthreads of one core share its execution units. */
static void check_siblings(struct doctor *d)
{
	static const char file[] = CPU "/cpu%d/topology/thread_siblings_list";
	size_t found = 0;

	for (int c = cpuset_next(&d->cfg->cpu_mask, 0); c >= 0;
	     c = cpuset_next(&d->cfg->cpu_mask, c + 1)) {
		char path[128], text[CPUS_TEXT];
		struct cpuset siblings, both;

		doctor_cpus(d, &siblings, file, c);
		/* Told once for a core: by its first worker. */
		if (intersect(&siblings, &d->cfg->cpu_mask, &both) < 2 ||
		    cpuset_next(&both, 0) != c)
			continue;
		found++;
		snprintf(path, sizeof(path), file, c);
		cpuset_format(&both, text, sizeof(text));
		doctor_find(d, FINDING_WARNING, path,
			    "the workers' CPUs %s are hyperthreads of one core: together they do "
			    "the work of hardly more than one",
			    text);
		doctor_expected(d, "one worker for each core");
		doctor_action(d,
			      "name CPUs of different cores in VIRTIOFWD_CPU_MASK; see lscpu -e");
	}
	if (!found)
		doctor_ok(d, CPU "/cpu*/topology/thread_siblings_list",
			  "each worker has a core of its own");
}

/* The nodes of workers. */
static void worker_nodes(const struct doctor *d, struct cpuset *nodes)
{
	cpuset_clear(nodes);
	for (int c = cpuset_next(&d->cfg->cpu_mask, 0); c >= 0;
	     c = cpuset_next(&d->cfg->cpu_mask, c + 1))
		cpuset_add(nodes, cpu_numa_node(d->root, c));
}

/* What crosses from one socket to the other costs time for every packet. */
static void check_numa_of_vfs(struct doctor *d)
{
	struct cpuset nodes;
	size_t found = 0;

	worker_nodes(d, &nodes);
	for (size_t i = 0; i < d->n_vfs; i++) {
		const struct vf *vf = &d->vfs[i];
		char path[128], addr[PCI_ADDR_STRLEN], name[64];

		if (vf->numa_node < 0 || cpuset_has(&nodes, vf->numa_node))
			continue;
		found++;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/numa_node",
			 pci_addr_format(&vf->addr, addr));
		doctor_find(d, FINDING_WARNING, path,
			    "%s is on NUMA node %d, where no worker is: all of its packets cross "
			    "to another node",
			    vf_name(vf, name, sizeof(name)), vf->numa_node);
		doctor_expected(d, "a worker on the NUMA node of each VF");
		doctor_action(
			d,
			"add CPUs of /sys/devices/system/node/node%d/cpulist to VIRTIOFWD_CPU_MASK",
			vf->numa_node);
	}
	if (!found)
		doctor_ok(d, "/sys/bus/pci/devices/*/numa_node",
			  "all VFs in use are on NUMA nodes of workers");
}

static bool has_our_nic(const struct doctor *d, const struct libvirt_domain *domain)
{
	for (size_t i = 0; i < domain->n_nics; i++) {
		if (doctor_is_socket(d, domain->nics[i].path))
			return true;
	}
	return false;
}

static void check_numa_of_domains(struct doctor *d)
{
	struct cpuset nodes, both;
	size_t found = 0;

	worker_nodes(d, &nodes);
	for (size_t i = 0; i < d->libvirt.n_domains; i++) {
		const struct libvirt_domain *domain = &d->libvirt.domains[i];
		char text[CPUS_TEXT], workers[CPUS_TEXT];

		if (!has_our_nic(d, domain) || !cpuset_count(&domain->nodes) ||
		    intersect(&nodes, &domain->nodes, &both))
			continue;
		found++;
		cpuset_format(&domain->nodes, text, sizeof(text));
		cpuset_format(&nodes, workers, sizeof(workers));
		doctor_find(d, FINDING_WARNING, domain->file,
			    "the memory of the domain %s is on NUMA node %s, all workers are on %s",
			    domain->name, text, workers);
		doctor_expected(d, "a VM's memory, its workers and its VF on one NUMA node");
		doctor_action(d,
			      "change <numatune> (virsh edit %s), or add CPUs of that node to "
			      "VIRTIOFWD_CPU_MASK",
			      domain->name);
	}
	if (!found)
		doctor_ok(d, "/etc/libvirt/qemu, /run/libvirt/qemu",
			  "no domain's memory is bound to a NUMA node without workers");
}

static const struct doctor_check checks[] = {
	{ "virtualization", check_virtualization },
	{ "isolation", check_isolation },
	{ "control-cpu", check_control },
	{ "pinned", check_pinned },
	{ "siblings", check_siblings },
	{ "numa-vf", check_numa_of_vfs },
	{ "numa-domain", check_numa_of_domains },
	{ 0 },
};

const struct doctor_area doctor_cpu = {
	.name = "cpu",
	.checks = checks,
};
