/* SPDX-License-Identifier: BSD-3-Clause */

/* VFs are bound and put back: the steps and their order, repetition, cut-offs, devices that go. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <kselftest_harness.h>

#include "common/cleanup.h"
#include "common/fault.h"
#include "udev/binding.h"

#include "fake_kernel.h"

#define STATE_MAX 256

FIXTURE(taken) {
	char root[CONFIG_ROOT_MAX];
	struct binding_plan plan;
	struct binding_state before;
	struct err err;
	char original[STATE_MAX], state[STATE_MAX];
};

FIXTURE_SETUP(taken)
{
	fake_root_make(self->root);
	fake_kernel_start(self->root, "igb-7vfs");
	self->plan = (struct binding_plan){ .driver = "vfio-pci",
					    .attributes = VF_ATTRIBUTES_UNSET,
					    .uid = getuid(),
					    .gid = getgid() };
	if (getuid() == 0)
		self->plan.uid = self->plan.gid = 12345;
	pci_addr_parse(&self->plan.addr, VF_ADDR);
	fake_kernel_state(self->original, STATE_MAX);
}

FIXTURE_TEARDOWN(taken)
{
	if (kernel.node_thread)
		pthread_join(kernel.node_thread, NULL);
	config_root_remove(self->root);
}

#define inspect() binding_inspect(self->root, &self->plan, &self->before, &self->err)
#define bind_vf() binding_bind(self->root, &self->plan, &self->err)
#define restore() binding_restore(self->root, &self->plan.addr, &self->before, &self->err)
#define state() fake_kernel_state(self->state, STATE_MAX)
#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}
#define EXPECT_STEPS(what)                        \
	do {                                      \
		EXPECT_STREQ(what, kernel.steps); \
		kernel.steps[0] = '\0';           \
	} while (0)

static void set_plan_attributes(struct binding_plan *plan)
{
	static const uint8_t mac[] = { 0x52, 0x54, 0, 1, 2, 3 };

	plan->attributes = (struct vf_attributes){
		.has_mac = true, .vlan = 5, .qos = 3, .trust = 1, .spoofchk = 0
	};
	memcpy(plan->attributes.mac, mac, sizeof(mac));
}

TEST_F(taken, in_order_and_back) {
	char expected[STATE_MAX];

	set_plan_attributes(&self->plan);
	EXPECT_EQ(0, inspect());
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
	EXPECT_EQ(0, bind_vf());
	EXPECT_EQ(0, self->err.code);
	/* The PF first: the driver reads the MAC address when it starts. The override before the
	 * driver is taken away, so that nobody else's probing gives it back. */
	EXPECT_STEPS("attributes, override vfio-pci, unbind igbvf, probe");
	snprintf(expected, sizeof(expected),
		 "driver=vfio-pci override=vfio-pci mac=52:54:00:01:02:03 vlan=5 qos=3 trust=1 "
		 "spoofchk=0 node=%u:%u:600",
		 self->plan.uid, self->plan.gid);
	EXPECT_STREQ(expected, state());
	EXPECT_TRUE(binding_ready(self->root, &self->plan));

	EXPECT_EQ(0, bind_vf());
	EXPECT_STEPS("");
	EXPECT_STREQ(expected, state());

	EXPECT_EQ(0, restore());
	EXPECT_EQ(0, self->err.code);
	EXPECT_STEPS("unbind vfio-pci, attributes, override none, probe");
	EXPECT_STREQ(self->original, state());
	EXPECT_FALSE(binding_ready(self->root, &self->plan));

	EXPECT_EQ(0, restore());
	EXPECT_STEPS("");
	EXPECT_STREQ(self->original, state());
}

