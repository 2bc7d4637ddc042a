/* SPDX-License-Identifier: BSD-3-Clause */

/* What is wrong in a configuration: each kind of error, with its line and its words. */
#include <kselftest_harness.h>

#include "common/config_report.h"
#include "config_case.h"

FIXTURE(config) {
	struct config_case c;
};

FIXTURE_SETUP(config)
{
	config_case_setup(&self->c);
}

FIXTURE_TEARDOWN(config)
{
	config_case_teardown(&self->c);
}

#define LONG_DIR "/345678901234567890123456789012345678901234567890123456789012345678901234567890"

static const struct {
	const char *text; /* has exactly one error */
	unsigned int line;
	const char *what;
} errors[] = {
	/* the form */
	{ "VIRTIOFWD_PID_DIR=$HOME", 1, "VIRTIOFWD_PID_DIR: found $ outside quotes" },
	{ "\nVIRTIOFWD_PID_DIR=\"/a$b\"", 2, "found $ between double quotes" },
	{ "VIRTIOFWD_PID_DIR=\"/`id`\"", 1, "found ` between double quotes" },
	{ "VIRTIOFWD_PID_DIR=`id`", 1, "found ` outside quotes" },
	{ "VIRTIOFWD_PID_DIR=/a; VIRTIOFWD_JUMBO=y", 1, "found ; outside quotes" },
	{ "VIRTIOFWD_PID_DIR=/a&", 1, "found & outside quotes" },
	{ "VIRTIOFWD_PID_DIR=/a|b", 1, "found | outside quotes" },
	{ "VIRTIOFWD_PID_DIR=/a>b", 1, "found > outside quotes" },
	{ "VIRTIOFWD_PID_DIR=<b", 1, "found < outside quotes" },
	{ "VIRTIOFWD_PID_DIR=/a(b", 1, "found ( outside quotes" },
	{ "VIRTIOFWD_PID_DIR=/a)b", 1, "found ) outside quotes" },
	{ "VIRTIOFWD_PID_DIR=~/a", 1, "found ~ outside quotes" },
	{ "VIO4WD_EXCLUDE=(netdev:eth*)", 1, "found * outside quotes" },
	{ "VIO4WD_EXCLUDE=(netdev:eth{0,1})", 1, "found { outside quotes" },
	{ "VIRTIOFWD_PID_DIR=\"/a\nVIRTIOFWD_JUMBO=y", 1, "found \" without another" },
	{ "VIRTIOFWD_PID_DIR='/a", 1, "found ' without another" },
	{ "VIRTIOFWD_PID_DIR=\"/a\\\"", 1, "found \" without another" },
	{ "VIRTIOFWD_PID_DIR=/a b", 1, "found text behind the value" },
	{ "VIRTIOFWD_PID_DIR= /a", 1, "found text behind the value" },
	{ "VIO4WD_EXCLUDE=(05:08.1)x", 1, "found text behind the value" },
	{ "VIO4WD_EXCLUDE=(05:08.1)#", 1, "found text behind the value" },
	{ "VIRTIOFWD_PID_DIR =/a", 1, "found a blank before =" },
	{ "VIRTIOFWD_PID_DIR+=/a", 1, "found +=" },
	{ "VIO4WD_EXCLUDE[0]=05:08.1", 1, "found the assignment of one element" },
	{ "export VIRTIOFWD_PID_DIR=/a", 1, "found export" },
	{ "VIRTIOFWD_PID_DIR", 1, "found no assignment" },
	{ "=/a", 1, "found no assignment" },
	{ "1VIRTIOFWD=/a", 1, "found no assignment" },
	{ "rm -rf /", 1, "'rm -rf /': found no assignment" },
	{ "\xef\xbb\xbfVIRTIOFWD_JUMBO=y", 1, "found no assignment" },
	{ "VIO4WD_EXCLUDE=(05:08.1\n05:08.2", 1, "found ( without a )" },
	{ "\nVIO4WD_EXCLUDE=(05:08.1\n\nVIRTIOFWD_JUMBO=y\n", 2, "found ( without a )" },
	{ "VIO4WD_EXCLUDE=(05:08.1\n  `x` 05:08.2 )\nVIRTIOFWD_JUMBO=y", 2, "found ` outside" },
	{ "VIRTIOFWD_PID_DIR=/a\x01", 1, "control character 0x01" },
	{ "VIRTIOFWD_PID_DIR='/a\x1b[2J'", 1, "control character 0x1b" },
	{ "VIRTIOFWD_PID_DIR=/a\rb", 1, "control character 0x0d" },
	{ "VIRTIOFWD_PID_DIR=/a \x02", 1, "control character 0x02" },
	{ "VIRTIOFWD_PID_DIR='/a\tb'", 1, "not plain UTF-8 text" },
	{ "VIRTIOFWD_PID_DIR=/a\xff", 1, "not plain UTF-8 text" },
	/* plain values */
	{ "VIRTIOFWD_JUMBO=maybe", 1, "VIRTIOFWD_JUMBO: found 'maybe'; allowed: true" },
	{ "VIRTIOFWD_JUMBO=2", 1, "found '2'" },
	{ "VIRTIOFWD_JUMBO=(y)", 1, "an array of 1" },
	{ "VIRTIOFWD_LOG_LEVEL=8", 1, "found '8'; allowed: a number from 0" },
	{ "VIRTIOFWD_LOG_LEVEL=-1", 1, "found '-1'" },
	{ "VIRTIOFWD_LOG_LEVEL=six", 1, "found 'six'" },
	{ "VIRTIOFWD_LOG_LEVEL=18446744073709551617", 1, "found '18446744073709551617'" },
	{ "VIO4WD_CORE_SCHED_LOG_LEVEL=debug", 1, "found 'debug'" },
	{ "VIO4WD_CORE_SCHED_POLL_INTERVAL=0", 1, "a number from 1 to 86400" },
	{ "VIO4WD_CORE_SCHED_SENSITIVITY=1e3", 1, "found '1e3'" },
	{ "VIO4WD_CORE_SCHED_SENSITIVITY=.", 1, "found '.'" },
	{ "VIO4WD_CORE_SCHED_SENSITIVITY=1.2.3", 1, "found '1.2.3'" },
	{ "VIO4WD_CORE_SCHED_SENSITIVITY=101", 1, "found '101'" },
	{ "VIO4WD_CORE_SCHED_SENSITIVITY=nan", 1, "found 'nan'" },
	{ "VIO4WD_MAX_SLEEP_US=0", 1, "a number from 1 to 100000" },
	{ "VIO4WD_BACKEND=hw", 1, "found 'hw'; allowed: auto, vdpa or sw" },
	{ "VIO4WD_POLL_MODE=lazy", 1, "allowed: adaptive or busy" },
	{ "VIO4WD_UIO_DRIVER=vfio", 1, "allowed: vfio-pci, igb_uio or uio_pci_generic" },
	{ "VIRTIOFWD_PID_DIR=run", 1, "does not begin with /; allowed: an absolute path" },
	{ "VIO4WD_RUNTIME_DIR=" LONG_DIR "1234567890", 1, "which has 89 bytes; 88 fit" },
	{ "VIRTIOFWD_SOCKET_OWNER=a:b", 1, "allowed: the name or number of a user" },
	{ "VIRTIOFWD_SOCKET_GROUP='a b'", 1, "allowed: the name or number of a group" },
	{ "VIRTIOFWD_VFIO_VF_TOKEN=1", 1, "allowed: a UUID" },
	{ "VIRTIOFWD_VFIO_VF_TOKEN=14d63f20-8445-11ea-8900-1f9ce7d5650", 1, "allowed: a UUID" },
	{ "VIRTIOFWD_VFIO_VF_TOKEN=14d63f20-8445-11ea-8900-1f9ce7d5650d0", 1, "allowed: a UUID" },
	{ "VIRTIOFWD_VFIO_VF_TOKEN=14d63f20x8445-11ea-8900-1f9ce7d5650d", 1, "allowed: a UUID" },
	/* CPUs */
	{ "VIRTIOFWD_CPU_MASK=1,x", 1, "VIRTIOFWD_CPU_MASK: '1,x' has no CPU number at 'x'" },
	{ "VIRTIOFWD_CPU_MASK=", 1, "which is empty" },
	{ "VIRTIOFWD_CPU_MASK=0x0", 1, "names no CPU" },
	{ "VIRTIOFWD_CPU_MASK=1,9,11", 1, "the host lacks CPU 9,11 (it has 0-7,100)" },
	{ "VIRTIOFWD_CPU_MASK=0x100", 1, "the host lacks CPU 8" },
	{ "VIRTIOFWD_CPU_MASK=5-2", 1, "ends before it begins" },
	{ "VIRTIOFWD_CPU_MASK=(1 2)", 1, "an array of 2; allowed: CPUs of the host" },
	{ "VIRTIOFWD_MASTER_LCORE=8", 1, "a CPU the host lacks" },
	{ "VIRTIOFWD_MASTER_LCORE=x", 1, "the number of a CPU" },
	{ "VIRTIOFWD_CPU_PINS=1", 1, "which has no :" },
	{ "VIRTIOFWD_CPU_PINS=64:1", 1, "'64' is no relay id from 0 to 63" },
	{ "VIRTIOFWD_CPU_PINS=1:3", 1, "CPU 3 is not in VIRTIOFWD_CPU_MASK (1,2)" },
	{ "VIRTIOFWD_CPU_PINS=1:1,3", 1, "CPU 3 is not in" },
	{ "VIRTIOFWD_CPU_PINS=1:1,2,1", 1, "'2,1' is no CPU" },
	{ "VIRTIOFWD_CPU_PINS=1:", 1, "'' is no CPU" },
	{ "VIRTIOFWD_CPU_PINS=1:-1", 1, "'-1' is no CPU" },
	{ "VIRTIOFWD_CPU_PINS=(1:1\n1:2)", 2, "relay 1 is pinned already" },
	/* sockets and addresses */
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=a", 1, "which has no %u" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=a%d", 1, "a % without u" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=%", 1, "a % without u" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=%u%u", 1, "a second %" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=%u%%", 1, "a second %" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=%%u", 1, "a % without u" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=%u1", 1, "a digit follows %u" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=a/%u", 1, "which has a /" },
	{ "\nVIRTIOFWD_SOCKET_DIR=" LONG_DIR "12345", 2, "relay 63 has 108 bytes, 107 fit" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=" LONG_DIR "%u", 1, "which has a /" },
	{ "VIRTIOFWD_ZMQ_STATS_EP=/run/x", 1, "allowed: ipc:///path, tcp://address:port" },
	{ "VIRTIOFWD_ZMQ_STATS_EP=ipc://run/x", 1, "allowed: ipc:///path" },
	{ "VIRTIOFWD_ZMQ_STATS_EP=tcp://", 1, "allowed: ipc:///path" },
	{ "VIRTIOFWD_ZMQ_STATS_EP=tcp://127.0.0.1", 1, "allowed: ipc:///path" },
	{ "VIRTIOFWD_ZMQ_STATS_EP=tcp://127.0.0.1:65536", 1, "allowed: ipc:///path" },
	{ "VIRTIOFWD_ZMQ_STATS_EP=ipc://" LONG_DIR LONG_DIR, 1, "bytes; 107 fit" },
	{ "\nVIRTIOFWD_ZMQ_CONFIG_EP=ipc:///var/run/virtio-forwarder/stats", 2,
	  "which VIRTIOFWD_ZMQ_STATS_EP has, too" },
	{ "VIRTIOFWD_ZMQ_STATS_EP=ipc:///var/run/virtio-forwarder/core_sched", 1, "has, too" },
	{ "VIO4WD_METRICS_LISTEN=9464", 1, "allowed: address:port" },
	{ "VIO4WD_METRICS_LISTEN=localhost:9464", 1, "allowed: address:port" },
	{ "VIO4WD_METRICS_LISTEN=127.0.0.1:0", 1, "allowed: address:port" },
	{ "VIO4WD_METRICS_LISTEN=::1:9464", 1, "allowed: address:port" },
	{ "VIO4WD_METRICS_LISTEN=unix:x", 1, "allowed: address:port" },
	{ "VIO4WD_MIGRATION_LISTEN=unix:/x", 1, "allowed: address:port" },
	{ "VIO4WD_MIGRATION_LISTEN=10.0.0.1:99", 1, "without VIO4WD_MIGRATION_KEY" },
	{ "VIO4WD_MIGRATION_KEY=k", 1, "allowed: the absolute path of a file" },
	{ "VIRTIOFWD_OVSDB_SOCKET_PATH=x", 1, "VIRTIOFWD_OVSDB_SOCK_PATH: found 'x'" },
	/* devices */
	{ "VIRTIOFWD_STATIC_VFS=05:08.1", 1, "which has no =" },
	{ "VIRTIOFWD_STATIC_VFS=05:08.1=64", 1, "'64' is no relay id from 0 to 63" },
	{ "VIRTIOFWD_STATIC_VFS=05:08.1=4294967296", 1, "no relay id" },
	{ "VIRTIOFWD_STATIC_VFS=05:08.1=", 1, "'' is no relay id" },
	{ "VIRTIOFWD_STATIC_VFS=eth0=1", 1, "'eth0' is no device name; allowed: a PCI address" },
	{ "VIRTIOFWD_STATIC_VFS==1", 1, "the name of a device is empty" },
	{ "VIRTIOFWD_STATIC_VFS=(05:08.1=1\n05:08.2=1)", 2, "relay 1 has '05:08.1' already" },
	{ "VIRTIOFWD_STATIC_VFS=(05:08.1=1\npci_0000_05_08_1=2)", 2,
	  "relay 1 has that device already" },
	{ "VIRTIOFWD_STATIC_VFS=(a=1 netdev:e=2)\nVIO4WD_ALIASES=a=netdev:e", 1,
	  "relay 1 has that device already" },
	{ "VIO4WD_ALIASES=x", 1, "which has no =" },
	{ "VIO4WD_ALIASES==netdev:e", 1, "whose name is empty" },
	{ "VIO4WD_ALIASES='a b=netdev:e'", 1, "letters, digits" },
	{ "VIO4WD_ALIASES=netdev:a=netdev:e", 1, "whose name is the name of a device" },
	{ "VIO4WD_ALIASES=(0:0.1=netdev:a\n0000:00:00.1=netdev:b)", 2, "stands for a device" },
	{ "VIO4WD_ALIASES=a=b", 1, "'b' is no device name" },
	{ "VIO4WD_EXCLUDE=(05:08.1 eth0)", 1, "'eth0' is no device name" },
	{ "VIO4WD_SPARE_VFS=vdev:net_null0", 1, "which is no VF" },
	{ "VIO4WD_SPARE_VFS=(05:08.1\n0000:05:08.1)", 2, "that VF is there already" },
	{ "VIO4WD_SPARE_VFS=ens3.vf1=a/b", 1, "'a/b' is neither a network interface nor" },
	{ "VIRTIOFWD_STATIC_VFS=05:08.1=3\nVIO4WD_SPARE_VFS=0000:05:08.1", 2,
	  "VIRTIOFWD_STATIC_VFS gives it to relay 3" },
	{ "VIO4WD_EXCLUDE=ens3.vf1\nVIO4WD_SPARE_VFS=ens3.vf1", 2, "VIO4WD_EXCLUDE has it" },
	{ "VIO4WD_AUTO_VFS=ens3", 1, "where : and a number from 0 to 63 is missing" },
	{ "VIO4WD_AUTO_VFS=ens3:64", 1, "where : and a number" },
	{ "VIO4WD_AUTO_VFS=a/b:1", 1, "'a/b' is neither a network interface nor" },
	{ "VIO4WD_AUTO_VFS=(05:00.0:0\n0000:05:00.0:8)", 2, "that PF is there already" },
	{ "VIO4WD_AUTO_VFS=(ens3:8\nens4:8)", 2, "the VFs of ens3 begin at relay 8, too" },
	{ "VIO4WD_NUM_VFS=ens3", 1, "where = and a number from 1 to 65535 is missing" },
	{ "VIO4WD_NUM_VFS=ens3=0", 1, "where = and a number" },
	{ "VIO4WD_NUM_VFS==3", 1, "'' is neither a network interface nor" },
	{ "VIO4WD_NUM_VFS=(ens3=1 ens3=2)", 1, "that PF is there already" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=ens3:0", 1, "found 'ens3:0'; allowed: a PCI address" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=ens3,01:02.8", 1, "found '01:02.8'" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=averyveryverylongname", 1, "allowed: a PCI address" },
	/* options of VFs */
	{ "VIO4WD_VF_OPTIONS=ens3.vf0", 1, "which has no option, as in ens3.vf0:vlan=100" },
	{ "VIO4WD_VF_OPTIONS=0000:01:10.0", 1, "which has no option" },
	{ "VIO4WD_VF_OPTIONS=vlan=1", 1, "which has no : between device and options" },
	{ "VIO4WD_VF_OPTIONS='ens3.vf0 vlan=1'", 1, "which has no : between device and options" },
	{ "VIO4WD_VF_OPTIONS=:vlan=1", 1, "the name of a device is empty" },
	{ "VIO4WD_VF_OPTIONS=ens3.vfx:vlan=1", 1, "'x' is no number of a VF" },
	{ "VIO4WD_VF_OPTIONS=01:10.8:vlan=1", 1, "'01:10.8' is no device name" },
	{ "VIO4WD_VF_OPTIONS=averyveryverylongname:vlan=1", 1, "is no device name" },
	{ "VIO4WD_VF_OPTIONS=vdev:net_null0:vlan=1", 1,
	  "where 'vdev:net_null0' is neither a VF nor a PF" },
	{ "VIO4WD_VF_OPTIONS=(e:vlan=1\ne:vlan=4095)", 2,
	  "where vlan is '4095' and must be a number from 0 to 4094; allowed: DEVICE:OPTION" },
	{ "VIO4WD_VF_OPTIONS=e:vlan=", 1, "where vlan is ''" },
	{ "VIO4WD_VF_OPTIONS=e:vlan=1,qos=8", 1, "where qos is '8' and must be a number" },
	{ "VIO4WD_VF_OPTIONS=e:qos=1", 1, "where qos is without a VLAN (vlan=1 to 4094)" },
	{ "VIO4WD_VF_OPTIONS=e:qos=1,vlan=0", 1, "where qos is without a VLAN" },
	{ "VIO4WD_VF_OPTIONS=e:queues=0", 1,
	  "where queues is '0' and must be a number from 1 to 32" },
	{ "VIO4WD_VF_OPTIONS=e:queues=33", 1, "number from 1 to 32" },
	{ "VIO4WD_VF_OPTIONS=e:queue=4", 1, "did you mean queues?" },
	{ "VIO4WD_VF_OPTIONS=e:trust=maybe", 1, "where trust is 'maybe' and must be on or off" },
	{ "VIO4WD_VF_OPTIONS=e:spoofchk=", 1, "where spoofchk is '' and must be on or off" },
	{ "VIO4WD_VF_OPTIONS=e:spoofcheck=on", 1,
	  "where 'spoofcheck' is no option; did you mean "
	  "spoofchk?" },
	{ "VIO4WD_VF_OPTIONS=e:rate=5", 1, "where 'rate' is no option; allowed" },
	{ "VIO4WD_VF_OPTIONS=e:trust=on,", 1, "where '' has no =" },
	{ "VIO4WD_VF_OPTIONS=e:trust=on,vlan", 1, "where 'vlan' has no =" },
	{ "VIO4WD_VF_OPTIONS=e:trust=on,vlan=1,trust=on", 1, "where trust is there twice" },
	{ "VIO4WD_VF_OPTIONS=e.vf0:mac=52:54:00:00:00", 1,
	  "where '52:54:00:00:00' is no MAC address, which looks like 52:54:00:12:34:56" },
	{ "VIO4WD_VF_OPTIONS=e.vf0:mac=52:54:00:00:00:00:00", 1, "is no MAC address" },
	{ "VIO4WD_VF_OPTIONS=e.vf0:mac=52-54-00-00-00-00", 1, "is no MAC address" },
	{ "VIO4WD_VF_OPTIONS=e.vf0:mac=52:54:00:00:00:0g", 1, "is no MAC address" },
	{ "VIO4WD_VF_OPTIONS=e.vf0:mac=", 1, "'' is no MAC address" },
	{ "VIO4WD_VF_OPTIONS=e.vf0:mac=00:00:00:00:00:00", 1, "where the MAC address is all zero" },
	{ "VIO4WD_VF_OPTIONS=e.vf0:mac=01:00:5e:00:00:01", 1,
	  "where '01:00:5e:00:00:01' is a group address; the first byte must be even" },
	{ "VIO4WD_VF_OPTIONS=e:mac=52:54:00:00:00:01", 1,
	  "given to all VFs of a PF; it is for one VF, as in e.vf0:mac=" },
	/* hugepages */
	{ "VIO4WD_NR_HUGEPAGES=0", 1, "found '0'; allowed: a number of pages from 1 on, or" },
	{ "VIO4WD_NR_HUGEPAGES=1G", 1, "found '1G'" },
	{ "VIO4WD_NR_HUGEPAGES=0:", 1, "found '0:'" },
	{ "VIO4WD_NR_HUGEPAGES=0:0", 1, "found '0:0'" },
	{ "VIO4WD_NR_HUGEPAGES=67108865", 1, "found '67108865'" },
	{ "VIO4WD_NR_HUGEPAGES=:5", 1, "where no NUMA node (0 to 1023) is in front of the :" },
	{ "VIO4WD_NR_HUGEPAGES=1024:5", 1, "where no NUMA node" },
	{ "VIO4WD_NR_HUGEPAGES=12345678901234567890:5", 1, "where no NUMA node" },
	{ "VIO4WD_NR_HUGEPAGES=(0:5\n0:5)", 2, "node 0 is there already" },
	{ "VIO4WD_NR_HUGEPAGES=(5\n6)", 2, "the host's number is there already" },
	{ "VIO4WD_NR_HUGEPAGES=(5\n0:6)", 2, "one entry is for the whole host and another" },
};

TEST_F(config, every_kind_of_error) {
	struct config_case *c = &self->c;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		EXPECT_EQ(-EINVAL, config_case_read(c, errors[i].text))
		{
			TH_LOG("accepted: %s", errors[i].text);
		}
		EXPECT_EQ(NULL, c->cfg);
		ASSERT_LE(1, c->report.n_issues);
		EXPECT_EQ(1, c->report.n_errors)
		{
			TH_LOG("%s: %s / %s", errors[i].text, c->report.issues[0].text,
			       c->report.issues[1].text);
		}
		EXPECT_TRUE(c->report.issues[0].is_error);
		EXPECT_EQ(errors[i].line, c->report.issues[0].line)
		{
			TH_LOG("%s", errors[i].text);
		}
		EXPECT_NE(NULL, strstr(c->report.issues[0].text, errors[i].what))
		{
			TH_LOG("%s: '%s' is not in: %s", errors[i].text, errors[i].what,
			       c->report.issues[0].text);
		}
	}
}

