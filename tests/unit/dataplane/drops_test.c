// SPDX-License-Identifier: BSD-3-Clause

#include "dataplane/packet.h"
#include "parsing.h"
#include "transport/receive.h"

static void make_nine_extensions(struct frame *f)
{
	make_udp6_options(f, 9);
}

static void make_empty(struct frame *f)
{
	start_ip4(f, NULL, 0, IPPROTO_UDP, NULL, 0);
	finish_udp(f, 514, "", 0);
}

static void make_empty6(struct frame *f)
{
	start_ip6(f, NULL, 0, IPPROTO_UDP, NULL, 0);
	finish_udp(f, 514, "", 0);
}

static void make_dad_with_source_option(struct frame *f)
{
	make_solicit(f);
	memset(f->data + f->l3 + 8, 0, 16);
	seal(f, IPPROTO_ICMPV6);
}

static void make_solicit_with_nonce(struct frame *f)
{
	start_solicit(f);
	add(f, (uint8_t[]){14, 1, 1, 2, 3, 4, 5, 6}, 8);
	seal(f, IPPROTO_ICMPV6);
}

static void make_solicit_with_one_byte_more(struct frame *f)
{
	start_solicit(f);
	add(f, (uint8_t[]){1}, 1);
	seal(f, IPPROTO_ICMPV6);
}

static void make_solicit_with_half_a_target(struct frame *f)
{
	start_solicit(f);
	f->len -= 8;
	seal(f, IPPROTO_ICMPV6);
}

enum layer { L2, L3, L4 };
enum then { KEEP, SEAL_IP4, SEAL, CUT }; // what to do after the change

