/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vio4wdctl as a program against a daemon whose answers are written here: what it asks, what it
 * prints, and its exit status.
 */

#include "ctl_fixture.h"

TEST_F(ctl, status) {
	self->result = "{\"relays\":[" RELAY "}," FREE_RELAY "]}";
	EXPECT_EQ(0, run(self, "status"));
	EXPECT_STREQ("status", self->method);
	EXPECT_STREQ(
		"ID DEVICE       BACKEND  STATE  VM  QUEUES CPUS TO-VM                TO-VF         "
		"DROPS SOCKET        REASON\n"
		" 1 netdev:veth0 software active yes      4 1/2  1.00 Mpps 512 Mbit/s 0 pps 0 bit/s "
		"5/0   /tmp/vf1.sock software: no vDPA\n",
		self->out);
	EXPECT_EQ(0, run(self, "status --all --no-headings"));
	EXPECT_EQ(NULL, strstr(self->out, "DEVICE"));
	EXPECT_IN("/tmp/vf2.sock", self->out);
}

TEST_F(ctl, json_is_the_result) {
	json_object *result;
	char expected[4096];

	self->result = "{\"relays\":[" RELAY ",\"new_key\":1}," FREE_RELAY "]}";
	EXPECT_EQ(0, run(self, "status --json"));
	result = json_tokener_parse(self->result);
	snprintf(expected, sizeof(expected), "%s\n",
		 json_object_to_json_string_ext(result, JSON_C_TO_STRING_PRETTY |
								JSON_C_TO_STRING_SPACED |
								JSON_C_TO_STRING_NOSLASHESCAPE));
	EXPECT_STREQ(expected, self->out);
	json_object_put(result);
}

TEST_F(ctl, show) {
	self->result =
		RELAY ",\"vm_detail\":{\"connected\":true,\"queues\":4,\"features_text\":"
		      "[\"VIRTIO_F_VERSION_1\"]},\"warnings\":[\"VIRTIOFWD_MRGBUF: off\",null],"
		      "\"history\":[{\"time\":1,\"text\":\"added\"}]}";
	EXPECT_EQ(0, run(self, "show 1"));
	EXPECT_IN("  warning      VIRTIOFWD_MRGBUF: off\n", self->out);
	EXPECT_STREQ("show", self->method);
	EXPECT_STREQ("{\"id\":1}", self->params);
	EXPECT_IN("VIRTIO_F_VERSION_1", self->out);
	EXPECT_IN("added", self->out);
	self->result = "[]"; /* nonsense of a daemon is no crash */
	EXPECT_EQ(0, run(self, "show 1"));
}

TEST_F(ctl, add_and_remove) {
	self->result = RELAY "}";
	EXPECT_EQ(0, run(self, "add --id 1 --device netdev:veth0 --backend sw --conditional"));
	EXPECT_STREQ(
		"{\"id\":1,\"device\":\"netdev:veth0\",\"backend\":\"sw\",\"conditional\":true}",
		self->params);
	EXPECT_IN("/tmp/vf1.sock", self->out);
	self->result = "{}";
	EXPECT_EQ(0, run(self, "remove 1"));
	EXPECT_STREQ("{\"id\":1}", self->params);
	EXPECT_EQ(0, run(self, "remove --id 1 --device netdev:veth0"));
	EXPECT_STREQ("{\"id\":1,\"device\":\"netdev:veth0\"}", self->params);
}

TEST_F(ctl, pin) {
	self->result = RELAY "}";
	EXPECT_EQ(0, run(self, "pin 1 --cpu 3"));
	EXPECT_STREQ("{\"id\":1,\"vf_to_vm\":3,\"vm_to_vf\":3}", self->params);
	EXPECT_EQ(0, run(self, "pin --cpu=3,4 1"));
	EXPECT_STREQ("{\"id\":1,\"vf_to_vm\":3,\"vm_to_vf\":4}", self->params);
	EXPECT_EQ(0, run(self, "pin 1 --cpu auto"));
	EXPECT_STREQ("{\"id\":1,\"vf_to_vm\":-1,\"vm_to_vf\":-1}", self->params);
}

