// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/host/announce.h"
#include "dataplane/host/neighbours.h"
#include "dataplane/wire.h"
#include "parsing.h"

#include <net/if_arp.h>
#include <netinet/icmp6.h>

#define SECOND 1000000000ull

static struct neighbours n;
static struct config_port port;
static uint8_t frame[128];
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 3};

static int set_up(void **state)
{
	fresh(state);
	memset(&port, 0, sizeof(port));
	port.gateways[port.gateway_count++] = address_of("192.0.2.254", 32);
	port.gateways[port.gateway_count++] = address_of("192.0.2.253", 32);
	port.gateways[port.gateway_count++] = address_of("2001:db8::fe", 128);
	neighbours_init(&n, &host, &port);
	return 0;
}

static struct neighbour_news news_of(const char *text, const uint8_t *mac)
{
	struct neighbour_news ret = {.has_mac = mac != NULL, .solicited = true, .override = true};
	struct config_address address = address_of(text, 0);

	memcpy(ret.address, &address.ip, sizeof(ret.address));
	if (mac != NULL)
		memcpy(ret.mac, mac, sizeof(ret.mac));
	return ret;
}

static void hear(const char *text, const uint8_t *mac, uint64_t now)
{
	struct neighbour_news news = news_of(text, mac);

	neighbours_heard(&n, &news, now);
}

static bool known(const char *text, uint8_t mac[6])
{
	struct config_address address = address_of(text, 0);

	return neighbours_mac(&n, address.ip.s6_addr, mac);
}

static unsigned solicitations(uint64_t now)
{
	unsigned count = 0;

	while (neighbours_next(&n, now, frame) > 0)
		count++;
	return count;
}

static void gateways_are_asked_for_at_the_start_and_again(void **state)
{
	(void)state;
	assert_int_equal(solicitations(0), 3);
	assert_int_equal(solicitations(SECOND / 2), 0);
	assert_int_equal(solicitations(SECOND), 3);
	assert_int_equal(solicitations(2 * SECOND), 3);
	assert_int_equal(solicitations(3 * SECOND), 0); // given up
	assert_int_equal(solicitations(20 * SECOND), 0);
	assert_int_equal(solicitations(23 * SECOND), 3); // a gateway never for good
}

static void a_solicitation_is_what_a_host_of_that_network_would_send(void **state)
{
	struct packet packet;
	uint32_t len;
	bool arp = false, nd = false;

	(void)state;
	memcpy(host.mac, peer_mac, 6);
	while ((len = neighbours_next(&n, 0, frame)) > 0) {
		const uint8_t *ip = frame + ETH_HEADER;
		struct host_identity gateway;

		// The gateway must take it for an inquiry that it answers.
		make_host(&gateway);
		gateway.addresses[0] = port.gateways[0];
		gateway.addresses[1] = port.gateways[2];
		packet_parse(
			frame, len, CHECKSUM_UNKNOWN, CHECKSUM_UNKNOWN, &gateway, &table, &packet);
		assert_memory_equal(frame + 6, peer_mac, 6);
		if (packet.kind == PACKET_ARP_REQUEST) {
			arp = true;
			assert_int_equal(frame[0], 0xff);
			assert_memory_equal(packet.src_addr + 12, "\xc0\x00\x02\x01", 4);
		} else if (packet.kind == PACKET_ND_SOLICIT) {
			nd = true;
			assert_memory_equal(frame, "\x33\x33\xff\x00\x00\xfe", 6);
			assert_memory_equal(ip + 8, host.addresses[1].ip.s6_addr, 16);
		}
	}
	assert_true(arp && nd);
}

static void what_is_off_the_network_goes_to_the_first_gateway_that_is_there(void **state)
{
	uint8_t mac[6];

	(void)state;
	assert_false(known("203.0.113.5", mac));
	hear("192.0.2.253", other_mac, 0);
	assert_true(known("203.0.113.5", mac));
	assert_memory_equal(mac, other_mac, 6);
	hear("192.0.2.254", peer_mac, 0);
	assert_true(known("203.0.113.5", mac));
	assert_memory_equal(mac, peer_mac, 6);
	assert_false(known("2001:db8:7::5", mac));
	hear("2001:db8::fe", peer_mac, 0);
	assert_true(known("2001:db8:7::5", mac));
}

