// SPDX-License-Identifier: BSD-3-Clause
#include "common/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct counter_def defs[] = {
	{"in", "came in", COUNTER_TOTAL, ROLE_EV_IN},
	{"bad", "were bad", COUNTER_TOTAL, ROLE_EV_DROP},
	{"worse", "were worse", COUNTER_TOTAL, ROLE_EV_DROP},
};

static uint64_t first[3], second[3];

static void fetch(void *arg)
{
	uint64_t *values = arg;

	counter_set(&values[2], 40);
}

static void append_label(const struct counter_set *set, void *arg)
{
	char *order = arg;

	order[strlen(order)] = set->labels[0];
}

static void sets_are_walked_in_order_of_registration(void **)
{
	struct counter_set sets[] = {{.labels = "a"}, {.labels = "b"}, {.labels = "c"}};
	char order[8] = "";

	for (int i = 0; i < 3; i++)
		counters_register(&sets[i]);
	counters_walk(append_label, order);
	assert_string_equal(order, "abc");
	counters_unregister(&sets[1]);
	counters_register(&sets[1]);
	memset(order, 0, sizeof(order));
	counters_walk(append_label, order);
	assert_string_equal(order, "acb");
	for (int i = 0; i < 3; i++)
		counters_unregister(&sets[i]);
	memset(order, 0, sizeof(order));
	counters_walk(append_label, order);
	assert_string_equal(order, "");
}

static void a_role_is_summed_over_all_sets_after_refresh(void **)
{
	struct counter_set a = {.defs = defs, .values = first, .count = 3};
	struct counter_set b = {
		.defs = defs, .values = second, .count = 3, .refresh = fetch, .arg = second};

	counters_register(&a);
	counters_register(&b);
	counter_add(&first[0], 7);
	counter_add(&first[1], 2);
	counter_add(&first[1], 1);
	assert_int_equal(counters_sum(ROLE_EV_IN), 7);
	assert_int_equal(counters_sum(ROLE_EV_DROP), 43);
	assert_int_equal(counters_sum(ROLE_PKT_IN), 0);
	counters_unregister(&a);
	counters_unregister(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_are_walked_in_order_of_registration),
		cmocka_unit_test(a_role_is_summed_over_all_sets_after_refresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