#define VDPA_RELAY                                                                                    \
	"{\"id\":1,\"device\":\"ens3.vf2\",\"backend\":\"vdpa\",\"backend_wanted\":\"auto\","         \
	"\"vdpa\":{\"device\":\"vio4wd1\",\"path\":\"/dev/vhost-vdpa-0\",\"mode\":\"shadow\","        \
	"\"mode_reason\":\"the device takes no base but 0\",\"switches\":2,\"last_switch_us\":1850}," \
	"\"masked\":[{\"feature\":\"VIRTIO_NET_F_MQ\",\"by\":\"device\"},"                            \
	"{\"feature\":\"VIRTIO_NET_F_CTRL_VQ\",\"by\":\"relay\"}],"                                   \
	"\"state\":\"active\",\"reason\":\"shadow: the device takes no base but 0\",\"vm\":true,"     \
	"\"mode\":\"server\",\"socket\":\"/tmp/vf1.sock\""

TEST_F(ctl, backend) {
	self->result = VDPA_RELAY ",\"pause_us\":1850}";
	EXPECT_EQ(0, run(self, "backend 1 vdpa"));
	EXPECT_STREQ("backend", self->method);
	EXPECT_STREQ("{\"id\":1,\"backend\":\"vdpa\"}", self->params);
	EXPECT_STREQ(
		"relay 1: shadow, active, after a pause of 1.9 ms (shadow: the device takes no "
		"base but 0)\n",
		self->out);
	self->result = VDPA_RELAY ",\"pause_us\":null}";
	EXPECT_EQ(0, run(self, "backend 1 auto"));
	EXPECT_EQ(NULL, strstr(self->out, "pause"));
	EXPECT_EQ(2, run(self, "backend 1 hardware"));
	EXPECT_IN("must be auto, sw or vdpa", self->error);
	EXPECT_EQ(2, run(self, "backend 1"));
}

TEST_F(ctl, vdpa_in_status_and_show) {
	self->result = "{\"relays\":[" VDPA_RELAY "}]}";
	EXPECT_EQ(0, run(self, "status"));
	EXPECT_IN("ens3.vf2 shadow", self->out);
	self->result = VDPA_RELAY "}";
	EXPECT_EQ(0, run(self, "show 1"));
	EXPECT_IN("mode         shadow (the device takes no base but 0)\n", self->out);
	EXPECT_IN("vDPA device  vio4wd1, /dev/vhost-vdpa-0\n", self->out);
	EXPECT_IN("switches     2, the last with a pause of 1.9 ms\n", self->out);
	EXPECT_IN("device lacks: VIRTIO_NET_F_MQ\n", self->out);
	EXPECT_IN("relay lacks: VIRTIO_NET_F_CTRL_VQ\n", self->out);
}

TEST_F(ctl, others) {
	EXPECT_EQ(0, run(self, "relays"));
	EXPECT_STREQ("relays", self->method);
	EXPECT_EQ(0, run(self, "stats 1 --window 500"));
	EXPECT_STREQ("{\"id\":1,\"window_ms\":500}", self->params);
	self->result = "{\"level\":7}";
	EXPECT_EQ(0, run(self, "log-level 7"));
	EXPECT_STREQ("7 (debug)\n", self->out);
	EXPECT_STREQ("{\"level\":7}", self->params);
	self->result = "{\"warnings\":[\"line 3: later\"]}";
	EXPECT_EQ(0, run(self, "reload"));
	EXPECT_STREQ("vio4wdctl: warning: line 3: later\n", self->error);
	EXPECT_EQ(0, run(self, "version"));
	EXPECT_EQ(0, run(self, "config show"));
	EXPECT_STREQ("VIRTIOFWD_MRGBUF=false\nVIRTIOFWD_JUMBO=true\n", self->out);
}

