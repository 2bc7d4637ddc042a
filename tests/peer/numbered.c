/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Sends or receives numbered packets on a network interface:
 *
 *   numbered send IFACE [--dst MAC] [--stream N] [--flows N] [--rate PPS] [--size BYTES] [--count
 * N] numbered recv IFACE
 *
 * A packet is IPv4/UDP (flow f has source port 10000 + f, so queues can be chosen by hash) with a
 * payload of a magic number, the stream, the number of the packet within stream and flow, and a
 * pattern. The receiver tells per stream how many came, are missing, came twice, late or damaged,
 * and the longest silence. SIGUSR1 prints a line of JSON; SIGTERM, SIGINT and the end of --count
 * print one and end the program. It is linked statically: it runs on the host and in the guest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x76347764
#define HEADERS 42 /* Ethernet, IPv4, UDP */
#define MIN_SIZE 60
#define MAX_SIZE 9014
#define MAX_STREAMS 256
#define MAX_FLOWS 64
#define FIRST_PORT 10000
#define WINDOW 65536 /* how late a packet may be and still be told from a duplicate */
#define BATCH 32

struct payload {
	uint32_t magic;
	uint32_t stream;
	uint64_t number;
} __attribute__((packed));

struct flow {
	uint64_t next;
	uint64_t missing_bits[WINDOW / 64];
};

struct stream {
	bool seen;
	uint64_t received, missing, duplicate, late, damaged;
	uint64_t last_ns, silence_ns;
	struct flow *flows[MAX_FLOWS];
};

static struct stream streams[MAX_STREAMS];

struct options {
	const char *iface;
	uint8_t dst[6];
	uint32_t stream;
	unsigned int flows;
	unsigned int rate;
	unsigned int size;
	uint64_t count; /* 0: until a signal comes */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "numbered: %s: %s\n", what, strerror(errno));
	return 1;
}

static int open_socket(const char *iface, uint16_t protocol)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol) };
	struct packet_mreq mreq = { .mr_type = PACKET_MR_PROMISC };
	int size = 64 << 20;
	int fd;

	addr.sll_ifindex = if_nametoindex(iface);
	mreq.mr_ifindex = addr.sll_ifindex;
	if (!addr.sll_ifindex)
		return -1;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq))) {
		close(fd);
		return -1;
	}
	return fd;
}

static uint16_t ip_checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

static void build(uint8_t *frame, const struct options *o, unsigned int flow, uint64_t number)
{
	const struct payload p = { MAGIC, o->stream, number };
	uint8_t *ip = frame + 14, *udp = frame + 34;

	memset(frame, 0, HEADERS);
	memcpy(frame, o->dst, 6);
	memcpy(frame + 6, "\x02\x76\x34\x77\x64", 5);
	frame[11] = o->stream;
	put16(frame + 12, ETHERTYPE_IP);
	ip[0] = 0x45;
	put16(ip + 2, o->size - 14);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, "\xc6\x12\x00\x01\xc6\x12\x00\x02", 8); /* 198.18.0.0/15 is for tests */
	put16(ip + 10, ip_checksum(ip));
	put16(udp, FIRST_PORT + flow);
	put16(udp + 2, 9);
	put16(udp + 4, o->size - 34);
	memcpy(frame + HEADERS, &p, sizeof(p));
	for (unsigned int i = HEADERS + sizeof(p); i < o->size; i++)
		frame[i] = (uint8_t)(number + i);
}

static int stop_or_report(int sigfd, void (*report)(void))
{
	struct signalfd_siginfo info;

	while (read(sigfd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGUSR1)
			return 1;
		report();
	}
	return 0;
}

static uint64_t sent, refused;

static void report_sent(void)
{
	printf("{\"sent\": %" PRIu64 ", \"refused\": %" PRIu64 "}\n", sent, refused);
	fflush(stdout);
}

/* Sends one packet; waits while the interface's queue is full. */
static int send_one(int fd, int sigfd, const uint8_t *frame, unsigned int size)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLOUT }, { .fd = sigfd, .events = POLLIN } };

	while (send(fd, frame, size, 0) < 0) {
		if (errno != EAGAIN && errno != ENOBUFS)
			return -1;
		refused++;
		poll(p, 2, 1);
		if (p[1].revents)
			return 0;
	}
	sent++;
	return 0;
}

static int run_send(const struct options *o, int sigfd)
{
	uint64_t start, numbers[MAX_FLOWS] = { 0 };
	uint8_t frame[MAX_SIZE];
	int fd = open_socket(o->iface, 0);

	if (fd < 0)
		return fail(o->iface);
	start = now_ns();
	while (!o->count || sent < o->count) {
		uint64_t due = (now_ns() - start) * o->rate / 1000000000ull + 1;
		struct pollfd p = { .fd = sigfd, .events = POLLIN };
		unsigned int burst = 0;

		while (sent < due && burst++ < BATCH && (!o->count || sent < o->count)) {
			unsigned int flow = sent % o->flows;

			build(frame, o, flow, numbers[flow]++);
			if (send_one(fd, sigfd, frame, o->size))
				return fail("send");
		}
		if (poll(&p, 1, sent < due ? 0 : 1) > 0 && stop_or_report(sigfd, report_sent))
			break;
	}
	report_sent();
	close(fd);
	return 0;
}

static bool test_missing(struct flow *f, uint64_t number)
{
	return f->missing_bits[number % WINDOW / 64] >> (number % 64) & 1;
}

static void set_missing(struct flow *f, uint64_t number, bool missing)
{
	uint64_t *word = &f->missing_bits[number % WINDOW / 64];

	*word &= ~(1ull << number % 64);
	*word |= (uint64_t)missing << number % 64;
}

