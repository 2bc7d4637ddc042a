/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A bond: DPDK's bonding driver (net_bonding) over the ports of its members. It is a port as any
 * other (backend_port.c) with members that come and go.
 *
 * The driver's bursts read its list of members without a lock, so that list changes only while no
 * lane uses the bond; opening and closing a device, which takes long, is done around that. A
 * member that goes is taken out, and the others go on; the manager asks for it again when it is
 * back. Without any it is not used: the driver goes on with the number of the port that went last,
 * which another device may have by then.
 *
 * LACP (mode 4) is spoken in the driver's bursts, which have to come at least every 100 ms, also
 * without packets and without a VM. Receiving is: a device without an interrupt is looked at every
 * VIO4WD_MAX_SLEEP_US, which is less. Sending is made up for behind it; since another worker may be
 * sending, transmit queue 0 has a lock then. Nobody waits long: who finds it taken knows that
 * somebody is sending, and that is all that was wanted.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eth_bond.h>
#include <rte_eth_bond_8023ad.h>
#include <rte_version.h>

#include "common/log.h"
#include "sw-relay/backend_bond.h"
#include "sw-relay/endpoint.h"

#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
#define rte_eth_bond_active_members_get rte_eth_bond_active_slaves_get
#define rte_eth_bond_8023ad_member_info rte_eth_bond_8023ad_slave_info
#endif

#define KEEPALIVE_PER_S 50

static bool bond_claims(const struct backend_request *req)
{
	return req->device.kind == DEVNAME_BOND;
}

static uint16_t bond_tx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			      uint16_t n)
{
	struct bond_backend *b = bond_backend(backend);
	uint16_t sent;

	if (!b->n_in)
		return 0;
	if (b->mode != BOND_MODE_LACP || queue)
		return port_tx_burst(backend, queue, pkts, n);
	rte_spinlock_lock(&b->tx_lock);
	sent = port_tx_burst(backend, queue, pkts, n);
	rte_spinlock_unlock(&b->tx_lock);
	return sent;
}

static void keep_alive(struct bond_backend *b)
{
	uint64_t now = rte_rdtsc();

	if (now < b->next_keepalive)
		return;
	b->next_keepalive = now + rte_get_tsc_hz() / KEEPALIVE_PER_S;
	if (!rte_spinlock_trylock(&b->tx_lock))
		return;
	rte_eth_tx_burst((uint16_t)b->port.base.port, 0, NULL, 0);
	rte_spinlock_unlock(&b->tx_lock);
}

/* The driver asks only the member that is active for what came, in these modes. What others got in
 * the meantime would come out when they become active: late, and mostly for the second time. */
static void discard_of_backups(struct bond_backend *b, uint16_t queue, struct rte_mbuf **pkts,
			       uint16_t n)
{
	const int active = rte_eth_bond_primary_get((uint16_t)b->port.base.port);

	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		const struct bond_member *m = &b->members[i];

		if (m->in && m->dev->port != active)
			rte_pktmbuf_free_bulk(pkts, rte_eth_rx_burst((uint16_t)m->dev->port, queue,
								     pkts, n));
	}
}

static uint16_t bond_rx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			      uint16_t n)
{
	struct bond_backend *b = bond_backend(backend);

	if (!b->n_in)
		return 0;
	if (b->mode == BOND_MODE_LACP && queue == 0)
		keep_alive(b);
	if (b->mode == BONDING_MODE_ACTIVE_BACKUP || b->mode == BONDING_MODE_TLB)
		discard_of_backups(b, queue, pkts, n);
	return rte_eth_rx_burst((uint16_t)backend->port, queue, pkts, n);
}

static struct bond_member *find(struct bond_backend *b, const char *device)
{
	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		if (strcmp(b->members[i].device, device) == 0)
			return &b->members[i];
	}
	return NULL;
}

/* Opens what is asked for and not open. The first error stays in err. */
static void open_members(struct bond_backend *b, const struct backend_request *req, struct err *err)
{
	for (unsigned int i = 0; i < req->n_members; i++) {
		const struct backend_request one = {
			.id = b->port.base.id,
			.device = req->members[i],
			.mtu = b->mtu,
			.max_queues = b->max_queues,
		};
		struct bond_member *m = find(b, one.device.text);
		struct err failure;

		if (!m)
			m = find(b, "");
		if (!m || m->dev)
			continue;
		pthread_mutex_lock(&b->lock);
		snprintf(m->device, sizeof(m->device), "%s", one.device.text);
		pthread_mutex_unlock(&b->lock);
		if (bond_member_open(b, m, &one, &failure) < 0) {
			log_error("device %s: %s", b->port.base.device, failure.text);
			if (!err->code)
				*err = failure;
		}
	}
}

