// SPDX-License-Identifier: BSD-3-Clause

#include "dataplane/packet.h"
#include "parsing.h"

static void assert_hello(const struct frame *f, const struct packet *packet)
{
	uint8_t src[16];

	inet_pton(AF_INET6, is_ip6(f) ? "2001:db8::9" : "::ffff:192.0.2.9", src);
	assert_int_equal(packet->payload_len, 5);
	assert_memory_equal(f->data + packet->payload, "hello", 5);
	assert_int_equal(packet->src_port, 40000);
	assert_int_equal(packet->dst_port, 514);
	assert_int_equal(packet->listener, 0);
	assert_memory_equal(packet->src_addr, src, 16);
}

static void well_formed_frames_are_known_for_what_they_are(void **state)
{
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < WELL_FORMED; i++) {
		struct packet packet;

		well_formed[i].make(&f);
		packet = parse(&f);
		if (packet.kind != well_formed[i].kind)
			fail_msg("%s: kind %d, drop %d", well_formed[i].name, packet.kind,
				packet.drop);
		assert_int_equal(packet.l3, f.l3);
		if (f.proto != 0) // not ARP
			assert_int_equal(packet.l4, f.l4);
		if (packet.kind == PACKET_DATAGRAM)
			assert_hello(&f, &packet);
	}
}

// Only datagrams come from a mirror port's traffic; the rest is well-formed but not asked of us.
static void a_promiscuous_host_answers_nothing(void **state)
{
	struct frame f;

	(void)state;
	host.promiscuous = true;
	host.address_count = 0;
	for (unsigned i = 0; i < WELL_FORMED; i++) {
		struct packet packet;

		well_formed[i].make(&f);
		memset(f.data, 0x02, 6); // some other host's MAC
		packet = parse(&f);
		if (well_formed[i].kind == PACKET_DATAGRAM)
			assert_int_equal(packet.kind, PACKET_DATAGRAM);
		else
			assert_int_equal(
				packet.drop, f.proto == 0 ? DROP_arp_other : DROP_icmp_other);
	}
}

static enum pkt_drop truncation_of(const struct frame *f, uint32_t len)
{
	if (len < f->l3)
		return DROP_eth_truncated;
	if (take_be16(f, f->l3 - 2) == 0x0806)
		return DROP_arp_bad;
	return is_ip6(f) ? DROP_ip6_truncated : DROP_ip4_truncated;
}

static void a_frame_cut_at_any_byte_is_called_truncated(void **state)
{
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < WELL_FORMED; i++) {
		well_formed[i].make(&f);
		for (uint32_t len = 0; len < f.len; len++) {
			struct packet packet =
				parse_with(f.data, len, CHECKSUM_GOOD, CHECKSUM_GOOD);

			assert_int_equal(packet.kind, PACKET_DROP);
			if (packet.drop != truncation_of(&f, len))
				fail_msg("%s cut to %u: drop %d", well_formed[i].name, len,
					packet.drop);
		}
	}
}

// The IP header says so, and the frame ends there too: each inner header must see its own end.
static void an_ip_packet_cut_at_any_byte_is_dropped(void **state)
{
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < WELL_FORMED; i++) {
		well_formed[i].make(&f);
		if (well_formed[i].kind == PACKET_ARP_REQUEST)
			continue;
		for (uint32_t end = f.l3; end < f.len; end++) {
			struct packet packet;

			if (!is_ip6(&f)) {
				put_be16(&f, f.l3 + 2, end - f.l3);
			} else {
				if (end < f.l3 + 40)
					continue;
				put_be16(&f, f.l3 + 4, end - f.l3 - 40);
			}
			packet = parse_with(f.data, end, CHECKSUM_GOOD, CHECKSUM_UNKNOWN);
			if (packet.kind != PACKET_DROP)
				fail_msg("%s cut to %u was taken", well_formed[i].name, end);
		}
	}
}

