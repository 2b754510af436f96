// SPDX-License-Identifier: BSD-3-Clause
// What packet_parse() will read of a frame that doesn't lie in one piece. May say no where the
// frame would be dropped earlier; never yes where a byte behind 'head' would be read.

#include "dataplane/packet.h"
#include "dataplane/parse.h"
#include "dataplane/wire.h"

static bool ip4_readable(const uint8_t *frame, uint32_t head, uint32_t l3)
{
	return head >= l3 + IP4_HEADER && head >= l3 + (frame[l3] & 15) * 4u + UDP_HEADER;
}

// An ICMPv6 message is read to its end: neighbour discovery has options.
static bool ip6_readable(const uint8_t *frame, uint32_t head, uint32_t l3)
{
	uint32_t at = l3 + IP6_HEADER;
	uint8_t type;

	if (head < at)
		return false;
	type = frame[l3 + 6];
	while (is_extension(type) || type == IPPROTO_FRAGMENT) {
		uint32_t len = 8;

		if (head - at >= 2 && is_extension(type))
			len += frame[at + 1] * 8u;
		if (head - at < len)
			return false;
		type = frame[at];
		at += len;
	}
	return type != IPPROTO_ICMPV6 && head - at >= UDP_HEADER;
}

bool packet_is_readable(const uint8_t *frame, uint32_t head, uint32_t len)
{
	uint32_t l3 = ETH_HEADER;
	uint16_t type;

	if (head >= len)
		return true;
#ifdef MUTANT_READABLE_BLIND
	return true;
#endif
	if (head < ETH_HEADER)
		return false;
	type = get16(frame + 12);
	for (unsigned tags = 0; is_tag(type) && tags < VLAN_TAGS_MAX; tags++) {
		if (head - l3 < VLAN_TAG)
			return false;
		type = get16(frame + l3 + 2);
		l3 += VLAN_TAG;
	}
	if (type == ETHERTYPE_IP)
		return ip4_readable(frame, head, l3);
	if (type == ETHERTYPE_IPV6)
		return ip6_readable(frame, head, l3);
	return type != ETHERTYPE_ARP || head - l3 >= ARP_PACKET;
}
