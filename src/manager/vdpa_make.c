/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/vdpa_make.h"

#include <errno.h>
#include <limits.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/kernel.h"
#include "udev/device_node.h"
#include "udev/sriov.h"
#include "udev/uevents.h"
#include "udev/vf.h"
#include "vdpa/sysfs.h"

/* Drivers of the auxiliary bus may come a little later than their module. */
#define MGMT_WAIT_MS 2000

char *vdpa_name(unsigned int id, char *buf)
{
	snprintf(buf, VDPA_NAME_MAX, "vio4wd%u", id);
	return buf;
}

bool vdpa_is_on(const char *root, const char *name, const struct pci_addr *addr)
{
	char path[PATH_MAX], target[PATH_MAX], part[PCI_ADDR_STRLEN + 2], text[PCI_ADDR_STRLEN];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/sys/bus/vdpa/devices/%s", root, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	snprintf(part, sizeof(part), "/%s/", pci_addr_format(addr, text));
	return strstr(target, part) != NULL;
}

bool vdpa_is_made(const char *root, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/sys/bus/vdpa/devices/%s", root, name);
	return lstat(path, &st) == 0;
}

static bool is_given(const struct vdpa_plan *plan, const struct stat *st)
{
	return st->st_uid == plan->uid && st->st_gid == plan->gid &&
	       (st->st_mode & 07777) == plan->mode;
}

bool vdpa_is_ready(const char *root, const struct vdpa_plan *plan)
{
	char node[VDPA_PATH_MAX], path[PATH_MAX];
	struct stat st;

	if (!vdpa_is_on(root, plan->name, &plan->addr) ||
	    vdpa_chardev(root, plan->name, node, sizeof(node), NULL) < 0)
		return false;
	snprintf(path, sizeof(path), "%s%s", root, node);
	return stat(path, &st) == 0 && is_given(plan, &st);
}

/* The network one among the management devices of the VF. */
static int find_mgmt(const char *root, const struct pci_addr *addr, struct vdpa_mgmtdev *mgmt,
		     struct err *err)
{
	_cleanup_free_ struct vdpa_mgmtdev *list = NULL;
	size_t n = 0;
	int rc;

	rc = vdpa_mgmtdev_list(&list, &n, err);
	/* They change while they are told. */
	if (rc == -EAGAIN)
		return -ENOENT;
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		if (!(list[i].classes & (1ull << VIRTIO_ID_NET)) ||
		    !vdpa_mgmtdev_is_of(root, &list[i], addr))
			continue;
		*mgmt = list[i];
		return 0;
	}
	return -ENOENT;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A driver that takes a device is an event. */
static int wait_for_mgmt(const char *root, const struct pci_addr *addr, struct vdpa_mgmtdev *mgmt,
			 struct err *err)
{
	const long until = now_ms() + MGMT_WAIT_MS;
	_cleanup_close_ int events = uevents_open();
	char name[PCI_ADDR_STRLEN];
	int rc;

	do
		rc = find_mgmt(root, addr, mgmt, err);
	while (rc == -ENOENT && uevents_wait(events, (int)(until - now_ms())));
	if (rc == -ENOENT)
		rc = find_mgmt(root, addr, mgmt, err);
	if (rc != -ENOENT)
		return rc;
	return err_set(
		err, -EOPNOTSUPP, "vDPA",
		"%s: its driver offers no vDPA management device for networks; `vdpa mgmtdev "
		"show` lists those that there are, and dmesg may say why it is none",
		pci_addr_format(addr, name));
}

/* What the PF has for the VF: frames to another address do not arrive. */
static void find_mac(const char *root, const struct vdpa_plan *plan, struct vdpa_spec *spec)
{
	static const uint8_t none[6];
	struct vf_attributes attributes;
	struct vf vf;

	spec->has_mac = plan->has_mac;
	memcpy(spec->mac, plan->mac, sizeof(spec->mac));
	if (plan->has_mac || vf_read(root, &plan->addr, &vf, NULL) < 0 || !vf.pf_netdev[0] ||
	    sriov_get_attributes(vf.pf_netdev, vf.index, &attributes, NULL) < 0)
		return;
	spec->has_mac = attributes.has_mac && memcmp(attributes.mac, none, sizeof(none)) != 0;
	memcpy(spec->mac, attributes.mac, sizeof(spec->mac));
}

static void fill_spec(const char *root, const struct vdpa_plan *plan,
		      const struct vdpa_mgmtdev *mgmt, struct vdpa_spec *spec)
{
	const uint32_t offered = mgmt->max_vqs / 2;

	*spec = (struct vdpa_spec){ .mtu = plan->mtu };
	snprintf(spec->name, sizeof(spec->name), "%s", plan->name);
	snprintf(spec->mgmt_bus, sizeof(spec->mgmt_bus), "%s", mgmt->bus);
	snprintf(spec->mgmt_name, sizeof(spec->mgmt_name), "%s", mgmt->name);
	/* One that does not tell how many it has is not asked for a number. */
	spec->max_vqp = offered < plan->max_pairs ? offered : plan->max_pairs;
	find_mac(root, plan, spec);
}

