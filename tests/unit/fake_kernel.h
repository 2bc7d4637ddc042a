/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a kernel does when sysfs is written to, done to a tree of plain files (sysfs_tree.h). It is
 * linked in the place of src/common/kernel.c and src/udev/vf_attributes.c, so that a write has
 * taken effect when it returns, as with the kernel; a helper that watched the files would come too
 * late. All that it remembers is in the tree: it outlives a process that is killed.
 */
#ifndef VIO4WD_TEST_FAKE_KERNEL_H
#define VIO4WD_TEST_FAKE_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>

#include "common/kernel.h"
#include "common/sysfs.h"
#include "udev/sriov.h"

#include "sysfs_tree.h"

#define VF_ADDR "0000:01:10.0"
#define VF_DIR "/sys/bus/pci/devices/" VF_ADDR
#define VF_NODE "/dev/vfio/7"

static struct {
	const char *root;
	const char *native;    /* the driver that takes the device of its own accord */
	const char *refuses;   /* this driver does not take the device */
	int refusal;	       /* with this error */
	const char *thief;     /* this driver takes the device whatever the override says */
	bool busy;	       /* the VFIO group is open elsewhere */
	const char *vanish_at; /* the device goes away when this step is asked for */
	const char *refuse_at; /* this step is refused, with EACCES */
	int attributes;	       /* what the PF answers when it is asked for its VF */
	int attributes_set;    /* and when it is told */
	unsigned int node_ms;  /* the device file appears so much later */
	pthread_t node_thread;
	char steps[512]; /* "override vfio-pci, unbind igbvf, ..." */
} kernel;

static inline bool fake_is_there(const char *path)
{
	char full[PATH_MAX];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", kernel.root, path);
	return lstat(full, &st) == 0;
}

