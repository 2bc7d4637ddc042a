/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The vhost library polls its descriptors with a timeout of a second. A new connection ends that,
 * a new listening socket does not: who connects to it waits for up to a second, which is most of
 * the time that VMs are without a network when a relay is started again. So the relay has a
 * connection to itself, with the library as its front end's back end, and sends a message that
 * means nothing whenever the thread is to look around.
 */
#include "sw-relay/vhost_wake.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "common/cleanup.h"

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int wake_fd = -1;

static int listen_here(struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 1) < 0)
		return err_set(err, -errno, "start", "socket %s: %s", address.sun_path,
			       strerror(errno));
	return take_fd(fd);
}

/* The library connects within this call. */
static int let_connect(void)
{
	static const struct rte_vhost_device_ops nothing;
	const uint64_t flags = RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT;
	const char *path = address.sun_path;

	if (rte_vhost_driver_register(path, flags) < 0)
		return -EIO;
	if (rte_vhost_driver_callback_register(path, &nothing) < 0 ||
	    rte_vhost_driver_start(path) < 0) {
		rte_vhost_driver_unregister(path);
		return -EIO;
	}
	return 0;
}

int vhost_wake_init(const char *path, struct err *err)
{
	_cleanup_close_ int listener = -1;
	int r;

	r = snprintf(address.sun_path, sizeof(address.sun_path), "%s.wake", path);
	if (r >= (int)sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "start", "socket %s.wake: the path is too long",
			       path);
	listener = listen_here(err);
	if (listener < 0)
		return listener;
	r = let_connect();
	if (r == 0) {
		wake_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		r = wake_fd < 0 ? -errno : 0;
	}
	unlink(address.sun_path);
	if (r < 0)
		return err_set(err, r, "start", "the vhost library does not start: %s",
			       strerror(-r));
	return 0;
}

void vhost_wake_fini(void)
{
	if (wake_fd < 0)
		return;
	rte_vhost_driver_unregister(address.sun_path);
	close(wake_fd);
	wake_fd = -1;
}

void vhost_wake(void)
{
	/* request, flags (the protocol's version), size of the payload */
	static const uint32_t set_owner[] = { 3, 1, 0 };

	if (wake_fd >= 0)
		send(wake_fd, set_owner, sizeof(set_owner), MSG_DONTWAIT | MSG_NOSIGNAL);
}
