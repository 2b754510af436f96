// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// From a frame to a datagram for a listener, an inquiry that this host answers, or a named drop.
// No EAL and no mbuf here: bytes, a length, and what the device said of the checksums.

#include "common/config.h"
#include "common/counters.h"

#include <stdbool.h>
#include <stdint.h>

enum pkt_drop {
#define PKT_DROP(name, help) DROP_##name,
#include "common/drops.def"
	DROP_COUNT
};

// The four states of RTE_MBUF_F_RX_{IP,L4}_CKSUM_*.
enum checksum_state {
	CHECKSUM_UNKNOWN, // the device did not look: check in software
	CHECKSUM_BAD,     // the device says bad
	CHECKSUM_GOOD,    // the device says good
	CHECKSUM_NONE,    // not correct in the packet, but the data is (a virtual device): accept
};

enum packet_kind {
	PACKET_DATAGRAM,
	PACKET_CHAIN,       // a datagram over several mbufs; only chain_parse() says so
	PACKET_ARP_REQUEST, // these four are for us and well-formed
	PACKET_ND_SOLICIT,
	PACKET_ECHO4,
	PACKET_ECHO6,
	PACKET_NEIGHBOUR,   // ARP or neighbour advertisement with news of src_addr
	PACKET_GROUP_QUERY, // of IGMP or MLD
	PACKET_HELD,        // a fragment that waits for the others
	PACKET_DROP,
};

struct packet {
	enum packet_kind kind;
	enum pkt_drop drop; // for PACKET_DROP, where the fields below mean nothing
	uint16_t l3;        // offset of the IP header or ARP packet
	uint16_t l4;        // offset of the UDP or ICMP header
	uint16_t payload;   // offset of the UDP payload
	uint16_t payload_len;
	uint16_t l4_len;                    // bytes from l4 to the end of the IP payload
	uint16_t src_port, dst_port;        // host order
	uint16_t listener;                  // index into config.listeners
	uint8_t src_addr[16], dst_addr[16]; // IPv4 mapped into IPv6
};

static inline bool packet_is_datagram(const struct packet *packet)
{
	return packet->kind <= PACKET_CHAIN;
}

static inline bool packet_is_inquiry(const struct packet *packet)
{
	return packet->kind >= PACKET_ARP_REQUEST && packet->kind <= PACKET_ECHO6;
}

// The listeners by UDP port, built once. First match in the order of the file.
struct listener_table {
	uint16_t first[65536]; // index + 1 of the first listener on that port, 0: none
	uint16_t next[CONFIG_LISTENERS_MAX];
	const struct config *config;
};
void listener_table_init(struct listener_table *table, const struct config *config);

#define HOST_GROUPS_MAX CONFIG_GROUPS_MAX
#define HOST_ADDRESSES_MAX (CONFIG_ADDRESSES_MAX + 1) // and a link-local one

// What a port is on the wire.
struct host_identity {
	uint8_t mac[6];
	bool promiscuous; // no addresses: takes packets for any destination, answers nothing
	unsigned address_count;
	struct config_address addresses[HOST_ADDRESSES_MAX];
	unsigned group_count; // multicast groups that listeners name
	struct in6_addr groups[HOST_GROUPS_MAX];
};

// Parses one frame of len bytes. Hot path: no allocation, no log, reads nothing behind len.
void packet_parse(const uint8_t *frame, uint32_t len, enum checksum_state ip,
	enum checksum_state l4, const struct host_identity *host,
	const struct listener_table *listeners, struct packet *ret);

// Whether all that packet_parse() reads of a frame of len bytes, when it need not look at the
// checksum of a datagram, lies in its first 'head' bytes.
bool packet_is_readable(const uint8_t *frame, uint32_t head, uint32_t len);

// Turns an inquiry (ARP request, neighbour solicitation, echo) into its answer within the same
// buffer. 'room' is the buffer's size from frame on. Returns the frame's new length (padded to 60),
// never longer than the inquiry but for that padding and the ND option; 0: no answer.
uint32_t host_answer(uint8_t *frame, uint32_t len, uint32_t room, const struct packet *packet,
	const struct host_identity *host);