// A well-formed frame, one change, and the name under which it must be dropped. ip: the value is
// an address; otherwise 'width' bytes of 'value'.
static const struct {
	enum pkt_drop drop;
	void (*make)(struct frame *f);
	enum layer layer;
	int at;
	int width;
	unsigned value;
	enum then then;
	const char *ip;
} bad_frames[] = {
	{DROP_eth_truncated, make_udp4, L2, 13, 0, 0, CUT},
	{DROP_eth_truncated, make_udp4_vlan, L2, 17, 0, 0, CUT},
	{DROP_eth_truncated, make_udp4_qinq, L2, 21, 0, 0, CUT},
	{DROP_eth_other_type, make_udp4, L2, 12, 2, 0x88cc, KEEP},
	{DROP_eth_other_type, make_udp4, L2, 12, 2, 64, KEEP},
	{DROP_eth_other_type, make_udp4_vlan, L3, -2, 2, 0x88cc, KEEP},
	{DROP_eth_other_host, make_udp4, L2, 5, 1, 9, KEEP},
	{DROP_eth_other_host, make_arp, L2, 0, 1, 0x02, KEEP},
	{DROP_vlan_depth, make_udp4_qinq, L3, -2, 2, 0x8100, KEEP},
	{DROP_vlan_depth, make_udp4_qinq_old, L3, -2, 2, 0x9100, KEEP},
	{DROP_arp_bad, make_arp, L3, 27, 0, 0, CUT},
	{DROP_arp_bad, make_arp, L3, 0, 2, 6, KEEP},
	{DROP_arp_bad, make_arp, L3, 2, 2, 0x86dd, KEEP},
	{DROP_arp_bad, make_arp, L3, 4, 1, 8, KEEP},
	{DROP_arp_bad, make_arp, L3, 5, 1, 16, KEEP},
	{DROP_arp_bad, make_arp, L3, 8, 1, 0x03, KEEP},
	{DROP_arp_bad, make_arp, L3, 14, 0, 0, KEEP, "255.255.255.255"},
	{DROP_arp_bad, make_arp, L3, 14, 0, 0, KEEP, "192.0.2.255"},
	{DROP_arp_bad, make_arp, L3, 14, 0, 0, KEEP, "224.0.0.1"},
	{DROP_arp_other, make_arp, L3, 6, 2, 3, KEEP},
	{DROP_arp_other, make_arp_reply, L3, 24, 0, 0, KEEP, "192.0.2.77"},
	{DROP_arp_other, make_arp_reply, L3, 8 + 5, 1, 1, KEEP}, // our own
	{DROP_arp_bad, make_arp_reply, L3, 8, 1, 0x03, KEEP},
	{DROP_arp_other, make_arp, L3, 24, 0, 0, KEEP, "192.0.2.77"},
	{DROP_ip4_truncated, make_udp4, L3, 19, 0, 0, CUT},
	{DROP_ip4_truncated, make_udp4, L3, 2, 2, 34, SEAL_IP4},
	{DROP_ip4_truncated, make_udp4, L3, 2, 2, 0xffff, SEAL_IP4},
	{DROP_ip4_truncated, make_udp4, L3, 0, 1, 0x4f, KEEP},
	{DROP_ip4_bad_header, make_udp4, L3, 0, 1, 0x55, SEAL_IP4},
	{DROP_ip4_bad_header, make_udp4, L3, 0, 1, 0x44, SEAL_IP4},
	{DROP_ip4_bad_header, make_udp4, L3, 0, 1, 0x40, SEAL_IP4},
	{DROP_ip4_bad_header, make_udp4, L3, 2, 2, 19, SEAL_IP4},
	{DROP_ip4_bad_header, make_udp4, L3, 2, 2, 0, SEAL_IP4},
	{DROP_ip4_bad_header, make_udp4_options, L3, 2, 2, 27, SEAL_IP4},
	{DROP_ip4_bad_checksum, make_udp4, L3, 8, 1, 63, KEEP},
	{DROP_ip4_bad_checksum, make_udp4_options, L3, 27, 1, 1, KEEP},
	{DROP_ip4_fragment, make_udp4, L3, 6, 2, 0x2000, SEAL_IP4},
	{DROP_ip4_fragment, make_udp4, L3, 6, 2, 0x0001, SEAL_IP4},
	{DROP_ip4_fragment, make_udp4, L3, 6, 2, 0x1000, SEAL_IP4},
	{DROP_ip6_truncated, make_udp6, L3, 39, 0, 0, CUT},
	{DROP_ip6_truncated, make_udp6, L3, 4, 2, 14, KEEP},
	{DROP_ip6_truncated, make_udp6, L3, 4, 2, 0xffff, KEEP},
	{DROP_ip6_truncated, make_udp6_extensions, L3, 41, 1, 255, KEEP},
	{DROP_ip6_truncated, make_udp6_extensions, L3, 4, 2, 7, KEEP},
	{DROP_ip6_bad_header, make_udp6, L3, 0, 1, 0x40, KEEP},
	{DROP_ip6_bad_header, make_udp6, L3, 8, 0, 0, SEAL, "::ffff:192.0.2.9"},
	{DROP_ip6_bad_header, make_udp6, L3, 24, 0, 0, SEAL, "::ffff:192.0.2.1"},
	{DROP_ip6_bad_header, make_udp6, L3, 8, 0, 0, SEAL, "ff02::9"},
	{DROP_ip6_bad_header, make_udp6_extensions, L3, 40, 1, IPPROTO_HOPOPTS, KEEP},
	{DROP_ip6_bad_header, make_udp6_extensions, L3, 42, 1, 0x45, KEEP},
	{DROP_ip6_bad_header, make_udp6_extensions, L3, 42, 1, 0xc2, KEEP},
	{DROP_ip6_bad_header, make_udp6_extensions, L3, 43, 1, 5, KEEP},
	{DROP_ip6_bad_header, make_udp6_extensions, L3, 47, 1, 1, KEEP},
	{DROP_ip6_bad_header, make_udp6_extensions, L3, 67, 1, 1, KEEP},
	{DROP_ip6_fragment, make_udp6, L3, 6, 1, IPPROTO_FRAGMENT, KEEP},
	{DROP_ip6_fragment, make_udp6_extensions, L3, 64, 1, IPPROTO_FRAGMENT, KEEP},
	{DROP_ip6_ext_depth, make_nine_extensions, L3, 7, 1, 64, KEEP},
	{DROP_ip_other_host, make_udp4, L3, 16, 0, 0, SEAL, "192.0.2.3"},
	{DROP_ip_other_host, make_udp6, L3, 24, 0, 0, SEAL, "2001:db8::3"},
	{DROP_ip_other_host, make_udp6, L3, 24, 0, 0, SEAL, "ff02::1:ff00:1"},
	{DROP_ip_other_host, make_solicit, L3, 24, 0, 0, SEAL, "ff02::1:ff00:2"},
	{DROP_ip_other_proto, make_udp4, L3, 9, 1, IPPROTO_TCP, SEAL_IP4},
	{DROP_ip_other_proto, make_udp4, L3, 9, 1, IPPROTO_ICMPV6, SEAL_IP4},
	{DROP_ip_other_proto, make_udp6, L3, 6, 1, IPPROTO_NONE, KEEP},
	{DROP_ip_other_proto, make_udp6, L3, 6, 1, IPPROTO_ICMP, KEEP},
	{DROP_ip_other_proto, make_udp6_extensions, L3, 64, 1, IPPROTO_TCP, KEEP},
	{DROP_icmp_bad, make_echo4, L3, 2, 2, 27, SEAL_IP4},
	{DROP_icmp_bad, make_echo4, L4, 8, 1, 0, KEEP},
	{DROP_icmp_bad, make_echo4, L4, 1, 1, 1, SEAL},
	{DROP_icmp_bad, make_echo6, L3, 4, 2, 7, KEEP},
	{DROP_icmp_bad, make_echo6, L4, 8, 1, 0, KEEP},
	{DROP_icmp_bad, make_echo6, L4, 1, 1, 1, SEAL},
	{DROP_icmp_bad, make_solicit, L3, 7, 1, 254, SEAL},
	{DROP_icmp_bad, make_solicit, L4, 1, 1, 1, SEAL},
	{DROP_icmp_bad, make_solicit, L4, 8, 0, 0, SEAL, "ff02::1"},
	{DROP_icmp_bad, make_solicit, L4, 25, 1, 0, SEAL},
	{DROP_icmp_bad, make_solicit, L4, 25, 1, 2, SEAL},
	{DROP_icmp_bad, make_solicit, L4, 26, 1, 0x33, SEAL},
	{DROP_icmp_bad, make_solicit, L3, 8, 0, 0, SEAL, "::1"},
	{DROP_icmp_bad, make_solicit, L2, 6, 1, 3, SEAL},
	{DROP_icmp_bad, make_solicit_with_nonce, L4, 25, 1, 2, SEAL},
	{DROP_icmp_bad, make_solicit_with_one_byte_more, L4, 24, 1, 14, SEAL},
	{DROP_icmp_bad, make_solicit_with_half_a_target, L4, 15, 1, 0, SEAL},
	{DROP_icmp_bad, make_dad, L3, 24, 0, 0, SEAL, "2001:db8::1"},
	{DROP_icmp_bad, make_dad_with_source_option, L3, 7, 1, 255, SEAL},
	{DROP_icmp_other, make_echo4, L4, 0, 1, 0, SEAL},
	{DROP_icmp_other, make_echo4, L3, 16, 0, 0, SEAL, "192.0.2.255"},
	{DROP_icmp_other, make_echo4, L3, 16, 0, 0, SEAL, "255.255.255.255"},
	{DROP_icmp_other, make_echo4, L3, 12, 0, 0, SEAL, "0.0.0.0"},
	{DROP_icmp_other, make_echo4, L3, 12, 0, 0, SEAL, "127.0.0.1"},
	{DROP_icmp_other, make_echo4, L3, 12, 0, 0, SEAL, "224.0.0.5"},
	{DROP_icmp_other, make_echo4, L3, 12, 0, 0, SEAL, "192.0.2.255"},
	{DROP_icmp_other, make_echo4, L3, 12, 0, 0, SEAL, "255.255.255.255"},
	{DROP_icmp_other, make_echo4, L2, 0, 1, 0x03, KEEP},
	{DROP_icmp_other, make_echo4, L2, 6, 1, 0x03, KEEP},
	{DROP_icmp_other, make_echo6, L4, 0, 1, 129, SEAL},
	{DROP_icmp_other, make_echo6, L3, 24, 0, 0, SEAL, "ff02::1:ff00:1"},
	{DROP_icmp_other, make_echo6, L3, 8, 0, 0, SEAL, "::"},
	{DROP_icmp_other, make_echo6, L3, 8, 0, 0, SEAL, "::1"},
	{DROP_icmp_other, make_echo6, L2, 0, 1, 0x33, KEEP},
	{DROP_icmp_other, make_solicit, L4, 8, 0, 0, SEAL, "2001:db8:1::1"},
	{DROP_icmp_other, make_solicit, L4, 0, 1, 137, SEAL},
	{DROP_icmp_other, make_advert, L4, 8, 0, 0, SEAL, "::"},
	{DROP_icmp_bad, make_advert, L3, 7, 1, 254, SEAL},
	{DROP_icmp_bad, make_advert, L4, 1, 1, 1, SEAL},
	{DROP_icmp_bad, make_advert, L4, 8, 0, 0, SEAL, "ff02::1"},
	{DROP_icmp_bad, make_advert, L4, 25, 1, 0, SEAL},
	{DROP_icmp_bad, make_advert, L4, 25, 1, 2, SEAL},
	{DROP_icmp_bad, make_advert, L4, 26, 1, 0x33, SEAL},
	{DROP_icmp_bad, make_advert, L3, 24, 0, 0, SEAL, "ff02::1"},
	{DROP_udp_truncated, make_udp4, L3, 2, 2, 27, SEAL_IP4},
	{DROP_udp_truncated, make_udp4, L3, 2, 2, 20, SEAL_IP4},
	{DROP_udp_truncated, make_udp4, L4, 4, 2, 14, KEEP},
	{DROP_udp_truncated, make_udp4, L4, 4, 2, 0xffff, KEEP},
	{DROP_udp_truncated, make_udp6, L3, 4, 2, 7, KEEP},
	{DROP_udp_truncated, make_udp6, L4, 4, 2, 14, KEEP},
	{DROP_udp_bad_length, make_udp4, L4, 4, 2, 7, KEEP},
	{DROP_udp_bad_length, make_udp4, L4, 4, 2, 0, KEEP},
	{DROP_udp_bad_length, make_udp6, L4, 4, 2, 0, KEEP},
	{DROP_udp_bad_checksum, make_udp4, L4, 8, 1, 'j', KEEP},
	{DROP_udp_bad_checksum, make_udp4, L4, 12, 1, 'j', KEEP},
	{DROP_udp_bad_checksum, make_udp4, L4, 0, 2, 40001, KEEP},
	{DROP_udp_bad_checksum, make_udp6, L3, 23, 1, 0x0a, KEEP},
	{DROP_udp_zero_checksum6, make_udp6, L4, 6, 2, 0, KEEP},
	{DROP_udp_no_listener, make_udp4, L4, 2, 2, 515, KEEP},
	{DROP_udp_no_listener, make_udp6, L4, 2, 2, 515, KEEP},
	{DROP_udp_empty, make_empty, L3, 1, 1, 0, KEEP},
	{DROP_udp_empty, make_empty6, L3, 7, 1, 64, KEEP},
};
#define BAD_FRAMES (sizeof(bad_frames) / sizeof(bad_frames[0]))

