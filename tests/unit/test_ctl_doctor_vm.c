/* SPDX-License-Identifier: BSD-3-Clause */

/* vio4wdctl doctor: VFs, vDPA, domains and networks of libvirt, sockets. */
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/doctor/denials.h"
#include "doctor_host.h"

#define USED "VIRTIOFWD_CPU_MASK=2,3\n"
#define VFIO "-> ../../../../bus/pci/drivers/vfio-pci"

static const struct doctor_case vf[] = {
	{ "present",
	  FINDING_NOTE,
	  "ens9 of the configuration is not there",
	  { { CONFIG, USED "VIO4WD_AUTO_VFS=ens9:0\n" } } },
	{ "present",
	  FINDING_NOTE,
	  "enp1s0.vf7 of the configuration is not there",
	  { { CONFIG, USED "VIRTIOFWD_STATIC_VFS=(vdev:net_null0=1 enp1s0.vf7=2)\n" } } },
	{ "present",
	  FINDING_NOTE,
	  "0000:02:10.0 of the configuration is not there",
	  { { CONFIG, USED "VIRTIOFWD_BIND_VFIO_PCI=02:10.0\n" } } },
	{ "driver",
	  FINDING_ERROR,
	  "0000:01:10.0 is on the driver pci-stub",
	  { { VF0 "/driver", "-> ../../../../bus/pci/drivers/pci-stub" } } },
	{ "driver",
	  FINDING_ERROR,
	  "the vDPA device theirs was made on it",
	  { { "/sys/bus/vdpa/devices/theirs", "-> ../../.." VF0 "/theirs" } } },
	{ NULL, 0, "", { { "/sys/bus/vdpa/devices/vio4wd3", "-> ../../.." VF0 "/vio4wd3" } } },
	{ "holder",
	  FINDING_ERROR,
	  "enp1s0.vf0 is used by qemu-system-x86 (process 4711), which has /dev/vfio/7 open",
	  { { VF0 "/driver", VFIO },
	    { "/proc/4711/fd/9", "-> /dev/vfio/7" },
	    { "/proc/4711/comm", "qemu-system-x86\n" } } },
	{ "holder",
	  FINDING_ERROR,
	  "which has /dev/vfio/devices/vfio3 open",
	  { { VF0 "/driver", VFIO },
	    { VF0 "/vfio-dev/vfio3/", "" },
	    { "/proc/4711/fd/9", "-> /dev/vfio/devices/vfio3" } } },
	/* our own, and another's VF */
	{ NULL,
	  0,
	  "",
	  { { VF0 "/driver", VFIO },
	    { "/proc/4711/fd/9", "-> /dev/vfio/7" },
	    { "/proc/4711/comm", "vio4wd-relay\n" },
	    { "/proc/4712/fd/9", "-> /dev/vfio/70" } } },
	{ "machine-id", FINDING_WARNING, "no machine id", { { "/etc/machine-id" } } },
	{ "machine-id",
	  FINDING_WARNING,
	  "no machine id",
	  { { "/etc/machine-id", "uninitialized\n" } } },
	{ "mac",
	  FINDING_NOTE,
	  "the MAC address of enp1s0.vf0, 02:00:00:00:00:07, was made up by its driver",
	  { { VF0 "/net/enp1s0v0/addr_assign_type", "1\n" },
	    { VF0 "/net/enp1s0v0/address", "02:00:00:00:00:07\n" } } },
	{ NULL,
	  0,
	  "",
	  { { VF0 "/net/enp1s0v0/addr_assign_type", "1\n" },
	    { CONFIG, USED "VIO4WD_AUTO_VFS=enp1s0:0\n"
			   "VIO4WD_VF_OPTIONS=enp1s0.vf0:mac=52:54:00:00:00:01\n" } } },
	{ "max-vfs",
	  FINDING_WARNING,
	  "the module igb is loaded with max_vfs=",
	  { { "/etc/modprobe.d/igb.conf", "# VFs\noptions igb debug=1 max_vfs=7\n" } } },
	{ "max-vfs",
	  FINDING_WARNING,
	  "the module ixgbe is loaded",
	  { { "/proc/cmdline", "quiet ixgbe.max_vfs=8 intel_iommu=on\n" } } },
	{ NULL,
	  0,
	  "",
	  { { "/etc/modprobe.d/igb.conf",
	      "#options igb max_vfs=7\noptions igb max_vfs_not=1\n" } } },
};

TEST(vfs)
{
	doctor_host_expect_all(&doctor_vf, vf);
}

#define VIRTIO                            \
	{ VF0 "/vendor", "0x1af4\n" },    \
	{                                 \
		VF0 "/device", "0x1041\n" \
	}
