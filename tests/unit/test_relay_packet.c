/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The packet backend on one end of a veth pair in a network namespace of its own; a plain packet
 * socket on the other end is the network. mbufs are small, so that long frames take the way of
 * large ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>

#include <kselftest_harness.h>

#include "common/packet_socket.h"
#include "relay_frame.h"
#include "sw-relay/backend_packet.h"
#include "sw-relay/endpoint.h"

#define GSO_UDP_L4 5
#define WAIT_MS 2000

static unsigned int reports, reported_id;

void service_device_changed(unsigned int id)
{
	reports++;
	reported_id = id;
}

static int set_up(const char *name, bool up)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), r;

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	r = ioctl(fd, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags = up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP;
	if (r == 0)
		r = ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return r;
}

/* The kernel's own IPv6 would send frames as soon as an interface is up. */
static void no_ipv6(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);

	if (fd >= 0) {
		if (write(fd, "1", 1) != 1)
			fprintf(stderr, "# disable_ipv6: %s\n", strerror(errno));
		close(fd);
	}
}

static struct nl_sock *make_veth(void)
{
	struct nl_sock *nl = nl_socket_alloc();

	no_ipv6();
	if (nl_connect(nl, NETLINK_ROUTE) < 0 || rtnl_link_veth_add(nl, "v0", "v1", getpid()) < 0)
		return NULL;
	return nl;
}

static void remove_veth(struct nl_sock *nl)
{
	struct rtnl_link *link = rtnl_link_alloc();

	rtnl_link_set_name(link, "v0");
	rtnl_link_delete(nl, link);
	rtnl_link_put(link);
}

FIXTURE(packet) {
	struct nl_sock *nl;
	int fds[4];
	int n_fds;
	int peer; /* on v1 */
	struct backend *b;
	struct rte_mbuf *pkts[256];
	unsigned int before;
	struct err err;
	uint8_t got[MAX_PACKET];
	struct virtio_net_hdr hdr;
};

static int attach(FIXTURE_DATA(packet) * self, unsigned int queues)
{
	struct backend_request req = {
		.id = 7, .device.kind = DEVNAME_NETDEV, .max_queues = 8, .fds = self->fds
	};
	int r;

	strcpy(req.device.text, "netdev:v0");
	self->n_fds = packet_socket_open("v0", queues, self->fds, &self->err);
	if (self->n_fds < 0)
		return self->n_fds;
	req.n_fds = self->n_fds;
	r = backend_packet_ops.attach(&req, &self->b, &self->err);
	if (r < 0)
		return r;
	self->b->id = 7;
	return self->b->ops->start(self->b, test_pool, &self->err);
}

static bool link_works(FIXTURE_DATA(packet) * self);
static bool link_works_back(FIXTURE_DATA(packet) * self);

FIXTURE_SETUP(packet)
{
	int one = 1;

	memset(self, 0, sizeof(*self));
	self->peer = -1;
	self->before = rte_mempool_avail_count(test_pool);
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	self->nl = make_veth();
	ASSERT_TRUE(self->nl);
	ASSERT_EQ(0, set_up("v0", true));
	ASSERT_EQ(0, set_up("v1", true));
	ASSERT_EQ(1, packet_socket_open("v1", 1, &self->peer, &self->err));
	ASSERT_EQ(0, packet_socket_resume(self->peer));
	ASSERT_EQ(0, setsockopt(self->peer, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)));
	ASSERT_EQ(0, attach(self, 1))
	{
		TH_LOG("%s", self->err.text);
	}
	ASSERT_TRUE(link_works(self));
	ASSERT_TRUE(link_works_back(self));
}

FIXTURE_TEARDOWN(packet)
{
	if (!self->nl)
		return;
	if (self->b) {
		self->b->ops->stop(self->b);
		self->b->ops->detach(self->b);
	}
	close(self->peer);
	nl_socket_free(self->nl);
	EXPECT_EQ(self->before, rte_mempool_avail_count(test_pool));
}

