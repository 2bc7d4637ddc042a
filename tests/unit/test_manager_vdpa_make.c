/* SPDX-License-Identifier: BSD-3-Clause */

/* vDPA devices of pairings, on a scripted kernel: made, reused, given, removed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <kselftest_harness.h>

#include "manager/vdpa_make.h"
#include "common/kernel.h"
#include "vdpa/sysfs.h"

#include "config_root.h"
#include "sysfs_tree.h"

#define VF "0000:05:08.1"
#define OTHER "0000:05:08.2"
#define NODE "/dev/vhost-vdpa-3"

static struct {
	const char *root;
	unsigned int hidden; /* the management device comes after so many questions */
	uint64_t classes;
	uint32_t max_vqs;
	unsigned int open; /* by somebody else, for so many looks */
	bool thief;	   /* takes the file when it was given */
	bool bare;	   /* it takes no attributes */
	bool no_pairs;	   /* nor a number of queue pairs */
	int add_error, vhost_error, del_error;
	unsigned int adds, dels;
	struct vdpa_spec spec; /* of the last that was made */
} kernel;

static void put_device(const char *name, const char *vf)
{
	char path[128], target[128];

	snprintf(path, sizeof(path), "/sys/bus/vdpa/devices/%s", name);
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/%s/%s", vf, name);
	sysfs_tree_link(kernel.root, path, target);
}

int vdpa_mgmtdev_list(struct vdpa_mgmtdev **list, size_t *n, struct err *err)
{
	*n = 0;
	*list = calloc(2, sizeof(**list));
	if (kernel.hidden && --kernel.hidden)
		return 0;
	(*list)[0] = (struct vdpa_mgmtdev){ .name = "vdpasim_net", .classes = 1 << 1 };
	(*list)[1] = (struct vdpa_mgmtdev){
		.bus = "pci", .name = VF, .classes = kernel.classes, .max_vqs = kernel.max_vqs
	};
	*n = 2;
	return 0;
}

/* In the place of uevents.c: a driver takes some device as long as ours is to come. */
int uevents_open(void)
{
	return -1;
}

bool uevents_wait(int fd, int ms)
{
	return kernel.hidden > 0;
}

bool vdpa_mgmtdev_is_of(const char *root, const struct vdpa_mgmtdev *mgmt,
			const struct pci_addr *function)
{
	char text[PCI_ADDR_STRLEN];

	return !strcmp(mgmt->name, pci_addr_format(function, text));
}

int vdpa_device_add(const struct vdpa_spec *spec, struct err *err)
{
	kernel.adds++;
	if (kernel.bare && (spec->has_mac || spec->mtu || spec->max_vqp))
		return err_set(err, -EINVAL, "vDPA", "some attributes are not supported");
	if (kernel.no_pairs && spec->max_vqp)
		return err_set(err, -EINVAL, "vDPA", "some attributes are not supported");
	if (kernel.add_error)
		return err_set(err, kernel.add_error, "vDPA", "the kernel refuses");
	kernel.spec = *spec;
	put_device(spec->name, spec->mgmt_name);
	return 0;
}

int vdpa_device_del(const char *name, struct err *err)
{
	char path[128];

	kernel.dels++;
	if (kernel.del_error)
		return err_set(err, kernel.del_error, "vDPA", "the kernel refuses");
	snprintf(path, sizeof(path), "/sys/bus/vdpa/devices/%s", name);
	sysfs_tree_remove(kernel.root, path);
	sysfs_tree_remove(kernel.root, NODE);
	return 0;
}

int vdpa_use_vhost(const char *root, const char *name, struct err *err)
{
	if (kernel.vhost_error)
		return err_set(err, kernel.vhost_error, "vDPA", "virtio_vdpa keeps it");
	sysfs_tree_file(kernel.root, NODE, "");
	return 0;
}

