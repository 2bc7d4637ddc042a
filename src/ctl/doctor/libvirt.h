/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What libvirt has written down of its domains and networks: /etc/libvirt/qemu has the persistent
 * ones, /run/libvirt those that run, as they run. Read as files (formatdomain and formatnetwork of
 * libvirt's documentation), so that no daemon is asked or started.
 */
#ifndef VIO4WD_CTL_DOCTOR_LIBVIRT_H
#define VIO4WD_CTL_DOCTOR_LIBVIRT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cpuset.h"
#include "common/pci_addr.h"

struct libvirt_nic { /* <interface type='vhostuser'> */
	char *path;
	bool client;	/* QEMU connects; else it listens */
	bool reconnect; /* and connects again */
	char mac[18];	/* "": none */
};

struct libvirt_domain {
	char *file, *name;
	bool running;
	bool emulated;	     /* without KVM */
	bool shared_memory;  /* a vhost-user back end can map it */
	bool hugepages;	     /* by way of a hugetlbfs mount */
	struct cpuset cpus;  /* that its vCPUs and threads are pinned to; empty: not pinned */
	struct cpuset nodes; /* NUMA nodes that its memory is bound to; empty: not bound */
	struct pci_addr *functions; /* of the host, that it gets as they are */
	size_t n_functions;
	struct libvirt_nic *nics;
	size_t n_nics;
};

struct libvirt_pool { /* a network with <forward mode='hostdev'> */
	char *file, *name;
	char *pf;		    /* all VFs of this interface; NULL: those of the list */
	struct pci_addr *functions; /* VFs that are named one by one */
	size_t n_functions;
};

struct libvirt {
	struct libvirt_domain *domains; /* of one that runs the running form only */
	size_t n_domains;
	struct libvirt_pool *pools;
	size_t n_pools;
	char *broken; /* a file that cannot be read or is no XML; NULL: none */
};

/* Below root; folders that are not there are empty. What cannot be read is left out. */
void libvirt_read(struct libvirt *l, const char *root);
void libvirt_free(struct libvirt *l);

#endif
