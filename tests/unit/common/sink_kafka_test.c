// SPDX-License-Identifier: BSD-3-Clause
#include "common/sink_kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_template_that_can_be_a_topic_is_taken(void **state)
{
	(void)state;
	assert_null(sink_topic_check("events"));
	assert_null(sink_topic_check("a.b_c-D9"));
	assert_null(sink_topic_check("{receiver}.{partition}.{port}.{listener}"));
}

static void what_no_topic_can_be_is_told(void **state)
{
	char longest[260];

	(void)state;
	assert_non_null(sink_topic_check(""));
	assert_non_null(sink_topic_check("."));
	assert_non_null(sink_topic_check(".."));
	assert_non_null(sink_topic_check("events/{port}"));
	assert_non_null(sink_topic_check("events {port}"));
	assert_non_null(sink_topic_check("events-{prt}"));
	assert_non_null(sink_topic_check("events-{port"));
	assert_non_null(sink_topic_check("events-port}"));
	memset(longest, 'a', sizeof(longest));
	longest[249] = '\0';
	assert_null(sink_topic_check(longest));
	longest[249] = 'a';
	longest[250] = '\0';
	assert_non_null(sink_topic_check(longest));
	memcpy(longest + 200, "{listener}", 11); // at its longest 63
	assert_non_null(sink_topic_check(longest));
}

static void names_are_made_safe(void **state)
{
	struct sink_topic_values values = {
		.port = 514, .listener = "sys log/ü", .receiver = "eu:1", .partition = 12};
	char name[SINK_TOPIC_MAX + 1];

	(void)state;
	sink_topic_name("x-{port}-{listener}-{receiver}-{partition}.y", &values, name);
	assert_string_equal(name, "x-514-sys_log___-eu_1-12.y");
}

static void what_would_be_too_long_is_cut(void **state)
{
	char template[300], name[SINK_TOPIC_MAX + 1];
	struct sink_topic_values values = {.listener = "l", .receiver = "r"};

	(void)state;
	memset(template, 'a', sizeof(template));
	memcpy(template + 240, "{receiver}", 10);
	template[299] = '\0';
	sink_topic_name(template, &values, name);
	assert_int_equal(strlen(name), SINK_TOPIC_MAX);
	assert_int_equal(name[240], 'r');
}

static void ours_and_secret_properties_are_known(void **state)
{
	(void)state;
	assert_true(sink_kafka_property_reserved("transactional.id"));
	assert_true(sink_kafka_property_reserved("enable.idempotence"));
	assert_true(sink_kafka_property_reserved("group.id"));
	assert_true(sink_kafka_property_reserved("isolation.level"));
	assert_true(sink_kafka_property_reserved("delivery.timeout.ms"));
	assert_false(sink_kafka_property_reserved("bootstrap.servers"));
	assert_false(sink_kafka_property_reserved("compression.type"));
	assert_true(sink_kafka_property_secret("sasl.password"));
	assert_true(sink_kafka_property_secret("ssl.key.pem"));
	assert_false(sink_kafka_property_secret("sasl.username"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_that_can_be_a_topic_is_taken),
		cmocka_unit_test(what_no_topic_can_be_is_told),
		cmocka_unit_test(names_are_made_safe),
		cmocka_unit_test(what_would_be_too_long_is_cut),
		cmocka_unit_test(ours_and_secret_properties_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