/* A driver that hands out no device file: what is made on it later is given by others. */
TEST_F(taken, for_vdpa_and_back) {
	sysfs_tree_folders(self->root, "/sys/bus/pci/drivers/vp-vdpa/");
	strcpy(self->plan.driver, "vp-vdpa");
	strcpy(self->plan.vdpa, "vio4wd7");
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, bind_vf());
	EXPECT_EQ(0, self->err.code);
	EXPECT_STEPS("override vp-vdpa, unbind igbvf, probe");
	EXPECT_TRUE(binding_ready(self->root, &self->plan));
	/* What the owner has made on it is no use by others, and has to go first. */
	sysfs_tree_link(self->root, "/sys/bus/vdpa/devices/vio4wd7",
			"../../../devices/pci0000:00/0000:00:1c.0/" VF_ADDR "/vio4wd7");
	EXPECT_EQ(0, bind_vf());
	EXPECT_STEPS("");
	EXPECT_EQ(-EBUSY, restore());
	EXPECT_SAID("vio4wd7");
	EXPECT_STEPS("");
	sysfs_tree_remove(self->root, "/sys/bus/vdpa/devices/vio4wd7");
	EXPECT_EQ(0, restore());
	EXPECT_STEPS("unbind vp-vdpa, override none, probe");
	EXPECT_STREQ(self->original, state());
}

TEST_F(taken, from_vdpa_to_vfio) {
	sysfs_tree_folders(self->root, "/sys/bus/pci/drivers/vp-vdpa/");
	strcpy(self->plan.driver, "vp-vdpa");
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, bind_vf());
	kernel.steps[0] = '\0';
	strcpy(self->plan.driver, "vfio-pci");
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
	EXPECT_EQ(0, bind_vf());
	EXPECT_STEPS("override vfio-pci, unbind vp-vdpa, probe");
	EXPECT_TRUE(binding_ready(self->root, &self->plan));
	EXPECT_EQ(0, restore());
	EXPECT_STREQ(self->original, state());
}

TEST_F(taken, somebody_elses_vdpa_device_is_a_use) {
	sysfs_tree_folders(self->root, "/sys/bus/pci/drivers/vp-vdpa/");
	strcpy(self->plan.driver, "vp-vdpa");
	strcpy(self->plan.vdpa, "vio4wd7");
	sysfs_tree_link(self->root, "/sys/bus/vdpa/devices/vdpa0",
			"../../../devices/pci0000:00/0000:00:1c.0/" VF_ADDR "/vdpa0");
	EXPECT_EQ(-EBUSY, inspect());
	EXPECT_SAID("vdpa dev del vdpa0");
}

TEST_F(taken, missing_module_beside_the_driver) {
	strcpy(self->plan.module, "mlx5_vdpa");
	EXPECT_EQ(-ENOENT, bind_vf());
	EXPECT_SAID("mlx5_vdpa");
	EXPECT_STREQ(self->original, state());
}

TEST_F(taken, without_driver_before) {
	fake_kernel_put_on("");
	state();
	strcpy(self->original, self->state);
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, bind_vf());
	EXPECT_STEPS("override vfio-pci, probe");
	EXPECT_EQ(0, restore());
	EXPECT_STEPS("unbind vfio-pci, override none");
	EXPECT_STREQ(self->original, state());
}

TEST_F(taken, override_before) {
	sysfs_tree_file(self->root, VF_DIR "/driver_override", "igbvf\n");
	EXPECT_EQ(0, inspect());
	EXPECT_STREQ("igbvf", self->before.override);
	EXPECT_EQ(0, bind_vf());
	kernel.steps[0] = '\0';
	EXPECT_EQ(0, restore());
	EXPECT_STEPS("unbind vfio-pci, override igbvf, probe");
}

