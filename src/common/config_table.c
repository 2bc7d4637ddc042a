/* SPDX-License-Identifier: BSD-3-Clause */

#include <stddef.h>
#include <string.h>

#include "common/config_table.h"

#define FIELD(f) .offset = offsetof(struct config, f)
#define ZMQ_DIR "ipc:///var/run/virtio-forwarder/"

static const char *const backends[] = { "auto", "vdpa", "sw", NULL };
static const char *const poll_modes[] = { "adaptive", "busy", NULL };
static const char *const uio_drivers[] = { "vfio-pci", "igb_uio", "uio_pci_generic", NULL };

const struct config_var config_vars[] = {
	{ .group = "Workers and memory",
	  .name = "VIRTIOFWD_CPU_MASK",
	  .type = &config_type_cpus,
	  FIELD(cpu_mask),
	  .fallback = "1,2",
	  .about = "The CPUs that run workers, which move the packets. The default shrinks to what "
		   "the host has; a CPU that is named here and that the host lacks is an error." },
	{ .name = "VIRTIOFWD_MASTER_LCORE",
	  .type = &config_type_cpu,
	  FIELD(master_lcore),
	  .fallback = "0",
	  .about = "The CPU of a relay process's control thread." },
	{ .name = "VIO4WD_POLL_MODE",
	  .type = &config_type_choice,
	  FIELD(poll_mode),
	  .choices = poll_modes,
	  .fallback = "adaptive",
	  .about = "With adaptive a worker sleeps while it has nothing to do; with busy it never "
		   "does, and takes its CPU whole, as 1.1's workers did." },
	{ .name = "VIO4WD_MAX_SLEEP_US",
	  .type = &config_type_int,
	  FIELD(max_sleep_us),
	  .min = 1,
	  .max = 100000,
	  .fallback = "50",
	  .about =
		  "The longest time, in microseconds, that a packet may wait for a sleeping worker "
		  "whose device has no interrupt to wake it." },
	{ .name = "VIRTIOFWD_CPU_PINS",
	  .type = &config_type_cpu_pins,
	  .fallback = "",
	  .late = true,
	  .about =
		  "Which CPUs serve a relay: the first one the direction from VF to VM, the second "
		  "one from VM to VF; a single one serves both. They must be in "
		  "VIRTIOFWD_CPU_MASK. The core scheduler overrides pins while it runs." },
	{ .name = "VIO4WD_HUGEPAGES",
	  .type = &config_type_bool,
	  FIELD(hugepages),
	  .fallback = "true",
	  .about = "False runs relays on ordinary memory, which only virtual devices and Linux "
		   "network interfaces can use." },
	{ .name = "VIO4WD_NR_HUGEPAGES",
	  .type = &config_type_nr_hugepages,
	  .fallback = "",
	  .about =
		  "How many hugepages of 2 MiB vio4wd-hugepages.service reserves at boot: 1024 lets "
		  "the kernel spread them over the NUMA nodes, (0:512 1:512) says how many are on "
		  "which node. Pages that the host has already are counted; the number of a host or "
		  "node that has more stays. Without a value the service does nothing." },
	{ .name = "VIRTIOFWD_HUGETLBFS_MOUNT_POINT",
	  .type = &config_type_path,
	  FIELD(hugetlbfs_mount),
	  .fallback = "/mnt/huge",
	  .about = "Where hugetlbfs is mounted. It must be the one that libvirt or QEMU takes the "
		   "memory of VMs from." },
	{ .name = "VIRTIOFWD_CPU_NIC_SAME_NUMA",
	  .type = &config_type_bool,
	  FIELD(cpu_nic_same_numa),
	  .fallback = "false",
	  .about =
		  "Take hugepages only on the NUMA nodes in use. To be switched on when all VFs are "
		  "on the nodes of the worker CPUs." },

	{ .group = "Sockets of VMs",
	  .name = "VIRTIOFWD_SOCKET_DIR",
	  .type = &config_type_path,
	  FIELD(socket_dir),
	  .fallback = "/tmp",
	  .about = "The directory of the vhost-user sockets." },
	{ .name = "VIRTIOFWD_SOCKET_FNAME_PATTERN",
	  .type = &config_type_pattern,
	  FIELD(socket_pattern),
	  .fallback = "virtio-forwarder%u.sock",
	  .about = "The file name of a vhost-user socket, with %u in the place of the relay id. "
		   "With the directory it must fit the 107 bytes that a socket path may have." },
	{ .name = "VIRTIOFWD_SOCKET_OWNER",
	  .type = &config_type_user,
	  FIELD(socket_owner),
	  .fallback = "libvirt-qemu",
	  .about = "The owner of the sockets. When the host lacks that user, sockets belong to the "
		   "daemon's own." },
	{ .name = "VIRTIOFWD_SOCKET_GROUP",
	  .type = &config_type_group,
	  FIELD(socket_group),
	  .fallback = "kvm",
	  .about =
		  "The group of the sockets. When the host lacks that group, sockets belong to the "
		  "daemon's own." },
	{ .name = "VIRTIOFWD_VHOST_CLIENT",
	  .type = &config_type_bool,
	  FIELD(vhost_client),
	  .fallback = "false",
	  .about = "True: QEMU is the server of the sockets, and a relay connects to them, again "
		   "and again until it succeeds. VMs then survive a restart of the relay." },
	{ .name = "VIRTIOFWD_DYNAMIC_SOCKETS",
	  .type = &config_type_bool,
	  FIELD(dynamic_sockets),
	  .fallback = "false",
	  .about = "True: there are no sockets but those that add_sock of the port control makes "
		   "and remove_sock removes, as OpenStack wants it." },

	{ .group = "Features of VMs",
	  .name = "VIRTIOFWD_JUMBO",
	  .type = &config_type_bool,
	  FIELD(jumbo),
	  .fallback = "false",
	  .about = "An MTU of 9000 bytes." },
	{ .name = "VIRTIOFWD_MRGBUF",
	  .type = &config_type_bool,
	  FIELD(mrgbuf),
	  .fallback = "true",
	  .about = "Mergeable receive buffers: a long packet may take several buffers of the VM." },
	{ .name = "VIRTIOFWD_TSO",
	  .type = &config_type_bool,
	  FIELD(tso),
	  .fallback = "false",
	  .about = "TCP segmentation offload to and from the VM." },
	{ .name = "VIRTIOFWD_ZERO_COPY",
	  .type = &config_type_bool,
	  FIELD(zero_copy),
	  .fallback = "false",
	  .about = "Packets from VM to VF without a copy. They are copied all the same, with a "
		   "warning: DPDK's vhost library cannot do without any more." },

	{ .group = "Devices",
	  .name = "VIRTIOFWD_STATIC_VFS",
	  .type = &config_type_static_vfs,
	  .fallback = "",
	  .late = true,
	  .about = "Devices that are paired with relays from the start: 0000:05:08.1=1 gives that "
		   "VF to relay 1. What stands before the last = names the device." },
	{ .name = "VIO4WD_AUTO_VFS",
	  .type = &config_type_auto_vfs,
	  .fallback = "",
	  .about =
		  "PFs whose VFs are paired as they appear: with ens3:8, VF n of ens3 goes to relay "
		  "8+n. Of several PFs, each has the ids up to the first one of the next." },
	{ .name = "VIO4WD_NUM_VFS",
	  .type = &config_type_num_vfs,
	  .fallback = "",
	  .about =
		  "How many VFs a PF gets when it appears and nobody has made VFs on it: ens3=8." },
	{ .name = "VIO4WD_VF_OPTIONS",
	  .type = &config_type_vf_options,
	  .fallback = "",
	  .late = true,
	  .about =
		  "What a VF is to be like, and its PF is told before it is used: (ens3.vf0:mac=52:54:00:00:00:a0,"
		  "vlan=100 ens3:trust=on). DEVICE is a VF, by address or as ens3.vf0, or a PF, by "
		  "interface or address, for all of its VFs; it ends at the last colon in front of "
		  "the first =. An entry for the VF wins over one for its PF, and a later entry over "
		  "an earlier one. mac is for one VF only; a VF without one gets a stable one when "
		  "its PF holds none. vlan=0 takes the VLAN away; qos is the VLAN's priority. queues "
		  "is how many queue pairs a VM is offered at most; hardware vDPA with fewer is not "
		  "used." },
	{ .name = "VIO4WD_BACKEND",
	  .type = &config_type_choice,
	  FIELD(backend),
	  .choices = backends,
	  .fallback = "auto",
	  .about =
		  "What serves a VF: its hardware vDPA where it has that and else software (auto), "
		  "hardware or nothing (vdpa), or software (sw). For a single VF, vio4wdctl(1) add "
		  "--backend says otherwise." },
	{ .name = "VIO4WD_VDPA_STABLE_SECONDS",
	  .type = &config_type_int,
	  FIELD(vdpa_stable_s),
	  .min = 0,
	  .max = 3600,
	  .fallback = "10",
	  .about =
		  "How long a device that was lost while its hardware vDPA served a VM, and has "
		  "returned, must be there before hardware serves again. Until then software does, "
		  "where the backend is auto." },
	{ .name = "VIO4WD_ALIASES",
	  .type = &config_type_aliases,
	  .fallback = "",
	  .about =
		  "Names that stand for a device wherever one is named. A PCI address may be such a "
		  "name (0000:00:00.1=vdev:net_null1), so that programs which know nothing else run "
		  "without hardware." },
	{ .name = "VIO4WD_EXCLUDE",
	  .type = &config_type_exclude,
	  .fallback = "",
	  .late = true,
	  .about = "Devices that are never touched; a PF stands for its VFs, too." },
	{ .name = "VIO4WD_SPARE_VFS",
	  .type = &config_type_spares,
	  .fallback = "",
	  .late = true,
	  .about =
		  "VFs that are kept aside: one stands in, in software, for a VF of the same PF that "
		  "goes or cannot be opened while a VM uses it, until that one has been back for "
		  "VIO4WD_VDPA_STABLE_SECONDS. ens3.vf7=ens4 stands in for VFs of ens4 instead: both "
		  "PFs must then be on one network." },
	{ .name = "VIRTIOFWD_BIND_VFIO_PCI",
	  .type = &config_type_bind,
	  .fallback = "",
	  .about =
		  "VFs that are bound to the driver of VIO4WD_UIO_DRIVER at the start and as they "
		  "appear, paired or not: one by its address, all VFs of a network interface (ens3), "
		  "or its first VFs (ens3:16)." },
	{ .name = "VIO4WD_UIO_DRIVER",
	  .type = &config_type_choice_text,
	  FIELD(uio_driver),
	  .choices = uio_drivers,
	  .fallback = "vfio-pci",
	  .about =
		  "The kernel driver that VFs are bound to when software serves them. Only vfio-pci "
		  "gives an unprivileged relay a device to open: with the others, which 1.1's guides "
		  "name, a VF is refused with the reason." },
	{ .name = "VIRTIOFWD_VFIO_VF_TOKEN",
	  .type = &config_type_uuid,
	  FIELD(vfio_vf_token),
	  .fallback = "",
	  .implied = "14d63f20-8445-11ea-8900-1f9ce7d5650d",
	  .about = "The token that PF and VFs share when a program like Open vSwitch drives the PF "
		   "through vfio-pci. 0 stands for 14d63f20-8445-11ea-8900-1f9ce7d5650d." },

	{ .group = "Control and monitoring",
	  .name = "VIRTIOFWD_LOG_LEVEL",
	  .type = &config_type_int,
	  FIELD(log_level),
	  .max = 7,
	  .fallback = "6",
	  .allowed = "a number from 0 (emergencies only) to 7 (debug)",
	  .about = "What is logged: messages of that syslog severity and the graver ones." },
	{ .name = "VIRTIOFWD_ZMQ_PORT_CONTROL_EP",
	  .type = &config_type_endpoint,
	  FIELD(zmq_port_control_ep),
	  .fallback = ZMQ_DIR "port_control",
	  .implied = ZMQ_DIR "port_control",
	  .about =
		  "The ZeroMQ endpoint by which devices are added and removed. When it is empty, "
		  "the command file of VIRTIOFWD_IPC_PORT_CONTROL does that, and when that is false, "
		  "OVSDB; one at a time." },
	{ .name = "VIRTIOFWD_ZMQ_STATS_EP",
	  .type = &config_type_endpoint,
	  FIELD(zmq_stats_ep),
	  .fallback = ZMQ_DIR "stats",
	  .implied = ZMQ_DIR "stats",
	  .about = "The ZeroMQ endpoint for counters." },
	{ .name = "VIRTIOFWD_ZMQ_CORE_SCHED_EP",
	  .type = &config_type_endpoint,
	  FIELD(zmq_core_sched_ep),
	  .fallback = ZMQ_DIR "core_sched",
	  .implied = ZMQ_DIR "core_sched",
	  .about =
		  "The ZeroMQ endpoint by which the core scheduler moves relays between workers; it "
		  "is opened when VIO4WD_CORE_SCHED_ENABLE is true." },
	{ .name = "VIRTIOFWD_ZMQ_CONFIG_EP",
	  .type = &config_type_endpoint,
	  FIELD(zmq_config_ep),
	  .fallback = "",
	  .implied = ZMQ_DIR "config",
	  .about = "The ZeroMQ endpoint that tells the pins of VIRTIOFWD_CPU_PINS." },
	{ .name = "VIRTIOFWD_IPC_PORT_CONTROL",
	  .type = &config_type_bool,
	  FIELD(ipc_port_control),
	  .fallback = "false",
	  .about =
		  "Port control by a command file, vio_cmd in VIO4WD_RUNTIME_DIR, when there is no "
		  "ZeroMQ endpoint for it. vio4wd(8) tells what is written there, and by whom." },
	{ .name = "VIRTIOFWD_OVSDB_SOCK_PATH",
	  .other_name = "VIRTIOFWD_OVSDB_SOCKET_PATH",
	  .type = &config_type_ovsdb,
	  FIELD(ovsdb_sock),
	  .fallback = "/usr/local/var/run/openvswitch/db.sock",
	  .implied = "/run/openvswitch/db.sock",
	  .about =
		  "The Unix socket of OVSDB, whose interfaces with external_ids:virtio_forwarder are "
		  "paired when neither of the other two ways of port control is chosen; see "
		  "vio4wd(8). Unless it is set, /run/openvswitch/db.sock is taken when the default "
		  "does not exist." },
	{ .name = "VIO4WD_METRICS_LISTEN",
	  .type = &config_type_listen_unix,
	  FIELD(metrics_listen),
	  .fallback = "",
	  .about = "Where metrics are served for Prometheus." },
	{ .name = "VIO4WD_RUNTIME_DIR",
	  .type = &config_type_path,
	  FIELD(runtime_dir),
	  .max = 88,
	  .fallback = "/run/virtio-forwarder",
	  .about = "The directory of the control socket, of the state that outlives a restart, and "
		   "of the sockets between manager and relays." },
	{ .name = "VIRTIOFWD_PID_DIR",
	  .type = &config_type_path,
	  FIELD(pid_dir),
	  .fallback = "/var/run",
	  .about = "The directory of the PID file." },

	{ .group = "Core scheduler",
	  .name = "VIO4WD_CORE_SCHED_ENABLE",
	  .type = &config_type_bool,
	  FIELD(core_sched_enable),
	  .fallback = "false",
	  .about =
		  "Open the core-scheduling endpoint, so that vio4wd_core_scheduler(8) can balance "
		  "the load of the worker CPUs." },
	{ .name = "VIO4WD_CORE_SCHED_SENSITIVITY",
	  .type = &config_type_real,
	  FIELD(core_sched_sensitivity),
	  .max = 100,
	  .fallback = "0.25",
	  .about = "How much better a new placement must be before relays move; more is calmer." },
	{ .name = "VIO4WD_CORE_SCHED_LOG_LEVEL",
	  .type = &config_type_int,
	  FIELD(core_sched_log_level),
	  .max = 7,
	  .fallback = "6",
	  .allowed = "a number from 0 (emergencies only) to 7 (debug)",
	  .about = "What the scheduler logs." },
	{ .name = "VIO4WD_CORE_SCHED_POLL_INTERVAL",
	  .type = &config_type_int,
	  FIELD(core_sched_poll_interval),
	  .min = 1,
	  .max = 86400,
	  .fallback = "5",
	  .about = "Seconds between two looks at the load." },
	{ .name = "VIO4WD_CORE_SCHED_GLOBAL_NUMA_OPT",
	  .type = &config_type_bool,
	  FIELD(core_sched_global_numa_opt),
	  .fallback = "false",
	  .about = "Balance over all NUMA nodes and not within each." },

	{ .group = "Migration",
	  .name = "VIO4WD_MIGRATION_LISTEN",
	  .type = &config_type_listen,
	  FIELD(migration_listen),
	  .fallback = "",
	  .about = "Where packets that arrive at the old host of a migrated VM are taken over. "
		   "Without VIO4WD_MIGRATION_KEY it must be a loopback address." },
	{ .name = "VIO4WD_MIGRATION_KEY",
	  .type = &config_type_path,
	  FIELD(migration_key),
	  .fallback = "",
	  .allowed = "the absolute path of a file, or empty: none",
	  .about = "The file with the CURVE keys of this host." },
	{ .name = "VIO4WD_MIGRATION_PEERS",
	  .type = &config_type_path,
	  FIELD(migration_peers),
	  .fallback = "",
	  .allowed = "the absolute path of a file, or empty: none",
	  .about = "The file with the public keys of the hosts that may hand packets over." },

	{ .group = "Without effect",
	  .name = "VIRTIOFWD_BINARY",
	  .type = &config_type_unused,
	  .fallback = "",
	  .about = "Which program 1.1 started; its own file sets it." },
};

const size_t config_n_vars = sizeof(config_vars) / sizeof(config_vars[0]);

const struct config_var *config_var_find(const char *name)
{
	for (size_t i = 0; i < config_n_vars; i++)
		if (!strcmp(config_vars[i].name, name) ||
		    (config_vars[i].other_name && !strcmp(config_vars[i].other_name, name)))
			return &config_vars[i];
	return NULL;
}
