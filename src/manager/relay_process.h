/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One relay process: started, connected to, watched, started again when it dies, stopped. A process
 * that an earlier manager left running is adopted.
 *
 * starting -> running -> (lost) -> starting ...; failed while it waits for its next start;
 * stopping -> gone.
 */
#ifndef VIO4WD_MANAGER_RELAY_PROCESS_H
#define VIO4WD_MANAGER_RELAY_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-event.h>

#include "common/config.h"
#include "common/err.h"
#include "manager/relay_user.h"
#include "wire/rpc.h"

#define RELAY_PORTS_DEFAULT 32 /* until hello says */
/* A relay that takes longer to answer is killed and started again. */
#define RELAY_CALL_TIMEOUT_MS 10000
#define RELAY_START_TIMEOUT_MS 30000   /* the first answer: hugepages take their time */
#define RELAY_DEVICE_TIMEOUT_MS 120000 /* hardware is opened one device after another */

enum relay_state {
	RELAY_STARTING, /* no answer to hello yet */
	RELAY_RUNNING,
	RELAY_LOST,   /* the connection ended, its process not (yet) */
	RELAY_FAILED, /* waits for its next start */
	RELAY_STOPPING,
	RELAY_GONE,
};

struct relay;

struct relay_events {
	/* It can be called. snapshot is what an adopted one has, NULL for a fresh one. */
	void (*up)(struct relay *relay, json_object *snapshot);
	/* All it served is gone. */
	void (*down)(struct relay *relay, const char *why);
	void (*vm)(struct relay *relay, unsigned int id, bool connected);
	/* mode of a vDPA device, members of a bond; NULL of all others. */
	void (*device)(struct relay *relay, unsigned int id, bool link, const char *error,
		       const char *mode, json_object *members);
	/* After relay_stop: the process has ended. */
	void (*stopped)(struct relay *relay);
};

struct relay_setup { /* what all relays share; outlives them */
	sd_event *event;
	const struct relay_launcher *launcher; /* of new processes */
	const char *program;
	const struct config *cfg; /* replaced by a reload */
	const struct relay_user *user;
	const char *root; /* of sysfs paths */
	const struct relay_events *events;
	void *userdata;
};

struct relay {
	unsigned int number;
	int numa_node;
	enum relay_state state;
	struct relay_setup *setup;
	char socket[CONFIG_SOCKET_PATH_MAX + 1];
	struct cpuset cpus;
	void *userdata; /* of the owner */

	const struct relay_launcher *launcher; /* of its process */
	void *launch;			       /* the launcher's, while it has something to do */
	bool launching;			       /* there is no process yet */
	pid_t pid;			       /* 0: none */
	int pidfd;
	bool adopted; /* waits for its snapshot */
	struct rpc_conn *conn;
	sd_event_source *exit_source;
	sd_event_source *timer;	   /* next try to connect, next start, next signal when it stops */
	sd_event_source *deadline; /* of hello */
	uint64_t connect_wait_us;

	char reason[200]; /* of RELAY_FAILED, and why it was killed */
	unsigned int restarts;
	unsigned int deaths; /* in quick succession */
	uint64_t started_us; /* monotonic */
	int64_t started;     /* seconds since the epoch */
	unsigned int stop_signals;

	/* From hello: */
	unsigned int max_ports;
	char dpdk[64];
};

/* Makes the process, or adopts the one that serves a socket of this number. */
int relay_new(struct relay **relay, struct relay_setup *setup, unsigned int number, int numa_node,
	      const struct cpuset *cpus, struct err *err);
/* Has an earlier manager left a process of this number (or its socket)? */
bool relay_left(const struct relay_setup *setup, unsigned int number);
/* Ends it: asks, then SIGTERM, then SIGKILL after 300 ms; then calls stopped(). */
void relay_stop(struct relay *relay);
/* There is no more time to wait for that: as if it had ended, which it will. */
void relay_abandon(struct relay *relay);
/* Forgets the process without ending it (it goes on forwarding). */
void relay_free(struct relay *relay);
/* It does not do what it must: SIGKILL, and the usual restart. */
void relay_kill(struct relay *relay, const char *why);

/*
 * A request to a running relay; done as in rpc_call. -ENOTCONN when it is not running. A time-out
 * of a call kills the relay.
 */
int relay_call(struct relay *relay, const char *method, json_object *params, const int *fds,
	       size_t n_fds, unsigned int timeout_ms, rpc_done_fn done, void *userdata);

const char *relay_state_name(enum relay_state state); /* "starting", "running", "failed" */

#endif
