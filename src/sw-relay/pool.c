/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A pool must not go while a packet of it is somewhere (a device that keeps mbufs past its stop):
 * the packet would be returned into freed memory. pool_put therefore looks whether all are back and
 * else keeps the pool on a list of leftovers, which is looked through whenever pools change.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_memory.h>

#include "common/log.h"
#include "sw-relay/dma.h"
#include "sw-relay/pool.h"

#define POOL_CACHE 256
#define POOL_BURST 64

struct leftover {
	struct rte_mempool *pool;
	struct leftover *next;
};

static pthread_mutex_t pools_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct leftover *leftovers;
static unsigned int n_pools;
static unsigned int next_name;

static uint32_t data_room(const struct pool_need *need)
{
	return RTE_MAX(need->min_room, (uint16_t)POOL_DATA_ROOM);
}

uint32_t pool_size(const struct pool_need *need)
{
	uint32_t segments = 1 + (need->mtu + RTE_ETHER_HDR_LEN + 8) / data_room(need);
	uint32_t n = need->device;

	/* A burst in hand and one that waits for room in the device. */
	n += 2 * POOL_BURST * segments * RTE_MAX(need->lanes, (uint16_t)2);
	if (need->tso)
		n += 2048 + 512 * need->lanes;
	/* A cache keeps up to one and a half of its size; the control side has one as well. */
	n += (need->workers + 1) * (POOL_CACHE + POOL_CACHE / 2);
	return n;
}

static void reap_leftovers(void)
{
	for (struct leftover **at = &leftovers; *at;) {
		struct leftover *l = *at;

		if (!rte_mempool_full(l->pool)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		rte_mempool_free(l->pool);
		free(l);
		n_pools--;
	}
}

static int pool_err(uint32_t n, uint32_t room, struct err *err)
{
	int error = rte_errno ? rte_errno : ENOMEM;
	uint64_t kib = (uint64_t)n * (room + 256) / 1024;
	char text[200];

	if (dma_was_refused()) {
		snprintf(text, sizeof(text), "no memory for %u packets (%" PRIu64 " KiB)", n, kib);
		return dma_limit_err(text, err);
	}
	if (!rte_eal_has_hugepages())
		return err_set(err, -error, "memory",
			       "no memory for %u packets (%" PRIu64 " KiB): %s", n, kib,
			       rte_strerror(error));
	return err_set(err, -error, "memory",
		       "no memory for %u packets (%" PRIu64
		       " KiB): %s; free hugepages: %s. Reserve "
		       "more: `sysctl vm.nr_hugepages=1024`, or VIO4WD_NR_HUGEPAGES for the next "
		       "boot",
		       n, kib, rte_strerror(error), dma_free_text("", text, sizeof(text)));
}

bool pool_fits(const struct rte_mempool *pool, const struct pool_need *need)
{
	return pool->size >= pool_size(need) &&
	       rte_pktmbuf_data_room_size((struct rte_mempool *)pool) >=
		       data_room(need) + RTE_PKTMBUF_HEADROOM;
}

int pool_create(struct rte_mempool **pool, const struct pool_need *need, struct err *err)
{
	int node = need->numa_node < 0 ? SOCKET_ID_ANY : need->numa_node;
	uint32_t n = pool_size(need);
	uint32_t room = data_room(need) + RTE_PKTMBUF_HEADROOM;
	char name[RTE_MEMPOOL_NAMESIZE];

	pthread_mutex_lock(&pools_mutex);
	reap_leftovers();
	snprintf(name, sizeof(name), "relay%u", next_name++);
	*pool = rte_pktmbuf_pool_create_by_ops(name, n, POOL_CACHE, 0, room, node, POOL_OPS);
	if (!*pool && node != SOCKET_ID_ANY)
		*pool = rte_pktmbuf_pool_create_by_ops(name, n, POOL_CACHE, 0, room, SOCKET_ID_ANY,
						       POOL_OPS);
	if (*pool)
		n_pools++;
	pthread_mutex_unlock(&pools_mutex);
	if (*pool)
		return 0;
	return pool_err(n, room, err);
}

void pool_put(struct rte_mempool *pool)
{
	struct leftover *l;

	if (!pool)
		return;
	pthread_mutex_lock(&pools_mutex);
	if (rte_mempool_full(pool)) {
		rte_mempool_free(pool);
		n_pools--;
	} else {
		log_debug("pool %s: %u packets are still in use, freed later", pool->name,
			  rte_mempool_in_use_count(pool));
		l = malloc(sizeof(*l));
		if (l) {
			l->pool = pool;
			l->next = leftovers;
			leftovers = l;
		}
	}
	reap_leftovers();
	pthread_mutex_unlock(&pools_mutex);
}

unsigned int pool_count(void)
{
	unsigned int n;

	pthread_mutex_lock(&pools_mutex);
	reap_leftovers();
	n = n_pools;
	pthread_mutex_unlock(&pools_mutex);
	return n;
}
