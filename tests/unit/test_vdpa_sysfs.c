/* SPDX-License-Identifier: BSD-3-Clause */

/* What sysfs says of vDPA devices, and how one is put on vhost_vdpa. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>

#include <kselftest_harness.h>

#include "common/kernel.h"
#include "vdpa/sysfs.h"

#include "sysfs_tree.h"

#define PARENT "/sys/devices/pci0000:00/0000:00:02.0/0000:05:08.1"
#define FOLDER PARENT "/vio4wd3"
#define DEVICE "/sys/bus/vdpa/devices/vio4wd3"

/* In the place of kernel.c: one vDPA device and the drivers of its bus. */
static struct {
	const char *root;
	const char *thief;    /* has the device as soon as it is on no driver */
	const char *stubborn; /* this driver keeps it */
	int refusal;	      /* of vhost_vdpa */
	int override_refusal;
	const char *vanish_at; /* the device goes when this file is written to */
	char writes[256];
} bus;

static void put_on(const char *driver)
{
	char target[128];

	snprintf(target, sizeof(target), "../../../../../bus/vdpa/drivers/%s", driver);
	sysfs_tree_link(bus.root, FOLDER "/driver", target);
	if (!strcmp(driver, "vhost_vdpa"))
		sysfs_tree_folders(bus.root, FOLDER "/vhost-vdpa-2/");
}

static void take_off(void)
{
	sysfs_tree_remove(bus.root, FOLDER "/driver");
	sysfs_tree_remove(bus.root, FOLDER "/vhost-vdpa-2");
}

static bool is_bound(void)
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "%s" FOLDER "/driver", bus.root);
	return readlink(path, target, sizeof(target)) >= 0;
}

static int change_driver(const char *full, const char *name)
{
	char driver[64];

	if (sscanf(full, "/sys/bus/vdpa/drivers/%63[^/]", driver) != 1)
		abort();
	if (!strcmp(name, "unbind")) {
		if (bus.stubborn && !strcmp(bus.stubborn, driver))
			return -EBUSY;
		take_off();
		if (bus.thief)
			put_on(bus.thief);
		return 0;
	}
	if (strcmp(name, "bind") != 0)
		abort();
	if (bus.refusal)
		return bus.refusal;
	if (is_bound())
		return -EBUSY;
	put_on(driver);
	return 0;
}

int kernel_write(const char *root, const char *value, const char *path, ...)
{
	const size_t len = strlen(bus.writes);
	char full[PATH_MAX], line[80];
	const char *name;
	va_list ap;

	va_start(ap, path);
	vsnprintf(full, sizeof(full), path, ap);
	va_end(ap);
	name = strrchr(full, '/') + 1;
	snprintf(bus.writes + len, sizeof(bus.writes) - len, "%s%s", len ? ", " : "",
		 strncmp(full, "/sys/bus/vdpa/", 14) ? full : full + 14);
	if (bus.vanish_at && !strcmp(name, bus.vanish_at)) {
		sysfs_tree_remove(root, DEVICE);
		sysfs_tree_remove(root, FOLDER);
		return strcmp(name, "driver_override") ? -ENODEV : -ENOENT;
	}
	if (!strcmp(full, DEVICE "/driver_override")) {
		if (bus.override_refusal)
			return bus.override_refusal;
		snprintf(line, sizeof(line), "%s\n", value);
		sysfs_tree_file(root, FOLDER "/driver_override", line);
		return 0;
	}
	if (strcmp(value, "vio4wd3") != 0)
		abort();
	return change_driver(full, name);
}

FIXTURE(sysfs) {
	char root[CONFIG_ROOT_MAX];
	struct pci_addr function;
	char path[64];
	struct err err;
};

FIXTURE_SETUP(sysfs)
{
	memset(&bus, 0, sizeof(bus));
	config_root_make(self->root);
	bus.root = self->root;
	pci_addr_parse(&self->function, "0000:05:08.1");
	sysfs_tree_folders(self->root, FOLDER "/power/");
	sysfs_tree_file(self->root, FOLDER "/driver_override", "(null)\n");
	sysfs_tree_link(self->root, DEVICE,
			"../../../devices/pci0000:00/0000:00:02.0/0000:05:08.1/vio4wd3");
	sysfs_tree_folders(self->root, "/sys/bus/vdpa/drivers/vhost_vdpa/");
	sysfs_tree_folders(self->root, "/sys/bus/vdpa/drivers/virtio_vdpa/");
}

FIXTURE_TEARDOWN(sysfs)
{
	config_root_remove(self->root);
}

#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}
#define EXPECT_WROTE(what)                      \
	do {                                    \
		EXPECT_STREQ(what, bus.writes); \
		bus.writes[0] = '\0';           \
	} while (0)
