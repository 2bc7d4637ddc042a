/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A Linux network interface behind an endpoint. DPDK's net_af_packet opens its sockets itself
 * (CAP_NET_RAW), changes interface flags (CAP_NET_ADMIN), has no receive interrupt and does not
 * know what a GSO frame or a partial checksum is; a process without privileges cannot use it. Here
 * the manager opens the sockets (common/packet_socket.c) and the kernel describes every frame by a
 * virtio header, in both directions: a TCP segment of 64 KiB crosses from one guest to the network
 * stack, or another guest's veth, without being cut or summed.
 *
 * One socket is one receive queue and one transmit queue. The kernel spreads received flows over
 * the sockets. Any number of threads may send on one socket.
 *
 * A socket is level-triggered: it polls readable while it has frames, so nothing needs arming.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/packet_socket.h"
#include "sw-relay/backend_packet.h"
#include "sw-relay/device_thread.h"
#include "sw-relay/endpoint.h"

/* The socket's own network namespace answers, which need not be this process's. */
static int interface_name(int fd, int ifindex, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	ifr->ifr_ifindex = ifindex;
	return ioctl(fd, SIOCGIFNAME, ifr) < 0 ? -errno : 0;
}

void packet_check_interface(struct packet_backend *b, int fd)
{
	const char *none = NULL;
	struct ifreq ifr;

	if (b->base.error || interface_name(fd, b->ifindex, &ifr) != -ENODEV)
		return;
	if (atomic_compare_exchange_strong(&b->base.error, &none,
					   "the network interface was removed"))
		service_device_changed(b->base.id);
}

static bool packet_claims(const struct backend_request *req)
{
	return req->device.kind == DEVNAME_NETDEV;
}

static int check_socket(const char *device, int fd, int *ifindex, struct err *err)
{
	int domain = 0, type = 0, vnet_hdr = 0;
	socklen_t size = sizeof(int);
	struct sockaddr_ll addr;
	socklen_t addr_size = sizeof(addr);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_PACKET ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_RAW ||
	    getsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &vnet_hdr, &size) < 0 || !vnet_hdr)
		return err_set(err, -EINVAL, "packet socket",
			       "%s: a file descriptor that came along is no packet socket with "
			       "virtio headers; manager and relay must be of one version",
			       device);
	if (getsockname(fd, (struct sockaddr *)&addr, &addr_size) < 0)
		return err_set(err, -errno, "packet socket", "%s: getsockname: %m", device);
	if (addr.sll_ifindex <= 0)
		return err_set(err, -ENODEV, "packet socket",
			       "%s: the network interface was removed", device);
	if (*ifindex && addr.sll_ifindex != *ifindex)
		return err_set(err, -EINVAL, "packet socket",
			       "%s: the packet sockets belong to different interfaces", device);
	*ifindex = addr.sll_ifindex;
	return 0;
}

static int read_interface(struct packet_backend *b, int fd, struct err *err)
{
	struct ifreq ifr;
	int r = interface_name(fd, b->ifindex, &ifr);

	if (r < 0)
		return err_set(err, r, "interface", "%s: the network interface was removed",
			       b->base.device);
	if (ioctl(fd, SIOCGIFMTU, &ifr) < 0)
		return err_set(err, -errno, "interface", "%s: cannot read its MTU: %m",
			       b->base.device);
	b->base.mtu = ifr.ifr_mtu > UINT16_MAX ? UINT16_MAX : ifr.ifr_mtu;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return err_set(err, -errno, "interface", "%s: cannot read its MAC address: %m",
			       b->base.device);
	memcpy(b->base.mac.addr_bytes, ifr.ifr_hwaddr.sa_data, RTE_ETHER_ADDR_LEN);
	return 0;
}

static void packet_detach(struct backend *backend)
{
	struct packet_backend *b = packet_backend(backend);

	for (unsigned int i = 0; i < b->base.rx_queues; i++) {
		packet_rx_stop(&b->queues[i]);
		if (b->queues[i].fd >= 0)
			device_thread_close(b->queues[i].fd);
	}
	free(b->queues);
	free(b);
}

