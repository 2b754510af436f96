// SPDX-License-Identifier: BSD-3-Clause
#include "cli/send/payload.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <pcap/dlt.h>

#define ETHERTYPE_SERVICE 0x88a8 // 802.1ad
#define ETHERTYPE_QINQ_OLD 0x9100
#define SLL_BYTES 16u
#define SLL2_BYTES 20u
#define TAG_BYTES 4u
#define IP4_BYTES 20u
#define IP4_OFFSET_OR_MORE 0x3fffu
#define IP6_BYTES 40u
#define IP6_OFFSET_OR_MORE 0xfff9u
#define EXTENSION_BYTES 8u
#define UDP_BYTES 8u

// What lies ahead in a packet: as it was on the wire, and of that what the capture has.
struct rest {
	const uint8_t *at;
	uint32_t wire, captured;
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static enum payload_skip need(const struct rest *r, uint32_t bytes)
{
	if (r->wire < bytes)
		return PAYLOAD_MALFORMED;
	return r->captured < bytes ? PAYLOAD_CUT : PAYLOAD_FOUND;
}

static void skip(struct rest *r, uint32_t bytes)
{
	r->at += bytes;
	r->wire -= bytes;
	r->captured -= bytes;
}

// There are no more than 'bytes' ahead: what follows is padding.
static void end_after(struct rest *r, uint32_t bytes)
{
	r->wire = bytes;
	if (r->captured > bytes)
		r->captured = bytes;
}

static enum payload_skip find_in_udp(struct rest *r, const uint8_t **ret, uint32_t *ret_len)
{
	enum payload_skip s = need(r, UDP_BYTES);
	uint32_t len;

	if (s != PAYLOAD_FOUND)
		return s;
	len = be16(r->at + 4);
	if (len < UDP_BYTES)
		return PAYLOAD_MALFORMED;
	s = need(r, len);
	if (s != PAYLOAD_FOUND)
		return s;
	*ret = r->at + UDP_BYTES;
	*ret_len = len - UDP_BYTES;
	return PAYLOAD_FOUND;
}

static enum payload_skip find_in_ip4(struct rest *r, const uint8_t **ret, uint32_t *ret_len)
{
	enum payload_skip s = need(r, IP4_BYTES);
	uint32_t header, total;

	if (s != PAYLOAD_FOUND)
		return s;
	header = (r->at[0] & 15u) * 4;
	total = be16(r->at + 2);
	if (r->at[0] >> 4 != 4 || header < IP4_BYTES || total < header || total > r->wire)
		return PAYLOAD_MALFORMED;
	if (r->at[9] != IPPROTO_UDP)
		return PAYLOAD_NOT_UDP;
	if ((be16(r->at + 6) & IP4_OFFSET_OR_MORE) != 0)
		return PAYLOAD_FRAGMENT;
	end_after(r, total);
	s = need(r, header);
	if (s != PAYLOAD_FOUND)
		return s;
	skip(r, header);
	return find_in_udp(r, ret, ret_len);
}

static bool is_extension(uint8_t type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_DSTOPTS ||
	       type == IPPROTO_FRAGMENT || type == IPPROTO_AH;
}

static uint32_t extension_length(uint8_t type, const uint8_t *extension)
{
	if (type == IPPROTO_FRAGMENT)
		return EXTENSION_BYTES;
	if (type == IPPROTO_AH)
		return (extension[1] + 2u) * 4;
	return (extension[1] + 1u) * 8;
}

// A fragment header on a packet that is whole (RFC 6946) is none.
static bool is_part(uint8_t type, const uint8_t *extension)
{
	return type == IPPROTO_FRAGMENT && (be16(extension + 2) & IP6_OFFSET_OR_MORE) != 0;
}

// Leaves behind the extensions; *type: in the first's, out the upper layer's.
static enum payload_skip skip_extensions(struct rest *r, uint8_t *type)
{
	while (is_extension(*type)) {
		enum payload_skip s = need(r, EXTENSION_BYTES);
		uint32_t len;
		uint8_t next;

		if (s != PAYLOAD_FOUND)
			return s;
		next = r->at[0];
		if (is_part(*type, r->at))
			return next == IPPROTO_UDP || is_extension(next) ? PAYLOAD_FRAGMENT
									 : PAYLOAD_NOT_UDP;
		len = extension_length(*type, r->at);
		s = need(r, len);
		if (s != PAYLOAD_FOUND)
			return s;
		skip(r, len);
		*type = next;
	}
	return PAYLOAD_FOUND;
}

static enum payload_skip find_in_ip6(struct rest *r, const uint8_t **ret, uint32_t *ret_len)
{
	enum payload_skip s = need(r, IP6_BYTES);
	uint32_t len;
	uint8_t type;

