// SPDX-License-Identifier: BSD-3-Clause
// What the configuration refuses, with which line and words.

#include "tests/unit/common/config_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void values_out_of_range_are_refused(void **state)
{
	static const struct refusal rows[] = {
		{"partitions: 0", "partitions: '0' is out of range (1 to 64)"},
		{"partitions: 65", "out of range"},
		{"rx_lcores: 0", "out of range"},
		{"idle_sleep: 2s", "idle_sleep: '2s' is out of range (0 to 1s)"},
		{"memory: {ring_size: 32}", "memory.ring_size: '32' is out of range (64 to"},
		{"memory: {ring_size: 100}", "memory.ring_size: '100' is not a power of two"},
		{"memory: {mbufs: 16777217}", "out of range"},
		{"log: {segment_size: 15MiB}", "out of range (16MiB to 1TiB)"},
		{"log: {segment_size: 16777217}", "is not a multiple of 1MiB"},
		{"log: {segment_size: 64MB}", "is not a multiple of 1MiB"},
		{"log: {block_size: 64KiB}", "out of range (128KiB to 16MiB)"},
		{"log: {block_size: 17MiB}", "out of range"},
		{"log: {block_size: 131073}", "is not a multiple of 4KiB"},
		{"log: {queue_depth: 0}", "out of range (1 to 64)"},
		{"log: {queue_depth: 65}", "out of range"},
		{"log: {commit_interval: 99us}", "out of range (100us to 10s)"},
		{"log: {commit_interval: 11s}", "out of range"},
		{"log: {seal_interval: 0}", "out of range (1ms to 1h)"},
		{"log: {seal_interval: 61m}", "out of range"},
		{"log: {seal_size: 1}", "out of range"},
		{"log: {seal_events: 0}", "out of range"},
		{"log: {retain_age: 36501d}", "out of range"},
	};

	(void)state;
	ASSERT_EACH(rows);
}

static void wrong_types_are_refused(void **state)
{
	static const struct refusal rows[] = {
		{"partitions: two", "partitions: 'two' is not a whole number"},
		{"partitions: 1.5", "is not a whole number"},
		{"partitions: -1", "is not a whole number"},
		{"partitions: 0x2", "is not a whole number"},
		{"partitions: 99999999999999999999", "is not a whole number"},
		{"partitions: [1]", "partitions: must be one value (1 to 64), not a list"},
		{"partitions: {a: 1}", "not a map"},
		{"partitions: ", "partitions: has no value (1 to 64)"},
		{"partitions: ~", "has no value"},
		{"idle_sleep: 5", "is not a duration such as 50ms"},
		{"log: {segment_size: big}", "is not a size such as 64MiB"},
		{"log: {direct: yes}", "log.direct: 'yes' must be true or false"},
		{"log: {direct: 1}", "must be true or false"},
		{"log: {durability: fsync}", "must be flush or dsync"},
		{"log: {io: aio}", "must be auto or io_uring or pwrite"},
		{"log: {io: ''}", "must be auto"},
		{"log: {io: aut}", "must be auto"},
		{"log: [1]", "log: must be a map of keys"},
		{"log: 5", "log: must be a map of keys"},
		{"memory: text", "memory: must be a map of keys"},
		{"mode: fast", "must be run-to-completion or pipeline"},
		{"mode: [pipeline]", "not a list"},
	};

	(void)state;
	ASSERT_EACH(rows);
}

static void names_and_paths_are_checked(void **state)
{
	static const struct refusal rows[] = {
		{"receiver: 'a b'", "receiver: 'a b' may hold letters, digits"},
		{"receiver: ''", "receiver: is empty"},
		{"receiver: \"a\\nb\"", "holds control characters"},
		{"receiver: \"a\\0b\"", "a zero byte in a value"},
		{"receiver: '0123456789012345678901234567890123456789012345678901234567890123'",
			"is longer than 63 bytes"},
		{"data: var/lib", "data: 'var/lib' must be an absolute path"},
		{"socket: /0123456789012345678901234567890123456789012345678901234567890123456789"
		 "01234567890123456789012345678901234567890",
			"socket: is longer than 107 bytes"},
	};

	(void)state;
	ASSERT_EACH(rows);
	assert_valid(BASE ",\nsocket: "
			  "/0123456789012345678901234567890123456789012345678901234567890"
			  "123456789012345678901234567890123456789012345}\n");
}

