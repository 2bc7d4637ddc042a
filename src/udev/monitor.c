/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/monitor.h"

#include <errno.h>
#include <libudev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "udev/pci_sysfs.h"
#include "udev/vf.h"

#define TAG "vio4wd"
#define RULES "99-vio4wd.rules"
#define UDEVD "/run/udev/control"
#define BUFFER (16 * 1024 * 1024) /* the events of 256 VFs are 5 MiB, as the kernel counts */
#define BATCH 64		  /* then the event loop's other sources have their turn */

struct vf_monitor {
	struct udev *udev;
	struct udev_monitor *monitor;
	sd_event_source *source;
	vf_event_fn fn;
	void *userdata;
};

static void cleanup_udev_device(struct udev_device **device)
{
	udev_device_unref(*device);
}

static enum vf_event_kind kind_of(const char *action)
{
	if (action && !strcmp(action, "add"))
		return VF_EVENT_ADDED;
	if (action && !strcmp(action, "remove"))
		return VF_EVENT_REMOVED;
	return VF_EVENT_CHANGED;
}

/* Without the tag, functions of every kind are told of. */
static bool may_concern(struct udev_device *device)
{
	const char *subsystem = udev_device_get_subsystem(device);
	const char *class = udev_device_get_property_value(device, "PCI_CLASS");

	return !subsystem || strcmp(subsystem, "pci") || !class ||
	       pci_class_is_network(strtoul(class, NULL, 16));
}

static void tell(struct vf_monitor *monitor, struct udev_device *device)
{
	struct vf_event event = { .kind = kind_of(udev_device_get_action(device)) };
	const char *path = udev_device_get_devpath(device);

	/* From the text: of what was removed, sysfs no longer tells the parents. */
	if (path && !pci_addr_of_path(path, &event.addr) && may_concern(device))
		monitor->fn(&event, monitor->userdata);
}

/*
 * The kernel drops what comes from an overrun on until the socket is empty, and tells of it only
 * once. So all is thrown away first: whoever looks at everything after that misses nothing.
 */
static void lose(struct vf_monitor *monitor)
{
	const struct vf_event lost = { .kind = VF_EVENT_LOST };
	const int fd = udev_monitor_get_fd(monitor->monitor);
	char byte;

	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0 || errno == ENOBUFS ||
	       errno == EINTR)
		;
	log_notice("udev: events were lost; all VFs are looked at anew");
	monitor->fn(&lost, monitor->userdata);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct vf_monitor *monitor = userdata;

	for (int i = 0; i < BATCH; i++) {
		_cleanup_(cleanup_udev_device) struct udev_device *device = NULL;

		errno = 0;
		device = udev_monitor_receive_device(monitor->monitor);
		if (device) {
			tell(monitor, device);
		} else if (errno == ENOBUFS) {
			lose(monitor);
		} else {
			/* Nothing more, or a message that is malformed: the loop comes back when
			 * there are others. */
			if (errno != EAGAIN)
				log_debug("udev: a message was ignored: %s", strerror(errno));
			return 0;
		}
	}
	return 0;
}

/* A file that is there may be left over: somebody must listen. */
static bool udevd_runs(void)
{
	const struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = UDEVD };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 || !connect(fd, (const struct sockaddr *)&name, sizeof(name)) ||
	       (errno != ENOENT && errno != ECONNREFUSED);
}

/* The first one counts, as for udevd: a link to /dev/null or an empty file switches rules off. */
static bool rules_installed(void)
{
	static const char *const files[] = {
		"/etc/udev/rules.d/" RULES,	      "/run/udev/rules.d/" RULES,
		"/usr/local/lib/udev/rules.d/" RULES, "/usr/lib/udev/rules.d/" RULES,
		"/lib/udev/rules.d/" RULES,
	};
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (!stat(files[i], &st))
			return S_ISREG(st.st_mode) && st.st_size > 0;
	}
	return false;
}

