/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Sockets: adding and removing endpoints.
 *
 * The library says no more than "-1" when a socket cannot be made, and removes the path when the
 * endpoint goes. So everything that can be wrong with a path is found out before the library gets
 * it, the last step being a bind of our own, whose errno is the reason.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_vhost.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/features.h"
#include "sw-relay/pool.h"
#include "sw-relay/vhost_wake.h"
#include "sw-relay/worker_table.h"

struct endpoint_list endpoints = TAILQ_HEAD_INITIALIZER(endpoints);

struct endpoint *endpoint_find(unsigned int id)
{
	struct endpoint *ep;

	TAILQ_FOREACH(ep, &endpoints, next)
	{
		if (ep->options.id == id)
			return ep;
	}
	return NULL;
}

int endpoints_init(struct err *err)
{
	int r;

	endpoint_lanes_init();
	r = guard_init(err);
	if (r == 0)
		r = endpoint_serve_init(err);
	return r < 0 ? r : endpoint_vhost_init(err);
}

static int check_options(const struct endpoint_options *o, struct err *err)
{
	size_t len = strnlen(o->socket, sizeof(o->socket));
	struct endpoint *ep;

	if (!len || len > CONFIG_SOCKET_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "socket",
			       "relay %u: a socket path has 1 to %d bytes", o->id,
			       CONFIG_SOCKET_PATH_MAX);
	if (!o->max_queues || o->max_queues > ENDPOINT_MAX_QUEUES)
		return err_set(err, -EINVAL, "queues",
			       "relay %u: %u queue pairs; 1 to %d are possible", o->id,
			       o->max_queues, ENDPOINT_MAX_QUEUES);
	TAILQ_FOREACH(ep, &endpoints, next)
	{
		if (ep->options.id == o->id)
			return err_set(err, -EEXIST, "socket",
				       "relay %u exists already, with the socket %s", o->id,
				       ep->options.socket);
		if (strcmp(ep->options.socket, o->socket) == 0)
			return err_set(err, -EEXIST, "socket",
				       "the socket %s is that of relay %u already", o->socket,
				       ep->options.id);
	}
	return 0;
}

static void set_address(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, strlen(path));
}

