/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * RUNTIME_DIR/state.json: what was asked for at run time and must outlive a crash of the manager.
 * Written by a thread of its own (write, fsync, rename), so that a slow disk stops nobody; texts
 * that come while it writes are merged to one, the latest.
 */
#ifndef VIO4WD_MANAGER_STATE_FILE_H
#define VIO4WD_MANAGER_STATE_FILE_H

#include <stdint.h>

#include <json-c/json.h>
#include <systemd/sd-event.h>

#include "common/err.h"

struct state_file;

/* All saves up to number `seq` are over; err says how the last one went. */
typedef void (*state_file_fn)(uint64_t seq, const struct err *err, void *userdata);

int state_file_new(struct state_file **sf, sd_event *event, const char *path, state_file_fn saved,
		   void *userdata, struct err *err);
/* Writes what is still waiting; does not wait longer than 0.1 s for a slow disk. */
void state_file_free(struct state_file *sf);

/* Returns the number of this save, or 0 when memory is short. */
uint64_t state_file_save(struct state_file *sf, json_object *state);

/*
 * Reads the file: *state is its object, owned by the caller, or NULL when there is none. One that
 * is broken is moved to PATH.broken, reported in err, and gives -EBADMSG.
 */
int state_file_load(const char *path, json_object **state, struct err *err);

#endif
