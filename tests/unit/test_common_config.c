/* SPDX-License-Identifier: BSD-3-Clause */

/* What is allowed in a configuration, and what it then means. */
#include <kselftest_harness.h>

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

static const struct {
	const char *text, *variable, *value;
} accepted[] = {
	/* the form */
	{ "VIRTIOFWD_PID_DIR=/a", "VIRTIOFWD_PID_DIR", "\"/a\"" },
	{ "VIRTIOFWD_PID_DIR='/a b'", "VIRTIOFWD_PID_DIR", "\"/a b\"" },
	{ "VIRTIOFWD_PID_DIR=\"/a b\"", "VIRTIOFWD_PID_DIR", "\"/a b\"" },
	{ "VIRTIOFWD_PID_DIR=/a'b c'\"d\"e", "VIRTIOFWD_PID_DIR", "\"/ab cde\"" },
	{ "VIRTIOFWD_PID_DIR=/a\\ b\\$", "VIRTIOFWD_PID_DIR", "\"/a b$\"" },
	{ "VIRTIOFWD_PID_DIR='/$x`;'", "VIRTIOFWD_PID_DIR", "\"/$x`;\"" },
	{ "VIRTIOFWD_PID_DIR=\"/\\$x\\`\\\\;\"", "VIRTIOFWD_PID_DIR", "\"/$x`\\\\;\"" },
	{ "VIRTIOFWD_PID_DIR=/a#b", "VIRTIOFWD_PID_DIR", "\"/a#b\"" },
	{ "VIRTIOFWD_PID_DIR=/a # b", "VIRTIOFWD_PID_DIR", "\"/a\"" },
	{ "  \tVIRTIOFWD_PID_DIR=/a", "VIRTIOFWD_PID_DIR", "\"/a\"" },
	{ "VIRTIOFWD_PID_DIR=/a\\\nb", "VIRTIOFWD_PID_DIR", "\"/ab\"" },
	{ "# a comment with ' and $\n\nVIRTIOFWD_PID_DIR=/a", "VIRTIOFWD_PID_DIR", "\"/a\"" },
	{ "A=1 VIRTIOFWD_PID_DIR=/a B=2", "VIRTIOFWD_PID_DIR", "\"/a\"" },
	{ "VIRTIOFWD_PID_DIR=/h\xc3\xa9", "VIRTIOFWD_PID_DIR", "\"/h\xc3\xa9\"" },
	{ "PATH=/bin\nDPDK_X=(1 2)\nVIRTIOFWD_PID_DIR=/a", "VIRTIOFWD_PID_DIR", "\"/a\"" },
	/* booleans */
	{ "VIRTIOFWD_JUMBO=true", "VIRTIOFWD_JUMBO", "true" },
	{ "VIRTIOFWD_JUMBO=YES", "VIRTIOFWD_JUMBO", "true" },
	{ "VIRTIOFWD_JUMBO=y", "VIRTIOFWD_JUMBO", "true" },
	{ "VIRTIOFWD_JUMBO=On", "VIRTIOFWD_JUMBO", "true" },
	{ "VIRTIOFWD_JUMBO=1", "VIRTIOFWD_JUMBO", "true" },
	{ "VIRTIOFWD_MRGBUF=False", "VIRTIOFWD_MRGBUF", "false" },
	{ "VIRTIOFWD_MRGBUF=no", "VIRTIOFWD_MRGBUF", "false" },
	{ "VIRTIOFWD_MRGBUF=N", "VIRTIOFWD_MRGBUF", "false" },
	{ "VIRTIOFWD_MRGBUF=off", "VIRTIOFWD_MRGBUF", "false" },
	{ "VIRTIOFWD_MRGBUF=0", "VIRTIOFWD_MRGBUF", "false" },
	{ "VIRTIOFWD_MRGBUF=", "VIRTIOFWD_MRGBUF", "false" },
	{ "VIRTIOFWD_MRGBUF=''", "VIRTIOFWD_MRGBUF", "false" },
	{ "", "VIRTIOFWD_MRGBUF", "true" },
	/* CPUs */
	{ "", "VIRTIOFWD_CPU_MASK", "\"1,2\"" },
	{ "VIRTIOFWD_CPU_MASK=2-5", "VIRTIOFWD_CPU_MASK", "\"2-5\"" },
	{ "VIRTIOFWD_CPU_MASK=0x6", "VIRTIOFWD_CPU_MASK", "\"1,2\"" },
	{ "VIRTIOFWD_CPU_MASK=1,100", "VIRTIOFWD_CPU_MASK", "\"1,100\"" },
	{ "VIRTIOFWD_CPU_MASK=0x10000000000000000000000002", "VIRTIOFWD_CPU_MASK", "\"1,100\"" },
	{ "VIRTIOFWD_MASTER_LCORE=100", "VIRTIOFWD_MASTER_LCORE", "100" },
	{ "VIRTIOFWD_MASTER_LCORE=", "VIRTIOFWD_MASTER_LCORE", "0" },
	{ "VIRTIOFWD_CPU_PINS=1:1", "VIRTIOFWD_CPU_PINS", "[\"1:1,1\"]" },
	{ "VIRTIOFWD_CPU_PINS=(0:1,1 1:1,2 2:2,1)", "VIRTIOFWD_CPU_PINS",
	  "[\"0:1,1\",\"1:1,2\",\"2:2,1\"]" },
	{ "VIRTIOFWD_CPU_PINS='0:1,1; 1:1,2;;63:2'", "VIRTIOFWD_CPU_PINS",
	  "[\"0:1,1\",\"1:1,2\",\"63:2,2\"]" },
	{ "VIRTIOFWD_CPU_PINS=';5:1'", "VIRTIOFWD_CPU_PINS", "[\"5:1,1\"]" },
	{ "VIRTIOFWD_CPU_PINS=4:5,6\nVIRTIOFWD_CPU_MASK=5,6", "VIRTIOFWD_CPU_PINS", "[\"4:5,6\"]" },
	{ "VIRTIOFWD_CPU_PINS=", "VIRTIOFWD_CPU_PINS", "[]" },
	/* numbers and choices */
	{ "VIRTIOFWD_LOG_LEVEL=0", "VIRTIOFWD_LOG_LEVEL", "0" },
	{ "VIRTIOFWD_LOG_LEVEL=7", "VIRTIOFWD_LOG_LEVEL", "7" },
	{ "VIRTIOFWD_LOG_LEVEL=", "VIRTIOFWD_LOG_LEVEL", "6" },
	{ "VIO4WD_MAX_SLEEP_US=100000", "VIO4WD_MAX_SLEEP_US", "100000" },
	{ "VIO4WD_CORE_SCHED_SENSITIVITY=.5", "VIO4WD_CORE_SCHED_SENSITIVITY", "0.5" },
	{ "VIO4WD_CORE_SCHED_SENSITIVITY=2", "VIO4WD_CORE_SCHED_SENSITIVITY", "2" },
	{ "VIO4WD_BACKEND=sw", "VIO4WD_BACKEND", "\"sw\"" },
	{ "VIO4WD_POLL_MODE=busy", "VIO4WD_POLL_MODE", "\"busy\"" },
	{ "VIO4WD_UIO_DRIVER=igb_uio", "VIO4WD_UIO_DRIVER", "\"igb_uio\"" },
	/* sockets */
	{ "VIRTIOFWD_SOCKET_DIR=/run/x//", "VIRTIOFWD_SOCKET_DIR", "\"/run/x\"" },
	{ "VIRTIOFWD_SOCKET_DIR=/", "VIRTIOFWD_SOCKET_DIR", "\"/\"" },
	{ "VIRTIOFWD_SOCKET_DIR=", "VIRTIOFWD_SOCKET_DIR", "\"/tmp\"" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=%u", "VIRTIOFWD_SOCKET_FNAME_PATTERN", "\"%u\"" },
	{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=", "VIRTIOFWD_SOCKET_FNAME_PATTERN",
	  "\"virtio-forwarder%u.sock\"" },
	{ "VIRTIOFWD_SOCKET_OWNER=", "VIRTIOFWD_SOCKET_OWNER", "\"\"" },
	{ "VIRTIOFWD_SOCKET_OWNER=root", "VIRTIOFWD_SOCKET_OWNER", "\"root\"" },
	{ "VIRTIOFWD_SOCKET_GROUP=4711", "VIRTIOFWD_SOCKET_GROUP", "\"4711\"" },
	/* endpoints */
	{ "VIRTIOFWD_ZMQ_STATS_EP=", "VIRTIOFWD_ZMQ_STATS_EP", "\"\"" },
	{ "VIRTIOFWD_ZMQ_STATS_EP=ipc://", "VIRTIOFWD_ZMQ_STATS_EP",
	  "\"ipc:///var/run/virtio-forwarder/stats\"" },
	{ "VIRTIOFWD_ZMQ_CONFIG_EP=yes", "VIRTIOFWD_ZMQ_CONFIG_EP",
	  "\"ipc:///var/run/virtio-forwarder/config\"" },
	{ "", "VIRTIOFWD_ZMQ_CONFIG_EP", "\"\"" },
	{ "VIRTIOFWD_ZMQ_CONFIG_EP=ipc:///run/x", "VIRTIOFWD_ZMQ_CONFIG_EP", "\"ipc:///run/x\"" },
	{ "VIRTIOFWD_ZMQ_CONFIG_EP=tcp://127.0.0.1:5555", "VIRTIOFWD_ZMQ_CONFIG_EP",
	  "\"tcp://127.0.0.1:5555\"" },
	{ "VIRTIOFWD_ZMQ_CONFIG_EP=tcp://*:5555", "VIRTIOFWD_ZMQ_CONFIG_EP", "\"tcp://*:5555\"" },
	{ "VIO4WD_METRICS_LISTEN=127.0.0.1:9464", "VIO4WD_METRICS_LISTEN", "\"127.0.0.1:9464\"" },
	{ "VIO4WD_METRICS_LISTEN=[::1]:9464", "VIO4WD_METRICS_LISTEN", "\"[::1]:9464\"" },
	{ "VIO4WD_METRICS_LISTEN=unix:/run/m", "VIO4WD_METRICS_LISTEN", "\"unix:/run/m\"" },
	{ "VIO4WD_METRICS_LISTEN=", "VIO4WD_METRICS_LISTEN", "\"\"" },
	{ "VIRTIOFWD_OVSDB_SOCKET_PATH=/x", "VIRTIOFWD_OVSDB_SOCK_PATH", "\"/x\"" },
	{ "VIRTIOFWD_OVSDB_SOCK_PATH=/x", "VIRTIOFWD_OVSDB_SOCK_PATH", "\"/x\"" },
	/* migration */
	{ "VIO4WD_MIGRATION_LISTEN=127.0.0.1:1", "VIO4WD_MIGRATION_LISTEN", "\"127.0.0.1:1\"" },
	{ "VIO4WD_MIGRATION_LISTEN=0.0.0.0:1\nVIO4WD_MIGRATION_KEY=/k", "VIO4WD_MIGRATION_LISTEN",
	  "\"0.0.0.0:1\"" },
	{ "VIO4WD_MIGRATION_PEERS=/p", "VIO4WD_MIGRATION_PEERS", "\"/p\"" },
	{ "VIO4WD_MIGRATION_KEY=", "VIO4WD_MIGRATION_KEY", "\"\"" },
	/* devices */
	{ "VIRTIOFWD_STATIC_VFS=0000:05:08.1=1", "VIRTIOFWD_STATIC_VFS", "[\"0000:05:08.1=1\"]" },
	{ "VIRTIOFWD_STATIC_VFS=vdev:net_null0,copy=1=63", "VIRTIOFWD_STATIC_VFS",
	  "[\"vdev:net_null0,copy=1=63\"]" },
	{ "VIRTIOFWD_STATIC_VFS=(05:08.1=1 # one\n\n 'ens3.vf2'=2\n)", "VIRTIOFWD_STATIC_VFS",
	  "[\"05:08.1=1\",\"ens3.vf2=2\"]" },
	{ "VIRTIOFWD_STATIC_VFS=()", "VIRTIOFWD_STATIC_VFS", "[]" },
	{ "VIRTIOFWD_STATIC_VFS=", "VIRTIOFWD_STATIC_VFS", "[]" },
	{ "VIRTIOFWD_STATIC_VFS=(a=1)\nVIO4WD_ALIASES=(a=netdev:eth0)", "VIRTIOFWD_STATIC_VFS",
	  "[\"a=1\"]" },
	{ "VIO4WD_ALIASES=(0:0.1=vdev:net_null1,copy=1 b=05:08.1)", "VIO4WD_ALIASES",
	  "[\"0000:00:00.1=vdev:net_null1,copy=1\",\"b=0000:05:08.1\"]" },
	{ "VIO4WD_EXCLUDE=(05:08.1 b)\nVIO4WD_ALIASES=b=netdev:eth0", "VIO4WD_EXCLUDE",
	  "[\"0000:05:08.1\",\"netdev:eth0\"]" },
	{ "VIO4WD_AUTO_VFS=(ens3:0 05:00.0:8)", "VIO4WD_AUTO_VFS",
	  "[\"ens3:0\",\"0000:05:00.0:8\"]" },
	{ "VIO4WD_NUM_VFS=(ens3=8 05:00.0=65535)", "VIO4WD_NUM_VFS",
	  "[\"ens3=8\",\"0000:05:00.0=65535\"]" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=ens3,0000:01:02.3,ens4:16,01:02.4", "VIRTIOFWD_BIND_VFIO_PCI",
	  "[\"ens3\",\"0000:01:02.3\",\"ens4:16\",\"0000:01:02.4\"]" },
	{ "VIRTIOFWD_BIND_VFIO_PCI=(ens3 'ens4, ens5')", "VIRTIOFWD_BIND_VFIO_PCI",
	  "[\"ens3\",\"ens4\",\"ens5\"]" },
	{ "VIO4WD_VF_OPTIONS=(ens3.vf0:mac=52:54:00:00:00:A0,vlan=100 ens3:trust=on,spoofchk=off)",
	  "VIO4WD_VF_OPTIONS",
	  "[\"ens3.vf0:mac=52:54:00:00:00:a0,vlan=100\",\"ens3:trust=on,spoofchk=off\"]" },
	{ "VIO4WD_VF_OPTIONS=01:10.0:spoofchk=NO,qos=7,mac=02:00:00:00:00:01,trust=1,vlan=4094",
	  "VIO4WD_VF_OPTIONS",
	  "[\"0000:01:10.0:mac=02:00:00:00:00:01,vlan=4094,qos=7,trust=on,spoofchk=off\"]" },
	{ "VIO4WD_VF_OPTIONS=(ens3:queues=32 ens3.vf0:queues=1,trust=on)", "VIO4WD_VF_OPTIONS",
	  "[\"ens3:queues=32\",\"ens3.vf0:trust=on,queues=1\"]" },
	{ "VIO4WD_VF_OPTIONS=(01:00.0.vf3:vlan=0 pci_0000_01_00_0:trust=y netdev:e1:trust=False)",
	  "VIO4WD_VF_OPTIONS",
	  "[\"0000:01:00.0.vf3:vlan=0\",\"0000:01:00.0:trust=on\",\"e1:trust=off\"]" },
	{ "VIO4WD_VF_OPTIONS=(a:mac=02:00:00:00:00:01 b:vlan=1)\nVIO4WD_ALIASES=(a=ens3.vf1 "
	  "b=netdev:ens3)",
	  "VIO4WD_VF_OPTIONS", "[\"ens3.vf1:mac=02:00:00:00:00:01\",\"ens3:vlan=1\"]" },
	{ "VIO4WD_VF_OPTIONS=(ens3:vlan=1 ens3:vlan=2)", "VIO4WD_VF_OPTIONS",
	  "[\"ens3:vlan=1\",\"ens3:vlan=2\"]" },
	{ "VIO4WD_VF_OPTIONS=", "VIO4WD_VF_OPTIONS", "[]" },
	{ "VIO4WD_NR_HUGEPAGES=1024", "VIO4WD_NR_HUGEPAGES", "[\"1024\"]" },
	{ "VIO4WD_NR_HUGEPAGES=(0:512 1:1)", "VIO4WD_NR_HUGEPAGES", "[\"0:512\",\"1:1\"]" },
	{ "VIO4WD_NR_HUGEPAGES=7:9", "VIO4WD_NR_HUGEPAGES", "[\"7:9\"]" },
	{ "VIO4WD_NR_HUGEPAGES=", "VIO4WD_NR_HUGEPAGES", "[]" },
	{ "VIRTIOFWD_VFIO_VF_TOKEN=0", "VIRTIOFWD_VFIO_VF_TOKEN",
	  "\"14d63f20-8445-11ea-8900-1f9ce7d5650d\"" },
	{ "VIRTIOFWD_VFIO_VF_TOKEN=14D63F20-8445-11EA-8900-1F9CE7D5650E", "VIRTIOFWD_VFIO_VF_TOKEN",
	  "\"14d63f20-8445-11ea-8900-1f9ce7d5650e\"" },
	{ "VIRTIOFWD_VFIO_VF_TOKEN=", "VIRTIOFWD_VFIO_VF_TOKEN", "\"\"" },
};

