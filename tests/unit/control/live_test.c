// SPDX-License-Identifier: BSD-3-Clause

#include "control/live.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOG_ID "00112233445566778899aabbccddeeff"

static struct live_listener listeners[2] = {
	{.name = "sure",
		.kind = KIND_RELIABLE,
		.udp_port = 5140,
		.address_count = 2,
		.addresses = {"10.0.0.2", "fd77::2"}},
	{.name = "plain", .udp_port = 65535},
};

static struct live example(void)
{
	return (struct live){.receiver = "r1",
		.task_id = "r1.17",
		.hostname = "slave-1",
		.socket = "/run/millrace/first.r1.sock",
		.pid = 4711,
		.started_at = "2026-01-02T03:04:05.678901234Z",
		.restarts = 2,
		.health = LIVE_DEGRADED,
		.why = "a link is down",
		.listener_count = 2,
		.listeners = listeners,
		.partition_count = 2,
		.partitions = {{0, LOG_ID, UINT64_MAX, 1 << 20}, {1, LOG_ID, 0, 0}},
		.packets_per_second = 1000,
		.events_per_second = 20000,
		.bytes_per_second = 600000,
		.sink_count = 2,
		.sinks = {{"kafka", true, 7, 300}, {"files", false, 0, 0}}};
}

static void what_is_written_is_read_back(void **state)
{
	struct live live = example(), *read = malloc(sizeof(*read));
	json_t *json = live_write(&live);

	(void)state;
	assert_non_null(json);
	assert_int_equal(live_read(json, read), 0);
	assert_int_equal(live_compare(&live, read), LIVE_SAME);
	assert_int_equal(live_worst_lag_batches(read), 7);
	live_free(read);
	// What a later version adds is passed over.
	json_object_set_new(json, "colour", json_string("red"));
	assert_int_equal(live_read(json, read), 0);
	live_free(read);
	json_decref(json);
	free(read);
}

static void nothing_to_say_is_null(void **state)
{
	struct live live = example(), *read = malloc(sizeof(*read));
	json_t *json;

	(void)state;
	live.health = LIVE_OK;
	live.why[0] = '\0';
	json = live_write(&live);
	assert_true(json_is_null(json_object_get(json, "why")));
	assert_int_equal(live_read(json, read), 0);
	assert_string_equal(read->why, "");
	live_free(read);
	json_decref(json);
	free(read);
}

static int read_text(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
	struct live *read = malloc(sizeof(*read));
	int err;

	assert_non_null(json);
	err = live_read(json, read);
	if (err == 0)
		live_free(read);
	else
		assert_null(read->listeners);
	json_decref(json);
	free(read);
	return err;
}

// Sets what 'path' names ("sinks/0/lag_events") to a JSON value; NULL: removes it.
static int read_with(const char *path, const char *value)
{
	struct live live = example(), *read = malloc(sizeof(*read));
	json_t *json = live_write(&live), *at = json;
	char copy[128], *save = NULL, *name, *next;
	int err;

	snprintf(copy, sizeof(copy), "%s", path);
	name = strtok_r(copy, "/", &save);
	while ((next = strtok_r(NULL, "/", &save)) != NULL) {
		at = json_is_array(at) ? json_array_get(at, (size_t)(name[0] - '0'))
				       : json_object_get(at, name);
		name = next;
	}
	assert_non_null(at);
	if (json_is_array(at))
		json_array_set_new(
			at, (size_t)(name[0] - '0'), json_loads(value, JSON_DECODE_ANY, NULL));
	else if (value != NULL)
		json_object_set_new(at, name, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(at, name);
	err = live_read(json, read);
	if (err == 0)
		live_free(read);
	json_decref(json);
	free(read);
	return err;
}

static void a_field_that_is_missing_is_refused(void **state)
{
	static const char *const fields[] = {"receiver", "task_id", "hostname", "socket", "pid",
		"started_at", "restarts", "health", "why", "listeners", "listeners/0/name",
		"listeners/0/kind", "listeners/0/udp_port", "listeners/0/addresses", "partitions",
		"partitions/1/partition", "partitions/1/log_id", "partitions/1/durable_seq",
		"partitions/1/log_bytes", "load", "load/packets_per_second",
		"load/events_per_second", "load/bytes_per_second", "sinks", "sinks/1/sink",
		"sinks/1/lag_batches", "sinks/0/lag_events"};

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (read_with(fields[i], NULL) != -EINVAL)
			fail_msg("without %s it was taken", fields[i]);
	}
}