static void padding_behind_the_ip_packet_is_not_payload(void **state)
{
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < WELL_FORMED; i++) {
		struct packet packet;

		well_formed[i].make(&f);
		f.len += 30;
		memset(f.data + f.len - 30, 0xee, 30);
		packet = parse(&f);
		assert_int_equal(packet.kind, well_formed[i].kind);
		if (packet.kind == PACKET_DATAGRAM)
			assert_hello(&f, &packet);
	}
}

static void bytes_between_udp_and_ip_length_are_ignored(void **state)
{
	void (*make[])(struct frame *) = {make_udp4, make_udp6};
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct packet packet;

		make[i](&f);
		add(&f, "surplus", 7);
		seal(&f, IPPROTO_UDP);
		put_be16(&f, f.l4 + 4, 13);
		seal_l4(&f, IPPROTO_UDP, 13);
		packet = parse(&f);
		assert_int_equal(packet.kind, PACKET_DATAGRAM);
		assert_int_equal(packet.l4_len, 20);
		assert_hello(&f, &packet);
	}
}

static void the_dont_fragment_bit_is_no_fragment(void **state)
{
	struct frame f;

	(void)state;
	make_udp4(&f);
	put_be16(&f, f.l3 + 6, 0x4000);
	seal_ip4(&f);
	assert_int_equal(parse(&f).kind, PACKET_DATAGRAM);
}

static void large_datagrams_of_any_length_are_summed_right(void **state)
{
	uint8_t payload[3000];
	struct frame f;

	(void)state;
	srandom(3);
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)random();
	for (uint32_t len = 1; len < sizeof(payload); len += 37) {
		start_ip4(&f, NULL, 0, IPPROTO_UDP, NULL, 0);
		finish_udp(&f, 514, payload, len);
		assert_int_equal(parse(&f).payload_len, len);
		put8(&f, f.len - 1, f.data[f.len - 1] ^ 1u);
		assert_int_equal(parse(&f).drop, DROP_udp_bad_checksum);
	}
}

// A sum of zero is sent as all ones, since zero says that there is none.
static void a_checksum_of_all_ones_is_a_right_one(void **state)
{
	void (*make[])(struct frame *) = {make_udp4, make_udp6};
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		unsigned had;

		make[i](&f);
		f.len++; // to an even length, so that the last two bytes are one word
		put_be16(&f, f.len - 2, 0);
		seal(&f, IPPROTO_UDP);
		had = take_be16(&f, f.l4 + 6);
		put_be16(&f, f.len - 2, had);
		seal(&f, IPPROTO_UDP);
		assert_int_equal(take_be16(&f, f.l4 + 6), 0xffff);
		assert_int_equal(parse(&f).kind, PACKET_DATAGRAM);
	}
}

enum field { FIELD_RIGHT, FIELD_WRONG, FIELD_ZERO };

static enum pkt_drop udp_verdict(bool ip6, enum field field, enum checksum_state state)
{
	if (state == CHECKSUM_NONE)
		return DROP_COUNT;
	if (field == FIELD_ZERO)
		return ip6 ? DROP_udp_zero_checksum6 : DROP_COUNT;
	if (state == CHECKSUM_GOOD)
		return DROP_COUNT;
	if (state == CHECKSUM_BAD)
		return DROP_udp_bad_checksum;
	return field == FIELD_RIGHT ? DROP_COUNT : DROP_udp_bad_checksum;
}

static void set_udp_checksum(struct frame *f, enum field field)
{
	unsigned right = take_be16(f, f->l4 + 6);

	if (field != FIELD_RIGHT)
		put_be16(f, f->l4 + 6, field == FIELD_WRONG ? right ^ 0x0101 : 0);
}

static void each_state_of_the_udp_checksum_is_judged_by_its_rule(void **state)
{
	struct frame f;

	(void)state;
	for (unsigned ip6 = 0; ip6 < 2; ip6++)
		for (enum field field = FIELD_RIGHT; field <= FIELD_ZERO; field++)
			for (enum checksum_state l4 = CHECKSUM_UNKNOWN; l4 <= CHECKSUM_NONE; l4++) {
				enum pkt_drop want = udp_verdict(ip6, field, l4), got;

				if (ip6)
					make_udp6(&f);
				else
					make_udp4(&f);
				set_udp_checksum(&f, field);
				got = parse_with(f.data, f.len, CHECKSUM_GOOD, l4).drop;
				if (got != want)
					fail_msg("IPv%d field %d state %d: %d, not %d", ip6 ? 6 : 4,
						field, l4, got, want);
			}
}

