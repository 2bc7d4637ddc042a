/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/pci_sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int pci_addr_compare(const void *a, const void *b)
{
	const struct pci_addr *x = a, *y = b;

	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	if (x->bus != y->bus)
		return x->bus - y->bus;
	if (x->slot != y->slot)
		return x->slot - y->slot;
	return x->function - y->function;
}

int pci_addr_of_path(const char *path, struct pci_addr *addr)
{
	_cleanup_free_ char *rest = strdup(path);
	char *slash;

	while (rest && (slash = strrchr(rest, '/'))) {
		if (!pci_addr_parse(addr, slash + 1))
			return 0;
		*slash = '\0';
	}
	return -ENODEV;
}

int pci_no_such_function(const struct pci_addr *addr, struct err *err)
{
	char name[PCI_ADDR_STRLEN];

	return err_set(err, -ENODEV, "no such device",
		       "%s: there is no such PCI function on this host; see lspci -D",
		       pci_addr_format(addr, name));
}

bool pci_class_is_network(uint32_t class)
{
	return class >> 16 == 0x02;
}

bool pci_class_is_bridge(uint32_t class)
{
	const uint32_t sub = class >> 8;

	return sub == 0x0604 || sub == 0x0607 || sub == 0x0609;
}

char *pci_class_name(uint32_t class, char *buf)
{
	static const char *const names[] = {
		[0x01] = "mass storage device",
		[0x02] = "network device",
		[0x03] = "display device",
		[0x04] = "multimedia device",
		[0x05] = "memory device",
		[0x06] = "bridge",
		[0x07] = "communication device",
		[0x08] = "system device",
		[0x0b] = "processor",
		[0x0c] = "serial bus device",
		[0x0d] = "wireless device",
		[0x10] = "encryption device",
		[0x12] = "processing accelerator",
	};
	const uint32_t base = class >> 16;

	if (base < sizeof(names) / sizeof(names[0]) && names[base])
		snprintf(buf, PCI_CLASS_NAME_MAX, "%s", names[base]);
	else
		snprintf(buf, PCI_CLASS_NAME_MAX, "device of PCI class 0x%06x", class);
	return buf;
}

int pci_list(const char *root, const char *folder, struct pci_addr **addrs, size_t *n)
{
	_cleanup_free_ struct pci_addr *found = NULL;
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	size_t count = 0, room = 0;
	struct pci_addr addr, *more;
	const struct dirent *entry;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", root, folder);
	dir = opendir(path);
	if (!dir && errno != ENOENT)
		return -errno;
	while (dir && (errno = 0, entry = readdir(dir))) {
		if (pci_addr_parse(&addr, entry->d_name) < 0)
			continue;
		if (count == room) {
			room = room ? room * 2 : 16;
			more = realloc(found, room * sizeof(*found));
			if (!more)
				return -ENOMEM;
			found = more;
		}
		found[count++] = addr;
	}
	if (dir && errno && errno != ENOENT)
		return -errno;
	if (count)
		qsort(found, count, sizeof(*found), pci_addr_compare);
	*addrs = take_ptr(found);
	*n = count;
	return 0;
}

int pci_list_functions(const char *root, struct pci_addr **addrs, size_t *n, struct err *err)
{
	const int rc = pci_list(root, PCI_DEVICES, addrs, n);

	return rc < 0 ? err_set(err, rc, "sysfs", "%s" PCI_DEVICES " cannot be read: %s", root,
				strerror(-rc))
		      : 0;
}