static void lists_of_cpus_are_checked(void **state)
{
	static const char *const texts[] = {"", "a", "1-", "-1", "1--2", "1,,2", "1,", ",1", "3-1",
		"1,1", "0-2,2", "1024", "0-128", "99999999999999999999", "1 2", "1-2-3"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text), PORT LISTENER "cpus: '%s'\n", texts[i]);
		assert_refused(text, 3, "cpus: ");
	}
	assert_refused(PORT LISTENER "cpus: [0, 1]\n", 3, "cpus: must be one value");
	assert_int_equal(parse(PORT LISTENER "cpus: 0-127\n"), 0);
	assert_int_equal(config.cpu_count, CONFIG_CPUS_MAX);
}

static void lists_of_compressed_partitions_are_checked(void **state)
{
	static const char *const texts[] = {
		"", "a", "every", "1-", "-1", "1,,2", "1,", "3-1", "64", "0-64", "1-2-3", "1"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			PORT LISTENER "log:\n  compression: lz4\n  compressed_partitions: '%s'\n",
			texts[i]);
		assert_refused(text, 5, "log.compressed_partitions: ");
	}
	assert_valid(BASE ", log: {compressed_partitions: '0'}}\n");
	assert_true(has(true, 1, "means nothing without log.compression: lz4"));
}

static void a_cpu_that_is_not_allowed_is_a_warning(void **state)
{
	(void)state;
	assert_valid(PORT LISTENER "cpus: '1023'\n");
	assert_true(has(true, 3, "cpus: CPU 1023 is not one that this process may use"));
}

static void addresses_of_ports_are_checked(void **state)
{
	static const struct refusal rows[] = {
		{"10.0.0.1", "lacks its prefix length"},
		{"10.0.0.1/0", "needs a prefix length of 1 to 32"},
		{"10.0.0.1/33", "needs a prefix length of 1 to 32"},
		{"10.0.0.1/", "needs a prefix length of 1 to 32"},
		{"10.0.0.1/2x", "needs a prefix length of 1 to 32"},
		{"fd00::1/129", "needs a prefix length of 1 to 128"},
		{"fd00::1", "lacks its prefix length"},
		{"0.0.0.0/8", "is no address"},
		{"::/8", "is no address"},
		{"255.255.255.255/8", "is the broadcast address"},
		{"224.0.0.1/8", "is a multicast address"},
		{"ff02::1/64", "is a multicast address"},
		{"::ffff:10.0.0.1/96", "write it as 10.0.0.1"},
		{"10.0.0/24", "is no IPv4 or IPv6 address"},
		{"host/24", "is no IPv4 or IPv6 address"},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111/64", "is no IPv4"},
		{"", "is no IPv4"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text),
			LISTENER "ports:\n- device: eth1\n  addresses:\n  - '%s'\n", rows[i].key);
		assert_refused(text, 5, rows[i].part);
	}
	assert_refused(LISTENER "ports:\n- {device: e, addresses: 10.0.0.1/24}\n", 3,
		"must be a list, as in");
	assert_refused(LISTENER "ports:\n- {device: e, addresses: [[1]]}\n", 3,
		"must be a list of addresses");
	assert_refused(LISTENER "ports:\n- {device: e, addresses: [10.0.0.1/24, 10.0.0.1/8]}\n", 3,
		"'10.0.0.1/8' is there twice");
}

static void allow_lists_are_checked(void **state)
{
	static const struct refusal rows[] = {
		{"10.0.0.1/8", "'10.0.0.1/8' has bits set behind its prefix"},
		{"10.0.0.0/33", "needs a prefix length of 0 to 32"},
		{"fd00::/129", "needs a prefix length of 0 to 128"},
		{"fd00::1/64", "has bits set behind its prefix"},
		{"224.0.0.0/4", "is multicast, which no sender is"},
		{"'::ffff:10.0.0.0/104'", "is an IPv4 address: write it as"},
		{"example.org", "is no IPv4 or IPv6 address"},
		{"10.0.0.0/8, 10.0.0.0/8", "is there twice"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text), PORT "listeners:\n- {port: 1, allow: [%s]}\n",
			rows[i].key);
		assert_refused(text, 3, rows[i].part);
	}
}

