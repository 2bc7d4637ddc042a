/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Receiving: recvmmsg() scatters each frame over its virtio header, an mbuf and an overflow
 * buffer. Ordinary frames end in the mbuf and are never copied again; only what GRO made larger
 * than an mbuf goes on into the overflow buffer, and from there into a chain of mbufs.
 *
 * The header's wishes become RTE_MBUF_F_TX_* flags, as if a guest had sent the frame, because that
 * is what rte_vhost's enqueue makes the guest's header from. What those flags cannot say is done
 * here: a checksum anywhere else than in TCP or UDP is finished, and trains of UDP datagrams and
 * segments behind IPv6 extension headers (for which the library makes a wrong pseudo-header) are
 * cut. Frames that are cut here are handed out over as many bursts as it takes.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_tcp.h>
#include <rte_udp.h>

#include "common/packet_socket.h"
#include "sw-relay/backend_packet.h"
#include "sw-relay/headers.h"
#include "sw-relay/offload_gso.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define OVERFLOW_SIZE ((size_t)PACKET_BURST * PACKET_MAX_FRAME)

static void slot_prepare(struct packet_queue *q, unsigned int i)
{
	struct packet_slot *s = &q->slots[i];
	struct msghdr *h = &q->msgs[i].msg_hdr;

	s->iov[1].iov_base = rte_pktmbuf_mtod(s->mbuf, void *);
	s->iov[1].iov_len = rte_pktmbuf_tailroom(s->mbuf);
	h->msg_namelen = sizeof(s->from);
	h->msg_controllen = sizeof(s->control);
	h->msg_flags = 0;
}

int packet_rx_start(struct packet_backend *b, struct packet_queue *q)
{
	char byte;
	int r;

	q->overflow = mmap(NULL, OVERFLOW_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (q->overflow == MAP_FAILED) {
		q->overflow = NULL;
		return -errno;
	}
	for (unsigned int i = 0; i < PACKET_BURST; i++) {
		struct packet_slot *s = &q->slots[i];
		struct msghdr *h = &q->msgs[i].msg_hdr;

		s->mbuf = NULL;
		s->iov[0] = (struct iovec){ &s->hdr, sizeof(s->hdr) };
		s->iov[2] = (struct iovec){ q->overflow + (size_t)i * PACKET_MAX_FRAME,
					    PACKET_MAX_FRAME };
		*h = (struct msghdr){ .msg_name = &s->from,
				      .msg_iov = s->iov,
				      .msg_iovlen = 3,
				      .msg_control = s->control };
	}
	/* What came before the filter is stale; with the filter on, this comes to an end. */
	while (recv(q->fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) >= 0)
		continue;
	r = packet_socket_resume(q->fd);
	if (r < 0)
		packet_rx_stop(q);
	return r;
}

void packet_rx_stop(struct packet_queue *q)
{
	if (!q->overflow)
		return;
	(void)packet_socket_pause(q->fd);
	for (unsigned int i = 0; i < PACKET_BURST; i++) {
		rte_pktmbuf_free(q->slots[i].mbuf);
		q->slots[i].mbuf = NULL;
	}
	rte_pktmbuf_free_bulk(q->pending + q->pending_first, q->pending_n);
	q->pending_n = 0;
	munmap(q->overflow, OVERFLOW_SIZE);
	q->overflow = NULL;
}

/* The tag that the kernel (or the NIC) took out of the frame and into skb->vlan_tci. */
static bool restore_vlan(struct rte_mbuf *m, struct virtio_net_hdr *hdr, const struct msghdr *h)
{
	struct tpacket_auxdata aux;
	const struct cmsghdr *c = CMSG_FIRSTHDR(h);
	uint16_t tpid = ETH_P_8021Q;
	uint8_t *frame;

	if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA ||
	    c->cmsg_len < CMSG_LEN(sizeof(aux)))
		return true;
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
		return true;
	if (aux.tp_status & TP_STATUS_VLAN_TPID_VALID)
		tpid = aux.tp_vlan_tpid;
	if (rte_pktmbuf_data_len(m) < 2 * RTE_ETHER_ADDR_LEN)
		return false;
	frame = (uint8_t *)rte_pktmbuf_prepend(m, sizeof(struct rte_vlan_hdr));
	if (!frame)
		return false;
	memmove(frame, frame + sizeof(struct rte_vlan_hdr), 2 * RTE_ETHER_ADDR_LEN);
	frame[12] = tpid >> 8;
	frame[13] = tpid;
	frame[14] = aux.tp_vlan_tci >> 8;
	frame[15] = aux.tp_vlan_tci;
	hdr->csum_start += sizeof(struct rte_vlan_hdr);
	return true;
}

