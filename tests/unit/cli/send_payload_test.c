// SPDX-License-Identifier: BSD-3-Clause
// The UDP payload of captured packets, of each kind and cut at each byte.

#include "cli/send/payload.h"

#include <pcap/dlt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ETHERNET "\1\2\3\4\5\6\7\10\11\12\13\14"
#define VLAN "\x81\x00\x00\x07"
#define SERVICE "\x88\xa8\x00\x09"
#define SLL "\0\0\0\1\0\6\1\2\3\4\5\6\0\0"
#define SLL2 "\0\0\0\0\0\2\0\1\0\6\1\2\3\4\5\6\0\0"
#define ADDRESSES4 "\xc0\0\2\1\xc0\0\2\2"
#define ADDRESSES6 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2"
// The payload is "event".
#define UDP "\x30\x39\x14\x14\0\15\0\0event"
// Total length 33, and with four bytes of options 37.
#define IP4(flags) "\x45\0\0\x21\0\1" flags "\x40\x11\0\0" ADDRESSES4
#define IP4_OPTIONS "\x46\0\0\x25\0\1\0\0\x40\x11\0\0" ADDRESSES4 "\1\1\1\0"
#define IP6(len, next) "\x60\0\0\0\0" len next "\x40" ADDRESSES6
#define EXTENSION(next) next "\0\1\4\0\0\0\0"
#define FRAGMENT(next, offset) next "\0" offset "\0\0\0\1"
#define AH(next) next "\1\0\0\0\0\0\1\0\0\0\1"

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *what;
	int link;
	const char *packet;
	uint32_t len;
	uint32_t padding; // behind the datagram
	enum payload_skip skip;
} packets[] = {
	{"IPv4", DLT_EN10MB, BYTES(ETHERNET "\x8\0" IP4("\x40\0") UDP), 0, PAYLOAD_FOUND},
	{"padding", DLT_EN10MB, BYTES(ETHERNET "\x8\0" IP4("\0\0") UDP "\0\0\0\0"), 4,
		PAYLOAD_FOUND},
	{"options", DLT_EN10MB, BYTES(ETHERNET "\x8\0" IP4_OPTIONS UDP), 0, PAYLOAD_FOUND},
	{"VLAN", DLT_EN10MB, BYTES(ETHERNET VLAN "\x8\0" IP4("\0\0") UDP), 0, PAYLOAD_FOUND},
	{"QinQ", DLT_EN10MB, BYTES(ETHERNET SERVICE VLAN "\x86\xdd" IP6("\15", "\21") UDP), 0,
		PAYLOAD_FOUND},
	{"raw IPv4", DLT_RAW, BYTES(IP4("\0\0") UDP), 0, PAYLOAD_FOUND},
	{"raw IPv6", DLT_RAW, BYTES(IP6("\15", "\21") UDP), 0, PAYLOAD_FOUND},
	{"IPv4 alone", DLT_IPV4, BYTES(IP4("\0\0") UDP), 0, PAYLOAD_FOUND},
	{"IPv6 alone", DLT_IPV6, BYTES(IP6("\15", "\21") UDP), 0, PAYLOAD_FOUND},
	{"cooked", DLT_LINUX_SLL, BYTES(SLL "\x8\0" IP4("\0\0") UDP), 0, PAYLOAD_FOUND},
	{"cooked, VLAN", DLT_LINUX_SLL, BYTES(SLL VLAN "\x8\0" IP4("\0\0") UDP), 0, PAYLOAD_FOUND},
	{"cooked 2", DLT_LINUX_SLL2, BYTES("\x86\xdd" SLL2 IP6("\15", "\21") UDP), 0,
		PAYLOAD_FOUND},
	{"IPv6 extensions", DLT_EN10MB,
		BYTES(ETHERNET "\x86\xdd" IP6("\x31", "\0") EXTENSION("\53") EXTENSION("\74")
				EXTENSION("\63") AH("\21") UDP),
		0, PAYLOAD_FOUND},
	{"a fragment that is all", DLT_EN10MB,
		BYTES(ETHERNET "\x86\xdd" IP6("\25", "\54") FRAGMENT("\21", "\0\0") UDP), 0,
		PAYLOAD_FOUND},
	{"ARP", DLT_EN10MB, BYTES(ETHERNET "\x8\6\0\1\x8\0\6\4"), 0, PAYLOAD_NOT_IP},
	{"LLC", DLT_EN10MB, BYTES(ETHERNET "\0\x26\x42\x42\3"), 0, PAYLOAD_NOT_IP},
	{"raw, but what", DLT_RAW, BYTES("\x25\0\0"), 0, PAYLOAD_NOT_IP},
	{"TCP", DLT_RAW, BYTES("\x45\0\0\x15\0\1\0\0\x40\6\0\0" ADDRESSES4 "x"), 0,
		PAYLOAD_NOT_UDP},
	{"ICMPv6", DLT_RAW, BYTES(IP6("\11", "\0") EXTENSION("\72") "x"), 0, PAYLOAD_NOT_UDP},
	{"first fragment", DLT_RAW, BYTES(IP4("\x20\0") UDP), 0, PAYLOAD_FRAGMENT},
	{"last fragment", DLT_RAW, BYTES(IP4("\0\1") UDP), 0, PAYLOAD_FRAGMENT},
	{"IPv6 fragment", DLT_RAW, BYTES(IP6("\25", "\54") FRAGMENT("\21", "\0\1") UDP), 0,
		PAYLOAD_FRAGMENT},
	{"IPv6 last fragment", DLT_RAW, BYTES(IP6("\25", "\54") FRAGMENT("\21", "\0\x8") UDP), 0,
		PAYLOAD_FRAGMENT},
	{"fragment of TCP", DLT_RAW, BYTES(IP6("\25", "\54") FRAGMENT("\6", "\0\1") UDP), 0,
		PAYLOAD_NOT_UDP},
	{"no header so short", DLT_RAW, BYTES("\x44" IP4("\0\0") UDP), 0, PAYLOAD_MALFORMED},
	{"a version of its own", DLT_EN10MB, BYTES(ETHERNET "\x8\0" IP6("\15", "\21") UDP), 0,
		PAYLOAD_MALFORMED},
	{"longer than its frame", DLT_RAW, BYTES("\x45\0\0\x22\0\1\0\0\x40\x11\0\0" ADDRESSES4 UDP),
		0, PAYLOAD_MALFORMED},
	{"IPv6, longer", DLT_RAW, BYTES(IP6("\16", "\21") UDP), 0, PAYLOAD_MALFORMED},
	{"a datagram longer than its packet", DLT_RAW,
		BYTES(IP4("\0\0") "\x30\x39\x14\x14\0\16\0\0event"), 0, PAYLOAD_MALFORMED},
	{"a datagram that goes on into the padding", DLT_RAW,
		BYTES(IP4("\0\0") "\x30\x39\x14\x14\0\16\0\0event\0\0"), 0, PAYLOAD_MALFORMED},
	{"the same with IPv6", DLT_RAW,
		BYTES(IP6("\15", "\21") "\x30\x39\x14\x14\0\16\0\0event\0\0"), 0,
		PAYLOAD_MALFORMED},
	{"a datagram shorter than its header", DLT_RAW,
		BYTES(IP4("\0\0") "\x30\x39\x14\x14\0\7\0\0event"), 0, PAYLOAD_MALFORMED},
	{"an extension longer than its packet", DLT_RAW,
		BYTES(IP6("\10", "\0") "\21\1\1\4\0\0\0\0"), 0, PAYLOAD_MALFORMED},
	{"no room for a header", DLT_EN10MB, BYTES(ETHERNET "\x8"), 0, PAYLOAD_MALFORMED},
};

