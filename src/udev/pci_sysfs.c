/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/pci_sysfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/sysfs.h"

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

/* strtoul(), but the whole text and no sign. */
static bool parse_number(const char *text, uint32_t max, uint32_t *value)
{
	unsigned long number;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	number = strtoul(text, &end, 0);
	if (errno || *end || number > max)
		return false;
	*value = number;
	return true;
}

int pci_read_number(const char *root, const struct pci_addr *addr, const char *attribute,
		    uint32_t max, uint32_t *value, struct err *err)
{
	char text[32], name[PCI_ADDR_STRLEN];
	int rc;

	pci_addr_format(addr, name);
	rc = sysfs_read(root, text, sizeof(text), PCI_DEVICES "/%s/%s", name, attribute);
	if (rc == -EFBIG || (rc >= 0 && !parse_number(text, max, value)))
		return err_set(err, -EIO, "sysfs",
			       "%s: the attribute %s is no number of 0 to %u; the kernel's PCI "
			       "code or its driver is at fault",
			       name, attribute, max);
	return rc < 0 ? rc : 0;
}

int pci_read_link(const char *root, const struct pci_addr *addr, const char *link, char *buf,
		  size_t size)
{
	char path[PATH_MAX], target[PATH_MAX], name[PCI_ADDR_STRLEN];
	const char *last;
	ssize_t n;

	snprintf(path, sizeof(path), "%s" PCI_DEVICES "/%s/%s", root, pci_addr_format(addr, name),
		 link);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, last);
	return 0;
}

/* The number is "-1" where the firmware says nothing; kernels without NUMA have no such file. */
static int read_numa_node(const char *root, const struct pci_addr *addr, int *node, struct err *err)
{
	char text[16], name[PCI_ADDR_STRLEN];
	uint32_t value;
	int rc;

	*node = -1;
	rc = sysfs_read(root, text, sizeof(text), PCI_DEVICES "/%s/numa_node",
			pci_addr_format(addr, name));
	if (rc == -ENOENT || (rc >= 0 && !strcmp(text, "-1")))
		return 0;
	rc = pci_read_number(root, addr, "numa_node", INT_MAX, &value, err);
	if (!rc)
		*node = (int)value;
	return rc;
}

int pci_no_such_function(const struct pci_addr *addr, struct err *err)
{
	char name[PCI_ADDR_STRLEN];

	return err_set(err, -ENODEV, "no such device",
		       "%s: there is no such PCI function on this host; see lspci -D",
		       pci_addr_format(addr, name));
}

int pci_function_read(const char *root, const struct pci_addr *addr, struct pci_function *function,
		      struct err *err)
{
	uint32_t vendor, device;
	char name[PCI_ADDR_STRLEN];
	int rc;

	memset(function, 0, sizeof(*function));
	rc = pci_read_number(root, addr, "class", 0xffffff, &function->class, err);
	if (!rc)
		rc = pci_read_number(root, addr, "vendor", 0xffff, &vendor, err);
	if (!rc)
		rc = pci_read_number(root, addr, "device", 0xffff, &device, err);
	if (!rc)
		rc = read_numa_node(root, addr, &function->numa_node, err);
	if (rc == -ENOENT || rc == -ENODEV)
		return pci_no_such_function(addr, err);
	if (rc == -EIO)
		return rc;
	if (rc)
		return err_set(err, rc, "sysfs", "%s: its attributes cannot be read: %s",
			       pci_addr_format(addr, name), strerror(-rc));
	function->vendor = vendor;
	function->device = device;
	pci_read_link(root, addr, "driver", function->driver, sizeof(function->driver));
	return 0;
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

/* Small is first; what cannot be read is last. */
static uint64_t netdev_rank(const char *root, const char *folder, const char *name)
{
	char port[16], index[16];

	if (sysfs_read(root, port, sizeof(port), "%s/%s/dev_port", folder, name) < 0 ||
	    sysfs_read(root, index, sizeof(index), "%s/%s/ifindex", folder, name) < 0)
		return UINT64_MAX;
	return strtoull(port, NULL, 0) << 32 | strtoul(index, NULL, 0);
}

static void netdev_in(const char *root, const char *folder, char name[VF_NETDEV_MAX])
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", root, folder);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= VF_NETDEV_MAX)
			continue;
		if (!name[0] ||
		    netdev_rank(root, folder, entry->d_name) < netdev_rank(root, folder, name))
			strcpy(name, entry->d_name);
	}
}

/* virtio: the interface belongs to virtioN, a child of the function. */
static void netdev_below_virtio(const char *root, const char *function, char name[VF_NETDEV_MAX])
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", root, function);
	dir = opendir(path);
	while (dir && !name[0] && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "virtio", 6))
			continue;
		snprintf(path, sizeof(path), "%s/%s/net", function, entry->d_name);
		netdev_in(root, path, name);
	}
}

void pci_read_netdev(const char *root, const struct pci_addr *addr, const char *driver,
		     char name[VF_NETDEV_MAX])
{
	char function[64], folder[80], text[PCI_ADDR_STRLEN];

	name[0] = '\0';
	snprintf(function, sizeof(function), PCI_DEVICES "/%s", pci_addr_format(addr, text));
	snprintf(folder, sizeof(folder), "%s/net", function);
	netdev_in(root, folder, name);
	if (!name[0] && !strcmp(driver, "virtio-pci"))
		netdev_below_virtio(root, function, name);
}
