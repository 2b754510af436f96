// SPDX-License-Identifier: BSD-3-Clause
// An lcore's side of the host thread: packets up, frames down.

#include "common/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/host/host.h"
#include "dataplane/rate.h"
#include "dataplane/wire.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

// Messages of neighbours and queriers, a second and lcore. Their senders repeat them.
#define PROTOCOL_RATE 1000

enum { CLASS_PROTOCOL, CLASS_KERNEL };

// Whole, but for somebody else on this machine: what a kernel would still look at.
static bool is_for_kernel(enum pkt_drop drop)
{
	switch (drop) {
	case DROP_scattered: // and no datagram: an echo of a jumbo frame, say
	case DROP_eth_other_type:
	case DROP_arp_other:
	case DROP_ip_other_host:
	case DROP_ip_other_proto:
	case DROP_icmp_other:
	case DROP_udp_no_listener:
		return true;
	default:
		return false;
	}
}

static enum pkt_drop dropped_as(const struct packet *packet)
{
	if (packet->kind == PACKET_DROP)
		return packet->drop;
	if (packet->kind == PACKET_ARP_REQUEST)
		return DROP_arp_other;
	if (packet->kind == PACKET_NEIGHBOUR && address_is_ip4(packet->src_addr))
		return DROP_arp_other;
	if (packet->kind == PACKET_GROUP_QUERY && address_is_ip4(packet->src_addr))
		return DROP_ip_other_proto;
	return DROP_icmp_other;
}

static bool is_protocol(const struct packet *packet)
{
	return packet->kind == PACKET_NEIGHBOUR || packet->kind == PACKET_GROUP_QUERY;
}

static bool is_wanted(const struct rx_queue *queue, const struct packet *packet)
{
	const struct port *port = queue->port;

	if (is_protocol(packet))
		return port->neighbours != NULL || port->exception;
	return port->exception && is_for_kernel(dropped_as(packet));
}

bool up_take(struct lcore *lcore, const struct rx_queue *queue, struct rte_mbuf *m,
	const struct packet *packet, enum pkt_drop *reason)
{
	unsigned class = is_protocol(packet) ? CLASS_PROTOCOL : CLASS_KERNEL;
	uint64_t rate =
		class == CLASS_PROTOCOL ? PROTOCOL_RATE : queue->port->config->exception_rate;

	*reason = dropped_as(packet);
	if (lcore->up == NULL || !is_wanted(queue, packet))
		return false;
#ifndef MUTANT_EXCEPTION_UNBOUNDED
	if (class == CLASS_KERNEL)
		rate = (rate + queue->port->rx_lcores - 1) / queue->port->rx_lcores;
	*reason = DROP_host_rate;
	if (!rate_take(
		    &lcore->up_times[class], clock_ns_to_ticks(1000000000) / rate, clock_ticks()))
		return false;
#endif
	*reason = DROP_host_full;
	m->port = (uint16_t)queue->port->index;
	if (rte_ring_sp_enqueue(lcore->up, m) != 0)
		return false;
	counter_add(&lcore->values[LCORE_handed_up], 1);
	return true;
}

static void send_down(struct lcore *lcore, const struct down *down)
{
	struct rte_mbuf *frames[BURST];
	unsigned count = rte_ring_sc_dequeue_burst(down->ring, (void **)frames, BURST, NULL);
	uint16_t sent;

	if (count == 0)
		return;
	sent = rte_eth_tx_burst(down->port->id, 0, frames, (uint16_t)count);
	counter_add(&lcore->values[LCORE_sent_down], sent);
	if (sent == count)
		return;
	counter_add(&lcore->values[LCORE_unsent_down], count - sent);
	rte_pktmbuf_free_bulk(frames + sent, count - sent);
}

void down_poll(struct lcore *lcore)
{
	struct rte_mbuf *done[BURST];
	unsigned count;

	for (unsigned i = 0; i < lcore->down_count; i++)
		if (!rte_ring_empty(lcore->down[i].ring) &&
			!atomic_load(&lcore->down[i].port->paused))
			send_down(lcore, &lcore->down[i]);
	if (lcore->back == NULL || rte_ring_empty(lcore->back))
		return;
	while ((count = rte_ring_sc_dequeue_burst(lcore->back, (void **)done, BURST, NULL)) > 0)
		rte_pktmbuf_free_bulk(done, count);
}