TEST_F(config, accepted_values) {
	struct config_case *c = &self->c;
	char value[512];

	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		ASSERT_EQ(0, config_case_read(c, accepted[i].text))
		{
			TH_LOG("%s: %s", accepted[i].text, config_case_first(c));
		}
		EXPECT_EQ(0, c->report.n_issues)
		{
			TH_LOG("%s: %s", accepted[i].text, config_case_first(c));
		}
		EXPECT_STREQ(accepted[i].value,
			     config_case_value(c, accepted[i].variable, value, sizeof(value)));
	}
}

/* There is always at least one worker, and not on the first CPU when there is another. */
TEST_F(config, default_mask_shrinks) {
	static const struct {
		const char *online, *mask;
		int lcore;
	} hosts[] = {
		{ "0", "0", 0 }, { "0-1", "1", 0 },  { "0-63", "1,2", 0 }, { "0,4", "4", 0 },
		{ "3", "3", 3 }, { "8-15", "9", 8 }, { "0,2-3", "2", 0 },
	};
	struct config_case *c = &self->c;
	char text[32];

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		config_root_write(c->root, "cpu/online", hosts[i].online);
		ASSERT_EQ(0, config_case_read(c, ""));
		EXPECT_EQ(0, c->report.n_issues);
		EXPECT_TRUE(c->cfg->cpu_mask_is_default);
		cpuset_format(&c->cfg->cpu_mask, text, sizeof(text));
		EXPECT_STREQ(hosts[i].mask, text);
		EXPECT_EQ(hosts[i].lcore, c->cfg->master_lcore);
	}
	ASSERT_EQ(0, config_case_read(c, "VIRTIOFWD_CPU_MASK=3"));
	EXPECT_FALSE(c->cfg->cpu_mask_is_default);
}