static const struct {
	const char *text; /* has exactly one warning */
	unsigned int line;
	const char *what;
} warnings[] = {
	{ "VIRTIOFWD_CPUMASK=1", 1, "unknown variable, ignored; did you mean VIRTIOFWD_CPU_MASK?" },
	{ "\nVIO4WD_BACKENDS=sw", 2, "did you mean VIO4WD_BACKEND?" },
	{ "VIRTIOFWD_OVSDB_SOCKETPATH=/x", 1, "did you mean VIRTIOFWD_OVSDB_SOCKET_PATH?" },
	{ "VIO4WD_=1", 1, "the closest known one is " },
	{ "VIRTIOFWD_JUMBO=y\nVIRTIOFWD_JUMBO=n", 2, "the value of line 1 does not count" },
	{ "VIRTIOFWD_JUMBO=maybe\nVIRTIOFWD_JUMBO=n", 2, "the value of line 1 does not count" },
	{ "VIRTIOFWD_OVSDB_SOCK_PATH=/x VIRTIOFWD_OVSDB_SOCKET_PATH=/y", 1, "assigned again" },
	{ "VIRTIOFWD_JUMBO=y\r\nVIRTIOFWD_TSO=y\r\n", 0, "CR LF" },
	{ "VIRTIOFWD_SOCKET_OWNER=no-such-user-here", 1, "a user this host does not have" },
	{ "VIRTIOFWD_SOCKET_GROUP=no-such-group-here", 1, "a group this host does not have" },
	{ "VIRTIOFWD_BINARY=/usr/bin/virtio-forwarder", 1, "is not used any more" },
	{ "\nVIRTIOFWD_ZERO_COPY=y", 2, "VIRTIOFWD_ZERO_COPY: packets are copied" },
	{ "VIRTIOFWD_JUMBO=y\nVIRTIOFWD_MRGBUF=n", 2, "with VIRTIOFWD_JUMBO" },
};

