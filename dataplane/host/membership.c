// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/host/membership.h"

#include "dataplane/compose.h"
#include "dataplane/wire.h"

#include <net/ethernet.h>
#include <netinet/in.h>

#define MS_NS 1000000ull
#define DECISECOND_NS (100 * MS_NS)

#define IGMP_QUERY 0x11
#define IGMP_REPORT1 0x12
#define IGMP_REPORT2 0x16
#define IGMP_LEAVE2 0x17
#define IGMP_REPORT3 0x22
#define IGMP_MESSAGE 8u // of versions 1 and 2
#define IGMP_QUERY3 12u // without sources
#define IGMP_RECORD 8u
#define MLD_REPORT1 131
#define MLD_DONE1 132
#define MLD_REPORT2 143
#define MLD_MESSAGE 24u // of version 1
#define MLD_QUERY2 28u  // without sources
#define MLD_RECORD 20u
#define REPORT_HEADER 8u

// Record types of RFC 3376, 4.2.12, and RFC 3810, 5.2.12. A group that is wanted from any source is
// one that excludes none.
static const uint8_t record_types[] = {
	[GROUP_STATE] = 2, // MODE_IS_EXCLUDE
	[GROUP_JOIN] = 4,  // CHANGE_TO_EXCLUDE_MODE
	[GROUP_LEAVE] = 3, // CHANGE_TO_INCLUDE_MODE
};

static const uint8_t router_alert4[4] = {0x94, 4, 0, 0}; // RFC 2113
// A hop-by-hop header of that option and padding: RFC 2711.
static const uint8_t router_alert6[8] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0};

// A time in a code that leaves its line above 127 (RFC 3376, 4.1.1), and above 32767 (RFC 3810,
// 5.1.3).
static uint32_t code8(uint8_t code)
{
	return code < 128 ? code : ((code & 15u) | 16u) << ((code >> 4 & 7) + 3);
}

static uint32_t code16(uint16_t code)
{
	return code < 32768 ? code : ((code & 0xfffu) | 0x1000u) << ((code >> 12 & 7) + 3);
}

static bool has_router_alert4(const uint8_t *ip, uint32_t header)
{
	for (uint32_t i = IP4_HEADER; i + 4 <= header; i++)
		if (memcmp(ip + i, router_alert4, 2) == 0)
			return true;
	return false;
}

static bool read_igmp(
	const uint8_t *frame, const struct packet *packet, struct membership_query *ret)
{
	const uint8_t *ip = frame + packet->l3, *igmp = frame + packet->l4;

	if (packet->l4_len < IGMP_MESSAGE || igmp[0] != IGMP_QUERY ||
		checksum_fold(checksum_add(0, igmp, packet->l4_len)) != 0)
		return false;
	put_mapped(ret->group, igmp + 4);
	ret->general = raw32(igmp + 4) == 0;
	// RFC 3376, 7.1: the versions are told by length and code.
	if (packet->l4_len >= IGMP_QUERY3) {
		ret->version = 3;
		ret->robustness = igmp[8] & 7;
		ret->within_ns = code8(igmp[1]) * DECISECOND_NS;
		// What a router sends has it (RFC 3376, 4); a forger off the link doesn't get here
		// with a TTL of 1.
		return ip[8] == 1 && has_router_alert4(ip, packet->l4 - packet->l3);
	}
	if (packet->l4_len != IGMP_MESSAGE)
		return false;
	ret->version = igmp[1] == 0 ? 1 : 2;
	ret->within_ns = igmp[1] == 0 ? 100 * DECISECOND_NS : igmp[1] * DECISECOND_NS;
	return ip[8] == 1;
}

// RFC 3810, 6.2: from a link-local address, hop limit 1, with the router alert option.
static bool read_mld(
	const uint8_t *frame, const struct packet *packet, struct membership_query *ret)
{
	const uint8_t *ip = frame + packet->l3, *mld = frame + packet->l4;

	if (packet->l4_len < MLD_MESSAGE || ip[7] != 1 || ip[8] != 0xfe || (ip[9] & 0xc0) != 0x80 ||
		ip[6] != IPPROTO_HOPOPTS ||
		memmem(ip + IP6_HEADER, 8 + ip[IP6_HEADER + 1] * 8u, router_alert6 + 2, 2) == NULL)
		return false;
	memcpy(ret->group, mld + 8, sizeof(ret->group));
	ret->general = raw64(mld + 8) == 0 && raw64(mld + 16) == 0;
	if (packet->l4_len == MLD_MESSAGE) {
		ret->version = 1;
		ret->within_ns = get16(mld + 4) * MS_NS;
		return true;
	}
	if (packet->l4_len < MLD_QUERY2)
		return false;
	ret->version = 2;
	ret->robustness = mld[24] & 7;
	ret->within_ns = code16(get16(mld + 4)) * MS_NS;
	return true;
}

bool membership_query_read(
	const uint8_t *frame, const struct packet *packet, struct membership_query *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (address_is_ip4(packet->dst_addr))
		return read_igmp(frame, packet, ret);
	return read_mld(frame, packet, ret);
}

static const struct in6_addr *source_of(const struct host_identity *host, bool ip4)
{
	for (unsigned i = 0; i < host->address_count; i++) {
		const struct config_address *own = &host->addresses[i];

		if (own->is_ip4 == ip4 && (ip4 || IN6_IS_ADDR_LINKLOCAL(&own->ip)))
			return &own->ip;
	}
	return NULL;
}

