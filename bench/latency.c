/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The round trip of single packets. `latency CPU SOCKET [INTERFACE]` connects to the relay's socket
 * as a VM would, with DPDK's virtio-user front end, and answers each number N on stdin with a line
 *
 *	N LOST MIN MEDIAN P99 MAX
 *
 * of N packets that it sent one by one, a millisecond apart, through the relay's device and back;
 * the four are nanoseconds. With INTERFACE, frames that come there go back as they are: it is the
 * peer of the Linux interface that the relay has as its device. Without, the device is a loop.
 *
 * Everything happens on one CPU that never rests, so that no wake-up but the relay's is measured.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <net/if.h>

#include <linux/if_packet.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#define RING 256
#define BURST 32
#define MBUFS 2047
#define FRAME 60
#define MAX_PACKETS 1000000u
#define CONNECT_S 10
#define LOST_MS 20
#define ETHERTYPE 0x88b5 /* IEEE 802 local experimental */

static struct rte_mempool *pool;
static int reflector = -1;

static void fail(const char *what, int error)
{
	fprintf(stderr, "latency: %s: %s\n", what, strerror(error));
	exit(1);
}

static void start_eal(const char *cpu, const char *path)
{
	char lcores[32], prefix[32], vdev[256];
	char *argv[] = { "latency",	   "--lcores",
			 lcores,	   "--no-pci",
			 "--in-memory",	   "--single-file-segments",
			 "--file-prefix",  prefix,
			 "--no-telemetry", "--log-level=lib.*:error",
			 "--vdev",	   vdev };

	snprintf(lcores, sizeof(lcores), "0@%s", cpu);
	snprintf(prefix, sizeof(prefix), "latency-%d", getpid());
	snprintf(vdev, sizeof(vdev), "net_virtio_user0,path=%s,queues=1,queue_size=%u", path, RING);
	if (rte_eal_init(RTE_DIM(argv), argv) < 0)
		fail("DPDK", rte_errno);
}

static void start_port(void)
{
	struct rte_eth_conf conf = { 0 };

	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	if (!pool)
		fail("memory for packets", rte_errno);
	if (rte_eth_dev_configure(0, 1, 1, &conf) < 0 ||
	    rte_eth_rx_queue_setup(0, 0, RING, SOCKET_ID_ANY, NULL, pool) < 0 ||
	    rte_eth_tx_queue_setup(0, 0, RING, SOCKET_ID_ANY, NULL) < 0 || rte_eth_dev_start(0) < 0)
		fail("the front end's port", ENODEV);
}

static void open_reflector(const char *interface)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETHERTYPE),
				       .sll_ifindex = if_nametoindex(interface) };

	reflector = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (reflector < 0 || !address.sll_ifindex ||
	    bind(reflector, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(interface, errno);
}

static void reflect(void)
{
	char frame[FRAME];
	ssize_t size = recv(reflector, frame, sizeof(frame), 0);

	if (size > 0 && send(reflector, frame, size, 0) < 0)
		fail("the interface", errno);
}

static void transmit(uint64_t serial)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct rte_ether_hdr *eth;

	if (!m)
		fail("memory for packets", ENOMEM);
	m->data_len = m->pkt_len = FRAME;
	eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	memset(eth, 0, FRAME);
	memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
	eth->src_addr = (struct rte_ether_addr){ { 2, 0, 0, 0, 0, 1 } };
	eth->ether_type = htons(ETHERTYPE);
	memcpy(eth + 1, &serial, sizeof(serial));
	if (rte_eth_tx_burst(0, 0, &m, 1) != 1)
		rte_pktmbuf_free(m);
}

/* The packet has come back. */
static bool receive(uint64_t serial)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = rte_eth_rx_burst(0, 0, pkts, BURST);
	bool found = false;

	for (uint16_t i = 0; i < n; i++) {
		const char *data = rte_pktmbuf_mtod(pkts[i], const char *);

		if (pkts[i]->pkt_len == FRAME &&
		    !memcmp(data + sizeof(struct rte_ether_hdr), &serial, sizeof(serial)))
			found = true;
		rte_pktmbuf_free(pkts[i]);
	}
	return found;
}

/* The cycles of one round trip; 0: it was lost. */
static uint64_t round_trip(void)
{
	static uint64_t serial;
	uint64_t limit = rte_get_tsc_hz() / 1000 * LOST_MS;
	uint64_t begin = rte_rdtsc();

	transmit(++serial);
	while (rte_rdtsc() - begin < limit) {
		if (reflector >= 0)
			reflect();
		if (receive(serial))
			return rte_rdtsc() - begin;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static unsigned long long nanoseconds(uint64_t cycles)
{
	return cycles * 1e9 / rte_get_tsc_hz();
}

static void measure(unsigned int count)
{
	uint64_t *cycles = calloc(count, sizeof(*cycles));
	uint64_t ms = rte_get_tsc_hz() / 1000;
	unsigned int n = 0;

	if (!cycles)
		fail("memory for results", ENOMEM);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t next = rte_rdtsc() + ms;

		cycles[n] = round_trip();
		n += cycles[n] > 0;
		while (rte_rdtsc() < next)
			rte_pause();
	}
	qsort(cycles, n, sizeof(*cycles), compare);
	if (n)
		printf("%u %u %llu %llu %llu %llu\n", n, count - n, nanoseconds(cycles[0]),
		       nanoseconds(cycles[n / 2]), nanoseconds(cycles[n * 99ull / 100]),
		       nanoseconds(cycles[n - 1]));
	else
		printf("0 %u 0 0 0 0\n", count);
	fflush(stdout);
	free(cycles);
}

/* Until the relay has taken the connection up and moves packets. */
static void connect_through(void)
{
	uint64_t end = rte_rdtsc() + CONNECT_S * rte_get_tsc_hz();

	while (!round_trip()) {
		if (rte_rdtsc() > end)
			fail("no packet comes back", ETIMEDOUT);
	}
}

int main(int argc, char **argv)
{
	char line[32];

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: latency CPU SOCKET [INTERFACE] (numbers of packets on "
				"stdin ask for measurements)\n");
		return 2;
	}
	start_eal(argv[1], argv[2]);
	start_port();
	if (argc == 4)
		open_reflector(argv[3]);
	connect_through();
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		unsigned long count = strtoul(line, NULL, 10);

		if (!count || count > MAX_PACKETS) {
			fprintf(stderr, "latency: \"%s\": a number from 1 to %u is needed\n",
				strtok(line, "\n"), MAX_PACKETS);
			return 2;
		}
		measure(count);
	}
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	rte_eal_cleanup();
	return 0;
}