/* driverctl has bound it: it stays there, but the relay's user may not open it any more. */
TEST_F(taken, on_the_driver_before) {
	char expected[STATE_MAX];

	fake_kernel_put_on("vfio-pci");
	sysfs_tree_file(self->root, VF_DIR "/driver_override", "vfio-pci\n");
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, bind_vf());
	EXPECT_STEPS("");
	EXPECT_TRUE(binding_ready(self->root, &self->plan));
	if (getuid() != 0)
		SKIP(return, "only root gives files to others");
	EXPECT_EQ(0, restore());
	EXPECT_STEPS("");
	snprintf(expected, sizeof(expected), "driver=vfio-pci override=vfio-pci");
	EXPECT_EQ(0, strncmp(expected, state(), strlen(expected)));
	EXPECT_NE(NULL, strstr(self->state, "node=0:0:600"));
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
}

TEST_F(taken, ready) {
	EXPECT_EQ(0, bind_vf());
	EXPECT_TRUE(binding_ready(self->root, &self->plan));
	strcpy(self->plan.driver, "uio_pci_generic");
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
	strcpy(self->plan.driver, "vfio-pci");
	self->plan.uid++;
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
	sysfs_tree_remove(self->root, VF_NODE);
	self->plan.uid--;
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
	fake_vanish();
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
}

TEST_F(taken, made_mac) {
	struct vf_attributes first, second, given = VF_ATTRIBUTES_UNSET;

	self->plan.make_mac = true;
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, bind_vf());
	sriov_get_attributes("pf", 0, &first, NULL);
	EXPECT_EQ(0x02, first.mac[0] & 0x03);
	/* The same each time. */
	EXPECT_EQ(0, restore());
	EXPECT_STREQ(self->original, state());
	EXPECT_EQ(0, bind_vf());
	sriov_get_attributes("pf", 0, &second, NULL);
	EXPECT_EQ(0, memcmp(first.mac, second.mac, 6));
	/* One that the PF holds stays. */
	given.has_mac = true;
	memcpy(given.mac, "\x52\x54\x00\x00\x00\x09", 6);
	EXPECT_EQ(0, restore());
	sriov_set_attributes("pf", 0, &given, NULL);
	EXPECT_EQ(0, bind_vf());
	sriov_get_attributes("pf", 0, &second, NULL);
	EXPECT_EQ(0, memcmp(given.mac, second.mac, 6));
	/* A PF that does not tell. */
	kernel.attributes = -EOPNOTSUPP;
	EXPECT_EQ(0, bind_vf());
	EXPECT_EQ(0, self->err.code);
}

/* igbvf made it up and told the PF (1), or udevd gave it to the interface (3). */
TEST_F(taken, mac_of_the_interface) {
	struct vf_attributes chosen = { .has_mac = true, .spoofchk = 1 }, now;

	memcpy(chosen.mac, "\x9a\x29\x63\x1c\xa2\x2d", 6);
	fake_put_attributes(&chosen);
	self->plan.make_mac = true;
	sysfs_tree_file(self->root, "/sys/class/net/enp1s0v0/address", "9a:29:63:1c:a2:2d\n");
	sysfs_tree_file(self->root, "/sys/class/net/enp1s0v0/addr_assign_type", "0\n");
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, memcmp(chosen.mac, self->before.attributes.mac, 6));
	sysfs_tree_file(self->root, "/sys/class/net/enp1s0v0/addr_assign_type", "3\n");
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, memcmp("\0\0\0\0\0\0", self->before.attributes.mac, 6));
	sysfs_tree_file(self->root, "/sys/class/net/enp1s0v0/addr_assign_type", "1\n");
	EXPECT_EQ(0, inspect());
	EXPECT_TRUE(self->before.attributes.has_mac);
	EXPECT_EQ(0, memcmp("\0\0\0\0\0\0", self->before.attributes.mac, 6));
	EXPECT_EQ(0, bind_vf());
	sriov_get_attributes("pf", 0, &now, NULL);
	EXPECT_NE(0, memcmp(chosen.mac, now.mac, 6));
	EXPECT_EQ(0x02, now.mac[0] & 0x03);
	EXPECT_EQ(0, restore());
	EXPECT_STREQ(self->original, state());
	/* Somebody has set another one since igbvf began. */
	chosen.mac[5]++;
	fake_put_attributes(&chosen);
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, memcmp(chosen.mac, self->before.attributes.mac, 6));
}

