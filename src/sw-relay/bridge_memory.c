/* SPDX-License-Identifier: BSD-3-Clause */

#include "sw-relay/bridge_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <rte_common.h>

#include "common/cleanup.h"

struct table {
	unsigned int n;
	struct bridge_region regions[BRIDGE_REGIONS];
};

static int read_region(const struct bridge *b, const struct rte_vhost_mem_region *from,
		       struct bridge_region *region, struct err *err)
{
	struct stat st;

	if (fstat(from->fd, &st) < 0)
		return err_set(err, -errno, "memory", "relay %u: the VM's memory: %s", b->id,
			       strerror(errno));
	*region = (struct bridge_region){
		.iova = from->guest_phys_addr,
		.size = from->size,
		.host = from->host_user_addr,
		.offset = from->host_user_addr - (uintptr_t)from->mmap_addr,
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	return 0;
}

static int read_table(const struct bridge *b, struct table *table, struct err *err)
{
	_cleanup_free_ struct rte_vhost_memory *memory = NULL;
	int r = 0;

	if (rte_vhost_get_mem_table(b->vm->vid, &memory) < 0)
		return err_set(err, -EINVAL, "memory", "relay %u: the VM has no memory table",
			       b->id);
	if (memory->nregions > BRIDGE_REGIONS)
		return err_set(err, -E2BIG, "memory",
			       "relay %u: the VM's memory has %u regions; %d are possible", b->id,
			       memory->nregions, BRIDGE_REGIONS);
	table->n = memory->nregions;
	for (unsigned int i = 0; i < table->n && r == 0; i++)
		r = read_region(b, &memory->regions[i], &table->regions[i], err);
	return r;
}

static int map(struct bridge *b, const struct bridge_region *region, struct err *err)
{
	int r = vhost_vdpa_map(&b->dev, region->iova, region->size, (void *)(uintptr_t)region->host,
			       true, err);

	if (r == 0)
		b->regions[b->n_regions++] = *region;
	return r;
}

static int unmap(struct bridge *b, unsigned int i, struct err *err)
{
	int r = vhost_vdpa_unmap(&b->dev, b->regions[i].iova, b->regions[i].size, err);

	if (r == 0)
		b->regions[i] = b->regions[--b->n_regions];
	return r;
}

/* Its pages are those that are pinned already. */
static bool is_same(const struct bridge_region *a, const struct bridge_region *b)
{
	return a->iova == b->iova && a->size == b->size && a->offset == b->offset &&
	       a->dev == b->dev && a->ino == b->ino;
}

static struct bridge_region *find(struct bridge_region *regions, unsigned int n,
				  const struct bridge_region *wanted)
{
	for (unsigned int i = 0; i < n; i++) {
		if (is_same(&regions[i], wanted))
			return &regions[i];
	}
	return NULL;
}

static int change(struct bridge *b, struct table *next, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; i < b->n_regions && r == 0;) {
		struct bridge_region *same = find(next->regions, next->n, &b->regions[i]);

		if (same)
			b->regions[i++].host = same->host;
		else
			r = unmap(b, i, err);
	}
	for (unsigned int i = 0; i < next->n && r == 0; i++) {
		if (!find(b->regions, b->n_regions, &next->regions[i]))
			r = map(b, &next->regions[i], err);
	}
	return r;
}

int bridge_memory_update(struct bridge *b, struct err *err)
{
	struct table next;
	int r = read_table(b, &next, err), end;

	if (r == 0)
		r = vhost_vdpa_map_begin(&b->dev, err);
	if (r < 0)
		return r;
	r = change(b, &next, err);
	end = vhost_vdpa_map_end(&b->dev, r < 0 ? NULL : err);
	return r < 0 ? r : end;
}

void bridge_memory_unmap(struct bridge *b)
{
	for (unsigned int i = 0; b->dev.fd >= 0 && i < b->n_regions; i++)
		vhost_vdpa_unmap(&b->dev, b->regions[i].iova, b->regions[i].size, NULL);
	b->n_regions = 0;
}

uint64_t bridge_guest_address(const struct bridge *b, const void *addr)
{
	const uint64_t at = (uintptr_t)addr;

	for (unsigned int i = 0; i < b->n_regions; i++) {
		if (at - b->regions[i].host < b->regions[i].size)
			return b->regions[i].iova + (at - b->regions[i].host);
	}
	return UINT64_MAX;
}

void *bridge_host_address(const struct bridge *b, uint64_t addr, uint64_t size)
{
	for (unsigned int i = 0; i < b->n_regions; i++) {
		const uint64_t at = addr - b->regions[i].iova;

		if (at < b->regions[i].size && size <= b->regions[i].size - at)
			return (void *)(uintptr_t)(b->regions[i].host + at);
	}
	return NULL;
}

uint64_t bridge_above_memory(const struct bridge *b, uint64_t align)
{
	uint64_t top = 0;

	for (unsigned int i = 0; i < b->n_regions; i++)
		top = RTE_MAX(top, b->regions[i].iova + b->regions[i].size - 1);
	return top >= UINT64_MAX - align ? UINT64_MAX : RTE_ALIGN_CEIL(top + 1, align);
}
