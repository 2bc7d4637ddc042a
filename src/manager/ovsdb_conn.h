/* SPDX-License-Identifier: BSD-3-Clause */

/* A connection to OVSDB that watches the Interface table: asks for it, answers the server's
 * questions whether we are there, and asks itself. */
#ifndef VIO4WD_MANAGER_OVSDB_CONN_H
#define VIO4WD_MANAGER_OVSDB_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "common/err.h"

/* A server that is silent is asked after this time, and given up after as long again. */
#define OVSDB_PROBE_US 5000000ull

struct ovsdb_conn;

struct ovsdb_handlers {
	/* A <table-updates> object of RFC 7047, 4.1.6, which stays the connection's. initial: all
	 * that there is. */
	void (*update)(json_object *tables, bool initial, void *userdata);
	/* It has failed or was refused. Nothing comes after this, and it may be freed in here. */
	void (*closed)(const struct err *err, void *userdata);
};

/* fd: a connected stream socket, non-blocking; ownership passes. No handler is called from within
 * this. Returns 0 or a negative errno. */
int ovsdb_conn_new(struct ovsdb_conn **conn, sd_event *event, int fd, uint64_t probe_us,
		   const struct ovsdb_handlers *handlers, void *userdata);
/* closed() is not called. Not allowed within update(). NULL is nothing. */
void ovsdb_conn_free(struct ovsdb_conn *conn);

#endif
