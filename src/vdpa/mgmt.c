/* SPDX-License-Identifier: BSD-3-Clause */

#include "vdpa/mgmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vdpa.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "common/cleanup.h"
#include "vdpa/message.h"
#include "vdpa/request.h"

#define HANDLE_MAX (16 + 1 + VDPA_NAME_MAX)

/* A management device as vdpa(8) writes it: "pci/0000:05:08.1", "vdpasim_net". */
static const char *handle_text(const char *bus, const char *name, char buf[HANDLE_MAX])
{
	snprintf(buf, HANDLE_MAX, "%s%s%s", bus, bus[0] ? "/" : "", name);
	return buf;
}

static int read_mgmtdev(struct nlmsghdr *message, void *item)
{
	return vdpa_message_mgmtdev(message, item);
}

int vdpa_mgmtdev_list(struct vdpa_mgmtdev **list, size_t *n, struct err *err)
{
	void *items;
	const int rc = vdpa_request_list(VDPA_CMD_MGMTDEV_GET, "management devices of vDPA",
					 read_mgmtdev, sizeof(**list), &items, n, err);

	*list = items;
	return rc;
}

static int read_device(struct nlmsghdr *message, void *item)
{
	return vdpa_message_device(message, item);
}

int vdpa_device_list(struct vdpa_device **list, size_t *n, struct err *err)
{
	void *items;
	const int rc = vdpa_request_list(VDPA_CMD_DEV_GET, "vDPA devices", read_device,
					 sizeof(**list), &items, n, err);

	*list = items;
	return rc;
}

static int put_spec(struct nl_msg *msg, const struct vdpa_spec *spec)
{
	int rc = nla_put_string(msg, VDPA_ATTR_DEV_NAME, spec->name);

	if (!rc && spec->mgmt_bus[0])
		rc = nla_put_string(msg, VDPA_ATTR_MGMTDEV_BUS_NAME, spec->mgmt_bus);
	if (!rc)
		rc = nla_put_string(msg, VDPA_ATTR_MGMTDEV_DEV_NAME, spec->mgmt_name);
	if (!rc && spec->has_mac)
		rc = nla_put(msg, VDPA_ATTR_DEV_NET_CFG_MACADDR, sizeof(spec->mac), spec->mac);
	if (!rc && spec->mtu)
		rc = nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MTU, spec->mtu);
	if (!rc && spec->max_vqp)
		rc = nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MAX_VQP, spec->max_vqp);
	return rc;
}

/* 0: it does not tell. A control queue, where there is one, is the odd virtqueue. */
static uint32_t pairs_offered(const struct vdpa_spec *spec)
{
	_cleanup_free_ struct vdpa_mgmtdev *list = NULL;
	size_t n;

	if (vdpa_mgmtdev_list(&list, &n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].bus, spec->mgmt_bus) && !strcmp(list[i].name, spec->mgmt_name))
			return list[i].max_vqs / 2;
	return 0;
}

/* Newer kernels say which, as a mask: "Some provided attributes are not supported: 0x1000". */
static bool is_refused(int attr, const char *why)
{
	const char *mask = strstr(why, ": 0x");

	return !mask || strtoull(mask + 2, NULL, 16) >> attr & 1;
}

/* "the MAC address and the MTU"; returns how many. */
static int choices_text(const struct vdpa_spec *spec, const char *why, char *buf, size_t size)
{
	const bool mac = spec->has_mac && is_refused(VDPA_ATTR_DEV_NET_CFG_MACADDR, why);
	const bool mtu = spec->mtu && is_refused(VDPA_ATTR_DEV_NET_CFG_MTU, why);
	const bool max_vqp = spec->max_vqp && is_refused(VDPA_ATTR_DEV_NET_CFG_MAX_VQP, why);
	const char *const choices[] = {
		mac ? "the MAC address" : NULL,
		mtu ? "the MTU" : NULL,
		max_vqp ? "the number of queue pairs" : NULL,
	};
	size_t len = 0;
	int n = 0;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (choices[i])
			len += snprintf(buf + len, size - len, "%s%s", n++ ? " and " : "",
					choices[i]);
	return n;
}

