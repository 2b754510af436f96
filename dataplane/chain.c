// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/chain.h"

#include "dataplane/append.h"
#include "dataplane/checksum.h"
#include "dataplane/dataplane.h"
#include "dataplane/wire.h"

#include <rte_mbuf.h>

#include <netinet/in.h>

// Bytes of a frame that are made to lie in its first mbuf: tags, IP header with options and more
// extension headers than anybody sends.
#define HEADERS 256
#define CHAIN_MBUFS_MAX 256
#define UDP_CHECKSUM 6 // where it stands in the header

// Fills the first mbuf from those behind it, up to HEADERS bytes. It may have no room, or be one
// that others read too; then it stays as it is.
static void pull_headers(struct rte_mbuf *m)
{
	uint32_t want = m->pkt_len < HEADERS ? m->pkt_len : HEADERS;

	if (rte_mbuf_refcnt_read(m) != 1 || !RTE_MBUF_DIRECT(m))
		return;
	while (m->data_len < want) {
		struct rte_mbuf *next = m->next;
		uint32_t n = want - m->data_len;

		if (next == NULL)
			return;
		n = n < next->data_len ? n : next->data_len;
		if (n > rte_pktmbuf_tailroom(m) || rte_mbuf_refcnt_read(next) != 1)
			return;
		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len),
			rte_pktmbuf_mtod(next, uint8_t *), n);
		m->data_len += (uint16_t)n;
		next->data_off += (uint16_t)n;
		next->data_len -= (uint16_t)n;
		if (next->data_len > 0)
			continue;
		m->next = next->next;
		m->nb_segs--;
		rte_pktmbuf_free_seg(next);
	}
}

// The sum of len bytes from 'at' on. An mbuf that begins at an odd byte has its sum's bytes
// exchanged (RFC 1071, 2(B)).
static uint64_t sum_over(const struct rte_mbuf *m, uint32_t at, uint32_t len)
{
	uint64_t sum = 0;
	bool odd = false;

	for (; m != NULL && len > 0; m = m->next) {
		uint32_t n = m->data_len > at ? m->data_len - at : 0;
		uint64_t part;

		n = n < len ? n : len;
		part = n > 0 ? checksum_add(0, rte_pktmbuf_mtod_offset(m, uint8_t *, at), n) : 0;
		at = at > m->data_len ? at - m->data_len : 0;
		if (n == 0)
			continue;
		part = (uint16_t)~checksum_fold(part);
		sum += odd ? (part << 8 | part >> 8) & UINT16_MAX : part;
		odd ^= n & 1;
		len -= n;
	}
	return sum;
}

static bool checksum_is_bad(const struct rte_mbuf *m, const struct packet *packet)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = UDP_HEADER + packet->payload_len;

	if (raw16(frame + packet->l4 + UDP_CHECKSUM) == 0) // judged already
		return false;
#ifdef MUTANT_UDP_CHECKSUM_SKIPPED
	return false;
#endif
	return checksum_fold(checksum_pseudo(frame + packet->l3, IPPROTO_UDP, len) +
			     sum_over(m, packet->l4, len)) != 0;
}

static void drop_as(struct packet *packet, enum pkt_drop drop)
{
	packet->kind = PACKET_DROP;
	packet->drop = drop;
}

void chain_parse(struct rte_mbuf *m, enum checksum_state ip, enum checksum_state l4,
	const struct host_identity *host, const struct listener_table *listeners,
	struct packet *ret)
{
	bool look = l4 == CHECKSUM_UNKNOWN;

	pull_headers(m);
	if (m->nb_segs > CHAIN_MBUFS_MAX ||
		!packet_is_readable(
			rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len)) {
		drop_as(ret, DROP_scattered);
		return;
	}
	packet_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len, ip,
		look ? CHECKSUM_GOOD : l4, host, listeners, ret);
	if (ret->kind == PACKET_DATAGRAM) {
		ret->kind = PACKET_CHAIN;
		if (look && checksum_is_bad(m, ret))
			drop_as(ret, DROP_udp_bad_checksum);
	} else if (ret->kind != PACKET_DROP) {
		drop_as(ret, DROP_scattered);
	}
}

// chain_parse() has seen that they are no more than CHAIN_MBUFS_MAX.
static void payload_pieces(
	const struct rte_mbuf *m, const struct packet *packet, struct event_piece *pieces)
{
	uint32_t at = packet->payload, len = packet->payload_len;
	unsigned count = 0;

	for (; m != NULL && len > 0; m = m->next) {
		uint32_t n = m->data_len > at ? m->data_len - at : 0;

		n = n < len ? n : len;
		if (n > 0)
			pieces[count++] = (struct event_piece){
				rte_pktmbuf_mtod_offset(m, const uint8_t *, at), n};
		at = at > m->data_len ? at - m->data_len : 0;
		len -= n;
	}
}

uint8_t *chain_payload(struct lcore *lcore, const struct rte_mbuf *m, const struct packet *packet)
{
	struct event_piece pieces[CHAIN_MBUFS_MAX];

	payload_pieces(m, packet, pieces);
	copy_pieces(lcore->linear, pieces, packet->payload_len);
	return lcore->linear;
}

bool chain_append(struct lcore *lcore, struct partition *partition, const struct rte_mbuf *m,
	const struct packet *packet, int64_t received_at)
{
	struct event_piece pieces[CHAIN_MBUFS_MAX];
	struct event event = packet_event(lcore, packet);
	struct packet copy = *packet;

	payload_pieces(m, packet, pieces);
	set_time(partition, received_at);
	event.payload_len = packet->payload_len;
	if (lcore->dp->config->listeners[packet->listener].split == SPLIT_DATAGRAM) {
		if (batcher_append_slow(partition->batcher, &event, pieces) == -EAGAIN)
			pipeline_wait(lcore, partition, &event, pieces);
		return true;
	}
	// A line may lie across two mbufs, so this is the one payload that is copied twice.
	copy.payload = 0;
	return pipeline_append_lines(lcore, partition, chain_payload(lcore, m, packet), &copy);
}

void chain_cut(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *last = m, *rest;
	uint32_t left = len;

	m->pkt_len = len;
	for (; last->next != NULL && left > last->data_len; last = last->next)
		left -= last->data_len;
	rest = last->next;
	last->data_len = (uint16_t)left;
	last->next = NULL;
	for (; rest != NULL; m->nb_segs--) {
		struct rte_mbuf *next = rest->next;

		rest->next = NULL;
		rte_pktmbuf_free_seg(rest);
		rest = next;
	}
}
