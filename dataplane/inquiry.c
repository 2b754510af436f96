// SPDX-License-Identifier: BSD-3-Clause
// What a host must answer: ARP requests, neighbour solicitations, echo requests. An inquiry leaves
// here only when it is well-formed, asks for an address of ours, and came from where an answer may
// go; host_answer() relies on that.

#include "dataplane/checksum.h"
#include "dataplane/parse.h"
#include "dataplane/wire.h"

#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#define IGMP_QUERY 0x11
#define IGMP_MESSAGE 8u
#define MLD_QUERY 130

static bool is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

bool host_has_address(const struct host_identity *host, const uint8_t *address)
{
	for (unsigned i = 0; i < host->address_count; i++)
		if (memcmp(&host->addresses[i].ip, address, sizeof(host->addresses[i].ip)) == 0)
			return true;
	return false;
}

bool host_has_group(const struct host_identity *host, const uint8_t *address)
{
	for (unsigned i = 0; i < host->group_count; i++)
		if (memcmp(&host->groups[i], address, sizeof(host->groups[i])) == 0)
			return true;
	return false;
}

bool host_subnet_broadcast(const struct host_identity *host, const uint8_t *address)
{
	for (unsigned i = 0; i < host->address_count; i++) {
		const struct config_address *own = &host->addresses[i];
		uint32_t ones;

		if (!own->is_ip4 || own->prefix_len > 30)
			continue;
		ones = UINT32_MAX >> own->prefix_len;
		if (get32(address) == (get32(own->ip.s6_addr + MAPPED_IP4) | ones))
			return true;
	}
	return false;
}

static bool is_solicited_node(const uint8_t *address)
{
	return memcmp(address, solicited_prefix, sizeof(solicited_prefix)) == 0;
}

bool host_solicited_node(const struct host_identity *host, const uint8_t *address)
{
	if (!is_solicited_node(address))
		return false;
	for (unsigned i = 0; i < host->address_count; i++) {
		const struct config_address *own = &host->addresses[i];

		if (!own->is_ip4 && memcmp(own->ip.s6_addr + 13, address + 13, 3) == 0)
			return true;
	}
	return false;
}

static bool mac_of_one_host(const uint8_t *mac)
{
	return (mac[0] & GROUP_BIT) == 0 && !is_zero(mac, 6);
}

// "This" network, loopback, multicast, reserved and broadcast addresses are no host's
// (RFC 1122, 3.2.1.3).
static bool ip4_of_one_host(const struct host_identity *host, const uint8_t *address)
{
	return address[0] != 0 && address[0] != 127 && address[0] < 224 &&
	       !host_subnet_broadcast(host, address);
}

static bool ip6_unspecified_or_loopback(const uint8_t *address)
{
	return is_zero(address, 15) && address[15] <= 1;
}

// A reply to us, an announcement (RFC 5227, 3), or the sign that somebody else uses an address of
// ours (RFC 5227, 2.4). Nobody's probe has an address yet, and our own packets are no news.
static bool arp_has_news(
	const uint8_t *arp, const struct host_identity *host, const struct packet *ret)
{
	if (is_zero(arp + 14, 4) || memcmp(arp + 8, host->mac, 6) == 0)
		return false;
	if (raw32(arp + 14) == raw32(arp + 24) || host_has_address(host, ret->src_addr))
		return true;
	return get16(arp + 6) == ARPOP_REPLY && host_has_address(host, ret->dst_addr);
}

enum pkt_drop parse_arp(
	const uint8_t *frame, uint32_t len, const struct host_identity *host, struct packet *ret)
{
	const uint8_t *arp = frame + ret->l3;
	const uint8_t *sender = arp + 14;

	if (len - ret->l3 < ARP_PACKET)
		return DROP_arp_bad;
	if (get16(arp) != ARPHRD_ETHER || get16(arp + 2) != 0x0800 || arp[4] != 6 || arp[5] != 4)
		return DROP_arp_bad;
	if (get16(arp + 6) != ARPOP_REQUEST && get16(arp + 6) != ARPOP_REPLY)
		return DROP_arp_other;
	// A probe has no sender address yet (RFC 5227, 2.1.1) and must be answered.
	if (!mac_of_one_host(arp + 8) || (!is_zero(sender, 4) && !ip4_of_one_host(host, sender)))
		return DROP_arp_bad;
	put_mapped(ret->src_addr, sender);
	put_mapped(ret->dst_addr, arp + 24);
	if (host->promiscuous)
		return DROP_arp_other;
	if (arp_has_news(arp, host, ret))
		ret->kind = PACKET_NEIGHBOUR;
	else if (get16(arp + 6) == ARPOP_REQUEST && host_has_address(host, ret->dst_addr))
		ret->kind = PACKET_ARP_REQUEST;
	else
		return DROP_arp_other;
	return PASSED;
}

// A query; reports are for routers and other hosts. The rest is looked at by whom it is for.
enum pkt_drop parse_igmp(const uint8_t *frame, const struct host_identity *host, struct packet *ret)
{
	if (host->promiscuous || ret->l4_len < IGMP_MESSAGE || frame[ret->l4] != IGMP_QUERY)
		return DROP_ip_other_proto;
	ret->kind = PACKET_GROUP_QUERY;
	return PASSED;
}

// 'sum': of the pseudo header, 0 where there is none.
static bool icmp_checksum_bad(
	const uint8_t *icmp, uint32_t len, enum checksum_state state, uint64_t sum)
{
	if (state != CHECKSUM_UNKNOWN)
		return state == CHECKSUM_BAD;
	return checksum_fold(checksum_add(sum, icmp, len)) != 0;
}

