/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/pf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "udev/pci_sysfs.h"

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void pf_vfs_free(struct pf_vfs *pf)
{
	free(pf->vfs);
	memset(pf, 0, sizeof(*pf));
}

/* "virtfn12": 12. */
static bool virtfn_index(const char *name, unsigned int *index)
{
	unsigned long value;
	char *end;

	if (strncmp(name, "virtfn", 6) || !isdigit((unsigned char)name[6]))
		return false;
	value = strtoul(name + 6, &end, 10);
	if (*end || value > UINT16_MAX)
		return false;
	*index = (unsigned int)value;
	return true;
}

static int add_virtfn(struct pf_vfs *pf, size_t *room, unsigned int index,
		      const struct pci_addr *addr)
{
	if (pf->n == *room) {
		const size_t more = *room ? *room * 2 : 16;
		struct pf_virtfn *vfs = realloc(pf->vfs, more * sizeof(*vfs));

		if (!vfs)
			return -ENOMEM;
		pf->vfs = vfs;
		*room = more;
	}
	pf->vfs[pf->n++] = (struct pf_virtfn){ .index = index, .addr = *addr };
	return 0;
}

static int virtfn_addr(const struct pci_folder *folder, const char *link, struct pci_addr *vf)
{
	char text[PCI_ADDR_STRLEN];
	const int rc = pci_folder_link(folder, link, text, sizeof(text));

	return rc < 0 ? rc : pci_addr_parse(vf, text);
}

static int read_virtfns(const struct pci_folder *folder, struct pf_vfs *pf)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	struct pci_addr vf;
	unsigned int index;
	size_t room = 0;
	int fd, rc = 0;

	fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while (!rc && (entry = readdir(dir))) {
		if (virtfn_index(entry->d_name, &index) && !virtfn_addr(folder, entry->d_name, &vf))
			rc = add_virtfn(pf, &room, index, &vf);
	}
	return rc;
}

/* The interface and the links; pf is empty. */
static int read_from(const struct pci_folder *folder, const char *driver, struct pf_vfs *pf)
{
	const int rc = read_virtfns(folder, pf);

	if (rc < 0)
		return rc;
	pci_folder_netdev(folder, driver, pf->netdev);
	pf->addr = folder->addr;
	pf->read = true;
	return 0;
}

int pf_vfs_read(const char *root, const struct pci_addr *addr, struct pf_vfs *pf)
{
	_cleanup_pci_folder_ struct pci_folder folder = PCI_FOLDER_NONE;
	char driver[VF_DRIVER_MAX] = "";
	int rc;

	if (pf->read && pci_addr_equal(&pf->addr, addr))
		return 0;
	pf_vfs_free(pf);
	rc = pci_folder_open(&folder, root, addr, NULL);
	if (rc < 0)
		return rc;
	pci_folder_link(&folder, "driver", driver, sizeof(driver));
	return read_from(&folder, driver, pf);
}

int pf_vf(const char *root, const struct pci_addr *pf, unsigned int index, struct pci_addr *vf)
{
	char link[24], text[PCI_ADDR_STRLEN];

	snprintf(link, sizeof(link), "virtfn%u", index);
	if (pci_read_link(root, pf, link, text, sizeof(text)) < 0 || pci_addr_parse(vf, text) < 0)
		return -ENODEV;
	return 0;
}

static int no_pf(const struct pci_folder *folder, uint32_t class, struct err *err)
{
	char name[PCI_ADDR_STRLEN], kind[PCI_CLASS_NAME_MAX], pf[PCI_ADDR_STRLEN];

	pci_addr_format(&folder->addr, name);
	if (!pci_folder_link(folder, "physfn", pf, sizeof(pf)))
		return err_set(err, -EINVAL, "not a PF", "%s is a VF; its PF is %s", name, pf);
	if (!pci_class_is_network(class))
		return err_set(err, -EINVAL, "not a PF", "%s is a %s and no network device", name,
			       pci_class_name(class, kind));
	return err_set(err, -EINVAL, "not a PF",
		       "%s is a network device without SR-IOV: it has no sriov_totalvfs; where the "
		       "device has it, the firmware's settings (BIOS, the card's own) enable it",
		       name);
}