TEST_F(ctl, arguments_for_qemu) {
	self->result = RELAY "}";
	EXPECT_EQ(0, run(self, "qemu-args 1 --queues 2 --mac 52:54:00:00:00:01 --memory 2G"));
	EXPECT_STREQ("-m 2048M\n"
		     "-object memory-backend-memfd,id=vio4wd-mem,size=2048M,share=on\n"
		     "-machine memory-backend=vio4wd-mem\n"
		     "-chardev socket,id=vio4wd1,path=/tmp/vf1.sock,reconnect=1\n"
		     "-netdev vhost-user,id=vio4wd-net1,chardev=vio4wd1,queues=2\n"
		     "-device virtio-net-pci,netdev=vio4wd-net1,mq=on,vectors=6,"
		     "mac=52:54:00:00:00:01,mrg_rxbuf=off,host_mtu=9000\n",
		     self->out);
	self->result = "{\"id\":1,\"mode\":\"client\",\"socket\":\"/tmp/a,b\"}";
	EXPECT_EQ(0, run(self, "qemu-args 1 --qemu 10.0 --hugepages"));
	EXPECT_IN("path=/tmp/a,,b,server=on,wait=off\n", self->out);
	EXPECT_IN("size=1024M,share=on,hugetlb=on,hugetlbsize=2M\n", self->out);
	EXPECT_EQ(0, run(self, "qemu-args 1 --hugepages=1G --disable-legacy --memory 2G"));
	EXPECT_IN("size=2048M,share=on,hugetlb=on,hugetlbsize=1024M\n", self->out);
	EXPECT_IN("-device virtio-net-pci,netdev=vio4wd-net1,disable-legacy=on,", self->out);
	EXPECT_EQ(0, run(self, "libvirt-xml 1 --hugepages=1G --disable-legacy --memory 2G"));
	EXPECT_IN("<page size='1024' unit='MiB'/>", self->out);
	EXPECT_IN("<model type='virtio-non-transitional'/>", self->out);
	EXPECT_EQ(0, run(self, "libvirt-xml 1"));
	EXPECT_IN("<model type='virtio'/>", self->out);
	EXPECT_EQ(NULL, strstr(self->out, "<hugepages>"));
	EXPECT_IN("path='/tmp/a,b' mode='server'/>", self->out);
	self->result = "{\"id\":1,\"mode\":\"server\",\"socket\":\"/tmp/a<'b\"}";
	EXPECT_EQ(0, run(self, "qemu-args 1 --qemu 10.0"));
	EXPECT_IN("reconnect-ms=1000\n", self->out);
	EXPECT_EQ(0, run(self, "libvirt-xml 1"));
	EXPECT_IN("path='/tmp/a&lt;&apos;b' mode='client'>", self->out);
}

#define VF_RELAY                                                                               \
	"{\"id\":1,\"device\":\"ens3.vf2\",\"address\":\"0000:01:10.4\",\"state\":\"active\"," \
	"\"mode\":\"server\",\"socket\":\"/tmp/vf1.sock\",\"device_detail\":{\"mac\":"

/* A VF delivers only what is addressed to it. */
TEST_F(ctl, the_vm_of_a_vf_has_its_mac) {
	self->result = VF_RELAY "\"52:54:00:00:00:A1\"}}";
	EXPECT_EQ(0, run(self, "qemu-args 1"));
	EXPECT_IN("-device virtio-net-pci,netdev=vio4wd-net1,mac=52:54:00:00:00:A1", self->out);
	EXPECT_EQ(NULL, strstr(self->error, "--mac"));
	EXPECT_EQ(0, run(self, "libvirt-xml 1"));
	EXPECT_IN("<mac address='52:54:00:00:00:A1'/>", self->out);
	EXPECT_EQ(0, run(self, "qemu-args 1 --mac 52:54:00:00:00:a1"));
	EXPECT_EQ(NULL, strstr(self->error, "the VF's"));
	EXPECT_EQ(0, run(self, "qemu-args 1 --mac 52:54:00:00:00:02"));
	EXPECT_IN(",mac=52:54:00:00:00:02", self->out);
	EXPECT_IN("# the VF's own MAC address is 52:54:00:00:00:A1", self->error);
	EXPECT_EQ(0, run(self, "libvirt-xml 1 --mac 52:54:00:00:00:02"));
	EXPECT_IN("# the VF's own MAC address is", self->error);
}

