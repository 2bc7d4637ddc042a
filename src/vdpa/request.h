/* SPDX-License-Identifier: BSD-3-Clause */

/* Requests of the generic netlink family "vdpa". */
#ifndef VIO4WD_VDPA_REQUEST_H
#define VIO4WD_VDPA_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include <netlink/msg.h>

#include "common/cleanup.h"
#include "common/err.h"

#define VDPA_WHY_MAX 160

static inline void vdpa_request_free(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

#define _cleanup_vdpa_request_ _cleanup_(vdpa_request_free)

/* A request without attributes. NULL: *rc and err say why not, -EOPNOTSUPP: no vDPA here. */
struct nl_msg *vdpa_request_new(uint8_t command, int flags, int *rc, struct err *err);

/* As netlink_request(). */
int vdpa_request_send(struct nl_msg *msg, void (*answer)(struct nlmsghdr *message, void *userdata),
		      void *userdata, char why[VDPA_WHY_MAX]);

/*
 * All that there are of what (in words: "vDPA devices"). read turns a message into an item of size
 * bytes, which are not initialized; -ENAMETOOLONG: it is left out. *items is the caller's to free.
 * -EAGAIN: they change all the time.
 */
int vdpa_request_list(uint8_t command, const char *what,
		      int (*read)(struct nlmsghdr *message, void *item), size_t size, void **items,
		      size_t *n, struct err *err);

/* What an administrator can do about an error, after a semicolon. */
const char *vdpa_request_next_step(int rc);
/* Fills err with -ENOMEM's words, and returns that. */
int vdpa_request_no_memory(struct err *err);

#endif