static void set_member_error(struct bond_backend *b, struct bond_member *m, const char *error)
{
	pthread_mutex_lock(&b->lock);
	snprintf(m->error, sizeof(m->error), "%s", error);
	pthread_mutex_unlock(&b->lock);
}

/* Returns how many are in. */
static unsigned int join_members(struct bond_backend *b, struct err *err)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		struct bond_member *m = &b->members[i];
		struct err failure;

		if (m->dev && !m->in && !m->leaving && bond_member_join(b, m, &failure) < 0) {
			log_error("device %s: %s", b->port.base.device, failure.text);
			set_member_error(b, m, failure.text);
			m->leaving = true;
			if (!err->code)
				*err = failure;
		}
		n += m->in;
	}
	return n;
}

/* Takes those out that are to leave; they stay open. */
static void part_members(struct bond_backend *b)
{
	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		struct bond_member *m = &b->members[i];

		if (!m->in || !m->leaving)
			continue;
		bond_member_leave(b, m);
		log_notice("device %s goes on without %s%s%s", b->port.base.device, m->device,
			   m->error[0] ? ": " : "", m->error);
	}
}

/* A member that was not asked for to leave is remembered with its error. */
static void close_members(struct bond_backend *b)
{
	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		struct bond_member *m = &b->members[i];
		struct bond_member closing;

		if (m->in || !m->leaving)
			continue;
		pthread_mutex_lock(&b->lock);
		closing = *m;
		*m = (struct bond_member){ 0 };
		if (closing.error[0]) {
			memcpy(m->device, closing.device, sizeof(m->device));
			memcpy(m->error, closing.error, sizeof(m->error));
		}
		pthread_mutex_unlock(&b->lock);
		if (closing.dev)
			bond_member_close(&closing);
	}
}

static bool is_asked_for(const struct backend_request *req, const char *device)
{
	for (unsigned int i = 0; i < req->n_members; i++) {
		if (strcmp(req->members[i].text, device) == 0)
			return true;
	}
	return false;
}

static void mark_leaving(struct bond_backend *b, const struct backend_request *req)
{
	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		struct bond_member *m = &b->members[i];

		if (!m->device[0])
			continue;
		if (m->dev && m->dev->error)
			set_member_error(b, m, m->dev->error);
		else if (req && !is_asked_for(req, m->device))
			set_member_error(b, m, "");
		else
			continue;
		m->leaving = true;
	}
}

static void bond_members(struct backend *backend, const struct backend_request *req,
			 void (*pause)(void *arg, bool on), void *arg)
{
	struct bond_backend *b = bond_backend(backend);
	struct err ignored = { 0 };

	mark_leaving(b, req);
	close_members(b); /* what was never in */
	if (req)
		open_members(b, req, &ignored);
	pause(arg, true);
	part_members(b);
	join_members(b, &ignored);
	pause(arg, false);
	close_members(b);
	port_update_link(&b->port);
	service_device_changed(backend->id);
}

static bool is_active(const struct bond_backend *b, const struct bond_member *m)
{
	const uint16_t bond = (uint16_t)b->port.base.port, port = (uint16_t)m->dev->port;
	struct rte_eth_bond_8023ad_member_info lacp;
	uint16_t active[RTE_MAX_ETHPORTS];
	int n;

	if (b->mode == BOND_MODE_LACP)
		return rte_eth_bond_8023ad_member_info(bond, port, &lacp) == 0 &&
		       (lacp.actor_state & STATE_DISTRIBUTING);
	n = rte_eth_bond_active_members_get(bond, active, RTE_MAX_ETHPORTS);
	if (b->mode == BONDING_MODE_ACTIVE_BACKUP)
		return n > 0 && rte_eth_bond_primary_get(bond) == port;
	for (int i = 0; i < n; i++) {
		if (active[i] == port)
			return true;
	}
	return false;
}

