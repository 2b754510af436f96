// SPDX-License-Identifier: BSD-3-Clause
// The way of a packet from an rx queue to a partition, a ring, an answer or a named drop. No lock,
// no allocation, no log, and no system call of ours.

#include "common/clock.h"
#include "dataplane/append.h"
#include "dataplane/chain.h"
#include "dataplane/dataplane.h"
#include "dataplane/filter.h"
#include "dataplane/fragments.h"
#include "dataplane/host/neighbours.h"
#include "dataplane/reliable.h"
#include "dataplane/steer.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#define PREFETCH_AHEAD 4

// A burst on its way. Each stage goes over all of it before the next begins, which keeps the code
// of one stage in the core, and lets it be timed by one look at the clock a burst.
struct burst {
	const struct rx_queue *queue;
	int64_t now; // received_at
	unsigned count;
	struct rte_mbuf **mbufs;
	struct packet packets[BURST];
	unsigned appended, offered; // datagrams to partitions of this lcore
	unsigned done_count;        // mbufs whose content is no longer needed
	struct rte_mbuf *done[BURST];
	unsigned answer_count;
	struct rte_mbuf *answers[BURST];
};

static enum checksum_state ip_state(const struct rte_mbuf *m)
{
	switch (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) {
	case RTE_MBUF_F_RX_IP_CKSUM_BAD:
		return CHECKSUM_BAD;
	case RTE_MBUF_F_RX_IP_CKSUM_GOOD:
		return CHECKSUM_GOOD;
	case RTE_MBUF_F_RX_IP_CKSUM_NONE:
		return CHECKSUM_NONE;
	default:
		return CHECKSUM_UNKNOWN;
	}
}

static enum checksum_state l4_state(const struct rte_mbuf *m)
{
	switch (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) {
	case RTE_MBUF_F_RX_L4_CKSUM_BAD:
		return CHECKSUM_BAD;
	case RTE_MBUF_F_RX_L4_CKSUM_GOOD:
		return CHECKSUM_GOOD;
	case RTE_MBUF_F_RX_L4_CKSUM_NONE:
		return CHECKSUM_NONE;
	default:
		return CHECKSUM_UNKNOWN;
	}
}

// What the device says of checksums is about the fragment, not the datagram.
static void join_fragment(struct lcore *lcore, struct burst *b, unsigned i)
{
	struct rte_mbuf *whole = fragments_take(lcore, b->mbufs[i], &b->packets[i]);

	if (whole == NULL) {
		b->packets[i].kind = PACKET_HELD;
		return;
	}
	b->mbufs[i] = whole;
	chain_parse(whole, CHECKSUM_GOOD, CHECKSUM_UNKNOWN, &b->queue->port->host,
		&lcore->dp->listeners, &b->packets[i]);
}

static void parse_burst(struct lcore *lcore, struct burst *b)
{
	for (unsigned i = 0; i < b->count; i++) {
		const struct rte_mbuf *m = b->mbufs[i];
		struct packet *packet = &b->packets[i];

		if (i + PREFETCH_AHEAD < b->count)
			rte_prefetch0(rte_pktmbuf_mtod(b->mbufs[i + PREFETCH_AHEAD], void *));
		if (unlikely(m->nb_segs != 1)) {
			chain_parse(b->mbufs[i], ip_state(m), l4_state(m), &b->queue->port->host,
				&lcore->dp->listeners, packet);
			continue;
		}
		packet_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, ip_state(m),
			l4_state(m), &b->queue->port->host, &lcore->dp->listeners, packet);
		if (unlikely(packet_is_fragment(packet)) && lcore->fragments != NULL)
			join_fragment(lcore, b, i);
	}
}

static inline unsigned partition_of(
	const struct dataplane *dp, const struct rx_queue *queue, const struct packet *packet)
{
	if (queue->fixed_partition >= 0)
		return (unsigned)queue->fixed_partition;
	if (dp->partition_count == 1)
		return 0;
	return steer_partition(steer_hash(packet), dp->partition_count);
}

static void stage(
	struct burst *b, struct steer_ring *ring, struct rte_mbuf *m, const struct packet *packet)
{
	ring->staged[ring->staged_count++] = (struct steered){
		.mbuf = m,
		.frame = rte_pktmbuf_mtod(m, const uint8_t *),
		.received_at = b->now,
		.pool_of = b->queue->one_pool && pipeline_plain(m) ? (uint16_t)b->queue->port->index
								   : NO_POOL,
		.l3 = packet->l3,
		.payload = packet->payload,
		.payload_len = packet->payload_len,
		.src_port = packet->src_port,
		.listener = packet->listener,
		.is_chain = packet->kind == PACKET_CHAIN,
	};
}