static int peer_send(FIXTURE_DATA(packet) * self, const struct virtio_net_hdr *hdr)
{
	static const struct virtio_net_hdr none;
	struct iovec iov[2] = { { (void *)(hdr ? hdr : &none), sizeof(none) },
				{ frame, frame_len } };

	return (int)writev(self->peer, iov, 2);
}

/* The next frame at the other end, in self->got and self->hdr; -1: none comes. */
static int peer_receive(FIXTURE_DATA(packet) * self, int wait_ms)
{
	struct iovec iov[2] = { { &self->hdr, sizeof(self->hdr) },
				{ self->got, sizeof(self->got) } };
	struct pollfd p = { .fd = self->peer, .events = POLLIN };

	if (poll(&p, 1, wait_ms) != 1)
		return -1;
	return (int)readv(self->peer, iov, 2) - (int)sizeof(self->hdr);
}

/* Waits for the interrupt, then receives. */
static unsigned int receive(FIXTURE_DATA(packet) * self, unsigned int queue, int wait_ms)
{
	struct pollfd p = { .fd = self->b->ops->rx_fd(self->b, queue), .events = POLLIN };

	self->b->ops->rx_arm(self->b, queue, true);
	if (poll(&p, 1, wait_ms) != 1)
		return 0;
	return self->b->ops->rx_burst(self->b, queue, self->pkts, 64);
}

/* The kernel drops frames until it has noticed that the link is up: waits for one to arrive. */
static bool link_works(FIXTURE_DATA(packet) * self)
{
	build_frame(&(struct shape){ .l4 = L4_UDP, .payload = 100 });
	for (int i = 0; i < 100; i++) {
		unsigned int n;

		if (peer_send(self, NULL) < 0)
			continue;
		n = receive(self, 0, WAIT_MS / 100);
		rte_pktmbuf_free_bulk(self->pkts, n);
		if (n) /* and what has piled up */
			return receive(self, 0, 0) == 0;
	}
	return false;
}

static bool link_works_back(FIXTURE_DATA(packet) * self)
{
	for (int i = 0; i < 100; i++) {
		struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_UDP, .payload = 100 });

		m->ol_flags = 0;
		if (!self->b->ops->tx_burst(self->b, 0, &m, 1))
			rte_pktmbuf_free(m);
		if (peer_receive(self, WAIT_MS / 100) > 0)
			return peer_receive(self, 0) < 0;
	}
	return false;
}

static struct virtio_net_hdr tcp_header(uint8_t gso_type, uint16_t size)
{
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_type,
		.gso_size = size,
		.hdr_len = l2_len + l3_len + l4_len,
		.csum_start = l2_len + l3_len,
		.csum_offset = 16,
	};
}

