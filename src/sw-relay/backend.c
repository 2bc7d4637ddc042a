/* SPDX-License-Identifier: BSD-3-Clause */

/* The table of backends. The first one that claims a device gets it. */
#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "sw-relay/backend.h"

static const struct backend_ops *const table[] = {
	&backend_vdpa_ops, &backend_dpdk_vdpa_ops, &backend_packet_ops,
	&backend_bond_ops, &backend_port_ops,
};

static const struct backend_ops *find(const struct backend_request *req)
{
	for (size_t i = 0; i < RTE_DIM(table); i++) {
		if (table[i]->claims(req))
			return table[i];
	}
	return NULL;
}

bool backend_is_slow(const struct backend_request *req)
{
	const struct backend_ops *ops = find(req);

	return ops && ops->slow;
}

int backend_attach(const struct backend_request *req, struct backend **backend, struct err *err)
{
	const struct backend_ops *ops = find(req);

	if (!ops)
		return err_set(err, -EOPNOTSUPP, "attach",
			       "device %s: this relay has no backend for devices of the kind "
			       "\"%s\"",
			       req->device.text, devname_kind_name(req->device.kind));
	return ops->attach(req, backend, err);
}