static void what_is_missed_on_the_network_is_asked_for(void **state)
{
	uint8_t mac[6];

	(void)state;
	assert_int_equal(solicitations(0), 3);
	assert_false(known("192.0.2.77", mac));
	neighbours_take_wanted(&n, SECOND / 2);
	assert_int_equal(solicitations(SECOND / 2), 1);
	assert_memory_equal(frame + ETH_HEADER + 24, "\xc0\x00\x02\x4d", 4);
	hear("192.0.2.77", other_mac, SECOND / 2);
	assert_true(known("192.0.2.77", mac));
	assert_memory_equal(mac, other_mac, 6);
}

static void who_was_not_asked_for_does_not_get_in(void **state)
{
	uint8_t mac[6];

	(void)state;
	hear("192.0.2.77", other_mac, 0);
	assert_false(known("192.0.2.77", mac));
}

static void a_used_neighbour_is_asked_itself_and_an_unused_one_forgotten(void **state)
{
	uint8_t mac[6];

	(void)state;
	port.gateway_count = 0;
	neighbours_init(&n, &host, &port);
	assert_false(known("192.0.2.77", mac));
	neighbours_take_wanted(&n, 0);
	assert_int_equal(solicitations(0), 1);
	hear("192.0.2.77", other_mac, 0);
	assert_true(known("192.0.2.77", mac));
	assert_int_equal(solicitations(29 * SECOND), 0);
	assert_int_equal(solicitations(30 * SECOND), 1);
	assert_memory_equal(frame, other_mac, 6);
	assert_true(known("192.0.2.77", mac)); // meanwhile
	hear("192.0.2.77", other_mac, 30 * SECOND);
	// Used until now, not any more.
	assert_int_equal(solicitations(60 * SECOND), 1);
	hear("192.0.2.77", other_mac, 60 * SECOND);
	for (uint64_t at = 61; at < 700; at++)
		assert_int_equal(solicitations(at * SECOND), 0);
	assert_false(known("192.0.2.77", mac));
}

static void who_does_not_answer_any_more_is_looked_for_anew(void **state)
{
	uint8_t mac[6];
	unsigned asked = 0, all = 0;

	(void)state;
	port.gateway_count = 1;
	neighbours_init(&n, &host, &port);
	assert_int_equal(solicitations(0), 1);
	hear("192.0.2.254", other_mac, 0);
	for (uint64_t at = 30; at < 40; at++) {
		unsigned count = solicitations(at * SECOND);

		asked += count;
		all += count > 0 && frame[0] == 0xff;
	}
	assert_int_equal(asked, 6);
	assert_int_equal(all, 3);
	assert_false(known("203.0.113.5", mac));
}

static void a_gateway_that_announces_another_mac_is_followed_and_asked(void **state)
{
	struct neighbour_news moved = news_of("192.0.2.254", other_mac);
	uint8_t mac[6];

	(void)state;
	solicitations(0);
	hear("192.0.2.254", peer_mac, 0);
	moved.solicited = false;
	moved.override = false;
	neighbours_heard(&n, &moved, SECOND / 4);
	assert_true(known("203.0.113.5", mac));
	assert_memory_equal(mac, peer_mac, 6); // RFC 4861, 7.2.5: only with the override flag
	moved.override = true;
	neighbours_heard(&n, &moved, SECOND / 4);
	assert_true(known("203.0.113.5", mac));
	assert_memory_equal(mac, other_mac, 6);
	assert_int_equal(solicitations(SECOND / 4), 1);
	assert_memory_equal(frame, other_mac, 6);
}

static void a_crowd_does_not_push_the_gateways_out(void **state)
{
	uint8_t mac[6];
	uint64_t now = SECOND;

	(void)state;
	hear("192.0.2.254", peer_mac, 0);
	for (unsigned i = 0; i < 70000; i++, now += 1000) {
		struct config_address address = address_of("2001:db8::", 0);

		address.ip.s6_addr[13] = (uint8_t)(i >> 16);
		address.ip.s6_addr[14] = (uint8_t)(i >> 8);
		address.ip.s6_addr[15] = (uint8_t)i;
		assert_false(neighbours_mac(&n, address.ip.s6_addr, mac));
		neighbours_take_wanted(&n, now);
	}
	assert_true(known("203.0.113.5", mac));
}