	if (s != PAYLOAD_FOUND)
		return s;
	len = be16(r->at + 4);
	type = r->at[6];
	if (r->at[0] >> 4 != 6 || len > r->wire - IP6_BYTES)
		return PAYLOAD_MALFORMED;
	skip(r, IP6_BYTES);
	end_after(r, len);
	s = skip_extensions(r, &type);
	if (s != PAYLOAD_FOUND)
		return s;
	return type == IPPROTO_UDP ? find_in_udp(r, ret, ret_len) : PAYLOAD_NOT_UDP;
}

static enum payload_skip find_in_ip(struct rest *r, const uint8_t **ret, uint32_t *ret_len)
{
	enum payload_skip s = need(r, 1);

	if (s != PAYLOAD_FOUND)
		return s;
	if (r->at[0] >> 4 == 6)
		return find_in_ip6(r, ret, ret_len);
	return r->at[0] >> 4 == 4 ? find_in_ip4(r, ret, ret_len) : PAYLOAD_NOT_IP;
}

static bool is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_SERVICE || type == ETHERTYPE_QINQ_OLD;
}

static enum payload_skip find_by_type(
	struct rest *r, uint16_t type, const uint8_t **ret, uint32_t *ret_len)
{
	while (is_tag(type)) {
		enum payload_skip s = need(r, TAG_BYTES);

		if (s != PAYLOAD_FOUND)
			return s;
		type = be16(r->at + 2);
		skip(r, TAG_BYTES);
	}
	if (type == ETHERTYPE_IP)
		return find_in_ip4(r, ret, ret_len);
	return type == ETHERTYPE_IPV6 ? find_in_ip6(r, ret, ret_len) : PAYLOAD_NOT_IP;
}

// Behind a header of the link that says at 'type_at' what follows.
static enum payload_skip find_behind(
	struct rest *r, uint32_t header, uint32_t type_at, const uint8_t **ret, uint32_t *ret_len)
{
	enum payload_skip s = need(r, header);
	uint16_t type;

	if (s != PAYLOAD_FOUND)
		return s;
	type = be16(r->at + type_at);
	skip(r, header);
	return find_by_type(r, type, ret, ret_len);
}

bool payload_reads(int link)
{
	return link == DLT_EN10MB || link == DLT_LINUX_SLL || link == DLT_LINUX_SLL2 ||
	       link == DLT_RAW || link == DLT_IPV4 || link == DLT_IPV6;
}

enum payload_skip payload_find(int link, const uint8_t *packet, uint32_t captured, uint32_t length,
	const uint8_t **ret, uint32_t *ret_len)
{
	struct rest r = {packet, length, captured < length ? captured : length};

	if (link == DLT_EN10MB)
		return find_behind(&r, ETHER_HDR_LEN, 12, ret, ret_len);
	if (link == DLT_LINUX_SLL)
		return find_behind(&r, SLL_BYTES, 14, ret, ret_len);
	if (link == DLT_LINUX_SLL2)
		return find_behind(&r, SLL2_BYTES, 0, ret, ret_len);
	return find_in_ip(&r, ret, ret_len);
}
