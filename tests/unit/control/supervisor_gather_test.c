// SPDX-License-Identifier: BSD-3-Clause

#include "control/supervisor/gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOG_ID "00112233445566778899aabbccddeeff"
#define SECOND 1000000000ull

static json_t *parse(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(json);
	return json;
}

static struct config *configured(const char *text)
{
	struct config *config = malloc(sizeof(*config));
	struct config_problems *problems = calloc(1, sizeof(*problems));

	if (config_parse(text, strlen(text), config, problems) != 0)
		fail_msg("%s", problems->list[0].text);
	free(problems);
	return config;
}

static void a_listener_is_reached_by_its_own_address_or_by_the_ports(void **state)
{
	struct live *live = calloc(1, sizeof(*live));
	struct config *config = configured(
		"ports:\n"
		"- {device: eth0, addresses: [10.0.0.1/24, 'fe80::1/64', 'fd00::1/64']}\n"
		"- {device: eth1, addresses: [10.0.1.1/24, 10.0.0.1/24]}\n"
		"listeners:\n"
		"- {name: any, port: 514}\n"
		"- {name: one, port: 515, kind: reliable, address: 'fd00::1'}\n");

	(void)state;
	assert_int_equal(gather_listeners(live, config), 0);
	assert_int_equal(gather_listeners(live, config), 0); // again: frees the first
	assert_int_equal(live->listener_count, 2);
	assert_int_equal(live->listeners[0].address_count, 3);
	assert_string_equal(live->listeners[0].addresses[0], "10.0.0.1");
	assert_string_equal(live->listeners[0].addresses[1], "fd00::1");
	assert_string_equal(live->listeners[0].addresses[2], "10.0.1.1");
	assert_int_equal(live->listeners[1].address_count, 1);
	assert_string_equal(live->listeners[1].addresses[0], "fd00::1");
	assert_int_equal(live->listeners[1].kind, KIND_RELIABLE);
	assert_int_equal(live->listeners[1].udp_port, 515);
	live_free(live);
	free(live);
	free(config);
}

static void more_addresses_than_there_is_room_for_are_left_out(void **state)
{
	struct live *live = calloc(1, sizeof(*live));
	struct config *config = configured("ports: [{device: eth0}, {device: eth1}]\n"
					   "listeners: [{port: 514}]\n");

	(void)state;
	for (unsigned p = 0; p < 2; p++) {
		config->ports[p].address_count = CONFIG_ADDRESSES_MAX;
		for (unsigned i = 0; i < CONFIG_ADDRESSES_MAX; i++)
			config->ports[p].addresses[i].ip.s6_addr[15] =
				(uint8_t)(1 + p * CONFIG_ADDRESSES_MAX + i);
	}
	assert_int_equal(gather_listeners(live, config), 0);
	assert_int_equal(live->listeners[0].address_count, LIVE_ADDRESSES_MAX);
	live_free(live);
	free(live);
	free(config);
}

static void health_comes_with_its_worst_cause(void **state)
{
	struct live *live = calloc(1, sizeof(*live));
	json_t *status =
		parse("{\"health\": \"degraded\", \"reasons\": [\"a link is down\", \"b\"]}");

	(void)state;
	live->health = LIVE_STARTING;
	assert_true(gather_status(live, status));
	assert_int_equal(live->health, LIVE_DEGRADED);
	assert_string_equal(live->why, "a link is down");
	json_object_set_new(status, "health", json_string("ok"));
	json_object_set_new(status, "reasons", json_array());
	assert_true(gather_status(live, status));
	assert_int_equal(live->health, LIVE_OK);
	assert_string_equal(live->why, "");
	json_object_set_new(status, "health", json_string("starting")); // says nobody but us
	assert_false(gather_status(live, status));
	assert_int_equal(live->health, LIVE_OK);
	json_decref(status);
	free(live);
}