/* The part of a large frame that went into the overflow buffer. */
static bool append_overflow(struct rte_mempool *pool, struct rte_mbuf *m, const uint8_t *data,
			    uint32_t size)
{
	struct rte_mbuf *tail = m;

	while (size) {
		struct rte_mbuf *seg = rte_pktmbuf_alloc(pool);
		uint32_t len;

		if (!seg)
			return false;
		len = RTE_MIN(size, rte_pktmbuf_tailroom(seg));
		memcpy(rte_pktmbuf_mtod(seg, void *), data, len);
		seg->data_len = len;
		tail->next = seg;
		tail = seg;
		m->nb_segs++;
		m->pkt_len += len;
		data += len;
		size -= len;
	}
	return true;
}

/* A checksum that no mbuf flag names: over everything from csum_start on. */
static bool finish_checksum(struct rte_mbuf *m, const struct virtio_net_hdr *hdr)
{
	uint32_t field = (uint32_t)hdr->csum_start + hdr->csum_offset;
	uint16_t sum;

	if (field + sizeof(sum) > rte_pktmbuf_data_len(m) ||
	    !offload_sum(m, hdr->csum_start, rte_pktmbuf_pkt_len(m) - hdr->csum_start, &sum))
		return false;
	sum = ~sum;
	if (sum == 0) /* the same value to TCP, and the only right one to UDP */
		sum = 0xffff;
	memcpy(rte_pktmbuf_mtod_offset(m, void *, field), &sum, sizeof(sum));
	return true;
}

/* TCP or UDP right behind an IP header, with its checksum field where it belongs. */
static uint64_t l4_flag(const struct headers *h, const struct virtio_net_hdr *hdr)
{
	if (!h->l4_len || hdr->csum_start != h->l2_len + h->l3_len)
		return 0;
	if (h->proto == IPPROTO_TCP && hdr->csum_offset == offsetof(struct rte_tcp_hdr, cksum))
		return RTE_MBUF_F_TX_TCP_CKSUM;
	if (h->proto == IPPROTO_UDP &&
	    hdr->csum_offset == offsetof(struct rte_udp_hdr, dgram_cksum))
		return RTE_MBUF_F_TX_UDP_CKSUM;
	return 0;
}

/* Appends the pieces to the queue's list and takes m, in every case. */
static void cut_here(struct packet_backend *b, struct packet_queue *q, struct rte_mbuf *m,
		     const struct virtio_net_hdr *hdr, unsigned int type)
{
	struct rte_mbuf **out = q->pending + q->pending_first + q->pending_n;
	struct offload_ctx ctx = { .pool = b->pool };
	int n;

	if (type == VIRTIO_NET_HDR_GSO_UDP_L4)
		n = offload_segment_udp(&ctx, true, m, hdr->gso_size, out);
	else
		n = offload_segment(&ctx, true, m, out);
	if (n < 0)
		packet_count(n == -ENOMEM ? &b->counters.rx_no_memory : &b->counters.rx_malformed);
	else
		q->pending_n += n;
	rte_pktmbuf_free(m);
}

enum rx_verdict { RX_READY, RX_CUT, RX_MALFORMED };

/* Translates hdr into the mbuf's flags. */
static enum rx_verdict translate(struct rte_mbuf *m, const struct virtio_net_hdr *hdr)
{
	unsigned int type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	struct headers h;
	uint64_t l4;

	if (hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && type == VIRTIO_NET_HDR_GSO_NONE)
		return RX_READY;
	if (!headers_parse(rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m), &h))
		memset(&h, 0, sizeof(h));
	if (type == VIRTIO_NET_HDR_GSO_NONE) {
		l4 = h.extension_headers ? 0 : l4_flag(&h, hdr);
		if (!l4)
			return finish_checksum(m, hdr) ? RX_READY : RX_MALFORMED;
	} else {
		/* A frame that GRO put together of verified ones has no NEEDS_CSUM, but whoever
		 * cuts it again has to sum it up. */
		if (!h.l4_len || !hdr->gso_size)
			return RX_MALFORMED;
		l4 = h.proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_TCP_SEG
					    : RTE_MBUF_F_TX_UDP_CKSUM;
	}
	m->ol_flags |= l4 | (h.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	m->l2_len = h.l2_len;
	m->l3_len = h.l3_len;
	m->l4_len = h.l4_len;
	switch (type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return RX_READY;
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
		m->tso_segsz = hdr->gso_size;
		if (h.proto != IPPROTO_TCP || h.ipv6 != (type == VIRTIO_NET_HDR_GSO_TCPV6))
			return RX_MALFORMED;
		return h.extension_headers ? RX_CUT : RX_READY;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return h.proto == IPPROTO_UDP ? RX_CUT : RX_MALFORMED;
	}
	return RX_MALFORMED;
}