/* The kernel tells of a carrier that came or went up to a second late. */
static bool link_becomes(FIXTURE_DATA(packet) * self, bool up)
{
	for (int i = 0; i < WAIT_MS / 10; i++) {
		if (self->b->ops->link(self->b) == up)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

TEST_F(packet, says_what_it_is) {
	EXPECT_EQ(1, self->b->rx_queues);
	EXPECT_EQ(1, self->b->tx_queues);
	EXPECT_EQ(1500, self->b->mtu);
	EXPECT_STREQ("netdev:v0", self->b->device);
	EXPECT_TRUE(self->b->interrupts);
	EXPECT_TRUE(self->b->tx_lockfree);
	EXPECT_TRUE(link_becomes(self, true));
	ASSERT_EQ(0, set_up("v1", false));
	EXPECT_TRUE(link_becomes(self, false));
}

TEST_F(packet, receives_frames_of_all_lengths) {
	static const uint32_t payloads[] = { 6, 100, 1000, 1472 };

	for (size_t i = 0; i < 4; i++) {
		build_frame(&(struct shape){ .l4 = L4_UDP, .payload = payloads[i] });
		ASSERT_LT(0, peer_send(self, NULL));
		ASSERT_EQ(1, receive(self, 0, WAIT_MS));
		EXPECT_EQ(frame_len, flatten(self->pkts[0], self->got));
		EXPECT_EQ(frame_len, rte_pktmbuf_pkt_len(self->pkts[0]));
		EXPECT_EQ(0, memcmp(frame, self->got, frame_len));
		EXPECT_EQ(0, self->pkts[0]->ol_flags & OFFLOAD_FLAGS);
		EXPECT_EQ(frame_len > ROOM ? 2 : 1, self->pkts[0]->nb_segs);
		rte_pktmbuf_free(self->pkts[0]);
	}
}

TEST_F(packet, receives_bursts_in_order) {
	unsigned int got = 0;

	for (unsigned int i = 0; i < 200; i++) {
		build_frame(&(struct shape){ .l4 = L4_UDP, .payload = 100 });
		put16(frame + 50, i);
		ASSERT_LT(0, peer_send(self, NULL));
	}
	while (got < 200) {
		unsigned int n = receive(self, 0, WAIT_MS);

		ASSERT_LT(0, n);
		for (unsigned int i = 0; i < n; i++, got++) {
			EXPECT_EQ(got,
				  get16(rte_pktmbuf_mtod_offset(self->pkts[i], uint8_t *, 50)));
			rte_pktmbuf_free(self->pkts[i]);
		}
	}
	EXPECT_EQ(0, self->b->ops->rx_burst(self->b, 0, self->pkts, 64));
}

TEST_F(packet, vlan_tags_stay) {
	for (unsigned int vlans = 1; vlans < 3; vlans++) {
		struct virtio_net_hdr hdr;

		build_frame(&(struct shape){ .l4 = L4_TCP, .vlans = vlans, .payload = 500 });
		hdr = tcp_header(VIRTIO_NET_HDR_GSO_NONE, 0);
		ASSERT_LT(0, peer_send(self, &hdr));
		ASSERT_EQ(1, receive(self, 0, WAIT_MS));
		EXPECT_EQ(frame_len, flatten(self->pkts[0], self->got));
		EXPECT_EQ(0, memcmp(frame, self->got, frame_len));
		EXPECT_EQ(RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4, self->pkts[0]->ol_flags);
		EXPECT_EQ(14 + 4 * vlans, (unsigned int)self->pkts[0]->l2_len);
		rte_pktmbuf_free(self->pkts[0]);
	}
}

TEST_F(packet, checksums_stay_open) {
	struct virtio_net_hdr hdr;

	build_frame(&(struct shape){ .l4 = L4_TCP, .ipv6 = true, .options = 12, .payload = 333 });
	hdr = tcp_header(VIRTIO_NET_HDR_GSO_NONE, 0);
	ASSERT_LT(0, peer_send(self, &hdr));
	ASSERT_EQ(1, receive(self, 0, WAIT_MS));
	EXPECT_EQ(RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV6, self->pkts[0]->ol_flags);
	EXPECT_EQ(40, (int)self->pkts[0]->l3_len);
	EXPECT_EQ(32, (int)self->pkts[0]->l4_len);
	rte_pktmbuf_free(self->pkts[0]);
}

/* What no flag can say, or what the vhost library would get wrong, arrives finished. */
TEST_F(packet, other_checksums_are_finished) {
	struct virtio_net_hdr hdr;

	build_frame(
		&(struct shape){ .l4 = L4_TCP, .ipv6 = true, .extension = true, .payload = 1333 });
	hdr = tcp_header(VIRTIO_NET_HDR_GSO_NONE, 0);
	ASSERT_LT(0, peer_send(self, &hdr));
	ASSERT_EQ(1, receive(self, 0, WAIT_MS));
	EXPECT_EQ(0, self->pkts[0]->ol_flags & OFFLOAD_FLAGS);
	flatten(self->pkts[0], self->got);
	EXPECT_EQ(0xffff, l4_sum(self->got, true, IPPROTO_TCP, l2_len, l3_len, 20 + 1333));
	rte_pktmbuf_free(self->pkts[0]);
}

TEST_F(packet, large_segments_stay_whole) {
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct virtio_net_hdr hdr;
		struct rte_mbuf *m;

		build_frame(&(struct shape){ .l4 = L4_TCP, .ipv6 = ipv6, .payload = 60000 });
		hdr = tcp_header(ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4, 1400);
		ASSERT_LT(0, peer_send(self, &hdr));
		ASSERT_EQ(1, receive(self, 0, WAIT_MS));
		m = self->pkts[0];
		EXPECT_EQ(RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM |
				  (ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4),
			  m->ol_flags);
		EXPECT_EQ(1400, (int)m->tso_segsz);
		EXPECT_EQ(frame_len, flatten(m, self->got));
		EXPECT_EQ(0, memcmp(frame, self->got, frame_len));
		rte_pktmbuf_free(m);
	}
}

TEST_F(packet, segments_behind_extension_headers_are_cut) {
	struct virtio_net_hdr hdr;

	build_frame(
		&(struct shape){ .l4 = L4_TCP, .ipv6 = true, .extension = true, .payload = 9000 });
	hdr = tcp_header(VIRTIO_NET_HDR_GSO_TCPV6, 1000);
	if (peer_send(self, &hdr) < 0)
		SKIP(return, "the kernel does not take such a frame: %s", strerror(errno));
	ASSERT_EQ(9, receive(self, 0, WAIT_MS));
	for (unsigned int i = 0; i < 9; i++) {
		EXPECT_EQ(0, self->pkts[i]->ol_flags & OFFLOAD_FLAGS);
		flatten(self->pkts[i], self->got);
		EXPECT_EQ(0xffff, l4_sum(self->got, true, IPPROTO_TCP, l2_len, l3_len, 1020));
		rte_pktmbuf_free(self->pkts[i]);
	}
}

TEST_F(packet, udp_trains_are_cut) {
	struct virtio_net_hdr hdr;
	unsigned int n, done = 0;

	build_frame(&(struct shape){ .l4 = L4_UDP, .payload = 50050 });
	hdr = tcp_header(GSO_UDP_L4, 500);
	hdr.csum_offset = 6;
	if (peer_send(self, &hdr) < 0)
		SKIP(return, "Linux 6.2 is needed to send one: %s", strerror(errno));
	build_frame(&(struct shape){ .l4 = L4_UDP, .payload = 50 });
	ASSERT_LT(0, peer_send(self, NULL));
	while (done < 102 && (n = receive(self, 0, done ? 0 : WAIT_MS)
					  ?: self->b->ops->rx_burst(self->b, 0, self->pkts, 64))) {
		for (unsigned int i = 0; i < n; i++, done++) {
			uint32_t len = flatten(self->pkts[i], self->got);

			EXPECT_EQ(done < 100 ? 542 : 92, len);
			if (done < 101)
				EXPECT_EQ(0xffff, l4_sum(self->got, false, IPPROTO_UDP, l2_len,
							 l3_len, len - 34));
			rte_pktmbuf_free(self->pkts[i]);
		}
	}
	EXPECT_EQ(102, done);
}

TEST_F(packet, sends_as_asked) {
	struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_UDP, .payload = 1400 });

	m->ol_flags = 0;
	ASSERT_EQ(1, self->b->ops->tx_burst(self->b, 0, &m, 1));
	ASSERT_EQ(frame_len, peer_receive(self, WAIT_MS));
	EXPECT_EQ(0, memcmp(frame, self->got, frame_len));
	EXPECT_EQ(0, self->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);

	m = build(&(struct shape){ .l4 = L4_TCP, .ipv6 = true, .first = 300, .payload = 1000 });
	ASSERT_EQ(1, self->b->ops->tx_burst(self->b, 0, &m, 1));
	ASSERT_EQ(frame_len, peer_receive(self, WAIT_MS));
	EXPECT_EQ(VIRTIO_NET_HDR_F_NEEDS_CSUM, self->hdr.flags);
	EXPECT_EQ(54, self->hdr.csum_start);
	EXPECT_EQ(16, self->hdr.csum_offset);
	EXPECT_EQ(0, memcmp(frame, self->got, frame_len));
}