TEST_F(config, cpus_that_cannot_be_checked_are_a_warning) {
	struct config_case *c = &self->c;

	config_root_write(c->root, "cpu/online", "?");
	ASSERT_EQ(0, config_case_read(c, "VIRTIOFWD_CPU_MASK=5"));
	ASSERT_EQ(1, c->report.n_issues);
	EXPECT_FALSE(c->report.issues[0].is_error);
	EXPECT_TRUE(cpuset_has(&c->cfg->cpu_mask, 5));
}

TEST_F(config, nodes_that_are_not_there_are_a_warning) {
	struct config_case *c = &self->c;

	config_root_write(c->root, "node/online", "0-1\n");
	ASSERT_EQ(0, config_case_read(c, "VIO4WD_NR_HUGEPAGES=(0:1\n2:1\n1:1)"));
	ASSERT_EQ(1, c->report.n_issues);
	EXPECT_FALSE(c->report.issues[0].is_error);
	EXPECT_EQ(2, c->report.issues[0].line);
	EXPECT_NE(NULL, strstr(config_case_first(c), "this host does not have (it has 0-1)"));
	ASSERT_EQ(3, c->cfg->n_nr_hugepages);
	EXPECT_EQ(2, c->cfg->nr_hugepages[1].node);
}

TEST_F(config, ovsdb_falls_back) {
	struct config_case *c = &self->c;
	char dir[CONFIG_ROOT_MAX + 64];

	ASSERT_EQ(0, config_case_read(c, "VIRTIOFWD_OVSDB_SOCK_PATH="));
	EXPECT_STREQ("/run/openvswitch/db.sock", c->cfg->ovsdb_sock);
	snprintf(dir, sizeof(dir), "../../../usr/local/var/run/openvswitch/db.sock");
	config_root_write(c->root, dir, "");
	ASSERT_EQ(0, config_case_read(c, ""));
	EXPECT_STREQ("/usr/local/var/run/openvswitch/db.sock", c->cfg->ovsdb_sock);
}

