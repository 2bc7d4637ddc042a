/* SPDX-License-Identifier: BSD-3-Clause */

/* DPDK keeps to itself where it maps a device; the kernel tells. */
#include "sw-relay/bars.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"

#define RANGES_MAX 256 /* 32 devices of 6 BARs, one cut in two by the MSI-X table */

/* Written by one thread at a time; end is written last and cleared first, for the handler. */
static struct range {
	uintptr_t start;
	_Atomic uintptr_t end; /* 0: free */
	struct backend *backend;
} ranges[RANGES_MAX];

static bool is_known(uintptr_t start)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		if (ranges[i].end && ranges[i].start == start)
			return true;
	}
	return false;
}

static void add(struct backend *backend, uintptr_t start, uintptr_t end)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		if (ranges[i].end)
			continue;
		ranges[i].start = start;
		ranges[i].backend = backend;
		atomic_store(&ranges[i].end, end);
		return;
	}
	log_warning("device %s: no room to remember where its registers are", backend->device);
}

void bars_add(struct backend *backend)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	char line[512];

	if (!maps)
		return;
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vfio-device]") && sscanf(line, "%lx-%lx", &start, &end) == 2 &&
		    !is_known(start))
			add(backend, start, end);
	}
	fclose(maps);
}

void bars_forget(const struct backend *backend)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		if (ranges[i].backend == backend) {
			atomic_store(&ranges[i].end, 0);
			ranges[i].backend = NULL;
		}
	}
}

void bars_blind(const struct backend *backend)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		uintptr_t end = atomic_load(&ranges[i].end);

		if (end && ranges[i].backend == backend)
			mmap((void *)ranges[i].start, end - ranges[i].start, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

bool bars_fault(uintptr_t addr)
{
	for (unsigned int i = 0; i < RANGES_MAX; i++) {
		struct backend *backend = ranges[i].backend;

		if (addr >= atomic_load(&ranges[i].end) || addr < ranges[i].start)
			continue;
		bars_blind(backend);
		backend->error = "its registers are gone: the device was removed";
		backend->gone = true;
		return true;
	}
	return false;
}