TEST_F(packet, sends_large_segments) {
	struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_TCP, .payload = 60000 });

	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM;
	m->tso_segsz = 1448;
	ASSERT_EQ(1, self->b->ops->tx_burst(self->b, 0, &m, 1));
	ASSERT_EQ(frame_len, peer_receive(self, WAIT_MS));
	EXPECT_EQ(VIRTIO_NET_HDR_GSO_TCPV4, self->hdr.gso_type & ~VIRTIO_NET_HDR_GSO_ECN);
	EXPECT_EQ(1448, self->hdr.gso_size);
	EXPECT_EQ(0xffff, add_bytes(0, self->got + 14, 20));
	EXPECT_EQ(0, memcmp(frame + 34, self->got + 34, frame_len - 34));
}

TEST_F(packet, bad_packets_do_not_stop_the_others) {
	struct packet_backend *b = packet_backend(self->b);
	struct rte_mbuf *pkts[5];

	for (unsigned int i = 0; i < 5; i++) {
		pkts[i] = build(&(struct shape){ .l4 = L4_TCP, .payload = i == 3 ? 3000 : 100 });
		if (i == 3 || i == 4)
			pkts[i]->ol_flags = 0;
	}
	pkts[1]->ol_flags |= RTE_MBUF_F_TX_TCP_SEG; /* in a segment without TCP header */
	pkts[1]->tso_segsz = 10;
	pkts[1]->l3_len = 511;
	pkts[2]->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	pkts[2]->l3_len = 4;
	/* [3] is longer than the MTU */
	EXPECT_EQ(5, self->b->ops->tx_burst(self->b, 0, pkts, 5));
	EXPECT_EQ(3, atomic_load(&b->counters.tx_errors));
	EXPECT_EQ(154, peer_receive(self, WAIT_MS));
	EXPECT_EQ(154, peer_receive(self, WAIT_MS));
	EXPECT_EQ(-1, peer_receive(self, 0));
}