TEST_F(config, socket_paths) {
	struct config_case *c = &self->c;
	char path[CONFIG_SOCKET_PATH_MAX + 1];
	struct err err;

	ASSERT_EQ(0, config_case_read(c, ""));
	ASSERT_EQ(0, config_socket_path(c->cfg, 7, path, NULL));
	EXPECT_STREQ("/tmp/virtio-forwarder7.sock", path);
	ASSERT_EQ(0, config_case_read(c, "VIRTIOFWD_SOCKET_DIR=/\n"
					 "VIRTIOFWD_SOCKET_FNAME_PATTERN='a b%u'"));
	ASSERT_EQ(0, config_socket_path(c->cfg, 63, path, NULL));
	EXPECT_STREQ("/a b63", path);
	ASSERT_EQ(0, config_case_read(c, "VIRTIOFWD_SOCKET_FNAME_PATTERN=1234567890123456789012345"
					 "678901234567890123456789012345678901234567890123456789012"
					 "345678901234567%u"));
	ASSERT_EQ(0, config_socket_path(c->cfg, 63, path, &err));
	EXPECT_EQ(-ENAMETOOLONG, config_socket_path(c->cfg, 4000000000u, path, &err));
	EXPECT_NE(NULL, strstr(err.text, "107"));
}

TEST_F(config, devices_by_alias) {
	struct config_case *c = &self->c;
	struct devname dev;
	struct err err;

	ASSERT_EQ(0, config_case_read(c, "VIO4WD_ALIASES=(0000:00:00.1=vdev:net_null1 "
					 "uplink=netdev:eth0)"));
	ASSERT_EQ(0, config_resolve_device(c->cfg, "pci_0000_00_00_1", &dev, &err));
	EXPECT_STREQ("vdev:net_null1", dev.text);
	EXPECT_STREQ("0000:00:00.1", config_device_name(c->cfg, &dev));
	ASSERT_EQ(0, config_resolve_device(c->cfg, "uplink", &dev, &err));
	EXPECT_STREQ("netdev:eth0", dev.text);
	ASSERT_EQ(0, config_resolve_device(c->cfg, "5:8.1", &dev, &err));
	EXPECT_STREQ("0000:05:08.1", config_device_name(c->cfg, &dev));
	EXPECT_EQ(-EINVAL, config_resolve_device(c->cfg, "upl1nk", &dev, &err));
	EXPECT_NE(NULL, strstr(err.text, "did you mean 'uplink'"));
	EXPECT_EQ(-EINVAL, config_resolve_device(c->cfg, "nothing-like-it", &dev, &err));
	EXPECT_NE(NULL, strstr(err.text, "allowed:"));
}

TEST(backend_names)
{
	enum config_backend backend;

	for (unsigned int i = CONFIG_BACKEND_AUTO; i <= CONFIG_BACKEND_SW; i++) {
		ASSERT_EQ(0, config_backend_parse(config_backend_name(i), &backend));
		EXPECT_EQ(i, backend);
	}
	EXPECT_EQ(-EINVAL, config_backend_parse("hw", &backend));
}

TEST_HARNESS_MAIN