TEST_F(config, every_kind_of_warning) {
	struct config_case *c = &self->c;

	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		ASSERT_EQ(0, config_case_read(c, warnings[i].text));
		ASSERT_EQ(1, c->report.n_issues)
		{
			TH_LOG("%s", warnings[i].text);
		}
		EXPECT_FALSE(c->report.issues[0].is_error);
		EXPECT_EQ(warnings[i].line, c->report.issues[0].line);
		EXPECT_NE(NULL, strstr(c->report.issues[0].text, warnings[i].what))
		{
			TH_LOG("%s", c->report.issues[0].text);
		}
	}
}

TEST_F(config, the_last_assignment_wins) {
	struct config_case *c = &self->c;

	ASSERT_EQ(0, config_case_read(c, "VIRTIOFWD_LOG_LEVEL=1\nVIRTIOFWD_LOG_LEVEL=2\n"
					 "VIRTIOFWD_OVSDB_SOCK_PATH=/x\n"
					 "VIRTIOFWD_OVSDB_SOCKET_PATH=/y\n"));
	EXPECT_EQ(2, c->cfg->log_level);
	EXPECT_STREQ("/y", c->cfg->ovsdb_sock);
}

TEST_F(config, other_variables_are_nobodys_business) {
	struct config_case *c = &self->c;

	ASSERT_EQ(0, config_case_read(c, "PATH=/usr/bin:/bin\nDPDK_ARGS='--no-pci $x'\n_=1\n"
					 "VIRTIOFW=1\nPATH=/bin\n"));
	EXPECT_EQ(0, c->report.n_issues);
}

