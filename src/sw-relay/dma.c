/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * DPDK maps the memory there is when the first device is opened in pieces as large as they happen
 * to be, but maps and unmaps by pages what comes and goes later. The kernel (type 1 of VFIO's
 * IOMMUs) unmaps a piece as a whole when its first page is, and not at all when another one is:
 * then devices lose memory that is in use, or go on using pages that are somebody else's by now. So
 * the pieces are mapped again, page by page, before the first device has anything to do.
 */
#include "sw-relay/dma.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_vfio.h>

#include "common/sysfs.h"

#define MIB (UINT64_C(1) << 20)
#define MIN_FREE (4 * MIB) /* a port's rings and what its driver keeps */
#define NODES_MAX 64

static atomic_bool refused;
static _Atomic unsigned int devices; /* that are open */

/* Free hugepages of a node in bytes; says how many in text, when there is one. */
static uint64_t free_hugepages(const char *root, int node, char *text, size_t size)
{
	char path[512], count[24];
	struct dirent *entry;
	uint64_t sum = 0;
	size_t len = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/devices/system/node/node%d/hugepages", root, node);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		unsigned long kb, n;

		if (sscanf(entry->d_name, "hugepages-%lukB", &kb) != 1 ||
		    sysfs_read(root, count, sizeof(count),
			       "/sys/devices/system/node/node%d/hugepages/%s/free_hugepages", node,
			       entry->d_name) <= 0 ||
		    sscanf(count, "%lu", &n) != 1 || !n)
			continue;
		sum += (uint64_t)n * kb * 1024;
		if (len < size)
			len += snprintf(text + len, size - len, "%s%lu of %lu MiB",
					len ? " and " : "", n, kb / 1024);
	}
	if (dir)
		closedir(dir);
	if (!sum && size)
		snprintf(text, size, "none");
	return sum;
}

static bool node_exists(const char *root, int node)
{
	char text[256];

	return sysfs_read(root, text, sizeof(text), "/sys/devices/system/node/node%d/cpulist",
			  node) >= 0;
}

char *dma_free_text(const char *root, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int node = 0; node < NODES_MAX && len < size; node++) {
		char text[64];

		if (!node_exists(root, node))
			continue;
		free_hugepages(root, node, text, sizeof(text));
		len += snprintf(buf + len, size - len, "%snode %d: %s", len ? ", " : "", node,
				text);
	}
	return buf;
}

/* What DPDK has already, and nobody uses. */
static uint64_t free_heap(int node)
{
	struct rte_malloc_socket_stats stats;

	return rte_malloc_get_socket_stats(node, &stats) < 0 ? 0 : stats.heap_freesz_bytes;
}

static uint64_t free_on(const char *root, int node)
{
	return free_hugepages(root, node, NULL, 0) + free_heap(node);
}

int dma_check_node(const char *root, const char *device, int node, bool *elsewhere, struct err *err)
{
	uint64_t sum = 0;
	char text[200];

	*elsewhere = false;
	for (int i = 0; i < NODES_MAX; i++) {
		uint64_t n = node_exists(root, i) ? free_on(root, i) : 0;

		if (n >= MIN_FREE && (node < 0 || i == node))
			return 0;
		sum += n;
	}
	if (sum >= MIN_FREE) {
		*elsewhere = true;
		return 0;
	}
	return err_set(err, -ENOMEM, "hugepages",
		       "device %s: there is no memory for it%s; free hugepages: %s. Reserve more: "
		       "`sysctl vm.nr_hugepages=1024`, or VIO4WD_NR_HUGEPAGES for the next boot",
		       device, node < 0 ? "" : ", on its NUMA node or another",
		       dma_free_text(root, text, sizeof(text)));
}

struct amount {
	int without; /* a node, -1: none */
	uint64_t bytes;
};

static int add_len(const struct rte_memseg_list *msl, const struct rte_memseg *ms, void *arg)
{
	struct amount *amount = arg;

	if (!msl->external && msl->socket_id != amount->without)
		amount->bytes += ms->len;
	return 0;
}

static uint64_t limit(void)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	return limit.rlim_cur;
}

