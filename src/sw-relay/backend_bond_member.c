/* SPDX-License-Identifier: BSD-3-Clause */

/* A member of a bond: a port that DPDK's bonding driver sets up, starts and stops. */
#include "sw-relay/backend_bond.h"

#include <errno.h>
#include <stdio.h>

#include <rte_eth_bond.h>
#include <rte_version.h>

#include "common/log.h"

/* The words were changed in DPDK 23.11. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
#define rte_eth_bond_member_add rte_eth_bond_slave_add
#define rte_eth_bond_member_remove rte_eth_bond_slave_remove
#endif

int bond_member_open(struct bond_backend *b, struct bond_member *m,
		     const struct backend_request *req, struct err *err)
{
	struct backend *dev = NULL;
	int r = port_attach(req, &dev, err);

	pthread_mutex_lock(&b->lock);
	m->dev = dev;
	snprintf(m->error, sizeof(m->error), "%s", r < 0 ? err->text : "");
	pthread_mutex_unlock(&b->lock);
	return r;
}

void bond_member_close(struct bond_member *m)
{
	port_detach(m->dev);
	m->dev = NULL;
}

int bond_member_join(struct bond_backend *b, struct bond_member *m, struct err *err)
{
	/* The driver returns -1 for all that may be wrong, and says more in the log. */
	if (rte_eth_bond_member_add((uint16_t)b->port.base.port, (uint16_t)m->dev->port) < 0)
		return err_set(err, -EINVAL, "bond",
			       "%s: DPDK's bonding driver does not take it; its messages in the "
			       "log say more",
			       m->device);
	m->in = true;
	b->n_in++;
	return 0;
}

void bond_member_leave(struct bond_backend *b, struct bond_member *m)
{
	port_check_alive(port_backend(m->dev));
	/* The driver gives back what it set the port up with, of a port that is stopped. */
	rte_eth_dev_stop((uint16_t)m->dev->port);
	if (rte_eth_bond_member_remove((uint16_t)b->port.base.port, (uint16_t)m->dev->port) < 0)
		log_warning("device %s: the bonding driver does not let go of %s",
			    b->port.base.device, m->device);
	m->in = false;
	b->n_in--;
}