static int read_pf(const struct pci_folder *folder, struct pf *pf, struct err *err)
{
	_cleanup_(pf_vfs_free) struct pf_vfs vfs = { 0 };
	struct pci_function function;
	char name[PCI_ADDR_STRLEN];
	uint32_t total;
	int rc;

	memset(pf, 0, sizeof(*pf));
	pf->addr = folder->addr;
	rc = pci_folder_function(folder, &function, err);
	if (rc < 0)
		return rc;
	rc = pci_folder_number(folder, "sriov_totalvfs", UINT16_MAX, &total, err);
	if (rc == -EIO)
		return rc;
	if (rc < 0 || !total || !pci_class_is_network(function.class))
		return no_pf(folder, function.class, err);
	pf->vendor = function.vendor;
	pf->device = function.device;
	pf->numa_node = function.numa_node;
	strcpy(pf->driver, function.driver);
	pf->total_vfs = total;
	rc = read_from(folder, function.driver, &vfs);
	if (rc < 0)
		return err_set(err, rc == -ENOENT ? -ENODEV : rc, "sysfs",
			       "%s: its VFs cannot be read: %s",
			       pci_addr_format(&folder->addr, name), strerror(-rc));
	pf->num_vfs = (unsigned int)vfs.n;
	strcpy(pf->netdev, vfs.netdev);
	return 0;
}

int pf_read(const char *root, const struct pci_addr *addr, struct pf *pf, struct err *err)
{
	_cleanup_pci_folder_ struct pci_folder folder = PCI_FOLDER_NONE;
	const int rc = pci_folder_open(&folder, root, addr, err);

	return rc < 0 ? rc : read_pf(&folder, pf, err);
}

/* Appends the PF at addr, if it is one; what is none or cannot be made sense of is left out. err is
 * not NULL. */
static int add_pf(const char *root, const struct pci_addr *addr, struct pf **pfs, size_t *n,
		  struct err *err)
{
	_cleanup_pci_folder_ struct pci_folder folder = PCI_FOLDER_NONE;
	struct pf pf, *more;
	int rc;

	rc = pci_folder_open(&folder, root, addr, err);
	if (rc < 0)
		return rc == -ENODEV ? 0 : rc;
	if (faccessat(folder.fd, "sriov_totalvfs", F_OK, 0) < 0)
		return 0;
	rc = read_pf(&folder, &pf, err);
	if (rc == -EIO)
		log_warning("left out: %s", err->text);
	if (rc < 0)
		return rc == -EIO || rc == -ENODEV || rc == -EINVAL ? 0 : rc;
	more = realloc(*pfs, (*n + 1) * sizeof(pf));
	if (!more)
		return err_set(err, -ENOMEM, "sysfs", "out of memory");
	more[(*n)++] = pf;
	*pfs = more;
	return 0;
}

int pf_enumerate(const char *root, struct pf **pfs, size_t *n, struct err *err)
{
	_cleanup_free_ struct pci_addr *addrs = NULL;
	_cleanup_free_ struct pf *found = NULL;
	size_t n_addrs, count = 0;
	struct err why;
	int rc;

	rc = pci_list_functions(root, &addrs, &n_addrs, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n_addrs; i++) {
		rc = add_pf(root, &addrs[i], &found, &count, &why);
		if (rc < 0)
			return err_set(err, rc, why.step, "%s", why.text);
	}
	*pfs = take_ptr(found);
	*n = count;
	return 0;
}

static int find_netdev(const char *root, const char *name, struct pci_addr *addr, struct err *err)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/sys/class/net/%s", root, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return err_set(err, -ENODEV, "no such device",
			       "%s: there is no network interface of that name; see `ip link` "
			       "(alternative names are not looked up)",
			       name);
	target[n] = '\0';
	if (!pci_addr_of_path(target, addr))
		return 0;
	return err_set(err, -ENODEV, "no such device",
		       "%s: this network interface belongs to no PCI device", name);
}

int pf_find(const char *root, const char *text, struct pci_addr *addr, struct err *err)
{
	char name[PCI_ADDR_STRLEN], path[PATH_MAX];
	struct pci_addr found;
	int rc;

	if (!pci_addr_parse(&found, text)) {
		snprintf(path, sizeof(path), "%s" PCI_DEVICES "/%s", root,
			 pci_addr_format(&found, name));
		if (access(path, F_OK) < 0)
			return pci_no_such_function(&found, err);
	} else if (!text[0] || strlen(text) >= VF_NETDEV_MAX || text[0] == '.' ||
		   strchr(text, '/')) {
		return err_set(err, -ENODEV, "no such device",
			       "\"%.64s\" is neither a network interface's name nor a PCI address",
			       text);
	} else {
		rc = find_netdev(root, text, &found, err);
		if (rc < 0)
			return rc;
	}
	*addr = found;
	return 0;
}
