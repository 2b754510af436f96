// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/filter.h"
#include "receiving.h"

#include <arpa/inet.h>

static void allow(unsigned listener, const char *text, uint8_t prefix_len)
{
	struct config_listener *l = &config.listeners[listener];
	struct config_address *a = &l->allow[l->allow_count++];

	*a = (struct config_address){.prefix_len = prefix_len};
	a->is_ip4 = inet_pton(AF_INET, text, a->ip.s6_addr + 12) == 1;
	if (a->is_ip4)
		memset(a->ip.s6_addr + 10, 0xff, 2);
	else
		assert_int_equal(inet_pton(AF_INET6, text, &a->ip), 1);
}

static int set_up_filter(void (*ask)(void))
{
	set_config();
	ask();
	build();
	lcores_free(dp);
	assert_int_equal(filter_make(dp), 0);
	return lcores_make(dp);
}

static int tear_down_filter(void **state)
{
	filter_free(dp);
	return tear_down(state);
}

static void ask_networks(void)
{
	allow(0, "10.1.0.0", 16);
	allow(0, "192.0.2.7", 32);
	allow(0, "2001:db8:0:8000::", 49);
}

static int set_up_networks(void **state)
{
	(void)state;
	return set_up_filter(ask_networks);
}

static void ask_all_of_ip4(void)
{
	allow(0, "0.0.0.0", 0);
}

static int set_up_all_of_ip4(void **state)
{
	(void)state;
	return set_up_filter(ask_all_of_ip4);
}

static void ask_rate(void)
{
	config.listeners[0].source_rate = 1;
}

static int set_up_rate(void **state)
{
	(void)state;
	return set_up_filter(ask_rate);
}

// What becomes of a datagram from that address to the listener.
static struct packet ask(const char *text, uint16_t listener)
{
	struct packet packet = {.kind = PACKET_DATAGRAM, .listener = listener};

	if (inet_pton(AF_INET, text, packet.src_addr + 12) == 1)
		memset(packet.src_addr + 10, 0xff, 2);
	else
		assert_int_equal(inet_pton(AF_INET6, text, packet.src_addr), 1);
	filter_burst(&dp->lcores[0], &packet, 1);
	return packet;
}

static void assert_taken(const char *text, bool taken)
{
	struct packet packet = ask(text, 0);

	if ((packet.kind == PACKET_DATAGRAM) != taken)
		fail_msg("%s is %s", text, taken ? "denied" : "taken");
	if (!taken)
		assert_int_equal(packet.drop, DROP_source_denied);
}

static void networks_end_where_their_prefix_does(void **state)
{
	(void)state;
	assert_taken("10.1.0.0", true);
	assert_taken("10.1.255.255", true);
	assert_taken("10.0.255.255", false);
	assert_taken("10.2.0.0", false);
	assert_taken("192.0.2.7", true);
	assert_taken("192.0.2.6", false);
	assert_taken("192.0.2.8", false);
	assert_taken("2001:db8:0:8000::", true);
	assert_taken("2001:db8:0:ffff:ffff:ffff:ffff:ffff", true);
	assert_taken("2001:db8:0:7fff:ffff:ffff:ffff:ffff", false);
	assert_taken("2001:db8:1::", false);
	assert_taken("::10.1.0.1", false); // no IPv4 address for all that
}

static void all_of_ip4_is_no_ip6(void **state)
{
	(void)state;
	assert_taken("203.0.113.9", true);
	assert_taken("2001:db8::9", false);
}

static void a_listener_without_a_list_takes_all(void **state)
{
	(void)state;
	assert_int_equal(ask("203.0.113.9", 1).kind, PACKET_DATAGRAM);
}

static void a_whole_burst_is_judged_one_by_one(void **state)
{
	struct packet packets[BURST];

	(void)state;
	for (unsigned i = 0; i < BURST; i++) {
		packets[i] = (struct packet){.kind = PACKET_DATAGRAM, .listener = i % 5 == 0};
		memcpy(packets[i].src_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03", 16);
		packets[i].src_addr[13] = (uint8_t)(i % 3);
		if (i % 7 == 0)
			packets[i].kind = PACKET_ARP_REQUEST;
	}
	filter_burst(&dp->lcores[0], packets, BURST);
	for (unsigned i = 0; i < BURST; i++) {
		bool judged = i % 7 != 0 && i % 5 != 0;
		enum packet_kind kind = i % 7 == 0 ? PACKET_ARP_REQUEST : PACKET_DATAGRAM;

		assert_int_equal(packets[i].kind, judged && i % 3 != 1 ? PACKET_DROP : kind);
	}
}

static void a_source_has_its_burst_and_no_more_and_others_have_theirs(void **state)
{
	unsigned taken = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct packet packet = ask("10.0.0.7", 0);

		taken += packet.kind == PACKET_DATAGRAM;
		if (packet.kind == PACKET_DROP)
			assert_int_equal(packet.drop, DROP_source_rate);
	}
	assert_in_range(taken, 64, 67);
	assert_int_equal(ask("10.0.0.8", 0).kind, PACKET_DATAGRAM);
	assert_int_equal(ask("10.0.0.7", 1).kind, PACKET_DATAGRAM);
}

static void a_crowd_of_sources_takes_nobodys_share(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
		assert_int_equal(ask(text, 0).kind, PACKET_DATAGRAM);
	}
}

static void what_is_denied_is_counted(void **state)
{
	(void)state;
	send_to_port(datagram(one_flow, "from 10.0.0.2"));
	poll_all();
	assert_int_equal(drops(0, DROP_source_denied), 1);
	assert_int_equal(batchers[0].count + batchers[1].count, 0);
	assert_balanced();
}

#define FILTER_TEST(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down_filter)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILTER_TEST(networks_end_where_their_prefix_does, set_up_networks),
		FILTER_TEST(all_of_ip4_is_no_ip6, set_up_all_of_ip4),
		FILTER_TEST(a_listener_without_a_list_takes_all, set_up_networks),
		FILTER_TEST(a_whole_burst_is_judged_one_by_one, set_up_networks),
		FILTER_TEST(a_source_has_its_burst_and_no_more_and_others_have_theirs, set_up_rate),
		FILTER_TEST(a_crowd_of_sources_takes_nobodys_share, set_up_rate),
		FILTER_TEST(what_is_denied_is_counted, set_up_networks),
	};
	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
