/* SPDX-License-Identifier: BSD-3-Clause */

/* What is read of sysfs, from the trees of tests/sysfs: everything that vf.h tells of each PF and
 * VF is compared with NAME.expected. */
#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "common/cleanup.h"
#include "udev/vf.h"

#include "sysfs_tree.h"

FIXTURE(tree) {
	char root[CONFIG_ROOT_MAX];
	struct err err;
	struct vf vf;
	struct pf pf;
};

FIXTURE_SETUP(tree)
{
	config_root_make(self->root);
}

FIXTURE_TEARDOWN(tree)
{
	config_root_remove(self->root);
}

static const char *or_none(const char *text)
{
	return text[0] ? text : "-";
}

static void print_pf(FILE *out, const struct pf *pf)
{
	char addr[PCI_ADDR_STRLEN];

	fprintf(out, "pf %s netdev=%s id=%04x:%04x node=%d driver=%s total=%u now=%u\n",
		pci_addr_format(&pf->addr, addr), or_none(pf->netdev), pf->vendor, pf->device,
		pf->numa_node, or_none(pf->driver), pf->total_vfs, pf->num_vfs);
}

static void print_vf(FILE *out, const struct vf *vf)
{
	char addr[PCI_ADDR_STRLEN], pf[PCI_ADDR_STRLEN], name[64];
	const char *kernel_driver = vf_kernel_driver(vf);

	fprintf(out,
		"vf %s pf=%s pf_netdev=%s index=%u name=%s id=%04x:%04x node=%d driver=%s "
		"netdev=%s keeps=%s group=%d others=%zu",
		pci_addr_format(&vf->addr, addr), pci_addr_format(&vf->pf, pf),
		or_none(vf->pf_netdev), vf->index, vf_name(vf, name, sizeof(name)), vf->vendor,
		vf->device, vf->numa_node, or_none(vf->driver), or_none(vf->netdev),
		kernel_driver ? kernel_driver : "-", vf->iommu_group, vf->n_group_others);
	for (size_t i = 0; i < vf->n_group_others && i < VF_GROUP_MAX; i++)
		fprintf(out, "%c%s", i ? ',' : ':', pci_addr_format(&vf->group_others[i], addr));
	fputc('\n', out);
}

/* The lines of these; the caller's to free. */
static char *lines(const struct pf *pfs, size_t n_pfs, const struct vf *vfs, size_t n_vfs)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	for (size_t i = 0; i < n_pfs; i++)
		print_pf(out, &pfs[i]);
	for (size_t i = 0; i < n_vfs; i++)
		print_vf(out, &vfs[i]);
	fclose(out);
	return text;
}

/* All PFs, all VFs; the caller's to free. */
static char *describe(const char *root)
{
	_cleanup_free_ struct vf *vfs = NULL;
	_cleanup_free_ struct pf *pfs = NULL;
	size_t n_vfs = 0, n_pfs = 0;

	if (pf_enumerate(root, &pfs, &n_pfs, NULL) < 0 ||
	    vf_enumerate(root, &vfs, &n_vfs, NULL) < 0)
		abort();
	return lines(pfs, n_pfs, vfs, n_vfs);
}

static char *expected(const char *name)
{
	FILE *file = sysfs_tree_open(name, "expected");
	static char text[16384];

	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

FIXTURE_VARIANT(tree)
{
	const char *name;
};
#define VARIANT(id, file)             \
	FIXTURE_VARIANT_ADD(tree, id) \
	{                             \
		.name = file          \
	}
VARIANT(igb, "igb-7vfs");
VARIANT(two_nodes, "two-nodes");
VARIANT(connectx, "connectx");
VARIANT(shared_group, "shared-group");
VARIANT(no_driver, "no-driver");
VARIANT(no_iommu, "no-iommu");
VARIANT(virtio, "virtio");

TEST_F(tree, as_expected) {
	_cleanup_free_ char *text = NULL;

	sysfs_tree_unpack(self->root, variant->name);
	text = describe(self->root);
	EXPECT_STREQ(expected(variant->name), text);
}

/* What one function is said to be is what it is among all. */
TEST_F(tree, vf_alone_as_among_all) {
	_cleanup_free_ struct vf *vfs = NULL;
	struct pci_addr addr;
	size_t n;

	sysfs_tree_unpack(self->root, variant->name);
	ASSERT_EQ(0, vf_enumerate(self->root, &vfs, &n, NULL));
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *among = lines(NULL, 0, &vfs[i], 1), *alone = NULL;

		ASSERT_EQ(0, vf_read(self->root, &vfs[i].addr, &self->vf, &self->err));
		alone = lines(NULL, 0, &self->vf, 1);
		EXPECT_STREQ(among, alone);
		ASSERT_EQ(0, pf_vf(self->root, &vfs[i].pf, vfs[i].index, &addr));
		EXPECT_TRUE(pci_addr_equal(&addr, &vfs[i].addr));
		EXPECT_EQ(-EINVAL, pf_read(self->root, &vfs[i].addr, &self->pf, &self->err));
	}
}

TEST_F(tree, pf_alone_as_among_all) {
	_cleanup_free_ struct pf *pfs = NULL;
	struct pci_addr addr;
	size_t n;

	sysfs_tree_unpack(self->root, variant->name);
	ASSERT_EQ(0, pf_enumerate(self->root, &pfs, &n, NULL));
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *among = lines(&pfs[i], 1, NULL, 0), *alone = NULL;

		ASSERT_EQ(0, pf_read(self->root, &pfs[i].addr, &self->pf, &self->err));
		alone = lines(&self->pf, 1, NULL, 0);
		EXPECT_STREQ(among, alone);
		EXPECT_EQ(-EINVAL, vf_read(self->root, &pfs[i].addr, &self->vf, &self->err));
		EXPECT_EQ(-ENODEV, pf_vf(self->root, &pfs[i].addr, pfs[i].num_vfs, &addr));
		if (!pfs[i].netdev[0])
			continue;
		ASSERT_EQ(0, pf_find(self->root, pfs[i].netdev, &addr, &self->err));
		EXPECT_TRUE(pci_addr_equal(&addr, &pfs[i].addr));
	}
}

TEST_HARNESS_MAIN