/* As DPDK's igb VF driver does when the PF does not answer it. */
TEST_F(ctl, the_mac_of_the_pf_is_the_one) {
	self->result = VF_RELAY "\"9e:12:34:56:78:9a\"}}";
	self->vfs = "{\"pfs\":[{\"vfs\":[{\"relay\":1,\"mac\":\"52:54:00:00:00:a2\"}]}]}";
	EXPECT_EQ(0, run(self, "qemu-args 1"));
	EXPECT_IN(",mac=52:54:00:00:00:a2", self->out);
	EXPECT_IN("# the PF gives this VF the MAC address 52:54:00:00:00:a2, but the device has "
		  "started with 9e:12:34:56:78:9a",
		  self->error);
	self->vfs = "{\"pfs\":[{\"vfs\":[{\"relay\":1,\"mac\":\"00:00:00:00:00:00\"}]}]}";
	EXPECT_EQ(0, run(self, "qemu-args 1"));
	EXPECT_IN(",mac=9e:12:34:56:78:9a", self->out);
	EXPECT_EQ(NULL, strstr(self->error, "the PF"));
}

TEST_F(ctl, the_mac_of_a_vf_before_it_is_attached) {
	self->result = VF_RELAY "null}}";
	self->vfs = "{\"pfs\":[{\"vfs\":[]},{\"vfs\":[{\"relay\":null},"
		    "{\"relay\":1,\"mac\":\"52:54:00:00:00:a2\"}]}]}";
	EXPECT_EQ(0, run(self, "qemu-args 1"));
	EXPECT_IN(",mac=52:54:00:00:00:a2", self->out);
	self->vfs = "{\"pfs\":[{\"vfs\":[{\"relay\":1,\"mac\":\"00:00:00:00:00:00\"}]}]}";
	EXPECT_EQ(0, run(self, "qemu-args 1"));
	EXPECT_EQ(NULL, strstr(self->out, "mac="));
	EXPECT_IN("# the VF's MAC address is not known yet", self->error);
	self->vfs = "{\"pfs\":[{\"vfs\":[{\"relay\":1,\"mac\":\"a,b\"}]}]}";
	EXPECT_EQ(0, run(self, "libvirt-xml 1 --json"));
	EXPECT_IN("the VF's MAC address is not known yet", self->out);
	EXPECT_EQ(NULL, strstr(self->out, "<mac"));
	/* an interface that is relayed keeps its address for the host */
	self->result = RELAY ",\"device_detail\":{\"mac\":\"52:54:00:00:00:a1\"}}";
	EXPECT_EQ(0, run(self, "qemu-args 1"));
	EXPECT_EQ(NULL, strstr(self->out, "mac="));
	EXPECT_STREQ("config", self->method);
}

TEST_F(ctl, show_tells_the_address_of_a_vf) {
	self->result = VF_RELAY "null}}";
	EXPECT_EQ(0, run(self, "show 1"));
	EXPECT_IN("  device       ens3.vf2\n  address      0000:01:10.4\n", self->out);
	self->result = "{\"id\":1,\"device\":\"0000:01:10.4\",\"address\":\"0000:01:10.4\"}";
	EXPECT_EQ(0, run(self, "show 1"));
	EXPECT_EQ(NULL, strstr(self->out, "address"));
	self->result = "{\"id\":1,\"device\":\"ens3.vf2\",\"address\":null,\"state\":\"absent\","
		       "\"reason\":\"ens3 has no VF 2\"}";
	EXPECT_EQ(0, run(self, "show 1"));
	EXPECT_EQ(NULL, strstr(self->out, "address"));
	EXPECT_IN("  state        absent\n  reason       ens3 has no VF 2\n", self->out);
}

TEST_F(ctl, refusals) {
	static const char *const lines[] = { "show 99",	       "add --id 99 --device x",
					     "remove 99",      "stats 99",
					     "pin 99 --cpu 1", "qemu-args 99",
					     "libvirt-xml 99", "status --json" };

	self->result = NULL;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		EXPECT_EQ(1, run_alone(self, "--runtime-dir %s %s", self->dir, lines[i]));
		EXPECT_STREQ("vio4wdctl: relay 99: ids are 0 to 63\n", self->error);
		EXPECT_STREQ("", self->out);
	}
}

