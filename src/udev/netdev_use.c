/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/netdev_use.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <linux/rtnetlink.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/socket.h>

#include "common/cleanup.h"

#define ADDRESS_MAX 64

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static void cleanup_sock(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static void cleanup_link(struct rtnl_link **link)
{
	rtnl_link_put(*link);
}

static void cleanup_cache(struct nl_cache **cache)
{
	if (*cache)
		nl_cache_free(*cache);
}

static int failed(const char *name, const char *netdev, int rc, struct err *err)
{
	return err_set(err, -EIO, "device in use",
		       "%s: whether its interface %s is in use cannot be told (rtnetlink): %s",
		       name, netdev, nl_geterror(rc));
}

static bool is_address(const struct rtnl_addr *addr, int ifindex)
{
	struct rtnl_addr *a = (struct rtnl_addr *)addr; /* libnl's getters know no const */

	if (rtnl_addr_get_ifindex(a) != ifindex)
		return false;
	return rtnl_addr_get_family(a) != AF_INET6 || rtnl_addr_get_scope(a) != RT_SCOPE_LINK;
}

/* The first address of an interface; "" when it has none. */
static int find_address(struct nl_sock *sock, int ifindex, char text[ADDRESS_MAX])
{
	_cleanup_(cleanup_cache) struct nl_cache *cache = NULL;
	int rc;

	text[0] = '\0';
	rc = rtnl_addr_alloc_cache(sock, &cache);
	if (rc < 0)
		return rc;
	for (struct nl_object *o = nl_cache_get_first(cache); o && !text[0];
	     o = nl_cache_get_next(o)) {
		struct rtnl_addr *addr = (struct rtnl_addr *)o;

		if (is_address(addr, ifindex))
			nl_addr2str(rtnl_addr_get_local(addr), text, ADDRESS_MAX);
	}
	return 0;
}

static int check_address(struct nl_sock *sock, struct rtnl_link *link, const char *name,
			 const char *netdev, struct err *err)
{
	char address[ADDRESS_MAX];
	int rc;

	if (!(rtnl_link_get_flags(link) & IFF_UP))
		return 0;
	rc = find_address(sock, rtnl_link_get_ifindex(link), address);
	if (rc < 0)
		return failed(name, netdev, rc, err);
	if (!address[0])
		return 0;
	return err_set(err, -EBUSY, "device in use",
		       "%s: this host uses its interface %s, which is up with the address %s; take "
		       "it down first (ip link set %s down, or ip addr flush dev %s), or keep it "
		       "out by VIO4WD_EXCLUDE",
		       name, netdev, address, netdev, netdev);
}

static int check_master(struct nl_sock *sock, struct rtnl_link *link, const char *name,
			const char *netdev, struct err *err)
{
	_cleanup_(cleanup_link) struct rtnl_link *master = NULL;
	const int ifindex = rtnl_link_get_master(link);
	const char *type = NULL, *master_name = "another interface";

	if (!ifindex)
		return 0;
	if (rtnl_link_get_kernel(sock, ifindex, NULL, &master) == 0) {
		type = rtnl_link_get_type(master);
		master_name = rtnl_link_get_name(master);
	}
	return err_set(err, -EBUSY, "device in use",
		       "%s: this host uses its interface %s, which is a port of %s%s%s%s; take it "
		       "out first (ip link set %s nomaster), or keep it out by VIO4WD_EXCLUDE",
		       name, netdev, master_name, type ? " (" : "", type ? type : "",
		       type ? ")" : "", netdev);
}

/* VLANs, macvlans and the like: sysfs has a link upper_NAME to each. */
static int check_uppers(const char *root, const char *name, const char *netdev, struct err *err)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/class/net/%s", root, netdev);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "upper_", 6))
			continue;
		return err_set(err, -EBUSY, "device in use",
			       "%s: this host uses its interface %s: %s is made on it; remove that "
			       "first (ip link del %s), or keep it out by VIO4WD_EXCLUDE",
			       name, netdev, entry->d_name + 6, entry->d_name + 6);
	}
	return 0;
}

int netdev_check_unused(const char *root, const char *name, const char *netdev, struct err *err)
{
	_cleanup_(cleanup_sock) struct nl_sock *sock = nl_socket_alloc();
	_cleanup_(cleanup_link) struct rtnl_link *link = NULL;
	int rc;

	if (!sock)
		return err_set(err, -ENOMEM, "device in use", "out of memory");
	rc = nl_connect(sock, NETLINK_ROUTE);
	if (!rc)
		rc = rtnl_link_get_kernel(sock, 0, netdev, &link);
	if (rc == -NLE_NODEV || rc == -NLE_OBJ_NOTFOUND)
		return 0;
	if (rc < 0)
		return failed(name, netdev, rc, err);
	rc = check_master(sock, link, name, netdev, err);
	if (!rc)
		rc = check_address(sock, link, name, netdev, err);
	return rc ? rc : check_uppers(root, name, netdev, err);
}