static void make_bad_frame(struct frame *f, unsigned row)
{
	uint32_t at;

	bad_frames[row].make(f);
	at = bad_frames[row].layer == L2 ? 0 : bad_frames[row].layer == L3 ? f->l3 : f->l4;
	at += (uint32_t)bad_frames[row].at;
	if (bad_frames[row].then == CUT)
		f->len = at;
	else if (bad_frames[row].ip != NULL)
		put_ip(f, at, bad_frames[row].ip);
	else if (bad_frames[row].width == 1)
		put8(f, at, bad_frames[row].value);
	else
		put_be16(f, at, bad_frames[row].value);
	if (bad_frames[row].then == SEAL_IP4)
		seal_ip4(f);
	else if (bad_frames[row].then == SEAL)
		seal(f, f->proto);
}

static void each_bad_frame_is_dropped_under_its_name(void **state)
{
	struct frame f;

	(void)state;
	for (unsigned row = 0; row < BAD_FRAMES; row++) {
		struct packet packet;

		make_bad_frame(&f, row);
		packet = parse(&f);
		if (packet.kind != PACKET_DROP || packet.drop != bad_frames[row].drop)
			fail_msg("row %u: kind %d, drop %d, not %d", row, packet.kind, packet.drop,
				bad_frames[row].drop);
	}
}

