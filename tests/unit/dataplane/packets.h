// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Builds well-formed frames for the tests, with a checksum of its own as the oracle, and puts them
// where reading one byte too far is noticed.

#include "dataplane/packet.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRAME_MAX 4096

struct frame {
	uint8_t data[FRAME_MAX];
	uint32_t len;
	uint32_t l3, l4; // l4: of UDP or ICMP
	uint8_t proto;   // as last sealed
};

static const uint8_t host_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};

static inline void put8(struct frame *f, uint32_t at, unsigned v)
{
	f->data[at] = (uint8_t)v;
}

static inline void put_be16(struct frame *f, uint32_t at, unsigned v)
{
	put8(f, at, v >> 8);
	put8(f, at + 1, v);
}

static inline unsigned take_be16(const struct frame *f, uint32_t at)
{
	return (unsigned)(f->data[at] << 8 | f->data[at + 1]);
}

static inline void add(struct frame *f, const void *bytes, uint32_t len)
{
	if (len > 0)
		memcpy(f->data + f->len, bytes, len);
	f->len += len;
}

static inline void add_be16(struct frame *f, unsigned v)
{
	put_be16(f, f->len, v);
	f->len += 2;
}

static inline void put_ip(struct frame *f, uint32_t at, const char *text)
{
	inet_pton(strchr(text, ':') == NULL ? AF_INET : AF_INET6, text, f->data + at);
}