bool dma_was_refused(void)
{
	return atomic_exchange(&refused, false);
}

int dma_limit_err(const char *what, struct err *err)
{
	struct amount amount = { .without = -1 };

	rte_memseg_walk(add_len, &amount);
	return err_set(err, -ENOMEM, "memlock",
		       "%s: all memory of the relay has to be locked for its devices, %" PRIu64
		       " MiB now and more with every VM, and %" PRIu64
		       " MiB are allowed (RLIMIT_MEMLOCK). Set LimitMEMLOCK=infinity in its unit "
		       "(`systemctl edit vio4wd-relay@.service`), or run `ulimit -l unlimited` "
		       "before vio4wd is started",
		       what, amount.bytes / MIB, limit() / MIB);
}

/* Before DPDK's memory on a node grows to new_len. The memory's lock is held. */
static int may_grow(int node, size_t unused, size_t new_len)
{
	struct amount amount = { .without = node };

	if (!devices)
		return 0;
	rte_memseg_walk_thread_unsafe(add_len, &amount);
	if (amount.bytes + new_len <= limit())
		return 0;
	atomic_store(&refused, true);
	return -1;
}

/* The kernel's refusal would come when the memory is in use already, and DPDK goes on without. */
static void watch_growth(void)
{
	static bool watching;

	if (watching || limit() == RLIM_INFINITY)
		return;
	for (unsigned int i = 0; i < rte_socket_count(); i++)
		rte_mem_alloc_validator_register("memlock", may_grow, rte_socket_id_by_idx(i), 0);
	watching = true;
}

int dma_opening(const char *device, struct err *err)
{
	struct amount amount = { .without = -1 };
	char what[64];

	if (!rte_eal_has_hugepages())
		return err_set(err, -EOPNOTSUPP, "hugepages",
			       "device %s: the relay has ordinary memory (VIO4WD_HUGEPAGES=false), "
			       "which serves virtual and Linux network devices only; set "
			       "VIO4WD_HUGEPAGES=true",
			       device);
	rte_memseg_walk(add_len, &amount);
	if (amount.bytes + MIN_FREE <= limit())
		return 0;
	snprintf(what, sizeof(what), "device %s", device);
	return dma_limit_err(what, err);
}

static int map_pages(const struct rte_memseg_list *msl, const struct rte_memseg *first, size_t len,
		     void *unused)
{
	int container = rte_vfio_get_container_fd();
	struct vfio_iommu_type1_dma_unmap whole = {
		.argsz = sizeof(whole),
		.iova = first->addr_64,
		.size = len,
	};

	if (msl->external || len == msl->page_sz)
		return 0;
	if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &whole) < 0)
		return -errno;
	for (uint64_t at = first->addr_64; at < first->addr_64 + len; at += msl->page_sz) {
		struct vfio_iommu_type1_dma_map page = {
			.argsz = sizeof(page),
			.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
			.vaddr = at,
			.iova = at,
			.size = msl->page_sz,
		};

		if (ioctl(container, VFIO_IOMMU_MAP_DMA, &page) < 0)
			return -errno;
	}
	return 0;
}

int dma_opened(const char *device, struct err *err)
{
	int r;

	watch_growth();
	if (atomic_fetch_add(&devices, 1) > 0)
		return 0;
	r = rte_memseg_contig_walk(map_pages, NULL);
	if (r == 0)
		return 0;
	atomic_fetch_sub(&devices, 1);
	return err_set(err, r < 0 ? r : -EIO, "vfio",
		       "device %s: DPDK's memory cannot be mapped for it: %s", device,
		       r < 0 ? strerror(-r) : "unknown reason");
}

/*
 * rte_vfio_setup_device() of the first device may fail after it has registered its callback for
 * memory, which stays then: the next first device could not register it and would be refused, with
 * its VFIO group left open for ever.
 */
void dma_not_opened(void)
{
	if (!devices)
		rte_mem_event_callback_unregister("vfio_mem_event_clb", NULL);
}

void dma_closed(void)
{
	atomic_fetch_sub(&devices, 1);
}

bool dma_any_open(void)
{
	return atomic_load(&devices) > 0;
}