static int cannot_be_chosen(const char *handle, const char *choices, int n, const char *why,
			    struct err *err)
{
	return err_set(err, -EINVAL, "vDPA",
		       "%s does not let %s%s be chosen for its vDPA devices: %s; leave %s out",
		       handle, n > 1 ? "all of " : "", choices, why, n > 1 ? "some of it" : "that");
}

static int exists(const char *name, struct err *err)
{
	return err_set(err, -EEXIST, "vDPA",
		       "there is a vDPA device %s already (`vdpa dev show`); remove it or take "
		       "another name",
		       name);
}

static int not_added(const struct vdpa_spec *spec, int rc, const char *why, struct err *err)
{
	char handle[HANDLE_MAX], choices[80];
	uint32_t offered;
	int n;

	handle_text(spec->mgmt_bus, spec->mgmt_name, handle);
	switch (rc) {
	case -EEXIST:
		return exists(spec->name, err);
	case -ENODEV:
		return err_set(
			err, rc, "vDPA",
			"%s makes no vDPA devices: %s; is a driver for that loaded (mlx5_vdpa, "
			"vp_vdpa, ifcvf, ...; `vdpa mgmtdev show` lists who does)?",
			handle, why);
	case -ENOSPC:
		return err_set(err, rc, "vDPA",
			       "%s has no room for the vDPA device %s: %s; `vdpa dev show` lists "
			       "those that it has",
			       handle, spec->name, why);
	case -EPERM:
		break;
	case -EOPNOTSUPP:
		n = choices_text(spec, why, choices, sizeof(choices));
		if (n)
			return cannot_be_chosen(handle, choices, n, why, err);
		rc = -EINVAL; /* -EOPNOTSUPP is that of a kernel without vDPA */
		break;
	default:
		offered = spec->max_vqp ? pairs_offered(spec) : 0;
		if (offered && offered < spec->max_vqp)
			return err_set(err, -ERANGE, "vDPA",
				       "%s offers %u queue pairs for a vDPA device, %u were asked "
				       "for; ask for fewer",
				       handle, offered, spec->max_vqp);
	}
	return err_set(err, rc, "vDPA", "%s does not make the vDPA device %s: %s%s", handle,
		       spec->name, why, vdpa_request_next_step(rc));
}

/*
 * A function of a bus is one vDPA device. Most drivers refuse a second one; vp_vdpa makes it,
 * forgets the first, and the kernel crashes with its lock held when that is removed.
 */
static int check_free(const struct vdpa_spec *spec, struct err *err)
{
	_cleanup_free_ struct vdpa_device *list = NULL;
	char handle[HANDLE_MAX];
	size_t n;
	int rc;

	if (!spec->mgmt_bus[0])
		return 0;
	rc = vdpa_device_list(&list, &n, err);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].mgmt_bus, spec->mgmt_bus) != 0 ||
		    strcmp(list[i].mgmt_name, spec->mgmt_name) != 0)
			continue;
		if (!strcmp(list[i].name, spec->name))
			return exists(spec->name, err);
		return err_set(err, -ENOSPC, "vDPA",
			       "%s is the vDPA device %s already and cannot be %s as well; `vdpa "
			       "dev del %s` removes it",
			       handle_text(spec->mgmt_bus, spec->mgmt_name, handle), list[i].name,
			       spec->name, list[i].name);
	}
	return rc;
}

int vdpa_device_add(const struct vdpa_spec *spec, struct err *err)
{
	_cleanup_vdpa_request_ struct nl_msg *msg = NULL;
	char why[VDPA_WHY_MAX];
	int rc;

	rc = check_free(spec, err);
	if (rc < 0)
		return rc;
	msg = vdpa_request_new(VDPA_CMD_DEV_NEW, 0, &rc, err);
	if (!msg)
		return rc;
	if (put_spec(msg, spec) < 0)
		return vdpa_request_no_memory(err);
	rc = vdpa_request_send(msg, NULL, NULL, why);
	return rc < 0 ? not_added(spec, rc, why, err) : 0;
}

static int no_such_device(const char *name, struct err *err)
{
	return err_set(err, -ENODEV, "vDPA",
		       "there is no vDPA device %s; `vdpa dev show` lists those that there are",
		       name);
}

/* A request about one device. */
static struct nl_msg *new_device_message(uint8_t command, const char *name, int *rc,
					 struct err *err)
{
	struct nl_msg *msg = vdpa_request_new(command, 0, rc, err);