/* Takes the mbuf out of a filled slot and makes a packet of it; NULL when there is none. */
static struct rte_mbuf *slot_take(struct packet_backend *b, struct packet_queue *q, unsigned int i)
{
	struct packet_slot *s = &q->slots[i];
	const struct mmsghdr *msg = &q->msgs[i];
	uint32_t size = msg->msg_len;
	struct rte_mbuf *m = s->mbuf;
	uint32_t here;

	if (size < sizeof(s->hdr) + sizeof(struct rte_ether_hdr)) {
		packet_count(&b->counters.rx_malformed);
		return NULL;
	}
	if (msg->msg_hdr.msg_flags & MSG_TRUNC) {
		packet_count(&b->counters.rx_too_long);
		return NULL;
	}
	/* Linux 5.16 and earlier cannot keep outgoing frames from a group of sockets. */
	if (s->from.sll_pkttype == PACKET_OUTGOING)
		return NULL;
	size -= sizeof(s->hdr);
	here = RTE_MIN(size, s->iov[1].iov_len);
	s->mbuf = NULL;
	m->data_len = here;
	m->pkt_len = here;
	if (size > here && !append_overflow(b->pool, m, s->iov[2].iov_base, size - here)) {
		packet_count(&b->counters.rx_no_memory);
		rte_pktmbuf_free(m);
		return NULL;
	}
	if (restore_vlan(m, &s->hdr, &msg->msg_hdr)) {
		switch (translate(m, &s->hdr)) {
		case RX_READY:
			return m;
		case RX_CUT:
			cut_here(b, q, m, &s->hdr, s->hdr.gso_type & ~VIRTIO_NET_HDR_GSO_ECN);
			return NULL;
		case RX_MALFORMED:
			break;
		}
	}
	packet_count(&b->counters.rx_malformed);
	rte_pktmbuf_free(m);
	return NULL;
}

static uint16_t take_pending(struct packet_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	n = RTE_MIN(n, q->pending_n);
	memcpy(pkts, q->pending + q->pending_first, n * sizeof(pkts[0]));
	q->pending_first += n;
	q->pending_n -= n;
	if (!q->pending_n)
		q->pending_first = 0;
	return n;
}

/* Gives the first n slots an mbuf each; returns how many have one. */
static unsigned int refill(struct packet_backend *b, struct packet_queue *q, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct packet_slot *s = &q->slots[i];

		if (!s->mbuf) {
			s->mbuf = rte_pktmbuf_alloc(b->pool);
			if (!s->mbuf)
				return i;
		}
		slot_prepare(q, i);
	}
	return n;
}

uint16_t packet_rx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			 uint16_t n)
{
	struct packet_backend *b = packet_backend(backend);
	struct packet_queue *q = &b->queues[queue];
	uint16_t got = 0;
	int filled;

	if (unlikely(q->pending_n))
		return take_pending(q, pkts, n);
	n = refill(b, q, RTE_MIN(n, PACKET_BURST));
	if (unlikely(n == 0)) {
		packet_count(&b->counters.rx_no_memory);
		return 0;
	}
	filled = recvmmsg(q->fd, q->msgs, n, MSG_DONTWAIT, NULL);
	if (filled < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		/* ENETDOWN comes once when the interface goes down or away; anything else is about
		 * one frame, which is gone. */
		packet_count(&b->counters.rx_errors);
		if (errno == ENETDOWN || errno == ENXIO || errno == ENODEV)
			packet_check_interface(b, q->fd);
		return 0;
	}
	for (int i = 0; i < filled; i++) {
		struct rte_mbuf *m = slot_take(b, q, i);

		if (unlikely(!m))
			continue;
		if (likely(!q->pending_n))
			pkts[got++] = m;
		else /* keeps the order */
			q->pending[q->pending_first + q->pending_n++] = m;
	}
	if (unlikely(q->pending_n))
		got += take_pending(q, pkts + got, n - got);
	return got;
}