/* The driver could not be loaded: the VF goes on with the address that its interface has chosen. */
TEST_F(taken, mac_of_the_interface_stays) {
	struct vf_attributes chosen = { .has_mac = true, .spoofchk = 1 };

	memcpy(chosen.mac, "\x9a\x29\x63\x1c\xa2\x2d", 6);
	fake_put_attributes(&chosen);
	state();
	strcpy(self->original, self->state);
	sysfs_tree_file(self->root, "/sys/class/net/enp1s0v0/address", "9a:29:63:1c:a2:2d\n");
	sysfs_tree_file(self->root, "/sys/class/net/enp1s0v0/addr_assign_type", "1\n");
	EXPECT_EQ(0, inspect());
	sysfs_tree_remove(self->root, "/sys/bus/pci/drivers/vfio-pci");
	EXPECT_EQ(-ENOENT, bind_vf());
	EXPECT_EQ(0, restore());
	EXPECT_STREQ(self->original, state());
}

TEST_F(taken, another_mac_for_each_vf) {
	struct binding_plan other = self->plan;
	struct vf_attributes first, second;

	self->plan.make_mac = other.make_mac = true;
	EXPECT_EQ(0, bind_vf());
	sriov_get_attributes("pf", 0, &first, NULL);
	fake_put_attributes(&(struct vf_attributes){ .has_mac = true, .spoofchk = 1 });
	pci_addr_parse(&other.addr, "0000:01:10.2");
	/* Its attributes come first; no more is needed. */
	sysfs_tree_remove(self->root, "/sys/bus/pci/devices/0000:01:10.2/driver");
	sysfs_tree_link(self->root, "/sys/bus/pci/devices/0000:01:10.2/driver",
			"../../../../bus/pci/drivers/pci-stub");
	EXPECT_EQ(-EBUSY, binding_bind(self->root, &other, &self->err));
	sriov_get_attributes("pf", 0, &second, NULL);
	EXPECT_NE(0, memcmp(first.mac, second.mac, 6));
	EXPECT_EQ(0x02, second.mac[0] & 0x03);
}

TEST_F(taken, nothing_is_changed_without_the_driver) {
	set_plan_attributes(&self->plan);
	EXPECT_EQ(0, inspect());
	sysfs_tree_remove(self->root, "/sys/bus/pci/drivers/vfio-pci");
	EXPECT_EQ(-ENOENT, bind_vf());
	EXPECT_STREQ(self->original, state());
}

TEST_F(taken, attributes_refused) {
	set_plan_attributes(&self->plan);
	EXPECT_EQ(0, inspect());
	kernel.attributes_set = -EINVAL;
	EXPECT_EQ(-EINVAL, bind_vf());
	EXPECT_SAID("refuses");
	EXPECT_STREQ(self->original, state());
	kernel.attributes_set = 0;
	EXPECT_EQ(0, bind_vf());
	/* Not taken back by the PF: the driver is given back nevertheless. */
	kernel.attributes_set = -EINVAL;
	self->err.code = 0;
	EXPECT_EQ(0, restore());
	EXPECT_EQ(0, self->err.code);
	EXPECT_EQ(0, strncmp("driver=igbvf override= ", state(), 23));
}

TEST_F(taken, driver_refuses) {
	EXPECT_EQ(0, inspect());
	kernel.refuses = "vfio-pci";
	kernel.refusal = -EINVAL;
	EXPECT_EQ(-EINVAL, bind_vf());
	EXPECT_SAID("vfio-pci does not take 0000:01:10.0: Invalid argument");
	EXPECT_STEPS("override vfio-pci, unbind igbvf, probe, bind vfio-pci");
	EXPECT_FALSE(binding_ready(self->root, &self->plan));
	/* Its word is no sign that the device is gone. */
	kernel.refusal = -ENODEV;
	EXPECT_EQ(-EIO, bind_vf());
	EXPECT_SAID("does not take");
	EXPECT_EQ(0, restore());
	EXPECT_STREQ(self->original, state());
}

