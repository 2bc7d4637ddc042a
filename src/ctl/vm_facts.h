/* SPDX-License-Identifier: BSD-3-Clause */

/* What qemu-args and libvirt-xml have in common: options, and what they ask the daemon. */
#ifndef VIO4WD_CTL_VM_FACTS_H
#define VIO4WD_CTL_VM_FACTS_H

#include "ctl/ctl.h"

struct vm_facts {
	/* of the command line */
	unsigned int id;
	unsigned int queues;
	const char *mac;	  /* --mac, else that of the VF; NULL: the VM's own choice */
	unsigned long memory_mib; /* of the whole VM */
	unsigned int vcpus;
	unsigned int page_mib;	   /* size of the hugepages it is on; 0: on ordinary memory */
	bool disable_legacy;	   /* a device of virtio 1.0 and later, and of nothing before */
	unsigned int qemu_version; /* major * 100 + minor */
	/* of the daemon */
	json_object *relay, *config, *vfs, *vdpa;
	const char *socket;
	const char *vhostdev;	/* the file of a vDPA device, in the place of the socket; or NULL */
	bool is_function;	/* the device is a PCI function, as a VF is */
	const char *vf_mac;	/* what the PF delivers to it; NULL: not known */
	const char *device_mac; /* what it has started with */
	bool relay_is_server;
	bool mrg_rxbuf;
	bool jumbo;
};

#define VM_OPTIONS                                                                           \
	{ "queues", required_argument, NULL, 'q' }, { "mac", required_argument, NULL, 'm' }, \
		{ "memory", required_argument, NULL, 's' },                                  \
		{ "hugepages", optional_argument, NULL, 'H' },                               \
	{                                                                                    \
		"disable-legacy", no_argument, NULL, 'L'                                     \
	}

#define VM_OPTIONS_HELP                                                                          \
	"  --queues N         queue pairs, 1 to 32 (default 1)\n"                                \
	"  --mac MAC          the VM's address (default: the VF's own, which is all that a VF\n" \
	"                     delivers; without a VF it is left to QEMU or libvirt)\n"           \
	"  --memory SIZE      memory of the VM, as in 4G or 512M (default 1G)\n"                 \
	"  --hugepages[=SIZE] put it on hugepages, which is faster: of 2M (default) or 1G\n"     \
	"  --disable-legacy   a device of virtio 1.0 only, without that of older drivers\n"

/* Parses the command line and asks the daemon. Returns CTL_OK, else *facts is cleared; *stop is set
 * when the command must return (--help included). */
int vm_facts_get(struct ctl *ctl, int argc, char **argv, struct vm_facts *facts, bool *stop);
/* What is to be known about the VM's MAC address; NULL: nothing. Returns buf. */
#define VM_HINT_MAX 300
const char *vm_facts_mac_hint(const struct vm_facts *facts, char *buf, size_t size);
void vm_facts_clear(struct vm_facts *facts);

#endif
