// SPDX-License-Identifier: BSD-3-Clause
// From a frame to a datagram. The order of the checks is the order in which a plain UDP datagram
// over IPv4 meets them; whatever is rare lies in functions of its own, off that way.
//
// What is taken: a frame longer than its IP packet (padding); an IP payload longer than its UDP
// datagram (the rest, for which RFC 768 has no use, is ignored, and the checksum covers the
// datagram alone); any IPv4 option, unread. A datagram's source is what the sender says it is: it
// isn't judged here, only never answered where it can't be a host's.

#include "dataplane/parse.h"

#include "dataplane/checksum.h"
#include "dataplane/wire.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define IP4_FRAGMENT_BITS 0x3fff // more fragments, and the offset
#define IP4_ADDRESSES 8
#define CHECKSUM_SHORT_MAX 96
#define ROUTING_SEGMENTS_LEFT 3

static inline bool same16(const uint8_t *a, const uint8_t *b)
{
	return raw64(a) == raw64(b) && raw64(a + 8) == raw64(b + 8);
}

static bool frame_taken(const uint8_t *frame, const struct host_identity *host)
{
	return likely(memcmp(frame, host->mac, sizeof(host->mac)) == 0) ||
	       (frame[0] & GROUP_BIT) != 0 || host->promiscuous;
}

// *l3 and *type are those behind the first tag; moves both behind the last.
static enum pkt_drop skip_tags(const uint8_t *frame, uint32_t len, uint32_t *l3, uint16_t *type)
{
	for (unsigned tags = 0; is_tag(*type); tags++) {
		if (tags == VLAN_TAGS_MAX)
			return DROP_vlan_depth;
		if (len - *l3 < VLAN_TAG)
			return DROP_eth_truncated;
		*type = get16(frame + *l3 + 2);
		*l3 += VLAN_TAG;
	}
	return PASSED;
}

// A broadcast reaches the listeners on any address, as it does with sockets.
static inline bool find_listener(const struct listener_table *table, struct packet *ret)
{
	for (unsigned i = table->first[ret->dst_port]; i != 0; i = table->next[i - 1]) {
		const struct config_listener *listener = &table->config->listeners[i - 1];

		if (!listener->any_address && !same16(listener->address.ip.s6_addr, ret->dst_addr))
			continue;
		ret->listener = (uint16_t)(i - 1);
		return true;
	}
	return false;
}

// Over the datagram and its pseudo header. IPv4's addresses lie right before a datagram whose
// header has no options: one sum over both.
static inline bool udp_sum_bad(const uint8_t *ip, const uint8_t *udp, uint32_t len)
{
	uint64_t sum;

	if (likely(ip[0] == 0x45 && len <= CHECKSUM_SHORT_MAX)) {
		sum = htonl(IPPROTO_UDP) + (uint64_t)htonl(len);
		sum = checksum_add_short(sum, udp - IP4_ADDRESSES, len + IP4_ADDRESSES);
	} else {
		sum = checksum_add(checksum_pseudo(ip, IPPROTO_UDP, len), udp, len);
	}
	return checksum_fold(sum) != 0;
}

static inline enum pkt_drop check_udp_checksum(
	const uint8_t *ip, const uint8_t *udp, uint32_t len, enum checksum_state state)
{
	if (state == CHECKSUM_NONE)
		return PASSED;
	// Before the device's word: some call a datagram bad that has no checksum.
	if (unlikely(udp[6] == 0 && udp[7] == 0))
		return ip[0] >> 4 == 4 ? PASSED : DROP_udp_zero_checksum6;
#ifndef MUTANT_UDP_CHECKSUM_SKIPPED
	if (state == CHECKSUM_UNKNOWN && udp_sum_bad(ip, udp, len))
		return DROP_udp_bad_checksum;
#endif
	return state == CHECKSUM_BAD ? DROP_udp_bad_checksum : PASSED;
}