TEST_F(taken, driver_before_refuses) {
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, bind_vf());
	kernel.refuses = "igbvf";
	kernel.refusal = -EIO;
	EXPECT_EQ(-EIO, restore());
	EXPECT_SAID("igbvf does not take");
	kernel.refuses = NULL;
	EXPECT_EQ(0, restore());
	EXPECT_STREQ(self->original, state());
	/* Its module was removed meanwhile. */
	EXPECT_EQ(0, bind_vf());
	sysfs_tree_remove(self->root, "/sys/bus/pci/drivers/igbvf");
	kernel.native = "";
	EXPECT_NE(0, restore());
	EXPECT_SAID("igbvf");
}

TEST_F(taken, somebody_else_binds_it) {
	EXPECT_EQ(0, inspect());
	kernel.thief = "igbvf";
	EXPECT_EQ(-EBUSY, bind_vf());
	EXPECT_SAID("igbvf has it now");
	kernel.thief = NULL;
	EXPECT_EQ(0, bind_vf());
	/* Later, behind our back: theirs is not touched. */
	fake_kernel_put_on("pci-stub");
	EXPECT_EQ(0, restore());
	EXPECT_STEPS("override none");
	EXPECT_EQ(0, strncmp("driver=pci-stub override= ", state(), 26));
}

TEST_F(taken, in_use) {
	/* It has become so since it was looked at; nothing is changed. */
	EXPECT_EQ(0, inspect());
	fake_kernel_put_on("mlx5_vfio_pci");
	state();
	strcpy(self->original, self->state);
	kernel.busy = true;
	EXPECT_EQ(-EBUSY, bind_vf());
	EXPECT_SAID("0000:01:10.0 is used by another program");
	EXPECT_STEPS("");
	EXPECT_STREQ(self->original, state());
	kernel.busy = false;
	EXPECT_EQ(0, bind_vf());
	kernel.busy = true;
	kernel.steps[0] = '\0';
	EXPECT_EQ(-EBUSY, restore());
	EXPECT_SAID("is used by another program");
	EXPECT_STEPS("");
	EXPECT_TRUE(binding_ready(self->root, &self->plan));
}

TEST_F(taken, vanishes) {
	static const char *const steps[] = { "attributes", "override", "unbind", "probe" };

	for (size_t i = 0; i < 4; i++) {
		config_root_remove(self->root);
		fake_root_make(self->root);
		fake_kernel_start(self->root, "igb-7vfs");
		set_plan_attributes(&self->plan);
		EXPECT_EQ(0, inspect());
		kernel.vanish_at = steps[i];
		EXPECT_EQ(-ENODEV, bind_vf());
		if (i > 0)
			EXPECT_SAID("went away");
		self->err.code = 0;
		EXPECT_EQ(0, restore());
		EXPECT_EQ(0, self->err.code);
	}
}

TEST_F(taken, vanishes_while_it_is_put_back) {
	static const char *const steps[] = { "unbind", "attributes", "override", "probe" };

	for (size_t i = 0; i < 4; i++) {
		config_root_remove(self->root);
		fake_root_make(self->root);
		fake_kernel_start(self->root, "igb-7vfs");
		set_plan_attributes(&self->plan);
		EXPECT_EQ(0, inspect());
		EXPECT_EQ(0, bind_vf());
		kernel.vanish_at = steps[i];
		self->err.code = 0;
		EXPECT_EQ(0, restore())
		{
			TH_LOG("%s: %s", steps[i], self->err.text);
		}
		EXPECT_EQ(0, self->err.code);
	}
}

