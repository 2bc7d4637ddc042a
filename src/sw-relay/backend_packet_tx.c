/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Sending: each packet becomes its virtio header and its segments in one message of sendmmsg().
 * The kernel finishes checksums and cuts TCP itself, or leaves both to the interface. Everything
 * lives on the stack, so that any number of workers can send on one socket.
 */
#include <errno.h>
#include <string.h>

#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "sw-relay/backend_packet.h"
#include "sw-relay/offload_gso.h"

#define TX_IOVS 512

struct tx_batch {
	struct mmsghdr msgs[PACKET_BURST];
	struct virtio_net_hdr hdrs[PACKET_BURST];
	struct iovec iovs[TX_IOVS];
	struct rte_mbuf *pkts[PACKET_BURST];
	unsigned int n;
	unsigned int n_iovs;
};

static bool describe_gso(struct virtio_net_hdr *hdr, const struct rte_mbuf *m)
{
	uint32_t l4_off = m->l2_len + m->l3_len;
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, l4_off);

	hdr->gso_size = m->tso_segsz;
	hdr->hdr_len = l4_off + m->l4_len;
	if (m->ol_flags & RTE_MBUF_F_TX_UDP_SEG) {
		hdr->gso_type = VIRTIO_NET_HDR_GSO_UDP;
		hdr->csum_offset = offsetof(struct rte_udp_hdr, dgram_cksum);
		return true;
	}
	hdr->gso_type = m->ol_flags & RTE_MBUF_F_TX_IPV6 ? VIRTIO_NET_HDR_GSO_TCPV6
							 : VIRTIO_NET_HDR_GSO_TCPV4;
	hdr->csum_offset = offsetof(struct rte_tcp_hdr, cksum);
	if (l4_off + sizeof(*tcp) > rte_pktmbuf_data_len(m))
		return false;
	if (tcp->tcp_flags & RTE_TCP_CWR_FLAG)
		hdr->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	return true;
}

/* False: the packet's headers do not allow what it asks for. */
static bool describe(struct virtio_net_hdr *hdr, struct rte_mbuf *m)
{
	memset(hdr, 0, sizeof(*hdr));
	if (likely(!(m->ol_flags & OFFLOAD_FLAGS)))
		return true;
	if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM && !offload_finish_ip_checksum(m))
		return false;
	hdr->csum_start = m->l2_len + m->l3_len;
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG))
		return describe_gso(hdr, m);
	switch (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) {
	case RTE_MBUF_F_TX_TCP_CKSUM:
		hdr->csum_offset = offsetof(struct rte_tcp_hdr, cksum);
		return true;
	case RTE_MBUF_F_TX_UDP_CKSUM:
		hdr->csum_offset = offsetof(struct rte_udp_hdr, dgram_cksum);
		return true;
	}
	memset(hdr, 0, sizeof(*hdr));
	return true;
}

/* False: no room for its segments in this batch. */
static bool batch_add(struct tx_batch *t, struct rte_mbuf *m)
{
	struct iovec *iov = t->iovs + t->n_iovs;
	unsigned int n_iov = 1;

	if (t->n_iovs + 1u + m->nb_segs > TX_IOVS)
		return false;
	iov[0] = (struct iovec){ &t->hdrs[t->n], sizeof(t->hdrs[0]) };
	for (struct rte_mbuf *seg = m; seg; seg = seg->next)
		iov[n_iov++] = (struct iovec){ rte_pktmbuf_mtod(seg, void *), seg->data_len };
	t->msgs[t->n].msg_hdr = (struct msghdr){ .msg_iov = iov, .msg_iovlen = n_iov };
	t->pkts[t->n] = m;
	t->n++;
	t->n_iovs += n_iov;
	return true;
}

/* Returns how many of the batch are done with; the rest finds no room. */
static unsigned int batch_send(struct packet_backend *b, int fd, struct tx_batch *t)
{
	unsigned int done = 0;

	while (done < t->n) {
		int r = sendmmsg(fd, t->msgs + done, t->n - done, MSG_DONTWAIT);

		if (likely(r > 0)) {
			done += r;
			continue;
		}
		switch (errno) {
		case EAGAIN:
		case ENOBUFS:
			return done;
		case EINTR:
			continue;
		case ENETDOWN:
		case ENODEV:
		case ENXIO:
			packet_check_interface(b, fd);
			break;
		}
		packet_count(&b->counters.tx_errors);
		done++;
	}
	return done;
}

uint16_t packet_tx_burst(struct backend *backend, uint16_t queue, struct rte_mbuf **pkts,
			 uint16_t n)
{
	struct packet_backend *b = packet_backend(backend);
	int fd = b->queues[queue].fd;
	uint16_t taken = 0;

	while (taken < n) {
		struct tx_batch t;
		uint16_t next = taken;
		unsigned int done;

		t.n = 0;
		t.n_iovs = 0;
		while (next < n && t.n < PACKET_BURST) {
			struct rte_mbuf *m = pkts[next];

			/* A chain longer than any frame needs, or headers that lie. It goes alone,
			 * so that what was gathered before it is sent first. */
			if (unlikely(m->nb_segs >= TX_IOVS || !describe(&t.hdrs[t.n], m))) {
				if (t.n)
					break;
				packet_count(&b->counters.tx_errors);
				rte_pktmbuf_free(m);
				taken = ++next;
				continue;
			}
			if (!batch_add(&t, m))
				break;
			next++;
		}
		done = batch_send(b, fd, &t);
		rte_pktmbuf_free_bulk(t.pkts, done);
		taken += done;
		if (done < t.n)
			break;
	}
	return taken;
}