#define CONNECTX6                         \
	{ VF0 "/vendor", "0x15b3\n" },    \
	{                                 \
		VF0 "/device", "0x101c\n" \
	}
#define ONE_VF "VIRTIOFWD_STATIC_VFS=0000:01:10.0=1\n"

static const struct doctor_case vdpa[] = {
	{ "modules", FINDING_NOTE, "but vp-vdpa is missing", { VIRTIO } },
	{ "modules",
	  FINDING_NOTE,
	  "but vhost_vdpa is missing",
	  { VIRTIO, { "/sys/bus/pci/drivers/vp-vdpa/", "" } } },
	{ "modules",
	  FINDING_ERROR,
	  "but vp-vdpa is missing",
	  { VIRTIO, { CONFIG, USED ONE_VF "VIO4WD_BACKEND=vdpa\n" } } },
	{ NULL,
	  0,
	  "",
	  { VIRTIO,
	    { "/sys/bus/pci/drivers/vp-vdpa/", "" },
	    { "/sys/bus/vdpa/drivers/vhost_vdpa/", "" } } },
	{ NULL, 0, "", { VIRTIO, { CONFIG, USED ONE_VF "VIO4WD_BACKEND=sw\n" } } },
	{ "able",
	  FINDING_WARNING,
	  "enp1s0.vf0 (8086:10ca): no vDPA driver is known",
	  { { CONFIG, USED ONE_VF "VIO4WD_BACKEND=vdpa\n" } } },
	{ "able",
	  FINDING_ERROR,
	  "cannot emulate virtqueues",
	  { CONNECTX6, { CONFIG, USED ONE_VF "VIO4WD_BACKEND=vdpa\n" } } },
};

TEST(vdpas)
{
	doctor_host_expect_all(&doctor_vdpa, vdpa);
}

#define ADDRESS(bus, slot, function)                                                            \
	"<address type='pci' domain='0x0000' bus='" bus "' slot='" slot "' function='" function \
	"'/>"
#define HOSTDEV(address)                                                 \
	"<devices><hostdev mode='subsystem' type='pci'><source>" address \
	"</source></hostdev></devices>"
#define LONG \
	"an-element-with-a-name-of-a-hundred-letters-and-more-which-nobody-needs-but-somebody-has-made"
#define QEMU "/usr/bin/qemu-system-x86_64"
#define SAYS(text) "#!/bin/sh\necho '" text "'\n"