TEST_F(taken, another_device_at_its_address) {
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, bind_vf());
	kernel.steps[0] = '\0';
	sysfs_tree_remove(self->root, VF_DIR "/physfn");
	EXPECT_EQ(0, restore());
	EXPECT_STEPS("");
}

TEST_F(taken, sysfs_is_read_only) {
	EXPECT_EQ(0, inspect());
	kernel.refuse_at = "override";
	EXPECT_EQ(-EACCES, bind_vf());
	EXPECT_SAID("ProtectKernelTunables");
	EXPECT_STREQ(self->original, state());
}

TEST_F(taken, device_file_comes_later) {
	kernel.node_ms = 100;
	EXPECT_EQ(0, bind_vf());
	EXPECT_TRUE(binding_ready(self->root, &self->plan));
}

TEST_F(taken, uio) {
	char path[PATH_MAX];
	struct stat st;

	sysfs_tree_folders(self->root, "/sys/bus/pci/drivers/igb_uio/");
	EXPECT_EQ(0, inspect());
	strcpy(self->plan.driver, "igb_uio");
	EXPECT_EQ(0, bind_vf());
	snprintf(path, sizeof(path), "%s/dev/uio3", self->root);
	EXPECT_EQ(0, stat(path, &st));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(self->plan.uid, st.st_uid);
	EXPECT_TRUE(binding_ready(self->root, &self->plan));
	EXPECT_EQ(0, restore());
	EXPECT_STREQ(self->original, state());
}

/* Runs in a process of its own that is killed at the point. */
static bool cut_off(const char *point, int (*run)(void *), void *arg)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		setenv("VIO4WD_FAULT", point, 1);
		run(arg);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int run_bind(void *arg)
{
	FIXTURE_DATA(taken) *self = arg;

	return bind_vf();
}

static int run_restore(void *arg)
{
	FIXTURE_DATA(taken) *self = arg;

	return restore();
}

TEST_F(taken, cut_off_while_it_is_bound) {
	static const char *const points[] = { "bind.attributes", "bind.override", "bind.unbound",
					      "bind.probed", "bind.owned" };
	char bound[STATE_MAX];

#ifndef VIO4WD_FAULT_POINTS
	SKIP(return, "built without -Dfault_points=true");
#endif
	set_plan_attributes(&self->plan);
	EXPECT_EQ(0, inspect());
	EXPECT_EQ(0, bind_vf());
	strcpy(bound, state());
	EXPECT_EQ(0, restore());
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		/* Completed ... */
		EXPECT_TRUE(cut_off(points[i], run_bind, self));
		EXPECT_EQ(0, bind_vf());
		EXPECT_STREQ(bound, state());
		EXPECT_EQ(0, restore());
		EXPECT_STREQ(self->original, state());
		/* ... and undone. */
		EXPECT_TRUE(cut_off(points[i], run_bind, self));
		EXPECT_EQ(0, restore());
		EXPECT_STREQ(self->original, state());
	}
}

TEST_F(taken, cut_off_while_it_is_put_back) {
	static const char *const points[] = { "restore.unbound", "restore.attributes",
					      "restore.override", "restore.probed" };
	char bound[STATE_MAX];

#ifndef VIO4WD_FAULT_POINTS
	SKIP(return, "built without -Dfault_points=true");
#endif
	set_plan_attributes(&self->plan);
	EXPECT_EQ(0, inspect());
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		EXPECT_EQ(0, bind_vf());
		strcpy(bound, state());
		EXPECT_TRUE(cut_off(points[i], run_restore, self));
		EXPECT_EQ(0, restore());
		EXPECT_STREQ(self->original, state());
		/* Or it is wanted again. */
		EXPECT_EQ(0, bind_vf());
		EXPECT_TRUE(cut_off(points[i], run_restore, self));
		EXPECT_EQ(0, bind_vf());
		EXPECT_STREQ(bound, state());
	}
}

TEST_HARNESS_MAIN