TEST_F(ctl, wrong_usage) {
	static const char *const lines[] = {
		"",
		"vf",
		"nonsense",
		"status x",
		"status --nonsense",
		"show",
		"show x",
		"show -1",
		"show 1 2",
		"add",
		"add --id 1",
		"add --device x",
		"add --id",
		"remove",
		"remove 1 --id 1",
		"pin 1",
		"pin 1 --cpu x",
		"pin 1 --cpu 1,2,3",
		"log-level 8",
		"config",
		"config x",
		"config show x",
		"config uses",
		"config uses a b c",
		"vf foo",
		"vf list a b",
		"vf list --force",
		"vf list --nonsense",
		"vf create",
		"vf create 4",
		"vf create ens3",
		"vf create ens3 0",
		"vf create ens3 x",
		"vf create ens3 65536",
		"vf create 4 ens3",
		"vf create ens3 4 5",
		"vf destroy",
		"vf destroy ens3 4",
		"stats --watch=0",
		"stats --window 1001",
		"--timeout x status",
		"add --id 1 --device d --backend x",
		"qemu-args 1 --queues 33",
		"qemu-args 1 --queues 0",
		"qemu-args 1 --mac 5",
		"qemu-args 1 --mac 01:00:00:00:00:00",
		"qemu-args 1 --memory 5",
		"qemu-args 1 --hugepages=4K",
		"qemu-args 1 --hugepages=1G --memory 1536M",
		"libvirt-xml 1 --hugepages --memory 513M",
		"libvirt-xml 1 --qemu 9",
		"status --json=1",
		"-x",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		EXPECT_EQ(2, run_alone(self, "--runtime-dir %s %s", self->dir, lines[i]))
		{
			TH_LOG("line: %s", lines[i]);
		}
		EXPECT_IN("--help", self->error);
		EXPECT_STREQ("", self->out);
		EXPECT_EQ(0, self->requests);
	}
	run(self, "stauts");
	EXPECT_IN("did you mean 'status'?", self->error);
	run(self, "add --devcie x");
	EXPECT_IN("did you mean --device?", self->error);
}

TEST_F(ctl, help_needs_no_daemon) {
	static const char *const commands[] = { "status",  "show",   "add",	  "remove",
						"stats",   "pin",    "relays",	  "log-level",
						"reload",  "config", "qemu-args", "libvirt-xml",
						"version", "vf" };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		EXPECT_EQ(0, run_alone(self, "%s --help", commands[i]));
		EXPECT_IN("Usage: vio4wdctl", self->out);
		EXPECT_IN(commands[i], self->out);
	}
	EXPECT_EQ(0, run_alone(self, "--help"));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		EXPECT_IN(commands[i], self->out);
	}
	EXPECT_EQ(0, run_alone(self, "--version"));
	EXPECT_STREQ("vio4wdctl " VIO4WD_VERSION "\n", self->out);
}

TEST_F(ctl, daemon_cannot_be_reached) {
	EXPECT_EQ(3, run_alone(self, "--runtime-dir /tmp/test-wire-ctl.none status"));
	EXPECT_IN("/tmp/test-wire-ctl.none/control", self->error);
	EXPECT_IN("not running", self->error);
	rpc_server_free(self->server);
	self->server = NULL;
	EXPECT_EQ(3, run(self, "status"));
	EXPECT_IN("nobody listens", self->error);
}

TEST_F(ctl, daemon_that_goes_or_is_silent) {
	self->then = CLOSE;
	EXPECT_EQ(3, run(self, "status"));
	self->then = SILENT;
	EXPECT_EQ(3, run(self, "--timeout 0.1 status"));
	EXPECT_IN("did not answer", self->error);
}

TEST_F(ctl, runtime_dir_of_the_configuration) {
	char file[80];
	FILE *f;

	snprintf(file, sizeof(file), "%s/conf", self->dir);
	f = fopen(file, "w");
	fprintf(f, "VIO4WD_RUNTIME_DIR=%s\n", self->dir);
	fclose(f);
	EXPECT_EQ(0, run_alone(self, "status --config %s", file));
	EXPECT_EQ(1, self->requests);
	unlink(file);
	EXPECT_EQ(1, run_alone(self, "status --config %s", file));
	EXPECT_IN(file, self->error);
}