static void news_are_read_from_replies_and_advertisements(void **state)
{
	struct neighbour_news news;
	struct packet packet;
	struct frame f;

	(void)state;
	make_arp_reply(&f);
	packet = parse(&f);
	neighbour_news(f.data, &packet, &news);
	assert_true(news.has_mac && news.solicited && news.override);
	assert_memory_equal(news.mac, peer_mac, 6);
	assert_memory_equal(news.address + 12, "\xc0\x00\x02\x09", 4);
	make_advert(&f);
	packet = parse(&f);
	neighbour_news(f.data, &packet, &news);
	assert_true(news.has_mac && news.solicited && news.override);
	assert_memory_equal(news.mac, peer_mac, 6);
	assert_memory_equal(news.address + 8, "\0\0\0\0\0\0\0\x09", 8);
}

static void an_announcement_is_news_but_not_solicited(void **state)
{
	struct neighbour_news news;
	struct packet packet;
	struct frame f;

	(void)state;
	make_arp(&f);
	put_ip(&f, f.l3 + 24, "192.0.2.9");
	packet = parse(&f);
	assert_int_equal(packet.kind, PACKET_NEIGHBOUR);
	neighbour_news(f.data, &packet, &news);
	assert_false(news.solicited);
}

static void who_uses_our_address_is_noticed(void **state)
{
	struct announcer a;
	struct neighbour_news news;
	struct packet packet;
	struct frame f;

	(void)state;
	announce_init(&a, &host);
	make_arp(&f);
	put_ip(&f, f.l3 + 14, "192.0.2.1");
	put_ip(&f, f.l3 + 24, "192.0.2.1");
	packet = parse(&f);
	assert_int_equal(packet.kind, PACKET_NEIGHBOUR);
	neighbour_news(f.data, &packet, &news);
	assert_true(announce_defend(&a, news.address, 20 * SECOND));
	assert_int_equal(announce_next(&a, 20 * SECOND, frame), 60);
	assert_true(announce_defend(&a, news.address, 25 * SECOND));
	assert_int_equal(announce_next(&a, 25 * SECOND, frame), 0); // not more than every 10 s
	assert_true(announce_defend(&a, news.address, 30 * SECOND));
	assert_int_equal(announce_next(&a, 30 * SECOND, frame), 60);
	make_advert(&f);
	put_ip(&f, f.l4 + 8, "2001:db8::1");
	seal(&f, IPPROTO_ICMPV6);
	packet = parse(&f);
	neighbour_news(f.data, &packet, &news);
	assert_true(announce_defend(&a, news.address, 20 * SECOND));
	make_arp_reply(&f);
	packet = parse(&f);
	neighbour_news(f.data, &packet, &news);
	assert_false(announce_defend(&a, news.address, 20 * SECOND));
}

static void all_addresses_are_announced_and_again(void **state)
{
	struct announcer a;
	unsigned first = 0, all = 0;

	(void)state;
	announce_init(&a, &host);
	assert_int_equal(announce_next(&a, 0, frame), 0);
	announce_all(&a, SECOND);
	while (announce_next(&a, SECOND, frame) > 0)
		first++;
	assert_int_equal(first, host.address_count);
	for (uint64_t at = 1; at < 10; at++)
		while (announce_next(&a, at * SECOND, frame) > 0)
			all++;
	// Two of IPv4 in all (RFC 5227, 2.3), three of IPv6 (RFC 4861, 7.2.6).
	assert_int_equal(first + all, 2 * 2 + (host.address_count - 2) * 3);
	assert_int_equal(announce_next(&a, UINT64_MAX - 1, frame), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(gateways_are_asked_for_at_the_start_and_again, set_up),
		cmocka_unit_test_setup(
			a_solicitation_is_what_a_host_of_that_network_would_send, set_up),
		cmocka_unit_test_setup(
			what_is_off_the_network_goes_to_the_first_gateway_that_is_there, set_up),
		cmocka_unit_test_setup(what_is_missed_on_the_network_is_asked_for, set_up),
		cmocka_unit_test_setup(who_was_not_asked_for_does_not_get_in, set_up),
		cmocka_unit_test_setup(
			a_used_neighbour_is_asked_itself_and_an_unused_one_forgotten, set_up),
		cmocka_unit_test_setup(who_does_not_answer_any_more_is_looked_for_anew, set_up),
		cmocka_unit_test_setup(
			a_gateway_that_announces_another_mac_is_followed_and_asked, set_up),
		cmocka_unit_test_setup(a_crowd_does_not_push_the_gateways_out, set_up),
		cmocka_unit_test_setup(news_are_read_from_replies_and_advertisements, set_up),
		cmocka_unit_test_setup(an_announcement_is_news_but_not_solicited, set_up),
		cmocka_unit_test_setup(who_uses_our_address_is_noticed, set_up),
		cmocka_unit_test_setup(all_addresses_are_announced_and_again, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