static void each_state_of_the_ip_checksum_is_judged_by_its_rule(void **state)
{
	static const struct {
		enum checksum_state state;
		bool right, wrong; // accepted with such a field?
	} rules[] = {
		{CHECKSUM_UNKNOWN, true, false},
		{CHECKSUM_BAD, false, false},
		{CHECKSUM_GOOD, true, true},
		{CHECKSUM_NONE, true, true},
	};
	void (*make[])(struct frame *) = {make_udp4, make_udp4_options};
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		unsigned rule = i % 4;

		make[i / 4](&f);
		assert_int_equal(parse_with(f.data, f.len, rules[rule].state, CHECKSUM_GOOD).drop,
			rules[rule].right ? DROP_COUNT : DROP_ip4_bad_checksum);
		put8(&f, f.l3 + 11, f.data[f.l3 + 11] ^ 1u);
		assert_int_equal(parse_with(f.data, f.len, rules[rule].state, CHECKSUM_GOOD).drop,
			rules[rule].wrong ? DROP_COUNT : DROP_ip4_bad_checksum);
	}
}

static void each_state_of_the_icmp_checksum_is_judged_by_its_rule(void **state)
{
	static const bool wrong_taken[] = {
		[CHECKSUM_UNKNOWN] = false,
		[CHECKSUM_BAD] = false,
		[CHECKSUM_GOOD] = true,
		[CHECKSUM_NONE] = true,
	};
	void (*make[])(struct frame *) = {make_echo4, make_echo6, make_solicit};
	struct frame f;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		for (enum checksum_state l4 = CHECKSUM_UNKNOWN; l4 <= CHECKSUM_NONE; l4++) {
			make[i](&f);
			assert_int_equal(parse_with(f.data, f.len, CHECKSUM_GOOD, l4).drop,
				l4 == CHECKSUM_BAD ? DROP_icmp_bad : DROP_COUNT);
			put8(&f, f.l4 + 3, f.data[f.l4 + 3] ^ 1u);
			assert_int_equal(parse_with(f.data, f.len, CHECKSUM_GOOD, l4).drop,
				wrong_taken[l4] ? DROP_COUNT : DROP_icmp_bad);
		}
}

static void eight_extension_headers_are_allowed(void **state)
{
	struct packet packet;
	struct frame f;

	(void)state;
	make_udp6_options(&f, 8);
	packet = parse(&f);
	assert_int_equal(packet.kind, PACKET_DATAGRAM);
	assert_hello(&f, &packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(well_formed_frames_are_known_for_what_they_are, fresh),
		cmocka_unit_test_setup(a_promiscuous_host_answers_nothing, fresh),
		cmocka_unit_test_setup(a_frame_cut_at_any_byte_is_called_truncated, fresh),
		cmocka_unit_test_setup(an_ip_packet_cut_at_any_byte_is_dropped, fresh),
		cmocka_unit_test_setup(padding_behind_the_ip_packet_is_not_payload, fresh),
		cmocka_unit_test_setup(bytes_between_udp_and_ip_length_are_ignored, fresh),
		cmocka_unit_test_setup(the_dont_fragment_bit_is_no_fragment, fresh),
		cmocka_unit_test_setup(large_datagrams_of_any_length_are_summed_right, fresh),
		cmocka_unit_test_setup(a_checksum_of_all_ones_is_a_right_one, fresh),
		cmocka_unit_test_setup(each_state_of_the_udp_checksum_is_judged_by_its_rule, fresh),
		cmocka_unit_test_setup(each_state_of_the_ip_checksum_is_judged_by_its_rule, fresh),
		cmocka_unit_test_setup(
			each_state_of_the_icmp_checksum_is_judged_by_its_rule, fresh),
		cmocka_unit_test_setup(eight_extension_headers_are_allowed, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
