/* SPDX-License-Identifier: BSD-3-Clause */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/devname.h"

#define STEP "device name"
#define FORMS                                                            \
	"allowed: a PCI address (0000:05:08.1), a VF of a PF (ens3.vf2)" \
	", netdev:NAME, vdev:DRIVER[,ARGUMENTS]"
#define VF_MAX 65535 /* the VF numbers of SR-IOV have 16 bits */

/* What the kernel takes as the name of an interface (dev_valid_name). */
static bool netdev_valid(const char *name, size_t len)
{
	if (!len || len > 15 || (len == 1 && name[0] == '.') ||
	    (len == 2 && !memcmp(name, "..", 2)))
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] == '/' || name[i] == ':' || isspace((unsigned char)name[i]) ||
		    iscntrl((unsigned char)name[i]))
			return false;
	return true;
}

static int parse_netdev(struct devname *dev, const char *text, struct err *err)
{
	const char *name = text + strlen("netdev:");

	if (!netdev_valid(name, strlen(name)))
		return err_set(err, -EINVAL, STEP,
			       "'%s': '%s' is no name of a network interface (1 to 15 characters, "
			       "without blanks, '/' and ':')",
			       text, name);
	dev->kind = DEVNAME_NETDEV;
	snprintf(dev->netdev, sizeof(dev->netdev), "%s", name);
	snprintf(dev->text, sizeof(dev->text), "%s", text);
	return 0;
}

static int parse_vdev(struct devname *dev, const char *text, struct err *err)
{
	const char *name = text + strlen("vdev:");
	size_t len = strcspn(name, ",");

	for (const char *p = name; *p; p++)
		if (!isgraph((unsigned char)*p))
			return err_set(err, -EINVAL, STEP,
				       "'%s' has a blank or a character that is not printable",
				       text);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			len = 0;
	if (!len || len >= sizeof(dev->driver_name))
		return err_set(err, -EINVAL, STEP,
			       "'%s' does not name a DPDK virtual device, as in "
			       "vdev:net_null0,copy=1",
			       text);
	dev->kind = DEVNAME_VDEV;
	snprintf(dev->driver_name, sizeof(dev->driver_name), "%.*s", (int)len, name);
	snprintf(dev->driver_args, sizeof(dev->driver_args), "%s", name[len] ? name + len + 1 : "");
	snprintf(dev->text, sizeof(dev->text), "vdev:%s%s%s", dev->driver_name,
		 dev->driver_args[0] ? "," : "", dev->driver_args);
	return 0;
}

/* The number behind ".vf", or -1. */
static int vf_number(const char *digits)
{
	unsigned long value = 0;

	if (!*digits || strlen(digits) > 5)
		return -1;
	for (; *digits; digits++) {
		if (!isdigit((unsigned char)*digits))
			return -1;
		value = value * 10 + (*digits - '0');
	}
	return value <= VF_MAX ? (int)value : -1;
}

static int parse_vf(struct devname *dev, const char *text, const char *dot, struct err *err)
{
	int vf = vf_number(dot + strlen(".vf"));
	char pf[DEVNAME_MAX];

	if (vf < 0)
		return err_set(err, -EINVAL, STEP,
			       "'%s': '%s' is no number of a VF (0 to %d, as in ens3.vf2)", text,
			       dot + strlen(".vf"), VF_MAX);
	snprintf(pf, sizeof(pf), "%.*s", (int)(dot - text), text);
	dev->kind = DEVNAME_PF_VF;
	dev->vf = vf;
	if (pci_addr_parse(&dev->pci, pf) == 0) {
		dev->pf_is_pci = true;
		pci_addr_format(&dev->pci, pf);
	} else if (netdev_valid(pf, strlen(pf))) {
		snprintf(dev->netdev, sizeof(dev->netdev), "%s", pf);
	} else {
		return err_set(err, -EINVAL, STEP,
			       "'%s': '%s' is neither a network interface nor a PCI address", text,
			       pf);
	}
	snprintf(dev->text, sizeof(dev->text), "%s.vf%u", pf, dev->vf);
	return 0;
}

/* ".vf" and a digit at the end of the name; an interface may have ".vf" in its name, too. */
static const char *find_vf(const char *text)
{
	const char *dot = strrchr(text, '.');

	return dot && dot != text && !strncmp(dot, ".vf", 3) ? dot : NULL;
}

int devname_parse(struct devname *dev, const char *text, struct err *err)
{
	const char *dot;

	memset(dev, 0, sizeof(*dev));
	if (!*text)
		return err_set(err, -EINVAL, STEP, "the name of a device is empty; " FORMS);
	if (strlen(text) >= DEVNAME_MAX)
		return err_set(err, -EINVAL, STEP,
			       "'%.40s...' has %zu characters; the name of a device has at most %d",
			       text, strlen(text), DEVNAME_MAX - 1);
	if (!strncmp(text, "netdev:", strlen("netdev:")))
		return parse_netdev(dev, text, err);
	if (!strncmp(text, "vdev:", strlen("vdev:")))
		return parse_vdev(dev, text, err);
	dot = find_vf(text);
	if (dot)
		return parse_vf(dev, text, dot, err);
	if (pci_addr_parse(&dev->pci, text) < 0)
		return err_set(err, -EINVAL, STEP, "'%.100s' is no device name; " FORMS, text);
	dev->kind = DEVNAME_PCI;
	pci_addr_format(&dev->pci, dev->text);
	return 0;
}

const char *devname_kind_name(enum devname_kind kind)
{
	static const char *const names[] = {
		[DEVNAME_PCI] = "pci",	 [DEVNAME_PF_VF] = "vf",  [DEVNAME_NETDEV] = "netdev",
		[DEVNAME_VDEV] = "vdev", [DEVNAME_BOND] = "bond",
	};

	return names[kind];
}

const char *devname_label(const struct devname *dev)
{
	return dev->kind == DEVNAME_BOND ? dev->driver_name : dev->text;
}