int vdpa_chardev(const char *root, const char *name, char *path, size_t size, struct err *err)
{
	struct stat st;
	char node[256];

	snprintf(node, sizeof(node), "%s" NODE, root);
	if (!vdpa_is_made(root, name))
		return -ENODEV;
	snprintf(path, size, "%s", NODE);
	if (kernel.thief && stat(node, &st) == 0 && (st.st_mode & 0777) == 0640)
		chmod(node, 0600);
	return stat(node, &st) < 0 ? -ENOENT : 0;
}

FIXTURE(made) {
	char root[CONFIG_ROOT_MAX];
	struct vdpa_plan plan;
	struct err err;
};

FIXTURE_SETUP(made)
{
	config_root_make(self->root);
	memset(&kernel, 0, sizeof(kernel));
	kernel.root = self->root;
	kernel.classes = 1 << 1;
	kernel.max_vqs = 9;
	sysfs_tree_folders(self->root, "/sys/bus/vdpa/devices/");
	sysfs_tree_folders(self->root, "/dev/");
	self->plan = (struct vdpa_plan){
		.mtu = 1500, .max_pairs = 32, .uid = getuid(), .gid = getgid(), .mode = 0600
	};
	vdpa_name(7, self->plan.name);
	pci_addr_parse(&self->plan.addr, VF);
}

FIXTURE_TEARDOWN(made)
{
	config_root_remove(self->root);
}

#define make() vdpa_make(self->root, &self->plan, &self->err)
#define ready() vdpa_is_ready(self->root, &self->plan)

TEST_F(made, given_and_removed) {
	EXPECT_FALSE(ready());
	EXPECT_EQ(0, make());
	EXPECT_STREQ("vio4wd7", kernel.spec.name);
	EXPECT_STREQ("pci", kernel.spec.mgmt_bus);
	EXPECT_STREQ(VF, kernel.spec.mgmt_name);
	EXPECT_EQ(1500, kernel.spec.mtu);
	EXPECT_EQ(4, kernel.spec.max_vqp); /* 9 virtqueues, one of them for control */
	EXPECT_TRUE(ready());
	EXPECT_EQ(0, vdpa_unmake(self->root, "vio4wd7", &self->err));
	EXPECT_FALSE(vdpa_is_made(self->root, "vio4wd7"));
}

TEST_F(made, own_one_is_reused) {
	put_device("vio4wd7", VF);
	EXPECT_EQ(0, make());
	EXPECT_EQ(0, kernel.adds);
	EXPECT_TRUE(ready());
	EXPECT_EQ(0, make());
	EXPECT_EQ(0, kernel.adds);
}

/* Another manager, or an earlier one of this, was faster than sysfs was read. */
TEST_F(made, race_for_the_name) {
	kernel.add_error = -EEXIST;
	kernel.vhost_error = -EBUSY;
	EXPECT_EQ(-EBUSY, make());
	EXPECT_EQ(1, kernel.adds);
}

TEST_F(made, own_one_on_another_vf_goes_first) {
	put_device("vio4wd7", OTHER);
	EXPECT_FALSE(ready());
	EXPECT_EQ(0, make());
	EXPECT_EQ(1, kernel.dels);
	EXPECT_EQ(1, kernel.adds);
	EXPECT_TRUE(ready());
}

TEST_F(made, own_one_that_is_open_elsewhere) {
	put_device("vio4wd7", OTHER);
	kernel.del_error = -EBUSY;
	EXPECT_EQ(-EBUSY, make());
	EXPECT_EQ(0, kernel.adds);
}

TEST_F(made, without_attributes) {
	kernel.bare = true;
	EXPECT_EQ(0, make());
	EXPECT_EQ(3, kernel.adds);
	EXPECT_EQ(0, kernel.spec.mtu);
	EXPECT_EQ(0, kernel.spec.max_vqp);
}

