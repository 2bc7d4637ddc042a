/* SPDX-License-Identifier: BSD-3-Clause */

/* binding_inspect(): what is refused, and in which words. */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>

#include <kselftest_harness.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/socket.h>

#include "common/cleanup.h"
#include "udev/binding.h"

#include "fake_kernel.h"

#define NETDEV "enp1s0v0" /* of the VF, in the tree */

FIXTURE(inspected) {
	char root[CONFIG_ROOT_MAX];
	struct binding_plan plan;
	struct binding_state now;
	struct err err;
};

FIXTURE_SETUP(inspected)
{
	fake_root_make(self->root);
	fake_kernel_start(self->root, "igb-7vfs");
	self->plan =
		(struct binding_plan){ .driver = "vfio-pci", .attributes = VF_ATTRIBUTES_UNSET };
	pci_addr_parse(&self->plan.addr, VF_ADDR);
}

FIXTURE_TEARDOWN(inspected)
{
	config_root_remove(self->root);
}

#define inspect() binding_inspect(self->root, &self->plan, &self->now, &self->err)
#define inspect_at(text)                                \
	({                                              \
		pci_addr_parse(&self->plan.addr, text); \
		inspect();                              \
	})
#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}

static void other_tree(const char *root, const char *name)
{
	config_root_remove(root);
	mkdir(root, 0700);
	sysfs_tree_unpack(root, name);
	sysfs_tree_folders(root, "/sys/bus/pci/drivers/vfio-pci/");
	fake_put_attributes(&(struct vf_attributes){ .has_mac = true });
}

static void no_override(const char *root, const char *addr)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", addr);
	sysfs_tree_file(root, path, "(null)\n");
}

TEST_F(inspected, facts) {
	struct vf_attributes pf = {
		.has_mac = true, .vlan = 7, .qos = 2, .trust = -1, .spoofchk = 1
	};

	fake_put_attributes(&pf);
	sysfs_tree_file(self->root, VF_DIR "/driver_override", "igbvf\n");
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, self->err.code);
	EXPECT_STREQ("igbvf", self->now.driver);
	EXPECT_STREQ("igbvf", self->now.override);
	EXPECT_EQ(0, memcmp(&pf, &self->now.attributes, sizeof(pf)));
	EXPECT_STREQ("", kernel.steps);
	fake_kernel_put_on("");
	sysfs_tree_file(self->root, VF_DIR "/driver_override", "(null)\n");
	kernel.attributes = -EOPNOTSUPP;
	EXPECT_EQ(0, inspect());
	EXPECT_STREQ("", self->now.driver);
	EXPECT_STREQ("", self->now.override);
	EXPECT_FALSE(self->now.attributes.has_mac);
	EXPECT_EQ(-1, self->now.attributes.vlan);
}

TEST_F(inspected, no_vf) {
	EXPECT_EQ(-ENODEV, inspect_at("0000:01:12.0"));
	EXPECT_SAID("0000:01:12.0");
	EXPECT_EQ(-EINVAL, inspect_at("0000:01:00.0"));
	EXPECT_SAID("is a PF");
	EXPECT_EQ(-EINVAL, inspect_at("0000:00:1f.0"));
	EXPECT_SAID("0000:00:1f.0 is no VF but a");
}

TEST_F(inspected, on_the_driver) {
	fake_kernel_put_on("vfio-pci");
	EXPECT_EQ(0, inspect());
	EXPECT_STREQ("vfio-pci", self->now.driver);
}

TEST_F(inspected, group_is_open) {
	fake_kernel_put_on("vfio-pci");
	kernel.busy = true;
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID(
		"used by another program (a VM with it as hostdev?), which has /dev/vfio/7 open");
	sysfs_tree_file(self->root, "/proc/77/comm", "bash\n");
	sysfs_tree_link(self->root, "/proc/77/fd/0", "/dev/vfio/71");
	sysfs_tree_file(self->root, "/proc/1234/comm", "qemu-system-x86\n");
	sysfs_tree_link(self->root, "/proc/1234/fd/17", VF_NODE);
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("0000:01:10.0 is used by qemu-system-x86 (process 1234)");
	EXPECT_SAID("VIO4WD_EXCLUDE");
	/* A driver that knows more of the device than vfio-pci does. */
	fake_kernel_put_on("mlx5_vfio_pci");
	EXPECT_EQ(-EBUSY, inspect());
	kernel.busy = false;
	EXPECT_EQ(0, inspect());
}

