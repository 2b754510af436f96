// SPDX-License-Identifier: BSD-3-Clause

#include "cli/rates.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND 1000000000u

static json_t *entry(const char *subsystem, const char *name, const char *label, const char *value,
	const char *kind, const char *role, json_int_t n)
{
	return json_pack("{s:s, s:s, s:{s:s}, s:s, s:s?, s:I, s:s}", "subsystem", subsystem, "name",
		name, "labels", label, value, "kind", kind, "role", role, "value", n, "help", "h");
}

static json_t *commits(json_int_t low, json_int_t high, json_int_t max)
{
	json_t *ret = entry(
		"partition", "commit_latency_ns", "partition", "0", "histogram", NULL, low + high);

	json_object_set_new(ret, "max", json_integer(max));
	json_object_set_new(ret, "buckets",
		json_pack("[[I, I], [I, I]]", (json_int_t)1023, low, (json_int_t)1048575, high));
	return ret;
}

static json_t *sample(json_int_t n)
{
	json_t *ret = json_array();

	json_array_append_new(
		ret, entry("port", "wire_packets", "port", "a", "total", "pkt_in", n));
	json_array_append_new(ret, entry("port", "rx_bytes", "port", "a", "total", NULL, 100 * n));
	json_array_append_new(
		ret, entry("lcore", "bad", "lcore", "1", "total", "pkt_drop", n / 10));
	json_array_append_new(ret, entry("lcore", "bad", "lcore", "2", "total", "pkt_drop", n / 5));
	json_array_append_new(ret, entry("lcore", "busy_cycles", "lcore", "1", "total", NULL, n));
	json_array_append_new(
		ret, entry("lcore", "idle_cycles", "lcore", "1", "total", NULL, 3 * n));
	for (int p = 0; p < 2; p++) {
		const char *label = p == 0 ? "0" : "1";

		json_array_append_new(ret,
			entry("partition", "events_in", "partition", label, "total", "ev_in", n));
		json_array_append_new(ret, entry("partition", "payload_bytes", "partition", label,
						   "total", NULL, p * 10 * n));
		json_array_append_new(ret, entry("partition", "written_bytes", "partition", label,
						   "total", NULL, p * 15 * n));
		json_array_append_new(ret, entry("partition", "events_open", "partition", label,
						   "gauge", "ev_flight", 5));
		json_array_append_new(ret, entry("ring", "used_packets", "partition", label,
						   "gauge", "pkt_flight", p * 64));
		json_array_append_new(
			ret, entry("ring", "size_packets", "partition", label, "gauge", NULL, 256));
	}
	json_array_append_new(ret, entry("port", "rx_packets", "port", "a", "total", NULL, 7 * n));
	return ret;
}

static double at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

static json_t *compute(json_t *before, json_t *after, uint64_t interval)
{
	json_t *ret = rates_compute(before, after, interval);

	json_decref(before);
	json_decref(after);
	return ret;
}

static void rates_are_differences_over_the_interval(void **state)
{
	json_t *top = compute(sample(1000), sample(3000), SECOND / 2);
	json_t *total = json_object_get(top, "total");

	(void)state;
	assert_true(at(total, "packets_per_second") == 4000);
	assert_true(at(total, "bits_per_second") == 8 * 100 * 4000);
	assert_true(at(total, "events_per_second") == 8000); // both partitions
	assert_true(at(total, "write_amplification") == 1.5);
	assert_true(json_is_false(json_object_get(top, "restarted")));
	json_decref(top);
}

static void rows_are_told_apart_by_their_label(void **state)
{
	json_t *top = compute(sample(1000), sample(3000), SECOND);
	json_t *partitions = json_object_get(top, "partitions");
	json_t *second = json_array_get(partitions, 1);
	json_t *lcore = json_array_get(json_object_get(top, "lcores"), 0);

	(void)state;
	assert_int_equal(json_array_size(partitions), 2);
	assert_true(at(second, "partition") == 1);
	assert_true(at(second, "events_per_second") == 2000);
	assert_true(at(second, "ring_fill") == 0.25);
	assert_true(at(second, "in_flight_events") == 5);
	assert_true(isnan(at(json_array_get(partitions, 0), "write_amplification")));
	assert_int_equal(json_array_size(json_object_get(top, "ports")), 1);
	// What the driver handed over and what was lost below; the first is no part of the sum.
	assert_true(at(json_array_get(json_object_get(top, "ports"), 0), "packets_per_second") ==
		    16000);
	assert_true(at(lcore, "busy") == 0.25);
	json_decref(top);
}

static void drops_of_one_reason_are_added_up(void **state)
{
	json_t *top = compute(sample(1000), sample(3000), SECOND);
	json_t *drops = json_object_get(top, "drops");

	(void)state;
	assert_int_equal(json_array_size(drops), 1);
	assert_true(at(json_array_get(drops, 0), "per_second") == 600);
	assert_true(at(json_array_get(drops, 0), "total") == 900);
	json_decref(top);
}

static void a_counter_that_went_back_begins_at_zero(void **state)
{
	json_t *top = compute(sample(5000), sample(300), SECOND);

	(void)state;
	assert_true(at(json_object_get(top, "total"), "packets_per_second") == 300);
	assert_true(json_is_true(json_object_get(top, "restarted")));
	json_decref(top);
}

static void a_counter_that_is_new_begins_at_zero(void **state)
{
	json_t *top = compute(json_array(), sample(300), SECOND);

	(void)state;
	assert_true(at(json_object_get(top, "total"), "packets_per_second") == 300);
	assert_true(json_is_false(json_object_get(top, "restarted")));
	json_decref(top);
}