// RFC 1071 by the letter.
static inline unsigned oracle_sum(unsigned sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (unsigned)p[i] << 8 : p[i];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline bool is_ip6(const struct frame *f)
{
	return f->data[f->l3] >> 4 == 6;
}

// Computes the L4 checksum for len bytes at l4 (a datagram may be shorter than its IP payload).
static inline void seal_l4(struct frame *f, uint8_t proto, uint32_t len)
{
	uint32_t field = f->l4 + (proto == IPPROTO_UDP ? 6 : 2);
	unsigned sum = 0;

	if (proto != IPPROTO_ICMP) {
		sum = is_ip6(f) ? oracle_sum(0, f->data + f->l3 + 8, 32)
				: oracle_sum(0, f->data + f->l3 + 12, 8);
		sum += proto + len;
	}
	put_be16(f, field, 0);
	sum = ~oracle_sum(sum, f->data + f->l4, len) & 0xffff;
	put_be16(f, field, sum == 0 && proto == IPPROTO_UDP ? 0xffff : sum);
}

static inline void seal_ip4(struct frame *f)
{
	uint32_t header = (f->data[f->l3] & 15) * 4u;

	put_be16(f, f->l3 + 10, 0);
	put_be16(f, f->l3 + 10, ~oracle_sum(0, f->data + f->l3, header) & 0xffff);
}

// Makes lengths and checksums of UDP or ICMP right for what the frame holds now.
static inline void seal(struct frame *f, uint8_t proto)
{
	uint32_t len = f->len - f->l4;

	f->proto = proto;
	if (proto == IPPROTO_UDP)
		put_be16(f, f->l4 + 4, len);
	if (is_ip6(f)) {
		put_be16(f, f->l3 + 4, f->len - f->l3 - 40);
	} else {
		put_be16(f, f->l3 + 2, f->len - f->l3);
		seal_ip4(f);
	}
	seal_l4(f, proto, len);
}

// Ethernet header with the tags given, to the host, of what type follows.
static inline void start(struct frame *f, const uint16_t *tags, unsigned count, unsigned type)
{
	memset(f, 0, sizeof(*f));
	add(f, host_mac, 6);
	add(f, peer_mac, 6);
	for (unsigned i = 0; i < count; i++) {
		add_be16(f, tags[i]);
		add_be16(f, 100 + i);
	}
	add_be16(f, type);
	f->l3 = f->len;
}

// options: a multiple of 4 bytes.
static inline void start_ip4(struct frame *f, const uint16_t *tags, unsigned count, uint8_t proto,
	const uint8_t *options, uint32_t options_len)
{
	start(f, tags, count, 0x0800);
	f->len += 20;
	put8(f, f->l3, 0x40 + (20 + options_len) / 4);
	put8(f, f->l3 + 8, 64);
	put8(f, f->l3 + 9, proto);
	put_ip(f, f->l3 + 12, "192.0.2.9");
	put_ip(f, f->l3 + 16, "192.0.2.1");
	add(f, options, options_len);
	f->l4 = f->len;
}

// extensions: whole headers, the first of type 'next', the last naming the protocol.
static inline void start_ip6(struct frame *f, const uint16_t *tags, unsigned count, uint8_t next,
	const uint8_t *extensions, uint32_t extensions_len)
{
	start(f, tags, count, 0x86dd);
	f->len += 40;
	put8(f, f->l3, 0x60);
	put8(f, f->l3 + 6, next);
	put8(f, f->l3 + 7, 64);
	put_ip(f, f->l3 + 8, "2001:db8::9");
	put_ip(f, f->l3 + 24, "2001:db8::1");
	add(f, extensions, extensions_len);
	f->l4 = f->len;
}

static inline void finish_udp(struct frame *f, unsigned port, const void *payload, uint32_t len)
{
	add_be16(f, 40000);
	add_be16(f, port);
	f->len += 4;
	add(f, payload, len);
	seal(f, IPPROTO_UDP);
}

static inline void finish_echo(struct frame *f, uint8_t proto, const void *data, uint32_t len)
{
	add_be16(f, proto == IPPROTO_ICMP ? 0x0800 : 0x8000);
	f->len += 2;
	add_be16(f, 0x1234);
	add_be16(f, 7);
	add(f, data, len);
	seal(f, proto);
}

static inline void make_udp4(struct frame *f)
{
	start_ip4(f, NULL, 0, IPPROTO_UDP, NULL, 0);
	finish_udp(f, 514, "hello", 5);
}

static inline void make_udp4_vlan(struct frame *f)
{
	start_ip4(f, (uint16_t[]){0x8100}, 1, IPPROTO_UDP, NULL, 0);
	finish_udp(f, 514, "hello", 5);
}

static inline void make_udp4_qinq(struct frame *f)
{
	start_ip4(f, (uint16_t[]){0x88a8, 0x8100}, 2, IPPROTO_UDP, NULL, 0);
	finish_udp(f, 514, "hello", 5);
}

static inline void make_udp4_qinq_old(struct frame *f)
{
	start_ip4(f, (uint16_t[]){0x9100, 0x9100}, 2, IPPROTO_UDP, NULL, 0);
	finish_udp(f, 514, "hello", 5);
}

static inline void make_udp4_options(struct frame *f)
{
	static const uint8_t router_alert_and_nops[8] = {0x94, 4, 0, 0, 1, 1, 1, 0};

	start_ip4(f, NULL, 0, IPPROTO_UDP, router_alert_and_nops, 8);
	finish_udp(f, 514, "hello", 5);
}

static inline void make_udp6(struct frame *f)
{
	start_ip6(f, NULL, 0, IPPROTO_UDP, NULL, 0);
	finish_udp(f, 514, "hello", 5);
}

static inline void make_udp6_vlan(struct frame *f)
{
	start_ip6(f, (uint16_t[]){0x8100}, 1, IPPROTO_UDP, NULL, 0);
	finish_udp(f, 514, "hello", 5);
}

// Hop-by-hop (8 bytes), destination options (16), routing with no segment left (24).
static inline void make_udp6_extensions(struct frame *f)
{
	static const uint8_t headers[48] = {IPPROTO_DSTOPTS, 0, 5, 2, 0, 0, 1,
		0, // router alert, PadN
		IPPROTO_ROUTING, 1, 0, 1, 10, [24] = IPPROTO_UDP, 2, 4, 0};

	start_ip6(f, NULL, 0, IPPROTO_HOPOPTS, headers, sizeof(headers));
	finish_udp(f, 514, "hello", 5);
}

static inline void make_udp6_options(struct frame *f, unsigned count)
{
	uint8_t headers[16 * 8];

	memset(headers, 0, sizeof(headers));
	for (unsigned i = 0; i < count; i++) {
		headers[i * 8] = i == count - 1 ? IPPROTO_UDP : IPPROTO_DSTOPTS;
		headers[i * 8 + 2] = 1; // PadN of 6 bytes
		headers[i * 8 + 3] = 4;
	}
	start_ip6(f, NULL, 0, IPPROTO_DSTOPTS, headers, count * 8);
	finish_udp(f, 514, "hello", 5);
}

static inline void make_arp(struct frame *f)
{
	static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 1};

	start(f, NULL, 0, 0x0806);
	memset(f->data, 0xff, 6);
	add(f, head, 8);
	add(f, peer_mac, 6);
	f->len += 14;
	put_ip(f, f->l3 + 14, "192.0.2.9");
	put_ip(f, f->l3 + 24, "192.0.2.1");
	f->l4 = f->len;
}