static inline enum pkt_drop parse_udp(const uint8_t *frame, enum checksum_state state,
	const struct listener_table *listeners, struct packet *ret)
{
	const uint8_t *udp = frame + ret->l4;
	enum pkt_drop drop;
	uint16_t len;

	if (unlikely(ret->l4_len < UDP_HEADER))
		return DROP_udp_truncated;
	len = get16(udp + 4);
	if (unlikely(len < UDP_HEADER))
		return DROP_udp_bad_length;
	if (unlikely(len > ret->l4_len))
		return DROP_udp_truncated;
	ret->src_port = get16(udp);
	ret->dst_port = get16(udp + 2);
	if (unlikely(!find_listener(listeners, ret)))
		return DROP_udp_no_listener;
	if (unlikely(state != CHECKSUM_GOOD || (udp[6] == 0 && udp[7] == 0))) {
		drop = check_udp_checksum(frame + ret->l3, udp, len, state);
		if (drop != PASSED)
			return drop;
	}
	if (unlikely(len == UDP_HEADER))
		return DROP_udp_empty;
	ret->payload = ret->l4 + UDP_HEADER;
	ret->payload_len = len - UDP_HEADER;
	ret->kind = PACKET_DATAGRAM;
	return PASSED;
}

static bool ip4_broadcast(const struct host_identity *host, const uint8_t *dst)
{
	return raw32(dst) == INADDR_BROADCAST || host_subnet_broadcast(host, dst);
}

// ret->dst_addr is set. The first address is nearly always the one.
static inline bool ip4_for_us(const struct host_identity *host, const struct packet *ret)
{
	if (likely(same16(host->addresses[0].ip.s6_addr, ret->dst_addr)) && host->address_count > 0)
		return true;
	return host->promiscuous || host_has_address(host, ret->dst_addr) ||
	       ip4_broadcast(host, ret->dst_addr + MAPPED_IP4) ||
	       host_has_group(host, ret->dst_addr);
}

// The group of all systems is for IGMP alone (RFC 3376, 4.1.12).
static enum pkt_drop parse_ip4_for_all(
	const uint8_t *frame, uint32_t header, const struct host_identity *host, struct packet *ret)
{
	static const uint8_t all_systems[4] = {224, 0, 0, 1};
	const uint8_t *ip = frame + ret->l3;

	if (memcmp(ip + 16, all_systems, 4) != 0 || ip[9] != IPPROTO_IGMP ||
		(get16(ip + 6) & IP4_FRAGMENT_BITS) != 0)
		return DROP_ip_other_host;
	ret->l4 = (uint16_t)(ret->l3 + header);
	ret->l4_len = (uint16_t)(get16(ip + 2) - header);
	return parse_igmp(frame, host, ret);
}

// The rare rest of the header's own fields: options, or nonsense.
static enum pkt_drop check_ip4_start(const uint8_t *ip, uint32_t room)
{
	uint32_t header = (ip[0] & 15) * 4u;

	if (ip[0] >> 4 != 4 || header < IP4_HEADER)
		return DROP_ip4_bad_header;
	return header > room ? DROP_ip4_truncated : PASSED;
}

static inline bool ip4_checksum_bad(const uint8_t *ip, uint32_t header, enum checksum_state state)
{
	if (state != CHECKSUM_UNKNOWN)
		return state == CHECKSUM_BAD;
	if (likely(header == IP4_HEADER))
		return checksum_fold(checksum_add20(0, ip)) != 0;
	return checksum_fold(checksum_add(0, ip, header)) != 0;
}

