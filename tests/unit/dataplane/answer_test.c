// SPDX-License-Identifier: BSD-3-Clause

#include "dataplane/packet.h"
#include "parsing.h"

#define ROOM 2048

// What scapy makes of the same answers (ARP, ICMP and ICMPv6 with the addresses of packets.h).
static const uint8_t arp_reply[] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00,
	0x00, 0x01, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, 0x02, 0x00, 0x00,
	0x00, 0x00, 0x01, 0xc0, 0x00, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0xc0, 0x00,
	0x02, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00};

static const uint8_t echo4_reply[] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00,
	0x00, 0x01, 0x08, 0x00, 0x45, 0x00, 0x00, 0x2d, 0x00, 0x00, 0x40, 0x00, 0x40, 0x01, 0xb6,
	0xc5, 0xc0, 0x00, 0x02, 0x01, 0xc0, 0x00, 0x02, 0x09, 0x00, 0x00, 0x6e, 0x5e, 0x12, 0x34,
	0x00, 0x07, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x30, 0x31, 0x32, 0x33, 0x34,
	0x35, 0x36, 0x37, 0x21, 0x00};

static const uint8_t echo6_reply[] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00,
	0x00, 0x01, 0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x19, 0x3a, 0x40, 0x20, 0x01, 0x0d,
	0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01,
	0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x81,
	0x00, 0x91, 0x8e, 0x12, 0x34, 0x00, 0x07, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
	0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x21};

static const uint8_t advertisement[] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00,
	0x00, 0x01, 0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01, 0x0d,
	0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01,
	0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x88,
	0x00, 0x8a, 0x6c, 0x60, 0x00, 0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00,
	0x01};

static const uint8_t advertisement_to_all[] = {0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00,
	0x00, 0x00, 0x01, 0x86, 0xdd, 0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0x20, 0x01,
	0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0xff,
	0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
	0x88, 0x00, 0xf9, 0x2a, 0x20, 0x00, 0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00,
	0x00, 0x01};

static uint8_t answered[ROOM];

// Length of the answer, which is left in answered[]; what lies behind the inquiry is not zero.
static uint32_t answer(const struct frame *f, uint32_t room)
{
	struct packet packet;
	uint8_t *buffer = malloc(room);
	uint32_t n;

	assert_non_null(buffer);
	memset(buffer, 0xee, room);
	memcpy(buffer, f->data, f->len);
	packet_parse(buffer, f->len, CHECKSUM_UNKNOWN, CHECKSUM_UNKNOWN, &host, &table, &packet);
	assert_int_not_equal(packet.kind, PACKET_DROP);
	n = host_answer(buffer, f->len, room, &packet, &host);
	assert_true(n <= room);
	memcpy(answered, buffer, n);
	free(buffer);
	return n;
}

static void assert_answer(const struct frame *f, const uint8_t *want, uint32_t len)
{
	assert_int_equal(answer(f, ROOM), len);
	assert_memory_equal(answered, want, len);
}

static void each_inquiry_has_the_answer_that_scapy_gives(void **state)
{
	struct frame f;

	(void)state;
	make_arp(&f);
	assert_answer(&f, arp_reply, sizeof(arp_reply));
	make_echo4(&f);
	assert_answer(&f, echo4_reply, sizeof(echo4_reply));
	make_echo6(&f);
	assert_answer(&f, echo6_reply, sizeof(echo6_reply));
	make_solicit(&f);
	assert_answer(&f, advertisement, sizeof(advertisement));
	make_dad(&f);
	assert_answer(&f, advertisement_to_all, sizeof(advertisement_to_all));
}

static void the_padding_of_an_inquiry_is_not_sent_back(void **state)
{
	struct frame f;

	(void)state;
	make_arp(&f);
	memset(f.data + f.len, 0xee, 100);
	f.len += 100;
	assert_answer(&f, arp_reply, sizeof(arp_reply));
	make_echo4(&f);
	memset(f.data + f.len, 0xee, 100);
	f.len += 100;
	assert_answer(&f, echo4_reply, sizeof(echo4_reply));
}

