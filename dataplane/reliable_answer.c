// SPDX-License-Identifier: BSD-3-Clause
// Answers of a partition: to the address a datagram came from, by the port it came by. Where this
// lcore has no tx queue of the port, by way of the lcore that has its first.

#include "dataplane/compose.h"
#include "dataplane/host/neighbours.h"
#include "dataplane/reliable_internal.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#define VLAN_ID_BITS 0xfff

static unsigned port_index(const struct dataplane *dp, uint16_t port_id)
{
	for (unsigned i = 0; i < dp->port_count; i++)
		if (dp->ports[i].id == port_id)
			return i;
	return 0;
}

static uint16_t tag_of(const struct rte_mbuf *m, const uint8_t *frame, uint16_t l3)
{
	if ((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0)
		return m->vlan_tci;
	return l3 >= ETH_HEADER + VLAN_TAG ? get16(frame + ETH_HEADER) : 0;
}

void peer_of(struct peer *ret, const struct lcore *lcore, const struct rte_mbuf *m,
	const struct packet *packet)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *), *ip = frame + packet->l3;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->address, packet->src_addr, sizeof(ret->address));
	ret->port = packet->src_port;
	if (address_is_ip4(packet->src_addr))
		put_mapped(ret->own, ip + 16);
	else
		memcpy(ret->own, ip + 24, sizeof(ret->own));
	ret->own_port = get16(frame + packet->payload - UDP_HEADER + 2);
	ret->way = port_index(lcore->dp, m->port) << 16 | packet->listener;
	memcpy(ret->hop, frame + 6, sizeof(ret->hop));
	ret->vlan = tag_of(m, frame, packet->l3);
}

static struct rte_mbuf *compose(
	const struct dataplane *dp, const struct peer *peer, const uint8_t *data, uint32_t len)
{
	const struct port *port = &dp->ports[peer->way >> 16];
	struct rte_mbuf *m = rte_pktmbuf_alloc(dp->answers);
	uint8_t hop[6];
	struct udp_fields fields = {
		.to_mac = hop,
		.mac = port->host.mac,
		.vlan = peer->vlan,
		.source = peer->own,
		.target = peer->address,
		.source_port = peer->own_port,
		.target_port = peer->port,
	};
	uint32_t frame_len;

	if (m == NULL)
		return NULL;
	memcpy(hop, peer->hop, sizeof(hop));
	if (port->neighbours != NULL)
		neighbours_mac(port->neighbours, peer->address, hop);
	frame_len = compose_udp(rte_pktmbuf_mtod(m, uint8_t *), &fields, data, len);
	rte_pktmbuf_append(m, (uint16_t)compose_padding(rte_pktmbuf_mtod(m, uint8_t *), frame_len));
	return m;
}

static int own_queue(const struct lcore *lcore, const struct port *port)
{
	for (unsigned i = 0; i < lcore->queue_count; i++)
		if (lcore->queues[i].port == port)
			return lcore->queues[i].tx_queue;
	return -1;
}

// Takes the mbufs. What finds no room is lost as on the wire: it is asked for again.
static void send_by(struct lcore *lcore, struct port *port, struct rte_mbuf **list, unsigned count)
{
	int queue = own_queue(lcore, port);
	unsigned sent = 0;

	if (atomic_load_explicit(&port->paused, memory_order_acquire))
		sent = 0;
	else if (queue >= 0)
		sent = rte_eth_tx_burst(port->id, (uint16_t)queue, list, (uint16_t)count);
	else if (port->acks != NULL)
		sent = rte_ring_mp_enqueue_burst(port->acks, (void **)list, count, NULL);
	counter_add(&lcore->values[LCORE_acks], sent);
	if (sent == count)
		return;
	counter_add(&lcore->values[LCORE_unsent_acks], count - sent);
	rte_pktmbuf_free_bulk(list + sent, count - sent);
}

bool send_acks(struct lcore *lcore, struct reliable *rel, uint64_t now)
{
	struct rte_mbuf *list[BURST];
	struct port *port = NULL;
	uint8_t data[WIRE_QUESTION_MIN];
	struct peer peer;
	unsigned count = 0, sum = 0;
	uint32_t len;

	while (sum < 4 * BURST && (len = receive_next(rel->receive, now, data, &peer)) > 0) {
		struct port *by = &lcore->dp->ports[peer.way >> 16];
		struct rte_mbuf *m = compose(lcore->dp, &peer, data, len);

		sum++;
		if (m == NULL) {
			counter_add(&lcore->values[LCORE_unsent_acks], 1);
			continue;
		}
		if (count == BURST || (by != port && count > 0)) {
			send_by(lcore, port, list, count);
			count = 0;
		}
		port = by;
		list[count++] = m;
	}
	if (count > 0)
		send_by(lcore, port, list, count);
	return sum > 0;
}