// Of a listener whose senders are told what is durable.
static void take_reliable(
	struct lcore *lcore, struct burst *b, struct rte_mbuf *m, const struct packet *packet)
{
	struct dataplane *dp = lcore->dp;
	const uint8_t *payload = rte_pktmbuf_mtod_offset(m, const uint8_t *, packet->payload);
	uint32_t len = m->data_len > packet->payload ? m->data_len - packet->payload : 0;
	unsigned p = reliable_partition(
		dp, payload, len < packet->payload_len ? len : packet->payload_len);

	m->port = b->queue->port_id; // by which the answer goes; a ring port's driver leaves it
	if (lcore->to[p] != NULL) {
		stage(b, lcore->to[p], m, packet);
		return;
	}
	reliable_take(lcore, &dp->partitions[p], m, packet, b->now);
	b->done[b->done_count++] = m;
}

static inline void take_datagram(
	struct lcore *lcore, struct burst *b, struct rte_mbuf *m, const struct packet *packet)
{
	struct dataplane *dp = lcore->dp;
	unsigned p = partition_of(dp, b->queue, packet);
	struct steer_ring *ring = lcore->to[p];

	if (ring != NULL) {
		stage(b, ring, m, packet);
		return;
	}
	b->offered++;
	b->appended += pipeline_append(
		lcore, &dp->partitions[p], rte_pktmbuf_mtod(m, const uint8_t *), packet, b->now);
	b->done[b->done_count++] = m;
}

// The same over several mbufs.
static void take_chain(
	struct lcore *lcore, struct burst *b, struct rte_mbuf *m, const struct packet *packet)
{
	struct dataplane *dp = lcore->dp;
	unsigned p = partition_of(dp, b->queue, packet);

	if (lcore->to[p] != NULL) {
		stage(b, lcore->to[p], m, packet);
		return;
	}
	b->offered++;
	b->appended += chain_append(lcore, &dp->partitions[p], m, packet, b->now);
	b->done[b->done_count++] = m;
}

// Not a datagram, and nothing to answer here: the host thread's, or dropped.
static void pass_up(
	struct lcore *lcore, struct burst *b, struct rte_mbuf *m, const struct packet *packet)
{
	enum pkt_drop reason;

	if (up_take(lcore, b->queue, m, packet, &reason))
		return;
	count_drop(lcore, reason, 1);
	b->done[b->done_count++] = m;
}

// An echo's answer goes the way of all that this host sends; where that isn't known (yet), and with
// the answers of neighbour discovery, back to where the inquiry came from.
static void set_next_hop(const struct rx_queue *queue, uint8_t *frame, const struct packet *packet)
{
	uint8_t mac[6];

	if (packet->kind != PACKET_ECHO4 && packet->kind != PACKET_ECHO6)
		return;
	if (queue->port->neighbours != NULL &&
		neighbours_mac(queue->port->neighbours, packet->src_addr, mac))
		memcpy(frame, mac, sizeof(mac));
}

