// SPDX-License-Identifier: BSD-3-Clause

#include "http/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct counter_def defs[] = {
	{"rx_packets", "packets \"in\"\\\nhere", COUNTER_TOTAL, ROLE_PKT_IN},
	{"taken_packets", "packets taken", COUNTER_TOTAL, ROLE_PKT_TAKEN},
	{"bad_packets", "packets dropped", COUNTER_TOTAL, ROLE_PKT_DROP},
	{"queued_packets", "packets in rings", COUNTER_GAUGE, ROLE_PKT_FLIGHT},
};

static const struct counter_def plain_defs[] = {
	{"queued_packets", "packets somewhere", COUNTER_GAUGE, ROLE_NONE},
};

static uint64_t first[4] = {10, 6, 3, 1}, second[4] = {7, 7, 0, 0};

static struct counter_set set_a = {.subsystem = "port",
	.defs = defs,
	.values = first,
	.count = 4,
	.labels = "port=\"a\\\\b\\\"c\\nd\",queue=\"1\""};
static struct counter_set set_b = {
	.subsystem = "port", .defs = defs, .values = second, .count = 4, .labels = "port=\"b\""};
static struct counter_set plain = {
	.subsystem = "process", .defs = plain_defs, .values = second, .count = 1};
static struct hist hist_a, hist_b;
static struct hist_entry entry_a = {.subsystem = "partition",
	.name = "commit_latency_ns",
	.help = "h",
	.hist = &hist_a,
	.labels = "partition=\"0\""};
static struct hist_entry entry_b = {
	.subsystem = "disk", .name = "flush_ns", .help = "h", .hist = &hist_b};

static int setup(void **state)
{
	(void)state;
	counters_register(&set_a);
	counters_register(&plain); // stands between the two of one family
	counters_register(&set_b);
	hist_register(&entry_a);
	hist_register(&entry_b);
	memset(&hist_a, 0, sizeof(hist_a));
	memset(&hist_b, 0, sizeof(hist_b));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	counters_unregister(&set_a);
	counters_unregister(&plain);
	counters_unregister(&set_b);
	hist_unregister(&entry_a);
	hist_unregister(&entry_b);
	return 0;
}

static char *render(void)
{
	size_t len;
	char *text = metrics_render("re\"ceiver", &len);

	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	return text;
}

static void assert_has(const char *text, const char *want)
{
	if (strstr(text, want) == NULL)
		fail_msg("no '%s' in:\n%s", want, text);
}

static void samples_of_a_family_stand_together(void **state)
{
	char *text = render();

	(void)state;
	assert_has(text, "# TYPE millrace_port_rx_packets counter\n"
			 "# UNIT millrace_port_rx_packets packets\n"
			 "# HELP millrace_port_rx_packets packets \\\"in\\\"\\\\\\nhere.\n"
			 "millrace_port_rx_packets_total{port=\"a\\\\b\\\"c\\nd\",queue=\"1\"} 10\n"
			 "millrace_port_rx_packets_total{port=\"b\"} 7\n");
	free(text);
}

static void a_gauge_has_no_suffix_and_no_braces_without_labels(void **state)
{
	char *text = render();

	(void)state;
	assert_has(text, "# TYPE millrace_process_queued_packets gauge\n");
	assert_has(text, "\nmillrace_process_queued_packets 7\n");
	free(text);
}

static void the_text_ends_with_eof_and_escapes_the_receiver(void **state)
{
	char *text = render();

	(void)state;
	assert_has(text, "receiver=\"re\\\"ceiver\"} 1\n");
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	free(text);
}

static void buckets_are_cumulative_and_count_is_that_of_infinity(void **state)
{
	char *text;

	(void)state;
	hist_add(&hist_a, 0);
	hist_add(&hist_a, 1023);
	hist_add(&hist_a, 1024);
	hist_add(&hist_a, UINT64_MAX);
	hist_a.count = 99; // a reader may see it ahead of the buckets
	text = render();
	assert_has(text, "_bucket{partition=\"0\",le=\"1023.0\"} 2\n");
	assert_has(text, "_bucket{partition=\"0\",le=\"2047.0\"} 3\n");
	assert_has(text, "_bucket{partition=\"0\",le=\"+Inf\"} 4\n");
	assert_has(text, "millrace_partition_commit_latency_ns_count{partition=\"0\"} 4\n");
	assert_has(text, "millrace_disk_flush_ns_bucket{le=\"1023.0\"} 0\n");
	assert_has(text, "\nmillrace_disk_flush_ns_count 0\n");
	free(text);
}