static void gateways_and_exception_devices_are_checked(void **state)
{
	static const struct {
		const char *keys, *part;
	} rows[] = {
		{"gateways: [10.0.0.254/24]", "must be without a prefix length"},
		{"gateways: [224.0.0.5]", "is a multicast address"},
		{"gateways: [10.0.1.254]",
			"gateways: 10.0.1.254 is on none of the networks of 'addresses'"},
		{"gateways: [10.0.0.1]", "gateways: 10.0.0.1 is an address of the port itself"},
		{"gateways: [10.0.0.2, 10.0.0.2]", "is there twice"},
		{"gateways: 10.0.0.2", "must be a list, as in"},
		{"gateways: [fd00::1]", "is on none of the networks"},
		{"exception: much-too-long-name", "is longer than 15 bytes"},
		{"exception: a b", "may hold letters"},
		{"exception_rate: 0", "is out of range"},
		{"mtu: 1279", "ports[0].mtu: 1279 is less than 1280"},
		{"mtu: 9711", "is out of range"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text),
			LISTENER "ports:\n- {device: e, addresses: [10.0.0.1/24], %s}\n",
			rows[i].keys);
		assert_refused(text, 3, rows[i].part);
	}
	assert_refused(LISTENER "ports:\n- {device: e, exception: x0}\n"
				"- {device: f, exception: x0}\n",
		4, "ports[1].exception: 'x0' is also ports[0]");
}

static void a_port_has_at_most_16_addresses(void **state)
{
	char text[1024] = LISTENER "ports:\n- device: e\n  addresses:\n";
	size_t len = strlen(text);

	(void)state;
	for (int i = 1; i <= 17; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "  - 10.0.0.%d/24\n", i);
	assert_refused(text, 21, "'10.0.0.17/24' is one too many");
	assert_int_equal(config.ports[0].address_count, 16);
}

static void listeners_are_checked(void **state)
{
	static const struct refusal rows[] = {
		{"{kind: plain}", "listeners[0].port: is missing"},
		{"{port: 0}", "listeners[0].port: '0' is out of range (1 to 65535)"},
		{"{port: 65536}", "out of range"},
		{"{port: 1, kind: tcp}", "must be plain or reliable"},
		{"{port: 1, kind: reliable, split: lines}",
			"the events of a reliable listener are its senders'"},
		{"{port: 1, kind: reliable, address: 224.1.2.3}", "has no multicast address"},
		{"{port: 1, split: words}", "must be datagram or lines"},
		{"{port: 1, address: 10.0.0.1/24}", "must be without a prefix length"},
		{"{port: 1, address: 0.0.0.0}", "leave the key out to take any"},
		{"{port: 1, address: '::'}", "leave the key out to take any"},
		{"{port: 1, address: localhost}", "is no IPv4 or IPv6 address"},
		{"{port: 1, address: [10.0.0.1]}", "must be one value"},
		{"{port: 1, name: a/b}", "may hold letters"},
		{"5140", "listeners[0]: must be a map of keys"},
		{"[5140]", "listeners[0]: must be a map of keys"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text), PORT "listeners:\n- %s\n", rows[i].key);
		assert_refused(text, 3, rows[i].part);
	}
	assert_valid(PORT "listeners: [{port: 1, address: 224.0.0.1}]\n"); // multicast to a group
}

static void lists_that_are_none_are_refused(void **state)
{
	(void)state;
	assert_refused(LISTENER "ports: {device: eth1}\n", 2, "ports: must be a list");
	assert_refused(PORT "listeners: 5140\n", 2, "listeners: must be a list");
}

static void too_many_elements_are_refused(void **state)
{
	char text[16384] = PORT "listeners:\n";
	size_t len = strlen(text);

	(void)state;
	for (int i = 1; i <= CONFIG_LISTENERS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "- port: %d\n", i);
	assert_valid(text);
	snprintf(text + len, sizeof(text) - len, "- port: 999\n- port: 1000\n");
	assert_refused(text, 259, "listeners: more than 256 elements");
}