static void a_log_is_taken_whole_or_not_at_all(void **state)
{
	struct live *live = calloc(1, sizeof(*live));
	json_t *list = parse("[{\"partition\": 0, \"log_id\": \"" LOG_ID
			     "\", \"durable_seq\": \"18446744073709551615\", \"log_bytes\": 7}]");

	(void)state;
	assert_true(gather_partitions(live, list));
	assert_int_equal(live->partition_count, 1);
	assert_true(live->partitions[0].durable_seq == UINT64_MAX);
	assert_int_equal(live->partitions[0].log_bytes, 7);
	json_array_append_new(list, parse("{\"partition\": 1}"));
	live->partitions[0].log_bytes = 8;
	assert_false(gather_partitions(live, list));
	assert_int_equal(live->partition_count, 1);
	assert_int_equal(live->partitions[0].log_bytes, 8);
	json_decref(list);
	free(live);
}

static void a_sinks_lag_is_that_of_its_partitions_together(void **state)
{
	struct live *live = calloc(1, sizeof(*live));
	json_t *list = parse("[{\"sink\": \"a\", \"state\": \"delivering\", \"lag_batches\": 2, "
			     "\"lag_events\": 30},"
			     " {\"sink\": \"a\", \"state\": \"retrying\", \"lag_batches\": 3, "
			     "\"lag_events\": 40},"
			     " {\"sink\": \"b\", \"state\": \"delivering\", \"lag_batches\": 9, "
			     "\"lag_events\": 9},"
			     " {\"sink\": \"b\", \"state\": \"starting\", \"lag_batches\": 0, "
			     "\"lag_events\": 0}]");

	(void)state;
	assert_true(gather_sinks(live, list));
	assert_int_equal(live->sink_count, 2);
	assert_string_equal(live->sinks[0].name, "a");
	assert_true(live->sinks[0].lag_known);
	assert_int_equal(live->sinks[0].lag_batches, 5);
	assert_int_equal(live->sinks[0].lag_events, 70);
	assert_false(live->sinks[1].lag_known);
	assert_int_equal(live_worst_lag_batches(live), 5);
	json_array_append_new(list, parse("{\"sink\": \"c\"}"));
	assert_false(gather_sinks(live, list));
	assert_int_equal(live->sink_count, 2);
	json_decref(list);
	free(live);
}

static void two_samples_make_a_load(void **state)
{
	struct live *live = calloc(1, sizeof(*live));
	struct gather_totals before = {0}, now = {.at_ns = 10 * SECOND};
	json_t *drops = parse("{\"packets\": {\"in\": 500}, \"events\": {\"in\": 7000}}");
	json_t *ports = parse("[{\"rx_bytes_total\": 1000}, {\"rx_bytes_total\": 24}]");

	(void)state;
	assert_true(gather_totals(&now, drops, ports));
	assert_int_equal(now.bytes, 1024);
	gather_load(live, &before, &now);
	assert_int_equal(live->events_per_second, 0); // one alone makes none
	before = now;
	now.at_ns += 2 * SECOND;
	now.packets += 100;
	now.events += 2000;
	now.bytes += 60000;
	gather_load(live, &before, &now);
	assert_int_equal(live->packets_per_second, 50);
	assert_int_equal(live->events_per_second, 1000);
	assert_int_equal(live->bytes_per_second, 30000);
	gather_load(live, &now, &before); // never backwards
	assert_int_equal(live->events_per_second, 0);
	json_object_del(drops, "events");
	assert_false(gather_totals(&now, drops, ports));
	json_decref(drops);
	json_decref(ports);
	free(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listener_is_reached_by_its_own_address_or_by_the_ports),
		cmocka_unit_test(more_addresses_than_there_is_room_for_are_left_out),
		cmocka_unit_test(health_comes_with_its_worst_cause),
		cmocka_unit_test(a_log_is_taken_whole_or_not_at_all),
		cmocka_unit_test(a_sinks_lag_is_that_of_its_partitions_together),
		cmocka_unit_test(two_samples_make_a_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
