// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Frames for the tests that run on DPDK: built into mbufs with right checksums.

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <string.h>

struct flow {
	uint32_t src_ip, dst_ip; // host order
	uint16_t src_port, dst_port;
};

#define DATAGRAM_HEADERS \
	(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

// Writes the frame of a datagram, to the broadcast address so that every port takes it; returns its
// length.
static inline uint32_t fill_datagram(
	void *frame, struct flow flow, const void *payload, uint16_t len)
{
	struct rte_ether_hdr *eth = frame;
	struct rte_ipv4_hdr *ip = (void *)(eth + 1);
	struct rte_udp_hdr *udp = (void *)(ip + 1);

	memset(eth, 0, DATAGRAM_HEADERS);
	memset(&eth->dst_addr, 0xff, 6);
	eth->src_addr.addr_bytes[0] = 2;
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + sizeof(*udp) + len));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->src_addr = rte_cpu_to_be_32(flow.src_ip);
	ip->dst_addr = rte_cpu_to_be_32(flow.dst_ip);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->src_port = rte_cpu_to_be_16(flow.src_port);
	udp->dst_port = rte_cpu_to_be_16(flow.dst_port);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(*udp) + len));
	memcpy(udp + 1, payload, len);
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
	return (uint32_t)DATAGRAM_HEADERS + len;
}

static inline struct rte_mbuf *make_datagram(
	struct rte_mempool *pool, struct flow flow, const void *payload, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	void *frame;

	if (m == NULL)
		return NULL;
	frame = rte_pktmbuf_append(m, (uint16_t)(DATAGRAM_HEADERS + len));
	if (frame == NULL) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	fill_datagram(frame, flow, payload, len);
	return m;
}

// The frame in mbufs of 'first' bytes, then of 'each'.
static inline struct rte_mbuf *scatter(
	struct rte_mempool *pool, const uint8_t *frame, uint32_t len, uint16_t first, uint16_t each)
{
	struct rte_mbuf *head = NULL, *last = NULL;

	for (uint32_t at = 0; at < len;) {
		uint16_t n = at == 0 ? first : each;
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		if (n > len - at)
			n = (uint16_t)(len - at);
		memcpy(rte_pktmbuf_append(m, n), frame + at, n);
		if (head == NULL) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += n;
		}
		last = m;
		at += n;
	}
	return head;
}