// Options and extension headers, with an odd number of bytes echoed.
static void options_and_extension_headers_are_not_sent_back(void **state)
{
	static const uint8_t nops[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
	static const uint8_t padding[8] = {IPPROTO_ICMPV6, 0, 1, 4, 0, 0, 0, 0};
	struct frame f;

	(void)state;
	start_ip4(&f, NULL, 0, IPPROTO_ICMP, nops, sizeof(nops));
	finish_echo(&f, IPPROTO_ICMP, "abcdefgh01234567!", 17);
	assert_answer(&f, echo4_reply, sizeof(echo4_reply));
	start_ip6(&f, NULL, 0, IPPROTO_HOPOPTS, padding, sizeof(padding));
	finish_echo(&f, IPPROTO_ICMPV6, "abcdefgh01234567!", 17);
	assert_answer(&f, echo6_reply, sizeof(echo6_reply));
}

static void vlan_tags_come_back_as_they_came(void **state)
{
	static const uint16_t tags[] = {0x88a8, 0x8100};
	struct frame f;

	(void)state;
	start_ip4(&f, tags, 2, IPPROTO_ICMP, NULL, 0);
	finish_echo(&f, IPPROTO_ICMP, "abcdefgh01234567!", 17);
	assert_int_equal(answer(&f, ROOM), 8 + 59);
	assert_memory_equal(answered, echo4_reply, 12);
	assert_memory_equal(answered + 12, f.data + 12, 8);
	assert_memory_equal(answered + 20, echo4_reply + 12, 47);
}

static void the_type_of_service_comes_back_as_it_came(void **state)
{
	struct frame f;

	(void)state;
	make_echo4(&f);
	put8(&f, f.l3 + 1, 0xb8);
	seal(&f, IPPROTO_ICMP);
	assert_int_equal(answer(&f, ROOM), 60);
	assert_int_equal(answered[15], 0xb8);
	assert_int_equal(oracle_sum(0, answered + 14, 20), 0xffff);
	make_echo6(&f);
	put_be16(&f, f.l3, 0x6b81); // traffic class 0xb8, flow label 0x1....
	assert_int_equal(answer(&f, ROOM), sizeof(echo6_reply));
	assert_int_equal(answered[14], 0x6b);
	assert_int_equal(answered[15], 0x80);
}

// RFC 5227, 2.1.1: who asks whether the address is taken has none yet.
static void a_probe_by_arp_is_answered(void **state)
{
	struct frame f;

	(void)state;
	make_arp(&f);
	memset(f.data + f.l3 + 14, 0, 4);
	assert_int_equal(answer(&f, ROOM), 60);
	assert_memory_equal(answered, arp_reply, 38);
	assert_memory_equal(answered + 38, "\0\0\0\0", 4);
}

static void any_of_the_hosts_addresses_is_answered_for(void **state)
{
	struct frame f;

	(void)state;
	make_arp(&f);
	put_ip(&f, f.l3 + 24, "198.51.100.6");
	assert_int_equal(answer(&f, ROOM), 60);
	assert_memory_equal(answered + 28, f.data + f.l3 + 24, 4);
	make_solicit(&f);
	put_ip(&f, f.l3 + 24, "ff02::1:ff02:1");
	put_ip(&f, f.l4 + 8, "2001:db8::2:1");
	seal(&f, IPPROTO_ICMPV6);
	assert_int_equal(answer(&f, ROOM), 86);
	assert_memory_equal(answered + 22, f.data + f.l4 + 8, 16);
	assert_memory_equal(answered + 62, f.data + f.l4 + 8, 16);
}

// The option is what its sender wants to be reached by; without it there is only the frame.
static void an_advertisement_goes_to_the_source_link_layer_address(void **state)
{
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 9};
	struct frame f;

	(void)state;
	make_solicit(&f);
	memcpy(f.data + f.l4 + 26, other, 6);
	seal(&f, IPPROTO_ICMPV6);
	assert_int_equal(answer(&f, ROOM), sizeof(advertisement));
	assert_memory_equal(answered, other, 6);
	assert_memory_equal(answered + 6, advertisement + 6, sizeof(advertisement) - 6);
	start_solicit(&f);
	seal(&f, IPPROTO_ICMPV6);
	assert_answer(&f, advertisement, sizeof(advertisement));
	// Behind an option that says nothing here.
	start_solicit(&f);
	add(&f, (uint8_t[]){14, 1, 0, 0, 0, 0, 0, 0, 1, 1}, 10);
	add(&f, other, 6);
	seal(&f, IPPROTO_ICMPV6);
	assert_int_equal(answer(&f, ROOM), sizeof(advertisement));
	assert_memory_equal(answered, other, 6);
}

