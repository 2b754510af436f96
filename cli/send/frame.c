// SPDX-License-Identifier: BSD-3-Clause
// Sums are of 16-bit words as they lie in memory: the one's complement sum doesn't mind the order
// of bytes (RFC 1071).

#include "cli/send/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IP_AT 14u
#define UDP_AT 34u

static uint32_t sum_bytes(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;
	uint16_t word;

	for (; len >= 2; len -= 2, p += 2) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	if (len == 1) {
		word = 0;
		memcpy(&word, p, 1);
		sum += word;
	}
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint16_t network_order)
{
	memcpy(p, &network_order, sizeof(network_order));
}

static void patch_headers(const struct frame_template *t, uint8_t *frame, uint32_t len,
	uint32_t flow, uint32_t payload_sum)
{
	uint16_t ip_len = htons((uint16_t)(20 + 8 + len));
	uint16_t udp_len = htons((uint16_t)(8 + len));
	uint16_t port = htons((uint16_t)(t->src_port + flow));
	uint16_t sum = fold(t->udp_sum + port + 2u * udp_len + payload_sum);

	put16(frame + IP_AT + offsetof(struct iphdr, tot_len), ip_len);
	put16(frame + IP_AT + offsetof(struct iphdr, check), fold(t->ip_sum + ip_len));
	put16(frame + UDP_AT + offsetof(struct udphdr, source), port);
	put16(frame + UDP_AT + offsetof(struct udphdr, len), udp_len);
	// Zero would say that there is no checksum (RFC 768).
	put16(frame + UDP_AT + offsetof(struct udphdr, check), sum == 0 ? 0xffff : sum);
}

void frame_patch_event(const struct frame_template *t, uint8_t *frame, uint32_t size, uint32_t flow,
	const uint8_t digits[10])
{
	memcpy(frame + FRAME_HEADER_BYTES + 8, digits, 10);
	patch_headers(
		t, frame, size, flow, t->head_sum + t->filler_sum[size] + sum_bytes(digits, 10));
}

void frame_patch(const struct frame_template *t, uint8_t *frame, uint32_t len, uint32_t flow)
{
	patch_headers(t, frame, len, flow, sum_bytes(frame + FRAME_HEADER_BYTES, len));
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++) {
		char *end;
		unsigned long v = strtoul(text, &end, 16);

		if (end == text || end - text > 2 || *end != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)v;
		text = end + 1;
	}
	return true;
}

static bool parse_endpoint(const char *text, struct sockaddr_in *ret)
{
	char host[INET_ADDRSTRLEN];
	const char *colon = strchr(text, ':');
	unsigned long port;
	char *end;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host) || colon[1] < '0' ||
		colon[1] > '9')
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || port == 0 || port > 65535)
		return false;
	ret->sin_port = (uint16_t)port;
	return inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

static void compose_header(struct frame_template *t, const struct sockaddr_in *from,
	const struct sockaddr_in *to, const uint8_t src_mac[6])
{
	const struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.frag_off = htons(IP_DF),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.saddr = from->sin_addr.s_addr,
		.daddr = to->sin_addr.s_addr,
	};
	const uint16_t type = htons(ETHERTYPE_IP);

	memcpy(t->header + 6, src_mac, 6);
	memcpy(t->header + 12, &type, 2);
	memcpy(t->header + IP_AT, &ip, sizeof(ip));
	put16(t->header + UDP_AT + offsetof(struct udphdr, dest), htons(to->sin_port));
}

static void sum_template(struct frame_template *t, const struct send_plan *plan)
{
	uint8_t text[9];
	uint32_t sum = 0;

	snprintf((char *)text, sizeof(text), "%08x", plan->id);
	t->head_sum = sum_bytes(text, 8);
	t->ip_sum = sum_bytes(t->header + IP_AT, 20);
	t->udp_sum = sum_bytes(t->header + IP_AT + 12, 8) + htons(IPPROTO_UDP) +
		     sum_bytes(t->header + UDP_AT, 8);
	for (uint32_t at = SEND_HEADER_BYTES; at <= SEND_PORT_MAX; at++) {
		uint8_t word[2] = {0};

		t->filler_sum[at] = sum;
		word[at & 1] = send_filler(at);
		sum += sum_bytes(word, 2);
	}
}

int frame_template_init(struct frame_template *ret, const struct send_plan *plan,
	const uint8_t src_mac[6], const char *dst_mac, const char *from, const char *to, char *why)
{
	struct sockaddr_in source, target;

	memset(ret, 0, sizeof(*ret));
	memset(ret->header, 0xff, 6);
	if (dst_mac != NULL && !parse_mac(dst_mac, ret->header)) {
		snprintf(why, SEND_WHY_BYTES, "'%s' is no hardware address", dst_mac);
		return -EINVAL;
	}
	if (!parse_endpoint(from, &source) || !parse_endpoint(to, &target)) {
		snprintf(why, SEND_WHY_BYTES, "'%s' to '%s': not IPv4:PORT", from, to);
		return -EINVAL;
	}
	if (source.sin_port + plan->flows - 1 > 65535) {
		snprintf(why, SEND_WHY_BYTES, "%u flows from port %u on are too many", plan->flows,
			source.sin_port);
		return -EINVAL;
	}
	ret->src_port = source.sin_port;
	compose_header(ret, &source, &target, src_mac);
	sum_template(ret, plan);
	return 0;
}