TEST_F(packet, own_frames_do_not_come_back) {
	struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_UDP, .payload = 100 });

	m->ol_flags = 0;
	ASSERT_EQ(1, self->b->ops->tx_burst(self->b, 0, &m, 1));
	EXPECT_LT(0, peer_receive(self, WAIT_MS));
	EXPECT_EQ(0, receive(self, 0, 0));
}

TEST_F(packet, nothing_stale_after_a_stop) {
	build_frame(&(struct shape){ .l4 = L4_UDP, .payload = 100 });
	ASSERT_LT(0, peer_send(self, NULL));
	self->b->ops->stop(self->b);
	ASSERT_LT(0, peer_send(self, NULL));
	ASSERT_EQ(0, self->b->ops->start(self->b, test_pool, &self->err));
	EXPECT_EQ(0, receive(self, 0, 0));
	ASSERT_LT(0, peer_send(self, NULL));
	EXPECT_EQ(1, receive(self, 0, WAIT_MS));
	rte_pktmbuf_free(self->pkts[0]);
}

TEST_F(packet, no_memory_is_counted) {
	struct packet_backend *b = packet_backend(self->b);
	struct rte_mbuf *taken = NULL, *t;

	while ((t = rte_pktmbuf_alloc(test_pool))) {
		t->next = taken;
		taken = t;
	}
	build_frame(&(struct shape){ .l4 = L4_UDP, .payload = 100 });
	ASSERT_LT(0, peer_send(self, NULL));
	EXPECT_EQ(0, receive(self, 0, WAIT_MS));
	EXPECT_LT(0, atomic_load(&b->counters.rx_no_memory));
	while (taken) {
		t = taken->next;
		taken->next = NULL;
		rte_pktmbuf_free(taken);
		taken = t;
	}
	EXPECT_EQ(1, receive(self, 0, WAIT_MS));
	rte_pktmbuf_free(self->pkts[0]);
}

