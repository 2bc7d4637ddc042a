/* SPDX-License-Identifier: BSD-3-Clause */

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/devname.h"
#include "ctl/vf_view.h"
#include "ctl/vm_facts.h"

#define MAX_QUEUES 32

static bool looks_like_mac(const char *text)
{
	size_t i;

	for (i = 0; i < 17 && text[i]; i++) {
		if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
			break;
	}
	return i == 17 && !text[17];
}

static bool is_group_address(const char *mac)
{
	return strchr("13579bdfBDF", mac[1]);
}

static bool parse_mac(struct ctl *ctl, const char *text)
{
	if (!looks_like_mac(text))
		ctl_usage(ctl, "--mac is '%s'; an address looks like 52:54:00:12:34:56", text);
	else if (is_group_address(text))
		ctl_usage(ctl, "--mac is '%s', which is a group address", text);
	else
		return true;
	return false;
}

static bool parse_memory(struct ctl *ctl, const char *text, unsigned long *mib)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	bool gib = *end == 'G' || *end == 'g';

	if (!isdigit((unsigned char)*text) || n == 0 || n > 1ul << 24 ||
	    (!gib && *end != 'M' && *end != 'm') || end[1]) {
		ctl_usage(ctl, "--memory is '%s'; a size looks like 4G or 512M", text);
		return false;
	}
	*mib = gib ? n * 1024 : n;
	return true;
}

static bool parse_version(struct ctl *ctl, const char *text, unsigned int *version)
{
	unsigned int major, minor = 0;
	int len = 0;

	if (sscanf(text, "%3u%n.%2u%n", &major, &len, &minor, &len) < 1 ||
	    (text[len] && text[len] != '.')) {
		ctl_usage(ctl, "--qemu is '%s'; a version looks like 9.2", text);
		return false;
	}
	*version = major * 100 + minor;
	return true;
}

static bool parse_page_size(struct ctl *ctl, const char *text, unsigned int *mib)
{
	if (!text || strcasecmp(text, "2M") == 0)
		*mib = 2;
	else if (strcasecmp(text, "1G") == 0)
		*mib = 1024;
	else
		ctl_usage(ctl, "--hugepages is '%s'; it must be 2M or 1G", text);
	return *mib > 0;
}

static bool check_memory(struct ctl *ctl, const struct vm_facts *facts)
{
	if (!facts->page_mib || facts->memory_mib % facts->page_mib == 0)
		return true;
	ctl_usage(ctl, "--memory is %luM; on hugepages of %uM it must be a multiple of that",
		  facts->memory_mib, facts->page_mib);
	return false;
}

static bool parse_option(struct ctl *ctl, struct vm_facts *facts, int c)
{
	switch (c) {
	case 'q':
		if (!ctl_number(ctl, "--queues", optarg, MAX_QUEUES, &facts->queues))
			return false;
		if (facts->queues == 0)
			ctl_usage(ctl, "--queues must be 1 to %d", MAX_QUEUES);
		return facts->queues > 0;
	case 'm':
		facts->mac = optarg;
		return parse_mac(ctl, optarg);
	case 's':
		return parse_memory(ctl, optarg, &facts->memory_mib);
	case 'v':
		if (!ctl_number(ctl, "--vcpus", optarg, 4096, &facts->vcpus))
			return false;
		if (facts->vcpus == 0)
			ctl_usage(ctl, "--vcpus must be 1 or more");
		return facts->vcpus > 0;
	case 'Q':
		return parse_version(ctl, optarg, &facts->qemu_version);
	case 'L':
		facts->disable_legacy = true;
		return true;
	default:
		return parse_page_size(ctl, optarg, &facts->page_mib);
	}
}

static const char *usable_mac(const char *text)
{
	return looks_like_mac(text) && !is_group_address(text) &&
			       strcmp(text, "00:00:00:00:00:00") != 0
		       ? text
		       : NULL;
}

/* No relay has started it, but it has an address from the beginning. */
static const char *vhostdev_mac(struct ctl *ctl, struct vm_facts *facts)
{
	struct err err;

	if (ctl_try_call(ctl, "vdpa-list", NULL, &facts->vdpa, &err) != CTL_OK)
		return NULL;
	for (size_t i = 0; i < json_length(json_at(facts->vdpa, "devices")); i++) {
		json_object *device = json_object_array_get_idx(json_at(facts->vdpa, "devices"), i);

		if (json_at(device, "relay") && json_number(device, "relay") == facts->id)
			return usable_mac(json_text(device, "mac"));
	}
	return NULL;
}

/* The PF delivers to the VF what is addressed as the PF says. Where it says nothing, the address
 * that the device has started with is the one. */