static const struct doctor_case libvirt[] = {
	{ "qemu",
	  FINDING_ERROR,
	  "does not connect again",
	  { { QEMU, SAYS("QEMU emulator version 2.5.0"), 0755 } } },
	{ "qemu",
	  FINDING_NOTE,
	  "has no vhost-vdpa",
	  { { QEMU, SAYS("QEMU emulator version 5.0.1"), 0755 } } },
	{ "qemu",
	  FINDING_WARNING,
	  "QEMU emulator version 7.2.19 (Debian): QEMU crashes under emulation",
	  { { QEMU, SAYS("QEMU emulator version 7.2.19 (Debian)"), 0755 }, { "/dev/kvm" } } },
	{ "qemu",
	  FINDING_WARNING,
	  "crashes under emulation",
	  { { QEMU, SAYS("QEMU emulator version 7.2.19"), 0755 },
	    { "/etc/libvirt/qemu/slow.xml", DOMAIN("slow", "qemu", "") } } },
	/* with KVM it works */
	{ NULL, 0, "", { { QEMU, SAYS("QEMU emulator version 7.2.19"), 0755 } } },
	{ "qemu", FINDING_NOTE, "QEMU is not installed", { { QEMU } } },
	{ "qemu", FINDING_NOTE, "--version fails", { { QEMU, "#!/bin/sh\nexit 1\n", 0755 } } },
	{ "libvirt",
	  FINDING_WARNING,
	  "knows no <reconnect>",
	  { { "/usr/sbin/libvirtd", SAYS("libvirtd (libvirt) 4.0.0"), 0755 } } },
	{ "libvirt",
	  FINDING_NOTE,
	  "virtqemud (libvirt) 6.8.0: libvirt knows no <interface type='vdpa'>",
	  { { "/usr/sbin/virtqemud", SAYS("virtqemud (libvirt) 6.8.0"), 0755 } } },
	{ "files",
	  FINDING_WARNING,
	  "/etc/libvirt/qemu/odd.xml",
	  { { "/etc/libvirt/qemu/odd.xml", "<domain" } } },
	{ "hostdev",
	  FINDING_WARNING,
	  "the domain wants wants enp1s0.vf1 (0000:01:10.2) as a host device",
	  { { "/etc/libvirt/qemu/wants.xml",
	      DOMAIN("wants", "kvm", HOSTDEV(ADDRESS("0x01", "0x10", "0x2"))) } } },
	/* a device of a network, in a domain that runs */
	{ "hostdev",
	  FINDING_ERROR,
	  "the domain runs runs with enp1s0.vf0",
	  { { "/run/libvirt/qemu/runs.xml",
	      "<domstatus><domain type='kvm'><name>runs</name><devices><interface type='network'>"
	      "<source network='vfs'/><actual type='hostdev' managed='yes'><source>" ADDRESS(
		      "0x01", "0x10", "0x0") "</source></actual></interface></devices></domain>"
					     "</domstatus>" } } },
	/* the guest's own address is none of the host */
	{ NULL,
	  0,
	  "",
	  { { "/etc/libvirt/qemu/inside.xml",
	      DOMAIN("inside", "kvm",
		     "<devices><hostdev><source>" ADDRESS(
			     "0x05", "0x00",
			     "0x0") "</source>" ADDRESS("0x01", "0x10",
							"0x0") "</hostdev></devices>") } } },
	{ "pool",
	  FINDING_WARNING,
	  "network vfs (<forward mode='hostdev'>) hands out 7 VFs of vio4wd's, enp1s0.vf0 among",
	  { { "/etc/libvirt/qemu/networks/vfs.xml",
	      "<network><name>vfs</name><forward mode='hostdev' managed='yes'><pf dev='enp1s0'/>"
	      "</forward></network>" } } },
	{ "pool",
	  FINDING_WARNING,
	  "hands out 1 VFs of vio4wd's, enp1s0.vf3 among",
	  { { "/run/libvirt/network/some.xml",
	      "<networkstatus><network><name>some</name><forward mode='hostdev'>" ADDRESS(
		      "0x01", "0x10", "0x6") "</forward></network></networkstatus>" } } },
	{ NULL,
	  0,
	  "",
	  { { "/etc/libvirt/qemu/networks/vfs.xml",
	      "<network><name>vfs</name><forward mode='hostdev' managed='yes'><pf dev='enp2s0'/>"
	      "</forward></network>" } } },
	{ "socket-mode",
	  FINDING_ERROR,
	  "the domain deaf at /tmp/virtio-forwarder2.sock and the relay both listen",
	  { { "/etc/libvirt/qemu/deaf.xml",
	      DOMAIN("deaf", "kvm", NIC("/tmp/virtio-forwarder2.sock", "server", "")) } } },
	{ "socket-mode",
	  FINDING_ERROR,
	  "the domain good at /tmp/virtio-forwarder1.sock and the relay both connect",
	  { { CONFIG, USED "VIO4WD_AUTO_VFS=enp1s0:0\nVIRTIOFWD_VHOST_CLIENT=yes\n" } } },
	/* what others keep there is passed over, however deep and whatever it is called */
	{ "socket-mode",
	  FINDING_ERROR,
	  "the domain deep at /tmp/virtio-forwarder2.sock",
	  { { "/etc/libvirt/qemu/deep.xml",
	      "<!-- of virsh --><domain type='kvm'><metadata><domain><name>other</name></domain>"
	      "<" LONG "><" LONG "><" LONG "><name>far</name></" LONG "></" LONG "></" LONG ">"
	      "</metadata><name>deep</name><memoryBacking><access mode='shared'/></memoryBacking>" NIC(
		      "/tmp/virtio-forwarder2.sock", "server", "") "</domain>" } } },
	{ "socket-mode",
	  FINDING_WARNING,
	  "does not connect again",
	  { { "/etc/libvirt/qemu/once.xml",
	      DOMAIN("once", "kvm", NIC("/tmp/virtio-forwarder2.sock", "client", "")) } } },
	{ "shared-memory",
	  FINDING_ERROR,
	  "the memory of the domain private is not shared",
	  { { "/etc/libvirt/qemu/private.xml",
	      "<domain type='kvm'><name>private</name>" NIC("/tmp/virtio-forwarder2.sock", "client",
							    RECONNECT) "</domain>" } } },
	{ NULL,
	  0,
	  "",
	  { { "/etc/libvirt/qemu/memfd.xml",
	      "<domain type='kvm'><name>memfd</name><memoryBacking><source type='memfd'/>"
	      "</memoryBacking>" NIC("/tmp/virtio-forwarder2.sock", "client",
				     RECONNECT) "</domain>" } } },
	{ "shared-memory",
	  FINDING_ERROR,
	  "the memory of the domain memfd is not shared",
	  { { "/etc/libvirt/qemu/memfd.xml",
	      "<domain type='kvm'><name>memfd</name><memoryBacking><source type='memfd'/>"
	      "<access mode='private'/></memoryBacking>" NIC("/tmp/virtio-forwarder2.sock",
							     "client", RECONNECT) "</domain>" } } },
	{ NULL,
	  0,
	  "",
	  { { "/etc/libvirt/qemu/cell.xml",
	      "<domain type='kvm'><name>cell</name><cpu><numa><cell id='0' memAccess='shared'/>"
	      "</numa></cpu>" NIC("/tmp/virtio-forwarder2.sock", "client",
				  RECONNECT) "</domain>" } } },
};

