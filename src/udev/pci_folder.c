/* SPDX-License-Identifier: BSD-3-Clause */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sysfs.h"
#include "udev/pci_sysfs.h"

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void pci_folder_close(struct pci_folder *folder)
{
	cleanup_close(&folder->fd);
	folder->fd = -1;
}

static int cannot_read(const struct pci_addr *addr, int rc, struct err *err)
{
	char name[PCI_ADDR_STRLEN];

	if (rc == -ENOENT || rc == -ENODEV)
		return pci_no_such_function(addr, err);
	return err_set(err, rc, "sysfs", "%s: its attributes cannot be read: %s",
		       pci_addr_format(addr, name), strerror(-rc));
}

int pci_folder_open(struct pci_folder *folder, const char *root, const struct pci_addr *addr,
		    struct err *err)
{
	char path[PATH_MAX], name[PCI_ADDR_STRLEN];

	pci_folder_close(folder);
	folder->addr = *addr;
	snprintf(path, sizeof(path), "%s" PCI_DEVICES "/%s", root, pci_addr_format(addr, name));
	folder->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return folder->fd < 0 ? cannot_read(addr, -errno, err) : 0;
}

static int no_number(const struct pci_folder *folder, const char *attribute, uint32_t max,
		     struct err *err)
{
	char name[PCI_ADDR_STRLEN];

	return err_set(err, -EIO, "sysfs",
		       "%s: the attribute %s is no number of 0 to %u; the kernel's PCI code or its "
		       "driver is at fault",
		       pci_addr_format(&folder->addr, name), attribute, max);
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
	*value = (uint32_t)number;
	return true;
}

int pci_folder_number(const struct pci_folder *folder, const char *attribute, uint32_t max,
		      uint32_t *value, struct err *err)
{
	char text[32];
	const int rc = sysfs_read_at(folder->fd, text, sizeof(text), attribute);

	if (rc == -EFBIG || (rc >= 0 && !parse_number(text, max, value)))
		return no_number(folder, attribute, max, err);
	return rc < 0 ? rc : 0;
}

int pci_folder_link(const struct pci_folder *folder, const char *link, char *buf, size_t size)
{
	char target[PATH_MAX];
	const ssize_t n = readlinkat(folder->fd, link, target, sizeof(target) - 1);
	const char *last;

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
static int read_numa_node(const struct pci_folder *folder, int *node, struct err *err)
{
	uint32_t value;
	char text[32];
	const int rc = sysfs_read_at(folder->fd, text, sizeof(text), "numa_node");

	*node = -1;
	if (rc == -ENOENT || (rc >= 0 && !strcmp(text, "-1")))
		return 0;
	if (rc < 0 && rc != -EFBIG)
		return rc;
	if (rc < 0 || !parse_number(text, INT_MAX, &value))
		return no_number(folder, "numa_node", INT_MAX, err);
	*node = (int)value;
	return 0;
}

int pci_folder_function(const struct pci_folder *folder, struct pci_function *function,
			struct err *err)
{
	uint32_t vendor, device;
	int rc;

	memset(function, 0, sizeof(*function));
	rc = pci_folder_number(folder, "class", 0xffffff, &function->class, err);
	if (!rc)
		rc = pci_folder_number(folder, "vendor", 0xffff, &vendor, err);
	if (!rc)
		rc = pci_folder_number(folder, "device", 0xffff, &device, err);
	if (!rc)
		rc = read_numa_node(folder, &function->numa_node, err);
	if (rc)
		return rc == -EIO ? rc : cannot_read(&folder->addr, rc, err);
	function->vendor = (uint16_t)vendor;
	function->device = (uint16_t)device;
	pci_folder_link(folder, "driver", function->driver, sizeof(function->driver));
	return 0;
}

static DIR *open_below(int folder, const char *path)
{
	const int fd = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

/* Small is first; what cannot be read is last. */
static uint64_t netdev_rank(int net, const char *name)
{
	char port[16], index[16], path[VF_NETDEV_MAX + 16];

	snprintf(path, sizeof(path), "%s/dev_port", name);
	if (sysfs_read_at(net, port, sizeof(port), path) < 0)
		return UINT64_MAX;
	snprintf(path, sizeof(path), "%s/ifindex", name);
	if (sysfs_read_at(net, index, sizeof(index), path) < 0)
		return UINT64_MAX;
	return strtoull(port, NULL, 0) << 32 | strtoul(index, NULL, 0);
}

static void netdev_in(int folder, const char *net, char name[VF_NETDEV_MAX])
{
	_cleanup_(cleanup_dir) DIR *dir = open_below(folder, net);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= VF_NETDEV_MAX)
			continue;
		if (!name[0] ||
		    netdev_rank(dirfd(dir), entry->d_name) < netdev_rank(dirfd(dir), name))
			strcpy(name, entry->d_name);
	}
}

/* The interface belongs to virtioN, a child of the function. */
static void netdev_below_virtio(int folder, char name[VF_NETDEV_MAX])
{
	_cleanup_(cleanup_dir) DIR *dir = open_below(folder, ".");
	const struct dirent *entry;
	char path[NAME_MAX + 8];

	while (dir && !name[0] && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "virtio", 6))
			continue;
		snprintf(path, sizeof(path), "%s/net", entry->d_name);
		netdev_in(folder, path, name);
	}
}

void pci_folder_netdev(const struct pci_folder *folder, const char *driver,
		       char name[VF_NETDEV_MAX])
{
	name[0] = '\0';
	netdev_in(folder->fd, "net", name);
	if (!name[0] && !strcmp(driver, "virtio-pci"))
		netdev_below_virtio(folder->fd, name);
}

int pci_function_read(const char *root, const struct pci_addr *addr, struct pci_function *function,
		      struct err *err)
{
	_cleanup_pci_folder_ struct pci_folder folder = PCI_FOLDER_NONE;
	const int rc = pci_folder_open(&folder, root, addr, err);

	return rc < 0 ? rc : pci_folder_function(&folder, function, err);
}

int pci_read_number(const char *root, const struct pci_addr *addr, const char *attribute,
		    uint32_t max, uint32_t *value, struct err *err)
{
	_cleanup_pci_folder_ struct pci_folder folder = PCI_FOLDER_NONE;
	const int rc = pci_folder_open(&folder, root, addr, err);

	return rc < 0 ? rc : pci_folder_number(&folder, attribute, max, value, err);
}

int pci_read_link(const char *root, const struct pci_addr *addr, const char *link, char *buf,
		  size_t size)
{
	_cleanup_pci_folder_ struct pci_folder folder = PCI_FOLDER_NONE;
	const int rc = pci_folder_open(&folder, root, addr, NULL);

	return rc < 0 ? rc : pci_folder_link(&folder, link, buf, size);
}
