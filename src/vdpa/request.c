/* SPDX-License-Identifier: BSD-3-Clause */

#include "vdpa/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/genetlink.h>
#include <linux/vdpa.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>

#include "common/cleanup.h"
#include "common/netlink.h"

/* So often a list is asked for that changes while it is read. */
#define MAX_INTERRUPTIONS 10

const char *vdpa_request_next_step(int rc)
{
	switch (rc) {
	case -EPERM:
		return "; the manager needs CAP_NET_ADMIN in the host's user namespace";
	case -EBADMSG:
		return "; what the kernel answered is malformed: do kernel and vio4wd fit together?";
	default:
		return "; dmesg may say more";
	}
}

int vdpa_request_no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "vDPA", "out of memory");
}

static void on_family(struct nlmsghdr *message, void *userdata)
{
	static const struct nla_policy policy[CTRL_ATTR_FAMILY_ID + 1] = {
		[CTRL_ATTR_FAMILY_ID] = { .type = NLA_U16 },
	};
	struct nlattr *t[CTRL_ATTR_FAMILY_ID + 1];
	int *family = userdata;

	if (genlmsg_parse(message, 0, t, CTRL_ATTR_FAMILY_ID, policy) == 0 &&
	    t[CTRL_ATTR_FAMILY_ID])
		*family = nla_get_u16(t[CTRL_ATTR_FAMILY_ID]);
}

static int no_family(int rc, const char *why, struct err *err)
{
	if (rc == -ENOENT)
		return err_set(
			err, -EOPNOTSUPP, "vDPA",
			"this kernel has no vDPA: the module vdpa is not loaded, which comes "
			"with the driver of a vDPA device (modprobe mlx5_vdpa, vp_vdpa, ...) and "
			"is in the full kernel package, on Debian linux-image-amd64 and not the "
			"-cloud one; or the manager runs in a network namespace, where there is "
			"none");
	return err_set(err, rc, "vDPA", "the kernel cannot be asked for vDPA: %s%s", why,
		       vdpa_request_next_step(rc));
}

/* The number changes when the module is loaded again. */
static int find_family(struct err *err)
{
	_cleanup_vdpa_request_ struct nl_msg *msg = nlmsg_alloc();
	int family = -EBADMSG, rc;
	char why[VDPA_WHY_MAX];

	if (!msg ||
	    !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, GENL_ID_CTRL, 0, 0, CTRL_CMD_GETFAMILY,
			 1) ||
	    nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME) < 0)
		return vdpa_request_no_memory(err);
	rc = netlink_request(NETLINK_GENERIC, msg, on_family, &family, why, sizeof(why));
	if (rc < 0)
		return no_family(rc, why, err);
	return family >= 0 ? family : no_family(family, strerror(-family), err);
}

struct nl_msg *vdpa_request_new(uint8_t command, int flags, int *rc, struct err *err)
{
	const int family = find_family(err);
	struct nl_msg *msg;

	if (family < 0) {
		*rc = family;
		return NULL;
	}
	msg = nlmsg_alloc();
	if (msg && genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, command,
			       VDPA_GENL_VERSION))
		return msg;
	nlmsg_free(msg);
	*rc = vdpa_request_no_memory(err);
	return NULL;
}

int vdpa_request_send(struct nl_msg *msg, void (*answer)(struct nlmsghdr *message, void *userdata),
		      void *userdata, char why[VDPA_WHY_MAX])
{
	return netlink_request(NETLINK_GENERIC, msg, answer, userdata, why, VDPA_WHY_MAX);
}

/* A list that grows by what each message says. */
struct list {
	int (*read)(struct nlmsghdr *message, void *item);
	void *items;
	size_t n, room, size; /* size: of an item */
	int error;
};

static int list_grow(struct list *list)
{
	const size_t room = list->room ? list->room * 2 : 16;
	void *more = reallocarray(list->items, room, list->size);

	if (!more)
		return -ENOMEM;
	list->items = more;
	list->room = room;
	return 0;
}

static void on_item(struct nlmsghdr *message, void *userdata)
{
	struct list *list = userdata;
	int rc;

	if (list->error)
		return;
	if (list->n == list->room) {
		list->error = list_grow(list);
		if (list->error)
			return;
	}
	rc = list->read(message, (char *)list->items + list->n * list->size);
	/* None of ours has such a name. */
	if (rc == -ENAMETOOLONG)
		return;
	list->error = rc;
	list->n += rc == 0;
}

/* -EINTR: they changed meanwhile; without words. */
static int dump_once(uint8_t command, const char *what, struct list *list, struct err *err)
{
	_cleanup_vdpa_request_ struct nl_msg *msg = NULL;
	char why[VDPA_WHY_MAX];
	int rc;

	list->n = 0;
	list->error = 0;
	msg = vdpa_request_new(command, NLM_F_DUMP, &rc, err);
	if (!msg)
		return rc;
	rc = vdpa_request_send(msg, on_item, list, why);
	if (rc == 0 && list->error) {
		rc = list->error;
		snprintf(why, sizeof(why), "%s", strerror(-rc));
	}
	if (rc == 0 || rc == -EINTR)
		return rc;
	return err_set(err, rc, "vDPA", "the %s cannot be listed: %s%s", what, why,
		       vdpa_request_next_step(rc));
}

int vdpa_request_list(uint8_t command, const char *what,
		      int (*read)(struct nlmsghdr *message, void *item), size_t size, void **items,
		      size_t *n, struct err *err)
{
	struct list list = { .read = read, .size = size };
	int rc, left = MAX_INTERRUPTIONS;

	*items = NULL;
	*n = 0;
	do {
		rc = dump_once(command, what, &list, err);
	} while (rc == -EINTR && --left);
	if (rc < 0)
		free(list.items);
	if (rc == -EINTR)
		return err_set(err, -EAGAIN, "vDPA",
			       "the %s changed each time while they were listed; who makes and "
			       "removes them all the time?",
			       what);
	if (rc < 0)
		return rc;
	*items = list.items;
	*n = list.n;
	return 0;
}