static void names_devices_and_ports_must_differ(void **state)
{
	(void)state;
	assert_refused(LISTENER "ports:\n- {device: a, name: x}\n- {device: b, name: x}\n", 4,
		"ports[1].name: 'x' is also ports[0]");
	// The default name of another element counts too.
	assert_refused(LISTENER "ports:\n- {device: a, name: port1}\n- {device: b}\n", 4,
		"ports[1].name: 'port1' is also ports[0]");
	assert_refused(LISTENER "ports:\n- device: a\n- device: a\n", 4,
		"ports[1].device: 'a' is also ports[0]");
	assert_refused(PORT "listeners:\n- {port: 1, name: x}\n- {port: 2, name: x}\n", 4,
		"listeners[1].name: 'x' is also listeners[0]");
	assert_refused(PORT "listeners:\n- port: 1\n- port: 1\n", 4,
		"listeners[1].port: 1 is also that of listeners[0]");
	assert_refused(PORT "listeners:\n- {port: 1, address: 1.2.3.4}\n- {port: 1, address: "
			    "1.2.3.4}\n",
		4, "with the same address");
	assert_valid(PORT "listeners:\n- {port: 1, address: 1.2.3.4}\n- {port: 1, address: "
			  "1.2.3.5}\n- {port: 2, address: 1.2.3.4}\n");
}

static void a_listener_behind_one_of_any_address_gets_nothing(void **state)
{
	(void)state;
	assert_refused(PORT "listeners:\n- port: 1\n- {port: 1, address: 1.2.3.4}\n", 4,
		"listeners[1]: gets nothing, because listeners[0] before it");
	assert_valid(PORT "listeners:\n- {port: 1, address: 1.2.3.4}\n- port: 1\n");
}

static void partitions_without_cpus_of_their_own_are_warned_of(void **state)
{
	(void)state;
	assert_valid(PORT LISTENER "partitions: 2\ncpus: '0'\n");
	assert_true(has(true, 4, "cpus: 2 partitions share 1 CPUs: each waits"));
	assert_valid(PORT LISTENER "partitions: 2\n");
	assert_true(has(true, 3, "2 partitions share 1 CPUs"));
	assert_valid(PORT LISTENER "mode: pipeline\ncpus: 0-2\nrx_lcores: 2\npartitions: 2\n");
	assert_true(has(true, 4, "2 partitions share 1 CPUs besides the rx_lcores"));
}

static void rx_lcores_leave_a_cpu(void **state)
{
	(void)state;
	assert_valid(PORT LISTENER "partitions: 2\ncpus: 0-1\n");
	assert_refused(PORT LISTENER "mode: pipeline\ncpus: '0'\n", 4,
		"pipeline mode needs more CPUs (1) than rx_lcores (1)");
	assert_valid(PORT LISTENER "mode: pipeline\ncpus: 0-3\nrx_lcores: 1\n");
	assert_true(has(true, 4, "3 CPUs for 1 partitions; the others have nothing to do"));
	assert_valid(PORT LISTENER "rx_lcores: 2\n");
	assert_true(has(true, 3, "rx_lcores: means nothing but in pipeline mode"));
}

static void a_segment_holds_four_times_what_is_in_flight(void **state)
{
	(void)state;
	assert_refused(PORT LISTENER "log:\n  block_size: 16MiB\n  segment_size: 511MiB\n", 5,
		"must be at least 4 x queue_depth x block_size, here 512MiB");
	assert_valid(PORT LISTENER "log:\n  block_size: 16MiB\n  segment_size: 512MiB\n");
	// Without a line of its own it is told at the section.
	assert_refused(
		PORT LISTENER "log:\n  block_size: 16MiB\n  queue_depth: 64\n", 3, "here 4GiB");
}

static void a_retained_size_holds_two_segments(void **state)
{
	(void)state;
	assert_refused(PORT LISTENER "log:\n  retain_size: 2047MiB\n", 4,
		"log.retain_size: must be 0 or at least two segments, here 2GiB");
	assert_valid(PORT LISTENER "log:\n  retain_size: 2GiB\n");
}

