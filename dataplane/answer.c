// SPDX-License-Identifier: BSD-3-Clause
// Answers in the buffer of the inquiry, which packet_parse() has found whole and for us. VLAN tags
// stay as they came. An answer carries no IP option and no extension header: the inquiry's are
// dropped, so that nothing of a stranger's making but the echoed data is sent.

#include "dataplane/compose.h"
#include "dataplane/wire.h"

#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

// RFC 826. Returns the frame's length.
static uint32_t answer_arp(
	uint8_t *frame, const struct packet *packet, const struct host_identity *host)
{
	uint8_t *arp = frame + packet->l3;
	uint8_t asker[6];

	memcpy(asker, arp + 8, 6);
	put16(arp + 6, ARPOP_REPLY);
	memcpy(arp + 8, host->mac, 6);
	memcpy(arp + 14, packet->dst_addr + MAPPED_IP4, 4);
	memcpy(arp + 18, asker, 6);
	memcpy(arp + 24, packet->src_addr + MAPPED_IP4, 4);
	compose_macs(frame, asker, host->mac);
	return packet->l3 + ARP_PACKET;
}

// RFC 792; the type of service goes back as it came (RFC 1122, 3.2.1.6).
static uint32_t answer_echo4(
	uint8_t *frame, const struct packet *packet, const struct host_identity *host)
{
	uint8_t *ip = frame + packet->l3;
	uint8_t *icmp = ip + IP4_HEADER;
	uint32_t len = packet->l4_len;

	memmove(icmp, frame + packet->l4, len);
	icmp[0] = ICMP_ECHOREPLY;
	compose_icmp_checksum(icmp, len, 0);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(IP4_HEADER + len));
	put16(ip + 4, 0); // no identification needed where nothing is fragmented (RFC 6864)
	put16(ip + 6, IP4_DONT_FRAGMENT);
	ip[8] = HOPS;
	put16(ip + 10, 0);
	memcpy(ip + 12, packet->dst_addr + MAPPED_IP4, 4);
	memcpy(ip + 16, packet->src_addr + MAPPED_IP4, 4);
	compose_checksum(ip + 10, checksum_add20(0, ip));
	compose_macs(frame, frame + 6, host->mac);
	return packet->l3 + IP4_HEADER + len;
}

// RFC 4443, 4.2.
static uint32_t answer_echo6(
	uint8_t *frame, const struct packet *packet, const struct host_identity *host)
{
	uint8_t *ip = frame + packet->l3;

	memmove(ip + IP6_HEADER, frame + packet->l4, packet->l4_len);
	ip[IP6_HEADER] = ICMP6_ECHO_REPLY;
	compose_icmp6(ip, packet->dst_addr, packet->src_addr, packet->l4_len, HOPS);
	compose_macs(frame, frame + 6, host->mac);
	return packet->l3 + IP6_HEADER + packet->l4_len;
}

// Where the answer goes: the solicitation's source link-layer address, else the frame's sender.
static const uint8_t *nd_sender(const uint8_t *frame, const struct packet *packet)
{
	const uint8_t *option = frame + packet->l4 + ND_MESSAGE;
	const uint8_t *end = frame + packet->l4 + packet->l4_len;

	for (; option < end; option += option[1] * 8u)
		if (option[0] == ND_OPT_SOURCE_LINKADDR)
			return option + 2;
	return frame + 6;
}

// RFC 4861, 7.2.4. Who asks from the unspecified address, to find out whether the address is free,
// can only be reached with all nodes, by an answer that is not solicited.
static uint32_t answer_nd(
	uint8_t *frame, const struct packet *packet, const struct host_identity *host)
{
	static const uint8_t unspecified[16];
	bool probe = memcmp(packet->src_addr, unspecified, 16) == 0;
	uint8_t *ip = frame + packet->l3;
	uint8_t *nd = ip + IP6_HEADER;
	uint8_t target[16], group_mac[6];

	compose_group_mac(ip6_all_nodes, group_mac);
	compose_macs(frame, probe ? group_mac : nd_sender(frame, packet), host->mac);
	memcpy(target, frame + packet->l4 + 8, sizeof(target));
	compose_nd_message(nd, ND_NEIGHBOR_ADVERT, target, host->mac);
	nd[4] = probe ? ND_OVERRIDE : ND_OVERRIDE | ND_SOLICITED;
	compose_icmp6(ip, target, probe ? ip6_all_nodes : packet->src_addr, ND_MESSAGE + ND_OPTION,
		HOPS_ND);
	return packet->l3 + IP6_HEADER + ND_MESSAGE + ND_OPTION;
}

static uint32_t answer(
	uint8_t *frame, const struct packet *packet, const struct host_identity *host)
{
	switch (packet->kind) {
	case PACKET_ARP_REQUEST:
		return answer_arp(frame, packet, host);
	case PACKET_ND_SOLICIT:
		return answer_nd(frame, packet, host);
	case PACKET_ECHO4:
		return answer_echo4(frame, packet, host);
	case PACKET_ECHO6:
		return answer_echo6(frame, packet, host);
	default:
		return 0;
	}
}

uint32_t host_answer(uint8_t *frame, uint32_t len, uint32_t room, const struct packet *packet,
	const struct host_identity *host)
{
	uint32_t n;

	if (host->promiscuous || room < ETH_FRAME_MIN || room < len)
		return 0;
	if (packet->kind == PACKET_ND_SOLICIT &&
		room < packet->l3 + IP6_HEADER + ND_MESSAGE + ND_OPTION)
		return 0;
	n = answer(frame, packet, host);
	return n == 0 ? 0 : compose_padding(frame, n);
}