static uint32_t fill_igmp(
	uint8_t *igmp, unsigned version, const struct membership_record *records, unsigned count)
{
	if (version < 3) {
		bool leave = records[0].report == GROUP_LEAVE;

		memset(igmp, 0, IGMP_MESSAGE);
		igmp[0] = version == 1 ? IGMP_REPORT1 : leave ? IGMP_LEAVE2 : IGMP_REPORT2;
		memcpy(igmp + 4, records[0].group + MAPPED_IP4, 4);
		return IGMP_MESSAGE;
	}
	memset(igmp, 0, REPORT_HEADER + count * IGMP_RECORD);
	igmp[0] = IGMP_REPORT3;
	put16(igmp + 6, (uint16_t)count);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *record = igmp + REPORT_HEADER + i * IGMP_RECORD;

		record[0] = record_types[records[i].report];
		memcpy(record + 4, records[i].group + MAPPED_IP4, 4);
	}
	return REPORT_HEADER + count * IGMP_RECORD;
}

// Where it goes: all routers that do the version, or, before version 3, the group itself; of
// leaving all routers (RFC 2236, 9; RFC 3376, 4.2.14).
static void destination4(unsigned version, const struct membership_record *record, uint8_t ret[16])
{
	static const uint8_t routers3[4] = {224, 0, 0, 22}, routers[4] = {224, 0, 0, 2};

	if (version == 3)
		put_mapped(ret, routers3);
	else if (record->report == GROUP_LEAVE)
		put_mapped(ret, routers);
	else
		memcpy(ret, record->group, 16);
}

uint32_t membership_report4(const struct host_identity *host, unsigned version,
	const struct membership_record *records, unsigned count, uint8_t *frame)
{
	const struct in6_addr *source = source_of(host, true);
	uint32_t header = IP4_HEADER + sizeof(router_alert4), len;
	uint8_t *ip = frame + ETH_HEADER, *igmp = ip + header, to[16], mac[6];

	if (source == NULL)
		return 0;
	destination4(version, records, to);
	compose_group_mac(to, mac);
	compose_macs(frame, mac, host->mac);
	put16(frame + 12, ETHERTYPE_IP);
	len = fill_igmp(igmp, version, records, count);
	compose_icmp_checksum(igmp, len, 0);
	memset(ip, 0, IP4_HEADER);
	ip[0] = 0x46;
	ip[1] = 0xc0; // internetwork control (RFC 3376, 4)
	put16(ip + 2, (uint16_t)(header + len));
	put16(ip + 6, IP4_DONT_FRAGMENT);
	ip[8] = 1;
	ip[9] = IPPROTO_IGMP;
	memcpy(ip + 12, source->s6_addr + MAPPED_IP4, 4);
	memcpy(ip + 16, to + MAPPED_IP4, 4);
	memcpy(ip + IP4_HEADER, router_alert4, sizeof(router_alert4));
	compose_checksum(ip + 10, checksum_add(0, ip, header));
	return compose_padding(frame, ETH_HEADER + header + len);
}

static uint32_t fill_mld(
	uint8_t *mld, unsigned version, const struct membership_record *records, unsigned count)
{
	if (version == 1) {
		memset(mld, 0, MLD_MESSAGE);
		mld[0] = records[0].report == GROUP_LEAVE ? MLD_DONE1 : MLD_REPORT1;
		memcpy(mld + 8, records[0].group, 16);
		return MLD_MESSAGE;
	}
	memset(mld, 0, REPORT_HEADER + count * MLD_RECORD);
	mld[0] = MLD_REPORT2;
	put16(mld + 6, (uint16_t)count);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *record = mld + REPORT_HEADER + i * MLD_RECORD;

		record[0] = record_types[records[i].report];
		memcpy(record + 4, records[i].group, 16);
	}
	return REPORT_HEADER + count * MLD_RECORD;
}

// RFC 2710, 8, and RFC 3810, 5.2.14.
static void destination6(unsigned version, const struct membership_record *record, uint8_t ret[16])
{
	static const uint8_t routers2[16] = {0xff, 2, [15] = 0x16},
			     routers[16] = {0xff, 2, [15] = 2};

	if (version == 2)
		memcpy(ret, routers2, 16);
	else
		memcpy(ret, record->report == GROUP_LEAVE ? routers : record->group, 16);
}

uint32_t membership_report6(const struct host_identity *host, unsigned version,
	const struct membership_record *records, unsigned count, uint8_t *frame)
{
	static const uint8_t unspecified[16];
	const struct in6_addr *own = source_of(host, false);
	const uint8_t *source = own != NULL ? own->s6_addr : unspecified;
	uint8_t *ip = frame + ETH_HEADER, *mld = ip + IP6_HEADER + sizeof(router_alert6);
	uint8_t to[16], mac[6];
	uint32_t len;

	destination6(version, records, to);
	compose_group_mac(to, mac);
	compose_macs(frame, mac, host->mac);
	put16(frame + 12, ETHERTYPE_IPV6);
	len = fill_mld(mld, version, records, count);
	memset(ip, 0, IP6_HEADER);
	put32(ip, 6u << 28);
	put16(ip + 4, (uint16_t)(sizeof(router_alert6) + len));
	ip[6] = IPPROTO_HOPOPTS;
	ip[7] = 1;
	memcpy(ip + 8, source, 16);
	memcpy(ip + 24, to, 16);
	memcpy(ip + IP6_HEADER, router_alert6, sizeof(router_alert6));
	compose_icmp_checksum(mld, len, checksum_pseudo(ip, IPPROTO_ICMPV6, len));
	return compose_padding(
		frame, ETH_HEADER + IP6_HEADER + (uint32_t)sizeof(router_alert6) + len);
}