// Neither an echo to a broadcast or multicast address is answered, by whichever layer it is one
// (RFC 1122, 3.2.2.6), nor one whose answer would go to such.
static bool echo_answered(
	const uint8_t *frame, const struct host_identity *host, const struct packet *ret)
{
	return !host->promiscuous && (frame[0] & GROUP_BIT) == 0 && mac_of_one_host(frame + 6) &&
	       host_has_address(host, ret->dst_addr);
}

enum pkt_drop parse_icmp4(const uint8_t *frame, enum checksum_state state,
	const struct host_identity *host, struct packet *ret)
{
	const uint8_t *icmp = frame + ret->l4;

	if (ret->l4_len < ICMP_HEADER || icmp_checksum_bad(icmp, ret->l4_len, state, 0))
		return DROP_icmp_bad;
	if (icmp[0] != ICMP_ECHO)
		return DROP_icmp_other;
	if (icmp[1] != 0)
		return DROP_icmp_bad;
	if (!echo_answered(frame, host, ret) || !ip4_of_one_host(host, ret->src_addr + MAPPED_IP4))
		return DROP_icmp_other;
	ret->kind = PACKET_ECHO4;
	return PASSED;
}

// RFC 4861, 4.6: each option has a length, in units of 8 bytes, that is not zero. *mac is set to
// the link-layer address of the option 'wanted', or NULL.
static bool nd_options_valid(
	const uint8_t *options, uint32_t len, uint8_t wanted, const uint8_t **mac)
{
	*mac = NULL;
	for (uint32_t i = 0; i < len; i += options[i + 1] * 8u) {
		if (len - i < 8 || options[i + 1] == 0 || options[i + 1] * 8u > len - i)
			return false;
		if (options[i] != wanted)
			continue;
		if (options[i + 1] != 1 || !mac_of_one_host(options + i + 2))
			return false;
		*mac = options + i + 2;
	}
	return true;
}

// RFC 4861, 7.1.1.
static bool nd_solicit_valid(const uint8_t *frame, const struct packet *ret)
{
	const uint8_t *nd = frame + ret->l4;
	const uint8_t *source;

	if (frame[ret->l3 + 7] != 255 || nd[1] != 0 || ret->l4_len < ND_MESSAGE || nd[8] == 0xff)
		return false;
	if (!nd_options_valid(
		    nd + ND_MESSAGE, ret->l4_len - ND_MESSAGE, ND_OPT_SOURCE_LINKADDR, &source))
		return false;
	if (is_zero(ret->src_addr, 16))
		return source == NULL && is_solicited_node(ret->dst_addr);
	return !ip6_unspecified_or_loopback(ret->src_addr) && mac_of_one_host(frame + 6);
}

static enum pkt_drop parse_nd_solicit(
	const uint8_t *frame, const struct host_identity *host, struct packet *ret)
{
	if (!nd_solicit_valid(frame, ret))
		return DROP_icmp_bad;
	if (host->promiscuous || !host_has_address(host, frame + ret->l4 + 8))
		return DROP_icmp_other;
	ret->kind = PACKET_ND_SOLICIT;
	return PASSED;
}

// RFC 4861, 7.1.2.
static enum pkt_drop parse_nd_advert(
	const uint8_t *frame, const struct host_identity *host, struct packet *ret)
{
	const uint8_t *nd = frame + ret->l4;
	const uint8_t *mac;

	if (frame[ret->l3 + 7] != 255 || nd[1] != 0 || ret->l4_len < ND_MESSAGE || nd[8] == 0xff)
		return DROP_icmp_bad;
	if (!nd_options_valid(
		    nd + ND_MESSAGE, ret->l4_len - ND_MESSAGE, ND_OPT_TARGET_LINKADDR, &mac))
		return DROP_icmp_bad;
	if (ret->dst_addr[0] == 0xff && (nd[4] & ND_SOLICITED) != 0)
		return DROP_icmp_bad;
	if (host->promiscuous || ip6_unspecified_or_loopback(nd + 8))
		return DROP_icmp_other;
	// Whom it is about.
	memcpy(ret->src_addr, nd + 8, sizeof(ret->src_addr));
	ret->kind = PACKET_NEIGHBOUR;
	return PASSED;
}

enum pkt_drop parse_icmp6(const uint8_t *frame, enum checksum_state state,
	const struct host_identity *host, struct packet *ret)
{
	const uint8_t *icmp = frame + ret->l4;

	if (ret->l4_len < ICMP_HEADER ||
		icmp_checksum_bad(icmp, ret->l4_len, state,
			checksum_pseudo(frame + ret->l3, IPPROTO_ICMPV6, ret->l4_len)))
		return DROP_icmp_bad;
	if (icmp[0] == ND_NEIGHBOR_SOLICIT)
		return parse_nd_solicit(frame, host, ret);
	if (icmp[0] == ND_NEIGHBOR_ADVERT)
		return parse_nd_advert(frame, host, ret);
	if (icmp[0] == MLD_QUERY && !host->promiscuous) {
		ret->kind = PACKET_GROUP_QUERY;
		return PASSED;
	}
	if (icmp[0] != ICMP6_ECHO_REQUEST)
		return DROP_icmp_other;
	if (icmp[1] != 0)
		return DROP_icmp_bad;
	if (!echo_answered(frame, host, ret) || ip6_unspecified_or_loopback(ret->src_addr))
		return DROP_icmp_other;
	ret->kind = PACKET_ECHO6;
	return PASSED;
}