// A tag that the device or the kernel took off: by the device where it can.
static void put_tag_back(const struct port *port, struct rte_mbuf **m)
{
	bool stripped = ((*m)->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;

	(*m)->ol_flags = stripped && port->inserts_vlan ? RTE_MBUF_F_TX_VLAN : 0;
	if (stripped && !port->inserts_vlan)
		rte_vlan_insert(m);
}

static void answer(
	struct lcore *lcore, struct burst *b, struct rte_mbuf *m, const struct packet *packet)
{
	const struct rx_queue *queue = b->queue;
	uint32_t room = (uint32_t)m->buf_len - m->data_off;
	uint32_t len = 0;

	if (queue->port->answers)
		len = host_answer(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, room, packet,
			&queue->port->host);
	if (len == 0) {
		pass_up(lcore, b, m, packet);
		return;
	}
	set_next_hop(queue, rte_pktmbuf_mtod(m, uint8_t *), packet);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	put_tag_back(queue->port, &m);
	b->answers[b->answer_count++] = m;
}

static void take_burst(struct lcore *lcore, struct burst *b)
{
	for (unsigned i = 0; i < b->count; i++) {
		struct rte_mbuf *m = b->mbufs[i];
		const struct packet *packet = &b->packets[i];

		if (packet_is_datagram(packet) && unlikely(is_reliable(lcore->dp, packet))) {
			take_reliable(lcore, b, m, packet);
		} else if (likely(packet->kind == PACKET_DATAGRAM)) {
			take_datagram(lcore, b, m, packet);
		} else if (packet->kind == PACKET_CHAIN) {
			take_chain(lcore, b, m, packet);
		} else if (packet_is_inquiry(packet)) {
			answer(lcore, b, m, packet);
		} else if (packet->kind != PACKET_HELD) {
			pass_up(lcore, b, m, packet);
		}
	}
	count_appended(lcore, b->offered, b->appended);
}

static void pass_on(struct lcore *lcore, struct steer_ring *ring)
{
	unsigned sent = rte_ring_sp_enqueue_burst_elem(
		ring->ring, ring->staged, sizeof(ring->staged[0]), ring->staged_count, &ring->room);

	counter_add(&lcore->values[LCORE_steered], sent);
	if (sent < ring->staged_count)
		count_drop(lcore, DROP_ring_full, ring->staged_count - sent);
	for (unsigned i = sent; i < ring->staged_count; i++)
		rte_pktmbuf_free(ring->staged[i].mbuf);
	ring->staged_count = 0;
}

static void send_answers(struct lcore *lcore, struct burst *b)
{
	const struct rx_queue *queue = b->queue;
	unsigned sent = 0;

	if (queue->tx_queue >= 0)
		sent = rte_eth_tx_burst(queue->port_id, (uint16_t)queue->tx_queue, b->answers,
			(uint16_t)b->answer_count);
	counter_add(&lcore->values[LCORE_answers], sent);
	if (sent < b->answer_count) {
		count_drop(lcore, DROP_tx_full, b->answer_count - sent);
		rte_pktmbuf_free_bulk(b->answers + sent, b->answer_count - sent);
	}
}

static void count_burst(struct lcore *lcore, unsigned count)
{
	// By the number of bits: 1, 2..3, 4..7, 8..15, 16..31, 32..63, 64.
	static const uint8_t counter[] = {0, LCORE_burst_1, LCORE_burst_2_7, LCORE_burst_2_7,
		LCORE_burst_8_15, LCORE_burst_16_31, LCORE_burst_32_63, LCORE_burst_64};

	counter_add(&lcore->values[counter[32 - __builtin_clz(count)]], 1);
	counter_add(&lcore->values[LCORE_rx_bursts], 1);
	counter_add(&lcore->values[LCORE_rx_packets], count);
}

void rx_take_burst(
	struct lcore *lcore, const struct rx_queue *queue, struct rte_mbuf **mbufs, unsigned count)
{
	uint64_t ticks = clock_ticks();
	struct burst b;

	b.queue = queue;
	b.now = (int64_t)clock_real_ns(ticks);
	b.count = count;
	b.mbufs = mbufs;
	b.appended = b.offered = b.done_count = b.answer_count = 0;
	counter_set(&lcore->values[LCORE_held_packets], count);
	count_burst(lcore, count);
	parse_burst(lcore, &b);
	if (lcore->dp->filter != NULL)
		filter_burst(lcore, b.packets, count);
	ticks = lcore_stage(lcore, LCORE_parse_cycles, ticks);
	take_burst(lcore, &b);
	for (unsigned p = 0; p < lcore->dp->partition_count; p++)
		if (lcore->to[p] != NULL && lcore->to[p]->staged_count > 0)
			pass_on(lcore, lcore->to[p]);
	if (b.answer_count > 0)
		send_answers(lcore, &b);
	ticks = lcore_stage(lcore, LCORE_append_cycles, ticks);
	pipeline_free(queue->one_pool ? queue->port : NULL, b.done, b.done_count);
	lcore_stage(lcore, LCORE_free_cycles, ticks);
	counter_set(&lcore->values[LCORE_held_packets], 0);
}

// Whether a lcore that only receives could pass on nothing of a burst. What it leaves in the queues
// is dropped by the device, when they are full, at no cost; taken and dropped here it would keep
// the lcores that append from their work: they share the pool.
static bool nowhere_to_go(struct lcore *lcore)
{
	// Without a queue it has no rings either.
	if (lcore->partition_count > 0 || lcore->queue_count == 0)
		return false;
	for (unsigned p = 0; p < lcore->dp->partition_count; p++) {
		struct steer_ring *ring = lcore->to[p];

		if (ring->room < BURST)
			ring->room = rte_ring_free_count(ring->ring);
		if (ring->room >= BURST || rte_ring_empty(ring->ring))
			return false;
	}
	return true;
}

unsigned rx_poll(struct lcore *lcore)
{
	struct rte_mbuf *mbufs[BURST];
	unsigned sum = 0;

	lcore->held = nowhere_to_go(lcore);
	if (lcore->held)
		return 0;
	for (unsigned i = 0; i < lcore->queue_count; i++) {
		const struct rx_queue *queue = &lcore->queues[i];
		uint64_t begin = clock_ticks();
		uint16_t count;

#ifndef MUTANT_PAUSE_IGNORED
		if (unlikely(atomic_load_explicit(&queue->port->paused, memory_order_acquire)))
			continue;
#endif
		count = rte_eth_rx_burst(queue->port_id, queue->queue, mbufs, BURST);
		if (count > 0) {
			lcore_stage(lcore, LCORE_rx_cycles, begin);
			rx_take_burst(lcore, queue, mbufs, count);
		} else {
			counter_add(&lcore->values[LCORE_rx_empty], 1);
		}
		sum += count;
	}
	return sum;
}