TEST_F(inspected, uio_is_open) {
	fake_kernel_put_on("igb_uio");
	EXPECT_EQ(0, inspect());
	sysfs_tree_file(self->root, "/proc/1234/comm", "dpdk-testpmd\n");
	sysfs_tree_link(self->root, "/proc/1234/fd/17", "/dev/uio3");
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("used by dpdk-testpmd (process 1234)");
}

TEST_F(inspected, no_iommu) {
	other_tree(self->root, "no-iommu");
	no_override(self->root, "0000:01:10.0");
	EXPECT_EQ(-ENOTSUP, inspect_at("0000:01:10.0"));
	EXPECT_SAID("no IOMMU");
	EXPECT_SAID("intel_iommu=on");
	EXPECT_SAID("AMD-Vi");
	/* On vfio-pci without IOMMU: made unsafe by enable_unsafe_noiommu_mode. */
	no_override(self->root, "0000:01:10.2");
	EXPECT_EQ(-ENOTSUP, inspect_at("0000:01:10.2"));
}

TEST_F(inspected, shared_group) {
	char members[CONFIG_ROOT_MAX];

	other_tree(self->root, "shared-group");
	no_override(self->root, "0000:02:10.0");
	EXPECT_EQ(-EXDEV, inspect_at("0000:02:10.0"));
	EXPECT_SAID("IOMMU group 1 with 0000:02:00.0 0000:02:10.1 0000:02:10.2:");
	EXPECT_SAID("ACS");
	for (int i = 0; i < 20; i++) {
		snprintf(members, sizeof(members),
			 "/sys/kernel/iommu_groups/1/devices/0000:09:%02x.0", i);
		sysfs_tree_file(self->root, members, "");
	}
	EXPECT_EQ(-EXDEV, inspect());
	EXPECT_SAID("0000:09:04.0 and 15 more:");
}

TEST_F(inspected, uio_drivers) {
	strcpy(self->plan.driver, "igb_uio");
	EXPECT_EQ(-ENOTSUP, inspect());
	EXPECT_SAID("VIO4WD_UIO_DRIVER=vfio-pci");
	EXPECT_SAID("physical addresses");
	strcpy(self->plan.driver, "uio_pci_generic");
	EXPECT_EQ(-ENOTSUP, inspect());
	EXPECT_SAID("legacy interrupt");
}

TEST_F(inspected, module_missing) {
	sysfs_tree_remove(self->root, "/sys/bus/pci/drivers/vfio-pci");
	EXPECT_EQ(-ENOENT, inspect());
	EXPECT_SAID("/lib/modules/");
	EXPECT_SAID("linux-image-amd64");
	EXPECT_EQ(-ENOENT, binding_bind(self->root, &self->plan, &self->err));
	EXPECT_STREQ("", kernel.steps);
}

TEST_F(inspected, set_aside) {
	fake_kernel_put_on("pci-stub");
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("/sys/bus/pci/drivers/pci-stub/unbind");
}

TEST_F(inspected, vdpa_device) {
	sysfs_tree_link(self->root, "/sys/bus/vdpa/devices/vdpa0",
			"../../../devices/pci0000:00/0000:00:1c.0/0000:01:10.2/vdpa0");
	EXPECT_EQ(0, inspect());
	sysfs_tree_link(self->root, "/sys/bus/vdpa/devices/blue",
			"../../../devices/pci0000:00/0000:00:1c.0/" VF_ADDR "/blue");
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("vdpa dev del blue");
}

TEST_F(inspected, another_network_namespace) {
	sysfs_tree_remove(self->root, VF_DIR "/net/" NETDEV);
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("another network namespace");
	/* A driver without interface. */
	fake_kernel_put_on("vp-vdpa");
	sysfs_tree_remove(self->root, VF_DIR "/net");
	EXPECT_EQ(0, inspect());
	sysfs_tree_folders(self->root, VF_DIR "/virtio3/net/");
	EXPECT_EQ(-EBUSY, inspect());
}

TEST_F(inspected, attributes_of_a_pf_without_interface) {
	other_tree(self->root, "no-driver");
	no_override(self->root, "0000:0a:02.0");
	EXPECT_EQ(0, inspect_at("0000:0a:02.0"));
	self->plan.attributes.vlan = 5;
	EXPECT_EQ(-ENOTSUP, inspect());
	EXPECT_SAID("no network interface");
}

