/* SPDX-License-Identifier: BSD-3-Clause */

/* vio4wdctl vdpa, and what stats has of vDPA devices. */
#include "ctl_fixture.h"

#define LIST                                                                                           \
	"{\"management\":[{\"name\":\"pci/0000:05:08.1\",\"classes\":[\"net\"],\"max_virtqueues\":65," \
	"\"features\":[\"MQ\",\"VERSION_1\",\"41\"],\"vf\":\"ens3.vf1\","                              \
	"\"address\":\"0000:05:08.1\"},{\"name\":\"vdpasim_net\",\"classes\":[\"net\",\"block\"],"     \
	"\"max_virtqueues\":null,\"features\":[],\"vf\":null,\"address\":null}],"                      \
	"\"devices\":[{\"name\":\"vio4wd1\",\"management\":\"pci/0000:05:08.1\",\"driver\":"           \
	"\"vhost_vdpa\",\"path\":\"/dev/vhost-vdpa-0\",\"mac\":\"52:54:00:00:00:01\",\"mtu\":1500,"    \
	"\"queue_pairs\":32,\"features\":[\"MQ\"],\"relay\":1,\"state\":\"active\"}]}"

TEST_F(ctl, vdpa_list) {
	self->result = LIST;
	EXPECT_EQ(0, run(self, "vdpa list"));
	EXPECT_STREQ("vdpa-list", self->method);
	EXPECT_STREQ("MANAGEMENT       VF       CLASSES   VIRTQUEUES FEATURES\n"
		     "pci/0000:05:08.1 ens3.vf1 net               65 MQ VERSION_1 41\n"
		     "vdpasim_net      -        net block          - -\n"
		     "\n"
		     "DEVICE  MANAGEMENT       DRIVER     FILE              MAC                MTU "
		     "PAIRS RELAY STATE\n"
		     "vio4wd1 pci/0000:05:08.1 vhost_vdpa /dev/vhost-vdpa-0 52:54:00:00:00:01 1500 "
		     "   32     1 active\n",
		     self->out);
	self->result = "{\"management\":[],\"devices\":[]}";
	EXPECT_EQ(0, run(self, "vdpa list"));
	EXPECT_STREQ("", self->out);
	EXPECT_IN("no vDPA management device", self->error);
	self->result = "[]"; /* nonsense of a daemon is no crash */
	EXPECT_EQ(0, run(self, "vdpa list"));
}

TEST_F(ctl, vdpa_show) {
	self->result = LIST;
	EXPECT_EQ(0, run(self, "vdpa show vio4wd1"));
	EXPECT_IN("path            /dev/vhost-vdpa-0\n", self->out);
	EXPECT_IN("features        MQ\n", self->out);
	EXPECT_EQ(0, run(self, "vdpa show pci/0000:05:08.1 --json"));
	EXPECT_IN("VERSION_1", self->out);
	EXPECT_EQ(1, run(self, "vdpa show vio4wd2"));
	EXPECT_IN("did you mean 'vio4wd1'?", self->error);
	EXPECT_EQ(1, run(self, "vdpa show nonsense"));
	EXPECT_IN("vdpa list", self->error);
}

TEST_F(ctl, vdpa_usage) {
	EXPECT_EQ(2, run(self, "vdpa"));
	EXPECT_EQ(2, run(self, "vdpa show"));
	EXPECT_IN("the name is missing", self->error);
	EXPECT_EQ(2, run(self, "vdpa list vio4wd1"));
	EXPECT_EQ(2, run(self, "vdpa make"));
	EXPECT_IN("it must be vdpa list or vdpa show NAME", self->error);
	EXPECT_EQ(0, self->requests);
}

#define HANDED_OUT                                                                                     \
	"{\"id\":1,\"device\":\"ens3.vf1\",\"as\":\"vhost-vdpa\",\"socket\":null,\"mode\":\"server\"," \
	"\"state\":\"listening\",\"reason\":\"\",\"vdpa\":{\"device\":\"vio4wd1\","                    \
	"\"path\":\"/dev/vhost-vdpa-0\"},\"device_detail\":null,"                                      \
	"\"devices\":[{\"name\":\"vio4wd2\",\"relay\":null,\"mac\":\"52:54:00:00:00:09\"},"            \
	"{\"name\":\"vio4wd1\",\"relay\":1,\"mac\":\"52:54:00:00:00:07\"}]}"

TEST_F(ctl, handed_out) {
	self->result = HANDED_OUT;
	EXPECT_EQ(0, run(self, "add --id 1 --device ens3.vf1 --as vhost-vdpa"));
	EXPECT_STREQ("{\"id\":1,\"device\":\"ens3.vf1\",\"as\":\"vhost-vdpa\"}", self->params);
	EXPECT_STREQ("relay 1: ens3.vf1, listening, vhost-vdpa device /dev/vhost-vdpa-0\n",
		     self->out);
	EXPECT_EQ(2, run(self, "add --id 1 --device ens3.vf1 --as hostdev"));
	EXPECT_IN("must be socket or vhost-vdpa", self->error);
}

TEST_F(ctl, handed_out_to_qemu) {
	self->result = HANDED_OUT;
	EXPECT_EQ(0, run(self, "qemu-args 1 --queues 2 --mac 52:54:00:00:00:01"));
	EXPECT_STREQ("-m 1024M\n"
		     "-netdev type=vhost-vdpa,id=vio4wd-net1,vhostdev=/dev/vhost-vdpa-0,queues=2\n"
		     "-device virtio-net-pci,netdev=vio4wd-net1,mq=on,vectors=6,"
		     "mac=52:54:00:00:00:01,host_mtu=9000\n",
		     self->out);
	EXPECT_IN("lock all of the VM's memory", self->error);
	/* The device's own address: nothing else is delivered. */
	EXPECT_IN("the VF's own MAC address is 52:54:00:00:00:07", self->error);
	EXPECT_EQ(0, run(self, "qemu-args 1"));
	EXPECT_IN(",mac=52:54:00:00:00:07", self->out);
	EXPECT_EQ(0, run(self, "libvirt-xml 1 --mac 52:54:00:00:00:01"));
	EXPECT_STREQ("<!-- in <devices> -->\n"
		     "<interface type='vdpa'>\n"
		     "  <mac address='52:54:00:00:00:01'/>\n"
		     "  <source dev='/dev/vhost-vdpa-0'/>\n"
		     "  <model type='virtio'/>\n"
		     "</interface>\n",
		     self->out);
	self->result = "{\"id\":1,\"as\":\"vhost-vdpa\",\"vdpa\":null,\"reason\":\"no IOMMU\"}";
	EXPECT_EQ(1, run(self, "qemu-args 1"));
	EXPECT_IN("relay 1 has no vDPA device yet: no IOMMU", self->error);
}

TEST_F(ctl, counters_of_devices) {
	self->result = "{\"relays\":[{\"id\":1,\"device\":\"ens3.vf1\",\"device_counters\":["
		       "{\"queue\":0,\"name\":\"received_desc\",\"value\":1234}]}]}";
	EXPECT_EQ(0, run(self, "stats"));
	EXPECT_IN("ID VIRTQUEUE DEVICE-COUNTER VALUE\n", self->out);
	EXPECT_IN(" 1         0 received_desc   1234\n", self->out);
	self->result = "{\"relays\":[{\"id\":1,\"device\":\"ens3.vf1\"}]}";
	EXPECT_EQ(0, run(self, "stats"));
	EXPECT_EQ(NULL, strstr(self->out, "COUNTER"));
}

TEST_HARNESS_MAIN