// Checks the header against 'room', the bytes from it to the frame's end. *header is set.
static inline enum pkt_drop check_ip4_header(
	const uint8_t *ip, uint32_t room, enum checksum_state state, uint32_t *header)
{
	uint32_t total;

	if (unlikely(room < IP4_HEADER))
		return DROP_ip4_truncated;
	*header = (ip[0] & 15) * 4u;
	if (unlikely(ip[0] != 0x45)) {
		enum pkt_drop drop = check_ip4_start(ip, room);

		if (drop != PASSED)
			return drop;
	}
	total = get16(ip + 2);
	if (unlikely(total < *header))
		return DROP_ip4_bad_header;
#ifndef MUTANT_IP_LENGTH_UNCHECKED
	if (unlikely(total > room))
		return DROP_ip4_truncated;
#endif
	return unlikely(ip4_checksum_bad(ip, *header, state)) ? DROP_ip4_bad_checksum : PASSED;
}

// Fixed header; 'room' as above. An IPv4-mapped address has no place on the wire: it would pass
// for an IPv4 sender or receiver in everything that comes after. Nor has a multicast source.
static enum pkt_drop check_ip6_header(const uint8_t *ip, uint32_t room)
{
	if (room < IP6_HEADER)
		return DROP_ip6_truncated;
	if (ip[0] >> 4 != 6)
		return DROP_ip6_bad_header;
#ifndef MUTANT_IP_LENGTH_UNCHECKED
	if (get16(ip + 4) > room - IP6_HEADER)
		return DROP_ip6_truncated;
#endif
	if (address_is_ip4(ip + 8) || address_is_ip4(ip + 24) || ip[8] == 0xff)
		return DROP_ip6_bad_header;
	return PASSED;
}

// Hop-by-hop or destination options. An option that this host doesn't know, and it knows none but
// padding, says in its first two bits whether the packet may be taken all the same (RFC 8200, 4.2).
static bool ip6_options_taken(const uint8_t *options, uint32_t len)
{
	for (uint32_t i = 0; i < len;) {
		if (options[i] == 0) { // Pad1: no length
			i++;
			continue;
		}
		if (len - i < 2 || len - i - 2 < options[i + 1] || options[i] >> 6 != 0)
			return false;
		i += 2u + options[i + 1];
	}
	return true;
}

// One extension header of len bytes at 'at'.
static bool ip6_extension_taken(uint8_t type, const uint8_t *at, uint32_t len, bool first)
{
	if (type == IPPROTO_ROUTING)
		return at[ROUTING_SEGMENTS_LEFT] == 0; // else it is on its way to another host
	if (type == IPPROTO_HOPOPTS && !first)
		return false;
	return ip6_options_taken(at + 2, len - 2);
}

// Moves ret->l4 and l4_len, and *type, behind the extension headers.
static enum pkt_drop skip_extensions(const uint8_t *frame, struct packet *ret, uint8_t *type)
{
	for (unsigned depth = 0; is_extension(*type); depth++) {
		const uint8_t *at = frame + ret->l4;
		uint32_t len;

		if (depth == IP6_EXTENSIONS_MAX)
			return DROP_ip6_ext_depth;
		if (ret->l4_len < 8)
			return DROP_ip6_truncated;
		len = 8 + at[1] * 8u;
		if (len > ret->l4_len)
			return DROP_ip6_truncated;
		if (!ip6_extension_taken(*type, at, len, depth == 0))
			return DROP_ip6_bad_header;
		*type = at[0];
		ret->l4 += (uint16_t)len;
		ret->l4_len -= (uint16_t)len;
	}
	return *type == IPPROTO_FRAGMENT ? DROP_ip6_fragment : PASSED;
}

static inline bool ip6_for_us(const struct host_identity *host, const uint8_t *dst)
{
	return host_has_address(host, dst) || host->promiscuous || host_has_group(host, dst);
}

static enum pkt_drop parse_ip6(const uint8_t *frame, uint32_t len, enum checksum_state l4,
	const struct host_identity *host, const struct listener_table *listeners,
	struct packet *ret)
{
	const uint8_t *ip = frame + ret->l3;
	enum pkt_drop drop = check_ip6_header(ip, len - ret->l3);
	uint8_t type;
	bool ours;

