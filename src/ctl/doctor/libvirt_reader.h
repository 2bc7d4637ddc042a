/* SPDX-License-Identifier: BSD-3-Clause */

/* A file of libvirt's about a domain or a network, as expat reads it. */
#ifndef VIO4WD_CTL_DOCTOR_LIBVIRT_READER_H
#define VIO4WD_CTL_DOCTOR_LIBVIRT_READER_H

#include "ctl/doctor/libvirt.h"

#define LIBVIRT_PATH_LEN 256 /* of an element; deeper ones are of no interest */
#define LIBVIRT_TEXT_LEN 256 /* of a name */

struct libvirt_memory {
	bool hugepages, memfd, shared, is_private, shared_cell;
};

struct libvirt_reader { /* zeroed before */
	char path[LIBVIRT_PATH_LEN];
	unsigned int beyond;	     /* elements below path that do not fit */
	char text[LIBVIRT_TEXT_LEN]; /* of the element */
	struct libvirt_domain domain;
	struct libvirt_pool pool;
	struct libvirt_memory memory;
	struct libvirt_nic nic; /* of the interface that is open */
	bool is_vhostuser;
	bool is_pool; /* the network's <forward> hands out devices */
};

/*
 * Fills domain (but not its file and its memory) or pool, which are the caller's to free, as is
 * nic.path. Returns 0; -EBADMSG: it is no XML; another negative errno of opening and reading it.
 */
int libvirt_parse(struct libvirt_reader *r, const char *path);

/* One more entry of size bytes, zeroed, at the end of a list; NULL when memory is short. list: the
 * address of its pointer. */
void *libvirt_grow(void *list, size_t *n, size_t size);

#endif