#define chardev(name) vdpa_chardev(self->root, name, self->path, sizeof(self->path), &self->err)
#define use_vhost() vdpa_use_vhost(self->root, "vio4wd3", &self->err)

static bool is_of(const char *root, const struct pci_addr *function, const char *bus_name,
		  const char *name)
{
	struct vdpa_mgmtdev mgmt = { 0 };

	snprintf(mgmt.bus, sizeof(mgmt.bus), "%s", bus_name);
	snprintf(mgmt.name, sizeof(mgmt.name), "%s", name);
	return vdpa_mgmtdev_is_of(root, &mgmt, function);
}

#define EXPECT_OF(bus_name, name) EXPECT_TRUE(is_of(self->root, &self->function, bus_name, name))
#define EXPECT_NOT_OF(bus_name, name) \
	EXPECT_FALSE(is_of(self->root, &self->function, bus_name, name))

static void put_auxiliary(const char *root, const char *name, const char *target)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/auxiliary/devices/%s", name);
	sysfs_tree_link(root, path, target);
}

TEST_F(sysfs, mgmtdev_is_the_function) {
	EXPECT_OF("pci", "0000:05:08.1");
	EXPECT_NOT_OF("pci", "0000:05:08.2");
	EXPECT_NOT_OF("pci", "vdpasim_net");
	EXPECT_NOT_OF("", "0000:05:08.1");
	EXPECT_NOT_OF("virtio", "0000:05:08.1");
}

TEST_F(sysfs, mgmtdev_is_below_the_function) {
	put_auxiliary(self->root, "mlx5_core.sf.4",
		      "../../../devices/pci0000:00/0000:00:02.0/0000:05:08.1/mlx5_core.sf.4");
	put_auxiliary(self->root, "mlx5_core.sf.5",
		      "../../../devices/pci0000:00/0000:00:02.0/0000:05:08.2/mlx5_core.sf.5");
	/* Below something of the function, and above it. */
	put_auxiliary(self->root, "deep.0",
		      "../../../devices/pci0000:00/0000:00:02.0/0000:05:08.1/virtio0/deep.0");
	put_auxiliary(self->root, "port.0", "../../../devices/pci0000:00/0000:00:02.0/port.0");
	put_auxiliary(self->root, "platform.0", "../../../devices/platform.0");
	put_auxiliary(self->root, "odd.0", "odd.0");
	EXPECT_OF("auxiliary", "mlx5_core.sf.4");
	EXPECT_NOT_OF("auxiliary", "mlx5_core.sf.5");
	EXPECT_NOT_OF("auxiliary", "deep.0");
	EXPECT_NOT_OF("auxiliary", "port.0");
	EXPECT_NOT_OF("auxiliary", "platform.0");
	EXPECT_NOT_OF("auxiliary", "odd.0");
	EXPECT_NOT_OF("auxiliary", "mlx5_core.sf.6");
	EXPECT_NOT_OF("pci", "mlx5_core.sf.4");
	EXPECT_NOT_OF("", "mlx5_core.sf.4");
}

TEST_F(sysfs, chardev) {
	put_on("vhost_vdpa");
	ASSERT_EQ(0, chardev("vio4wd3"));
	EXPECT_STREQ("/dev/vhost-vdpa-2", self->path);
	EXPECT_EQ(-ENAMETOOLONG, vdpa_chardev(self->root, "vio4wd3", self->path, 17, &self->err));
	EXPECT_EQ(0, vdpa_chardev(self->root, "vio4wd3", self->path, 18, &self->err));
}

TEST_F(sysfs, chardev_that_is_none) {
	EXPECT_EQ(-ENOENT, chardev("vio4wd3"));
	EXPECT_SAID("vio4wd3 has no character device");
	EXPECT_SAID("it is on none");
	put_on("virtio_vdpa");
	sysfs_tree_folders(self->root, FOLDER "/vhost-vdpa-/");
	sysfs_tree_folders(self->root, FOLDER "/vhost-vdpa-2x/");
	sysfs_tree_folders(self->root, FOLDER "/my-vhost-vdpa-2/");
	sysfs_tree_folders(self->root, FOLDER "/virtio2/");
	EXPECT_EQ(-ENOENT, chardev("vio4wd3"));
	EXPECT_SAID("it is on virtio_vdpa");
	EXPECT_EQ(-ENODEV, chardev("vio4wd4"));
	EXPECT_SAID("there is no vDPA device vio4wd4");
}

TEST_F(sysfs, names_that_lead_elsewhere) {
	put_on("vhost_vdpa");
	EXPECT_EQ(-ENODEV, chardev(""));
	EXPECT_EQ(-ENODEV, chardev("."));
	EXPECT_EQ(-ENODEV, chardev("../devices/vio4wd3"));
	EXPECT_EQ(-ENODEV, chardev("vio4wd3/"));
	EXPECT_EQ(-ENODEV, vdpa_use_vhost(self->root, "vio4wd3/power", &self->err));
	EXPECT_WROTE("");
}

