/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/device_use.h"
#include "udev/vf.h"

#define STEP "device"

/* The address of an interface's VF or PF, which need not be the first thing of it that a file
 * names: netdev:NAME pairs the interface itself. */
static void use_of_vf(const struct config *cfg, const struct vf *vf, struct device_use *use)
{
	char pf[PCI_ADDR_STRLEN], why[CONFIG_WHY_MAX];
	enum config_use own;

	pci_addr_format(&vf->pf, pf);
	pci_addr_format(&vf->addr, use->address);
	vf_name(vf, use->name, sizeof(use->name));
	use->use =
		config_use_of(cfg, use->name, use->address, vf->pf_netdev, pf, vf->index, use->why);
	if (use->use == CONFIG_EXCLUDED || !vf->netdev[0])
		return;
	own = config_use_of_device(cfg, vf->netdev, NULL, why);
	if (own == CONFIG_EXCLUDED || (own == CONFIG_USED && use->use == CONFIG_UNUSED)) {
		use->use = own;
		memcpy(use->why, why, sizeof(why));
	}
}

/* The first VF that is used speaks for its PF. */
static void use_by_vfs(const struct config *cfg, const char *root, const struct pf *pf,
		       struct device_use *use)
{
	for (unsigned int i = 0, seen = 0; i < pf->total_vfs && seen < pf->num_vfs; i++) {
		struct device_use of_vf = { 0 };
		struct pci_addr addr;
		struct vf vf;

		if (pf_vf(root, &pf->addr, i, &addr) < 0)
			continue;
		seen++;
		if (vf_read(root, &addr, &vf, NULL) < 0)
			continue;
		use_of_vf(cfg, &vf, &of_vf);
		if (of_vf.use == CONFIG_USED) {
			use->use = CONFIG_USED;
			memcpy(use->why, of_vf.why, sizeof(use->why));
			return;
		}
	}
}

/* netdev: what the function was named by, or "". */
static int use_of_function(const struct config *cfg, const char *root, const struct pci_addr *addr,
			   const char *netdev, struct device_use *use, struct err *err)
{
	struct vf vf;
	struct pf pf;
	int rc = vf_read(root, addr, &vf, err);

	if (rc == 0) {
		use_of_vf(cfg, &vf, use);
		return 0;
	}
	if (rc != -EINVAL)
		return rc;
	pci_addr_format(addr, use->address);
	if (pf_read(root, addr, &pf, NULL) < 0)
		pf = (struct pf){ 0 };
	snprintf(use->name, sizeof(use->name), "%s", pf.netdev[0] ? pf.netdev : netdev);
	use->use = config_use_of_device(cfg, use->name, use->address, use->why);
	if (use->use == CONFIG_UNUSED)
		use_by_vfs(cfg, root, &pf, use);
	return 0;
}

static bool is_interface(const char *root, const char *name)
{
	char path[PATH_MAX];

	if (!*name || *name == '.' || strchr(name, '/') ||
	    snprintf(path, sizeof(path), "%s/sys/class/net/%s", root, name) >= (int)sizeof(path))
		return false;
	return access(path, F_OK) == 0;
}

static int use_of_interface(const struct config *cfg, const char *root, const char *name,
			    struct device_use *use, struct err *err)
{
	struct pci_addr addr;

	if (!is_interface(root, name))
		return err_set(err, -ENODEV, STEP,
			       "there is no network interface %s; see 'ip link'", name);
	if (pf_find(root, name, &addr, NULL) == 0)
		return use_of_function(cfg, root, &addr, name, use, err);
	snprintf(use->name, sizeof(use->name), "%s", name);
	use->use = config_use_of_device(cfg, name, NULL, use->why);
	return 0;
}

static int use_of_nth(const struct config *cfg, const char *root, const struct devname *dev,
		      struct device_use *use, struct err *err)
{
	char text[PCI_ADDR_STRLEN];
	struct pci_addr pf, vf;
	int rc;

	rc = pf_find(root, dev->pf_is_pci ? pci_addr_format(&dev->pci, text) : dev->netdev, &pf,
		     err);
	if (rc < 0)
		return rc;
	if (pf_vf(root, &pf, dev->vf, &vf) < 0)
		return err_set(err, -ENODEV, STEP, "%s: the PF has no VF %u now", dev->text,
			       dev->vf);
	return use_of_function(cfg, root, &vf, "", use, err);
}

int device_use_find(const struct config *cfg, const char *root, const char *text,
		    struct device_use *use, struct err *err)
{
	struct pci_addr addr;
	struct devname dev;
	int rc;

	memset(use, 0, sizeof(*use));
	if (pci_addr_parse(&addr, text) == 0)
		return use_of_function(cfg, root, &addr, "", use, err);
	if (is_interface(root, text))
		return use_of_interface(cfg, root, text, use, err);
	rc = config_resolve_device(cfg, text, &dev, err);
	if (rc < 0)
		return err_set(err, rc, STEP,
			       "'%s' is no device of this host: name a PCI address (0000:01:10.0), "
			       "an interface, a VF of a PF (ens3.vf0) or an alias",
			       text);
	switch (dev.kind) {
	case DEVNAME_PCI:
		return use_of_function(cfg, root, &dev.pci, "", use, err);
	case DEVNAME_PF_VF:
		return use_of_nth(cfg, root, &dev, use, err);
	case DEVNAME_NETDEV:
		return use_of_interface(cfg, root, dev.netdev, use, err);
	default:
		return err_set(err, -EINVAL, STEP,
			       "%s is made by DPDK: it is neither a PCI function nor an interface",
			       dev.text);
	}
}