static void find_mac(struct ctl *ctl, struct vm_facts *facts)
{
	json_object *vf = NULL;
	struct devname dev;
	struct err err;

	facts->is_function = json_at(facts->relay, "address") ||
			     (devname_parse(&dev, json_text(facts->relay, "device"), NULL) == 0 &&
			      (dev.kind == DEVNAME_PCI || dev.kind == DEVNAME_PF_VF));
	if (!facts->is_function)
		return;
	if (facts->vhostdev)
		facts->device_mac = vhostdev_mac(ctl, facts);
	else
		facts->device_mac = usable_mac(json_text(facts->relay, "device_detail.mac"));
	if (ctl_try_call(ctl, "vf-list", NULL, &facts->vfs, &err) == CTL_OK)
		vf = vf_of_relay(json_at(facts->vfs, "pfs"), facts->id);
	facts->vf_mac = usable_mac(json_text(vf, "mac"));
	if (!facts->vf_mac)
		facts->vf_mac = facts->device_mac;
	if (!facts->mac)
		facts->mac = facts->vf_mac;
}

static bool differ(const char *a, const char *b)
{
	return a && b && strcasecmp(a, b) != 0;
}

const char *vm_facts_mac_hint(const struct vm_facts *facts, char *buf, size_t size)
{
	if (!facts->is_function)
		return NULL;
	if (!facts->mac)
		snprintf(buf, size,
			 "the VF's MAC address is not known yet, and a VF delivers only what is "
			 "addressed to it: ask again when relay %u has its device, or choose one "
			 "with VIO4WD_VF_OPTIONS",
			 facts->id);
	else if (differ(facts->mac, facts->vf_mac))
		snprintf(buf, size,
			 "the VF's own MAC address is %s: frames to another one do not arrive "
			 "unless the PF trusts the VF (VIO4WD_VF_OPTIONS)",
			 facts->vf_mac);
	else if (differ(facts->vf_mac, facts->device_mac))
		snprintf(buf, size,
			 "the PF gives this VF the MAC address %s, but the device has started with "
			 "%s: was the PF's interface down? Set it up, then remove and add relay %u",
			 facts->vf_mac, facts->device_mac, facts->id);
	else
		return NULL;
	return buf;
}

static int ask(struct ctl *ctl, struct vm_facts *facts)
{
	int status = ctl_call(ctl, "show", ctl_id_params(facts->id), &facts->relay);

	if (status != CTL_OK)
		return status;
	status = ctl_call(ctl, "config", NULL, &facts->config);
	if (status != CTL_OK)
		return status;
	facts->socket = json_text(facts->relay, "socket");
	if (strcmp(json_text(facts->relay, "as"), "vhost-vdpa") == 0) {
		facts->vhostdev = json_text(facts->relay, "vdpa.path");
		if (strcmp(facts->vhostdev, "-") == 0) {
			ctl_error("relay %u has no vDPA device yet: %s", facts->id,
				  json_text(facts->relay, "reason"));
			return CTL_REFUSED;
		}
	} else if (strcmp(facts->socket, "-") == 0) {
		ctl_error("relay %u has no socket", facts->id);
		return CTL_REFUSED;
	}
	facts->relay_is_server = strcmp(json_text(facts->relay, "mode"), "client") != 0;
	facts->mrg_rxbuf = json_flag(facts->config, "VIRTIOFWD_MRGBUF");
	facts->jumbo = json_flag(facts->config, "VIRTIOFWD_JUMBO");
	find_mac(ctl, facts);
	return CTL_OK;
}

int vm_facts_get(struct ctl *ctl, int argc, char **argv, struct vm_facts *facts, bool *stop)
{
	int status = CTL_OK, c;

	*facts = (struct vm_facts){ .queues = 1, .memory_mib = 1024, .vcpus = 1 };
	*stop = true;
	while ((c = ctl_getopt(ctl, argc, argv, &status)) != -1) {
		if (c == CTL_OPTION_STOP)
			return status;
		if (!parse_option(ctl, facts, c))
			return CTL_USAGE;
	}
	if (!ctl_operands(ctl, argc, argv, 1, 1, &status))
		return status;
	if (!ctl_number(ctl, "ID", argv[optind], UINT_MAX, &facts->id) || !check_memory(ctl, facts))
		return CTL_USAGE;
	status = ask(ctl, facts);
	if (status != CTL_OK)
		vm_facts_clear(facts);
	*stop = status != CTL_OK;
	return status;
}

void vm_facts_clear(struct vm_facts *facts)
{
	json_object_put(facts->relay);
	json_object_put(facts->config);
	json_object_put(facts->vfs);
	json_object_put(facts->vdpa);
	facts->relay = facts->config = facts->vfs = facts->vdpa = NULL;
}