static void the_upper_bound_of_a_bucket_is_the_quantile_of_a_value_in_it(void **state)
{
	static const uint64_t values[] = {0, 15, 16, 17, 1000, 1023, 1024, 1u << 31, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		unsigned bucket = 0;

		memset(&hist_a, 0, sizeof(hist_a));
		hist_add(&hist_a, values[i]);
		while (hist_a.bucket[bucket] == 0)
			bucket++;
		assert_true(hist_upper(bucket) >= values[i]);
		assert_true(bucket == 0 || hist_upper(bucket - 1) < values[i]);
		assert_true(hist_quantile(&hist_a, 0.5) == hist_upper(bucket));
	}
}

static void labels_come_out_without_escapes(void **state)
{
	json_t *labels = labels_json(set_a.labels);

	(void)state;
	assert_int_equal(json_object_size(labels), 2);
	assert_string_equal(json_string_value(json_object_get(labels, "port")), "a\\b\"c\nd");
	assert_string_equal(json_string_value(json_object_get(labels, "queue")), "1");
	json_decref(labels);
}

static void labels_that_do_not_parse_are_left_out(void **state)
{
	static const char *const bad[] = {
		"", ",", "a", "a=", "a=\"", "a=\"x", "a=\"x\\", "=\"", "a=\"\xff\""};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *labels = labels_json(bad[i]);

		assert_int_equal(json_object_size(labels), 0);
		json_decref(labels);
	}
}

static void stats_name_every_counter_with_its_role(void **state)
{
	json_t *stats = stats_json(), *row = json_array_get(stats, 0);

	(void)state;
	assert_int_equal(json_array_size(stats), 4 + 1 + 4 + 2);
	assert_string_equal(json_string_value(json_object_get(row, "role")), "pkt_in");
	assert_string_equal(json_string_value(json_object_get(row, "kind")), "total");
	assert_int_equal(json_integer_value(json_object_get(row, "value")), 10);
	json_decref(stats);
}

static void a_counter_left_out_shows_in_the_balance(void **state)
{
	json_t *drops = drops_json(), *packets = json_object_get(drops, "packets");

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(packets, "in")), 17);
	assert_int_equal(json_integer_value(json_object_get(packets, "dropped")), 3);
	assert_int_equal(json_integer_value(json_object_get(packets, "in_flight")), 1);
	assert_int_equal(json_integer_value(json_object_get(packets, "balance")), 0);
	json_decref(drops);
	first[2]--;
	drops = drops_json();
	packets = json_object_get(drops, "packets");
	assert_int_equal(json_integer_value(json_object_get(packets, "balance")), 1);
	json_decref(drops);
	first[2] += 2;
	drops = drops_json();
	packets = json_object_get(drops, "packets");
	assert_int_equal(json_integer_value(json_object_get(packets, "balance")), -1);
	json_decref(drops);
	first[2]--;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_of_a_family_stand_together),
		cmocka_unit_test(a_gauge_has_no_suffix_and_no_braces_without_labels),
		cmocka_unit_test(the_text_ends_with_eof_and_escapes_the_receiver),
		cmocka_unit_test(buckets_are_cumulative_and_count_is_that_of_infinity),
		cmocka_unit_test(the_upper_bound_of_a_bucket_is_the_quantile_of_a_value_in_it),
		cmocka_unit_test(labels_come_out_without_escapes),
		cmocka_unit_test(labels_that_do_not_parse_are_left_out),
		cmocka_unit_test(stats_name_every_counter_with_its_role),
		cmocka_unit_test(a_counter_left_out_shows_in_the_balance),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
