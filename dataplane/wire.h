// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Fields of frames: loads and stores at any alignment. get and put convert between the wire's
// order and the host's; raw keeps the wire's order, for comparing and summing.

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ETH_HEADER 14u
#define ETH_FRAME_MIN 60u // without the frame check sequence
#define VLAN_TAG 4u
#define ARP_PACKET 28u
#define IP4_HEADER 20u // without options
#define IP6_HEADER 40u
#define UDP_HEADER 8u
#define ICMP_HEADER 8u
#define ND_MESSAGE 24u   // neighbour solicitation or advertisement without options
#define ND_OPTION 8u     // link-layer address option for Ethernet
#define ND_OVERRIDE 0x20 // flags of an advertisement (RFC 4861, 4.4)
#define ND_SOLICITED 0x40

#define MAPPED_IP4 12 // where the IPv4 address stands in one mapped into IPv6
#define IP4_DONT_FRAGMENT 0x4000
#define MAC_TEXT "%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_BYTES(mac) (mac)[0], (mac)[1], (mac)[2], (mac)[3], (mac)[4], (mac)[5]
#define GROUP_BIT 1u // in a MAC's first byte: multicast or broadcast

static inline uint16_t raw16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t raw32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t raw64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static const uint8_t mapped_prefix[MAPPED_IP4] = {[10] = 0xff, [11] = 0xff};

// address: 16 bytes.
static inline bool address_is_ip4(const uint8_t *address)
{
	return memcmp(address, mapped_prefix, MAPPED_IP4) == 0;
}

static const uint8_t ip6_all_nodes[16] = {0xff, 2, [15] = 1};

static const uint8_t solicited_prefix[13] = {0xff, 2, [11] = 1, [12] = 0xff};

// The solicited-node group of an IPv6 address (RFC 4291, 2.7.1).
static inline void solicited_node(const uint8_t *address, uint8_t ret[16])
{
	memcpy(ret, solicited_prefix, sizeof(solicited_prefix));
	memcpy(ret + 13, address + 13, 3);
}

// ret: 16 bytes, written in one piece: who compares them next must not wait for narrower stores.
static inline void put_mapped(uint8_t *ret, const uint8_t *ip4)
{
	const uint32_t words[4] = {0, 0, raw32(mapped_prefix + 8), raw32(ip4)};

	memcpy(ret, words, sizeof(words));
}

// The source address of the IP packet at ip, IPv4 mapped into IPv6.
static inline void packet_source(const uint8_t *ip, uint8_t ret[16])
{
	if (ip[0] >> 4 == 4)
		put_mapped(ret, ip + 12);
	else
		memcpy(ret, ip + 8, 16);
}
