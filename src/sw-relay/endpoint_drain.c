/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Taking a device that runs from its lanes without losing what is under way. The lanes run dry
 * (lane_drain.c) in their workers' rounds and tell by an event when they have. Meanwhile the VM
 * still receives; so a device that takes nothing is given some time, and then it is left.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/worker_table.h"

#define PATIENCE_MS 200

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void wait_for(struct lane_drain *drain)
{
	const int64_t end = now_ms() + PATIENCE_MS;
	struct pollfd pfd = { .fd = drain->fd, .events = POLLIN };
	int64_t left = PATIENCE_MS;

	for (; !lane_drain_is_over(drain) && left > 0; left = end - now_ms())
		poll(&pfd, 1, left);
}

static void run_dry(struct endpoint *ep, struct lane_drain *drain)
{
	tables_lock();
	endpoint_drain_lanes(ep, drain);
	tables_unlock();
	wait_for(drain);
	if (drain->left[LANE_VM_TO_VF])
		log_notice("relay %u: device %s is stopped with frames of the VM that it has not "
			   "taken within %d ms",
			   ep->options.id, ep->backend->device, PATIENCE_MS);
}

void endpoint_drain_device(struct endpoint *ep)
{
	struct lane_drain drain = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

	if (drain.fd >= 0)
		run_dry(ep, &drain);
	else
		log_warning("relay %u: device %s is stopped with what is in it: eventfd: %s",
			    ep->options.id, ep->backend->device, strerror(errno));
	tables_lock();
	ep->device = ENDPOINT_DEVICE_HELD;
	endpoint_update_lanes(ep);
	ep->drain = NULL;
	tables_unlock();
	if (drain.fd >= 0)
		close(take_fd(drain.fd));
}
