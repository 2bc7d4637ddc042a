/* SPDX-License-Identifier: BSD-3-Clause */

#include "sw-relay/pf_state.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sysfs.h"

/* The only interface of the PF; of several, nobody knows which. */
static bool find_interface(const char *root, const char *bdf, char *name, size_t size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/physfn/net", root, bdf);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, size, "%s", entry->d_name);
		n++;
	}
	if (dir)
		closedir(dir);
	return n == 1;
}

struct pf_state pf_state_read(const char *root, const struct pci_addr *vf)
{
	struct pf_state state = { 0 };
	char bdf[PCI_ADDR_STRLEN], text[32];

	pci_addr_format(vf, bdf);
	if (!find_interface(root, bdf, state.name, sizeof(state.name)) ||
	    sysfs_read(root, text, sizeof(text), "/sys/bus/pci/devices/%s/physfn/net/%s/operstate",
		       bdf, state.name) <= 0)
		return state;
	state.known = true;
	state.up = strcmp(text, "up") == 0 || strcmp(text, "unknown") == 0;
	if (sysfs_read(root, text, sizeof(text),
		       "/sys/bus/pci/devices/%s/physfn/net/%s/carrier_up_count", bdf,
		       state.name) > 0)
		state.ups = strtoul(text, NULL, 10);
	return state;
}