static inline void fake_driver(char driver[64])
{
	char full[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(full, sizeof(full), "%s" VF_DIR "/driver", kernel.root);
	n = readlink(full, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	snprintf(driver, 64, "%s", n < 0 ? "" : strrchr(target, '/') + 1);
}

static inline void fake_vanish(void)
{
	sysfs_tree_remove(kernel.root, "/sys/devices/pci0000:00/0000:00:1c.0/" VF_ADDR);
	sysfs_tree_remove(kernel.root, VF_DIR);
	sysfs_tree_remove(kernel.root, "/sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0/virtfn0");
	sysfs_tree_remove(kernel.root, "/sys/kernel/iommu_groups/7/devices/" VF_ADDR);
	sysfs_tree_remove(kernel.root, VF_NODE);
}

/* Returns an errno when the step is not to be. */
static inline int fake_step(const char *name, const char *argument)
{
	const size_t len = strlen(kernel.steps);

	snprintf(kernel.steps + len, sizeof(kernel.steps) - len, "%s%s%s%s", len ? ", " : "", name,
		 argument[0] ? " " : "", argument);
	if (kernel.vanish_at && !strcmp(kernel.vanish_at, name))
		fake_vanish();
	if (kernel.refuse_at && !strcmp(kernel.refuse_at, name))
		return -EACCES;
	return fake_is_there(VF_DIR) ? 0 : -ENODEV;
}

static inline void *fake_node_later(void *unused)
{
	usleep(kernel.node_ms * 1000);
	sysfs_tree_file(kernel.root, VF_NODE, "");
	return NULL;
}

/* What a driver does to the tree when it takes the device. */
static inline void fake_taken(const char *driver)
{
	char target[128], path[PATH_MAX];

	snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", driver);
	sysfs_tree_link(kernel.root, VF_DIR "/driver", target);
	if (strstr(driver, "vfio")) {
		if (kernel.node_ms) {
			pthread_create(&kernel.node_thread, NULL, fake_node_later, NULL);
			return;
		}
		sysfs_tree_file(kernel.root, VF_NODE, "");
		snprintf(path, sizeof(path), "%s" VF_NODE, kernel.root);
		chmod(path, 0600);
	} else if (strstr(driver, "uio")) {
		sysfs_tree_folders(kernel.root, VF_DIR "/uio/uio3/");
		sysfs_tree_file(kernel.root, "/dev/uio3", "");
	} else if (!strstr(driver, "vdpa")) {
		sysfs_tree_folders(kernel.root, VF_DIR "/net/enp1s0v0/");
	}
}

static inline int fake_unbind(const char *driver)
{
	char now[64];
	const int rc = fake_step("unbind", driver);

	fake_driver(now);
	if (rc || strcmp(now, driver) != 0)
		return rc ? rc : -ENODEV;
	sysfs_tree_remove(kernel.root, VF_DIR "/driver");
	sysfs_tree_remove(kernel.root, VF_DIR "/net");
	sysfs_tree_remove(kernel.root, VF_DIR "/uio");
	sysfs_tree_remove(kernel.root, VF_NODE);
	return 0;
}

static inline int fake_take(const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	if (!driver[0] || !fake_is_there(path))
		return -ENODEV;
	if (kernel.refuses && !strcmp(kernel.refuses, driver))
		return kernel.refusal;
	fake_taken(driver);
	return 0;
}

static inline void fake_override(char override[64])
{
	if (sysfs_read(kernel.root, override, 64, VF_DIR "/driver_override") < 0 ||
	    !strcmp(override, "(null)"))
		override[0] = '\0';
}

/* A driver that refuses is no error of drivers_probe: the device is without driver then. */
static inline int fake_probe(void)
{
	char now[64], override[64];
	const int rc = fake_step("probe", "");

	fake_driver(now);
	if (rc || now[0])
		return rc;
	fake_override(override);
	if (kernel.thief)
		fake_take(kernel.thief);
	else
		fake_take(override[0] ? override : kernel.native);
	return 0;
}

static inline int fake_set_override(const char *value)
{
	char name[64], line[80];
	int rc;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(value, "\n"), value);
	rc = fake_step("override", name[0] ? name : "none");
	if (rc)
		return rc == -ENODEV ? -ENOENT : rc;
	snprintf(line, sizeof(line), "%s\n", name[0] ? name : "(null)");
	sysfs_tree_file(kernel.root, VF_DIR "/driver_override", line);
	return 0;
}

int kernel_write(const char *root, const char *value, const char *path, ...)
{
	char full[PATH_MAX], driver[64];
	va_list ap;

	va_start(ap, path);
	vsnprintf(full, sizeof(full), path, ap);
	va_end(ap);
	if (!strcmp(full, VF_DIR "/driver_override"))
		return fake_set_override(value);
	if (strcmp(value, VF_ADDR) != 0)
		abort();
	if (!strcmp(full, "/sys/bus/pci/drivers_probe"))
		return fake_probe();
	if (sscanf(full, "/sys/bus/pci/drivers/%63[^/]", driver) != 1)
		abort();
	if (!strcmp(strrchr(full, '/'), "/unbind"))
		return fake_unbind(driver);
	if (strcmp(strrchr(full, '/'), "/bind") != 0)
		abort();
	return fake_step("bind", driver) ?: fake_take(driver);
}

int kernel_open(const char *root, const char *path, ...)
{
	char full[PATH_MAX];
	va_list ap;
	int len = snprintf(full, sizeof(full), "%s", root), fd;

	va_start(ap, path);
	vsnprintf(full + len, sizeof(full) - len, path, ap);
	va_end(ap);
	fd = open(full, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && kernel.busy) {
		close(fd);
		return -EBUSY;
	}
	return fd < 0 ? -errno : fd;
}

/* The PF's side is a file of the tree. */
static inline void fake_pf_file(char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/pf-attributes", kernel.root);
}

int sriov_get_attributes(const char *pf_netdev, unsigned int index, struct vf_attributes *attrs,
			 struct err *err)
{
	char path[PATH_MAX];
	FILE *file;

	*attrs = (struct vf_attributes)VF_ATTRIBUTES_UNSET;
	if (!pf_netdev[0])
		return err_set(err, -EOPNOTSUPP, "PF", "the PF has no network interface");
	if (kernel.attributes)
		return err_set(err, kernel.attributes, "PF", "the PF does not tell");
	fake_pf_file(path);
	file = fopen(path, "re");
	if (!file || fread(attrs, sizeof(*attrs), 1, file) != 1)
		abort();
	fclose(file);
	return 0;
}

static inline void fake_put_attributes(const struct vf_attributes *attrs)
{
	char path[PATH_MAX];
	FILE *file;

	fake_pf_file(path);
	file = fopen(path, "we");
	if (!file || fwrite(attrs, sizeof(*attrs), 1, file) != 1 || fclose(file))
		abort();
}

int sriov_set_attributes(const char *pf_netdev, unsigned int index,
			 const struct vf_attributes *attrs, struct err *err)
{
	struct vf_attributes now, next;
	int rc;

	if (!attrs->has_mac && attrs->vlan < 0 && attrs->qos < 0 && attrs->trust < 0 &&
	    attrs->spoofchk < 0)
		return 0;
	rc = sriov_get_attributes(pf_netdev, index, &now, err);
	if (rc)
		return rc;
	next = now;
	if (attrs->has_mac)
		memcpy(next.mac, attrs->mac, 6);
	next.vlan = attrs->vlan >= 0 ? attrs->vlan : now.vlan;
	next.qos = attrs->qos >= 0 ? attrs->qos : now.qos;
	next.trust = attrs->trust >= 0 ? attrs->trust : now.trust;
	next.spoofchk = attrs->spoofchk >= 0 ? attrs->spoofchk : now.spoofchk;
	if (!memcmp(&next, &now, sizeof(now)))
		return 0;
	rc = fake_step("attributes", "") ?: kernel.attributes_set;
	if (rc)
		return err_set(err, rc, "PF", "the PF refuses");
	fake_put_attributes(&next);
	return 0;
}

/* In memory: each test makes hundreds of small files. */
static inline void fake_root_make(char root[CONFIG_ROOT_MAX])
{
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	config_root_make(root);
}

/* QEMU's igb with 7 VFs, which are on igbvf; the PF knows no MAC address for them. */
static inline void fake_kernel_start(const char *root, const char *tree)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.root = root;
	kernel.native = "igbvf";
	sysfs_tree_unpack(root, tree);
	sysfs_tree_file(root, VF_DIR "/driver_override", "(null)\n");
	sysfs_tree_folders(root, "/sys/bus/pci/drivers/igbvf/");
	sysfs_tree_folders(root, "/sys/bus/pci/drivers/vfio-pci/");
	fake_put_attributes(&(struct vf_attributes){ .has_mac = true, .spoofchk = 1 });
}