static bool is_tagged(struct udev *udev, const struct pci_addr *addr)
{
	_cleanup_(cleanup_udev_device) struct udev_device *device = NULL;
	char name[PCI_ADDR_STRLEN];

	pci_addr_format(addr, name);
	device = udev_device_new_from_subsystem_sysname(udev, "pci", name);
	return !device || udev_device_has_tag(device, TAG);
}

/* udevd tags what has had an event since the rules were installed. */
static bool all_tagged(struct udev *udev)
{
	_cleanup_free_ struct vf *vfs = NULL;
	_cleanup_free_ struct pf *pfs = NULL;
	size_t n_vfs = 0, n_pfs = 0;
	bool tagged = true;

	if (vf_enumerate("", &vfs, &n_vfs, NULL) < 0 || pf_enumerate("", &pfs, &n_pfs, NULL) < 0)
		return false;
	for (size_t i = 0; tagged && i < n_vfs; i++)
		tagged = is_tagged(udev, &vfs[i].addr);
	for (size_t i = 0; tagged && i < n_pfs; i++)
		tagged = is_tagged(udev, &pfs[i].addr);
	return tagged;
}

static bool can_filter_by_tag(struct udev *udev)
{
	if (!rules_installed()) {
		log_notice("udev: %s is not in a rules.d of udev (or empty): all events of PCI and "
			   "network devices are looked at; install the rules",
			   RULES);
		return false;
	}
	if (!all_tagged(udev)) {
		log_info("udev: there are VFs or PFs that %s has not tagged yet: all events of PCI "
			 "and network devices are looked at (udevadm trigger tags them)",
			 RULES);
		return false;
	}
	return true;
}

static int set_up(struct vf_monitor *monitor, sd_event *event)
{
	const bool udevd = udevd_runs();
	int rc;

	monitor->udev = udev_new();
	if (!monitor->udev)
		return -ENOMEM;
	if (!udevd)
		log_info("udev: no udevd runs on this host: the kernel's own events are used");
	errno = ENOMEM;
	monitor->monitor = udev_monitor_new_from_netlink(monitor->udev, udevd ? "udev" : "kernel");
	if (!monitor->monitor)
		return -errno;
	rc = udev_monitor_filter_add_match_subsystem_devtype(monitor->monitor, "pci", NULL);
	if (rc >= 0)
		rc = udev_monitor_filter_add_match_subsystem_devtype(monitor->monitor, "net", NULL);
	if (rc >= 0)
		rc = udev_monitor_filter_add_match_subsystem_devtype(monitor->monitor, "vdpa",
								     NULL);
	if (rc >= 0 && udevd && can_filter_by_tag(monitor->udev))
		rc = udev_monitor_filter_add_match_tag(monitor->monitor, TAG);
	if (rc < 0)
		return rc;
	rc = udev_monitor_set_receive_buffer_size(monitor->monitor, BUFFER);
	if (rc < 0)
		log_info("udev: the receive buffer stays small: %s", strerror(-rc));
	rc = udev_monitor_enable_receiving(monitor->monitor);
	if (rc < 0)
		return rc;
	return sd_event_add_io(event, &monitor->source, udev_monitor_get_fd(monitor->monitor),
			       EPOLLIN, on_readable, monitor);
}

int vf_monitor_new(struct vf_monitor **result, sd_event *event, vf_event_fn fn, void *userdata,
		   struct err *err)
{
	struct vf_monitor *monitor = calloc(1, sizeof(*monitor));
	int rc;

	if (!monitor)
		return err_set(err, -ENOMEM, "udev", "out of memory");
	monitor->fn = fn;
	monitor->userdata = userdata;
	rc = set_up(monitor, event);
	if (rc < 0) {
		vf_monitor_free(monitor);
		return err_set(err, rc, "udev",
			       "VFs that come and go cannot be watched (netlink, "
			       "NETLINK_KOBJECT_UEVENT): %s",
			       strerror(-rc));
	}
	*result = monitor;
	return 0;
}

void vf_monitor_free(struct vf_monitor *monitor)
{
	if (!monitor)
		return;
	sd_event_source_disable_unref(monitor->source);
	udev_monitor_unref(monitor->monitor);
	udev_unref(monitor->udev);
	free(monitor);
}