	if (msg && nla_put_string(msg, VDPA_ATTR_DEV_NAME, name) < 0) {
		nlmsg_free(msg);
		*rc = vdpa_request_no_memory(err);
		return NULL;
	}
	return msg;
}

int vdpa_device_del(const char *name, struct err *err)
{
	_cleanup_vdpa_request_ struct nl_msg *msg = NULL;
	char why[VDPA_WHY_MAX];
	int rc;

	msg = new_device_message(VDPA_CMD_DEV_DEL, name, &rc, err);
	if (!msg)
		return rc;
	rc = vdpa_request_send(msg, NULL, NULL, why);
	if (rc == -ENODEV)
		return no_such_device(name, err);
	if (rc < 0)
		return err_set(err, rc, "vDPA", "the vDPA device %s cannot be removed: %s%s", name,
			       why, vdpa_request_next_step(rc));
	return 0;
}

/* what: "the configuration" */
static int not_told(const char *name, const char *what, int rc, const char *why, struct err *err)
{
	if (rc == -ENODEV)
		return no_such_device(name, err);
	if (rc == -EAGAIN)
		return err_set(err, rc, "vDPA",
			       "the vDPA device %s tells %s only after its driver has negotiated "
			       "features: when a VM uses it (%s)",
			       name, what, why);
	return err_set(err, rc, "vDPA", "the vDPA device %s does not tell %s: %s%s", name, what,
		       why, vdpa_request_next_step(rc));
}

struct config_query {
	struct vdpa_net_config *config;
	int result;
};

static void on_config(struct nlmsghdr *message, void *userdata)
{
	struct config_query *query = userdata;

	query->result = vdpa_message_net_config(message, query->config);
}

int vdpa_device_config(const char *name, struct vdpa_net_config *config, struct err *err)
{
	struct config_query query = { .config = config, .result = -EBADMSG };
	_cleanup_vdpa_request_ struct nl_msg *msg = NULL;
	char why[VDPA_WHY_MAX];
	int rc;

	*config = (struct vdpa_net_config){ 0 };
	msg = new_device_message(VDPA_CMD_DEV_CONFIG_GET, name, &rc, err);
	if (!msg)
		return rc;
	rc = vdpa_request_send(msg, on_config, &query, why);
	if (rc == 0 && query.result < 0) {
		rc = query.result;
		snprintf(why, sizeof(why), "%s", strerror(-rc));
	}
	if (rc == -EOPNOTSUPP)
		return err_set(err, rc, "vDPA",
			       "%s is no network device, or this kernel tells no configuration of "
			       "vDPA devices (5.15 and later do)",
			       name);
	return rc < 0 ? not_told(name, "its configuration", rc, why, err) : 0;
}

struct counter_query {
	struct vdpa_counter *counters;
	size_t n;
	int result;
};

static void on_counters(struct nlmsghdr *message, void *userdata)
{
	struct counter_query *query = userdata;

	free(query->counters);
	query->result = vdpa_message_counters(message, &query->counters, &query->n);
}

int vdpa_device_vstats(const char *name, uint32_t virtqueue, struct vdpa_counter **counters,
		       size_t *n, struct err *err)
{
	_cleanup_vdpa_request_ struct nl_msg *msg = NULL;
	struct counter_query query = { .result = -EBADMSG };
	char why[VDPA_WHY_MAX], what[64];
	int rc;

	*counters = NULL;
	*n = 0;
	msg = new_device_message(VDPA_CMD_DEV_VSTATS_GET, name, &rc, err);
	if (!msg)
		return rc;
	if (nla_put_u32(msg, VDPA_ATTR_DEV_QUEUE_INDEX, virtqueue) < 0)
		return vdpa_request_no_memory(err);
	rc = vdpa_request_send(msg, on_counters, &query, why);
	if (rc == 0 && query.result < 0) {
		rc = query.result;
		snprintf(why, sizeof(why), "%s", strerror(-rc));
	}
	if (rc == 0) {
		*counters = query.counters;
		*n = query.n;
		return 0;
	}
	free(query.counters);
	if (rc == -EOPNOTSUPP)
		return err_set(err, rc, "vDPA",
			       "the vDPA device %s counts nothing of its virtqueues", name);
	snprintf(what, sizeof(what), "the counters of its virtqueue %u", virtqueue);
	return not_told(name, what, rc, why, err);
}