/* A socket file that nobody listens on is what a killed relay leaves behind. */
static int remove_stale(const char *path, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : err_set(err, -errno, "socket", "socket %s: %s", path,
						 strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "socket",
			       "socket %s: another file is there; move it away or choose another "
			       "path",
			       path);
	if (fd < 0)
		return err_set(err, -errno, "socket", "socket %s: %s", path, strerror(errno));
	set_address(&address, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		return err_set(err, -EEXIST, "socket",
			       "socket %s: another program listens there; stop it or choose "
			       "another path",
			       path);
	if (errno != ECONNREFUSED)
		return err_set(err, -EEXIST, "socket",
			       "socket %s: a socket is there, and whether it is in use cannot be "
			       "found out: %s",
			       path, strerror(errno));
	if (unlink(path) < 0)
		return err_set(err, -errno, "socket",
			       "socket %s: the old one of an earlier run cannot be removed: %s",
			       path, strerror(errno));
	return 0;
}

/* Can a socket be made there? It is made, and removed again. */
static int try_bind(const char *path, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	set_address(&address, path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set(err, -errno, "socket", "socket %s: cannot be made: %s%s", path,
			       strerror(errno),
			       errno == ENOENT	     ? "; its directory does not exist"
			       : errno == EACCES     ? "; the relay's user may not write there"
			       : errno == EADDRINUSE ? "; another file is there"
						     : "");
	unlink(path);
	return 0;
}

static int register_socket(struct endpoint *ep, struct err *err)
{
	const struct endpoint_options *o = &ep->options;
	uint64_t flags = RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS;
	uint64_t offered = 0, protocol = 0;

	if (o->client)
		flags |= RTE_VHOST_USER_CLIENT;
	if (rte_vhost_driver_register(o->socket, flags) < 0)
		return err_set(err, -ENOSPC, "socket",
			       "socket %s: the vhost library cannot take one more", o->socket);
	if (rte_vhost_driver_disable_features(o->socket, features_withheld(o)) == 0 &&
	    rte_vhost_driver_get_features(o->socket, &offered) == 0 &&
	    rte_vhost_driver_get_protocol_features(o->socket, &protocol) == 0 &&
	    rte_vhost_driver_set_protocol_features(o->socket,
						   protocol & ~features_protocol_withheld()) == 0 &&
	    rte_vhost_driver_callback_register(o->socket, &endpoint_vhost_ops) == 0) {
		atomic_store(&ep->offered, offered);
		if (rte_vhost_driver_start(o->socket) == 0) {
			vhost_wake();
			return 0;
		}
	}
	rte_vhost_driver_unregister(o->socket);
	return err_set(err, -EIO, "socket", "socket %s: the vhost library refuses it", o->socket);
}

static void list_remove(struct endpoint *ep)
{
	tables_lock();
	endpoint_vhost_forget(ep);
	TAILQ_REMOVE(&endpoints, ep, next);
	tables_unlock();
}

int endpoint_make(const struct endpoint_options *options, struct err *err)
{
	struct endpoint *ep;
	int r = check_options(options, err);

	if (r < 0)
		return r;
	if (!options->client) {
		r = remove_stale(options->socket, err);
		if (r == 0)
			r = try_bind(options->socket, err);
		if (r < 0)
			return r;
	}
	ep = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(sizeof(*ep), RTE_CACHE_LINE_SIZE));
	if (!ep)
		return err_set(err, -ENOMEM, "memory", "relay %u: no memory", options->id);
	memset(ep, 0, sizeof(*ep));
	ep->options = *options;
	ep->pins[LANE_VF_TO_VM] = ep->pins[LANE_VM_TO_VF] = -1;
	STAILQ_INIT(&ep->ops);
	ep->queues = options->max_queues;
	bridge_init(&ep->bridge, options->id, endpoint_config_fd());
	tables_lock();
	TAILQ_INSERT_TAIL(&endpoints, ep, next);
	tables_unlock();
	r = register_socket(ep, err); /* a VM may connect before it returns */
	if (r < 0) {
		list_remove(ep);
		bridge_fini(&ep->bridge);
		free(ep);
		return r;
	}
	log_info("relay %u: socket %s (%s mode)", options->id, options->socket,
		 options->client ? "client" : "server");
	return 0;
}

void endpoint_unmake(struct endpoint *ep)
{
	/* Calls destroy_device, which needs the lock; and waits for the event thread. */
	rte_vhost_driver_unregister(ep->options.socket);
	list_remove(ep);
	bridge_fini(&ep->bridge);
	pool_put(ep->pool);
	log_info("relay %u: socket %s removed", ep->options.id, ep->options.socket);
	free(ep);
}

/* Lanes are brought in line with the VM at once; the device, when it is nobody else's. */
static void refit(struct endpoint *ep)
{
	bool gone;

	tables_lock();
	endpoint_update_lanes(ep);
	gone = ep->backend && ep->backend->gone;
	tables_unlock();
	if (gone)
		service_device_changed(ep->options.id);
	ep->unseen = !STAILQ_EMPTY(&ep->ops);
	if (STAILQ_EMPTY(&ep->ops) && endpoint_needs_serve(ep))
		endpoint_ask(ep, ENDPOINT_SERVE);
	if (STAILQ_EMPTY(&ep->ops) && endpoint_needs_refit(ep))
		endpoint_ask(ep, ENDPOINT_REFIT);
}

void endpoint_work(void)
{
	struct endpoint *ep;
	uint64_t expirations;

	while (read(endpoint_work_fd(), &expirations, sizeof(expirations)) > 0)
		;
	endpoint_vhost_enforce();
	TAILQ_FOREACH(ep, &endpoints, next)
	refit(ep);
}
