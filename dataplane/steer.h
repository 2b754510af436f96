// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Which partition a packet goes to, and what travels with it to another lcore.

#include "dataplane/packet.h"

#include <stdint.h>
#include <string.h>
#include <x86intrin.h>

struct rte_mbuf;

// What travels in a ring to another lcore, beside the packet's bytes: enough that neither the
// mbuf's own fields nor anything else that the receiving lcore wrote has to come over, too. Every
// cache line that does costs as much as the append.
struct steered {
	struct rte_mbuf *mbuf;
	const uint8_t *frame; // in it
	int64_t received_at;  // real time of its burst, ns
	uint16_t pool_of;     // index of the port to whose pool the mbuf goes back; NO_POOL: ask it
	uint16_t l3, payload, payload_len;
	uint16_t src_port, listener; // as in struct packet
	uint16_t is_chain;           // the payload goes on in mbuf->next
};

#define NO_POOL UINT16_MAX

// A hash of who sent it and to which port; equal for all packets of a flow.
static inline uint32_t steer_hash(const struct packet *packet)
{
	uint64_t address[2], ports = (uint64_t)packet->src_port << 16 | packet->dst_port;
	uint64_t crc;

	memcpy(address, packet->src_addr, sizeof(address));
	crc = _mm_crc32_u64(0xffffffff, address[0]);
	crc = _mm_crc32_u64(crc, address[1]);
	crc = _mm_crc32_u64(crc, ports);
	// A CRC is linear in its input: multiplied, its high bits depend on all of them.
	return (uint32_t)(crc * 0x9e3779b97f4a7c15u >> 32);
}

static inline unsigned steer_partition(uint32_t hash, unsigned partitions)
{
	return (unsigned)((uint64_t)hash * partitions >> 32);
}
