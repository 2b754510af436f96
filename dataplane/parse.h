// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Between parse.c, the way of datagrams, and inquiry.c, what is left of the traffic: each function
// completes *ret, whose offsets and addresses parse.c has filled in, and returns PASSED or a drop.

#include "dataplane/packet.h"

#include <net/ethernet.h>
#include <netinet/in.h>

#define PASSED DROP_COUNT

#define VLAN_TAGS_MAX 2
#define IP6_EXTENSIONS_MAX 8

#define ETHERTYPE_SERVICE 0x88a8 // 802.1ad
#define ETHERTYPE_QINQ_OLD 0x9100

static inline bool is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_SERVICE || type == ETHERTYPE_QINQ_OLD;
}

static inline bool is_extension(uint8_t type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_DSTOPTS;
}

// len: the frame's; the packet starts at ret->l3.
enum pkt_drop parse_arp(
	const uint8_t *frame, uint32_t len, const struct host_identity *host, struct packet *ret);

// The message is whole within the frame.
enum pkt_drop parse_icmp4(const uint8_t *frame, enum checksum_state state,
	const struct host_identity *host, struct packet *ret);
enum pkt_drop parse_icmp6(const uint8_t *frame, enum checksum_state state,
	const struct host_identity *host, struct packet *ret);

// ret->l4 and l4_len are set.
enum pkt_drop parse_igmp(
	const uint8_t *frame, const struct host_identity *host, struct packet *ret);

// address: 16 bytes, IPv4 mapped. True for one of the host's own addresses.
bool host_has_address(const struct host_identity *host, const uint8_t *address);
// True for a group that it is in.
bool host_has_group(const struct host_identity *host, const uint8_t *address);

// address: 4 bytes. The broadcast address of a subnet that the host is in (RFC 919; none with
// prefixes of 31 and 32, RFC 3021).
bool host_subnet_broadcast(const struct host_identity *host, const uint8_t *address);

// address: 16 bytes. The solicited-node multicast address of one of the host's (RFC 4291, 2.7.1).
bool host_solicited_node(const struct host_identity *host, const uint8_t *address);
