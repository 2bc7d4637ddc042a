/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How a relay process comes to be: as an instance of vio4wd-relay@.service (relay_unit.c), or as a
 * child process (relay_spawn.c). Once it runs it is known by its pidfd, and relay_process.c
 * watches, signals and restarts both in the same way.
 */
#ifndef VIO4WD_MANAGER_RELAY_LAUNCHER_H
#define VIO4WD_MANAGER_RELAY_LAUNCHER_H

#include "manager/relay_process.h"

struct relay_launcher {
	/* Starts a process. relay_launched() or relay_launch_failed() follows, at once possibly. */
	void (*start)(struct relay *relay);
	/* A start is no longer wanted: relay_launch_failed() follows soon, nothing is left. */
	void (*cancel)(struct relay *relay);
	/* The process has ended. relay_ended() follows, at once possibly. */
	void (*ended)(struct relay *relay);
	/* Whatever is under way: nothing follows. The process is left alone. */
	void (*forget)(struct relay *relay);
	/* After a stop: removes what belonged to the process. */
	void (*clean)(const struct relay *relay);
	/* Where relay number listens for the manager; size is that of relay->socket. */
	void (*socket)(const struct relay_setup *setup, unsigned int number, char *buf,
		       size_t size);
};

extern const struct relay_launcher relay_spawn_launcher;
extern const struct relay_launcher relay_unit_launcher;

/*
 * Units when this process is the main one of virtio-forwarder.service, else child processes. user:
 * loses the groups that a unit does not give.
 */
const struct relay_launcher *relay_launcher_find(struct relay_user *user);

/* relay_process.c, for launchers. pidfd: ownership passes. how: "was killed by signal 9 (Killed)"
 */
void relay_launched(struct relay *relay, pid_t pid, int pidfd);
void relay_launch_failed(struct relay *relay, const struct err *err);
void relay_ended(struct relay *relay, const char *how);

#endif