static bool bond_member(struct backend *backend, unsigned int i, struct backend_member *member)
{
	struct bond_backend *b = bond_backend(backend);
	const struct bond_member *m = NULL;

	pthread_mutex_lock(&b->lock);
	for (unsigned int at = 0; at < BOND_MEMBERS_MAX; at++) {
		if (b->members[at].device[0] && i-- == 0) {
			m = &b->members[at];
			break;
		}
	}
	if (m) {
		const char *error = m->dev ? m->dev->error : NULL;

		*member = (struct backend_member){
			.in = m->in,
			.link = m->dev && !error && m->dev->ops->link(m->dev),
			.active = m->in && !error && is_active(b, m),
		};
		snprintf(member->device, sizeof(member->device), "%s", m->device);
		snprintf(member->error, sizeof(member->error), "%s", error ? error : m->error);
	}
	pthread_mutex_unlock(&b->lock);
	return m;
}

/* The address of the bond is its first member's, whichever of them come and go. Where a member can
 * have no other address than its own, that is told by an error, and is none. */
static int fill(struct port_backend *p, struct err *err)
{
	struct bond_backend *b = container_of(p, struct bond_backend, port);
	struct err failure = { 0 };

	if (!join_members(b, &failure)) {
		*err = failure;
		return failure.code ? failure.code : -ENODEV;
	}
	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		if (!b->members[i].in)
			continue;
		rte_eth_bond_mac_address_set((uint16_t)p->base.port, &b->members[i].dev->mac);
		break;
	}
	return 0;
}

static void close_all(struct bond_backend *b)
{
	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		b->members[i].leaving = true;
		b->members[i].in = false;
	}
	close_members(b);
	pthread_mutex_destroy(&b->lock);
}

static int bond_attach(const struct backend_request *req, struct backend **backend, struct err *err)
{
	struct bond_backend *b = calloc(1, sizeof(*b));
	struct err failure = { 0 };
	int r;

	if (!b)
		return err_set(err, -ENOMEM, "attach", "device %s: no memory", req->device.text);
	pthread_mutex_init(&b->lock, NULL);
	rte_spinlock_init(&b->tx_lock);
	b->port.base.ops = &backend_bond_ops;
	b->port.base.id = req->id;
	snprintf(b->port.base.device, sizeof(b->port.base.device), "%s", req->device.text);
	b->port.base.numa_node = -1;
	b->mode = req->device.mode;
	b->mtu = req->mtu;
	b->max_queues = req->max_queues;
	open_members(b, req, &failure);
	for (unsigned int i = 0; i < BOND_MEMBERS_MAX && b->port.base.numa_node < 0; i++) {
		if (b->members[i].dev)
			b->port.base.numa_node = b->members[i].dev->numa_node;
	}
	r = port_open(&b->port, req, fill, err);
	if (r < 0) {
		if (failure.code)
			*err = failure; /* what fill found is what follows from that */
		close_all(b);
		free(b);
		return err->code;
	}
	close_members(b);
	*backend = &b->port.base;
	return 0;
}

static void bond_detach(struct backend *backend)
{
	struct bond_backend *b = bond_backend(backend);

	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		if (b->members[i].in)
			bond_member_leave(b, &b->members[i]);
	}
	port_close(&b->port);
	close_all(b);
	free(b);
}

/* Each member holds buffers for all queues. */
static int bond_spread(struct backend *backend, uint16_t queues)
{
	int r = port_spread(backend, queues);

	backend->rx_queues_set = backend->rx_queues * BOND_MEMBERS_MAX;
	backend->tx_queues_set = backend->tx_queues * BOND_MEMBERS_MAX;
	return r;
}

/* A PF that was reset makes its VF set itself up again, and with it the bond. */
static bool bond_look(struct backend *backend)
{
	struct bond_backend *b = bond_backend(backend);
	bool soon = false;

	for (unsigned int i = 0; i < BOND_MEMBERS_MAX; i++) {
		struct bond_member *m = &b->members[i];

		if (!m->in)
			continue;
		soon |= m->dev->ops->look(m->dev);
		if (atomic_exchange(&m->dev->reset, false))
			backend->reset = true;
	}
	port_update_link(&b->port);
	service_device_changed(backend->id);
	return soon;
}

const struct backend_ops backend_bond_ops = {
	.name = "bond",
	.slow = true,
	.claims = bond_claims,
	.attach = bond_attach,
	.detach = bond_detach,
	.start = port_start,
	.stop = port_stop,
	.rx_burst = bond_rx_burst,
	.tx_burst = bond_tx_burst,
	.spread = bond_spread,
	.look = bond_look,
	.link = port_link,
	.members = bond_members,
	.member = bond_member,
};