/* What can be chosen is. */
TEST_F(made, without_one_attribute) {
	kernel.no_pairs = true;
	self->plan.has_mac = true;
	EXPECT_EQ(0, make());
	EXPECT_EQ(2, kernel.adds);
	EXPECT_EQ(1500, kernel.spec.mtu);
	EXPECT_EQ(0, kernel.spec.max_vqp);
	EXPECT_TRUE(kernel.spec.has_mac);
}

TEST_F(made, refused_whatever_is_left_out) {
	kernel.add_error = -EINVAL;
	self->plan.has_mac = true;
	EXPECT_EQ(-EINVAL, make());
	EXPECT_EQ(4, kernel.adds);
}

TEST_F(made, mac_address_of_the_plan) {
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

	self->plan.has_mac = true;
	memcpy(self->plan.mac, mac, sizeof(mac));
	EXPECT_EQ(0, make());
	EXPECT_TRUE(kernel.spec.has_mac);
	EXPECT_EQ(0, memcmp(kernel.spec.mac, mac, sizeof(mac)));
}

TEST_F(made, number_of_queues_that_is_not_told_is_not_asked_for) {
	kernel.max_vqs = 0;
	EXPECT_EQ(0, make());
	EXPECT_EQ(0, kernel.spec.max_vqp);
}

TEST_F(made, management_device_that_comes_later) {
	kernel.hidden = 4;
	EXPECT_EQ(0, make());
	EXPECT_TRUE(ready());
}

TEST_F(made, management_device_of_disks) {
	kernel.classes = 1 << 2;
	EXPECT_EQ(-EOPNOTSUPP, make());
	EXPECT_NE(NULL, strstr(self->err.text, VF ": its driver offers no vDPA"));
}

TEST_F(made, refused) {
	kernel.add_error = -EIO;
	EXPECT_EQ(-EIO, make());
	EXPECT_STREQ("the kernel refuses", self->err.text);
	kernel.add_error = 0;
	kernel.vhost_error = -EBUSY;
	EXPECT_EQ(-EBUSY, make());
	EXPECT_FALSE(ready());
	kernel.vhost_error = 0;
	EXPECT_EQ(0, make());
	EXPECT_TRUE(ready());
}

TEST_F(made, for_somebody_else_is_not_ready) {
	EXPECT_EQ(0, make());
	self->plan.mode = 0660;
	EXPECT_FALSE(ready());
	EXPECT_EQ(0, make());
	EXPECT_TRUE(ready());
	self->plan.uid++;
	EXPECT_FALSE(ready());
}

int kernel_open(const char *root, const char *path, ...)
{
	if (!kernel.open)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	kernel.open--;
	return -EBUSY;
}

int kernel_write(const char *root, const char *value, const char *path, ...)
{
	abort();
}

/* The kernel would wait for it. */
TEST_F(made, what_is_open_stays) {
	EXPECT_EQ(0, make());
	kernel.open = 1;
	EXPECT_EQ(-EBUSY, vdpa_unmake(self->root, "vio4wd7", &self->err));
	EXPECT_NE(NULL, strstr(self->err.text, NODE " open"));
	EXPECT_EQ(0, kernel.dels);
	/* The next try. */
	EXPECT_EQ(0, vdpa_unmake(self->root, "vio4wd7", &self->err));
}

TEST_F(made, taken_by_somebody_at_once) {
	kernel.thief = true;
	self->plan.mode = 0640;
	EXPECT_EQ(-EBUSY, make());
	EXPECT_NE(NULL, strstr(self->err.text, "somebody has changed it"));
}

TEST_F(made, what_is_gone_is_removed) {
	kernel.del_error = -ENODEV;
	EXPECT_EQ(0, vdpa_unmake(self->root, "vio4wd7", &self->err));
	EXPECT_EQ(0, self->err.code);
	kernel.del_error = -EBUSY;
	EXPECT_EQ(-EBUSY, vdpa_unmake(self->root, "vio4wd7", &self->err));
}

TEST_HARNESS_MAIN
