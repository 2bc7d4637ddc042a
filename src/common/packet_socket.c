/* SPDX-License-Identifier: BSD-3-Clause */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/packet_socket.h"

/* Some milliseconds of 10 Gbit/s, or 60 frames that GRO made 64 KiB long. */
#define SOCKET_BUFFER (4 << 20)

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

int packet_socket_pause(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &drop };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return -errno;
	return 0;
}

int packet_socket_resume(int fd)
{
	int unused = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) < 0 &&
	    errno != ENOENT)
		return -errno;
	return 0;
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_options(int fd, const char *netdev, int ifindex, struct err *err)
{
	static const struct {
		int option;
		const char *name;
	} wanted[] = {
		{ PACKET_VNET_HDR, "PACKET_VNET_HDR" },
		{ PACKET_AUXDATA, "PACKET_AUXDATA" },
		{ PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING" },
	};
	struct packet_mreq promisc = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		int r = set_int(fd, SOL_PACKET, wanted[i].option, 1);

		if (r < 0)
			return err_set(err, r, "packet socket",
				       "netdev:%s: the kernel refuses %s: %s; Linux 4.20 is needed",
				       netdev, wanted[i].name, strerror(-r));
	}
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc)) < 0)
		return err_set(err, -errno, "packet socket",
			       "netdev:%s: cannot be made promiscuous: %m", netdev);
	/* The plain options are limited by net.core.[rw]mem_max, which is all that can be had
	 * without CAP_NET_ADMIN. */
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	return 0;
}

static int open_one(const char *netdev, int ifindex, struct err *err)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = ifindex };
	_cleanup_close_ int fd = -1;
	int r;

	/* Protocol 0 receives nothing until bind() says which interface. */
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "packet socket",
			       "netdev:%s: cannot open a packet socket: %m%s", netdev,
			       errno == EPERM ? " (CAP_NET_RAW is needed)" : "");
	r = set_options(fd, netdev, ifindex, err);
	if (r < 0)
		return r;
	r = packet_socket_pause(fd);
	if (r < 0)
		return err_set(err, r, "packet socket", "netdev:%s: cannot set a filter: %s",
			       netdev, strerror(-r));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(err, -errno, "packet socket", "netdev:%s: cannot bind to it: %m",
			       netdev);
	return take_fd(fd);
}

/* The kernel chooses the group's number for the first socket; the others join it. */
static int fanout_join(int fd, int first)
{
	unsigned int type = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
	int group = 0;
	socklen_t size = sizeof(group);

	if (fd == first)
		type |= PACKET_FANOUT_FLAG_UNIQUEID;
	else if (getsockopt(first, SOL_PACKET, PACKET_FANOUT, &group, &size) < 0)
		return -errno;
	return set_int(fd, SOL_PACKET, PACKET_FANOUT, (int)(type << 16 | (group & 0xffff)));
}

static int fanout(const char *netdev, unsigned int count, const int *fds, struct err *err)
{
	for (unsigned int i = 0; i < count; i++) {
		int r = fanout_join(fds[i], fds[0]);

		if (r < 0)
			return err_set(err, r, "packet socket",
				       "netdev:%s: flows cannot be spread over %u sockets: %s",
				       netdev, count, strerror(-r));
	}
	return 0;
}

static void close_all(int *fds, unsigned int n)
{
	while (n--) {
		close(fds[n]);
		fds[n] = -1;
	}
}

int packet_socket_open(const char *netdev, unsigned int count, int *fds, struct err *err)
{
	unsigned int n, ifindex;
	struct err why = { 0 };

	if (strlen(netdev) >= IFNAMSIZ)
		return err_set(err, -ENAMETOOLONG, "interface",
			       "netdev:%s: a name of an interface has at most %d characters",
			       netdev, IFNAMSIZ - 1);
	ifindex = if_nametoindex(netdev);
	if (!ifindex)
		return err_set(err, -ENODEV, "interface",
			       "netdev:%s: there is no such network interface (see ip link)",
			       netdev);
	for (n = 0; n < count; n++) {
		fds[n] = open_one(netdev, ifindex, err);
		if (fds[n] < 0) {
			int r = fds[n];

			close_all(fds, n);
			return r;
		}
	}
	if (count > 1 && fanout(netdev, count, fds, &why) < 0) {
		/* A socket of an interface that is down cannot join a group. */
		log_notice("%s: one queue is used", why.text);
		close_all(fds, count);
		return packet_socket_open(netdev, 1, fds, err);
	}
	return count;
}