TEST_F(sysfs, put_on_vhost) {
	EXPECT_EQ(0, use_vhost());
	EXPECT_WROTE("devices/vio4wd3/driver_override, drivers/vhost_vdpa/bind");
	EXPECT_EQ(0, chardev("vio4wd3"));
	/* Once more; it is there of its own accord; it has the override but is on no driver. */
	EXPECT_EQ(0, use_vhost());
	EXPECT_WROTE("");
	sysfs_tree_file(self->root, FOLDER "/driver_override", "(null)\n");
	EXPECT_EQ(0, use_vhost());
	EXPECT_WROTE("");
	sysfs_tree_file(self->root, FOLDER "/driver_override", "vhost_vdpa\n");
	take_off();
	EXPECT_EQ(0, use_vhost());
	EXPECT_WROTE("drivers/vhost_vdpa/bind");
	EXPECT_EQ(0, self->err.code);
}

TEST_F(sysfs, taken_from_another_driver) {
	put_on("virtio_vdpa");
	EXPECT_EQ(0, use_vhost());
	EXPECT_WROTE("devices/vio4wd3/driver_override, drivers/virtio_vdpa/unbind, "
		     "drivers/vhost_vdpa/bind");
	EXPECT_EQ(0, chardev("vio4wd3"));
	/* The kernel's own probe puts it there when it is free. */
	take_off();
	put_on("virtio_vdpa");
	bus.thief = "vhost_vdpa";
	EXPECT_EQ(0, use_vhost());
	EXPECT_EQ(0, chardev("vio4wd3"));
}

TEST_F(sysfs, without_override) {
	sysfs_tree_remove(self->root, FOLDER "/driver_override");
	put_on("virtio_vdpa");
	EXPECT_EQ(0, use_vhost());
	EXPECT_WROTE("drivers/virtio_vdpa/unbind, drivers/vhost_vdpa/bind");
	EXPECT_EQ(0, chardev("vio4wd3"));
}

TEST_F(sysfs, no_module) {
	sysfs_tree_remove(self->root, "/sys/bus/vdpa/drivers/vhost_vdpa");
	put_on("virtio_vdpa");
	EXPECT_EQ(-ENOENT, use_vhost());
	EXPECT_SAID("the driver vhost_vdpa is not loaded");
	EXPECT_WROTE("");
}

TEST_F(sysfs, kept_by_another_driver) {
	put_on("virtio_vdpa");
	bus.stubborn = "virtio_vdpa";
	EXPECT_EQ(-EBUSY, use_vhost());
	EXPECT_SAID("virtio_vdpa has it and keeps it: Device or resource busy");
	bus.stubborn = NULL;
	bus.thief = "other_vdpa";
	EXPECT_EQ(-EBUSY, use_vhost());
	EXPECT_SAID("other_vdpa has it; is another tool");
}

TEST_F(sysfs, refused) {
	static const struct {
		int refusal, code;
		const char *words;
	} cases[] = {
		{ -ENODEV, -EIO, "vio4wd3: vhost_vdpa does not take it" },
		{ -EOPNOTSUPP, -EOPNOTSUPP, "dmesg may say more" },
		{ -ENOENT, -ENOENT, "No such file" },
		{ -EACCES, -EACCES, "ProtectKernelTunables" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bus.refusal = cases[i].refusal;
		EXPECT_EQ(cases[i].code, use_vhost());
		EXPECT_SAID(cases[i].words);
	}
	bus.refusal = 0;
	sysfs_tree_file(self->root, FOLDER "/driver_override", "(null)\n");
	bus.override_refusal = -EROFS;
	put_on("virtio_vdpa");
	bus.writes[0] = '\0';
	EXPECT_EQ(-EROFS, use_vhost());
	EXPECT_SAID("vio4wd3: driver_override: Read-only file system");
	EXPECT_SAID("ProtectKernelTunables");
	EXPECT_WROTE("devices/vio4wd3/driver_override");
}

TEST_F(sysfs, device_that_goes) {
	static const char *const at[] = { "driver_override", "unbind", "bind" };

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		bus.vanish_at = at[i];
		put_on("virtio_vdpa");
		EXPECT_EQ(-ENODEV, use_vhost());
		EXPECT_SAID("there is no vDPA device vio4wd3");
		EXPECT_EQ(-ENODEV, chardev("vio4wd3"));
		sysfs_tree_file(self->root, FOLDER "/driver_override", "(null)\n");
		sysfs_tree_link(self->root, DEVICE,
				"../../../devices/pci0000:00/0000:00:02.0/"
				"0000:05:08.1/vio4wd3");
	}
}

TEST_HARNESS_MAIN