TEST_F(packet, an_interface_may_go_down_and_up) {
	struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_UDP, .payload = 100 });

	ASSERT_EQ(0, set_up("v0", false));
	EXPECT_EQ(0, receive(self, 0, 0));
	EXPECT_EQ(1, self->b->ops->tx_burst(self->b, 0, &m, 1));
	EXPECT_EQ(0, reports);
	ASSERT_EQ(0, set_up("v0", true));
	EXPECT_TRUE(link_works(self));
}

TEST_F(packet, an_interface_that_goes_is_reported) {
	struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_UDP, .payload = 100 });

	remove_veth(self->nl);
	EXPECT_EQ(0, self->b->ops->rx_burst(self->b, 0, self->pkts, 64));
	EXPECT_EQ(1, self->b->ops->tx_burst(self->b, 0, &m, 1));
	EXPECT_FALSE(self->b->ops->link(self->b));
	EXPECT_EQ(1, reports);
	EXPECT_EQ(7, reported_id);
	EXPECT_TRUE(self->b->error != NULL);
}

TEST_F(packet, flows_are_spread) {
	unsigned int got[4] = { 0 };

	self->b->ops->stop(self->b);
	self->b->ops->detach(self->b);
	self->b = NULL;
	ASSERT_EQ(0, attach(self, 4))
	{
		TH_LOG("%s", self->err.text);
	}
	ASSERT_EQ(4, self->b->rx_queues);
	for (unsigned int i = 0; i < 64; i++) {
		build_frame(&(struct shape){ .l4 = L4_UDP, .payload = 100 });
		put16(frame + 34, 1000 + i * 77);
		ASSERT_LT(0, peer_send(self, NULL));
	}
	for (unsigned int q = 0; q < 4; q++) {
		got[q] = receive(self, q, WAIT_MS);
		EXPECT_LT(0, got[q]);
		rte_pktmbuf_free_bulk(self->pkts, got[q]);
	}
	EXPECT_EQ(64, got[0] + got[1] + got[2] + got[3]);
	/* and what one of them sends comes back to none */
	struct rte_mbuf *m = build(&(struct shape){ .l4 = L4_UDP, .payload = 100 });
	ASSERT_EQ(1, self->b->ops->tx_burst(self->b, 2, &m, 1));
	for (unsigned int q = 0; q < 4; q++)
		EXPECT_EQ(0, receive(self, q, 0));
}

TEST_F(packet, errors_are_said) {
	struct backend_request req = { .device.kind = DEVNAME_NETDEV,
				       .device.text = "netdev:v0",
				       .max_queues = 1,
				       .fds = self->fds,
				       .n_fds = 1 };
	struct backend *b;

	EXPECT_EQ(-ENODEV, packet_socket_open("nosuch", 1, self->fds, &self->err));
	EXPECT_TRUE(strstr(self->err.text, "nosuch") != NULL);
	EXPECT_EQ(-ENAMETOOLONG, packet_socket_open("a-name-of-17-char", 1, self->fds, &self->err));
	/* while it is down, one queue serves it */
	ASSERT_EQ(0, set_up("v0", false));
	EXPECT_LT(0, packet_socket_open("v0", 3, self->fds, &self->err));
	for (int i = 0; i < 3; i++)
		close(self->fds[i]);
	/* what is no packet socket of ours */
	self->fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT_EQ(-EINVAL, backend_packet_ops.attach(&req, &b, &self->err));
	close(self->fds[0]);
	self->fds[0] = socket(AF_PACKET, SOCK_RAW, 0);
	EXPECT_EQ(-EINVAL, backend_packet_ops.attach(&req, &b, &self->err));
	close(self->fds[0]);
	req.n_fds = 0;
	EXPECT_EQ(-EINVAL, backend_packet_ops.attach(&req, &b, &self->err));
}

int main(int argc, char **argv)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("TAP version 13\n1..0 # SKIP network namespaces need root\n");
		return KSFT_PASS;
	}
	return relay_test_main(argc, argv, 2047, ROOM);
}