static int packet_attach(const struct backend_request *req, struct backend **backend,
			 struct err *err)
{
	unsigned int wanted = RTE_MAX(req->max_queues, 1u);
	unsigned int n = RTE_MIN(req->n_fds, wanted);
	struct packet_backend *b;
	int r;

	if (!req->n_fds)
		return err_set(err, -EINVAL, "packet socket",
			       "%s: no packet sockets came along with the request",
			       req->device.text);
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(err, -ENOMEM, "attach", "%s: out of memory", req->device.text);
	b->base.ops = &backend_packet_ops;
	b->base.id = req->id;
	b->base.port = -1;
	b->base.numa_node = -1;
	b->base.rx_ring = PACKET_BURST;
	b->base.tx_ring = PACKET_BURST;
	b->base.tx_offloads = OFFLOAD_IP_CKSUM | OFFLOAD_TCP_CKSUM | OFFLOAD_UDP_CKSUM |
			      OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_UFO | OFFLOAD_MULTI_SEGS;
	b->base.tx_lockfree = true;
	b->base.interrupts = true;
	snprintf(b->base.device, sizeof(b->base.device), "%s", req->device.text);
	snprintf(b->base.driver, sizeof(b->base.driver), "packet");

	b->queues = calloc(n, sizeof(*b->queues));
	if (!b->queues) {
		r = err_set(err, -ENOMEM, "attach", "%s: out of memory", b->base.device);
		goto fail;
	}
	for (unsigned int i = 0; i < n; i++) {
		r = check_socket(b->base.device, req->fds[i], &b->ifindex, err);
		if (r < 0)
			goto fail;
	}
	r = read_interface(b, req->fds[0], err);
	if (r < 0)
		goto fail;
	for (unsigned int i = 0; i < n; i++) {
		b->queues[i].fd = req->fds[i];
		req->fds[i] = -1;
	}
	b->base.rx_queues = n;
	b->base.tx_queues = n;
	*backend = &b->base;
	return 0;

fail:
	packet_detach(&b->base);
	return r;
}

static void packet_stop(struct backend *backend)
{
	struct packet_backend *b = packet_backend(backend);

	for (unsigned int i = 0; i < b->base.rx_queues; i++)
		packet_rx_stop(&b->queues[i]);
}

static int packet_start(struct backend *backend, struct rte_mempool *pool, struct err *err)
{
	struct packet_backend *b = packet_backend(backend);

	b->pool = pool;
	for (unsigned int i = 0; i < b->base.rx_queues; i++) {
		int r = packet_rx_start(b, &b->queues[i]);

		if (r < 0) {
			packet_stop(backend);
			return err_set(err, r, "start", "%s: cannot start queue %u: %s",
				       b->base.device, i, strerror(-r));
		}
	}
	return 0;
}

static int packet_rx_fd(struct backend *backend, uint16_t queue)
{
	return packet_backend(backend)->queues[queue].fd;
}

static int packet_rx_arm(struct backend *backend, uint16_t queue, bool on)
{
	return 0;
}

static bool packet_link(struct backend *backend)
{
	struct packet_backend *b = packet_backend(backend);
	int fd = b->queues[0].fd;
	struct ifreq ifr;

	if (interface_name(fd, b->ifindex, &ifr) < 0) {
		packet_check_interface(b, fd);
		return false;
	}
	return ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 &&
	       (ifr.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

const struct backend_ops backend_packet_ops = {
	.name = "packet",
	.claims = packet_claims,
	.attach = packet_attach,
	.detach = packet_detach,
	.start = packet_start,
	.stop = packet_stop,
	.rx_burst = packet_rx_burst,
	.tx_burst = packet_tx_burst,
	.rx_fd = packet_rx_fd,
	.rx_arm = packet_rx_arm,
	.link = packet_link,
};
