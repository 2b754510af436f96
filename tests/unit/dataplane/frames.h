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

static inline struct rte_mbuf *make_datagram(
	struct rte_mempool *pool, struct flow flow, const void *payload, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct rte_ether_hdr *eth;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;

	if (m == NULL)
		return NULL;
	eth = (void *)rte_pktmbuf_append(
		m, (uint16_t)(sizeof(*eth) + sizeof(*ip) + sizeof(*udp) + len));
	if (eth == NULL) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memset(eth, 0, sizeof(*eth) + sizeof(*ip) + sizeof(*udp));
	memset(&eth->dst_addr, 0xff, 6);
	eth->src_addr.addr_bytes[0] = 2;
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	ip = (void *)(eth + 1);
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + sizeof(*udp) + len));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->src_addr = rte_cpu_to_be_32(flow.src_ip);
	ip->dst_addr = rte_cpu_to_be_32(flow.dst_ip);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp = (void *)(ip + 1);
	udp->src_port = rte_cpu_to_be_16(flow.src_port);
	udp->dst_port = rte_cpu_to_be_16(flow.dst_port);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(*udp) + len));
	memcpy(udp + 1, payload, len);
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
	return m;
}