static void a_field_that_is_none_is_refused(void **state)
{
	static const struct {
		const char *path, *value;
	} cases[] = {
		{"receiver", "\"\""},
		{"receiver", "17"},
		{"receiver",
			"\"0123456789012345678901234567890123456789012345678901234567890123\""},
		{"pid", "-1"},
		{"pid", "4294967296"},
		{"pid", "1.5"},
		{"started_at", "\"yesterday\""},
		{"started_at", "\"2026-01-02T03:04:05.678901234+\""},
		{"started_at", "\"2026-01-02T03:04:05Z\""},
		{"restarts", "-1"},
		{"health", "\"well\""},
		{"why", "1"},
		{"listeners", "{}"},
		{"listeners/0", "7"},
		{"listeners/0/kind", "\"sure\""},
		{"listeners/0/udp_port", "0"},
		{"listeners/0/udp_port", "65536"},
		{"listeners/0/addresses", "[1]"},
		{"listeners/0/addresses", "[\"\"]"},
		{"listeners/0/addresses/0",
			"\"0123456789012345678901234567890123456789012345678\""},
		{"partitions/0/partition", "64"},
		{"partitions/0/log_id", "\"00112233445566778899aabbccddeef\""},
		{"partitions/0/log_id", "\"00112233445566778899AABBCCDDEEFF\""},
		{"partitions/0/durable_seq", "1"},
		{"partitions/0/durable_seq", "\"18446744073709551616\""},
		{"partitions/0/log_bytes", "-5"},
		{"load/packets_per_second", "null"},
		{"sinks/0/lag_batches", "null"}, // the other one is known
		{"sinks/0/sink", "\"\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (read_with(cases[i].path, cases[i].value) != -EINVAL)
			fail_msg("%s: %s was taken", cases[i].path, cases[i].value);
	}
}

static void what_is_something_else_is_refused(void **state)
{
	(void)state;
	assert_int_equal(read_text("{}"), -EINVAL);
	assert_int_equal(read_text("[]"), -EINVAL);
	assert_int_equal(read_text("\"x\""), -EINVAL);
	assert_int_equal(read_text("{\"schema\": 1}"), -EINVAL);
	assert_int_equal(read_with("schema", "\"millrace.live/2\""), -EPROTONOSUPPORT);
}

static json_t *repeated(const char *item, unsigned count)
{
	json_t *list = json_array();

	while (count-- > 0)
		json_array_append_new(list, json_loads(item, 0, NULL));
	return list;
}

static void more_than_there_is_room_for_is_refused(void **state)
{
	static const struct {
		const char *name, *item;
		unsigned most;
	} cases[] = {{"listeners",
			     "{\"name\": \"a\", \"kind\": \"plain\", \"udp_port\": 1, "
			     "\"addresses\": []}",
			     CONFIG_LISTENERS_MAX},
		{"partitions",
			"{\"partition\": 1, \"log_id\": \"" LOG_ID
			"\", \"durable_seq\": \"0\", \"log_bytes\": 0}",
			CONFIG_PARTITIONS_MAX},
		{"sinks", "{\"sink\": \"a\", \"lag_batches\": 0, \"lag_events\": 0}",
			CONFIG_SINKS_MAX}};
	struct live live = example(), *read = malloc(sizeof(*read));

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *json = live_write(&live);

		json_object_set_new(json, cases[i].name, repeated(cases[i].item, cases[i].most));
		assert_int_equal(live_read(json, read), 0);
		live_free(read);
		json_object_set_new(
			json, cases[i].name, repeated(cases[i].item, cases[i].most + 1));
		assert_int_equal(live_read(json, read), -EINVAL);
		json_decref(json);
	}
	free(read);
}

// Writes a change into one of two that are alike, and looks.
#define ASSERT_CHANGE(kind, ...) \
	do { \
		struct live a = example(), b = example(); \
		struct live_listener copy[2]; \
		memcpy(copy, listeners, sizeof(copy)); \
		b.listeners = copy; \
		__VA_ARGS__; \
		assert_int_equal(live_compare(&a, &b), kind); \
		assert_int_equal(live_compare(&b, &a), kind); \
	} while (0)

static void positions_and_load_are_told_from_what_matters(void **state)
{
	(void)state;
	ASSERT_CHANGE(LIVE_SAME, (void)0);
	ASSERT_CHANGE(LIVE_COUNTED, b.partitions[1].durable_seq++);
	ASSERT_CHANGE(LIVE_COUNTED, b.partitions[0].log_bytes++);
	ASSERT_CHANGE(LIVE_COUNTED, b.packets_per_second++);
	ASSERT_CHANGE(LIVE_COUNTED, b.events_per_second++);
	ASSERT_CHANGE(LIVE_COUNTED, b.bytes_per_second++);
	ASSERT_CHANGE(LIVE_COUNTED, b.sinks[0].lag_batches++);
	ASSERT_CHANGE(LIVE_COUNTED, b.sinks[0].lag_events++);
	ASSERT_CHANGE(LIVE_COUNTED, b.sinks[1].lag_known = true);
	ASSERT_CHANGE(LIVE_CHANGED, b.pid++);
	ASSERT_CHANGE(LIVE_CHANGED, b.restarts++);
	ASSERT_CHANGE(LIVE_CHANGED, b.health = LIVE_FAILED);
	ASSERT_CHANGE(LIVE_CHANGED, b.why[0] = 'A');
	ASSERT_CHANGE(LIVE_CHANGED, b.started_at[0] = '3');
	ASSERT_CHANGE(LIVE_CHANGED, b.partition_count--);
	ASSERT_CHANGE(LIVE_CHANGED, b.partitions[0].log_id[0] = 'f');
	ASSERT_CHANGE(LIVE_CHANGED, b.sink_count--);
	ASSERT_CHANGE(LIVE_CHANGED, b.sinks[1].name[0] = 'F');
	ASSERT_CHANGE(LIVE_CHANGED, b.listener_count--);
	ASSERT_CHANGE(LIVE_CHANGED, copy[1].udp_port--);
	ASSERT_CHANGE(LIVE_CHANGED, copy[0].addresses[1][0] = 'e');
	ASSERT_CHANGE(LIVE_CHANGED, copy[0].address_count--);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(nothing_to_say_is_null),
		cmocka_unit_test(a_field_that_is_missing_is_refused),
		cmocka_unit_test(a_field_that_is_none_is_refused),
		cmocka_unit_test(what_is_something_else_is_refused),
		cmocka_unit_test(more_than_there_is_room_for_is_refused),
		cmocka_unit_test(positions_and_load_are_told_from_what_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