TEST_F(config, all_errors_at_once_in_the_order_of_lines) {
	static const unsigned int lines[] = { 1, 2, 3, 3, 4, 5, 6, 7, 8 };
	struct config_case *c = &self->c;

	EXPECT_EQ(-EINVAL, config_case_read(c, "VIRTIOFWD_CPU_MASK=1,x\n"
					       "VIRTIOFWD_JUMBO=\"y\n"
					       "VIRTIOFWD_STATIC_VFS=(a=1 05:08.1=99\n"
					       "  $x 05:08.2=1\n"
					       "  05:08.3=1)\n"
					       "VIRTIOFWD_LOG_LEVEL=9\n"
					       "nonsense\n"
					       "VIO4WD_BACKEND=none\n"));
	ASSERT_EQ(9, c->report.n_issues);
	EXPECT_EQ(9, c->report.n_errors);
	for (size_t i = 0; i < 9; i++)
		EXPECT_EQ(lines[i], c->report.issues[i].line);
}

/* A mask that is wrong does not make every pin wrong, too. */
TEST_F(config, no_errors_that_follow_from_others) {
	struct config_case *c = &self->c;

	EXPECT_EQ(-EINVAL, config_case_read(c, "VIRTIOFWD_CPU_MASK=x\nVIRTIOFWD_CPU_PINS=1:5"));
	EXPECT_EQ(1, c->report.n_errors);
	EXPECT_EQ(-EINVAL, config_case_read(c, "VIO4WD_MIGRATION_LISTEN=10.0.0.1:9\n"
					       "VIO4WD_MIGRATION_KEY=k"));
	EXPECT_EQ(1, c->report.n_errors);
}

