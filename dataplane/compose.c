// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/compose.h"

#include "dataplane/wire.h"

#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

void compose_macs(uint8_t *frame, const uint8_t *dst, const uint8_t *src)
{
	memmove(frame, dst, 6);
	memcpy(frame + 6, src, 6);
}

void compose_group_mac(const uint8_t *group, uint8_t mac[6])
{
	if (address_is_ip4(group)) {
		memcpy(mac, (const uint8_t[]){1, 0, 0x5e, group[13] & 0x7f}, 4);
		memcpy(mac + 4, group + 14, 2);
	} else {
		memcpy(mac, (const uint8_t[]){0x33, 0x33}, 2);
		memcpy(mac + 2, group + 12, 4);
	}
}

void compose_checksum(uint8_t *field, uint64_t sum)
{
	uint16_t folded = checksum_fold(sum);

	memcpy(field, &folded, sizeof(folded));
}

void compose_icmp_checksum(uint8_t *icmp, uint32_t len, uint64_t sum)
{
	put16(icmp + 2, 0);
	compose_checksum(icmp + 2, checksum_add(sum, icmp, len));
}

void compose_icmp6(uint8_t *ip, const uint8_t *src, const uint8_t *dst, uint32_t len, uint8_t hops)
{
	put32(ip, 6u << 28 | (get32(ip) & 0x0ff00000));
	put16(ip + 4, (uint16_t)len);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = hops;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
	compose_icmp_checksum(ip + IP6_HEADER, len, checksum_pseudo(ip, IPPROTO_ICMPV6, len));
}

uint32_t compose_padding(uint8_t *frame, uint32_t len)
{
	if (len >= ETH_FRAME_MIN)
		return len;
	memset(frame + len, 0, ETH_FRAME_MIN - len);
	return ETH_FRAME_MIN;
}

uint32_t compose_arp(uint8_t *frame, const uint8_t *mac, const struct arp_fields *fields)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, zeros[6];
	uint8_t *arp = frame + ETH_HEADER;

	compose_macs(frame, fields->dst != NULL ? fields->dst : broadcast, mac);
	put16(frame + 12, ETHERTYPE_ARP);
	put16(arp, ARPHRD_ETHER);
	put16(arp + 2, ETHERTYPE_IP);
	arp[4] = 6;
	arp[5] = 4;
	put16(arp + 6, fields->operation);
	memcpy(arp + 8, mac, 6);
	memcpy(arp + 14, fields->sender + MAPPED_IP4, 4);
	memcpy(arp + 18, fields->target_mac != NULL ? fields->target_mac : zeros, 6);
	memcpy(arp + 24, fields->target + MAPPED_IP4, 4);
	return compose_padding(frame, ETH_HEADER + ARP_PACKET);
}

void compose_nd_message(uint8_t *nd, uint8_t type, const uint8_t *target, const uint8_t *mac)
{
	memset(nd, 0, ND_MESSAGE);
	nd[0] = type;
	memcpy(nd + 8, target, 16);
	nd[ND_MESSAGE] =
		type == ND_NEIGHBOR_SOLICIT ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR;
	nd[ND_MESSAGE + 1] = 1;
	memcpy(nd + ND_MESSAGE + 2, mac, 6);
}

// Whole but for what compose_icmp6() sets.
static uint8_t *begin_nd(
	uint8_t *frame, uint8_t type, const uint8_t *mac, const uint8_t *dst, const uint8_t *target)
{
	uint8_t *nd = frame + ETH_HEADER + IP6_HEADER;

	compose_macs(frame, dst, mac);
	put16(frame + 12, ETHERTYPE_IPV6);
	memset(frame + ETH_HEADER, 0, IP6_HEADER);
	compose_nd_message(nd, type, target, mac);
	return nd;
}

uint32_t compose_nd_solicit(uint8_t *frame, const uint8_t *mac, const uint8_t *dst,
	const uint8_t *source, const uint8_t *target)
{
	uint8_t group[16], group_mac[6];

	solicited_node(target, group);
	compose_group_mac(group, group_mac);
	begin_nd(frame, ND_NEIGHBOR_SOLICIT, mac, dst != NULL ? dst : group_mac, target);
	compose_icmp6(frame + ETH_HEADER, source, dst != NULL ? target : group,
		ND_MESSAGE + ND_OPTION, HOPS_ND);
	return ETH_HEADER + IP6_HEADER + ND_MESSAGE + ND_OPTION;
}

uint32_t compose_nd_advert(uint8_t *frame, const uint8_t *mac, const uint8_t *target)
{
	uint8_t group_mac[6], *nd;

	compose_group_mac(ip6_all_nodes, group_mac);
	nd = begin_nd(frame, ND_NEIGHBOR_ADVERT, mac, group_mac, target);
	nd[4] = ND_OVERRIDE;
	compose_icmp6(frame + ETH_HEADER, target, ip6_all_nodes, ND_MESSAGE + ND_OPTION, HOPS_ND);
	return ETH_HEADER + IP6_HEADER + ND_MESSAGE + ND_OPTION;
}

static uint32_t begin_ip4(uint8_t *ip, const struct udp_fields *fields, uint32_t len)
{
	memset(ip, 0, IP4_HEADER);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(IP4_HEADER + len));
	put16(ip + 6, IP4_DONT_FRAGMENT);
	ip[8] = HOPS;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, fields->source + MAPPED_IP4, 4);
	memcpy(ip + 16, fields->target + MAPPED_IP4, 4);
	compose_checksum(ip + 10, checksum_add20(0, ip));
	return IP4_HEADER;
}

static uint32_t begin_ip6(uint8_t *ip, const struct udp_fields *fields, uint32_t len)
{
	put32(ip, 6u << 28);
	put16(ip + 4, (uint16_t)len);
	ip[6] = IPPROTO_UDP;
	ip[7] = HOPS;
	memcpy(ip + 8, fields->source, 16);
	memcpy(ip + 24, fields->target, 16);
	return IP6_HEADER;
}

uint32_t compose_udp(
	uint8_t *frame, const struct udp_fields *fields, const uint8_t *payload, uint32_t len)
{
	bool ip4 = address_is_ip4(fields->target);
	uint32_t at = 12;
	uint8_t *ip, *udp;

	compose_macs(frame, fields->to_mac, fields->mac);
	if (fields->vlan != 0) {
		put16(frame + at, ETHERTYPE_VLAN);
		put16(frame + at + 2, fields->vlan);
		at += VLAN_TAG;
	}
	put16(frame + at, ip4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	ip = frame + at + 2;
	len += UDP_HEADER;
	udp = ip + (ip4 ? begin_ip4(ip, fields, len) : begin_ip6(ip, fields, len));
	put16(udp, fields->source_port);
	put16(udp + 2, fields->target_port);
	put16(udp + 4, (uint16_t)len);
	put16(udp + 6, 0);
	memcpy(udp + UDP_HEADER, payload, len - UDP_HEADER);
	compose_checksum(udp + 6, checksum_add(checksum_pseudo(ip, IPPROTO_UDP, len), udp, len));
	// 0 would say that there is none (RFC 768).
	if (raw16(udp + 6) == 0)
		put16(udp + 6, UINT16_MAX);
	return (uint32_t)(udp - frame) + len;
}
