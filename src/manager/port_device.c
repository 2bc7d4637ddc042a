/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A representor tells by phys_port_name which VF it stands for ("pf0vf3", by the kernel's
 * devlink-port documentation), and the PCI function above it is the VF's PF. Drivers that put
 * representors below no function, or below that of another port, are helped by phys_switch_id,
 * which all ports of one switch have in common.
 */
#include "manager/port_device.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/sysfs.h"
#include "manager/device.h"
#include "udev/vf.h"

#define NET "/sys/class/net/"
#define SWITCH_ID_MAX 80 /* 32 bytes in hexadecimal, and a newline */

struct representor {
	unsigned int controller; /* 0: this host */
	unsigned int pf, vf;
};

static bool take_number(const char **text, const char *before, unsigned int *number)
{
	const size_t len = strlen(before);
	unsigned int value = 0, digits = 0;

	if (strncmp(*text, before, len))
		return false;
	for (*text += len; isdigit((unsigned char)**text) && digits < 6; digits++)
		value = value * 10 + (unsigned int)(*(*text)++ - '0');
	*number = value;
	return digits > 0;
}

/* "pf0vf3", or "c1pf0vf3" on the controller of another host. */
static bool is_representor(const char *root, const char *name, struct representor *rep)
{
	char port[64];
	const char *p = port;

	rep->controller = 0;
	if (sysfs_read(root, port, sizeof(port), NET "%s/phys_port_name", name) <= 0)
		return false;
	if (*p == 'c' && !take_number(&p, "c", &rep->controller))
		return false;
	return take_number(&p, "pf", &rep->pf) && take_number(&p, "vf", &rep->vf) && !*p;
}

static bool is_on_switch(const char *root, const char *name, const char *id)
{
	char other[SWITCH_ID_MAX];

	return *name && sysfs_read(root, other, sizeof(other), NET "%s/phys_switch_id", name) > 0 &&
	       !strcmp(other, id);
}

/* The PF of the representor's switch: the one with the function number that drivers count PFs by,
 * or the only one. */
static int find_pf(const char *root, const char *name, const struct representor *rep,
		   struct pci_addr *addr)
{
	_cleanup_free_ struct pf *pfs = NULL;
	size_t n, on_switch = 0, of_number = 0;
	char id[SWITCH_ID_MAX];

	if (sysfs_read(root, id, sizeof(id), NET "%s/phys_switch_id", name) <= 0 ||
	    pf_enumerate(root, &pfs, &n, NULL) < 0)
		return -ENODEV;
	for (size_t i = 0; i < n; i++) {
		if (!is_on_switch(root, pfs[i].netdev, id))
			continue;
		on_switch++;
		if (pfs[i].addr.function == rep->pf)
			of_number++;
		else if (of_number)
			continue;
		*addr = pfs[i].addr;
	}
	return of_number == 1 || (!of_number && on_switch == 1) ? 0 : -ENODEV;
}

static int find_represented(const char *root, const char *name, const struct representor *rep,
			    struct pci_addr *vf, struct err *err)
{
	char text[PCI_ADDR_STRLEN];
	struct pci_addr pf;
	bool above;

	if (rep->controller)
		return err_set(err, -ENODEV, "interface",
			       "%s stands for a VF of another host (controller %u)", name,
			       rep->controller);
	above = pf_find(root, name, &pf, NULL) == 0 && pf_vf(root, &pf, rep->vf, vf) == 0;
	if (above && pf.function == rep->pf)
		return 0;
	if (find_pf(root, name, rep, &pf) < 0)
		return above ? 0
			     : err_set(err, -ENODEV, "interface",
				       "%s stands for VF %u of PF %u, and which PF that is cannot be told "
				       "from sysfs; give the VF that name with VIO4WD_ALIASES",
				       name, rep->vf, rep->pf);
	if (pf_vf(root, &pf, rep->vf, vf) < 0)
		return err_set(err, -ENODEV, "interface",
			       "%s stands for VF %u of %s, which has no such VF now", name, rep->vf,
			       pci_addr_format(&pf, text));
	return 0;
}

static bool is_interface_name(const char *name)
{
	const size_t len = strlen(name);

	if (!len || len >= VF_NETDEV_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '/' || name[i] == ':' || isspace((unsigned char)name[i]))
			return false;
	}
	return true;
}

static int no_vf(const char *root, const char *name, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" NET "%s", root, name);
	if (access(path, F_OK) < 0)
		return err_set(err, -ENODEV, "interface",
			       "there is no interface %s in the manager's network namespace now",
			       name);
	return err_set(err, -ENODEV, "interface",
		       "%s is neither a VF's interface nor a VF's representor: a VM would share "
		       "it with the switch; use a VF, or say with VIO4WD_ALIASES=%s=DEVICE what "
		       "serves the VM",
		       name, name);
}

static bool is_alias(const struct config *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->n_aliases; i++) {
		if (!strcmp(cfg->aliases[i].name, name))
			return true;
	}
	return false;
}

static int find_text(const char *root, const struct config *cfg, const char *name, bool internal,
		     struct port_device *device, struct err *err)
{
	char text[PCI_ADDR_STRLEN];
	struct representor rep;
	struct pci_addr addr;
	struct vf vf;
	int rc;

	if (is_alias(cfg, name)) {
		snprintf(device->text, sizeof(device->text), "%s", name);
		return 0;
	}
	if (!is_interface_name(name))
		return err_set(err, -EINVAL, "interface", "'%.64s' is no name of an interface",
			       name);
	if (internal) {
		snprintf(device->text, sizeof(device->text), "netdev:%s", name);
		return 0;
	}
	if (is_representor(root, name, &rep)) {
		rc = find_represented(root, name, &rep, &addr, err);
		if (rc)
			return rc;
	} else if (pf_find(root, name, &addr, NULL) < 0 || vf_read(root, &addr, &vf, NULL) < 0) {
		return no_vf(root, name, err);
	}
	snprintf(device->text, sizeof(device->text), "%s", pci_addr_format(&addr, text));
	return 0;
}

int port_device_find(const char *root, const struct config *cfg, const char *name, bool internal,
		     struct port_device *device, struct err *err)
{
	struct device_facts facts;
	struct devname dev;
	int rc = find_text(root, cfg, name, internal, device, err);

	if (!rc)
		rc = config_resolve_device(cfg, device->text, &dev, err);
	if (rc)
		return rc;
	device_look(root, &dev, &facts);
	device->vf = facts.is_vf ? (int)facts.vf.index : -1;
	return 0;
}