/* The least important first; false when there is nothing left that could be left out. */
static bool leave_out(struct vdpa_spec *spec)
{
	const char *what = spec->max_vqp   ? "number of queue pairs"
			   : spec->mtu	   ? "MTU"
			   : spec->has_mac ? "MAC address"
					   : NULL;

	if (!what)
		return false;
	log_info("vDPA device %s: it keeps the %s that it has", spec->name, what);
	if (spec->max_vqp)
		spec->max_vqp = 0;
	else if (spec->mtu)
		spec->mtu = 0;
	else
		spec->has_mac = false;
	return true;
}

/* vp_vdpa and ifcvf let nothing be chosen, others not all of it. */
static bool may_be_a_choice(int rc)
{
	return rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ERANGE;
}

static int add(const char *root, const struct vdpa_plan *plan, struct err *err)
{
	struct vdpa_mgmtdev mgmt;
	struct vdpa_spec spec;
	struct err why = { 0 };
	int rc;

	rc = wait_for_mgmt(root, &plan->addr, &mgmt, err);
	if (rc < 0)
		return rc;
	fill_spec(root, plan, &mgmt, &spec);
	do {
		rc = vdpa_device_add(&spec, &why);
	} while (may_be_a_choice(rc) && leave_out(&spec));
	if (rc < 0 && rc != -EEXIST)
		return err_set(err, rc, why.step, "%s", why.text);
	fault_point("vdpa.made");
	return 0;
}

static int wait_for_node(const char *root, const struct vdpa_plan *plan, char path[PATH_MAX],
			 struct err *err)
{
	char node[VDPA_PATH_MAX];
	int rc = vdpa_chardev(root, plan->name, node, sizeof(node), err);

	if (rc)
		return rc;
	snprintf(path, PATH_MAX, "%s%s", root, node);
	rc = device_node_wait(path);
	if (!rc)
		return 0;
	return err_set(err, rc, "device file",
		       "the vDPA device %s is there, but %s does not appear: /dev is no devtmpfs, "
		       "and nobody else makes it; is udevd running?",
		       plan->name, node);
}

static int give(const struct vdpa_plan *plan, const char *path, struct err *err)
{
	struct stat st;
	int rc = 0;

	if (stat(path, &st) < 0)
		rc = -errno;
	else if (is_given(plan, &st))
		return 0;
	/* Nobody has more rights in between than before or after. */
	if (!rc && chmod(path, 0600) < 0)
		rc = -errno;
	if (!rc && chown(path, plan->uid, plan->gid) < 0)
		rc = -errno;
	if (!rc && chmod(path, plan->mode) < 0)
		rc = -errno;
	if (rc < 0)
		return err_set(err, rc, "device file",
			       "%s: %s cannot be given to user %u: %s; the manager has to be root "
			       "(CAP_CHOWN, CAP_FOWNER)",
			       plan->name, path, (unsigned int)plan->uid, strerror(-rc));
	return 0;
}

int vdpa_make(const char *root, const struct vdpa_plan *plan, struct err *err)
{
	char path[PATH_MAX];
	int rc = 0;

	if (vdpa_is_made(root, plan->name) && !vdpa_is_on(root, plan->name, &plan->addr))
		rc = vdpa_unmake(root, plan->name, err);
	if (!rc && !vdpa_is_on(root, plan->name, &plan->addr))
		rc = add(root, plan, err);
	if (!rc)
		rc = vdpa_use_vhost(root, plan->name, err);
	if (rc)
		return rc;
	fault_point("vdpa.vhost");
	rc = wait_for_node(root, plan, path, err);
	if (!rc)
		rc = give(plan, path, err);
	if (rc || vdpa_is_ready(root, plan))
		return rc;
	return err_set(err, -EBUSY, "vDPA",
		       "the vDPA device %s was made, but somebody has changed it or its device "
		       "file at once; is another tool (driverctl, a udev rule) in charge of it?",
		       plan->name);
}

/* It can be opened once at a time: who gets it open is the only user. */
static int check_unused(const char *root, const char *name, struct err *err)
{
	char node[VDPA_PATH_MAX];
	int fd;

	if (vdpa_chardev(root, name, node, sizeof(node), NULL) < 0)
		return 0;
	fd = kernel_open(root, "%s", node);
	if (fd == -EBUSY)
		return err_set(err, -EBUSY, "device in use",
			       "the vDPA device %s is used by a program that has %s open (a VM, or "
			       "a relay): `fuser %s` finds it; it is removed when that ends",
			       name, node, node);
	if (fd >= 0)
		close(fd);
	return 0;
}

int vdpa_unmake(const char *root, const char *name, struct err *err)
{
	struct err why = { 0 };
	int rc = check_unused(root, name, err);

	if (rc < 0)
		return rc;
	rc = vdpa_device_del(name, &why);
	fault_point("vdpa.unmade");
	/* No family of vDPA: no device either. */
	if (rc == -ENODEV || rc == -EOPNOTSUPP)
		return 0;
	return rc < 0 ? err_set(err, rc, why.step, "%s", why.text) : 0;
}
