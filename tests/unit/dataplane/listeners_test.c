// SPDX-License-Identifier: BSD-3-Clause

#include "dataplane/packet.h"
#include "packets.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct config config;
static struct listener_table table;
static struct host_identity host;

static void listen_on(unsigned port, const char *address)
{
	config.listeners[config.listener_count++] = listener_on(port, address);
	listener_table_init(&table, &config);
}

static int fresh(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	listener_table_init(&table, &config);
	make_host(&host);
	return 0;
}

// Index of the listener that a datagram meets, -1 for none there, -2 for another host's.
static int meets(const char *dst, unsigned port)
{
	bool ip6 = strchr(dst, ':') != NULL;
	struct packet packet;
	struct frame f;

	if (ip6)
		make_udp6(&f);
	else
		make_udp4(&f);
	put_ip(&f, f.l3 + (ip6 ? 24 : 16), dst);
	put_be16(&f, f.l4 + 2, port);
	seal(&f, IPPROTO_UDP);
	packet_parse(at_guard_page(f.data, f.len), f.len, CHECKSUM_UNKNOWN, CHECKSUM_UNKNOWN, &host,
		&table, &packet);
	if (packet.kind == PACKET_DATAGRAM)
		return packet.listener;
	assert_int_equal(packet.kind, PACKET_DROP);
	if (packet.drop == DROP_udp_no_listener)
		return -1;
	assert_int_equal(packet.drop, DROP_ip_other_host);
	return -2;
}

static void an_empty_table_has_no_listener_on_any_port(void **state)
{
	(void)state;
	for (unsigned port = 0; port < 65536; port++)
		assert_int_equal(table.first[port], 0);
	assert_int_equal(meets("192.0.2.1", 514), -1);
}

static void ports_at_the_ends_of_the_range_are_found(void **state)
{
	(void)state;
	listen_on(1, NULL);
	listen_on(65535, NULL);
	assert_int_equal(meets("192.0.2.1", 1), 0);
	assert_int_equal(meets("2001:db8::1", 65535), 1);
	assert_int_equal(meets("192.0.2.1", 0), -1);
	assert_int_equal(meets("192.0.2.1", 65534), -1);
}

static void the_first_match_in_the_order_of_the_file_wins(void **state)
{
	(void)state;
	listen_on(5000, "198.51.100.6");
	listen_on(5000, "2001:db8::1");
	listen_on(514, NULL);
	listen_on(5000, NULL);
	listen_on(5000, "192.0.2.1");
	assert_int_equal(meets("198.51.100.6", 5000), 0);
	assert_int_equal(meets("2001:db8::1", 5000), 1);
	assert_int_equal(meets("192.0.2.1", 5000), 3);
	assert_int_equal(meets("2001:db8::2:1", 5000), 3);
	assert_int_equal(meets("192.0.2.1", 514), 2);
}

static void a_listener_on_an_address_takes_no_other(void **state)
{
	(void)state;
	listen_on(5000, "192.0.2.1");
	assert_int_equal(meets("192.0.2.1", 5000), 0);
	assert_int_equal(meets("198.51.100.6", 5000), -1);
	assert_int_equal(meets("2001:db8::1", 5000), -1);
}

static void a_broadcast_reaches_listeners_on_any_address(void **state)
{
	(void)state;
	listen_on(514, "192.0.2.1");
	listen_on(514, NULL);
	assert_int_equal(meets("255.255.255.255", 514), 1);
	assert_int_equal(meets("192.0.2.255", 514), 1);
	assert_int_equal(meets("192.0.2.1", 514), 0);
}

static void only_the_broadcast_of_an_own_subnet_is_taken(void **state)
{
	(void)state;
	listen_on(514, NULL);
	assert_int_equal(meets("192.0.3.255", 514), -2);
	assert_int_equal(meets("192.0.2.0", 514), -2);
	assert_int_equal(meets("192.0.2.127", 514), -2);
	// A /31 has two hosts and no broadcast.
	assert_int_equal(meets("198.51.100.7", 514), -2);
	assert_int_equal(meets("224.0.0.1", 514), -2);
	assert_int_equal(meets("ff02::1", 514), -2);
}

static void a_promiscuous_port_takes_any_destination(void **state)
{
	(void)state;
	host.promiscuous = true;
	host.address_count = 0;
	listen_on(514, NULL);
	listen_on(5000, "203.0.113.5");
	assert_int_equal(meets("203.0.113.77", 514), 0);
	assert_int_equal(meets("2001:db8:ffff::1", 514), 0);
	assert_int_equal(meets("239.1.2.3", 514), 0);
	assert_int_equal(meets("203.0.113.5", 5000), 1);
	assert_int_equal(meets("203.0.113.6", 5000), -1);
}

static void a_full_table_finds_each_of_its_listeners(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
		config.listeners[i] = listener_on(1000 + i / 2, i % 2 == 0 ? "192.0.2.1" : NULL);
	config.listener_count = CONFIG_LISTENERS_MAX;
	listener_table_init(&table, &config);
	for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
		assert_int_equal(
			meets(i % 2 == 0 ? "192.0.2.1" : "2001:db8::1", 1000 + i / 2), (int)i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_empty_table_has_no_listener_on_any_port, fresh),
		cmocka_unit_test_setup(ports_at_the_ends_of_the_range_are_found, fresh),
		cmocka_unit_test_setup(the_first_match_in_the_order_of_the_file_wins, fresh),
		cmocka_unit_test_setup(a_listener_on_an_address_takes_no_other, fresh),
		cmocka_unit_test_setup(a_broadcast_reaches_listeners_on_any_address, fresh),
		cmocka_unit_test_setup(only_the_broadcast_of_an_own_subnet_is_taken, fresh),
		cmocka_unit_test_setup(a_promiscuous_port_takes_any_destination, fresh),
		cmocka_unit_test_setup(a_full_table_finds_each_of_its_listeners, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
