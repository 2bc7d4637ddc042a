/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/hugepages.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/sysfs.h"

#define PAGES "hugepages/hugepages-2048kB/nr_hugepages"

struct pool {
	const char *root;
	char path[80];	/* of nr_hugepages, without root */
	char where[24]; /* "this host", "NUMA node 1" */
	int node;
};

static void pool_init(struct pool *pool, const char *root, int node)
{
	pool->root = root;
	pool->node = node;
	if (node < 0) {
		strcpy(pool->path, "/sys/kernel/mm/" PAGES);
		strcpy(pool->where, "this host");
	} else {
		snprintf(pool->path, sizeof(pool->path), "/sys/devices/system/node/node%d/" PAGES,
			 node);
		snprintf(pool->where, sizeof(pool->where), "NUMA node %d", node);
	}
}

static int pool_read(const struct pool *pool, unsigned int *pages, struct err *err)
{
	char text[32];
	int rc = sysfs_read(pool->root, text, sizeof(text), "%s", pool->path);

	if (rc == -ENOENT)
		return err_set(err, -ENODEV, "hugepages",
			       "VIO4WD_NR_HUGEPAGES: %s has no hugepages of 2 MiB (%s does not "
			       "exist)%s",
			       pool->where, pool->path,
			       pool->node < 0 ? "" : "; lscpu lists the NUMA nodes");
	if (rc < 0)
		return err_set(err, rc, "hugepages", "%s: %s", pool->path, strerror(-rc));
	*pages = strtoul(text, NULL, 10);
	return 0;
}

static int pool_write(const struct pool *pool, unsigned int pages, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX], text[16];
	const int len = snprintf(text, sizeof(text), "%u", pages);

	snprintf(path, sizeof(path), "%s%s", pool->root, pool->path);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, text, len) < 0)
		return err_set(err, -errno, "hugepages", "%s cannot be written: %s%s", path,
			       strerror(errno), errno == EACCES ? "; run this as root" : "");
	return 0;
}

/* Memory is scattered, or there is not as much. At boot it is neither. */
static int too_few(const struct pool *pool, unsigned int have, unsigned int wanted, struct err *err)
{
	char parameter[48];

	if (pool->node < 0)
		snprintf(parameter, sizeof(parameter), "hugepages=%u", wanted);
	else
		snprintf(parameter, sizeof(parameter), "hugepages=%d:%u", pool->node, wanted);
	return err_set(err, -ENOMEM, "hugepages",
		       "%s has %u hugepages of 2 MiB, of %u that VIO4WD_NR_HUGEPAGES asks for: the "
		       "kernel finds no more memory in one piece; reserve them at boot with "
		       "'hugepagesz=2M %s' on the kernel's command line, or ask for fewer",
		       pool->where, have, wanted, parameter);
}

int hugepages_reserve(const char *root, const struct config_node_pages *wanted, struct err *err)
{
	unsigned int before = 0, after = 0;
	struct pool pool;
	int rc;

	pool_init(&pool, root, wanted->node);
	rc = pool_read(&pool, &before, err);
	if (rc < 0)
		return rc;
	if (before >= wanted->pages) {
		log_info("%s has %u hugepages of 2 MiB, %u are wanted", pool.where, before,
			 wanted->pages);
		return 0;
	}
	rc = pool_write(&pool, wanted->pages, err);
	if (!rc)
		rc = pool_read(&pool, &after, err);
	if (rc < 0)
		return rc;
	log_info("%s had %u hugepages of 2 MiB and has %u now", pool.where, before, after);
	return after < wanted->pages ? too_few(&pool, after, wanted->pages, err) : 0;
}