static json_t *latency(json_t *before, json_t *after)
{
	json_t *top = compute(json_pack("[o]", before), json_pack("[o]", after), SECOND);
	json_t *ret = json_incref(json_array_get(json_object_get(top, "partitions"), 0));

	json_decref(top);
	return ret;
}

static void quantiles_are_those_of_the_interval(void **state)
{
	// 1000 slow commits before it; in it 99 fast ones and 1 slow
	json_t *row = latency(commits(0, 1000, 1040000), commits(99, 1001, 1040000));

	(void)state;
	assert_true(at(row, "commit_p50_ns") == 1023);
	assert_true(at(row, "commit_p99_ns") == 1023);
	assert_true(at(row, "commit_max_ns") == 1040000); // no more than the greatest ever
	json_decref(row);
}

static void the_greatest_of_the_interval_forgets_what_was_before(void **state)
{
	json_t *row = latency(commits(0, 1000, 1040000), commits(5, 1000, 1040000));

	(void)state;
	assert_true(at(row, "commit_max_ns") == 1023);
	json_decref(row);
}

static void without_commits_latency_is_unknown(void **state)
{
	json_t *row = latency(commits(3, 4, 1040000), commits(3, 4, 1040000));

	(void)state;
	assert_true(json_is_null(json_object_get(row, "commit_p50_ns")));
	assert_true(json_is_null(json_object_get(row, "commit_max_ns")));
	json_decref(row);
}

static void a_histogram_that_went_back_begins_at_zero(void **state)
{
	json_t *row = latency(commits(0, 1000, 1040000), commits(2, 1, 600000));

	(void)state;
	assert_true(at(row, "commit_p50_ns") == 1023);
	assert_true(at(row, "commit_max_ns") == 600000);
	json_decref(row);
}

static void an_interval_of_nothing_divides_by_nothing(void **state)
{
	json_t *top = compute(sample(1), sample(1), 0);

	(void)state;
	assert_true(at(json_object_get(top, "total"), "packets_per_second") == 0);
	json_decref(top);
}

static void data_of_another_shape_is_no_crash(void **state)
{
	static const char *const odd[] = {"null", "7", "{}", "[7, null, [], {}]",
		"[{\"name\": 7, \"labels\": [], \"value\": \"x\", \"role\": \"pkt_drop\"}]",
		"[{\"name\": \"commit_latency_ns\", \"labels\": {\"partition\": 7}, \"buckets\": "
		"3}]",
		"[{\"name\": \"commit_latency_ns\", \"labels\": {\"partition\": \"x\"}, "
		"\"buckets\": [[-1, 1], [2], 3, [1e99, 1]]}]",
		"[{\"name\": \"size_packets\", \"labels\": {\"partition\": \"0\"}, \"value\": 1}]"};

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		json_t *value = json_loads(odd[i], JSON_DECODE_ANY, NULL);

		assert_non_null(value);
		json_decref(compute(json_incref(value), json_incref(value), SECOND));
		rates_add(value, value, SECOND);
		json_decref(value);
	}
}

static void rates_are_added_to_totals_only(void **state)
{
	json_t *before = sample(1000), *after = sample(3000);

	(void)state;
	rates_add(before, after, SECOND);
	assert_true(at(json_array_get(after, 0), "per_second") == 2000);
	assert_null(json_object_get(json_array_get(after, 9), "per_second"));
	json_decref(before);
	json_decref(after);
}

static bool left(const char *status, double written, double *seconds, bool *retained)
{
	json_t *data = json_loads(status, 0, NULL);
	uint64_t ns = 0;
	bool ret;

	assert_non_null(data);
	ret = rates_log_left(data, written, &ns, retained);
	*seconds = (double)ns / 1e9;
	json_decref(data);
	return ret;
}

static void the_log_lasts_until_the_disk_is_full_or_retention_removes(void **state)
{
	double seconds;
	bool retained;

	(void)state;
	assert_true(left("{\"disk_free_bytes\":1000,\"log_bytes\":500,\"retain_bytes\":null,"
			 "\"retain_age_ns\":null}",
		10, &seconds, &retained));
	assert_true(seconds == 100 && !retained);
	assert_true(left("{\"disk_free_bytes\":1000,\"log_bytes\":500,\"retain_bytes\":600}", 10,
		&seconds, &retained));
	assert_true(seconds == 60 && retained);
	// more may be kept than fits
	assert_true(left("{\"disk_free_bytes\":1000,\"log_bytes\":500,\"retain_bytes\":6000}", 10,
		&seconds, &retained));
	assert_true(seconds == 100 && !retained);
	assert_true(left("{\"disk_free_bytes\":1000,\"log_bytes\":0,\"retain_age_ns\":5000000000}",
		10, &seconds, &retained));
	assert_true(seconds == 5 && retained);
	assert_false(left("{\"disk_free_bytes\":1000}", 0, &seconds, &retained));
	assert_false(left("{\"disk_free_bytes\":null}", 10, &seconds, &retained));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_differences_over_the_interval),
		cmocka_unit_test(rows_are_told_apart_by_their_label),
		cmocka_unit_test(drops_of_one_reason_are_added_up),
		cmocka_unit_test(a_counter_that_went_back_begins_at_zero),
		cmocka_unit_test(a_counter_that_is_new_begins_at_zero),
		cmocka_unit_test(quantiles_are_those_of_the_interval),
		cmocka_unit_test(the_greatest_of_the_interval_forgets_what_was_before),
		cmocka_unit_test(without_commits_latency_is_unknown),
		cmocka_unit_test(a_histogram_that_went_back_begins_at_zero),
		cmocka_unit_test(an_interval_of_nothing_divides_by_nothing),
		cmocka_unit_test(data_of_another_shape_is_no_crash),
		cmocka_unit_test(rates_are_added_to_totals_only),
		cmocka_unit_test(the_log_lasts_until_the_disk_is_full_or_retention_removes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