// 192.0.2.9 tells us, in reply, where it is.
static inline void make_arp_reply(struct frame *f)
{
	make_arp(f);
	memcpy(f->data, host_mac, 6);
	put_be16(f, f->l3 + 6, 2);
	memcpy(f->data + f->l3 + 18, host_mac, 6);
}

static inline void make_echo4(struct frame *f)
{
	start_ip4(f, NULL, 0, IPPROTO_ICMP, NULL, 0);
	finish_echo(f, IPPROTO_ICMP, "abcdefgh01234567!", 17);
}

static inline void make_echo6(struct frame *f)
{
	start_ip6(f, NULL, 0, IPPROTO_ICMPV6, NULL, 0);
	finish_echo(f, IPPROTO_ICMPV6, "abcdefgh01234567!", 17);
}

// A solicitation for 2001:db8::1 sent to its solicited-node address.
static inline void start_solicit(struct frame *f)
{
	start_ip6(f, NULL, 0, IPPROTO_ICMPV6, NULL, 0);
	memcpy(f->data, (uint8_t[]){0x33, 0x33, 0xff, 0, 0, 1}, 6);
	put_ip(f, f->l3 + 24, "ff02::1:ff00:1");
	put8(f, f->l3 + 7, 255);
	put8(f, f->l4, 135);
	put_ip(f, f->l4 + 8, "2001:db8::1");
	f->len += 24;
}

static inline void make_solicit(struct frame *f)
{
	start_solicit(f);
	add(f, (uint8_t[]){1, 1}, 2);
	add(f, peer_mac, 6);
	seal(f, IPPROTO_ICMPV6);
}

// 2001:db8::9 tells us, solicited, where it is.
static inline void make_advert(struct frame *f)
{
	start_solicit(f);
	memcpy(f->data, host_mac, 6);
	put_ip(f, f->l3 + 24, "2001:db8::1");
	put8(f, f->l4, 136);
	put8(f, f->l4 + 4, 0x60);
	put_ip(f, f->l4 + 8, "2001:db8::9");
	add(f, (uint8_t[]){2, 1}, 2);
	add(f, peer_mac, 6);
	seal(f, IPPROTO_ICMPV6);
}

// Duplicate address detection (RFC 4862): from the unspecified address, no option.
static inline void make_dad(struct frame *f)
{
	start_solicit(f);
	memset(f->data + f->l3 + 8, 0, 16);
	seal(f, IPPROTO_ICMPV6);
}

static inline struct config_address address_of(const char *text, uint8_t prefix_len)
{
	struct config_address ret = {.prefix_len = prefix_len};

	ret.is_ip4 = strchr(text, ':') == NULL;
	if (ret.is_ip4) {
		memset(ret.ip.s6_addr + 10, 0xff, 2);
		inet_pton(AF_INET, text, ret.ip.s6_addr + 12);
	} else {
		inet_pton(AF_INET6, text, ret.ip.s6_addr);
	}
	return ret;
}

static inline void make_host(struct host_identity *host)
{
	memset(host, 0, sizeof(*host));
	memcpy(host->mac, host_mac, 6);
	host->addresses[0] = address_of("192.0.2.1", 24);
	host->addresses[1] = address_of("2001:db8::1", 64);
	host->addresses[2] = address_of("198.51.100.6", 31);
	host->addresses[3] = address_of("2001:db8::2:1", 64);
	host->address_count = 4;
}

static inline struct config_listener listener_on(unsigned port, const char *address)
{
	struct config_listener ret = {.udp_port = (uint16_t)port, .any_address = address == NULL};

	if (address != NULL)
		ret.address = address_of(address, strchr(address, ':') == NULL ? 32 : 128);
	return ret;
}

// len bytes that end where a page without access begins; until the next call.
static inline uint8_t *at_guard_page(const void *bytes, uint32_t len)
{
	static uint8_t *pages;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (pages == NULL) {
		pages = mmap(NULL, 17 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
		if (pages == MAP_FAILED || mprotect(pages + 16 * page, page, PROT_NONE) != 0)
			abort();
	}
	return memcpy(pages + 16 * page - len, bytes, len);
}
