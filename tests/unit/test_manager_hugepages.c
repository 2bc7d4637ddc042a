/* SPDX-License-Identifier: BSD-3-Clause */

/* Reserving hugepages on a made-up host with two NUMA nodes. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include <kselftest_harness.h>

#include "common/sysfs.h"
#include "manager/hugepages.h"

#include "config_root.h"

#define NODE_PAGES "node/node%d/hugepages/hugepages-2048kB/nr_hugepages"

FIXTURE(pages) {
	char root[CONFIG_ROOT_MAX];
	struct err err;
};

static void make_node(const char *root, int node, const char *pages)
{
	char path[100];

	snprintf(path, sizeof(path), NODE_PAGES, node);
	config_root_write(root, path, pages);
}

FIXTURE_SETUP(pages)
{
	config_root_make(self->root);
	make_node(self->root, 0, "100\n");
	make_node(self->root, 1, "0\n");
	/* Where the host's own number is. */
	config_root_write(self->root, "../../kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
			  "100\n");
}

FIXTURE_TEARDOWN(pages)
{
	config_root_remove(self->root);
}

static int reserve(const char *root, int node, unsigned int pages, struct err *err)
{
	const struct config_node_pages wanted = { .node = node, .pages = pages };

	memset(err, 0, sizeof(*err));
	return hugepages_reserve(root, &wanted, err);
}

static int now(const char *root, int node)
{
	char text[32] = "";

	if (node < 0)
		sysfs_read(root, text, sizeof(text),
			   "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
	else
		sysfs_read(root, text, sizeof(text), "/sys/devices/system/" NODE_PAGES, node);
	return atoi(text);
}

TEST_F(pages, more_are_made) {
	EXPECT_EQ(0, reserve(self->root, -1, 1024, &self->err));
	EXPECT_EQ(1024, now(self->root, -1));
	EXPECT_EQ(100, now(self->root, 0));
	EXPECT_EQ(0, reserve(self->root, 1, 512, &self->err));
	EXPECT_EQ(512, now(self->root, 1));
	EXPECT_EQ(100, now(self->root, 0));
}

TEST_F(pages, never_fewer) {
	EXPECT_EQ(0, reserve(self->root, -1, 99, &self->err));
	EXPECT_EQ(100, now(self->root, -1));
	EXPECT_EQ(0, reserve(self->root, 0, 0, &self->err));
	EXPECT_EQ(100, now(self->root, 0));
}

TEST_F(pages, kernel_gives_fewer) {
	const struct rlimit one_digit = { 1, RLIM_INFINITY };
	struct rlimit before;
	int rc;

	/* Only the first digit arrives in the file; what is logged meanwhile is lost. */
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &one_digit));
	rc = reserve(self->root, 1, 512, &self->err);
	setrlimit(RLIMIT_FSIZE, &before);
	EXPECT_EQ(-ENOMEM, rc);
	EXPECT_EQ(5, now(self->root, 1));
	EXPECT_NE(NULL, strstr(self->err.text, "NUMA node 1 has 5 hugepages"));
	EXPECT_NE(NULL, strstr(self->err.text, "of 512"));
	EXPECT_NE(NULL, strstr(self->err.text, "hugepagesz=2M hugepages=1:512"));
}

TEST_F(pages, node_that_the_host_lacks) {
	EXPECT_EQ(-ENODEV, reserve(self->root, 7, 10, &self->err));
	EXPECT_NE(NULL, strstr(self->err.text, "NUMA node 7"));
	EXPECT_NE(NULL, strstr(self->err.text, "lscpu"));
}

TEST_HARNESS_MAIN
