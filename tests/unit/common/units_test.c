// SPDX-License-Identifier: BSD-3-Clause

#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct row {
	const char *text;
	uint64_t value;
};

static void durations_are_read_to_the_nanosecond(void **state)
{
	static const struct row rows[] = {
		{"0", 0},
		{"1ns", 1},
		{"10us", 10000},
		{"200ms", 200000000},
		{"1.5s", 1500000000},
		{"0.000000001s", 1},
		{"2m", 120000000000},
		{"1h", 3600000000000},
		{"7d", 604800000000000},
		{"18446744073709551615ns", UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t ns = 77;

		assert_true(units_parse_duration(rows[i].text, &ns));
		assert_int_equal(ns, rows[i].value);
	}
}

static void sizes_are_read_in_both_scales(void **state)
{
	static const struct row rows[] = {
		{"0", 0},
		{"4096", 4096},
		{"12B", 12},
		{"64k", 65536},
		{"64K", 65536},
		{"64KiB", 65536},
		{"64kB", 64000},
		{"1MiB", 1048576},
		{"1Mi", 1048576},
		{"10G", 10737418240},
		{"10GB", 10000000000},
		{"1.5TiB", 1649267441664},
		{"16777215TiB", UINT64_MAX - 1099511627775},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t bytes = 77;

		assert_true(units_parse_size(rows[i].text, &bytes));
		assert_int_equal(bytes, rows[i].value);
	}
}

static void what_is_no_duration_is_refused(void **state)
{
	static const char *const texts[] = {"", "5", "s", "-1s", "+1s", " 1s", "1 s", "1s ", "1.s",
		".5s", "1.5ns", "1e3s", "1S", "1MS", "0x1s", "1ss", "1.0000000001s",
		"18446744073709551616ns", "213504d", "99999999999999999999999s", "1,5s"};
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (units_parse_duration(texts[i], &ns))
			fail_msg("took '%s'", texts[i]);
}

static void what_is_no_size_is_refused(void **state)
{
	static const char *const texts[] = {"", "k", "-1", "1 MiB", "0.5B", "1.3KiB", "1MB/s",
		"1kiBB", "16777216TiB", "18446744073709551616", "1.", "0x10", "1b1"};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (units_parse_size(texts[i], &bytes))
			fail_msg("took '%s'", texts[i]);
}

static void a_plain_number_has_neither_sign_nor_blank(void **state)
{
	uint64_t n;

	(void)state;
	assert_true(units_parse_uint("18446744073709551615", &n));
	assert_int_equal(n, UINT64_MAX);
	assert_true(units_parse_uint("007", &n));
	assert_int_equal(n, 7);
	assert_false(units_parse_uint("", &n));
	assert_false(units_parse_uint("18446744073709551616", &n));
	assert_false(units_parse_uint("-1", &n));
	assert_false(units_parse_uint(" 1", &n));
	assert_false(units_parse_uint("1\n", &n));
}

static void what_is_written_is_the_largest_exact_unit(void **state)
{
	char buf[UNITS_TEXT_BYTES];

	(void)state;
	assert_string_equal(units_duration_text(0, buf), "0");
	assert_string_equal(units_duration_text(1, buf), "1ns");
	assert_string_equal(units_duration_text(1500000000, buf), "1500ms");
	assert_string_equal(units_duration_text(60000000000, buf), "1m");
	assert_string_equal(units_duration_text(UINT64_MAX, buf), "18446744073709551615ns");
	assert_string_equal(units_size_text(0, buf), "0");
	assert_string_equal(units_size_text(1025, buf), "1025");
	assert_string_equal(units_size_text(1536, buf), "1536");
	assert_string_equal(units_size_text(1ull << 30, buf), "1GiB");
	assert_string_equal(units_size_text(3ull << 20, buf), "3MiB");
}

static void what_is_written_is_read_back(void **state)
{
	char buf[UNITS_TEXT_BYTES];
	uint64_t value = 1, back;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		value = value * 6364136223846793005u + 1442695040888963407u;
		uint64_t v = value >> (i % 64);

		assert_true(units_parse_duration(units_duration_text(v, buf), &back));
		assert_int_equal(back, v);
		assert_true(units_parse_size(units_size_text(v, buf), &back));
		assert_int_equal(back, v);
	}
}

static void counts_are_powers_of_1000(void **state)
{
	static const struct row rows[] = {
		{"0", 0},
		{"1000000", 1000000},
		{"1M", 1000000},
		{"1.5m", 1500000},
		{"10G", 10000000000},
		{"0.001k", 1},
	};
	static const char *const bad[] = {
		"", "M", "1Mi", "1MB", "0.0001k", "-1", "1 M", "99999999T"};
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(units_parse_count(rows[i].text, &n));
		assert_int_equal(n, rows[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(units_parse_count(bad[i], &n));
}

static void a_decimal_is_exact_or_refused(void **state)
{
	static const char *const bad[] = {"", ".5", "1.", "1.0001", "-1", "1x", "1e3", "1.1.1"};
	uint64_t n;

	(void)state;
	assert_true(units_parse_decimal("1.1", 1000, &n));
	assert_int_equal(n, 1100);
	assert_true(units_parse_decimal("2", 1000, &n));
	assert_int_equal(n, 2000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(units_parse_decimal(bad[i], 1000, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read_to_the_nanosecond),
		cmocka_unit_test(sizes_are_read_in_both_scales),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(what_is_no_size_is_refused),
		cmocka_unit_test(a_plain_number_has_neither_sign_nor_blank),
		cmocka_unit_test(counts_are_powers_of_1000),
		cmocka_unit_test(a_decimal_is_exact_or_refused),
		cmocka_unit_test(what_is_written_is_the_largest_exact_unit),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