TEST_F(inspected, beside_its_kernel_driver) {
	other_tree(self->root, "connectx");
	no_override(self->root, "0000:3b:00.2");
	no_override(self->root, "0000:3b:00.3");
	no_override(self->root, "0000:3b:00.4");
	EXPECT_EQ(0, inspect_at("0000:3b:00.2"));
	EXPECT_TRUE(binding_ready(self->root, &self->plan));
	EXPECT_EQ(0, binding_bind(self->root, &self->plan, &self->err));
	EXPECT_EQ(0, inspect_at("0000:3b:00.3"));
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
	EXPECT_EQ(-EBUSY, inspect_at("0000:3b:00.4"));
	EXPECT_SAID("mlx5_core, but is bound to vfio-pci");
	EXPECT_EQ(-EBUSY, binding_bind(self->root, &self->plan, &self->err));
}

/* A network namespace with an interface of the VF's name and its peer. NULL: it may not be made. */
static struct nl_sock *namespace_with_netdev(void)
{
	struct nl_sock *sock;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return NULL;
	sock = nl_socket_alloc();
	if (nl_connect(sock, NETLINK_ROUTE) < 0 ||
	    rtnl_link_veth_add(sock, NETDEV, "peer", getpid()) < 0)
		abort();
	return sock;
}

static void set_up(struct nl_sock *sock, const char *netdev, bool up)
{
	struct rtnl_link *link, *change = rtnl_link_alloc();

	if (up)
		rtnl_link_set_flags(change, IFF_UP);
	else
		rtnl_link_unset_flags(change, IFF_UP);
	if (rtnl_link_get_kernel(sock, 0, netdev, &link) < 0 ||
	    rtnl_link_change(sock, link, change, 0) < 0)
		abort();
	rtnl_link_put(link);
	rtnl_link_put(change);
}

static void change_address(struct nl_sock *sock, const char *text, bool add)
{
	struct rtnl_addr *addr = rtnl_addr_alloc();
	struct nl_addr *local;

	if (nl_addr_parse(text, AF_UNSPEC, &local) < 0)
		abort();
	rtnl_addr_set_ifindex(addr, if_nametoindex(NETDEV));
	rtnl_addr_set_local(addr, local);
	if ((add ? rtnl_addr_add(sock, addr, 0) : rtnl_addr_delete(sock, addr, 0)) < 0)
		abort();
	rtnl_addr_put(addr);
	nl_addr_put(local);
}

TEST_F(inspected, interface_with_address) {
	struct nl_sock *sock = namespace_with_netdev();

	if (!sock)
		SKIP(return, "network namespaces need root, or user namespaces");
	EXPECT_EQ(0, inspect());
	/* Down, an address does not count; up, the kernel's link-local one does not. */
	change_address(sock, "192.0.2.1/24", true);
	EXPECT_EQ(0, inspect());
	set_up(sock, "peer", true);
	set_up(sock, NETDEV, true);
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("enp1s0v0, which is up with the address 192.0.2.1/24");
	EXPECT_SAID("ip link set enp1s0v0 down");
	EXPECT_EQ(-EBUSY, binding_bind(self->root, &self->plan, &self->err));
	EXPECT_STREQ("", kernel.steps);
	change_address(sock, "192.0.2.1/24", false);
	change_address(sock, "fe80::1/64", true);
	EXPECT_EQ(0, inspect());
	change_address(sock, "2001:db8::1/64", true);
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("2001:db8::1/64");
	set_up(sock, NETDEV, false);
	EXPECT_EQ(0, inspect());
	nl_socket_free(sock);
}

TEST_F(inspected, interface_with_a_master) {
	struct nl_sock *sock = namespace_with_netdev();
	struct rtnl_link *link, *bridge;

	if (!sock)
		SKIP(return, "network namespaces need root, or user namespaces");
	if (rtnl_link_bridge_add(sock, "br7") < 0)
		SKIP(nl_socket_free(sock); return, "the kernel has no bridges");
	rtnl_link_get_kernel(sock, 0, NETDEV, &link);
	rtnl_link_get_kernel(sock, 0, "br7", &bridge);
	EXPECT_EQ(0, rtnl_link_enslave(sock, bridge, link));
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("enp1s0v0, which is a port of br7 (bridge)");
	EXPECT_SAID("ip link set enp1s0v0 nomaster");
	EXPECT_EQ(0, rtnl_link_release(sock, link));
	EXPECT_EQ(0, inspect());
	rtnl_link_put(link);
	rtnl_link_put(bridge);
	nl_socket_free(sock);
}

TEST_F(inspected, interface_with_another_on_it) {
	struct nl_sock *sock = namespace_with_netdev();

	if (!sock)
		SKIP(return, "network namespaces need root, or user namespaces");
	sysfs_tree_link(self->root, "/sys/class/net/" NETDEV "/upper_vlan7", "../vlan7");
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("vlan7 is made on it");
	nl_socket_free(sock);
}

TEST_HARNESS_MAIN