TEST_F(config, many_errors_are_counted_and_cut) {
	struct config_case *c = &self->c;
	char text[4001];

	memset(text, '\n', sizeof(text) - 1);
	for (size_t i = 0; i < sizeof(text) - 1; i += 2)
		text[i] = '$';
	text[sizeof(text) - 1] = '\0';
	EXPECT_EQ(-EINVAL, config_case_read(c, text));
	EXPECT_EQ(2000, c->report.n_errors);
	ASSERT_EQ(CONFIG_ISSUES_MAX + 1, c->report.n_issues);
	EXPECT_NE(NULL, strstr(c->report.issues[CONFIG_ISSUES_MAX].text, "more errors"));
}

TEST_F(config, warnings_do_not_hide_errors) {
	struct config_case *c = &self->c;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (unsigned int i = 0; i < 1000; i++)
		fputs("VIRTIOFWD_JUMBO=perhaps\n", out);
	fclose(out);
	EXPECT_EQ(-EINVAL, config_case_read(c, text));
	EXPECT_EQ(1, c->report.n_errors);
	ASSERT_EQ(CONFIG_ISSUES_MAX + 2, c->report.n_issues);
	EXPECT_TRUE(c->report.issues[CONFIG_ISSUES_MAX + 1].is_error);
	EXPECT_EQ(1000, c->report.issues[CONFIG_ISSUES_MAX + 1].line);
	free(text);
}

TEST_HARNESS_MAIN