TEST(domains)
{
	doctor_host_expect_all(&doctor_libvirt, libvirt);
}

#define AUDIT "/var/log/audit/audit.log"
#define AVC "type=AVC msg=audit(1.2:3): avc:  denied  { write } for  pid=1 comm=\"qemu-kvm\" name="

static const struct doctor_case sockets[] = {
	{ "owner",
	  FINDING_WARNING,
	  "this host has no user nobody-here",
	  { { CONFIG, "VIRTIOFWD_SOCKET_OWNER=nobody-here\n" } } },
	{ "owner",
	  FINDING_WARNING,
	  "this host has no group kvm",
	  { { "/etc/group", "root:x:0:\n" } } },
	{ "qemu-conf",
	  FINDING_ERROR,
	  "libvirt runs QEMU as qemu, sockets belong to libvirt-qemu:kvm",
	  { { "/etc/libvirt/qemu.conf", "#user = \"root\"\nuser = \"qemu\"\n" } } },
	{ NULL,
	  0,
	  "",
	  { { "/etc/libvirt/qemu.conf", "user = \"+qemu\"\n" },
	    { "/etc/group", "root:x:0:\nkvm:x:104:libvirt-qemu,qemu\n" } } },
	{ NULL, 0, "", { { "/etc/libvirt/qemu.conf", "user = \"root\"\n" } } },
	{ "path", FINDING_ERROR, "/tmp (VIRTIOFWD_SOCKET_DIR), is not there", { { "/tmp" } } },
	{ "path",
	  FINDING_ERROR,
	  "libvirt-qemu (QEMU's user) may not enter /srv/a (mode 0750",
	  { { "/srv/a/b/", "" },
	    { "/srv/a", NULL, 0750 },
	    { CONFIG, "VIRTIOFWD_SOCKET_DIR=/srv/a/b\n" } } },
	{ "files",
	  FINDING_ERROR,
	  "/tmp/virtio-forwarder9.sock is in the place of a relay's socket and is none",
	  { { "/tmp/virtio-forwarder9.sock", "" } } },
	{ "denials",
	  FINDING_ERROR,
	  "2 times a socket or device of vio4wd's was denied",
	  { { AUDIT, AVC "\"virtio-forwarder1.sock\"\n" AVC "\"other.sock\"\n" AVC
			 "\"virtio-forwarder2.sock\"\n" } } },
	{ "denials",
	  FINDING_ERROR,
	  "1 times",
	  { { "/var/log/kern.log",
	      "kernel: audit: type=1400 apparmor=\"DENIED\" operation=\"connect\" "
	      "profile=\"libvirt-1\" name=\"/tmp/virtio-forwarder1.sock\"\n" } } },
	{ NULL, 0, "", { { AUDIT, AVC "\"other.sock\"\n" } } },
};

TEST(sockets_of_vms)
{
	doctor_host_expect_all(&doctor_socket, sockets);
}

static void check_socket(struct __test_metadata *_metadata, unsigned int mode, const char *found)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char root[CONFIG_ROOT_MAX];
	struct doctor d;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	doctor_host_make(root);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.60s/tmp/virtio-forwarder1.sock", root);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	ASSERT_EQ(0, chmod(addr.sun_path, mode));
	close(fd);
	ASSERT_EQ(0, doctor_init(&d, root, CONFIG));
	doctor_run(&d, &doctor_socket);
	findings_sort(&d.findings);
	if (found)
		EXPECT_NE(NULL, strstr(d.findings.list[0].found, found));
	EXPECT_EQ(found ? FINDING_ERROR : FINDING_OK, d.findings.list[0].severity);
	doctor_free(&d);
	config_root_remove(root);
}

TEST(rights_of_a_socket)
{
	check_socket(_metadata, 0777, NULL);
	check_socket(_metadata, 0755,
		     "may not use the socket /tmp/virtio-forwarder1.sock (mode 0755");
}

TEST_HARNESS_MAIN
