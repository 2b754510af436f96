// SPDX-License-Identifier: BSD-3-Clause
// Sinks, acknowledgements and the API over TCP in the configuration.

#include "tests/unit/common/config_test.h"

static void sinks_and_the_api_are_read(void **state)
{
	const struct config_sink *out = &config.sinks[0], *archive = &config.sinks[1];

	(void)state;
	assert_valid("ports: [{device: eth1}]\n"
		     "listeners: [{port: 1, kind: reliable, ack: sink}]\n"
		     "sinks:\n- {name: out, kind: kafka, required: false, hold_size: 1GiB, topic: "
		     "'e-{partition}', format: arrow, transactions: false, cursor_topic: c, "
		     "transaction_batches: 3, transaction_timeout: 5s, properties: "
		     "{bootstrap.servers: 'a:1,b:2', sasl.password: 'file:/p', "
		     "ssl.key.password: 'env:P', message.max.bytes: 70000000}}\n"
		     "- {name: archive, kind: files, path: /srv, file: "
		     "'{log_id}-{partition}-{first}', roll_size: 2MiB, "
		     "roll_interval: 0}\n"
		     "memory: {recent: 1MiB}\n"
		     "api: {listen: '[::]:8443', certificate: /c, key: /k, tokens: /t, consumers: "
		     "2, consumer_ttl: 1h, consumer_hold_size: 3GiB}\n");
	assert_int_equal(config.listeners[0].ack, ACK_SINK);
	assert_int_equal(config.sink_count, 2);
	assert_string_equal(out->name, "out");
	assert_int_equal(out->kind, SINK_KAFKA);
	assert_false(out->required);
	assert_int_equal(out->hold_bytes, 1 << 30);
	assert_string_equal(out->topic, "e-{partition}");
	assert_int_equal(out->format, SINK_FORMAT_ARROW);
	assert_false(out->transactions);
	assert_string_equal(out->cursor_topic, "c");
	assert_int_equal(out->transaction_batches, 3);
	assert_int_equal(out->transaction_timeout_ns, 5000000000);
	assert_int_equal(out->property_count, 4);
	assert_string_equal(out->properties[0].value, "a:1,b:2");
	assert_int_equal(out->properties[1].source, PROPERTY_FILE);
	assert_string_equal(out->properties[1].value, "/p");
	assert_int_equal(out->properties[2].source, PROPERTY_ENVIRONMENT);
	assert_string_equal(out->properties[2].value, "P");
	assert_string_equal(out->properties[3].name, "message.max.bytes");
	assert_int_equal(archive->kind, SINK_FILES);
	assert_true(archive->required);
	assert_string_equal(archive->path, "/srv");
	assert_string_equal(archive->file, "{log_id}-{partition}-{first}");
	assert_int_equal(archive->roll_bytes, 2 << 20);
	assert_int_equal(archive->roll_interval_ns, 0);
	assert_int_equal(config.recent_bytes, 1 << 20);
	assert_string_equal(config.api.listen, "[::]:8443");
	assert_string_equal(config.api.tokens, "/t");
	assert_int_equal(config.api.consumers, 2);
	assert_int_equal(config.api.consumer_ttl_ns, 3600000000000);
	assert_int_equal(config.api.consumer_hold_bytes, 3ull << 30);
}

static void sinks_and_the_api_are_checked(void **state)
{
	static const struct refusal rows[] = {
		{"sinks: [{kind: files, path: /a}]", "sinks[0].name: is missing"},
		{"sinks: [{name: a, properties: {bootstrap.servers: b}}]",
			"sinks[0].kind: is missing"},
		{"sinks: [{name: a, kind: files}]", "sinks[0].path: is missing"},
		{"sinks: [{name: a, kind: kafka}]", "there is no bootstrap.servers"},
		{"sinks: [{name: a, kind: files, path: /a}, {name: a, kind: files, path: /b}]",
			"sinks[1].name: 'a' is also sinks[0]"},
		{"sinks: [{name: a, kind: files, path: /a, properties: [b]}]",
			"properties: must be a map of names and values"},
		{"sinks: [{name: a, kind: files, path: /a, properties: {x: [b]}}]",
			"properties.x: must be one value"},
		{"sinks: [{name: a, kind: files, path: /a, properties: {x: 'file:b'}}]",
			"properties.x: must be file: and an absolute path"},
		{"sinks: [{name: a, kind: files, path: /a, properties: {x: 'env:'}}]",
			"properties.x: must be env: and a variable's name"},
		{"sinks: [{name: a, kind: files, path: /a, properties: {x: 1, x: 2}}]",
			"properties.x: is there twice"},
		{"sinks: [{name: a, kind: kafka, format: arrow, topic: t, properties: "
		 "{bootstrap.servers: b}}]",
			"properties.message.max.bytes: 1000000 is less than a batch may have"},
		{"sinks: [{name: a, kind: kafka, format: arrow, properties: "
		 "{bootstrap.servers: b, message.max.bytes: 70000000}}]",
			"sinks[0].topic: with 'format: arrow' a batch has events of every"},
		{"sinks: [{name: a, kind: kafka, topic: '{pot}', properties: "
		 "{bootstrap.servers: b}}]",
			"sinks[0].topic: "},
		{"sinks: [{name: a, kind: kafka, properties: {bootstrap.servers: b, "
		 "enable.idempotence: 'false'}}]",
			"properties.enable.idempotence: is set by millraced"},
		{"sinks: [{name: a, kind: kafka, properties: {bootstrap.servers: b, "
		 "sasl.password: x}}]",
			"properties.sasl.password: is a secret"},
		{"sinks: [{name: a, kind: files, path: /a, file: 'x'}]", "sinks[0].file: "},
		{"sinks: [{name: a, kind: files, path: /a}, {name: b, kind: files, path: /a}]",
			"sinks[1].path: '/a' is also sinks[0]"},
		{"api: {listen: '[::]:1', key: /k, tokens: /t}", "api.certificate: is missing"},
		{"api: {listen: '[::]:1', certificate: /k, key: /t}", "api.tokens: is missing"},
	};

	(void)state;
	ASSERT_EACH(rows);
	assert_refused(PORT "listeners:\n- {port: 1, ack: sink}\n"
			    "sinks: [{name: a, kind: files, path: /a}]\n",
		3, "listeners[0].ack: a plain listener acknowledges nothing");
	assert_refused(PORT "listeners:\n- {port: 1, kind: reliable, ack: sink}\n"
			    "sinks: [{name: a, kind: files, path: /a, required: false}]\n",
		3, "listeners[0].ack: sink: there is no sink that is 'required'");
	assert_refused(PORT "listeners:\n- {port: 1, kind: reliable, ack: sink}\n"
			    "- {port: 2, kind: reliable}\n"
			    "sinks: [{name: a, kind: files, path: /a}]\n",
		4, "listeners[1].ack: must be the same for all reliable listeners");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sinks_and_the_api_are_read),
		cmocka_unit_test(sinks_and_the_api_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