TEST_F(ctl, config_check) {
	char file[80], expected[100];
	FILE *f;

	snprintf(file, sizeof(file), "%s/conf", self->dir);
	f = fopen(file, "w");
	fprintf(f, "VIRTIOFWD_LOG_LEVEL=9\nVIRTIOFWD_LOG_LEVLE=6\nVIRTIOFWD_SOCKET_DIR=`x`\n");
	fclose(f);
	EXPECT_EQ(1, run_alone(self, "config check %s", file));
	snprintf(expected, sizeof(expected), "%s:1: error: ", file);
	EXPECT_IN(expected, self->out);
	snprintf(expected, sizeof(expected), "%s:2: warning: ", file);
	EXPECT_IN(expected, self->out);
	snprintf(expected, sizeof(expected), "%s:3: error: ", file);
	EXPECT_IN(expected, self->out);
	EXPECT_EQ(1, run_alone(self, "--json config check %s", file));
	EXPECT_IN("\"severity\": \"warning\"", self->out);
	EXPECT_EQ(1, run_alone(self, "config show --config %s", file));
	f = fopen(file, "w");
	fprintf(f, "VIRTIOFWD_LOG_LEVEL=5\n");
	fclose(f);
	EXPECT_EQ(0, run_alone(self, "config check %s", file));
	EXPECT_EQ(0, run_alone(self, "config show --config %s", file));
	EXPECT_IN("VIRTIOFWD_LOG_LEVEL=5\n", self->out);
	EXPECT_EQ(0, self->requests);
	unlink(file);
}

TEST_F(ctl, config_uses) {
	char file[80], expected[200];
	FILE *f;

	snprintf(file, sizeof(file), "%s/conf", self->dir);
	f = fopen(file, "w");
	fprintf(f, "VIRTIOFWD_STATIC_VFS=netdev:lo=3\n");
	fclose(f);
	EXPECT_EQ(0, run_alone(self, "config uses lo --config %s", file));
	EXPECT_STREQ("lo: used: VIRTIOFWD_STATIC_VFS has netdev:lo=3\n", self->out);
	EXPECT_EQ(0, run_alone(self, "config uses netdev:lo --json --config %s", file));
	EXPECT_IN("\"used\": true", self->out);
	EXPECT_EQ(2, run_alone(self, "config uses no-such-device --config %s", file));
	EXPECT_IN("no device of this host", self->error);
	EXPECT_EQ(2, run_alone(self, "config uses ffff:ff:1f.7 --config %s", file));
	EXPECT_IN("no such PCI function", self->error);
	f = fopen(file, "w");
	fprintf(f, "VIRTIOFWD_STATIC_VFS=netdev:lo1=3\n");
	fclose(f);
	EXPECT_EQ(1, run_alone(self, "config uses lo --config %s", file));
	EXPECT_STREQ("lo: not used: no variable names it\n", self->out);
	f = fopen(file, "w");
	fprintf(f, "VIRTIOFWD_STATIC_VFS=lo=3\n");
	fclose(f);
	EXPECT_EQ(2, run_alone(self, "config uses lo --config %s", file));
	snprintf(expected, sizeof(expected), "%s:1: error: VIRTIOFWD_STATIC_VFS", file);
	EXPECT_IN(expected, self->error);
	EXPECT_STREQ("", self->out);
	unlink(file);
	EXPECT_EQ(2, run_alone(self, "config uses lo --config %s", file));
	EXPECT_IN("cannot be read", self->error);
}

TEST_F(ctl, watch_goes_on_until_interrupted) {
	self->result = "{\"relays\":[{\"id\":1,\"vf_to_vm\":{},\"vm_to_vf\":{}}]}";
	EXPECT_EQ(0, run_stopped(self, 3, "--runtime-dir %s stats --watch=0.05", self->dir));
	EXPECT_LE(3, self->requests);
	EXPECT_EQ(NULL, strchr(self->out, '\033'));
	EXPECT_EQ(0, run_stopped(self, 3, "--runtime-dir %s stats --watch=0.05 --json", self->dir));
	EXPECT_IN("}\n{", self->out);
	/* A daemon that closes is asked again; one that was never there is not waited for. */
	self->then = CLOSE;
	EXPECT_EQ(3, run_stopped(self, 3, "--runtime-dir %s stats --watch=0.05", self->dir));
	EXPECT_EQ(1, self->requests);
}

TEST_HARNESS_MAIN
