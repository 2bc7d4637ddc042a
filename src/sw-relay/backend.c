/* SPDX-License-Identifier: BSD-3-Clause */

/* The table of backends. The first one that claims a device gets it. */
#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "sw-relay/backend.h"

static const struct backend_ops *const table[] = {
	&backend_packet_ops,
	&backend_port_ops,
};

int backend_attach(const struct backend_request *req, struct backend **backend, struct err *err)
{
	for (size_t i = 0; i < RTE_DIM(table); i++) {
		int r;

		if (!table[i]->claims(req))
			continue;
		r = table[i]->attach(req, backend, err);
		if (r == 0)
			(*backend)->id = req->id;
		return r;
	}
	return err_set(err, -EOPNOTSUPP, "attach",
		       "device %s: this relay has no backend for devices of the kind \"%s\"",
		       req->device.text, devname_kind_name(req->device.kind));
}