// A name that no frame can bring about would be a counter that says nothing.
static void each_name_that_parsing_can_give_is_reached(void **state)
{
	static const char *const names[] = {
#define PKT_DROP(name, help) #name,
#include "common/drops.def"
	};
	bool seen[DROP_COUNT] = {
		// Of the loop around the parser.
		[DROP_scattered] = true,
		[DROP_frag_bad] = true,
		[DROP_frag_full] = true,
		[DROP_frag_timeout] = true,
		[DROP_source_denied] = true,
		[DROP_source_rate] = true,
		[DROP_host_rate] = true,
		[DROP_host_full] = true,
		[DROP_ring_full] = true,
		[DROP_tx_full] = true,
#define X(name, help) [DROP_rel_##name] = true,
		RECEIVE_DROPS(X)
#undef X
			[DROP_rel_unconfirmed] = true,
		[DROP_rel_untaken] = true,
	};
	struct frame f;

	(void)state;
	for (unsigned row = 0; row < BAD_FRAMES; row++) {
		struct packet packet;

		make_bad_frame(&f, row);
		packet = parse(&f);
		if (packet.kind == PACKET_DROP)
			seen[packet.drop] = true;
	}
	for (unsigned drop = 0; drop < DROP_COUNT; drop++)
		if (!seen[drop])
			fail_msg("no frame is dropped as %s", names[drop]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_bad_frame_is_dropped_under_its_name, fresh),
		cmocka_unit_test_setup(each_name_that_parsing_can_give_is_reached, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