#define COUNT (sizeof(packets) / sizeof(packets[0]))

static void each_kind_is_what_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		const uint8_t *packet = (const uint8_t *)packets[i].packet, *payload = NULL;
		uint32_t len = 0;
		enum payload_skip skip = payload_find(
			packets[i].link, packet, packets[i].len, packets[i].len, &payload, &len);

		if (skip != packets[i].skip)
			fail_msg("%s: %d instead of %d", packets[i].what, skip, packets[i].skip);
		assert_true(payload_reads(packets[i].link));
		if (skip != PAYLOAD_FOUND)
			continue;
		assert_int_equal(len, 5);
		assert_memory_equal(payload, "event", 5);
	}
}

static void cut_short_it_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		const uint8_t *packet = (const uint8_t *)packets[i].packet, *payload;
		uint32_t len, whole = packets[i].len - packets[i].padding;

		if (packets[i].skip != PAYLOAD_FOUND)
			continue;
		for (uint32_t captured = 0; captured <= packets[i].len; captured++) {
			enum payload_skip skip = payload_find(
				packets[i].link, packet, captured, packets[i].len, &payload, &len);

			if (skip != (captured < whole ? PAYLOAD_CUT : PAYLOAD_FOUND))
				fail_msg("%s, %u bytes: %d", packets[i].what, captured, skip);
		}
	}
}

static void an_empty_datagram_is_an_event(void **state)
{
	static const char packet[] =
		"\x45\0\0\x1c\0\1\0\0\x40\x11\0\0" ADDRESSES4 "\x30\x39\x14\x14\0\x8\0";
	const uint8_t *payload;
	uint32_t len = 1;

	(void)state;
	assert_int_equal(payload_find(DLT_RAW, (const uint8_t *)packet, sizeof(packet),
				 sizeof(packet), &payload, &len),
		PAYLOAD_FOUND);
	assert_int_equal(len, 0);
}

static void other_links_are_not_read(void **state)
{
	(void)state;
	assert_false(payload_reads(DLT_IEEE802_11));
	assert_false(payload_reads(DLT_NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_what_it_is),
		cmocka_unit_test(cut_short_it_is_cut),
		cmocka_unit_test(an_empty_datagram_is_an_event),
		cmocka_unit_test(other_links_are_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