static void unknown_keys_are_refused_with_what_was_meant(void **state)
{
	static const struct refusal rows[] = {
		{"partition: 1", "partition: unknown key; did you mean 'partitions'?"},
		{"lisenters: 1", "did you mean 'listeners'?"},
		{"log: {block_sise: 1MiB}",
			"log.block_sise: unknown key; did you mean 'block_size'"},
		{"block_size: 1MiB", "block_size: unknown key here; it belongs under 'log'"},
		{"log: {rx_queues: 1}", "it belongs under 'ports'"},
		{"zzz: 1", "zzz: unknown key"},
		{"<<: {a: 1}", "<<: unknown key"},
		{"'': 1", ": unknown key"},
		{"\"a\\eb\": 1", "a?b: unknown key"},
	};

	(void)state;
	ASSERT_EACH(rows);
}

static void keys_given_twice_are_refused_with_both_lines(void **state)
{
	(void)state;
	assert_refused(PORT LISTENER "partitions: 1\ncpus: 0-1\npartitions: 1\n", 5,
		"partitions: is there twice, first in line 3");
	assert_refused(PORT LISTENER "log:\n  direct: true\nlog:\n", 5,
		"log: is there twice, first in line 3");
}

static void all_errors_are_found_at_once_by_line(void **state)
{
	static const unsigned lines[] = {1, 2, 4, 6, 6, 7, 9};

	(void)state;
	// The first is found last: only all keys together make it wrong.
	assert_int_equal(parse("mode: pipeline\n"
			       "modus: pipeline\n"
			       "log:\n"
			       "  queue_depth: many\n"
			       "ports:\n"
			       "- {rx_queues: 0}\n"
			       "- device: ''\n"
			       "listeners:\n"
			       "- port: -1\n"),
		-EINVAL);
	assert_int_equal(problems.errors, 7);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(problems.list[i].line, lines[i]);
}

static void more_problems_than_there_is_room_for_are_counted(void **state)
{
	static struct {
		struct config_problems problems;
		char behind[200 * sizeof(struct config_problem)];
	} found;
	char text[8192] = "";
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 200; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "unknown%d: 1\n", i);
	assert_int_equal(config_parse(text, len, &config, &found.problems), -EINVAL);
	assert_int_equal(found.problems.count, 202); // and neither port nor listener
	assert_int_equal(found.problems.errors, 202);
	for (size_t i = 0; i < sizeof(found.behind); i++)
		assert_int_equal(found.behind[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(wrong_types_are_refused),
		cmocka_unit_test(names_and_paths_are_checked),
		cmocka_unit_test(lists_of_cpus_are_checked),
		cmocka_unit_test(lists_of_compressed_partitions_are_checked),
		cmocka_unit_test(a_cpu_that_is_not_allowed_is_a_warning),
		cmocka_unit_test(addresses_of_ports_are_checked),
		cmocka_unit_test(allow_lists_are_checked),
		cmocka_unit_test(gateways_and_exception_devices_are_checked),
		cmocka_unit_test(a_port_has_at_most_16_addresses),
		cmocka_unit_test(listeners_are_checked),
		cmocka_unit_test(lists_that_are_none_are_refused),
		cmocka_unit_test(too_many_elements_are_refused),
		cmocka_unit_test(names_devices_and_ports_must_differ),
		cmocka_unit_test(a_listener_behind_one_of_any_address_gets_nothing),
		cmocka_unit_test(partitions_without_cpus_of_their_own_are_warned_of),
		cmocka_unit_test(rx_lcores_leave_a_cpu),
		cmocka_unit_test(a_segment_holds_four_times_what_is_in_flight),
		cmocka_unit_test(a_retained_size_holds_two_segments),
		cmocka_unit_test(unknown_keys_are_refused_with_what_was_meant),
		cmocka_unit_test(keys_given_twice_are_refused_with_both_lines),
		cmocka_unit_test(all_errors_are_found_at_once_by_line),
		cmocka_unit_test(more_problems_than_there_is_room_for_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
