// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Parts of the frames that this host sends: answers in place, and what the host thread composes.
// Nothing here checks room: callers have it.

#include "dataplane/checksum.h"
#include "dataplane/packet.h"
#include "dataplane/wire.h"

#include <stdint.h>

#define HOPS 64     // of what this host sends to anywhere
#define HOPS_ND 255 // proves that no router lies between (RFC 4861, 7.1.2)

// frame[0..11]; dst may lie in the frame.
void compose_macs(uint8_t *frame, const uint8_t *dst, const uint8_t *src);

// The MAC of a multicast group, 16 bytes, IPv4 mapped (RFC 1112, 6.4; RFC 2464, 7).
void compose_group_mac(const uint8_t *group, uint8_t mac[6]);

// Stores a sum of checksum_add() as a checksum.
void compose_checksum(uint8_t *field, uint64_t sum);

// An ICMP message of len bytes; 'sum': of its pseudo header.
void compose_icmp_checksum(uint8_t *icmp, uint32_t len, uint64_t sum);

// An IPv6 header before len bytes of ICMPv6, whose checksum is set. The traffic class stays.
void compose_icmp6(uint8_t *ip, const uint8_t *src, const uint8_t *dst, uint32_t len, uint8_t hops);

// A whole ARP packet (RFC 826) behind the Ethernet header. The addresses: 16 bytes, IPv4 mapped.
struct arp_fields {
	uint16_t operation;
	const uint8_t *dst; // of the frame; NULL: broadcast
	const uint8_t *sender, *target;
	const uint8_t *target_mac; // NULL: zeros
};
uint32_t compose_arp(uint8_t *frame, const uint8_t *mac, const struct arp_fields *fields);

// The message of a neighbour solicitation or advertisement with its link-layer address option:
// ND_MESSAGE + ND_OPTION bytes, without a checksum.
void compose_nd_message(uint8_t *nd, uint8_t type, const uint8_t *target, const uint8_t *mac);

// Neighbour solicitation and advertisement (RFC 4861, 4.3 and 4.4), each with its link-layer
// address option. They return the frame's length, as compose_arp() does, padding included.
// 'dst': the frame's MAC; NULL: the one of the solicited-node group.
uint32_t compose_nd_solicit(uint8_t *frame, const uint8_t *mac, const uint8_t *dst,
	const uint8_t *source, const uint8_t *target);
// To all nodes, unsolicited.
uint32_t compose_nd_advert(uint8_t *frame, const uint8_t *mac, const uint8_t *target);

// A UDP datagram in its frame, both checksums set; returns the frame's length without padding.
// Addresses: 16 bytes, IPv4 mapped, both of one family.
struct udp_fields {
	const uint8_t *to_mac, *mac;
	uint16_t vlan; // tag control information; 0: no tag
	const uint8_t *source, *target;
	uint16_t source_port, target_port;
};
uint32_t compose_udp(
	uint8_t *frame, const struct udp_fields *fields, const uint8_t *payload, uint32_t len);
#define COMPOSE_UDP_HEADERS (ETH_HEADER + VLAN_TAG + IP6_HEADER + UDP_HEADER)

// Fills up to the smallest frame; returns its length.
uint32_t compose_padding(uint8_t *frame, uint32_t len);
