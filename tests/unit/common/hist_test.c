// SPDX-License-Identifier: BSD-3-Clause
#include "common/hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct hist h, other, difference;

static int clear(void **)
{
	h = other = difference = (struct hist){0};
	return 0;
}

static void a_single_value_is_known_within_a_sixteenth(void **)
{
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int delta = -1; delta <= 1; delta++) {
			uint64_t value = ((uint64_t)1 << shift) + (uint64_t)delta;
			uint64_t got;

			h = (struct hist){0};
			hist_add(&h, value);
			got = hist_quantile(&h, 0.5);
			assert_true(got >= value);
			assert_true(got - value <= value / 16);
		}
	}
	h = (struct hist){0};
	hist_add(&h, UINT64_MAX);
	assert_true(hist_quantile(&h, 1) == UINT64_MAX);
}

static void quantiles_of_a_uniform_spread(void **)
{
	for (uint64_t i = 1; i <= 10000; i++)
		hist_add(&h, i);
	assert_int_equal(h.count, 10000);
	assert_int_equal(h.sum, 50005000);
	assert_int_equal(h.max, 10000);
	assert_in_range(hist_quantile(&h, 0.5), 5000, 5313);
	assert_in_range(hist_quantile(&h, 0.99), 9900, 10520);
	assert_int_equal(hist_quantile(&h, 0), 1);
	assert_in_range(hist_quantile(&h, 1), 10000, 10625);
}

static void nothing_added_is_zero(void **)
{
	assert_int_equal(hist_quantile(&h, 0.5), 0);
}

static void an_interval_is_the_difference_of_two_copies(void **)
{
	hist_add(&h, 1000000);
	other = h;
	for (int i = 0; i < 10; i++)
		hist_add(&h, 7);
	hist_sub(&difference, &h, &other);
	assert_int_equal(difference.count, 10);
	assert_int_equal(difference.sum, 70);
	assert_int_equal(hist_quantile(&difference, 0.99), 7);
	assert_int_equal(difference.max, 1000000);
}

static void count_entries(const struct hist_entry *entry, void *arg)
{
	unsigned *n = arg;

	assert_ptr_equal(entry->hist, &h);
	++*n;
}

static void an_entry_is_walked_until_it_is_unregistered(void **)
{
	struct hist_entry a = {.name = "a", .hist = &h};
	struct hist_entry b = {.name = "b", .hist = &h};
	unsigned n = 0;

	hist_register(&a);
	hist_register(&b);
	hist_walk(count_entries, &n);
	assert_int_equal(n, 2);
	hist_unregister(&a);
	hist_walk(count_entries, &n);
	assert_int_equal(n, 3);
	hist_unregister(&b);
	hist_unregister(&b);
	hist_walk(count_entries, &n);
	assert_int_equal(n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_single_value_is_known_within_a_sixteenth, clear),
		cmocka_unit_test_setup(quantiles_of_a_uniform_spread, clear),
		cmocka_unit_test_setup(nothing_added_is_zero, clear),
		cmocka_unit_test_setup(an_interval_is_the_difference_of_two_copies, clear),
		cmocka_unit_test(an_entry_is_walked_until_it_is_unregistered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