/* As if it had been on driver from the beginning. */
static inline void fake_kernel_put_on(const char *driver)
{
	char now[64], path[128];

	fake_driver(now);
	if (now[0])
		fake_unbind(now);
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/", driver);
	sysfs_tree_folders(kernel.root, path);
	if (driver[0])
		fake_taken(driver);
	kernel.steps[0] = '\0';
}

/* All that binding and restoring change, in one line. */
static inline char *fake_kernel_state(char *buf, size_t size)
{
	char driver[64], override[64], path[PATH_MAX];
	struct vf_attributes a;
	struct stat st;
	int len;

	fake_driver(driver);
	fake_override(override);
	sriov_get_attributes("pf", 0, &a, NULL);
	len = snprintf(buf, size,
		       "driver=%s override=%s mac=%02x:%02x:%02x:%02x:%02x:%02x vlan=%d qos=%d "
		       "trust=%d spoofchk=%d",
		       driver, override, a.mac[0], a.mac[1], a.mac[2], a.mac[3], a.mac[4], a.mac[5],
		       a.vlan, a.qos, a.trust, a.spoofchk);
	snprintf(path, sizeof(path), "%s" VF_NODE, kernel.root);
	if (stat(path, &st) == 0)
		snprintf(buf + len, size - len, " node=%u:%u:%o", st.st_uid, st.st_gid,
			 st.st_mode & 07777);
	return buf;
}

#endif
