// SPDX-License-Identifier: BSD-3-Clause
// The way of a packet from an rx queue to a partition, a ring, an answer or a named drop. No lock,
// no allocation, no log, and no system call of ours.

#include "common/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/steer.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#define PREFETCH_AHEAD 4

// What a burst leaves behind to be done together.
struct leftovers {
	unsigned done_count; // mbufs whose content is no longer needed
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

static void take_datagram(struct lcore *lcore, const struct rx_queue *queue, struct rte_mbuf *m,
	const struct packet *packet, int64_t now, struct leftovers *left)
{
	struct dataplane *dp = lcore->dp;
	unsigned p = 0;
	struct steer_ring *ring;

	if (queue->fixed_partition >= 0)
		p = (unsigned)queue->fixed_partition;
	else if (dp->partition_count > 1)
		p = steer_partition(steer_hash(packet), dp->partition_count);
	ring = lcore->to[p];
	if (ring == NULL) {
		pipeline_append(lcore, &dp->partitions[p], rte_pktmbuf_mtod(m, const uint8_t *),
			packet, now);
		left->done[left->done_count++] = m;
	} else {
		struct steered *steered = rte_mbuf_to_priv(m);
		steered->packet = *packet;
		steered->received_at = now;
		ring->staged[ring->staged_count++] = m;
	}
}

static enum pkt_drop unanswered(const struct packet *packet)
{
	return packet->kind == PACKET_ARP_REQUEST ? DROP_arp_other : DROP_icmp_other;
}

static void answer(struct lcore *lcore, const struct rx_queue *queue, struct rte_mbuf *m,
	const struct packet *packet, struct leftovers *left)
{
	uint32_t room = (uint32_t)m->buf_len - m->data_off;
	uint32_t len = 0;

	if (queue->port->answers)
		len = host_answer(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, room, packet,
			&queue->port->host);
	if (len == 0) {
		count_drop(lcore, unanswered(packet), 1);
		left->done[left->done_count++] = m;
		return;
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	// A tag that the kernel took off goes back on.
	m->ol_flags = m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED ? RTE_MBUF_F_TX_VLAN : 0;
	left->answers[left->answer_count++] = m;
}

static void take(struct lcore *lcore, const struct rx_queue *queue, struct rte_mbuf *m, int64_t now,
	struct leftovers *left)
{
	struct packet packet;

	if (unlikely(m->nb_segs != 1)) {
		count_drop(lcore, DROP_scattered, 1);
		rte_pktmbuf_free(m);
		return;
	}
	packet_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, ip_state(m), l4_state(m),
		&queue->port->host, &lcore->dp->listeners, &packet);
	if (likely(packet.kind == PACKET_DATAGRAM)) {
		take_datagram(lcore, queue, m, &packet, now, left);
	} else if (packet.kind == PACKET_DROP) {
		count_drop(lcore, packet.drop, 1);
		left->done[left->done_count++] = m;
	} else {
		answer(lcore, queue, m, &packet, left);
	}
}

static void pass_on(struct lcore *lcore, struct steer_ring *ring)
{
	unsigned sent = rte_ring_sp_enqueue_burst(
		ring->ring, (void **)ring->staged, ring->staged_count, NULL);
	unsigned rest = ring->staged_count - sent;

	counter_add(&lcore->values[LCORE_steered], sent);
	if (rest > 0) {
		count_drop(lcore, DROP_ring_full, rest);
		rte_pktmbuf_free_bulk(ring->staged + sent, rest);
	}
	ring->staged_count = 0;
}

static void send_answers(struct lcore *lcore, const struct rx_queue *queue, struct leftovers *left)
{
	unsigned sent = 0;

	if (queue->tx_queue >= 0)
		sent = rte_eth_tx_burst(queue->port_id, (uint16_t)queue->tx_queue, left->answers,
			(uint16_t)left->answer_count);
	counter_add(&lcore->values[LCORE_answers], sent);
	if (sent < left->answer_count) {
		count_drop(lcore, DROP_tx_full, left->answer_count - sent);
		rte_pktmbuf_free_bulk(left->answers + sent, left->answer_count - sent);
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
	struct lcore *lcore, const struct rx_queue *queue, struct rte_mbuf **burst, unsigned count)
{
	int64_t now = (int64_t)clock_real_ns(clock_ticks());
	struct leftovers left = {.done_count = 0};

	counter_set(&lcore->values[LCORE_held_packets], count);
	count_burst(lcore, count);
	for (unsigned i = 0; i < count; i++) {
		if (i + PREFETCH_AHEAD < count)
			rte_prefetch0(rte_pktmbuf_mtod(burst[i + PREFETCH_AHEAD], void *));
		take(lcore, queue, burst[i], now, &left);
	}
	for (unsigned p = 0; p < lcore->dp->partition_count; p++)
		if (lcore->to[p] != NULL && lcore->to[p]->staged_count > 0)
			pass_on(lcore, lcore->to[p]);
	if (left.answer_count > 0)
		send_answers(lcore, queue, &left);
	pipeline_free(queue->one_pool ? queue->port : NULL, left.done, left.done_count);
	counter_set(&lcore->values[LCORE_held_packets], 0);
}

unsigned rx_poll(struct lcore *lcore)
{
	struct rte_mbuf *burst[BURST];
	unsigned sum = 0;

	for (unsigned i = 0; i < lcore->queue_count; i++) {
		const struct rx_queue *queue = &lcore->queues[i];
		uint16_t count = rte_eth_rx_burst(queue->port_id, queue->queue, burst, BURST);

		if (count > 0)
			rx_take_burst(lcore, queue, burst, count);
		else
			counter_add(&lcore->values[LCORE_rx_empty], 1);
		sum += count;
	}
	return sum;
}