static void account_number(struct stream *s, struct flow *f, uint64_t number)
{
	if (number < f->next) {
		if (number + WINDOW >= f->next && test_missing(f, number)) {
			set_missing(f, number, false);
			s->missing--;
			s->late++;
		} else {
			s->duplicate++;
		}
		return;
	}
	s->missing += number - f->next;
	if (number - f->next >= WINDOW)
		f->next = number - WINDOW + 1;
	for (; f->next < number; f->next++)
		set_missing(f, f->next, true);
	set_missing(f, number, false);
	f->next = number + 1;
}

static void account(const uint8_t *frame, size_t len)
{
	struct payload p;
	uint64_t now = now_ns();
	struct stream *s;
	unsigned int flow;

	if (len < MIN_SIZE || frame[12] != 8 || frame[13] != 0 || frame[23] != IPPROTO_UDP)
		return;
	memcpy(&p, frame + HEADERS, sizeof(p));
	flow = (frame[34] << 8 | frame[35]) - FIRST_PORT;
	if (p.magic != MAGIC || p.stream >= MAX_STREAMS || flow >= MAX_FLOWS)
		return;
	s = &streams[p.stream];
	if (!s->flows[flow]) {
		s->flows[flow] = calloc(1, sizeof(struct flow));
		if (!s->flows[flow])
			return;
		s->flows[flow]->next = p.number;
	}
	if (s->seen && now - s->last_ns > s->silence_ns)
		s->silence_ns = now - s->last_ns;
	s->seen = true;
	s->last_ns = now;
	s->received++;
	for (size_t i = HEADERS + sizeof(p); i < len; i++)
		if (frame[i] != (uint8_t)(p.number + i)) {
			s->damaged++;
			break;
		}
	account_number(s, s->flows[flow], p.number);
}

static uint64_t overflowed;
static int recv_fd;

static void report_received(void)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);
	const char *comma = "";

	if (!getsockopt(recv_fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len))
		overflowed += stats.tp_drops;
	printf("{\"overflowed\": %" PRIu64 ", \"streams\": {", overflowed);
	for (unsigned int i = 0; i < MAX_STREAMS; i++) {
		struct stream *s = &streams[i];
		unsigned int flows = 0;

		if (!s->seen)
			continue;
		for (unsigned int f = 0; f < MAX_FLOWS; f++)
			flows += s->flows[f] != NULL;
		printf("%s\"%u\": {\"received\": %" PRIu64 ", \"missing\": %" PRIu64
		       ", \"duplicate\": %" PRIu64 ", \"late\": %" PRIu64 ", \"damaged\": %" PRIu64
		       ", \"flows\": %u, \"silence_ms\": %.1f, \"quiet_ms\": %.1f}",
		       comma, i, s->received, s->missing, s->duplicate, s->late, s->damaged, flows,
		       s->silence_ns / 1e6, (now_ns() - s->last_ns) / 1e6);
		comma = ", ";
	}
	printf("}}\n");
	fflush(stdout);
}

static int run_recv(const struct options *o, int sigfd)
{
	static uint8_t frame[65536];

	recv_fd = open_socket(o->iface, ETH_P_IP);
	if (recv_fd < 0)
		return fail(o->iface);
	fprintf(stderr, "numbered: receiving on %s\n", o->iface);
	for (;;) {
		struct pollfd p[] = { { .fd = recv_fd, .events = POLLIN },
				      { .fd = sigfd, .events = POLLIN } };
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		ssize_t n;

		poll(p, 2, -1);
		for (int i = 0; i < 256; i++, from_len = sizeof(from)) {
			n = recvfrom(recv_fd, frame, sizeof(frame), 0, (struct sockaddr *)&from,
				     &from_len);
			if (n < 0)
				break;
			if (from.sll_pkttype != PACKET_OUTGOING)
				account(frame, n);
		}
		if (p[1].revents && stop_or_report(sigfd, report_received))
			break;
	}
	report_received();
	close(recv_fd);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: numbered send|recv IFACE [--dst MAC] [--stream N] [--flows N] "
			"[--rate PPS] [--size BYTES] [--count N]\n");
	return 2;
}

static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "dst", 1, NULL, 'd' },  { "stream", 1, NULL, 's' }, { "flows", 1, NULL, 'f' },
		{ "rate", 1, NULL, 'r' }, { "size", 1, NULL, 'z' },   { "count", 1, NULL, 'c' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		uint64_t value = c == '?' || c == 'd' ? 0 : strtoull(optarg, NULL, 10);

		if (c == 'd' &&
		    sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &o->dst[0], &o->dst[1],
			   &o->dst[2], &o->dst[3], &o->dst[4], &o->dst[5]) != 6)
			return -1;
		else if (c == 's' && value < MAX_STREAMS)
			o->stream = value;
		else if (c == 'f' && value >= 1 && value <= MAX_FLOWS)
			o->flows = value;
		else if (c == 'r' && value >= 1)
			o->rate = value;
		else if (c == 'z' && value >= MIN_SIZE && value <= MAX_SIZE)
			o->size = value;
		else if (c == 'c')
			o->count = value;
		else if (c != 'd')
			return -1;
	}
	if (argc - optind != 2)
		return -1;
	o->iface = argv[optind + 1];
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {
		.dst = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		.flows = 1,
		.rate = 1000,
		.size = MIN_SIZE,
	};
	sigset_t set;
	int sigfd;

	if (parse(&o, argc, argv))
		return usage();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigfd < 0)
		return fail("signalfd");
	if (!strcmp(argv[optind], "send"))
		return run_send(&o, sigfd);
	if (!strcmp(argv[optind], "recv"))
		return run_recv(&o, sigfd);
	return usage();
}
