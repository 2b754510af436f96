// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Which partition a packet goes to, and what travels with it to another lcore.

#include "dataplane/packet.h"

#include <stdint.h>
#include <string.h>
#include <x86intrin.h>

// The private area of each mbuf: written by the lcore that received it, read by the partition's
// owner behind a ring.
struct steered {
	struct packet packet;
	int64_t received_at; // real time of its burst, ns
};

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