static void a_solicitation_to_the_address_itself_is_answered(void **state)
{
	struct frame f;

	(void)state;
	make_solicit(&f);
	memcpy(f.data, host_mac, 6);
	put_ip(&f, f.l3 + 24, "2001:db8::1");
	seal(&f, IPPROTO_ICMPV6);
	assert_answer(&f, advertisement, sizeof(advertisement));
}

static void echoes_of_any_length_come_back_whole(void **state)
{
	uint8_t data[1500];
	struct frame f;

	(void)state;
	srandom(5);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random();
	for (uint32_t len = 0; len <= sizeof(data); len += len < 40 ? 1 : 73) {
		start_ip4(&f, NULL, 0, IPPROTO_ICMP, NULL, 0);
		finish_echo(&f, IPPROTO_ICMP, data, len);
		assert_int_equal(answer(&f, ROOM), f.len < 60 ? 60 : f.len);
		assert_memory_equal(answered + 42, data, len);
		assert_int_equal(oracle_sum(0, answered + 34, 8 + len), 0xffff);
	}
}

static void without_room_there_is_no_answer(void **state)
{
	struct frame f;

	(void)state;
	make_arp(&f);
	assert_int_equal(answer(&f, 59), 0);
	assert_int_equal(answer(&f, 60), 60);
	make_dad(&f);
	assert_int_equal(answer(&f, 85), 0);
	assert_int_equal(answer(&f, 86), 86);
}

static void datagrams_drops_and_promiscuous_hosts_are_not_answered(void **state)
{
	struct packet packet;
	struct frame f;

	(void)state;
	make_udp4(&f);
	assert_int_equal(answer(&f, ROOM), 0);
	make_echo4(&f);
	packet = parse(&f);
	packet.kind = PACKET_DROP;
	assert_int_equal(host_answer(f.data, f.len, ROOM, &packet, &host), 0);
	packet.kind = PACKET_ECHO4;
	host.promiscuous = true;
	assert_int_equal(host_answer(f.data, f.len, ROOM, &packet, &host), 0);
}

// Two hosts of this kind must not talk to each other for ever.
static void no_answer_is_an_inquiry(void **state)
{
	static const struct {
		void (*make)(struct frame *f);
		enum packet_kind kind;
	} inquiries[] = {
		{make_arp, PACKET_NEIGHBOUR},
		{make_echo4, PACKET_DROP},
		{make_echo6, PACKET_DROP},
		{make_solicit, PACKET_NEIGHBOUR},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(inquiries) / sizeof(inquiries[0]); i++) {
		struct packet packet;
		struct frame f;

		fresh(NULL);
		inquiries[i].make(&f);
		f.len = answer(&f, ROOM);
		memcpy(f.data, answered, f.len);
		memcpy(host.mac, peer_mac, 6);
		host.addresses[0] = address_of("192.0.2.9", 24);
		host.addresses[1] = address_of("2001:db8::9", 64);
		packet = parse(&f);
		assert_int_equal(packet.kind, inquiries[i].kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_inquiry_has_the_answer_that_scapy_gives, fresh),
		cmocka_unit_test_setup(the_padding_of_an_inquiry_is_not_sent_back, fresh),
		cmocka_unit_test_setup(options_and_extension_headers_are_not_sent_back, fresh),
		cmocka_unit_test_setup(vlan_tags_come_back_as_they_came, fresh),
		cmocka_unit_test_setup(the_type_of_service_comes_back_as_it_came, fresh),
		cmocka_unit_test_setup(a_probe_by_arp_is_answered, fresh),
		cmocka_unit_test_setup(any_of_the_hosts_addresses_is_answered_for, fresh),
		cmocka_unit_test_setup(
			an_advertisement_goes_to_the_source_link_layer_address, fresh),
		cmocka_unit_test_setup(a_solicitation_to_the_address_itself_is_answered, fresh),
		cmocka_unit_test_setup(echoes_of_any_length_come_back_whole, fresh),
		cmocka_unit_test_setup(without_room_there_is_no_answer, fresh),
		cmocka_unit_test_setup(
			datagrams_drops_and_promiscuous_hosts_are_not_answered, fresh),
		cmocka_unit_test_setup(no_answer_is_an_inquiry, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