	if (drop != PASSED)
		return drop;
	memcpy(ret->src_addr, ip + 8, sizeof(ret->src_addr));
	memcpy(ret->dst_addr, ip + 24, sizeof(ret->dst_addr));
	ours = ip6_for_us(host, ret->dst_addr);
	if (!ours && !host_solicited_node(host, ret->dst_addr) &&
		!same16(ret->dst_addr, ip6_all_nodes))
		return DROP_ip_other_host;
	ret->l4 = ret->l3 + IP6_HEADER;
	ret->l4_len = get16(ip + 4);
	type = ip[6];
	if (unlikely(type != IPPROTO_UDP)) {
		drop = skip_extensions(frame, ret, &type);
		if (drop != PASSED)
			return drop;
	}
	if (type == IPPROTO_ICMPV6)
		return parse_icmp6(frame, l4, host, ret);
	if (type != IPPROTO_UDP)
		return DROP_ip_other_proto;
	// The groups of all nodes and solicited ones are for neighbour discovery alone.
	return ours ? parse_udp(frame, l4, listeners, ret) : DROP_ip_other_host;
}

static inline enum pkt_drop parse_ip4(const uint8_t *frame, uint32_t len, enum checksum_state state,
	enum checksum_state l4, const struct host_identity *host,
	const struct listener_table *listeners, struct packet *ret)
{
	const uint8_t *ip = frame + ret->l3;
	uint32_t header;
	enum pkt_drop drop = check_ip4_header(ip, len - ret->l3, state, &header);

	if (unlikely(drop != PASSED))
		return drop;
	put_mapped(ret->src_addr, ip + 12);
	put_mapped(ret->dst_addr, ip + 16);
	if (unlikely(!ip4_for_us(host, ret)))
		return parse_ip4_for_all(frame, header, host, ret);
	if (unlikely((get16(ip + 6) & IP4_FRAGMENT_BITS) != 0))
		return DROP_ip4_fragment;
	ret->l4 = (uint16_t)(ret->l3 + header);
	ret->l4_len = (uint16_t)(get16(ip + 2) - header);
	if (likely(ip[9] == IPPROTO_UDP))
		return parse_udp(frame, l4, listeners, ret);
	if (ip[9] == IPPROTO_IGMP)
		return parse_igmp(frame, host, ret);
	return ip[9] == IPPROTO_ICMP ? parse_icmp4(frame, l4, host, ret) : DROP_ip_other_proto;
}

static inline enum pkt_drop parse_frame(const uint8_t *frame, uint32_t len, enum checksum_state ip,
	enum checksum_state l4, const struct host_identity *host,
	const struct listener_table *listeners, struct packet *ret)
{
	uint32_t l3 = ETH_HEADER;
	uint16_t type;

	if (unlikely(len < ETH_HEADER))
		return DROP_eth_truncated;
	if (unlikely(!frame_taken(frame, host)))
		return DROP_eth_other_host;
	type = get16(frame + 12);
	if (unlikely(type != ETHERTYPE_IP)) {
		enum pkt_drop drop = skip_tags(frame, len, &l3, &type);

		if (drop != PASSED)
			return drop;
	}
	ret->l3 = (uint16_t)l3;
	if (likely(type == ETHERTYPE_IP))
		return parse_ip4(frame, len, ip, l4, host, listeners, ret);
	if (type == ETHERTYPE_IPV6)
		return parse_ip6(frame, len, l4, host, listeners, ret);
	return type == ETHERTYPE_ARP ? parse_arp(frame, len, host, ret) : DROP_eth_other_type;
}

void packet_parse(const uint8_t *frame, uint32_t len, enum checksum_state ip,
	enum checksum_state l4, const struct host_identity *host,
	const struct listener_table *listeners, struct packet *ret)
{
	enum pkt_drop drop = parse_frame(frame, len, ip, l4, host, listeners, ret);

	ret->drop = drop;
	if (unlikely(drop != PASSED))
		ret->kind = PACKET_DROP;
}
