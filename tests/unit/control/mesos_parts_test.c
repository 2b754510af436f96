// SPDX-License-Identifier: BSD-3-Clause
// The list of masters, what a redirect names, and how long to wait.

#include "control/mesos/backoff.h"
#include "control/mesos/masters.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_masters(void **state)
{
	struct masters m, same, other;

	(void)state;
	assert_int_equal(masters_parse(" a.b-c:5050 ,10.0.0.1:1,[::1]:65535", &m), 0);
	assert_int_equal(m.count, 3);
	assert_string_equal(m.list[0], "a.b-c:5050");
	assert_string_equal(m.list[1], "10.0.0.1:1");
	assert_string_equal(m.list[2], "[::1]:65535");
	assert_true(masters_have(&m, "10.0.0.1:1"));
	assert_false(masters_have(&m, "10.0.0.1:11"));
	assert_int_equal(masters_parse("a.b-c:5050,10.0.0.1:1,[::1]:65535", &same), 0);
	assert_true(masters_same(&m, &same));
	assert_int_equal(masters_parse("a.b-c:5050,10.0.0.1:2,[::1]:65535", &other), 0);
	assert_false(masters_same(&m, &other));
	assert_int_equal(masters_parse("", &other), 0);
	assert_int_equal(other.count, 0);
	assert_false(masters_same(&m, &other));
	assert_int_equal(masters_parse("  ", &other), 0);
}

static void test_no_masters(void **state)
{
	static const char *const bad[] = {"a", "a:", ":5050", "a:0", "a:65536", "a:x", "a:-1",
		"a:1,", ",a:1", "a:1,,b:1", "a:1 b:1", "a b:1", "u@a:1", "a/b:1", "a:1/x",
		"a\r\n:1", "::1:5050", "http://a:1", "a:99999999999"};
	struct masters m = {.count = 7};
	char many[256] = "a:1", long_one[400];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (masters_parse(bad[i], &m) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	for (unsigned i = 1; i < MASTERS_MAX; i++)
		strncat(many, ",a:1", sizeof(many) - strlen(many) - 1);
	assert_int_equal(m.count, 7); // left alone
	assert_int_equal(masters_parse(many, &m), 0);
	assert_int_equal(m.count, MASTERS_MAX);
	strncat(many, ",a:1", sizeof(many) - strlen(many) - 1);
	assert_int_equal(masters_parse(many, &m), -E2BIG);
	memset(long_one, 'a', sizeof(long_one));
	snprintf(long_one + 300, 10, ":5050");
	assert_int_equal(masters_parse(long_one, &m), -EINVAL);
}

static void test_location(void **state)
{
	static const char *const good[] = {"//m2:5050/api/v1/scheduler", "//m2:5050",
		"http://m2:5050/api/v1/scheduler", "HTTPS://m2:5050/x", "//m2:5050?x"};
	static const char *const bad[] = {"", "/api/v1/scheduler", "m2:5050", "//", "//m2/api",
		"ftp://m2:1/", "//user@m2:5050/", "//m2:5050\\x", "// m2:5050/"};
	char master[MASTER_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		master[0] = '\0';
		assert_true(masters_location(good[i], master));
		assert_string_equal(master, "m2:5050");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (masters_location(bad[i], master))
			fail_msg("\"%s\" was taken", bad[i]);
}

#define TRIES 4000

// Any part of the bound, evenly: the mean is its half, and all quarters come.
static void test_backoff(void **state)
{
	static const uint64_t bounds[] = {1000, 2000, 4000, 8000, 10000, 10000};
	struct mesos_backoff b;

	(void)state;
	mesos_backoff_init(&b, 1000, 10000);
	for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		unsigned quarters[4] = {0};

		for (unsigned k = 0; k < TRIES; k++) {
			uint64_t delay;

			b.failures = i;
			delay = mesos_backoff_next(&b);
			assert_true(delay < bounds[i]);
			quarters[delay * 4 / bounds[i]]++;
		}
		assert_int_equal(b.failures, i + 1);
		for (unsigned q = 0; q < 4; q++)
			assert_in_range(quarters[q], TRIES / 4 - 250, TRIES / 4 + 250);
	}
}

static void test_backoff_ends(void **state)
{
	struct mesos_backoff a, b;

	(void)state;
	mesos_backoff_init(&a, 1, UINT64_MAX);
	mesos_backoff_init(&b, 1, UINT64_MAX);
	assert_true(a.seed != b.seed);
	a.failures = 4000000000u; // doubled no more than there is room for
	assert_true(mesos_backoff_next(&a) > 0);
	mesos_backoff_init(&a, 0, 0);
	assert_int_equal(mesos_backoff_next(&a), 0);
	mesos_backoff_init(&a, 500, 100);
	for (unsigned i = 0; i < 100; i++)
		assert_true(mesos_backoff_next(&a) < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_masters),
		cmocka_unit_test(test_no_masters),
		cmocka_unit_test(test_location),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_backoff_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
